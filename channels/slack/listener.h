#pragma once

// What people say, put together from two sides: events as they come over the connection, and the
// history, which has what did not come. Each is stored, then acknowledged; what the store refuses
// is held and tried again. Knows up to when what was said is complete.

#include <uv.h>

#include "channels/slack/access.h"
#include "channels/slack/escalation.h"
#include "channels/slack/web_api.h"

struct listener;

struct listener_handler {
    void (*on_stored)(void *data);    // the store has changed: an inbox row, a decision, an answer
    void (*on_caught_up)(void *data); // a look at the history has ended: the horizon moves
    void (*ack)(const char *envelope_id, void *data); // it is stored
    void *data;
};

// Borrows all but the handler struct. NULL: no memory. Until listener_start it does nothing.
struct listener *listener_new(uv_loop_t *loop, struct store *s, const struct access *access,
                              const struct escalation_people *people,
                              const struct listener_handler *handler);
void listener_close(struct listener *l); // stopped before; frees in a later turn of the loop

// From now on the history can be read; borrows api until listener_stop. -ENOMEM.
int listener_start(struct listener *l, struct slack_api *api) MUST_CHECK;
void listener_pause(struct listener *l); // begins nothing any more
void listener_stop(struct listener *l);  // the API is closed before; what is held Slack repeats

// The connection is up. lossy: some of what Slack sends goes elsewhere, so the history is read more
// often.
void listener_connected(struct listener *l, bool lossy);
// An envelope, as socket_handler's on_envelope has it.
void listener_envelope(struct listener *l, struct envelope *env);
void listener_tick(struct listener *l); // now and then: reads the history where that is due

// Messages with a ts up to this (microseconds) are complete; INT64_MAX: all of them.
int64_t listener_horizon(const struct listener *l);
