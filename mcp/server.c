#include "mcp/server.h"

#include <errno.h>
#include <stdlib.h>

#include "common/text.h"
#include "mcp/rpc.h"

#define MAX_LIST_LINE (1u << 20) // of tools/list and initialize
#define SHOWN 64                 // bytes of the client's text in an error

// What the client has done so far; it only moves forward.
enum lifecycle { AWAIT_INITIALIZE, AWAIT_INITIALIZED, OPERATING };

struct mcp_server {
    const struct mcp_server_info *info;
    struct mcp_sink sink; // .write NULL once disconnected
    enum lifecycle state;
    struct mcp_calls calls;
};

// Newest first: it is the answer to a revision that we do not know (MCP 2025-11-25, "Lifecycle /
// Version Negotiation").
static const char *const versions[] = {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};

static void set_state(struct mcp_server *s, enum lifecycle state)
{
    if (state > s->state)
        s->state = state;
}

static int send_line(struct mcp_server *s, struct str line, bool is_event)
{
    return s->sink.write ? s->sink.write(s->sink.data, line, is_event) : -EPIPE;
}

// The client waits for every answer: where memory does not suffice for it, it is told that.
static void send_answer(void *data, struct str id, struct str line)
{
    char spare[RPC_NO_MEMORY];
    (void)send_line(data, line.p ? line : rpc_no_memory(spare, id), false);
}

static void send_buf(struct mcp_server *s, struct str id, struct buf *line)
{
    send_answer(s, id, line->error ? (struct str){NULL, 0} : buf_str(line));
    buf_done(line);
}

static void answer_error(struct mcp_server *s, struct str id, int code, const char *message)
{
    struct buf line = BUF_INIT(MCP_MAX_RESULT);
    rpc_write_error(&line, id, code, message);
    send_buf(s, id, &line);
}

// "what: detail", where the detail is the client's own text.
static void answer_error_about(struct mcp_server *s, struct str id, int code, const char *what,
                               const char *detail)
{
    struct buf message = BUF_INIT(1024);
    buf_adds(&message, what);
    buf_adds(&message, ": ");
    text_clean(&message, str_of(detail), SHOWN, TEXT_ONE_LINE);
    answer_error(s, id, code, buf_cstr(&message));
    buf_done(&message);
}

static const char *negotiate(const char *wanted)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        if (strcmp(versions[i], wanted) == 0)
            return versions[i];
    }
    return versions[0];
}

static void write_empty(struct jw *w, const char *key)
{
    jw_key(w, key);
    jw_object(w);
    jw_object_end(w);
}

static void write_capabilities(struct jw *w, unsigned capabilities)
{
    jw_key(w, "capabilities");
    jw_object(w);
    write_empty(w, "tools");
    if (capabilities) {
        jw_key(w, "experimental");
        jw_object(w);
        if (capabilities & MCP_CHANNEL)
            write_empty(w, "claude/channel");
        if (capabilities & MCP_CHANNEL_PERMISSION)
            write_empty(w, "claude/channel/permission");
        jw_object_end(w);
    }
    jw_object_end(w);
}

static void do_initialize(struct mcp_server *s, const struct rpc_msg *m, const cJSON *params)
{
    const struct mcp_server_info *info = s->info;
    const char *wanted = json_str(params, "protocolVersion");
    if (!wanted) {
        answer_error(s, m->id, RPC_INVALID_PARAMS, "protocolVersion must be a string");
        return;
    }
    struct buf line = BUF_INIT(MAX_LIST_LINE);
    struct jw w = rpc_open_result(&line, m->id);
    jw_object(&w);
    jw_kstr(&w, "protocolVersion", negotiate(wanted));
    write_capabilities(&w, info->capabilities);
    jw_key(&w, "serverInfo");
    jw_object(&w);
    jw_kstr(&w, "name", info->name);
    if (info->title)
        jw_kstr(&w, "title", info->title);
    jw_kstr(&w, "version", info->version);
    jw_object_end(&w);
    if (info->instructions)
        jw_kstr(&w, "instructions", info->instructions);
    jw_object_end(&w);
    rpc_close_result(&w);
    set_state(s, AWAIT_INITIALIZED);
    send_buf(s, m->id, &line);
}

