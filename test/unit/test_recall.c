// check_history where more fits the names than is looked at one by one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/recall.h"
#include "test/support/temp_store.h"

#define NOW (20000ll * 86400 * 1000)

static void test_more_problems_than_are_counted(void **state)
{
    (void)state;
    struct temp_store t;
    struct recall *r = malloc(sizeof *r);
    struct buf out = BUF_INIT(1 << 16);
    assert_non_null(r);
    temp_store_open(&t);
    run_sql(t.store, "BEGIN");
    run_sql(t.store, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                     "1500) INSERT INTO problem(alertname, cluster, namespace, service) SELECT 'A' "
                     "|| (i % 3), 'c', 'n', 's-' || i FROM n");
    struct stmt *q = store_sql(
        t.store, "INSERT INTO incident(problem_id, kind, environment, source, severity, status, "
                 "state, verdict, opened_at, last_seen_at, closed_at, asked_at, since_at, "
                 "since_boot, decided_at) SELECT id, 0, 0, 'x', 2, 1, 3, 1, ?1 - id * 1000, 1, 1, "
                 "1, 1, 0, 1 FROM problem");
    bind_int(q, 1, NOW);
    assert_int_equal(stmt_run(q), 0);
    run_sql(t.store, "COMMIT");

    struct recall_query query = {.namespace = "n", .days = 30, .now = NOW, .limit = 5};
    assert_int_equal(recall_read(t.store, &query, r), 0);
    assert_true(r->some);
    assert_int_equal(r->problems, 1000);
    assert_int_equal(r->counts.noise, 1000);
    assert_int_equal(r->n, 5);
    for (int i = 0; i < 5; i++) // the newest of all, whatever was counted
        assert_int_equal(r->ids[i], i + 1);
    assert_int_equal(recall_text(t.store, r, &out), 0);
    assert_non_null(strstr(buf_cstr(&out), "1000x in the last 30 days: 1000 noise; more than 1000 "
                                           "problems fit, counted are these: name more\n"));

    // A rule has a count of its own, and that is exact.
    query = (struct recall_query){.alertname = "A1", .days = 30, .now = NOW, .limit = 5};
    assert_int_equal(recall_read(t.store, &query, r), 0);
    assert_false(r->some);
    assert_int_equal(r->counts.noise, 500);

    query = (struct recall_query){.incident_id = 99999, .days = 30, .now = NOW, .limit = 5};
    assert_int_equal(recall_read(t.store, &query, r), -ENOENT);
    buf_done(&out);
    free(r);
    temp_store_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_problems_than_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
