#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "mcp/rpc.h"

static void check_str(struct str got, const char *want)
{
    if (!str_is(got, want))
        fail_msg("got %.*s, want %s", (int)got.n, got.p, want);
}

// A copy without a NUL behind it, so that a read past its end is seen.
static struct rpc_msg read_copy(const char *text, char **ret_copy)
{
    struct rpc_msg m;
    size_t n = strlen(text);
    *ret_copy = malloc(n ? n : 1);
    memcpy(*ret_copy, text, n);
    rpc_read((struct str){*ret_copy, n}, &m);
    return m;
}

static void test_ids_are_kept_as_they_came(void **state)
{
    (void)state;
    static const char *const ids[] = {
        "1",
        "0",
        "-7",
        "9007199254740993",
        "123456789012345678901234567890",
        "1.50",
        "1e3",
        "-0",
        "\"\"",
        "\"abc\"",
        "\"\\u0061\\n\\\"\\\\\"",
        "\"\\ud800\"",
        "\"\xc3\xa9\"",
        "\" 1 \"",
    };
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        char text[256], *copy;
        snprintf(text, sizeof text, " {\"id\" : %s ,\"method\":\"ping\",\"jsonrpc\":\"2.0\"} ",
                 ids[i]);
        struct rpc_msg m = read_copy(text, &copy);
        assert_int_equal(m.kind, RPC_REQUEST);
        check_str(m.id, ids[i]);
        assert_string_equal(m.method, "ping");
        assert_null(m.params.p);
        free(copy);
    }
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum rpc_kind kind;
        const char *id, *method, *params;
    } rows[] = {
        {"{\"jsonrpc\":\"2.0\",\"method\":\"a\"}", RPC_NOTIFICATION, "null", "a", NULL},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":null}", RPC_NOTIFICATION, "null", "a",
         NULL},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":[1]}", RPC_NOTIFICATION, "null", "a",
         "[1]"},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":{\"x\":1},\"id\":3}", RPC_REQUEST, "3",
         "a", "{\"x\":1}"},
        {"{\"jsonrpc\":\"2.0\",\"me\\u0074hod\":\"p\\u0069ng\",\"i\\u0064\":3,\"other\":{}}",
         RPC_REQUEST, "3", "ping", NULL},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", RPC_RESPONSE, "1", "", NULL},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{}}", RPC_RESPONSE, "null", "", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *copy;
        struct rpc_msg m = read_copy(rows[i].text, &copy);
        assert_int_equal(m.kind, rows[i].kind);
        check_str(m.id, rows[i].id);
        assert_string_equal(m.method, rows[i].method);
        if (rows[i].params)
            check_str(m.params, rows[i].params);
        else
            assert_null(m.params.p);
        free(copy);
    }
}

static void test_invalid(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *id;
    } rows[] = {
        {"", RPC_PARSE_ERROR, "null"},
        {"hello", RPC_PARSE_ERROR, "null"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"", RPC_PARSE_ERROR, "null"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} x", RPC_PARSE_ERROR, "null"},
        {"{\"jsonrpc\":\"2.0\",\"id\":01,\"method\":\"ping\"}", RPC_PARSE_ERROR, "null"},
        {"{'jsonrpc':'2.0'}", RPC_PARSE_ERROR, "null"},
        {"[]", RPC_INVALID_REQUEST, "null"},
        {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", RPC_INVALID_REQUEST, "null"},
        {"17", RPC_INVALID_REQUEST, "null"},
        {"\"ping\"", RPC_INVALID_REQUEST, "null"},
        {"null", RPC_INVALID_REQUEST, "null"},
        {"{}", RPC_INVALID_REQUEST, "null"},
        {"{\"id\":5,\"method\":\"ping\"}", RPC_INVALID_REQUEST, "5"},
        {"{\"jsonrpc\":\"1.0\",\"id\":5,\"method\":\"ping\"}", RPC_INVALID_REQUEST, "5"},
        {"{\"jsonrpc\":2.0,\"id\":5,\"method\":\"ping\"}", RPC_INVALID_REQUEST, "5"},
        {"{\"jsonrpc\":\"2.0\",\"id\":5}", RPC_INVALID_REQUEST, "5"},
        {"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":7}", RPC_INVALID_REQUEST, "5"},
        {"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":null}", RPC_INVALID_REQUEST, "5"},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", RPC_INVALID_REQUEST, "null"},
        {"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"ping\"}", RPC_INVALID_REQUEST, "null"},
        {"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", RPC_INVALID_REQUEST, "null"},
        {"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"ping\"}", RPC_INVALID_REQUEST, "null"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", RPC_INVALID_REQUEST,
         "null"},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", RPC_INVALID_REQUEST, "null"},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"a\tb\",\"method\":\"ping\"}", RPC_INVALID_REQUEST, "null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *copy;
        struct rpc_msg m = read_copy(rows[i].text, &copy);
        if (m.kind != RPC_INVALID || m.code != rows[i].code)
            fail_msg("%s: kind %d code %d", rows[i].text, (int)m.kind, m.code);
        check_str(m.id, rows[i].id);
        assert_non_null(m.why);
        free(copy);
    }
}

