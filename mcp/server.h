#pragma once

// The MCP lifecycle over a line transport: initialize, ping, tools/list, tools/call, cancellation
// (MCP 2025-11-25, "Base protocol"). Knows nothing of alerts or Slack.

#include "mcp/tools.h"

enum mcp_capability { MCP_CHANNEL = 1, MCP_CHANNEL_PERMISSION = 2 };

struct mcp_server_info {
    const char *name, *title, *version;
    const char *instructions; // below 2 KB
    unsigned capabilities;    // of enum mcp_capability
    const struct mcp_tool *tools;
    size_t n_tools;
    // The client sent notifications/initialized; at most once.
    void (*on_initialized)(void *data);
    // Any other notification; params may be NULL, borrowed. NULL = ignored.
    void (*on_notification)(const char *method, const cJSON *params, void *data);
    void *data; // handed to these and to the tools
};

// Where lines go: stdio in the product, a buffer in tests. `line` ends in \n. Returns 0, or
// -ENOBUFS when the reader is too far behind (events may be tried again later; answers to requests
// are bounded by pausing the input instead), or -EPIPE.
struct mcp_sink {
    int (*write)(void *data, struct str line, bool is_event);
    void *data;
};

// Borrows info and sink for its life.
struct mcp_server *mcp_server_new(const struct mcp_server_info *info, struct mcp_sink sink);
void mcp_server_free(struct mcp_server *s); // calls still under way stay valid and finish silently
void mcp_server_line(struct mcp_server *s, struct str line); // one line, without its \n
void mcp_server_line_too_long(
    struct mcp_server *s); // the transport skipped one: answers -32600 with a null id
bool mcp_server_initialized(const struct mcp_server *s);
unsigned mcp_server_calls(const struct mcp_server *s); // tool calls under way

// Sends a notification. params_json: one object. 0, -ENOTCONN before initialized, -ENOBUFS,
// -ENOMEM, -EPIPE.
int mcp_notify(struct mcp_server *s, const char *method, struct str params_json,
               bool is_event) MUST_CHECK;
