#pragma once

// One tools/call under way, from the checked arguments to the one answer. A call outlives the
// server that it came through: then it finishes silently.

#include "common/json.h"

struct mcp_call; // freed by mcp_call_finish and mcp_call_error

// Success: text for the model, and structuredContent as one JSON object (.p NULL for none). Frees
// the call; both are copied. A result whose line would exceed MCP_MAX_RESULT becomes an error that
// says so.
#define MCP_MAX_RESULT (48 * 1024)
void mcp_call_finish(struct mcp_call *call, struct str text, struct str structured_json);

// A tool error (isError): what was wrong, in a sentence that names the argument. Frees the call.
// Cut after MCP_MAX_ERROR bytes.
#define MCP_MAX_ERROR 4096
void mcp_call_error(struct mcp_call *call, const char *format, ...) PRINTF_LIKE(2, 3);

// True once the client sent notifications/cancelled for it: the work may stop; finish still has to
// be called, and sends nothing.
bool mcp_call_cancelled(const struct mcp_call *call);
const char *mcp_call_tool(const struct mcp_call *call);

// The rest is the server's.

#define MCP_MAX_CALLS 64 // under way at once

struct mcp_calls {
    struct mcp_call *head;
    unsigned n;
    // A whole line that answers to the raw id; .p NULL: no memory for the answer.
    void (*send)(void *data, struct str id, struct str line);
    void *data;
};

// Starts a call that answers to the raw id (copied). tool: the name, borrowed for its life. NULL:
// no memory.
struct mcp_call *mcp_call_new(struct mcp_calls *calls, struct str id, const char *tool) MUST_CHECK;
struct mcp_call *mcp_calls_find(const struct mcp_calls *calls, struct str id); // by the raw bytes
void mcp_call_cancel(struct mcp_call *call);
void mcp_calls_orphan(struct mcp_calls *calls); // they will finish silently
