#pragma once

// The read_thread tool: a thread as Slack has it now.

#include "channels/slack/inbox.h"
#include "channels/slack/session.h"

// Takes the call.
void read_thread(struct mcp_call *call, struct session *s, const struct person *chat,
                 const char *thread_ts, int limit);
