#pragma once

// Known noise and its brakes (README, "Architecture"): a problem that people and agent called noise
// at least three times in 14 days, and never anything else, is dismissed by the memory itself. What
// the memory dismisses is no evidence, so it ends by itself; every 10th gets a real look.

#include "channels/webhook/terms.h"
#include "common/buf.h"
#include "common/store.h"

#define NOISE_MIN_VERDICTS 3
#define NOISE_DAYS 14
#define NOISE_LOOK_EVERY 10

struct noise_case {
    int64_t problem_id;
    int64_t incident_id; // its own noise verdict is no evidence; 0 = none
    int64_t severity;
    bool prod;
};

// Is it known noise now (wall ms)? 1, 0, or a store error.
int noise_is_known(struct store *s, const struct noise_case *c, int64_t now) MUST_CHECK;

// A new incident, undecided: folded (verdict noise by the memory, to be told in a digest), or
// marked for its real look, or left alone. In the caller's transaction. 0, or a store error.
int noise_opened(struct store *s, const struct noise_case *c, int64_t now) MUST_CHECK;

// One more alert fires in an incident that is decided as noise. If the memory had folded it: *why
// becomes NULL as long as that holds, or what to ask for when it does not; then the memory's
// verdict is taken back. Otherwise nothing changes. worse: it raised the incident's severity, as
// the store has it already. 0, or a store error.
int noise_joined(struct store *s, int64_t incident_id, bool worse, bool reopened, int64_t now,
                 const char **why) MUST_CHECK;

// Folded since the last digest: two lines for the next one, nothing when there are none. *ret_n of
// them.
int noise_lines(struct store *s, struct buf *out, int64_t *ret_n) MUST_CHECK;
bool noise_waits(struct store *s); // is there one to tell?
// Those folded before it (wall ms) were told, or need not be.
int noise_told(struct store *s, int64_t before) MUST_CHECK;
