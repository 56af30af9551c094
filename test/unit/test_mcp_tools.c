#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "mcp/tools.h"
#include "test/support/json_expect.h"

static const char *const verdicts[] = {"noise", "real", NULL};
static const struct mcp_param params[] = {
    {"ids", "The incidents.", MCP_INTEGERS, .required = true, .min = 1, .max = 1e9, .max_items = 3},
    {"verdict", NULL, MCP_STRING, .required = true, .one_of = verdicts},
    {"summary", NULL, MCP_STRING, .min = 1, .max = 5},
    {.name = "note", .type = MCP_STRING},
    {"confidence", NULL, MCP_NUMBER, .min = 0, .max = 1},
    {"limit", NULL, MCP_INTEGER, .min = 1, .max = 100},
    {.name = "offset", .type = MCP_INTEGER},
    {"files", NULL, MCP_STRINGS, .min = 2, .max = 4, .max_items = 2},
    {.name = "quiet", .type = MCP_BOOLEAN},
};

static const struct mcp_tool tools[] = {
    {"log", "Log it", "Logs \"it\".", params, ARRAY_LEN(params), MCP_ALWAYS_LOAD, NULL},
    {"look", NULL, "Looks.", NULL, 0, MCP_READ_ONLY | MCP_IDEMPOTENT | MCP_OPEN_WORLD, NULL},
};

static void check(const char *args_text, const char *want)
{
    const char *why;
    struct buf got = BUF_INIT(4096);
    cJSON *args = json_parse(str_of(args_text), &why);
    assert_non_null(args);
    int r = mcp_tool_check(&tools[0], args, &got);
    if (strcmp(buf_cstr(&got), want) != 0)
        fail_msg("%s: got \"%s\", want \"%s\"", args_text, buf_cstr(&got), want);
    assert_int_equal(r, *want ? -EINVAL : 0);
    cJSON_Delete(args);
    buf_done(&got);
}

#define BASE "{\"ids\":[1],\"verdict\":\"noise\""

static void test_accepted(void **state)
{
    (void)state;
    check(BASE "}", "");
    check("{\"verdict\":\"real\",\"ids\":[1,1000000000,2.0]}", "");
    check(BASE ",\"summary\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}", ""); // characters
    check(BASE ",\"note\":\"\"}", "");
    check(BASE ",\"confidence\":0}", "");
    check(BASE ",\"confidence\":1}", "");
    check(BASE ",\"confidence\":0.5}", "");
    check(BASE ",\"limit\":1e2}", "");
    check(BASE ",\"offset\":-9007199254740991}", "");
    check(BASE ",\"files\":[\"ab\",\"abcd\"]}", "");
    check(BASE ",\"quiet\":false}", "");
}

static void test_refused(void **state)
{
    (void)state;
    check("{}", "ids is required");
    check("{\"ids\":[1]}", "verdict is required");
    check("{\"ids\":1,\"verdict\":\"noise\"}", "ids must be a list of whole numbers");
    check("{\"ids\":[]}", "ids must be a list of at least one item");
    check("{\"ids\":[1,2,3,4]}", "ids must be a list of at most 3 items; it has 4");
    check("{\"ids\":[1,\"2\"]}", "ids[1] must be a whole number");
    check("{\"ids\":[1,2,0]}", "ids[2] must be from 1 to 1000000000");
    check("{\"ids\":[[1]]}", "ids[0] must be a whole number");
    check("{\"ids\":[null]}", "ids[0] must be a whole number");
    check("{\"ids\":null}", "ids must be a list of whole numbers");
    check("{\"verdict\":\"Noise\"}", "verdict must be one of noise, real");
    check("{\"verdict\":1}", "verdict must be a string");
    check(BASE ",\"summary\":\"\"}", "summary must be a string that is not empty");
    check(BASE ",\"summary\":\"123456\"}", "summary must be at most 5 characters long; it has 6");
    check(BASE ",\"summary\":null}", "summary must be a string");
    check(BASE ",\"summary\":{\"a\":1}}", "summary must be a string");
    check(BASE ",\"confidence\":1.01}", "confidence must be from 0 to 1");
    check(BASE ",\"confidence\":-0.01}", "confidence must be from 0 to 1");
    check(BASE ",\"confidence\":\"0.5\"}", "confidence must be a number");
    check(BASE ",\"confidence\":1e999}", "confidence must be a number");
    check(BASE ",\"limit\":1.5}", "limit must be a whole number");
    check(BASE ",\"limit\":101}", "limit must be from 1 to 100");
    check(BASE ",\"limit\":true}", "limit must be a whole number");
    check(BASE ",\"offset\":9007199254740993}", "offset must be a whole number");
    check(BASE ",\"offset\":-1e300}", "offset must be a whole number");
    check(BASE ",\"files\":[\"ab\",\"a\"]}",
          "files[1] must be at least 2 characters long; it has 1");
    check(BASE ",\"files\":\"ab\"}", "files must be a list of strings");
    check(BASE ",\"quiet\":1}", "quiet must be true or false");
    check(BASE ",\"verdict\":\"real\"}", "verdict must be given once");
    check(BASE ",\"Note\":\"x\"}",
          "Note is not an argument of log; it takes ids, verdict, summary, note, confidence, "
          "limit, offset, files, quiet");
    check(BASE ",\"a\\u001b[31m\\u202e\":1}",
          "a is not an argument of log; it takes ids, verdict, summary, note, confidence, "
          "limit, offset, files, quiet");
}

