#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/output.h"

// Makes fd 1 the write end of a pipe for one call; cmocka itself writes to the same descriptor.
static int saved = -1, reader = -1;

static void divert(void)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(stdout);
    saved = dup(STDOUT_FILENO);
    dup2(fds[1], STDOUT_FILENO);
    close(fds[1]);
    reader = fds[0];
}

static void restore(void)
{
    dup2(saved, STDOUT_FILENO);
    close(saved);
}

static void test_all_of_it(void **state)
{
    (void)state;
    char got[16] = "";
    divert();
    int r = output(str_of("two\n")), empty = output((struct str){NULL, 0});
    restore();
    assert_int_equal(r, 0);
    assert_int_equal(empty, 0);
    assert_int_equal(read(reader, got, sizeof got), 4);
    assert_string_equal(got, "two\n");
    close(reader);
}

// More than a pipe holds, to a reader that is slow.
static void test_waits_for_the_reader(void **state)
{
    (void)state;
    size_t n = 1 << 20;
    char *text = malloc(n);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + i % 26);
    divert();
    pid_t child = fork();
    if (child == 0) {
        size_t got = 0;
        char part[5000];
        ssize_t k;
        close(STDOUT_FILENO);
        while ((k = read(reader, part, sizeof part)) > 0) {
            if (memcmp(part, text + got, (size_t)k) != 0)
                _exit(1);
            got += (size_t)k;
        }
        _exit(got == n ? 0 : 2);
    }
    int r = output((struct str){text, n});
    restore();
    int status = -1;
    waitpid(child, &status, 0);
    close(reader);
    free(text);
    assert_int_equal(r, 0);
    assert_int_equal(status, 0);
}

static void test_nobody_reads(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    divert();
    close(reader);
    int r = output(str_of("x"));
    restore();
    assert_int_equal(r, -EPIPE);
}

static void test_flush(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(4);
    char got[16] = "";
    buf_adds(&b, "abcd");
    divert();
    int r = output_flush(&b), again = output_flush(&b);
    restore();
    assert_int_equal(r, 0);
    assert_int_equal(again, 0);
    assert_int_equal(read(reader, got, sizeof got), 4);
    assert_int_equal(b.len, 0);
    close(reader);

    buf_adds(&b, "abcde"); // too much for it: nothing is printed as if it were whole
    divert();
    r = output_flush(&b);
    restore();
    fcntl(reader, F_SETFL, O_NONBLOCK);
    assert_int_equal(r, -E2BIG);
    assert_true(read(reader, got, sizeof got) <= 0);
    assert_int_equal(b.error, 0); // and it can be used again
    close(reader);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_it),
        cmocka_unit_test(test_waits_for_the_reader),
        cmocka_unit_test(test_nobody_reads),
        cmocka_unit_test(test_flush),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
