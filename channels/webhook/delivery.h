#pragma once

// Pushes what waits into the session, and again what was not taken (README, "Architecture").
// Nothing acknowledges an event: the store says what was pushed, a tool call says what was taken.

#include <uv.h>

#include "channels/webhook/playbooks.h"
#include "common/config.h"
#include "common/group_commit.h"
#include "common/store.h"
#include "mcp/server.h"

struct delivery;

// Borrows all for its life. Closes what is stale and pages for what is unattended from now on;
// pushes nothing until delivery_session_ready. mcp NULL: a standby, which never pushes.
int delivery_new(uv_loop_t *loop, struct store *s, struct group_commit *commit,
                 const struct config *c, struct mcp_server *mcp, struct delivery **ret) MUST_CHECK;
void delivery_close(
    struct delivery *d); // gives the lease back; frees d when its handles are closed

void delivery_session_ready(struct delivery *d); // the client sent notifications/initialized
void delivery_wake(struct delivery *d);          // something was committed: look at once
bool delivery_attached(
    const struct delivery *d); // a session is there and this process speaks to it
// What one process is to do, this one does: that of the session, or without one the standby that
// holds its lease.
bool delivery_on_duty(const struct delivery *d);
