#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/arena.h"

static void test_bytes_stay_where_they_are(void **state)
{
    (void)state;
    struct arena a = {.chunks = NULL};
    char *kept[1000];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 1000; i++) {
            size_t n = i % 97 == 0 ? 40000 : 1 + i % 50;
            kept[i] = arena_reserve(&a, n);
            assert_non_null(kept[i]);
            memset(kept[i], (int)(i & 0x7f), n);
            arena_keep(&a, n);
        }
        for (size_t i = 0; i < 1000; i++)
            assert_int_equal(kept[i][0], i & 0x7f);
        arena_reset(&a);
    }
    arena_done(&a);
    arena_done(&a);
}

static void test_what_is_not_kept_is_reused(void **state)
{
    (void)state;
    struct arena a = {.chunks = NULL};
    char *first = arena_reserve(&a, 10);
    assert_ptr_equal(arena_reserve(&a, 20), first);
    arena_keep(&a, 4);
    assert_ptr_equal(arena_reserve(&a, 1), first + 4);
    arena_reset(&a);
    assert_ptr_equal(arena_reserve(&a, 1), first);
    arena_done(&a);
}

static void test_failure_sticks_until_the_reset(void **state)
{
    (void)state;
    struct arena a = {.chunks = NULL};
    assert_null(arena_reserve(&a, SIZE_MAX));
    assert_true(a.failed);
    assert_non_null(arena_reserve(&a, 1));
    assert_true(a.failed);
    arena_reset(&a);
    assert_false(a.failed);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_stay_where_they_are),
        cmocka_unit_test(test_what_is_not_kept_is_reused),
        cmocka_unit_test(test_failure_sticks_until_the_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
