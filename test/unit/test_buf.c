#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "common/buf.h"

static void test_grows_and_stays_terminated(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(100000);
    assert_string_equal(buf_cstr(&b), "");
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buf_addf(&b, "%04d", i), 0);
    assert_int_equal(b.len, 40000);
    assert_int_equal(b.data[b.len], '\0');
    assert_memory_equal(b.data + 4 * 9999, "9999", 5);
    buf_done(&b);
    assert_null(b.data);
    buf_done(&b);
}

static void test_cap_is_exact_and_sticks(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(4);
    assert_int_equal(buf_adds(&b, "abcd"), 0);
    assert_int_equal(buf_addc(&b, 'e'), -E2BIG);
    assert_int_equal(buf_adds(&b, ""), -E2BIG);
    assert_string_equal(buf_cstr(&b), "abcd");
    buf_clear(&b);
    assert_int_equal(buf_adds(&b, "xy"), 0);
    assert_int_equal(buf_addf(&b, "%s", "zzz"), -E2BIG);
    assert_string_equal(buf_cstr(&b), "xy");
    assert_null(buf_take(&b));
    assert_int_equal(b.max, 4);
}

static void test_long_format(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(5000);
    assert_int_equal(buf_addf(&b, "%2000d|", 7), 0);
    assert_int_equal(b.len, 2001);
    assert_string_equal(b.data + 1999, "7|");
    buf_done(&b);
}

static void test_consume_truncate_take(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(64);
    buf_adds(&b, "hello world");
    buf_consume(&b, 6);
    assert_string_equal(buf_cstr(&b), "world");
    buf_truncate(&b, 99);
    buf_truncate(&b, 3);
    assert_string_equal(buf_cstr(&b), "wor");
    char *taken = buf_take(&b);
    assert_string_equal(taken, "wor");
    free(taken);
    buf_consume(&b, 5);
    assert_int_equal(b.len, 0);
    assert_null(buf_take(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_and_stays_terminated),
        cmocka_unit_test(test_cap_is_exact_and_sticks),
        cmocka_unit_test(test_long_format),
        cmocka_unit_test(test_consume_truncate_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
