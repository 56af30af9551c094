#pragma once

// SRE_RETENTION_DAYS: closed incidents that are older go, with their alerts, verdicts and trail;
// what the days' counts say of them stays. In small steps, so that no alert waits for one.

#include "common/config.h"
#include "common/group_commit.h"

struct retention;

// Borrows all for its life. Does nothing where nothing is to be pruned.
int retention_start(uv_loop_t *loop, struct group_commit *commit, const struct config *c,
                    struct retention **ret) MUST_CHECK;
void retention_stop(struct retention *r); // after group_commit_close; frees it when its timer is
                                          // closed; NULL is fine

// One step, in a transaction of the caller: at most RETENTION_STEP_ROWS rows that are older than
// `before` (wall ms). 1 = there is more, 0 = done, or a store error.
#define RETENTION_STEP_ROWS 1000
int retention_step(struct store *s, int64_t before) MUST_CHECK;
// Deletes an incident with all that belongs to it, at most *room (> 0) rows, which shrinks by what
// went. Where that is not enough the incident stays, for the next time. 0, or a store error.
int retention_prune_incident(struct store *s, int64_t id, int64_t *room) MUST_CHECK;
