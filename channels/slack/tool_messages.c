// The tools that write to people and read what they wrote.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channels/slack/attach.h"
#include "channels/slack/outbox.h"
#include "channels/slack/read_thread.h"
#include "channels/slack/split.h"
#include "channels/slack/tool.h"
#include "common/text.h"

// ---- reply ----

struct rows {
    struct store *store;
    const struct person *to;
    const char *thread_ts;
    int64_t ids[RECEIPT_MAX_ROWS];
    size_t n;
};

static int add_row(struct rows *rows, enum outbox_op op, const char *body)
{
    if (rows->n == RECEIPT_MAX_ROWS)
        return -E2BIG;
    int r = outbox_add(
        rows->store,
        &(struct outbox_new){
            .op = op, .user = rows->to->user, .thread_ts = rows->thread_ts, .body = body},
        &rows->ids[rows->n]);
    if (r == 0)
        rows->n++;
    return r;
}

static int add_part(struct str part, void *data)
{
    char *body = strndup(part.p, part.n);
    if (!body)
        return -ENOMEM;
    int r = add_row(data, OUT_POST, body);
    free(body);
    return r;
}

struct attachment {
    int fd;
    char name[256];
};

static int add_file(struct rows *rows, const struct attachment *file, const char *folder)
{
    char key[40];
    int r = add_row(rows, OUT_UPLOAD, file->name);
    if (r == 0)
        r = outbox_key(rows->store, rows->ids[rows->n - 1], key);
    return r < 0 ? r : attach_keep(file->fd, folder, key);
}

static size_t open_files(struct mcp_call *call, struct session *s, const cJSON *paths,
                         struct attachment *files)
{
    const struct session_parts *p = session_parts(s);
    struct attach_rules rules = {
        .folder = p->folder, .state_dir = p->config->state_dir, .config_file = p->config->file};
    struct buf why = BUF_INIT(1024);
    size_t n = 0;
    const cJSON *path;
    cJSON_ArrayForEach(path, paths)
    {
        int fd = attach_open(&rules, cJSON_GetStringValue(path), files[n].name, &why);
        if (fd < 0) {
            mcp_call_error(call, "files: %s", buf_cstr(&why));
            while (n)
                close(files[--n].fd);
            buf_done(&why);
            return SIZE_MAX;
        }
        files[n++].fd = fd;
    }
    buf_done(&why);
    return n;
}

static int store_reply(struct rows *rows, struct str text, const struct attachment *files,
                       size_t n_files, const char *folder)
{
    int r = tool_begin(rows->store);
    if (r == 0)
        r = split_text(text, SPLIT_MESSAGE, add_part, rows);
    for (size_t i = 0; r == 0 && i < n_files; i++)
        r = add_file(rows, &files[i], folder);
    return r < 0 ? r : store_commit(rows->store);
}

void tool_reply(struct mcp_call *call, const cJSON *args, void *data)
{
    struct session *s = tool_session(data);
    const char *text = json_str(args, "text"), *thread_ts = json_str(args, "thread_ts");
    struct attachment files[ATTACH_MAX_FILES];
    struct person to;
    if (!tool_ready(call, s) || !tool_chat(call, s, json_str(args, "chat_id"), &to) ||
        !tool_ts(call, "thread_ts", thread_ts))
        return;
    const struct session_parts *p = session_parts(s);
    struct buf rendered = BUF_INIT(TOOL_MAX_RENDERED);
    int r = tool_markdown(&rendered, text);
    if (r < 0 || !text_trim(buf_str(&rendered)).n) {
        mcp_call_error(call, "text: %s", r < 0 ? "too long" : "is empty");
        buf_done(&rendered);
        return;
    }
    size_t n_files = open_files(call, s, json_arr(args, "files"), files);
    if (n_files == SIZE_MAX) {
        buf_done(&rendered);
        return;
    }
    struct rows rows = {.store = p->store, .to = &to, .thread_ts = thread_ts};
    r = store_reply(&rows, buf_str(&rendered), files, n_files, engine_files(p->engine));
    for (size_t i = 0; i < n_files; i++)
        close(files[i].fd);
    buf_done(&rendered);
    if (r < 0) {
        tool_store_failed(call, p->store);
        return;
    }
    receipt_wait(session_receipts(s), call, rows.ids, rows.n, to.user);
    engine_changed(p->engine);
}

// ---- edit_message, react ----

static void one_row(struct mcp_call *call, struct session *s, const struct person *to,
                    const struct outbox_new *row)
{
    const struct session_parts *p = session_parts(s);
    int64_t id;
    int r = tool_begin(p->store);
    if (r == 0)
        r = outbox_add(p->store, row, &id);
    if (r == 0)
        r = store_commit(p->store);
    if (r < 0) {
        tool_store_failed(call, p->store);
        return;
    }
    receipt_wait(session_receipts(s), call, &id, 1, to->user);
    engine_changed(p->engine);
}

void tool_edit_message(struct mcp_call *call, const cJSON *args, void *data)
{
    struct session *s = tool_session(data);
    const char *ts = json_str(args, "message_ts");
    struct person to;
    struct outbox_place place;
    if (!tool_ready(call, s) || !tool_chat(call, s, json_str(args, "chat_id"), &to) ||
        !tool_ts(call, "message_ts", ts))
        return;
    int r = outbox_find(session_parts(s)->store, to.channel, ts, &place);
    if (r > 0 && place.ref != REF_NONE) {
        mcp_call_error(call, "message_ts: that message is an escalation or a prompt and keeps "
                             "itself up to date; add to its thread with reply");
        return;
    }
    struct buf rendered = BUF_INIT(TOOL_MAX_RENDERED);
    r = tool_markdown(&rendered, json_str(args, "text"));
    if (r < 0 || !text_trim(buf_str(&rendered)).n ||
        utf8_count(buf_str(&rendered)) > TOOL_MAX_UPDATE)
        mcp_call_error(call, "text: must be 1 to %d characters as Slack counts them",
                       TOOL_MAX_UPDATE);
    else
        one_row(
            call, s, &to,
            &(struct outbox_new){
                .op = OUT_UPDATE, .user = to.user, .target_ts = ts, .body = buf_cstr(&rendered)});
    buf_done(&rendered);
}

void tool_react(struct mcp_call *call, const cJSON *args, void *data)
{
    struct session *s = tool_session(data);
    const char *ts = json_str(args, "message_ts"), *emoji = json_str(args, "emoji");
    struct person to;
    char name[128];
    if (!tool_ready(call, s) || !tool_chat(call, s, json_str(args, "chat_id"), &to) ||
        !tool_ts(call, "message_ts", ts))
        return;
    emoji += emoji[0] == ':';
    size_t n = strspn(emoji, "abcdefghijklmnopqrstuvwxyz0123456789_+'-");
    if (!n || n >= sizeof name || (emoji[n] && strcmp(emoji + n, ":") != 0)) {
        mcp_call_error(call, "emoji: must be a name such as eyes or white_check_mark");
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)n, emoji);
    one_row(call, s, &to,
            &(struct outbox_new){.op = OUT_REACT, .user = to.user, .target_ts = ts, .body = name});
}

void tool_read_thread(struct mcp_call *call, const cJSON *args, void *data)
{
    struct session *s = tool_session(data);
    const char *ts = json_str(args, "thread_ts");
    struct person to;
    if (tool_ready(call, s) && tool_chat(call, s, json_str(args, "chat_id"), &to) &&
        tool_ts(call, "thread_ts", ts))
        read_thread(call, s, &to, ts, (int)json_int(args, "limit", 50));
}
