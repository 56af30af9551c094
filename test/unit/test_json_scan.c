#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "common/json_scan.h"

static int scan(const char *text, size_t n, unsigned depth, struct str *value)
{
    char *exact = malloc(n ? n : 1); // so that a sanitizer sees a read behind the end
    memcpy(exact, text, n);
    struct json_scan s;
    struct str v;
    json_scan_init(&s, (struct str){exact, n}, depth);
    int r = json_scan_value(&s, &v);
    if (r == 0)
        r = json_scan_end(&s);
    if (r == 0 && value)
        *value = (struct str){text + (v.p - exact), v.n};
    if (r < 0)
        assert_non_null(s.why);
    else
        assert_null(s.why);
    assert_true(json_scan_offset(&s) <= n);
    free(exact);
    return r;
}

static void test_accepts(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        " [ ] ",
        "\"\"",
        "0",
        "-0",
        "1.5e+10",
        "-12E-3",
        "true",
        "false",
        "null",
        "{\"a\":{\"b\":[1,2,{}]},\"c\":\"\\u00e9\\\\\\\"\\/\"}",
        "[[],[[]],{}]",
        "\"\xff raw \x01\"",
        "[1 ,\t2\r\n, 3]",
        "\"\\ud800\"",
        "123456789012345678901234567890",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(scan(good[i], strlen(good[i]), 8, NULL), 0);
    struct str v;
    const char *spaced = " \n {\"a\": 1 } \t";
    assert_int_equal(scan(spaced, strlen(spaced), 8, &v), 0);
    assert_true(str_is(v, "{\"a\": 1 }"));
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",          " ",
        "{",         "[",
        "}",         "]",
        "{]",        "[}",
        "[1,]",      "[,1]",
        "[1 2]",     "{\"a\"}",
        "{\"a\":}",  "{\"a\":1,}",
        "{a:1}",     "{\"a\":1 \"b\":2}",
        "{1:2}",     "\"abc",
        "\"\\x\"",   "\"\\u12g4\"",
        "\"\\u12",   "\"\\",
        "01",        "-01",
        "1.",        ".5",
        "1e",        "1e+",
        "-",         "+1",
        "0x10",      "tru",
        "True",      "nul",
        "NaN",       "Infinity",
        "1 2",       "{} x",
        "[\"a\":1]", "'a'",
        "[1]]",      "\xef\xbb\xbf{}",
        "//x\n1",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(scan(bad[i], strlen(bad[i]), 8, NULL), -EINVAL);
    assert_int_equal(scan("1\0", 2, 8, NULL), -EINVAL);
    assert_int_equal(scan("\"\\\0\"", 4, 8, NULL), -EINVAL);
    assert_int_equal(scan("\"a\0b\"", 5, 8, NULL), 0);
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"alerts\":[{\"a\":\"\\u00e9x\",\"n\":-1.5e3,\"t\":true,\"z\":null}],\"e\":{}}";
    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_int_equal(scan(text, n, 8, NULL), -EINVAL);
    assert_int_equal(scan(text, sizeof text - 1, 8, NULL), 0);
}

static void test_depth(void **state)
{
    (void)state;
    char text[1000];
    for (unsigned depth = 1; depth <= 400; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(scan(text, (size_t)depth * 2, 64, NULL), depth <= 64 ? 0 : -EINVAL);
        assert_int_equal(scan(text, (size_t)depth * 2, 9999, NULL), depth <= 256 ? 0 : -EINVAL);
    }
    size_t n = 100000;
    char *deep = malloc(n);
    memset(deep, '[', n);
    assert_int_equal(scan(deep, n, 64, NULL), -EINVAL);
    free(deep);
    const char *mixed = "{\"a\":[{\"b\":[]}]}";
    assert_int_equal(scan(mixed, strlen(mixed), 4, NULL), 0);
    assert_int_equal(scan(mixed, strlen(mixed), 3, NULL), -EINVAL);
}

