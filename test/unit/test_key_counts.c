#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "channels/webhook/key_counts.h"

static void test_sums(void **state)
{
    (void)state;
    struct key_counts k = {0};
    struct key_count top[4];
    assert_int_equal(key_counts_top(&k, 4, top), 0);
    static const struct {
        const char *key;
        int64_t n;
    } adds[] = {{"b", 2}, {"a", 1}, {"c", 5}, {"a", 1}, {"", 9}, {"d", 1}};
    for (size_t i = 0; i < ARRAY_LEN(adds); i++)
        assert_int_equal(key_counts_add(&k, adds[i].key, adds[i].n), 0);
    assert_int_equal(k.n, 5);
    assert_int_equal(key_counts_top(&k, 4, top), 4);
    static const char *const order[] = {"", "c", "a", "b"}; // equal ones by name
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(top[i].key, order[i]);
    assert_int_equal(top[2].n, 2);
    assert_int_equal(key_counts_top(&k, 0, top), 0);
    key_counts_done(&k);
    assert_int_equal(k.room, 0);
}

static void test_many(void **state)
{
    (void)state;
    struct key_counts k = {0};
    struct key_count top[3];
    char key[32];
    for (size_t i = 0; i < KEY_COUNTS_MAX + 10; i++) {
        snprintf(key, sizeof key, "key %zu", i);
        assert_int_equal(key_counts_add(&k, key, (int64_t)(i % 70000)), 0);
    }
    assert_int_equal(k.n, KEY_COUNTS_MAX); // the last ten are not counted
    assert_int_equal(key_counts_add(&k, "key 7", 1000000), 0);
    assert_int_equal(key_counts_top(&k, 3, top), 3);
    assert_string_equal(top[0].key, "key 7");
    assert_string_equal(top[1].key, "key 65535");
    assert_int_equal(top[2].n, 65534);
    key_counts_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
