#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"

#define LIT(s) ((struct str){(s), sizeof(s) - 1})

static cJSON *parse(struct str text)
{
    char *exact = malloc(text.n ? text.n : 1); // so that a sanitizer sees a read behind the end
    memcpy(exact, text.p, text.n);
    const char *why = NULL;
    cJSON *tree = json_parse((struct str){exact, text.n}, &why);
    free(exact);
    assert_true(tree || why);
    return tree;
}

static void check_str(struct str text, const char *want)
{
    cJSON *tree = parse(text);
    assert_non_null(tree);
    assert_string_equal(json_str(tree, "s"), want);
    cJSON_Delete(tree);
}

static void refused(struct str text, const char *want)
{
    const char *why = NULL;
    assert_null(json_parse(text, &why));
    assert_string_equal(why, want);
}

// Some versions of cJSON read at most 63 characters of a number, and take the rest for something
// else: where a text is mended anyway (here for its NUL), its numbers are made short enough.
static void test_very_long_numbers(void **state)
{
    (void)state;
    static const struct {
        int digits;
        double want; // 0: null
    } cases[] = {{12, 999999999999}, {70, 1e70}, {400, 0}, {600, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[800] = "{\"n\":";
        memset(text + 5, '9', (size_t)cases[i].digits);
        snprintf(text + 5 + cases[i].digits, 40, ",\"s\":\"after\\u0000\"}");
        cJSON *tree = parse(str_of(text));
        assert_non_null(tree);
        assert_string_equal(json_str(tree, "s"), "after");
        const cJSON *n = json_get(tree, "n");
        if (cases[i].want == 0)
            assert_true(cJSON_IsNull(n));
        else
            assert_true(n->valuedouble == cases[i].want);
        cJSON_Delete(tree);
    }
}

static void test_strings_are_mended(void **state)
{
    (void)state;
    check_str(LIT("{\"s\":\"plain \\u00e9 \\ud83d\\ude00\"}"), "plain \xc3\xa9 \xf0\x9f\x98\x80");
    check_str(LIT("{\"s\":\"a\\u0000b\\\\u0000\"}"), "ab\\u0000");
    check_str(LIT("{\"s\":\"a\0b\"}"), "ab");
    check_str(LIT("{\"s\":\"a\xff"
                  "b\xc3\"}"),
              "a\xef\xbf\xbd"
              "b\xef\xbf\xbd");
    check_str(LIT("{\"s\":\"\\ud800\"}"), "\xef\xbf\xbd");
    check_str(LIT("{\"s\":\"\\udc00x\\ud800\\u0041\"}"), "\xef\xbf\xbdx\xef\xbf\xbd"
                                                         "A");
    check_str(LIT("{\"s\":\"\\ud800\\ud83d\\ude00\"}"), "\xef\xbf\xbd\xf0\x9f\x98\x80");
    check_str(LIT("{\"s\":\"\\uD83D\\uDE00\xed\xa0\x80\"}"),
              "\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    check_str(LIT("{\"s\":\"raw \x01 and \n\"}"), "raw \x01 and \n");
    check_str(LIT("{\"k\\u0000\xff\":1,\"s\":\"ok\"}"), "ok");
    check_str(LIT("\xef\xbb\xbf{\"s\":\"after a mark\"}\n"), "after a mark");
    check_str(LIT("{\"s\":\"first\",\"s\":\"second\"}"), "first");
}

static void test_numbers(void **state)
{
    (void)state;
    char text[1200] = "{\"ok\":1,\"n\":1";
    memset(text + strlen(text), '0', 100);
    memcpy(text + strlen(text), ",\"s\":\"x\"}", 10);
    cJSON *tree = parse(str_of(text));
    assert_true(json_get(tree, "n")->valuedouble == 1e100);
    assert_int_equal(json_int(tree, "n", -1), -1);
    cJSON_Delete(tree);
    tree = parse(LIT("{\"a\":9007199254740992,\"b\":9007199254740994,\"c\":-3,\"d\":1.5,\"e\":"
                     "\"7\",\"f\":1e3,\"g\":1e999}"));
    assert_int_equal(json_int(tree, "a", 0), INT64_C(9007199254740992));
    assert_int_equal(json_int(tree, "b", 0), 0);
    assert_int_equal(json_int(tree, "c", 0), -3);
    assert_int_equal(json_int(tree, "d", 9), 9);
    assert_int_equal(json_int(tree, "e", 9), 9);
    assert_int_equal(json_int(tree, "f", 9), 1000);
    assert_int_equal(json_int(tree, "g", 9), 9);
    assert_int_equal(json_int(tree, "missing", 9), 9);
    cJSON_Delete(tree);
    memcpy(text, "[1", 3);
    memset(text + 2, '0', 1000);
    memcpy(text + 1002, "]", 2);
    tree = parse(str_of(text));
    struct buf out = BUF_INIT(100);
    jw_cjson(&JW(&out), tree);
    assert_string_equal(buf_cstr(&out), "[null]");
    buf_done(&out);
    cJSON_Delete(tree);
}

static void test_errors_say_where(void **state)
{
    (void)state;
    refused(LIT(""), "not JSON at byte 0: unexpected end");
    refused(LIT("{\"a\":1,}"), "not JSON at byte 7: expected a key");
    refused(LIT("{} x"), "not JSON at byte 3: text after the end");
    refused(LIT("\0"), "not JSON at byte 0: expected a value");
    char deep[200];
    memset(deep, '[', sizeof deep);
    refused((struct str){deep, sizeof deep}, "not JSON at byte 64: nested too deeply");
}

static void test_getters(void **state)
{
    (void)state;
    cJSON *t =
        parse(LIT("{\"o\":{},\"a\":[],\"s\":\"x\",\"t\":true,\"f\":false,\"z\":null,\"O\":1}"));
    assert_non_null(json_obj(t, "o"));
    assert_null(json_obj(t, "a"));
    assert_non_null(json_arr(t, "a"));
    assert_null(json_arr(t, "o"));
    assert_string_equal(json_str(t, "s"), "x");
    assert_null(json_str(t, "z"));
    assert_true(json_bool(t, "t", false));
    assert_false(json_bool(t, "f", true));
    assert_true(json_bool(t, "s", true));
    assert_int_equal(json_int(t, "O", 0), 1);
    assert_null(json_get(json_get(t, "s"), "x"));
    assert_null(json_get(NULL, "x"));
    cJSON_Delete(t);
}

static void test_writer(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(10000);
    struct jw w = JW(&b);
    jw_object(&w);
    jw_kstr(&w, "s", "a\"\\\n\t\x01\x1f\x7f</\xc3\xa9\xff");
    jw_kstr(&w, "none", NULL);
    jw_kint(&w, "min", INT64_MIN);
    jw_kint(&w, "max", INT64_MAX);
    jw_kint(&w, "zero", 0);
    jw_kbool(&w, "b", true);
    jw_ktime(&w, "at", 1000);
    jw_ktime(&w, "never", 0);
    jw_key(&w, "list");
    jw_array(&w);
    jw_num(&w, 0.1);
    jw_num(&w, 1e21);
    jw_num(&w, -2);
    jw_num(&w, 44.23943737541908);
    jw_num(&w, (double)NAN);
    jw_num(&w, (double)INFINITY);
    jw_array(&w);
    jw_array_end(&w);
    jw_object(&w);
    jw_object_end(&w);
    jw_raw(&w, LIT("18446744073709551615"));
    jw_array_end(&w);
    jw_keyn(&w, LIT("k\0y"));
    jw_strn(&w, LIT("a\0b"));
    jw_object_end(&w);
    assert_string_equal(
        buf_cstr(&b),
        "{\"s\":\"a\\\"\\\\\\n\\t\\u0001\\u001f\x7f</\xc3\xa9\xef\xbf\xbd\",\"none\":null,"
        "\"min\":-9223372036854775808,\"max\":9223372036854775807,\"zero\":0,\"b\":true,"
        "\"at\":\"1970-01-01T00:00:01Z\",\"never\":null,\"list\":[0.1,1e+21,-2,44.23943737541908,"
        "null,"
        "null,[],{},18446744073709551615],\"k\\u0000y\":\"a\\u0000b\"}");
    assert_int_equal(w.depth, 0);
    buf_done(&b);
}

static void test_copy_of_a_tree(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,-2.5,\"x\\\"\",true,false,null,{\"b\":{}}],\"c\":[]}";
    cJSON *t = parse(str_of(text));
    struct buf b = BUF_INIT(1000);
    jw_cjson(&JW(&b), t);
    assert_string_equal(buf_cstr(&b), text);
    cJSON_Delete(t);
    buf_done(&b);
}

static void test_writer_is_bounded(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1000);
    struct jw w = JW(&b);
    for (int i = 0; i < 100; i++)
        jw_array(&w);
    assert_int_equal(b.error, -EINVAL);
    buf_done(&b);
    struct buf tiny = BUF_INIT(4);
    jw_str(&JW(&tiny), "abcdef");
    assert_int_equal(tiny.error, -E2BIG);
    buf_done(&tiny);
}

