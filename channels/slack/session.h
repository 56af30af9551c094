#pragma once

// The session's side of the Slack channel: hands over what people said, relays permission prompts
// and their answers, and lets tools wait for what they sent.

#include <uv.h>

#include "channels/slack/engine.h"
#include "mcp/channel.h"

struct session;

struct session_parts {
    uv_loop_t *loop;
    struct store *store;
    const struct config *config;
    struct engine *engine;
    struct mcp_server *server;
    const char *folder; // of the project, resolved: files are sent from it
};

int session_new(const struct session_parts *parts, struct session **ret_session) MUST_CHECK;
void session_close(struct session *s); // frees in a later turn of the loop

void session_initialized(struct session *s); // the client is there
void session_notification(struct session *s, const char *method, const cJSON *params);
void session_pump(struct session *s); // something may have changed
const struct session_parts *session_parts(const struct session *s);
struct slack_api *session_api(struct session *s); // for reading; NULL when memory is out

// A tool was called: the session is alive, and read what it was given before.
void session_called(struct session *s);

// Finishes the call once these rows were sent, were refused, or SESSION_WAIT_MS have passed. Takes
// the call.
enum { SESSION_WAIT_MS = 8000, SESSION_MAX_ROWS = 64 };
void session_wait(struct session *s, struct mcp_call *call, const int64_t *rows, size_t n,
                  const char *user);
