#pragma once

// The canary (SRE_CANARY_SECONDS): a test alert of the channel's own that the session must take or
// decide. One that it does not means that the session is deaf: the owner hears it and gets the
// incidents directly, until the session takes something again. Like any test it never counts in
// history, statistics or known noise; only the newest is kept.

#include "common/config.h"
#include "common/store.h"

#define CANARY_SOURCE "canary"
#define CANARY_TAKE_MS (300 * 1000) // to take it, where SRE_TAKE_SECONDS is off

// Of the process that speaks to the session.
struct canary {
    int64_t next_at;  // boot
    int64_t id;       // of the one that is not answered yet; 0 = none
    int64_t asked_at; // boot
};

// The session begins, or the process takes it over: whatever was asked before it is forgotten. now:
// boot ms.
void canary_begin(struct canary *k, struct store *s, const struct config *c, int64_t wall,
                  int64_t now);

// Looks whether the last one was answered, and opens the next one when it is time; not while an
// event waits to be taken, since that tells the same. Opens its own transaction. 0, or a store
// error.
int canary_run(struct canary *k, struct store *s, const struct config *c, int64_t wall,
               int64_t now) MUST_CHECK;