static void test_random_bytes_round(void **state)
{
    (void)state;
    uint32_t x = 7;
    for (int round = 0; round < 3000; round++) {
        char bytes[40];
        for (size_t i = 0; i < sizeof bytes; i++) {
            x = x * 1664525 + 1013904223;
            bytes[i] = (char)(x >> 24);
        }
        struct buf b = BUF_INIT(1000), again = BUF_INIT(1000);
        jw_strn(&JW(&b), (struct str){bytes, sizeof bytes});
        cJSON *t = parse(buf_str(&b));
        assert_true(cJSON_IsString(t));
        if (!memchr(bytes, 0, sizeof bytes)) {
            jw_cjson(&JW(&again), t);
            assert_string_equal(buf_cstr(&again), buf_cstr(&b));
        }
        cJSON_Delete(t);
        // As a body it may be anything, and never more than refused.
        cJSON_Delete(parse((struct str){bytes, sizeof bytes}));
        bytes[0] = bytes[39] = '"';
        cJSON_Delete(parse((struct str){bytes, sizeof bytes}));
        buf_done(&b);
        buf_done(&again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_are_mended),
        cmocka_unit_test(test_very_long_numbers),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_errors_say_where),
        cmocka_unit_test(test_getters),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_copy_of_a_tree),
        cmocka_unit_test(test_writer_is_bounded),
        cmocka_unit_test(test_random_bytes_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
