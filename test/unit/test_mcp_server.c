#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "mcp/rpc.h"
#include "test/support/mcp_bench.h"

// The tools of the server under test: one that answers at once, one that keeps its call.

static struct mcp_call *kept[MCP_MAX_CALLS + 1];
static unsigned n_kept, n_initialized, n_notifications;
static char last_notification[256];

static void call_echo(struct mcp_call *call, const cJSON *args, void *data)
{
    (void)data;
    struct buf out = BUF_INIT(1 << 20);
    struct jw w = JW(&out);
    const char *text = json_str(args, "text");
    int64_t pad = json_int(args, "pad", 0);
    jw_object(&w);
    jw_kstr(&w, "echo", text);
    jw_object_end(&w);
    char *filler = calloc(1, (size_t)pad + 1);
    memset(filler, 'x', (size_t)pad);
    mcp_call_finish(call, pad ? str_of(filler) : str_of(text ? text : ""), buf_str(&out));
    free(filler);
    buf_done(&out);
}

static void call_keep(struct mcp_call *call, const cJSON *args, void *data)
{
    (void)data;
    assert_true(cJSON_IsObject(args));
    assert_string_equal(mcp_call_tool(call), "keep");
    kept[n_kept++] = call;
}

static void call_broken(struct mcp_call *call, const cJSON *args, void *data)
{
    (void)args;
    (void)data;
    mcp_call_finish(call, str_of("x"), str_of("{\"a\":\n}"));
}

static const struct mcp_param echo_params[] = {
    {"text", "What to say.", MCP_STRING, .required = true, .min = 1, .max = 1000},
    {"pad", NULL, MCP_INTEGER, .min = 0, .max = 1000000},
};

static const struct mcp_tool tools[] = {
    {"echo", "Echo", "Says it.", echo_params, ARRAY_LEN(echo_params), MCP_READ_ONLY, call_echo},
    {"keep", NULL, "Waits.", NULL, 0, 0, call_keep},
    {"broken", NULL, "Makes no JSON.", NULL, 0, 0, call_broken},
};

static void on_initialized(void *data)
{
    (void)data;
    n_initialized++;
}

static void on_notification(const char *method, const cJSON *params, void *data)
{
    (void)data;
    n_notifications++;
    snprintf(last_notification, sizeof last_notification, "%s %s", method,
             params ? json_str(params, "k") : "(none)");
}

static struct mcp_bench bench;

static int setup(void **state)
{
    (void)state;
    n_kept = n_initialized = n_notifications = 0;
    bench = (struct mcp_bench){
        .info = {.name = "webhook",
                 .title = "Webhook",
                 .version = "1.2",
                 .instructions = "Be brief.",
                 .capabilities = MCP_CHANNEL | MCP_CHANNEL_PERMISSION,
                 .tools = tools,
                 .n_tools = ARRAY_LEN(tools),
                 .on_initialized = on_initialized,
                 .on_notification = on_notification},
    };
    bench_start(&bench);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bench_done(&bench);
    return 0;
}

static void check_error(const char *line, int code, const char *id)
{
    bench_send(&bench, line);
    cJSON *got = bench_answer(&bench);
    if (json_int(json_obj(got, "error"), "code", 0) != code)
        fail_msg("%s: want %d, got %s", line, code, buf_cstr(&bench.lines));
    assert_non_null(json_str(json_obj(got, "error"), "message"));
    char want[300];
    snprintf(want, sizeof want, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":", id);
    assert_memory_equal(buf_cstr(&bench.lines), want, strlen(want));
    cJSON_Delete(got);
}

static void check_answer(const char *line, const char *path, const char *want)
{
    bench_send(&bench, line);
    cJSON *got = bench_answer(&bench);
    if (!json_equals(json_at(got, path), want))
        fail_msg("%s: %s of %s is not %s", line, path, buf_cstr(&bench.lines), want);
    cJSON_Delete(got);
}

static void check_silent(const char *line)
{
    assert_string_equal(bench_send(&bench, line), "");
}

