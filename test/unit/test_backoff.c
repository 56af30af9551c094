#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/backoff.h"

static void test_delays_double_up_to_the_cap(void **state)
{
    (void)state;
    static const unsigned highest[] = {500,   1000,  2000,  4000,  8000,
                                       16000, 32000, 60000, 60000, 60000};
    struct backoff b = {0};
    for (size_t i = 0; i < ARRAY_LEN(highest); i++)
        assert_int_equal(backoff_next(&b, UINT32_MAX, 0), highest[i]);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(backoff_next(&b, UINT32_MAX, 0), BACKOFF_CAP_MS);
}

static void test_jitter_is_full(void **state)
{
    (void)state;
    struct backoff b = {0};
    assert_int_equal(backoff_next(&b, 0, 0), 0);
    assert_int_equal(backoff_next(&b, 1u << 31, 0), 500);
    // Over evenly spread random numbers the mean delay is half of the ceiling.
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 1024; i++) {
        struct backoff fresh = {.failures = 7};
        sum += backoff_next(&fresh, i << 22, 0);
    }
    assert_in_range(sum / 1024, 29900, 30100);
}

static void test_server_may_ask_for_longer(void **state)
{
    (void)state;
    struct backoff b = {0};
    assert_int_equal(backoff_next(&b, UINT32_MAX, 30000), 30000);
    assert_int_equal(backoff_next(&b, UINT32_MAX, 10), 1000);
    assert_int_equal(backoff_next(&b, 0, -5), 0);
    assert_int_equal(backoff_next(&b, 0, INT64_MAX), BACKOFF_MAX_RETRY_AFTER_MS);
}

static void test_reset_starts_again(void **state)
{
    (void)state;
    struct backoff b = {0};
    for (int i = 0; i < 9; i++)
        backoff_next(&b, 0, 0);
    backoff_reset(&b);
    assert_int_equal(backoff_next(&b, UINT32_MAX, 0), BACKOFF_BASE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays_double_up_to_the_cap),
        cmocka_unit_test(test_jitter_is_full),
        cmocka_unit_test(test_server_may_ask_for_longer),
        cmocka_unit_test(test_reset_starts_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
