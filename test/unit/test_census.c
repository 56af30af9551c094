#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/webhook/census.h"
#include "channels/webhook/incident.h"
#include "test/support/store_fixture.h"

#include "test/support/alert_maker.h"

#define T0 1700000000000

// The counts are those of the incidents themselves.
static void is_true(void)
{
    static const char differ[] =
        "SELECT count(*) FROM (SELECT * FROM (SELECT cluster, severity, test, firing, state, "
        "verdict, n FROM census WHERE n <> 0 UNION ALL"
        " SELECT p.cluster, i.severity, i.kind = 1, i.status = 0, i.state, coalesce(i.verdict, 0), "
        "count(*) FROM incident i JOIN problem p ON p.id = i.problem_id GROUP BY 1, 2, 3, 4, 5, 6)"
        " GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING count(*) <> 2)";
    assert_int_equal(ask_int(t.store, differ), 0);
}

static int64_t count(enum census_of of, int64_t severity, const char *cluster, bool tests)
{
    struct census_query q = {.of = of, .severity = severity, .cluster = cluster, .tests = tests};
    int64_t n = -1;
    assert_int_equal(census_count(t.store, &q, &n), 0);
    return n;
}

static void test_an_empty_store(void **state)
{
    (void)state;
    int64_t n = -1;
    assert_int_equal(count(CENSUS_ALL, -1, NULL, true), 0);
    assert_int_equal(census_waiting(t.store, &n), 0);
    assert_int_equal(n, 0);
}

static void test_what_happens_to_an_incident(void **state)
{
    (void)state;
    struct alert a = alert_made("A", "a"), b = alert_made("B", "b"), press = alert_made("T", "t");
    b.cluster = "dev-1";
    press.test = true;
    int64_t first = take_alert(&t, T0, a), second = take_alert(&t, T0, b);
    take_alert(&t, T0, press);
    is_true();
    assert_int_equal(count(CENSUS_UNDECIDED, -1, NULL, false), 2);
    assert_int_equal(count(CENSUS_ALL, -1, NULL, true), 3);
    assert_int_equal(count(CENSUS_ALL, -1, "dev-1", false), 1);

    struct alert worse = alert_made("A", "a2");
    worse.severity = SEVERITY_CRITICAL;
    assert_int_equal(take_alert(&t, T0 + 1000, worse), first);
    is_true();
    assert_int_equal(count(CENSUS_OPEN, SEVERITY_CRITICAL, NULL, false), 1);
    assert_int_equal(count(CENSUS_OPEN, SEVERITY_WARNING, "platform", false), 0);

    assert_int_equal(incident_taken(t.store, &t.config, second, T0), 0);
    is_true();
    decide(&t, second, VERDICT_UNSURE, T0);
    is_true();
    assert_int_equal(count(CENSUS_UNDECIDED, -1, "dev-1", false), 1);
    decide(&t, second, VERDICT_NOISE, T0);
    is_true();
    assert_int_equal(count(CENSUS_UNDECIDED, -1, NULL, false), 1);
    take_end(&t, T0 + 2000, b);
    is_true();
    assert_int_equal(count(CENSUS_OPEN, -1, NULL, false), 1);

    run_sql(t.store, "DELETE FROM alert");
    run_sql(t.store, "DELETE FROM verdict");
    run_sql(t.store, "DELETE FROM incident WHERE id = 2");
    is_true();
    assert_int_equal(count(CENSUS_ALL, -1, NULL, false), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_empty_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_happens_to_an_incident, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
