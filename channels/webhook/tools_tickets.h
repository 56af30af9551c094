#pragma once

// The tool create_ticket: into the outbox at once; then it waits a moment for the ticket's key, so
// that the answer can name it.

#include "mcp/tools.h"

struct webhook_tools;

extern const struct mcp_param create_ticket_params[6];

void tool_create_ticket(struct mcp_call *call, const cJSON *args, void *data);
void tools_tickets_stop(struct webhook_tools *t); // ends the waits; their calls get no answer