static void test_members_and_elements(void **state)
{
    (void)state;
    struct json_scan s;
    struct str key, value;
    json_scan_init(&s, str_of(" { \"a\" : [1, {\"x\":\"]\"}] ,\"b\\n\":18446744073709551615 } "),
                   8);
    assert_int_equal(json_scan_peek(&s), '{');
    assert_int_equal(json_scan_enter(&s, '{'), 0);
    assert_int_equal(json_scan_member(&s, &key, &value), 1);
    assert_true(str_is(key, "a") && str_is(value, "[1, {\"x\":\"]\"}]"));
    struct json_scan in;
    json_scan_init(&in, value, 8);
    assert_int_equal(json_scan_enter(&in, '['), 0);
    assert_int_equal(json_scan_element(&in, &value), 1);
    assert_true(str_is(value, "1"));
    assert_int_equal(json_scan_element(&in, &value), 1);
    assert_true(str_is(value, "{\"x\":\"]\"}"));
    assert_int_equal(json_scan_element(&in, &value), 0);
    assert_int_equal(json_scan_end(&in), 0);
    assert_int_equal(json_scan_member(&s, &key, &value), 1);
    assert_true(str_is(key, "b\\n") && str_is(value, "18446744073709551615"));
    assert_int_equal(json_scan_member(&s, &key, &value), 0);
    assert_int_equal(json_scan_end(&s), 0);
}

static int count(const char *text, char open)
{
    struct json_scan s;
    struct str key, value;
    int n = 0, r;
    json_scan_init(&s, str_of(text), 8);
    r = json_scan_enter(&s, open);
    while (r == 0) {
        int more = open == '{' ? json_scan_member(&s, &key, &value) : json_scan_element(&s, &value);
        if (more <= 0)
            return more < 0 ? more : n;
        n++;
    }
    return r;
}

static void test_iteration_is_strict(void **state)
{
    (void)state;
    assert_int_equal(count("[]", '['), 0);
    assert_int_equal(count("{ }", '{'), 0);
    assert_int_equal(count("[\"[\", \"{\"]", '['), 2);
    assert_int_equal(count("[1,]", '['), -EINVAL);
    assert_int_equal(count("[,1]", '['), -EINVAL);
    assert_int_equal(count("[1 2]", '['), -EINVAL);
    assert_int_equal(count("[1", '['), -EINVAL);
    assert_int_equal(count("{\"a\":1,}", '{'), -EINVAL);
    assert_int_equal(count("{\"a\":1", '{'), -EINVAL);
    assert_int_equal(count("{\"a\" 1}", '{'), -EINVAL);
    assert_int_equal(count("[1]", '{'), -EINVAL);
    assert_int_equal(count("", '['), -EINVAL);
}

static void check_text(const char *raw, size_t n, const char *want)
{
    struct buf out = BUF_INIT(n * 3);
    assert_int_equal(json_scan_text(&out, (struct str){raw, n}), 0);
    assert_string_equal(buf_cstr(&out), want);
    buf_done(&out);
}

#define TEXT(raw, want) check_text(raw, sizeof(raw) - 1, want)

static void test_text_of_a_string(void **state)
{
    (void)state;
    TEXT("", "");
    TEXT("plain text, longer than a word", "plain text, longer than a word");
    TEXT("\\b\"q\\\"\\/\\\\\\n\\r\\t\\f", "\b\"q\"/\\\n\r\t\f");
    TEXT("\\u0041\\u00e9\\u20ac\\uD83D\\uDE00", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    TEXT("a\\u0000\0b", "ab");
    TEXT("\xff\xc3|\xc3\xa9", "\xef\xbf\xbd\xef\xbf\xbd|\xc3\xa9");
    TEXT("\\ud800\\ud83d\\ude00\\udc00", "\xef\xbf\xbd\xf0\x9f\x98\x80\xef\xbf\xbd");
    TEXT("\\ud83d", "\xef\xbf\xbd");
    TEXT("raw \x01\n", "raw \x01\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_members_and_elements),
        cmocka_unit_test(test_iteration_is_strict),
        cmocka_unit_test(test_text_of_a_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
