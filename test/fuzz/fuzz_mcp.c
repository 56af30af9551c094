// Lines on stdin: framing, JSON-RPC, the server's life, the check of arguments, the permission
// relay. What is answered is one line each, JSON-RPC 2.0.

#include "mcp/channel.h"
#include "mcp/frame.h"
#include "mcp/rpc.h"
#include "test/fuzz/fuzz.h"

enum { MAX_LINE = 1024 };

static struct mcp_call *kept[MCP_MAX_CALLS];
static unsigned n_kept;

static void call_echo(struct mcp_call *call, const cJSON *args, void *data)
{
    (void)data;
    struct buf json = BUF_INIT(1 << 16);
    struct jw w = JW(&json);
    CHECK(cJSON_IsObject(args));
    jw_object(&w);
    jw_key(&w, "args");
    jw_cjson(&w, args);
    jw_object_end(&w);
    if (json.error || json_int(args, "n", 0) < 0)
        mcp_call_error(call, "no: %s", json_str(args, "text"));
    else
        mcp_call_finish(call, str_of(json_str(args, "text")), buf_str(&json));
    buf_done(&json);
}

static void call_keep(struct mcp_call *call, const cJSON *args, void *data)
{
    (void)args, (void)data;
    CHECK(n_kept < MCP_MAX_CALLS);
    kept[n_kept++] = call;
}

static const char *const words[] = {"one", "two", NULL};
static const struct mcp_param params[] = {
    {"text", "T.", MCP_STRING, .required = true, .min = 1, .max = 20},
    {"n", "N.", MCP_INTEGER, .min = -5, .max = 5},
    {"x", "X.", MCP_NUMBER, .min = 0, .max = 1},
    {"b", "B.", MCP_BOOLEAN, .required = false},
    {"ids", "I.", MCP_INTEGERS, .min = 1, .max = 100, .max_items = 3},
    {"files", "F.", MCP_STRINGS, .min = 1, .max = 10, .max_items = 3},
    {"w", "W.", MCP_STRING, .required = false, .one_of = words},
};
static const struct mcp_tool tools[] = {
    {"echo", "Echo", "Says it.", params, ARRAY_LEN(params), MCP_READ_ONLY, call_echo},
    {"keep", NULL, "Waits.", NULL, 0, 0, call_keep},
};

static int on_line(void *data, struct str line, bool is_event)
{
    const char *why;
    (void)data, (void)is_event;
    CHECK(line.n && memchr(line.p, '\n', line.n) == line.p + line.n - 1);
    CHECK(line.n <= MCP_MAX_RESULT + RPC_MAX_ID + 4096);
    CHECK(utf8_valid(line));
    cJSON *tree = json_parse(line, &why);
    CHECK(tree && json_str(tree, "jsonrpc") && strcmp(json_str(tree, "jsonrpc"), "2.0") == 0);
    cJSON_Delete(tree);
    return 0;
}

static void on_notification(const char *method, const cJSON *p, void *data)
{
    struct mcp_server **server = data;
    struct channel_permission request;
    if (strcmp(method, CHANNEL_PERMISSION_REQUEST) == 0 &&
        channel_permission_read(p, &request) == 0)
        (void)!channel_permission_answer(*server, request.request_id, true);
}

// What rpc.c found in a line holds by itself.
static void check_read(struct str line)
{
    struct rpc_msg m;
    rpc_read(line, &m);
    CHECK(m.kind <= RPC_INVALID);
    CHECK(m.id.n <= RPC_MAX_ID && strlen(m.method) < RPC_MAX_METHOD);
    CHECK(m.kind != RPC_INVALID || (m.code < 0 && m.why));
    CHECK(m.kind != RPC_REQUEST || m.id.n);
    if (m.kind == RPC_REQUEST || m.kind == RPC_NOTIFICATION)
        CHECK(m.method[0] || line.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct mcp_server *server;
    struct mcp_server_info info = {.name = "f",
                                   .title = "F",
                                   .version = "1",
                                   .instructions = "Be tested.",
                                   .capabilities = MCP_CHANNEL | MCP_CHANNEL_PERMISSION,
                                   .tools = tools,
                                   .n_tools = ARRAY_LEN(tools),
                                   .on_notification = on_notification,
                                   .data = &server};
    struct str all = {(const char *)bytes, n}, line;
    size_t step = fuzz_pick(&all, 64) * 4;
    struct frame f;
    frame_init(&f, MAX_LINE);
    n_kept = 0;
    server = mcp_server_new(&info, (struct mcp_sink){on_line, NULL});
    CHECK(server);
    while (all.n) {
        struct str piece = fuzz_piece(&all, step), in = piece;
        int r;
        while ((r = frame_next(&f, &in, &line)) != 0) {
            CHECK(r < 0 || (line.n <= MAX_LINE && !memchr(line.p ? line.p : "", '\n', line.n)));
            if (r < 0) {
                mcp_server_line_too_long(server);
                continue;
            }
            check_read(line);
            mcp_server_line(server, line);
        }
        free((void *)piece.p);
    }
    if (frame_rest(&f, &line) > 0)
        mcp_server_line(server, line);
    for (unsigned i = 0; i < n_kept / 2; i++)
        mcp_call_finish(kept[i], str_of("late"), (struct str){NULL, 0});
    mcp_server_free(server);
    for (unsigned i = n_kept / 2; i < n_kept; i++)
        mcp_call_error(kept[i], "too late");
    frame_done(&f);
    return 0;
}
