// The part of a day at which a window begins, problem by problem.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/webhook/tally_edge.h"
#include "channels/webhook/terms.h"
#include "test/support/temp_store.h"

#define DAY (86400ll * 1000)
#define MIDNIGHT (19000 * DAY)
#define SINCE (MIDNIGHT + 6 * 3600 * 1000ll)

// 400 problems with an incident each hour of a day; the verdict of each is noise, or real where
// the problem's number is even.
static void fill(struct store *s)
{
    run_sql(s, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) "
               "INSERT INTO problem(alertname, cluster, namespace, service) SELECT 'A', 'c', 'n', "
               "'s-' || i FROM n");
    struct stmt *q = store_sql(
        s, "WITH RECURSIVE h(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM h WHERE i < 23) "
           "INSERT INTO incident(problem_id, kind, environment, source, severity, status, state, "
           "verdict, opened_at, last_seen_at, closed_at, asked_at, since_at, since_boot, "
           "decided_at) SELECT p.id, 0, 0, 'x', 2, 1, 3, CASE p.id % 2 WHEN 0 THEN 4 ELSE 1 END, "
           "?1 + h.i * 3600000, 1, 1, 1, 1, 0, 1 FROM problem p, h");
    bind_int(q, 1, MIDNIGHT);
    assert_int_equal(stmt_run(q), 0);
}

static void test_each_problem_has_its_own(void **state)
{
    (void)state;
    struct temp_store t;
    struct tally_edge e;
    temp_store_open(&t);
    run_sql(t.store, "BEGIN");
    fill(t.store);
    run_sql(t.store, "COMMIT");
    struct tally_window w = tally_window(SINCE);
    assert_int_equal(tally_edge_read(t.store, &w, &e), 0);
    assert_int_equal(e.n, 400);
    assert_int_equal(tally_total(&e.all), 400 * 18);
    assert_int_equal(e.all.noise, 200 * 18);
    for (int64_t id = 1; id <= 400; id++) {
        const struct tally *one = tally_edge_of(&e, id);
        assert_non_null(one);
        assert_int_equal(one->real, id % 2 ? 0 : 18);
        assert_int_equal(one->noise, id % 2 ? 18 : 0);
    }
    assert_null(tally_edge_of(&e, 401));
    tally_edge_done(&e);
    assert_null(tally_edge_of(&e, 1));
    temp_store_close(&t);
}

static void test_a_store_that_cannot_be_read(void **state)
{
    (void)state;
    struct temp_store t;
    struct tally_edge e = {.n = 7};
    temp_store_open(&t);
    run_sql(t.store, "ALTER TABLE incident RENAME TO away");
    struct tally_window w = tally_window(SINCE);
    assert_true(tally_edge_read(t.store, &w, &e) < 0);
    assert_int_equal(e.n, 7); // written only on success
    temp_store_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_problem_has_its_own),
        cmocka_unit_test(test_a_store_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
