#pragma once

// The tools that propose better alert rules and record what people decide: tuning_proposals and
// decide_proposal.

#include "mcp/tools.h"

extern const struct mcp_param tuning_proposals_params[1];
extern const struct mcp_param decide_proposal_params[3];

void tool_tuning_proposals(struct mcp_call *call, const cJSON *args, void *data);
void tool_decide_proposal(struct mcp_call *call, const cJSON *args, void *data);