#define REQ(id, method) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\""
#define NOTE(method) "{\"jsonrpc\":\"2.0\",\"method\":\"" method "\""
#define CALL(id, name, args)                                                                       \
    REQ(id, "tools/call") ",\"params\":{\"name\":\"" name "\",\"arguments\":" args "}}"

static void test_before_initialize(void **state)
{
    (void)state;
    check_error(REQ("\"probe\"", "server/discover") ",\"params\":{}}", -32601, "\"probe\"");
    check_answer(REQ("1", "ping") "}", "result", "{}");
    check_error(REQ("2", "tools/list") "}", -32600, "2");
    check_error(CALL("3", "echo", "{\"text\":\"x\"}"), -32600, "3");
    check_silent(NOTE("notifications/initialized") "}");
    check_silent(NOTE("notifications/other") "}");
    assert_int_equal(n_initialized + n_notifications, 0);
    assert_int_equal(mcp_notify(bench.server, "a", str_of("{}"), false), -ENOTCONN);
}

static void test_initialize(void **state)
{
    (void)state;
    check_answer(REQ("\"i\"", "initialize") ",\"params\":{\"protocolVersion\":\"2025-11-25\","
                                            "\"capabilities\":{},\"clientInfo\":{}}}",
                 "",
                 "{\"jsonrpc\":\"2.0\",\"id\":\"i\",\"result\":{\"protocolVersion\":\"2025-11-25\","
                 "\"capabilities\":{\"tools\":{},\"experimental\":{\"claude/channel\":{},"
                 "\"claude/channel/permission\":{}}},\"serverInfo\":{\"name\":\"webhook\","
                 "\"title\":\"Webhook\",\"version\":\"1.2\"},\"instructions\":\"Be brief.\"}}");
    assert_false(mcp_server_initialized(bench.server));
    check_answer(REQ("2", "tools/list") "}", "result/tools/0/name", "\"echo\"");
    assert_int_equal(mcp_notify(bench.server, "a", str_of("{}"), false), -ENOTCONN);
    check_silent(NOTE("notifications/initialized") "}");
    assert_true(mcp_server_initialized(bench.server));
    check_silent(NOTE("notifications/initialized") "}");
    assert_int_equal(n_initialized, 1);
}

static void test_versions(void **state)
{
    (void)state;
    static const char *const known[] = {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};
    char line[256], want[64];
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        snprintf(line, sizeof line,
                 REQ("1", "initialize") ",\"params\":{\"protocolVersion\":\"%s\"}}", known[i]);
        snprintf(want, sizeof want, "\"%s\"", known[i]);
        check_answer(line, "result/protocolVersion", want);
    }
    check_answer(REQ("1", "initialize") ",\"params\":{\"protocolVersion\":\"2026-07-28\"}}",
                 "result/protocolVersion", "\"2025-11-25\"");
    check_answer(REQ("1", "initialize") ",\"params\":{\"protocolVersion\":\"\"}}",
                 "result/protocolVersion", "\"2025-11-25\"");
    check_error(REQ("1", "initialize") "}", -32602, "1");
    check_error(REQ("1", "initialize") ",\"params\":{\"protocolVersion\":3}}", -32602, "1");
}

