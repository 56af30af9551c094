#pragma once

// The MCP lifecycle over a line transport: initialize, ping, tools/list, tools/call, cancellation
// (MCP 2025-11-25, "Base protocol"). Knows nothing of alerts or Slack.
//
// Before initialize only ping and initialize are answered, the methods that need it get -32600, and
// what does not exist gets -32601 as ever (a client that probes with server/discover relies on it).
// Between initialize's answer and notifications/initialized requests are answered: the
// specification only asks clients not to send them. A second initialize is answered like the first.
// An id that is in use by a call under way is refused with -32600.

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
    // A tool is about to be called, its arguments checked (borrowed, an object). NULL = nobody
    // wants to know.
    void (*on_call)(const char *tool, const cJSON *args, void *data);
    void *data; // handed to these and to the tools
};

// Where lines go: stdio in the product, a buffer in tests. `line` ends in \n. Returns 0, or
// -ENOBUFS when the reader is too far behind (events may be tried again later; answers to requests
// are bounded by pausing the input instead), -ENOMEM, or -EPIPE. Never calls back into the server.
struct mcp_sink {
    int (*write)(void *data, struct str line, bool is_event);
    void *data;
};

// Borrows info for its life. NULL: no memory, or a table with more than MCP_MAX_PARAMS parameters.
struct mcp_server *mcp_server_new(const struct mcp_server_info *info, struct mcp_sink sink);
void mcp_server_free(struct mcp_server *s); // calls still under way stay valid and finish silently
void mcp_server_line(struct mcp_server *s, struct str line); // one line, without its \n
// The transport skipped one: answers -32600 with a null id.
void mcp_server_line_too_long(struct mcp_server *s);
// The sink is gone: nothing is written any more, mcp_notify returns -EPIPE.
void mcp_server_disconnect(struct mcp_server *s);
bool mcp_server_initialized(const struct mcp_server *s);
unsigned mcp_server_calls(const struct mcp_server *s); // tool calls under way

// Sends a notification. params_json: one object, or .p NULL for none. Returns the bytes of the
// line, or -ENOTCONN before initialized, -EILSEQ (params_json is not clean), -E2BIG, -ENOBUFS,
// -ENOMEM, -EPIPE.
#define MCP_MAX_NOTIFICATION (1u << 20)
int mcp_notify(struct mcp_server *s, const char *method, struct str params_json,
               bool is_event) MUST_CHECK;
