#pragma once

// The dead man's switch (SRE_PING_URL): a GET every minute while somebody would see an alert. What
// watches the URL from outside says so when the GETs stop.

#include <uv.h>

#include "common/config.h"
#include "common/store.h"

struct ping;

// Who pings: of a session its channel, without one a standby.
enum ping_by { PING_BY_NOBODY, PING_BY_SESSION, PING_BY_STANDBY };

// What keeps it from being well, as text for the log, or NULL. The caller has just written to the
// store. Well is: no cluster's watchdog is silent, nothing for the owner has waited for Slack
// longer than PING_STUCK_MS, and a session that takes what is pushed, or without a session a Slack
// channel that runs and is configured.
#define PING_STUCK_MS (5 * 60 * 1000)
const char *ping_trouble(struct store *s, const struct config *c, enum ping_by by, int64_t wall);

// Borrows all for its life. Nothing is loaded or connected before the first ping. -ENOMEM.
int ping_new(uv_loop_t *loop, struct store *s, const struct config *c,
             struct ping **ret_ping) MUST_CHECK;
// To be called at every tick; pings when PING_EVERY_MS have passed since the last time that it
// pinged or found out that it must not. now: boot ms.
#define PING_EVERY_MS (60 * 1000)
void ping_run(struct ping *p, enum ping_by by, int64_t now, int64_t wall);
void ping_close(struct ping *p); // NULL is fine