static void test_caps(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(1 << 20);
    struct rpc_msg m;
    for (size_t n = RPC_MAX_ID - 2; n <= RPC_MAX_ID - 1; n++) {
        buf_clear(&text);
        buf_adds(&text, "{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":\"");
        for (size_t i = 0; i < n; i++)
            buf_addc(&text, 'i');
        buf_adds(&text, "\"}");
        rpc_read(buf_str(&text), &m);
        assert_int_equal(m.kind, n + 2 <= RPC_MAX_ID ? RPC_REQUEST : RPC_INVALID);
    }

    buf_clear(&text);
    buf_adds(&text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"");
    for (size_t i = 0; i < 1000; i++)
        buf_adds(&text, "\xc3\xa9");
    buf_adds(&text, "\"}");
    rpc_read(buf_str(&text), &m);
    assert_int_equal(m.kind, RPC_REQUEST);
    assert_int_equal(strlen(m.method), RPC_MAX_METHOD - 2); // not in the middle of a character

    buf_clear(&text);
    for (size_t i = 0; i < 100000; i++)
        buf_addc(&text, '[');
    rpc_read(buf_str(&text), &m);
    assert_int_equal(m.code, RPC_PARSE_ERROR);
    buf_done(&text);
}

static void test_member(void **state)
{
    (void)state;
    struct str value;
    assert_true(rpc_member(str_of("{\"a\":1,\"b\":\"x\\n\"}"), "b", &value));
    check_str(value, "\"x\\n\"");
    assert_true(rpc_member(str_of("{\"a\":1,\"\\u0061\":2}"), "a", &value));
    check_str(value, "2");
    assert_false(rpc_member(str_of("{\"a\":1}"), "b", &value));
    assert_false(rpc_member(str_of("[\"a\",1]"), "a", &value));
    assert_false(rpc_member(str_of("{\"a\":1,"), "a", &value));
    check_str(value, "2");
}

static void test_clean_object(void **state)
{
    (void)state;
    assert_true(rpc_is_clean_object(str_of("{\"a\":[\"\xc3\xa9\"]}")));
    assert_false(rpc_is_clean_object(str_of("[]")));
    assert_false(rpc_is_clean_object(str_of("")));
    assert_false(rpc_is_clean_object(str_of("{} {}")));
    assert_false(rpc_is_clean_object(str_of("{\n}")));
    assert_false(rpc_is_clean_object(str_of("{\"a\":\"\xff\"}")));
}

static void test_written_lines(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(1 << 16);
    rpc_write_error(&out, str_of("\"\\u0061\""), RPC_INVALID_PARAMS, "no \"x\"");
    rpc_write_notification(&out, "a/b", str_of("{\"k\":1}"));
    rpc_write_notification(&out, "a/b", (struct str){NULL, 0});
    struct jw w = rpc_open_result(&out, str_of("1.50"));
    jw_object(&w);
    jw_object_end(&w);
    rpc_close_result(&w);
    assert_string_equal(
        buf_cstr(&out),
        "{\"jsonrpc\":\"2.0\",\"id\":\"\\u0061\",\"error\":{\"code\":-32602,\"message\":\"no "
        "\\\"x\\\"\"}}\n"
        "{\"jsonrpc\":\"2.0\",\"method\":\"a/b\",\"params\":{\"k\":1}}\n"
        "{\"jsonrpc\":\"2.0\",\"method\":\"a/b\"}\n"
        "{\"jsonrpc\":\"2.0\",\"id\":1.50,\"result\":{}}\n");
    buf_done(&out);
}

static void test_no_memory_for_an_answer(void **state)
{
    (void)state;
    char line[RPC_NO_MEMORY], longest[RPC_MAX_ID];
    struct str s = rpc_no_memory(line, str_of("\"a\""));
    assert_true(s.n == strlen(line));
    assert_string_equal(line, "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"error\":{\"code\":-32603,"
                              "\"message\":\"out of memory\"}}\n");
    memset(longest, '1', sizeof longest);
    s = rpc_no_memory(line, (struct str){longest, sizeof longest});
    assert_true(s.n < sizeof line && line[s.n - 1] == '\n');
}

// Every prefix and every byte changed of a message: an answer, never a fault.
static void test_damaged_messages(void **state)
{
    (void)state;
    const char *text = "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0062\",\"method\":\"tools/call\","
                       "\"params\":{\"name\":\"x\",\"arguments\":{\"a\":[1,2]}}}";
    size_t n = strlen(text);
    for (size_t cut = 0; cut < n; cut++) {
        char *copy = malloc(cut ? cut : 1);
        struct rpc_msg m;
        memcpy(copy, text, cut);
        rpc_read((struct str){copy, cut}, &m);
        assert_int_equal(m.code, RPC_PARSE_ERROR);
        free(copy);
    }
    for (size_t i = 0; i < n; i++) {
        for (int c = 0; c < 256; c++) {
            char *copy = malloc(n);
            struct rpc_msg m;
            memcpy(copy, text, n);
            copy[i] = (char)c;
            rpc_read((struct str){copy, n}, &m);
            assert_true(m.kind != RPC_INVALID || (m.code != 0 && m.why));
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_kept_as_they_came),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_member),
        cmocka_unit_test(test_clean_object),
        cmocka_unit_test(test_written_lines),
        cmocka_unit_test(test_no_memory_for_an_answer),
        cmocka_unit_test(test_damaged_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