static void do_ping(struct mcp_server *s, const struct rpc_msg *m, const cJSON *params)
{
    (void)params;
    struct buf line = BUF_INIT(MCP_MAX_RESULT);
    struct jw w = rpc_open_result(&line, m->id);
    jw_object(&w);
    jw_object_end(&w);
    rpc_close_result(&w);
    send_buf(s, m->id, &line);
}

// All tools are one page, so no cursor was ever handed out (MCP 2025-11-25, "Pagination": an
// invalid one is -32602).
static void do_tools_list(struct mcp_server *s, const struct rpc_msg *m, const cJSON *params)
{
    const cJSON *cursor = json_get(params, "cursor");
    if (cursor && !cJSON_IsNull(cursor)) {
        answer_error(s, m->id, RPC_INVALID_PARAMS, "cursor is not one that this server gave");
        return;
    }
    struct buf line = BUF_INIT(MAX_LIST_LINE);
    struct jw w = rpc_open_result(&line, m->id);
    jw_object(&w);
    jw_key(&w, "tools");
    mcp_tools_write(&w, s->info->tools, s->info->n_tools);
    jw_object_end(&w);
    rpc_close_result(&w);
    send_buf(s, m->id, &line);
}

static void start_call(struct mcp_server *s, const struct rpc_msg *m, const struct mcp_tool *tool,
                       const cJSON *args)
{
    if (s->calls.n >= MCP_MAX_CALLS) {
        answer_error(s, m->id, RPC_INTERNAL_ERROR, "busy: too many calls are under way");
        return;
    }
    struct mcp_call *call = mcp_call_new(&s->calls, m->id, tool->name);
    if (!call) {
        answer_error(s, m->id, RPC_INTERNAL_ERROR, "out of memory");
        return;
    }
    static const cJSON no_args = {.type = cJSON_Object};
    struct buf why = BUF_INIT(MCP_MAX_ERROR);
    if (mcp_tool_check(tool, args, &why) < 0) {
        mcp_call_error(call, "%s", buf_cstr(&why));
    } else {
        if (s->info->on_call)
            s->info->on_call(tool->name, args ? args : &no_args, s->info->data);
        tool->call(call, args ? args : &no_args, s->info->data);
    }
    buf_done(&why);
}

// An unknown tool and a malformed request are protocol errors, bad arguments are the tool's
// (MCP 2025-11-25, "Tools / Error Handling").
static void do_tools_call(struct mcp_server *s, const struct rpc_msg *m, const cJSON *params)
{
    const char *name = json_str(params, "name");
    const cJSON *args = json_get(params, "arguments");
    if (cJSON_IsNull(args))
        args = NULL;
    const struct mcp_tool *tool =
        name ? mcp_tool_find(s->info->tools, s->info->n_tools, name) : NULL;
    if (!name)
        answer_error(s, m->id, RPC_INVALID_PARAMS, "name must be a string");
    else if (!tool)
        answer_error_about(s, m->id, RPC_INVALID_PARAMS, "Unknown tool", name);
    else if (args && !cJSON_IsObject(args))
        answer_error(s, m->id, RPC_INVALID_PARAMS, "arguments must be an object");
    else if (mcp_calls_find(&s->calls, m->id))
        answer_error(s, m->id, RPC_INVALID_REQUEST, "id belongs to a call that is under way");
    else
        start_call(s, m, tool, args);
}

// Methods end by tail: a tool may have freed the server.
static const struct method {
    const char *name;
    bool before_initialize;
    void (*run)(struct mcp_server *s, const struct rpc_msg *m, const cJSON *params);
} methods[] = {
    {"initialize", true, do_initialize},
    {"ping", true, do_ping},
    {"tools/list", false, do_tools_list},
    {"tools/call", false, do_tools_call},
};

static const struct method *find_method(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    }
    return NULL;
}

