#pragma once

// The channel extension of Claude Code: events pushed into the session and the permission relay.
// Nothing acknowledges an event, and one sent before the client has registered its listener (about
// 50 ms after initialized) is dropped silently: the sender waits, and counts on nothing but a tool
// call.

#include "mcp/server.h"

#define CHANNEL_FIRST_PUSH_MS 500 // after notifications/initialized: ten times what that takes

struct channel_meta {
    const char *key; // [A-Za-z_][A-Za-z0-9_]*; others drop the attribute in the client
    // NULL or "" leaves the key out; anything but a string would drop the whole event in the
    // client.
    const char *value;
};

// notifications/claude/channel. Returns the bytes of the line sent, or an error of mcp_notify.
int channel_event(struct mcp_server *s, struct str content, const struct channel_meta *meta,
                  size_t n_meta) MUST_CHECK;

// notifications/claude/channel/permission_request as the client sends it; strings borrowed from
// params, "" when absent.
struct channel_permission {
    const char *request_id, *tool_name, *description, *input_preview;
};
#define CHANNEL_PERMISSION_REQUEST "notifications/claude/channel/permission_request"
// -EINVAL when request_id is missing or not 5 letters a-z.
int channel_permission_read(const cJSON *params, struct channel_permission *ret_request) MUST_CHECK;
// notifications/claude/channel/permission. Returns the bytes of the line, -EINVAL for a request_id
// that is none, or an error of mcp_notify. It is never refused for a reader that is behind.
int channel_permission_answer(struct mcp_server *s, const char *request_id, bool allow) MUST_CHECK;
