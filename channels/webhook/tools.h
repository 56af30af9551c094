#pragma once

// The tools that the webhook channel offers the session.

#include "common/config.h"
#include "common/group_commit.h"
#include "mcp/tools.h"

struct ticket_wait;

struct webhook_tools { // all borrowed
    struct store *store;
    const struct config *config;
    struct group_commit *commit;
    uv_loop_t *loop;
    struct ticket_wait *waits; // of tools_tickets
    bool stopped;
};

extern const struct mcp_tool webhook_tool_table[]; // their data is a struct webhook_tools
extern const size_t webhook_tool_count;

// For the tools: the call named the incident, so it is taken; `tool` must be a literal. The call
// fails for a store error.
void tools_take(struct webhook_tools *t, int64_t incident_id, const char *tool);
void tools_fail(struct mcp_call *call, const struct webhook_tools *t, int error);

// Writes a call into the audit trail: struct mcp_server_info's on_call.
void webhook_tool_called(const char *tool, const cJSON *args, void *data);
