#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "common/clock.h"

static int64_t parse(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(rfc3339_parse(str_of(text), &ms), 0);
    return ms;
}

static void test_parses_what_senders_write(void **state)
{
    (void)state;
    assert_int_equal(parse("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(parse("2025-09-16T17:12:20Z"), 1758042740000);
    assert_int_equal(parse("2021-10-12T09:51:03.157076+02:00"), 1634025063157);
    assert_int_equal(parse("2017-08-03T15:17:37.804-04:00"), 1501787857804);
    assert_int_equal(parse("2026-11-24T05:33:21.14918302Z"), 1795498401149);
    assert_int_equal(parse("2024-02-29t23:59:60z"), 1709251200000);
    assert_int_equal(parse("2000-01-01T00:00:00.000000001Z"), 946684800000);
    assert_int_equal(parse("1970-01-01T00:00:01+00:00"), 1000);
    assert_int_equal(parse("0001-01-01T00:00:00Z"), -62135596800000);
    assert_int_equal(parse("9999-12-31T23:59:59.999Z"), 253402300799999);
}

static void test_refuses_the_rest(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2025",
        "2025-09-16",
        "2025-13-01T00:00:00Z",
        "2025-00-01T00:00:00Z",
        "2025-01-32T00:00:00Z",
        "2025-01-01T24:00:00Z",
        "2025-01-01T00:60:00Z",
        "2025-01-01T00:00:61Z",
        "2025-01-01T00:00:00",
        "2025-01-01T00:00:00.Z",
        "2025-01-01T00:00:00.1234567890Z",
        "2025-01-01T00:00:00Zx",
        "2025-01-01T00:00:00+2:00",
        "2025-01-01T00:00:00+0200",
        "2025-01-01T00:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "2025-01-01X00:00:00Z",
        "-025-01-01T00:00:00Z",
        "2025-01-01T00:00:00-",
        "1758042740",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ms = 42;
        assert_int_equal(rfc3339_parse(str_of(bad[i]), &ms), -EINVAL);
        assert_int_equal(ms, 42);
    }
}

static void test_format_is_the_inverse(void **state)
{
    (void)state;
    char out[RFC3339_SIZE];
    assert_string_equal(rfc3339_format(0, out), "1970-01-01T00:00:00Z");
    assert_string_equal(rfc3339_format(1758042740123, out), "2025-09-16T17:12:20.123Z");
    assert_string_equal(rfc3339_format(-1, out), "1969-12-31T23:59:59.999Z");
    for (int64_t ms = -3000000000000; ms < 9000000000000; ms += INT64_C(86399999) * 37 + 1)
        assert_int_equal(parse(rfc3339_format(ms, out)), ms);
}

static void test_durations(void **state)
{
    (void)state;
    char out[DURATION_SIZE];
    assert_string_equal(duration_format(-5, out), "0 min");
    assert_string_equal(duration_format(4 * 60000 + 59999, out), "4 min");
    assert_string_equal(duration_format(125 * 60000, out), "2 h 5 min");
    assert_string_equal(duration_format(120 * 60000, out), "2 h");
    assert_string_equal(duration_format(INT64_C(73) * 3600000, out), "3 d 1 h");
    assert_string_equal(duration_format(INT64_C(48) * 3600000 + 1, out), "2 d");
    assert_string_equal(duration_format(INT64_MAX, out), "106751991167 d 7 h");
}

static void test_clocks_run(void **state)
{
    (void)state;
    int64_t boot = clock_boot_ms();
    assert_true(boot > 0 && clock_boot_ms() >= boot);
    assert_true(clock_wall_ms() > 1700000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parses_what_senders_write),
        cmocka_unit_test(test_refuses_the_rest),
        cmocka_unit_test(test_format_is_the_inverse),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
