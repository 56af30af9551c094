#pragma once

// Tools that a server offers: tables of parameters, from which both the JSON Schema that the client
// sees and the strict check of what it sends are made (MCP 2025-11-25, "Server features / Tools").

#include "common/json.h"

struct mcp_server;
struct mcp_call; // one tools/call under way; freed by mcp_call_finish and mcp_call_error

enum mcp_type { MCP_STRING, MCP_INTEGER, MCP_NUMBER, MCP_BOOLEAN, MCP_INTEGERS, MCP_STRINGS };

struct mcp_param {
    const char *name, *description;
    enum mcp_type type;
    bool required;
    // Bounds, taken when max != 0: the value of a number or of each item of MCP_INTEGERS, the
    // length (characters) of a string, the items of MCP_STRINGS.
    double min, max;
    const char *const *one_of; // NULL-terminated words, for strings
    size_t max_items;          // for lists; they have at least one item
};

enum mcp_tool_flags { // annotations (hints); all others are false
    MCP_READ_ONLY = 1,
    MCP_DESTRUCTIVE = 2,
    MCP_IDEMPOTENT = 4,
    MCP_OPEN_WORLD = 8,
    MCP_ALWAYS_LOAD = 16, // _meta["anthropic/alwaysLoad"]: offered without a search
};

struct mcp_tool {
    const char *name, *title, *description;
    const struct mcp_param *params;
    size_t n_params;
    unsigned flags;
    // Called with checked arguments: known names, right types, within bounds; args is an object,
    // borrowed until it returns. Must lead to mcp_call_finish or mcp_call_error, now or later.
    void (*call)(struct mcp_call *call, const cJSON *args, void *data);
};

// Success: text for the model, and structuredContent as one JSON object (.p NULL for none). Frees
// the call; both are copied. A result whose line would exceed MCP_MAX_RESULT becomes an error that
// says so.
#define MCP_MAX_RESULT (48 * 1024)
void mcp_call_finish(struct mcp_call *call, struct str text, struct str structured_json);

// A tool error (isError): what was wrong, in a sentence that names the argument. Frees the call.
void mcp_call_error(struct mcp_call *call, const char *format, ...) PRINTF_LIKE(2, 3);

// True once the client sent notifications/cancelled for it: the work may stop; finish still has to
// be called, and sends nothing.
bool mcp_call_cancelled(const struct mcp_call *call);
const char *mcp_call_tool(const struct mcp_call *call);
