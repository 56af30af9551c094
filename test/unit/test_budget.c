#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/webhook/budget.h"

#define NOW 1000000

static void test_events_of_a_minute(void **state)
{
    (void)state;
    struct budget b;
    budget_init(&b, 3, 4096);
    for (int i = 0; i < 3; i++) {
        assert_true(budget_allows(&b, NOW, false, 10, 0));
        budget_spend(&b, NOW, false, false, 10);
    }
    assert_false(budget_allows(&b, NOW, false, 10, 0));
    assert_false(budget_allows(&b, NOW + 59999, false, 10, 0));
    assert_true(budget_allows(&b, NOW + 61000, false, 10, 0));
}

// However the events fall, no 60 s hold more than the budget.
static void test_a_minute_is_never_short(void **state)
{
    (void)state;
    struct budget b;
    int64_t sent[400];
    size_t n = 0;
    budget_init(&b, 5, 4096);
    for (int64_t now = NOW; now < NOW + 600000; now += 333)
        if (budget_allows(&b, now, false, 10, 0)) {
            budget_spend(&b, now, false, false, 10);
            sent[n++] = now;
        }
    assert_true(n >= 45); // and it is used
    for (size_t i = 5; i < n; i++)
        assert_true(sent[i] - sent[i - 5] > 60000);
}

static void test_criticals_count_among_themselves(void **state)
{
    (void)state;
    struct budget b;
    budget_init(&b, 2, 4096);
    budget_spend(&b, NOW, false, false, 10);
    budget_spend(&b, NOW, false, false, 10);
    assert_false(budget_allows(&b, NOW, false, 10, 0));
    assert_true(budget_allows(&b, NOW, true, 10, 0));
    budget_spend(&b, NOW, true, false, 10);
    assert_true(budget_allows(&b, NOW, true, 10, 0));
    budget_spend(&b, NOW, true, false, 10);
    assert_false(budget_allows(&b, NOW, true, 10, 0));
}

static void test_bytes_of_a_minute(void **state)
{
    (void)state;
    struct budget b;
    budget_init(&b, 10, 100);
    assert_int_equal(budget_bytes_left(&b, NOW), 1000);
    budget_spend(&b, NOW, true, false, 600);
    assert_int_equal(budget_bytes_left(&b, NOW), 400);
    assert_true(budget_allows(&b, NOW, true, 300, 100)); // a digest still fits behind it
    assert_false(budget_allows(&b, NOW, true, 301, 100));
    assert_true(budget_allows(&b, NOW, false, 100, 100)); // and two critical ones
    assert_false(budget_allows(&b, NOW, false, 101, 100));
    assert_int_equal(budget_bytes_left(&b, NOW + 61000), 1000);
}

static void test_room_for_one_whatever_it_is(void **state)
{
    (void)state;
    struct budget b;
    budget_init(&b, 1, 10);
    assert_true(budget_allows(&b, NOW, false, 5000, 5000));
    budget_spend(&b, NOW, false, false, 5000);
    assert_false(budget_allows(&b, NOW + 1000, true, 1, 0));
    assert_true(budget_allows(&b, NOW + 61000, false, 5000, 5000));
}

static void test_one_digest_a_minute(void **state)
{
    (void)state;
    struct budget b;
    budget_init(&b, 2, 100);
    assert_true(budget_allows_digest(&b, NOW));
    budget_spend(&b, NOW, false, true, 50);
    assert_false(budget_allows_digest(&b, NOW));
    assert_false(budget_allows_digest(&b, NOW + 59999));
    assert_true(budget_allows_digest(&b, NOW + 60000));
    assert_int_equal(budget_bytes_left(&b, NOW), 150);
    budget_spend(&b, NOW, false, false, 1); // it took no event's place
    assert_true(budget_allows(&b, NOW, false, 1, 0));
}

static void test_largest_values(void **state)
{
    (void)state;
    struct budget b;
    budget_init(&b, 1000000000, 1000000000);
    assert_true(budget_allows(&b, NOW, false, 1000000000, 1000000000));
    budget_init(&b, INT64_MAX, INT64_MAX);
    assert_true(budget_bytes_left(&b, NOW) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_of_a_minute),
        cmocka_unit_test(test_a_minute_is_never_short),
        cmocka_unit_test(test_criticals_count_among_themselves),
        cmocka_unit_test(test_bytes_of_a_minute),
        cmocka_unit_test(test_room_for_one_whatever_it_is),
        cmocka_unit_test(test_one_digest_a_minute),
        cmocka_unit_test(test_largest_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
