#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/schema.h"
#include "test/support/temp_store.h"

static void test_every_step_is_one(void **state)
{
    (void)state;
    assert_true(schema_version >= 2);
    for (size_t i = 0; i < schema_version; i++)
        assert_true(schema_steps[i] && schema_steps[i][0]);
}

// What other people's columns mean is fixed by their numbers; that they are there, by this.
static void test_tables_take_rows(void **state)
{
    (void)state;
    struct temp_store t;
    temp_store_open(&t);
    run_sql(
        t.store,
        "INSERT INTO problem(alertname, cluster, namespace, service) VALUES('a', 'b', 'c', 'd')");
    run_sql(t.store, "INSERT INTO incident(problem_id, environment, source, severity, opened_at, "
                     "last_seen_at, asked_at,"
                     " since_at, since_boot) VALUES(1, 1, 's', 2, 5, 5, 5, 5, 5)");
    assert_int_equal(
        ask_int(t.store,
                "SELECT state + status + kind + members + flaps + notifications + deliveries"
                " + delivery + truncated + tell_resolved FROM incident"),
        0);
    assert_int_equal(ask_int(t.store, "SELECT verdict IS NULL AND due_at IS NULL AND closed_at IS "
                                      "NULL AND paged_at IS NULL FROM incident"),
                     1);
    // Ids of incidents and escalations are named to people: never given twice.
    run_sql(t.store, "DELETE FROM incident");
    run_sql(t.store, "INSERT INTO incident(problem_id, environment, source, severity, opened_at, "
                     "last_seen_at, asked_at,"
                     " since_at, since_boot) VALUES(1, 1, 's', 2, 5, 5, 5, 5, 5)");
    assert_int_equal(ask_int(t.store, "SELECT max(id) FROM incident"), 2);
    run_sql(t.store, "INSERT INTO page(at, severity, text) VALUES(1, 'info', 't')");
    assert_int_equal(ask_int(t.store, "SELECT queued FROM page"), 0);
    temp_store_close(&t);
}

static void test_foreign_keys_fit(void **state)
{
    (void)state;
    struct temp_store t;
    temp_store_open(&t);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_true(stmt_run(store_sql(
                    t.store,
                    "INSERT INTO verdict(incident_id, at, verdict, summary, root_cause, action, by)"
                    " VALUES(7, 1, 1, '', '', '', '')")) < 0);
    temp_store_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_step_is_one),
        cmocka_unit_test(test_tables_take_rows),
        cmocka_unit_test(test_foreign_keys_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
