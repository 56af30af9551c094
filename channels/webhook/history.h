#pragma once

// What the memory knows of a problem, beside the incident at hand.

#include "channels/webhook/terms.h"
#include "common/buf.h"
#include "common/store.h"

struct history {
    int64_t seen,
        noise; // incidents of the problem in the window, without the one at hand; tests never count
    int64_t real; // of these: real, auto_fixed or escalated
    enum verdict
        last_verdict; // of the latest other incident that has one, VERDICT_NONE if none has
    int64_t last_id;
    int64_t problem_id, since;
};

// since: wall ms. 0, or a store error.
int history_read(struct store *s, int64_t problem_id, int64_t but_id, int64_t since,
                 struct history *ret_history) MUST_CHECK;

// "12x in 7 days, always noise; last: noise, settled by itself; also on data-eu-2, twice, fixed by:
// restarted pods", or "first time in 7 days".
int history_line(struct store *s, const struct history *h, struct buf *out) MUST_CHECK;

// The same problem elsewhere: same rule and service (without a service: and namespace), another
// cluster.
struct similar {
    int64_t problem_id;
    int64_t seen, noise; // in the window
    int64_t last_id, last_at;
    enum verdict last_verdict;
};
#define SIMILAR_LOOKED_AT 50
// Those seen in the window, the latest first, at most `max` (up to SIMILAR_LOOKED_AT) of them.
// Fills similar; *ret_n of them. 0, or a store error.
int history_similar(struct store *s, int64_t problem_id, int64_t since, int max,
                    struct similar *similar, int *ret_n) MUST_CHECK;
