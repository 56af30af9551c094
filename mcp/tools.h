#pragma once

// Tools that a server offers: tables of parameters, from which both the JSON Schema that the client
// sees and the strict check of what it sends are made (MCP 2025-11-25, "Server features / Tools").

#include "common/json.h"
#include "mcp/call.h"

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

#define MCP_MAX_PARAMS 64 // of one tool

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

// The "tools" array of a tools/list result.
void mcp_tools_write(struct jw *w, const struct mcp_tool *tools, size_t n);

const struct mcp_tool *mcp_tool_find(const struct mcp_tool *tools, size_t n, const char *name);

// Checks arguments by the tool's table; args is an object, or NULL for none. 0, or -EINVAL with one
// sentence that names the argument and the rule appended to ret_why.
int mcp_tool_check(const struct mcp_tool *tool, const cJSON *args, struct buf *ret_why) MUST_CHECK;