static void test_protocol_errors(void **state)
{
    (void)state;
    bench_handshake(&bench);
    check_error("{", -32700, "null");
    check_error("[" REQ("1", "ping") "}]", -32600, "null");
    check_error("{\"id\":9,\"method\":\"ping\"}", -32600, "9");
    check_error(REQ("null", "ping") "}", -32600, "null");
    check_error(REQ("1", "resources/list") "}", -32601, "1");
    check_error(REQ("1", "prompts/list") "}", -32601, "1");
    check_error(REQ("1", "logging/setLevel") ",\"params\":{\"level\":\"info\"}}", -32601, "1");
    check_error(REQ("1", "notifications/initialized") "}", -32601, "1");
    check_error(REQ("1", "a\\u0007b") "}", -32601, "1");
    check_error(REQ("1", "ping") ",\"params\":[]}", -32602, "1");
    check_error(REQ("1", "ping") ",\"params\":\"x\"}", -32602, "1");
    check_answer(REQ("1", "ping") ",\"params\":null}", "result", "{}");
    check_answer(REQ("1", "ping") ",\"params\":{\"_meta\":{\"progressToken\":1}}}", "result", "{}");
    check_error(REQ("1", "tools/list") ",\"params\":{\"cursor\":\"abc\"}}", -32602, "1");
    check_answer(REQ("1", "tools/list") ",\"params\":{\"cursor\":null}}", "result/tools/1/name",
                 "\"keep\"");
    check_error(REQ("1", "tools/call") "}", -32602, "1");
    check_error(REQ("1", "tools/call") ",\"params\":null}", -32602, "1");
    check_error(REQ("1", "tools/call") ",\"params\":[\"echo\"]}", -32602, "1");
    check_error(REQ("1", "tools/call") ",\"params\":{\"name\":1}}", -32602, "1");
    check_error(CALL("1", "nope", "{}"), -32602, "1");
    check_error(CALL("1", "echo", "[]"), -32602, "1");
    check_error(CALL("1", "echo", "\"x\""), -32602, "1");
    buf_clear(&bench.lines);
    mcp_server_line_too_long(bench.server);
    cJSON *got = bench_answer(&bench);
    assert_true(json_equals(json_at(got, "error/code"), "-32600"));
    assert_true(json_equals(json_at(got, "id"), "null"));
    cJSON_Delete(got);
    check_answer(REQ("1", "ping") "}", "result", "{}"); // still serving
}

static void test_silence(void **state)
{
    (void)state;
    bench_handshake(&bench);
    check_silent("");
    check_silent(" \t\r");
    check_silent("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    check_silent("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"x\"}}");
    check_silent(NOTE("ping") "}");
    check_silent(NOTE("tools/call") ",\"params\":{\"name\":\"keep\"}}");
    assert_int_equal(n_kept, 0);
}

static void test_ids_echoed(void **state)
{
    (void)state;
    static const char *const ids[] = {"9007199254740993", "-1.50e+3", "\"\\u0041\\\"\\/\"",
                                      "\"\xe2\x82\xac\"", "\"\"",     "0"};
    bench_handshake(&bench);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        char line[256], want[256];
        snprintf(line, sizeof line, REQ("%s", "ping") "}", ids[i]);
        snprintf(want, sizeof want, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\n", ids[i]);
        assert_string_equal(bench_send(&bench, line), want);
        snprintf(line, sizeof line, CALL("%s", "echo", "{\"text\":\"a\"}"), ids[i]);
        snprintf(want, sizeof want,
                 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"content\":", ids[i]);
        assert_memory_equal(bench_send(&bench, line), want, strlen(want));
    }
}

