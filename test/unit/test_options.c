#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "common/options.h"

static struct option options[3];
static const char *words[2];
static int n_words;
static char why[256];

// The arguments in one string, separated by '|'.
static int parse(const char *arguments)
{
    static char text[256];
    char *argv[16];
    int argc = 0;
    snprintf(text, sizeof text, "%s", arguments);
    for (char *p = text, *end; *text && p; p = end) {
        end = strchr(p, '|');
        if (end)
            *end++ = '\0';
        argv[argc++] = p;
    }
    options[0] = (struct option){"--json", OPTION_FLAG, 0, 0, NULL, 0};
    options[1] = (struct option){"--state", OPTION_TEXT, 0, 0, "undecided", 0};
    options[2] = (struct option){"--days", OPTION_NUMBER, 1, 3650, NULL, 7};
    struct buf b = BUF_INIT(256);
    n_words = -1;
    int r = options_parse(argc, argv, options, ARRAY_LEN(options), words, ARRAY_LEN(words),
                          &n_words, &b);
    snprintf(why, sizeof why, "%s", buf_cstr(&b));
    buf_done(&b);
    return r;
}

static void test_defaults_stay(void **state)
{
    (void)state;
    assert_int_equal(parse(""), 0);
    assert_int_equal(n_words, 0);
    assert_int_equal(options[0].number, 0);
    assert_string_equal(options[1].text, "undecided");
    assert_int_equal(options[2].number, 7);
    assert_string_equal(why, "");
}

static void test_values_and_words(void **state)
{
    (void)state;
    assert_int_equal(parse("412|--state|all|--json|last|--days|3650"), 0);
    assert_int_equal(n_words, 2);
    assert_string_equal(words[0], "412");
    assert_string_equal(words[1], "last");
    assert_int_equal(options[0].number, 1);
    assert_string_equal(options[1].text, "all");
    assert_int_equal(options[2].number, 3650);

    assert_int_equal(parse("--days|1|--days|2|-|-x"), 0); // the last one counts; one dash is a word
    assert_int_equal(options[2].number, 2);
    assert_int_equal(n_words, 2);
    assert_string_equal(words[1], "-x");
    assert_int_equal(parse("--state|"), 0);
    assert_string_equal(options[1].text, "");
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *why;
    } cases[] = {
        {"--nope", "unknown option: --nope"},
        {"--js", "unknown option: --js"},
        {"--jsonx", "unknown option: --jsonx"},
        {"--", "unknown option: --"},
        {"--days", "--days needs a value"},
        {"--json|--state", "--state needs a value"},
        {"a|b|c", "unexpected argument: c"},
        {"--days|0", "--days must be a whole number from 1 to 3650"},
        {"--days|3651", "--days must be a whole number from 1 to 3650"},
        {"--days|-1", "--days must be a whole number from 1 to 3650"},
        {"--days|", "--days must be a whole number from 1 to 3650"},
        {"--days|7d", "--days must be a whole number from 1 to 3650"},
        {"--days|1.5", "--days must be a whole number from 1 to 3650"},
        {"--days|99999999999999999999", "--days must be a whole number from 1 to 3650"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(parse(cases[i].arguments), -EINVAL);
        assert_string_equal(why, cases[i].why);
        assert_int_equal(n_words, -1); // written only on success
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_stay),
        cmocka_unit_test(test_values_and_words),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
