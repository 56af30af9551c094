#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"

static char line[20000];
static int saved_stderr, reader;

// stderr goes into a pipe while the call runs.
static void begin(void)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    reader = fds[0];
}

// The line without its time.
static const char *end(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    size_t n = 0;
    ssize_t r;
    while ((r = read(reader, line + n, sizeof line - 1 - n)) > 0)
        n += (size_t)r;
    close(reader);
    line[n] = '\0';
    if (n == 0)
        return "";
    assert_memory_equal(line, "time=20", 7);
    char *level = strstr(line, " level=");
    assert_non_null(level);
    return level + 1;
}

static void test_pairs(void **state)
{
    (void)state;
    begin();
    log_warn("request refused", "peer", "127.0.0.1:5", "none", (const char *)NULL, "n",
             log_int(-42), "why", "a \"b\" = c\\", "empty", "");
    assert_string_equal(end(), "level=warn msg=\"request refused\" peer=127.0.0.1:5 n=-42 "
                               "why=\"a \\\"b\\\" = c\\\\\" empty=\"\"\n");
}

static void test_hostile_values_stay_one_line(void **state)
{
    (void)state;
    begin();
    log_info("x", "v", "a\nlevel=error msg=forged\x1b[31m\xff", "u", "http://u:pw@h", "token",
             "abc");
    assert_string_equal(end(), "level=info msg=x v=\"a level=error msg=forged\xef\xbf\xbd\" "
                               "u=http://u:[redacted:password]@h token=[redacted:secret]\n");
}

static void test_levels(void **state)
{
    (void)state;
    enum log_level level = LOG_WARN;
    assert_int_equal(log_level_parse("nonsense", &level), -EINVAL);
    assert_int_equal(log_level_parse(NULL, &level), -EINVAL);
    assert_int_equal(level, LOG_WARN);
    assert_int_equal(log_level_parse("Debug", &level), 0);
    assert_int_equal(level, LOG_DEBUG);
    begin();
    log_debug("hidden");
    assert_string_equal(end(), "");
    log_set_level(LOG_DEBUG);
    begin();
    log_debug("shown");
    assert_string_equal(end(), "level=debug msg=shown\n");
    log_set_level(LOG_ERROR);
    begin();
    log_warn("hidden");
    assert_string_equal(end(), "");
    log_set_level(LOG_INFO);
}

static void test_caps(void **state)
{
    (void)state;
    char *big = malloc(100000);
    memset(big, 'x', 99999);
    big[99999] = '\0';
    begin();
    log_info("m", "big", big, "after", "1");
    const char *got = end();
    assert_non_null(strstr(got, "(98975 bytes left out)\" after=1\n"));
    begin();
    log_info("m", "a", big, "b", big, "c", big, "d", big, "e", big, "f", big, "g", big, "h", big,
             "i", big);
    got = end();
    assert_true(strlen(got) < 8200);
    assert_int_equal(got[strlen(got) - 1], '\n');
    free(big);
}

static void test_eight_numbers_in_a_call(void **state)
{
    (void)state;
    begin();
    log_info("n", "a", log_int(1), "b", log_int(2), "c", log_int(3), "d", log_int(4), "e",
             log_int(5), "f", log_int(6), "g", log_int(7), "h", log_int(INT64_MIN));
    assert_string_equal(end(),
                        "level=info msg=n a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=-9223372036854775808\n");
}

static void test_closed_stderr_is_survived(void **state)
{
    (void)state;
    int keep = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    log_error("nobody reads this");
    dup2(keep, STDERR_FILENO);
    close(keep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_hostile_values_stay_one_line),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_eight_numbers_in_a_call),
        cmocka_unit_test(test_closed_stderr_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
