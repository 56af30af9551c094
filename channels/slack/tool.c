#include "channels/slack/tool.h"

#include <errno.h>

#include "channels/slack/envelope.h"
#include "channels/slack/markdown.h"
#include "channels/slack/missing.h"
#include "common/redact.h"

enum {
    PATIENCE_MS = 2000, // for another process's lock, where a person's words depend on it
    BUSY_MS = 100,      // as everywhere else
};

struct session *tool_session(void *data)
{
    return ((struct tool_context *)data)->session;
}

bool tool_ready(struct mcp_call *call, struct session *s)
{
    const struct session_parts *p = session_parts(s);
    session_called(s);
    if (!config_slack_lacks(p->config, 0))
        return true;
    struct buf missing = BUF_INIT(1024);
    slack_config_missing(p->config, &missing);
    mcp_call_error(
        call,
        "Slack is not configured. Missing: %s. Set them in the environment or in %s, then "
        "start the session again. deploy/slack/manifest.yaml makes the app; "
        "`slack-channel doctor` checks it.",
        buf_cstr(&missing), p->config->file);
    buf_done(&missing);
    return false;
}

bool tool_chat(struct mcp_call *call, struct session *s, const char *chat_id, struct person *ret)
{
    const struct session_parts *p = session_parts(s);
    const struct access *a = engine_access(p->engine);
    int r = 1;
    if (!chat_id)
        chat_id = access_owner(a);
    if (chat_id[0] == 'D')
        r = person_of_channel(p->store, chat_id, ret);
    else
        r = person_read(p->store, chat_id, ret) < 0 ? -EIO : 1;
    if (r > 0 && access_allows(a, ret->user))
        return true;
    if (r < 0)
        mcp_call_error(call, "the store cannot be read: %s", store_error(p->store));
    else
        mcp_call_error(call,
                       "chat_id: %.40s is not the direct messages of an allowed user; leave it out "
                       "for the owner, or take it from the event",
                       chat_id);
    return false;
}

bool tool_ts(struct mcp_call *call, const char *name, const char *ts)
{
    if (!ts || (slack_ts_us(ts) && strlen(ts) < 32))
        return true;
    mcp_call_error(call, "%s: must be a message's ts such as 1503435956.000247", name);
    return false;
}

// Secrets masked, Markdown turned into what Slack shows.
int tool_markdown(struct buf *out, const char *markdown)
{
    struct buf safe = BUF_INIT(TOOL_MAX_RENDERED);
    int r = redact(&safe, str_of(markdown));
    if (r >= 0)
        r = markdown_to_mrkdwn(out, buf_str(&safe));
    buf_done(&safe);
    return r < 0 ? r : 0;
}

int tool_masked(struct buf *out, const char *text)
{
    int r = redact(out, str_of(text ? text : ""));
    return r < 0 ? r : 0;
}

int tool_begin(struct store *s)
{
    store_busy_timeout(s, PATIENCE_MS);
    int r = store_begin(s);
    store_busy_timeout(s, BUSY_MS);
    return r;
}

void tool_store_failed(struct mcp_call *call, struct store *s)
{
    store_rollback(s);
    mcp_call_error(call, "nothing was stored and nothing will be sent: %s; try again",
                   store_error(s)[0] ? store_error(s) : "the store is busy");
}
