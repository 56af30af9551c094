#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/program.h"

static int shell(const char *script, int64_t ms, struct buf *out)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    return program_run(argv, ms, out);
}

static void test_what_it_says_and_how_it_ends(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(4096);
    assert_int_equal(shell("echo out; echo err >&2; cat; exit 7", 5000, &out), 7);
    assert_string_equal(buf_cstr(&out), "out\nerr\n");
    buf_clear(&out);
    assert_int_equal(shell("kill -TERM $$", 5000, &out), 128 + SIGTERM);
    buf_done(&out);
}

static void test_more_than_fits(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(100);
    assert_int_equal(shell("head -c 300000 /dev/zero | tr '\\0' x", 5000, &out), 0);
    assert_int_equal(out.len, 100);
    assert_int_equal(out.error, 0);
    buf_done(&out);
}

static void test_there_is_none(void **state)
{
    (void)state;
    const char *const argv[] = {"no-such-program-anywhere", NULL};
    struct buf out = BUF_INIT(100);
    // 127: where vfork is a fork (valgrind), posix_spawn learns of it by the child's end only
    int r = program_run(argv, 1000, &out);
    assert_true(r == -ENOENT || r == 127);
    buf_done(&out);
}

static void test_it_takes_too_long(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(100);
    int64_t began = clock_boot_ms();
    assert_int_equal(shell("echo $$; sleep 60 & wait", 200, &out), -ETIMEDOUT);
    assert_true(clock_boot_ms() - began < 5000);
    pid_t pid = (pid_t)strtol(buf_cstr(&out), NULL, 10);
    assert_true(pid > 1);
    for (int i = 0; i < 200 && kill(-pid, 0) == 0; i++) // nothing of its group is left
        usleep(10000);
    assert_int_equal(kill(-pid, 0), -1);
    buf_clear(&out);
    assert_int_equal(shell("exec >&- 2>&-; sleep 60", 200, &out), -ETIMEDOUT); // says no more
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_says_and_how_it_ends),
        cmocka_unit_test(test_more_than_fits),
        cmocka_unit_test(test_there_is_none),
        cmocka_unit_test(test_it_takes_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
