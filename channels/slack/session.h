#pragma once

// The session's side of the Slack channel: hands over what people said, relays permission prompts
// and their answers.

#include <uv.h>

#include "channels/slack/engine.h"
#include "channels/slack/receipt.h"
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
struct receipts *session_receipts(struct session *s); // where its tools wait
struct slack_api *session_api(struct session *s);     // for reading; NULL when memory is out

// A tool was called: the session is alive, and read what it was given before.
void session_called(struct session *s);
