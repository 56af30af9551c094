#pragma once

// What the memory knows of a problem, beside the incident at hand.

#include "channels/webhook/terms.h"
#include "common/buf.h"
#include "common/store.h"

struct history {
    int64_t seen, noise;       // incidents of the problem in the window, without the one at hand; tests never count
    enum verdict last_verdict; // of the latest other incident that has one, VERDICT_NONE if none has
    int64_t last_id;
};

// since: wall ms. 0, or a store error.
int history_read(struct store *s, int64_t problem_id, int64_t but_id, int64_t since, struct history *ret_history) MUST_CHECK;

// "12x in 7 days, 12 noise; last: noise, settled by itself", or "first time in 7 days".
int history_line(struct store *s, const struct history *h, struct buf *out) MUST_CHECK;
