#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/webhook/id_set.h"

static void test_order_and_repeats(void **state)
{
    (void)state;
    struct id_set set = {0};
    static const int64_t ids[] = {7, 1, 7, INT64_MAX, 0, 1, -3};
    static const int news[] = {1, 1, 0, 1, 1, 0, 1};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        assert_int_equal(id_set_add(&set, ids[i]), news[i]);
    assert_int_equal(set.n, 5);
    static const int64_t want[] = {7, 1, INT64_MAX, 0, -3};
    assert_memory_equal(set.ids, want, sizeof want);
    id_set_done(&set);
    assert_int_equal(set.n, 0);
    id_set_done(&set);
}

static void test_many(void **state)
{
    (void)state;
    struct id_set set = {0};
    for (int round = 0; round < 2; round++)
        for (int64_t i = 0; i < 20000; i++)
            assert_int_equal(id_set_add(&set, i * 4294967296),
                             round == 0); // alike in their low bits
    assert_int_equal(set.n, 20000);
    for (int64_t i = 0; i < 20000; i++)
        assert_int_equal(set.ids[i], i * 4294967296);
    id_set_done(&set);
}

static void test_truncate(void **state)
{
    (void)state;
    struct id_set set = {0};
    id_set_truncate(&set, 0);
    for (int64_t i = 1; i <= 100; i++)
        assert_int_equal(id_set_add(&set, i), 1);
    id_set_truncate(&set, 200);
    assert_int_equal(set.n, 100);
    id_set_truncate(&set, 40);
    assert_int_equal(set.n, 40);
    assert_int_equal(id_set_add(&set, 40), 0); // kept
    assert_int_equal(id_set_add(&set, 41), 1); // forgotten
    assert_int_equal(set.ids[40], 41);
    id_set_truncate(&set, 0);
    assert_int_equal(id_set_add(&set, 1), 1);
    assert_int_equal(set.n, 1);
    id_set_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_repeats),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_truncate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
