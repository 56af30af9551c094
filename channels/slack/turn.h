#pragma once

// Whose turn it is to speak for the channel: one process holds the lease, and with it the
// connection. A session comes before the standby: while another holds the lease it wishes for it,
// and whoever is no session gives it up. Only the store; the engine owns the timer, the connection
// and the order in which it is given up.

#include "common/lease.h"

#define TURN_WISH "slack-wish" // the lease of being the next
#define TURN_LOOK_MS 500       // between looks

enum turn_role {
    TURN_SESSION,
    TURN_STANDBY,
    TURN_PAGE, // one message, no connection
};

struct turn {
    enum turn_role role;
    bool holds;
    int64_t beat_at; // boot ms of our last heartbeat, of the lease or the wish
};

enum turn_verdict {
    TURN_UNKNOWN, // the store does not tell: all stays as it is
    TURN_OURS,
    TURN_OTHERS,
    TURN_YIELD, // ours, but a session waits: turn_release as soon as the connection is closed
};

void turn_init(struct turn *t, enum turn_role role);
// Renews or takes the lease; now: boot ms.
enum turn_verdict turn_look(struct store *s, struct turn *t, int64_t now) MUST_CHECK;
void turn_release(struct store *s, struct turn *t); // lease and wish, where they are ours
