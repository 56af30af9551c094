#pragma once

// The incidents that one digest folds. They are noted in a temporary table of this connection; the
// store has them as due until they are recorded as pushed. That is done in parts, so that nothing
// waits for a hundred thousand of them. What a process that dies in between has told and not
// recorded comes again: nothing is lost. All in the caller's transaction.

#include "common/store.h"

#define DIGEST_MAX 200000 // incidents: the rest comes in the next
#define DIGEST_PART 1000  // incidents that are recorded at once: some 20 ms

struct digest_totals {
    int64_t incidents, firing, prod, alerts;
    int64_t paged; // the owner heard of them
    int64_t worst; // enum alert_severity
};

// Instead of those chosen before. 0, or a store error.
int digest_choose_due(struct store *s, int64_t now) MUST_CHECK; // boot ms
// All that wait since before the session began (wall ms) but what the session took already.
int digest_choose_waiting(struct store *s, int64_t began, int64_t wall) MUST_CHECK;
int digest_total(struct store *s, struct digest_totals *ret_totals) MUST_CHECK;

struct digest_note {
    bool session_start; // it counts as delivery 1, whatever came before
    int64_t wall;       // ms, when it was chosen
    int64_t due_at;     // boot ms: when it is due again; 0 = never
};
// Records a part as pushed; what changed since it was chosen stays as it is. 1 = there is more, 0,
// or a store error.
int digest_record(struct store *s, const struct digest_note *note) MUST_CHECK;
// Nothing of it was sent: what was recorded is due again, the rest is forgotten. 0, or a store
// error.
int digest_take_back(struct store *s, const struct digest_note *note) MUST_CHECK;
