#pragma once

// The tools that the model is offered.

#include "channels/slack/session.h"

extern const struct mcp_tool slack_tools[];
extern const size_t slack_n_tools;
extern const char slack_instructions[];

// The data that the tools' calls get: where they work. Never NULL when a tool is called.
struct tool_context {
    struct session *session;
};
