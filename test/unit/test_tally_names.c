#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "channels/webhook/tally_names.h"

static void add(struct tally_names *t, const char *name, int64_t n)
{
    struct tally_name *place;
    assert_int_equal(tally_names_place(t, name, &place), 0);
    if (place)
        place->rank += n;
}

static void test_sums(void **state)
{
    (void)state;
    struct tally_names t = {0};
    const struct tally_name *top[4];
    assert_int_equal(tally_names_top(&t, 4, top), 0);
    static const struct {
        const char *name;
        int64_t n;
    } adds[] = {{"b", 2}, {"a", 1}, {"c", 5}, {"a", 1}, {"", 9}, {"d", 1}};
    for (size_t i = 0; i < ARRAY_LEN(adds); i++)
        add(&t, adds[i].name, adds[i].n);
    assert_int_equal(t.n, 5);
    assert_int_equal(tally_names_top(&t, 4, top), 4);
    static const char *const order[] = {"", "c", "a", "b"}; // equal ones by name
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(top[i]->name, order[i]);
    assert_int_equal(top[2]->rank, 2);
    assert_int_equal(tally_names_top(&t, 0, top), 0);
    tally_names_done(&t);
    assert_int_equal(t.room, 0);
}

static void test_many(void **state)
{
    (void)state;
    struct tally_names t = {0};
    const struct tally_name *top[3];
    char name[32];
    for (size_t i = 0; i < TALLY_NAMES_MAX + 10; i++) {
        snprintf(name, sizeof name, "name %zu", i);
        add(&t, name, (int64_t)(i % 70000));
    }
    assert_int_equal(t.n, TALLY_NAMES_MAX); // the last ten are not counted
    add(&t, "name 7", 1000000);
    assert_int_equal(tally_names_top(&t, 3, top), 3);
    assert_string_equal(top[0]->name, "name 7");
    assert_string_equal(top[1]->name, "name 65535");
    assert_int_equal(top[2]->rank, 65534);
    tally_names_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
