#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "test/support/mcp_bench.h"

static void test_event(void **state)
{
    (void)state;
    struct mcp_bench b = {.info = {.name = "t", .version = "1", .capabilities = MCP_CHANNEL}};
    const struct channel_meta meta[] = {
        {"kind", "alert"}, {"empty", ""},      {"none", NULL}, {"_a9", "\"q\""},
        {"9a", "no"},      {"a-b", "no"},      {"", "no"},     {"cluster", "a\xff\nb"},
        {"a b", "no"},     {"\xc3\xa9", "no"},
    };
    bench_start(&b);
    assert_int_equal(channel_event(b.server, str_of("x"), NULL, 0), -ENOTCONN);
    bench_handshake(&b);

    int n = channel_event(b.server, str_of("two\nlines \xff"), meta, ARRAY_LEN(meta));
    assert_int_equal(n, b.lines.len);
    assert_int_equal(b.events, 1);
    cJSON *got = bench_answer(&b);
    assert_true(json_equals(
        got,
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/claude/channel\",\"params\":{"
        "\"content\":\"two\\nlines \\ufffd\",\"meta\":{\"kind\":\"alert\",\"_a9\":\"\\\"q\\\"\","
        "\"cluster\":\"a\\ufffd\\nb\"}}}"));
    cJSON_Delete(got);

    b.sink_error = -ENOBUFS;
    assert_int_equal(channel_event(b.server, str_of("x"), NULL, 0), -ENOBUFS);
    b.sink_error = 0;
    size_t big = MCP_MAX_NOTIFICATION;
    char *content = malloc(big);
    memset(content, 'x', big);
    assert_int_equal(channel_event(b.server, (struct str){content, big}, NULL, 0), -E2BIG);
    free(content);
    mcp_server_disconnect(b.server);
    assert_int_equal(channel_event(b.server, str_of("x"), NULL, 0), -EPIPE);
    bench_done(&b);
}

static void test_permission_request(void **state)
{
    (void)state;
    const char *why;
    struct channel_permission request = {.request_id = "untouched"};
    cJSON *params = json_parse(str_of("{\"request_id\":\"abcde\",\"tool_name\":\"Bash\","
                                      "\"description\":7,\"input_preview\":\"{}\",\"more\":1}"),
                               &why);
    assert_int_equal(channel_permission_read(params, &request), 0);
    assert_string_equal(request.request_id, "abcde");
    assert_string_equal(request.tool_name, "Bash");
    assert_string_equal(request.description, "");
    assert_string_equal(request.input_preview, "{}");
    cJSON_Delete(params);

    static const char *const bad[] = {"{}",
                                      "[]",
                                      "{\"request_id\":5}",
                                      "{\"request_id\":\"abcd\"}",
                                      "{\"request_id\":\"abcdef\"}",
                                      "{\"request_id\":\"ABCDE\"}",
                                      "{\"request_id\":\"abc e\"}"};
    request = (struct channel_permission){.request_id = "untouched"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        params = json_parse(str_of(bad[i]), &why);
        assert_int_equal(channel_permission_read(params, &request), -EINVAL);
        assert_string_equal(request.request_id, "untouched");
        cJSON_Delete(params);
    }
    assert_int_equal(channel_permission_read(NULL, &request), -EINVAL);
}

static void test_permission_answer(void **state)
{
    (void)state;
    struct mcp_bench b = {.info = {.name = "t", .version = "1"}};
    bench_start(&b);
    bench_handshake(&b);
    assert_int_equal(channel_permission_answer(b.server, "abcd", true), -EINVAL);
    assert_true(channel_permission_answer(b.server, "abcde", true) > 0);
    assert_string_equal(
        buf_cstr(&b.lines),
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/claude/channel/permission\","
        "\"params\":{\"request_id\":\"abcde\",\"behavior\":\"allow\"}}\n");
    buf_clear(&b.lines);
    assert_true(channel_permission_answer(b.server, "abcde", false) > 0);
    cJSON *got = bench_answer(&b);
    assert_true(json_equals(json_at(got, "params/behavior"), "\"deny\""));
    cJSON_Delete(got);
    assert_int_equal(b.events, 0); // the relay is not refused like an event
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event),
        cmocka_unit_test(test_permission_request),
        cmocka_unit_test(test_permission_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
