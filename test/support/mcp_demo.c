// A server of the mcp layer alone, for test/integration/mcp.test.mjs: a few tools that do what the
// product's do (answer at once, later, at length, or push events), and nothing of alerts or Slack.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "mcp/channel.h"
#include "mcp/stdio.h"

#define FLUSH_MS 200

struct demo {
    uv_loop_t loop;
    struct mcp_stdio *io;
    struct mcp_server *server;
    uv_timer_t first_push;
    int reason;
};

static struct demo demo;

// echo: at once.
static const struct mcp_param echo_params[] = {
    {"text", "What to say.", MCP_STRING, .required = true, .min = 1, .max = 100000},
    {"ids", "Numbers to say.", MCP_INTEGERS, .min = 1, .max = 1e9, .max_items = 3},
};

static void call_echo(struct mcp_call *call, const cJSON *args, void *data)
{
    (void)data;
    struct buf json = BUF_INIT(1 << 20);
    struct jw w = JW(&json);
    const char *text = json_str(args, "text");
    jw_object(&w);
    jw_kstr(&w, "echo", text);
    if (json_arr(args, "ids")) {
        jw_key(&w, "ids");
        jw_cjson(&w, json_arr(args, "ids"));
    }
    jw_object_end(&w);
    mcp_call_finish(call, str_of(text), buf_str(&json));
    buf_done(&json);
}

// wait: later, unless it was cancelled, which it says in an event.
static const struct mcp_param wait_params[] = {
    {"ms", NULL, MCP_INTEGER, .required = true, .min = 0, .max = 60000},
};

struct wait {
    uv_timer_t timer;
    struct mcp_call *call;
};

static void wait_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct wait, timer));
}

static void wait_over(uv_timer_t *timer)
{
    struct wait *w = CONTAINER_OF(timer, struct wait, timer);
    if (mcp_call_cancelled(w->call) && channel_event(demo.server, str_of("cancelled"), NULL, 0) < 0)
        abort();
    mcp_call_finish(w->call, str_of("waited"), str_of("{\"waited\":true}"));
    uv_close((uv_handle_t *)timer, wait_closed);
}

static void call_wait(struct mcp_call *call, const cJSON *args, void *data)
{
    (void)data;
    struct wait *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->call = call;
    uv_timer_init(&demo.loop, &w->timer);
    uv_unref((uv_handle_t *)&w->timer);
    uv_timer_start(&w->timer, wait_over, (uint64_t)json_int(args, "ms", 0), 0);
}

// emit: pushes events and says how many of them were taken.
static const struct mcp_param emit_params[] = {
    {"n", NULL, MCP_INTEGER, .required = true, .min = 1, .max = 100000},
    {"bytes", NULL, MCP_INTEGER, .required = true, .min = 1, .max = 100000},
};

static void call_emit(struct mcp_call *call, const cJSON *args, void *data)
{
    (void)data;
    int64_t n = json_int(args, "n", 0), taken = 0, bytes = json_int(args, "bytes", 0);
    char *content = malloc((size_t)bytes), index[32], json[64];
    if (!content)
        abort();
    memset(content, 'e', (size_t)bytes);
    for (int64_t i = 0; i < n; i++) {
        snprintf(index, sizeof index, "%lld", (long long)i);
        const struct channel_meta meta[] = {{"kind", "alert"}, {"index", index}, {"none", ""}};
        taken += channel_event(demo.server, (struct str){content, (size_t)bytes}, meta,
                               ARRAY_LEN(meta)) > 0;
    }
    free(content);
    snprintf(json, sizeof json, "{\"taken\":%lld}", (long long)taken);
    mcp_call_finish(call, str_of(json), str_of(json));
}

// big: a result of the given size.
static const struct mcp_param big_params[] = {
    {"bytes", NULL, MCP_INTEGER, .required = true, .min = 1, .max = 1000000},
};

static void call_big(struct mcp_call *call, const cJSON *args, void *data)
{
    (void)data;
    size_t n = (size_t)json_int(args, "bytes", 0);
    char *text = malloc(n);
    if (!text)
        abort();
    memset(text, 'b', n);
    mcp_call_finish(call, (struct str){text, n}, (struct str){NULL, 0});
    free(text);
}

static const struct mcp_tool tools[] = {
    {"echo", "Echo", "Says it again.", echo_params, ARRAY_LEN(echo_params),
     MCP_READ_ONLY | MCP_ALWAYS_LOAD, call_echo},
    {"wait", NULL, "Answers later.", wait_params, ARRAY_LEN(wait_params), MCP_IDEMPOTENT,
     call_wait},
    {"emit", NULL, "Pushes events.", emit_params, ARRAY_LEN(emit_params), 0, call_emit},
    {"big", NULL, "Answers at length.", big_params, ARRAY_LEN(big_params), 0, call_big},
};

static void first_push(uv_timer_t *timer)
{
    if (channel_event(demo.server, str_of("hello"), NULL, 0) < 0) // the reader is behind
        uv_timer_start(timer, first_push, 100, 0);
}

static void on_initialized(void *data)
{
    (void)data;
    uv_timer_start(&demo.first_push, first_push, CHANNEL_FIRST_PUSH_MS, 0);
}

// Every permission is granted for Read and denied for the rest.
static void on_notification(const char *method, const cJSON *params, void *data)
{
    struct channel_permission request;
    (void)data;
    if (strcmp(method, CHANNEL_PERMISSION_REQUEST) != 0 ||
        channel_permission_read(params, &request) < 0)
        return;
    bool allow = strcmp(request.tool_name, "Read") == 0;
    if (channel_permission_answer(demo.server, request.request_id, allow) < 0)
        abort();
}

static const struct mcp_server_info info = {
    .name = "demo",
    .title = "Demo",
    .version = "0",
    .instructions = "For tests.",
    .capabilities = MCP_CHANNEL | MCP_CHANNEL_PERMISSION,
    .tools = tools,
    .n_tools = ARRAY_LEN(tools),
    .on_initialized = on_initialized,
    .on_notification = on_notification,
};

static void on_end(int reason, void *data)
{
    (void)data;
    demo.reason = reason;
    uv_close((uv_handle_t *)&demo.first_push, NULL);
    mcp_stdio_stop(demo.io, FLUSH_MS);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&demo.loop);
    uv_timer_init(&demo.loop, &demo.first_push);
    int r = mcp_stdio_start(&demo.loop, on_end, NULL, &demo.io);
    if (r < 0) {
        fprintf(stderr, "stdio: %s\n", uv_strerror(r));
        return 1;
    }
    demo.server = mcp_server_new(&info, mcp_stdio_sink(demo.io));
    if (!demo.server)
        return 1;
    mcp_stdio_attach(demo.io, demo.server);
    uv_run(&demo.loop, UV_RUN_DEFAULT);
    mcp_server_free(demo.server);
    if (demo.reason)
        fprintf(stderr, "end: %s\n", uv_strerror(demo.reason));
    return 0;
}
