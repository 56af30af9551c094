#pragma once

// Everything of the Slack channel that needs no session: who holds the connection, the connection
// itself, what comes in and goes out, and the timers. The session's side (session.h) meets it in
// the store and by the calls below; the `page` and `standby` subcommands run it alone.

#include "channels/slack/access.h"
#include "channels/slack/escalation.h"
#include "channels/slack/turn.h"
#include "common/config.h"

#include <uv.h>

struct engine;

struct engine_handler {
    // Something in the store has changed, by us or another process: an inbox row, a decision, the
    // end of a row that was to be sent.
    void (*on_change)(void *data);
    void *data;
};

// Borrows all but the handler struct. TURN_PAGE only sends (no socket). -ENOMEM, a UV_E* code.
int engine_new(uv_loop_t *loop, struct store *s, const struct config *config, enum turn_role role,
               const struct engine_handler *handler, struct engine **ret_engine) MUST_CHECK;
void engine_start(struct engine *e);
// Ends what is under way (at most 2.5 s), gives up the lease and frees; closed comes once, later.
void engine_close(struct engine *e, void (*closed)(void *data), void *data);

// We wrote something into the store: send it, set the timers.
void engine_changed(struct engine *e);

bool engine_holds(const struct engine *e); // this process speaks for the channel
// Messages with a ts up to this (microseconds) are complete: nothing older is about to come in.
// INT64_MAX: all of them; -1: none may be handed over for a moment.
int64_t engine_horizon(const struct engine *e);
const struct access *engine_access(const struct engine *e);
const struct escalation_people *engine_people(const struct engine *e);
// Appends how things stand, a sentence without its full stop. 1 when all is well.
int engine_status(const struct engine *e, struct buf *out);
// Nothing can be sent until a person acts (a token, a scope, a setting).
bool engine_refused(const struct engine *e);
// Where files wait to be uploaded: owned by the engine.
const char *engine_files(const struct engine *e);
