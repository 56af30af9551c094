#pragma once

// The always-firing alert of each cluster (SRE_WATCHDOG_ALERT): its silence means that the
// monitoring itself is down or cut off.

#include "common/config.h"
#include "common/store.h"

// Looks for clusters that fell silent for SRE_WATCHDOG_SECONDS, or are heard again; opens and
// closes their incidents and escalates a silence to the owner. listening_ms: for how long we could
// have heard it; nobody is missed sooner. Opens its own transaction when there is something to do.
// Returns how many changed, or a store error.
int watchdog_run(struct store *s, const struct config *c, int64_t wall, int64_t boot,
                 int64_t listening_ms) MUST_CHECK;
