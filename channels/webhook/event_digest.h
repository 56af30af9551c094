#pragma once

// How many incidents read in the session as one event.

#include "channels/webhook/digest.h"
#include "channels/webhook/event.h"

// The digest that was chosen, whose totals these are. What several rules say of one node or service
// is one line; the rest is grouped by alertname, cluster and severity, worst first, with ids to
// drill down. Known noise and resolutions that wait are named, too. max_bytes: of the content. In
// the caller's transaction. 0, or a store error.
int event_of_digest(struct event *e, const struct event_source *from, const struct digest_totals *t,
                    const char *heading, size_t max_bytes) MUST_CHECK;

// The known noise that the memory dismissed since the last digest, which names it too when it comes
// first. 0, or a store error.
int event_of_noise(struct event *e, const struct event_source *from) MUST_CHECK;