static void test_tool_without_parameters(void **state)
{
    (void)state;
    struct buf why = BUF_INIT(4096);
    assert_int_equal(mcp_tool_check(&tools[1], NULL, &why), 0);
    cJSON *args = cJSON_CreateObject();
    assert_int_equal(mcp_tool_check(&tools[1], args, &why), 0);
    cJSON_AddNumberToObject(args, "x", 1);
    assert_int_equal(mcp_tool_check(&tools[1], args, &why), -EINVAL);
    assert_string_equal(buf_cstr(&why), "x is not an argument of look");
    cJSON_Delete(args);
    buf_done(&why);
}

static void test_schema(void **state)
{
    (void)state;
    const char *why;
    struct buf out = BUF_INIT(1 << 16);
    struct jw w = JW(&out);
    mcp_tools_write(&w, tools, ARRAY_LEN(tools));
    cJSON *list = json_parse(buf_str(&out), &why);
    assert_true(json_equals(
        list,
        "[{\"name\":\"log\",\"title\":\"Log it\",\"description\":\"Logs \\\"it\\\".\","
        "\"inputSchema\":{\"type\":\"object\",\"properties\":{"
        "\"ids\":{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":"
        "1000000000},\"minItems\":1,\"maxItems\":3,\"description\":\"The incidents.\"},"
        "\"verdict\":{\"type\":\"string\",\"enum\":[\"noise\",\"real\"]},"
        "\"summary\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":5},"
        "\"note\":{\"type\":\"string\"},"
        "\"confidence\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},"
        "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100},"
        "\"offset\":{\"type\":\"integer\"},"
        "\"files\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":2,"
        "\"maxLength\":4},\"minItems\":1,\"maxItems\":2},"
        "\"quiet\":{\"type\":\"boolean\"}},"
        "\"required\":[\"ids\",\"verdict\"],\"additionalProperties\":false},"
        "\"annotations\":{\"title\":\"Log it\",\"readOnlyHint\":false,\"destructiveHint\":false,"
        "\"idempotentHint\":false,\"openWorldHint\":false},"
        "\"_meta\":{\"anthropic/alwaysLoad\":true}},"
        "{\"name\":\"look\",\"description\":\"Looks.\",\"inputSchema\":{\"type\":\"object\","
        "\"properties\":{},\"additionalProperties\":false},"
        "\"annotations\":{\"readOnlyHint\":true,\"destructiveHint\":false,"
        "\"idempotentHint\":true,\"openWorldHint\":true}}]"));
    cJSON_Delete(list);
    buf_done(&out);
}

static void test_find(void **state)
{
    (void)state;
    assert_ptr_equal(mcp_tool_find(tools, 2, "look"), &tools[1]);
    assert_null(mcp_tool_find(tools, 2, "loo"));
    assert_null(mcp_tool_find(NULL, 0, "look"));
}

int main(void)
{
    const struct CMUnitTest tests_to_run[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_tool_without_parameters),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests_to_run, NULL, NULL);
}
