#pragma once

// What becomes of an incident without its alerts: the agent takes it and decides it, time closes
// it.

#include "channels/webhook/terms.h"
#include "common/config.h"
#include "common/store.h"

// Closes what has been firing without a word from its sender for SRE_STALE_DAYS, as stale, and
// oversized notifications that did not come again. In a transaction of the caller; at most 500 a
// call. Returns how many.
int incident_sweep(struct store *s, const struct config *c, int64_t now) MUST_CHECK;

// A tool call named the incident: it is taken. No effect on one that is decided or unknown.
int incident_taken(struct store *s, const struct config *c, int64_t id, int64_t now) MUST_CHECK;

struct verdict_note {
    enum verdict verdict;
    const char *summary, *root_cause, *action, *by; // borrowed; "" when absent
    double confidence;                              // negative = not given
};
// Adds to the trail and decides. -ENOENT for an unknown id.
int incident_decide(struct store *s, int64_t id, const struct verdict_note *note,
                    int64_t now) MUST_CHECK;