static void test_call(void **state)
{
    (void)state;
    bench_handshake(&bench);
    check_answer(REQ("7", "tools/call") ",\"params\":{\"name\":\"echo\",\"arguments\":{\"text\":"
                                        "\"a\\nb\\ud800\"},\"_meta\":{\"progressToken\":3},"
                                        "\"task\":{\"ttl\":1}}}",
                 "",
                 "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":[{\"type\":\"text\","
                 "\"text\":\"a\\nb\\ufffd\"}],\"structuredContent\":{\"echo\":\"a\\nb\\ufffd\"}}}");
    check_answer(CALL("7", "echo", "{\"text\":5}"), "result",
                 "{\"content\":[{\"type\":\"text\",\"text\":\"text must be a string\"}],"
                 "\"isError\":true}");
    check_answer(CALL("7", "echo", "null"), "result/content/0/text", "\"text is required\"");
    check_answer(CALL("7", "broken", "{}"), "result/isError", "true");
    assert_int_equal(mcp_server_calls(bench.server), 0);
}

static void test_result_at_its_cap(void **state)
{
    (void)state;
    char line[256];
    bench_handshake(&bench);
    size_t overhead = strlen(bench_send(&bench, CALL("7", "echo", "{\"text\":\"ab\"}"))) - 2;
    size_t fits = MCP_MAX_RESULT - 1 - overhead;
    snprintf(line, sizeof line, CALL("7", "echo", "{\"text\":\"ab\",\"pad\":%zu}"), fits);
    check_answer(line, "result/structuredContent/echo", "\"ab\"");
    assert_int_equal(bench.lines.len, MCP_MAX_RESULT - 1);
    snprintf(line, sizeof line, CALL("7", "echo", "{\"text\":\"ab\",\"pad\":%zu}"), fits + 1);
    check_answer(line, "result/isError", "true");
}

static void test_late_answers(void **state)
{
    (void)state;
    bench_handshake(&bench);
    check_silent(CALL("1", "keep", "{}"));
    check_silent(REQ("\"b\"", "tools/call") ",\"params\":{\"name\":\"keep\"}}");
    assert_int_equal(mcp_server_calls(bench.server), 2);
    check_error(CALL("1", "keep", "{}"), -32600, "1");
    check_error(CALL("1", "echo", "{\"text\":\"x\"}"), -32600, "1");
    buf_clear(&bench.lines);
    mcp_call_finish(kept[1], str_of(""), (struct str){NULL, 0});
    assert_string_equal(buf_cstr(&bench.lines),
                        "{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"result\":{\"content\":[{\"type\":"
                        "\"text\",\"text\":\"\"}]}}\n");
    buf_clear(&bench.lines);
    mcp_call_error(kept[0], "%s: %d", "no", 7);
    cJSON *got = bench_answer(&bench);
    assert_true(json_equals(json_at(got, "result/content/0/text"), "\"no: 7\""));
    assert_true(json_equals(json_at(got, "result/isError"), "true"));
    cJSON_Delete(got);
    assert_int_equal(mcp_server_calls(bench.server), 0);
    check_silent(CALL("1", "keep", "{}")); // the id is free again
    mcp_call_error(kept[2], "x");
}

static void test_long_error_is_cut(void **state)
{
    (void)state;
    char *text = malloc(100001);
    for (size_t i = 0; i < 100000; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[100000] = '\0';
    bench_handshake(&bench);
    check_silent(CALL("1", "keep", "{}"));
    mcp_call_error(kept[0], "x%s", text);
    free(text);
    cJSON *got = bench_answer(&bench);
    const char *shown = cJSON_GetStringValue(json_at(got, "result/content/0/text"));
    assert_int_equal(strlen(shown), MCP_MAX_ERROR - 1);
    assert_null(strstr(shown, "\xef\xbf\xbd"));
    cJSON_Delete(got);
}

static void test_cancel(void **state)
{
    (void)state;
    bench_handshake(&bench);
    check_silent(CALL("9007199254740993", "keep", "{}"));
    check_silent(CALL("9007199254740992", "keep", "{}"));
    check_silent(CALL("\"1\"", "keep", "{}"));
    check_silent(NOTE("notifications/cancelled") ",\"params\":{\"requestId\":9007199254740993,"
                                                 "\"reason\":\"x\"}}");
    check_silent(NOTE("notifications/cancelled") ",\"params\":{\"requestId\":1}}");
    check_silent(NOTE("notifications/cancelled") ",\"params\":{}}");
    check_silent(NOTE("notifications/cancelled") ",\"params\":[1]}");
    check_silent(NOTE("notifications/cancelled") "}");
    assert_true(mcp_call_cancelled(kept[0]));
    assert_false(mcp_call_cancelled(kept[1]));
    assert_false(mcp_call_cancelled(kept[2]));
    mcp_call_finish(kept[0], str_of("x"), str_of("{}"));
    assert_string_equal(buf_cstr(&bench.lines), "");
    mcp_call_finish(kept[1], str_of("x"), str_of("{}"));
    assert_int_not_equal(bench.lines.len, 0);
    check_silent(NOTE("notifications/cancelled") ",\"params\":{\"requestId\":\"1\"}}");
    mcp_call_error(kept[2], "x");
    assert_string_equal(buf_cstr(&bench.lines), "");
    assert_int_equal(n_notifications, 0);
}

static void test_calls_are_capped(void **state)
{
    (void)state;
    char line[256];
    bench_handshake(&bench);
    for (int i = 0; i < MCP_MAX_CALLS; i++) {
        snprintf(line, sizeof line, CALL("%d", "keep", "{}"), i);
        check_silent(line);
    }
    check_error(CALL("\"more\"", "keep", "{}"), -32603, "\"more\"");
    check_answer(REQ("1", "ping") "}", "result", "{}");
    mcp_call_finish(kept[17], str_of("x"), (struct str){NULL, 0});
    check_silent(CALL("\"more\"", "keep", "{}"));
    kept[17] = kept[MCP_MAX_CALLS];
    // The server goes first: the calls finish silently.
    mcp_server_free(bench.server);
    buf_clear(&bench.lines);
    for (int i = 0; i < MCP_MAX_CALLS; i++) {
        if (i % 2)
            mcp_call_finish(kept[i], str_of("x"), str_of("{}"));
        else
            mcp_call_error(kept[i], "x");
    }
    assert_string_equal(buf_cstr(&bench.lines), "");
    bench.server = NULL;
}

static void test_notifications(void **state)
{
    (void)state;
    bench_handshake(&bench);
    check_silent(NOTE("notifications/x") ",\"params\":{\"k\":\"v\"}}");
    assert_string_equal(last_notification, "notifications/x v");
    check_silent(NOTE("notifications/y") ",\"params\":[1]}");
    assert_string_equal(last_notification, "notifications/y (none)");
    check_silent(NOTE("notifications/z") "}");
    assert_string_equal(last_notification, "notifications/z (none)");
    assert_int_equal(n_notifications, 3);
}

static void test_notify(void **state)
{
    (void)state;
    bench_handshake(&bench);
    assert_int_equal(mcp_notify(bench.server, "a/b", str_of("{\"k\":1}"), false), 50);
    assert_string_equal(buf_cstr(&bench.lines),
                        "{\"jsonrpc\":\"2.0\",\"method\":\"a/b\",\"params\":{\"k\":1}}\n");
    assert_int_equal(mcp_notify(bench.server, "a", str_of("{"), false), -EILSEQ);
    assert_int_equal(mcp_notify(bench.server, "a", str_of("{\"a\":\"\xff\"}"), false), -EILSEQ);
    bench.sink_error = -ENOBUFS;
    assert_int_equal(mcp_notify(bench.server, "a", str_of("{}"), true), -ENOBUFS);
    mcp_server_disconnect(bench.server);
    assert_int_equal(mcp_notify(bench.server, "a", str_of("{}"), true), -EPIPE);
    check_silent(REQ("1", "ping") "}");
}

static void test_too_many_parameters(void **state)
{
    (void)state;
    static const struct mcp_tool wide[] = {
        {"wide", NULL, "x", echo_params, MCP_MAX_PARAMS + 1, 0, call_keep}};
    const struct mcp_server_info info = {.name = "t", .version = "1", .tools = wide, .n_tools = 1};
    assert_null(mcp_server_new(&info, (struct mcp_sink){bench_write, &bench}));
    mcp_server_free(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_before_initialize),
        TEST(test_initialize),
        TEST(test_versions),
        TEST(test_protocol_errors),
        TEST(test_silence),
        TEST(test_ids_echoed),
        TEST(test_call),
        TEST(test_result_at_its_cap),
        TEST(test_late_answers),
        TEST(test_long_error_is_cut),
        TEST(test_cancel),
        TEST(test_calls_are_capped),
        TEST(test_notifications),
        TEST(test_notify),
        TEST(test_too_many_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