static void on_request(struct mcp_server *s, const struct rpc_msg *m)
{
    const struct method *method = find_method(m->method);
    const char *why;
    if (!method) {
        answer_error_about(s, m->id, RPC_METHOD_NOT_FOUND, "Method not found", m->method);
        return;
    }
    if (s->state == AWAIT_INITIALIZE && !method->before_initialize) {
        answer_error(s, m->id, RPC_INVALID_REQUEST, "initialize comes first");
        return;
    }
    if (m->params.p && m->params.p[0] != '{') {
        answer_error(s, m->id, RPC_INVALID_PARAMS, "params must be an object");
        return;
    }
    cJSON *params = m->params.p ? json_parse(m->params, &why) : NULL;
    if (m->params.p && !params)
        answer_error(s, m->id, RPC_INTERNAL_ERROR, why);
    else
        method->run(s, m, params);
    cJSON_Delete(params);
}

static void on_cancelled(struct mcp_server *s, const struct rpc_msg *m)
{
    struct str id;
    struct mcp_call *call = NULL;
    if (m->params.p && rpc_member(m->params, "requestId", &id))
        call = mcp_calls_find(&s->calls, id);
    if (call)
        mcp_call_cancel(call);
}

static void on_other_notification(struct mcp_server *s, const struct rpc_msg *m)
{
    const char *why;
    if (!s->info->on_notification)
        return;
    cJSON *params = m->params.p && m->params.p[0] == '{' ? json_parse(m->params, &why) : NULL;
    s->info->on_notification(m->method, params, s->info->data);
    cJSON_Delete(params);
}

static void on_notification(struct mcp_server *s, const struct rpc_msg *m)
{
    if (strcmp(m->method, "notifications/cancelled") == 0) {
        on_cancelled(s, m);
    } else if (strcmp(m->method, "notifications/initialized") == 0) {
        if (s->state != AWAIT_INITIALIZED)
            return;
        set_state(s, OPERATING);
        if (s->info->on_initialized)
            s->info->on_initialized(s->info->data);
    } else if (s->state != AWAIT_INITIALIZE) {
        on_other_notification(s, m);
    }
}

static bool is_blank(struct str line)
{
    for (size_t i = 0; i < line.n; i++) {
        if (!strchr(" \t\r", line.p[i]) || line.p[i] == '\0')
            return false;
    }
    return true;
}

void mcp_server_line(struct mcp_server *s, struct str line)
{
    struct rpc_msg m;
    if (is_blank(line))
        return;
    rpc_read(line, &m);
    switch (m.kind) {
    case RPC_REQUEST:
        on_request(s, &m);
        break;
    case RPC_NOTIFICATION:
        on_notification(s, &m);
        break;
    case RPC_RESPONSE: // to nothing: this server sends no requests
        break;
    case RPC_INVALID:
        answer_error(s, m.id, m.code, m.why);
        break;
    }
}

void mcp_server_line_too_long(struct mcp_server *s)
{
    answer_error(s, rpc_no_id, RPC_INVALID_REQUEST, "the message is too long and was skipped");
}

struct mcp_server *mcp_server_new(const struct mcp_server_info *info, struct mcp_sink sink)
{
    for (size_t i = 0; i < info->n_tools; i++) {
        if (info->tools[i].n_params > MCP_MAX_PARAMS)
            return NULL;
    }
    struct mcp_server *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->info = info;
    s->sink = sink;
    s->calls.send = send_answer;
    s->calls.data = s;
    return s;
}

void mcp_server_free(struct mcp_server *s)
{
    if (!s)
        return;
    mcp_calls_orphan(&s->calls);
    free(s);
}

void mcp_server_disconnect(struct mcp_server *s)
{
    s->sink.write = NULL;
}

bool mcp_server_initialized(const struct mcp_server *s)
{
    return s->state == OPERATING;
}

unsigned mcp_server_calls(const struct mcp_server *s)
{
    return s->calls.n;
}

int mcp_notify(struct mcp_server *s, const char *method, struct str params_json, bool is_event)
{
    if (s->state != OPERATING)
        return -ENOTCONN;
    if (params_json.p && !rpc_is_clean_object(params_json))
        return -EILSEQ;
    struct buf line = BUF_INIT(MCP_MAX_NOTIFICATION);
    rpc_write_notification(&line, method, params_json);
    int r = line.error ? line.error : send_line(s, buf_str(&line), is_event);
    if (r == 0)
        r = (int)line.len;
    buf_done(&line);
    return r;
}
