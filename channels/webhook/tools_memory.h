#pragma once

// The tools that ask the memory: check_history and briefing.

#include "mcp/tools.h"

extern const struct mcp_param check_history_params[7];
extern const struct mcp_param briefing_params[1];

void tool_check_history(struct mcp_call *call, const cJSON *args, void *data);
void tool_briefing(struct mcp_call *call, const cJSON *args, void *data);
