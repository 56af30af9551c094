#pragma once

// Writes the tickets of the outbox (ticket_store.h) to Jira or GitLab: one request at a time, each
// tried again with growing waits, at most TICKETS_ATTEMPTS times. One process does it: that of the
// session, or the standby. A creation or comment of unknown fate is looked for before it is
// repeated.

#include <uv.h>

#include "common/config.h"
#include "common/store.h"

#define TICKETS_ATTEMPTS 14 // about four hours

struct tickets;

// Borrows all for its life. Nothing is loaded or connected before there is a ticket. -ENOMEM.
int tickets_new(uv_loop_t *loop, struct store *s, const struct config *c,
                struct tickets **ret_tickets) MUST_CHECK;
void tickets_run(struct tickets *t, int64_t wall); // to be called at every tick
void tickets_close(struct tickets *t);             // NULL is fine
