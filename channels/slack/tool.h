#pragma once

// Private to the tools: what they share, and their calls.

#include "channels/slack/inbox.h"
#include "channels/slack/tools.h"

enum {
    TOOL_MAX_RENDERED = 1 << 20, // bytes of a text after conversion
    TOOL_MAX_UPDATE = 3900,      // characters after conversion; Slack refuses above 4,000
};

struct session *tool_session(void *data);
// Says what is missing and ends the call when there is nothing to work with.
bool tool_ready(struct mcp_call *call, struct session *s);
// The person behind chat_id (NULL: the owner), if the inbound gate listens there. Ends the call
// otherwise.
bool tool_chat(struct mcp_call *call, struct session *s, const char *chat_id, struct person *ret);
// Is it NULL or a message's ts? Ends the call otherwise.
bool tool_ts(struct mcp_call *call, const char *name, const char *ts);
// Secrets masked; the first also turns Markdown into what Slack shows. 0, or buf's error.
int tool_markdown(struct buf *out, const char *markdown) MUST_CHECK;
int tool_masked(struct buf *out, const char *text) MUST_CHECK;
// A transaction that waits for other processes longer than the loop's own do.
int tool_begin(struct store *s) MUST_CHECK;
void tool_store_failed(struct mcp_call *call, struct store *s); // rolls back, ends the call

void tool_reply(struct mcp_call *call, const cJSON *args, void *data);
void tool_edit_message(struct mcp_call *call, const cJSON *args, void *data);
void tool_react(struct mcp_call *call, const cJSON *args, void *data);
void tool_read_thread(struct mcp_call *call, const cJSON *args, void *data);
void tool_escalate(struct mcp_call *call, const cJSON *args, void *data);
void tool_list_escalations(struct mcp_call *call, const cJSON *args, void *data);
void tool_resolve_escalation(struct mcp_call *call, const cJSON *args, void *data);

extern const char *const tool_states[]; // of list_escalations, in the order of escalation_state
