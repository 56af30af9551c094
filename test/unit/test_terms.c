#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/terms.h"

// The numbers are in people's stores: this test is the only thing that may never be adapted.
static void test_stored_numbers(void **state)
{
    (void)state;
    assert_int_equal(KIND_ALERT, 0);
    assert_int_equal(KIND_TEST, 1);
    assert_int_equal(KIND_OVERSIZED, 2);
    static const char *const statuses[] = {"firing", "resolved", "stale"};
    static const char *const states[] = {"new", "pushed", "taken", "decided"};
    static const char *const verdicts[] = {"noise", "auto_fixed", "escalated", "real", "unsure"};
    static const char *const severities[] = {"unknown", "info", "warning", "error", "critical"};
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_string_equal(status_name((int64_t)i), statuses[i]);
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        assert_string_equal(state_name((int64_t)i), states[i]);
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        assert_string_equal(verdict_name((int64_t)i + 1), verdicts[i]);
        assert_int_equal(verdict_named(verdicts[i]), i + 1);
        assert_string_equal(verdict_names[i], verdicts[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(severities); i++) {
        assert_string_equal(severity_name((enum alert_severity)i), severities[i]);
        assert_string_equal(severity_words[4 - i], severities[i]); // worst first
    }
    assert_null(verdict_names[5]);
    assert_null(severity_words[5]);
}

static void test_what_is_none(void **state)
{
    (void)state;
    assert_null(verdict_name(VERDICT_NONE));
    assert_null(verdict_name(6));
    assert_null(verdict_name(-1));
    assert_string_equal(status_name(3), "unknown");
    assert_string_equal(status_name(-1), "unknown");
    assert_string_equal(state_name(4), "unknown");
    assert_string_equal(state_name(INT64_MIN), "unknown");
    static const char *const wrong[] = {"", "Noise", "noise ", "auto-fixed", "none"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(verdict_named(wrong[i]), VERDICT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored_numbers),
        cmocka_unit_test(test_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
