#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "channels/webhook/digest.h"
#include "test/support/delivery_bench.h"

#define MANY (2 * DIGEST_PART + 10)
#define RECORDED "SELECT count(*) FROM incident WHERE deliveries = 1"

static struct delivery_bench b;

static int setup(void **state)
{
    (void)state;
    delivery_bench_open(&b);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    delivery_bench_close(&b);
    next_event(NULL);
    return 0;
}

// Many incidents, ids 1 to MANY, that nobody has looked at.
static void fill(void)
{
    take_alert(&b.t, clock_wall_ms(), alert_made("Slow", "first"));
    assert_int_equal(store_begin(b.t.store), 0);
    for (int i = 1; i < MANY; i++)
        run_sql(b.t.store, "INSERT INTO incident(problem_id, environment, source, severity, "
                           "opened_at, last_seen_at, asked_at, since_at, since_boot, due_at)"
                           " SELECT problem_id, environment, source, severity, opened_at, "
                           "last_seen_at, asked_at, since_at, since_boot, due_at"
                           " FROM incident WHERE id = 1");
    assert_int_equal(store_commit(b.t.store), 0);
}

static void test_recorded_in_parts(void **state)
{
    (void)state;
    fill();
    struct digest_note note = {.session_start = true, .wall = clock_wall_ms(), .due_at = 77};
    struct digest_totals totals;
    assert_int_equal(digest_choose_waiting(b.t.store, note.wall + 1, note.wall), 0);
    assert_int_equal(digest_total(b.t.store, &totals), 0);
    assert_int_equal(totals.incidents, MANY);
    assert_int_equal(digest_record(b.t.store, &note), 1);
    assert_int_equal(ask_int(b.t.store, RECORDED), DIGEST_PART);
    // What the session does meanwhile stays as it is.
    assert_int_equal(incident_taken(b.t.store, &b.t.config, DIGEST_PART + 1, note.wall), 0);
    run_sql(b.t.store, "UPDATE incident SET state = 3, verdict = 1, due_at = NULL WHERE id = 1002");
    run_sql(b.t.store, "UPDATE incident SET asked_at = asked_at + 1 WHERE id = 1003");
    assert_int_equal(digest_record(b.t.store, &note), 1);
    assert_int_equal(digest_record(b.t.store, &note), 0);
    assert_int_equal(digest_record(b.t.store, &note), 0); // nothing is left
    assert_int_equal(ask_int(b.t.store, RECORDED " AND due_at = 77 AND state = 1"), MANY - 3);
    assert_int_equal(STATE_OF(&b, 1001), STATE_TAKEN);
    assert_int_equal(STATE_OF(&b, 1002), STATE_DECIDED);
    assert_int_equal(DUE_OF(&b, 1003), 0); // asked anew: it was not in the digest
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM trail WHERE action = 'pushed'"),
                     MANY);
}

static void test_taken_back(void **state)
{
    (void)state;
    fill();
    struct digest_note note = {.wall = clock_wall_ms(), .due_at = 77};
    assert_int_equal(digest_choose_due(b.t.store, 5), 0);
    assert_int_equal(digest_record(b.t.store, &note), 1);
    assert_int_equal(digest_take_back(b.t.store, &note), 0);
    assert_int_equal(digest_record(b.t.store, &note), 0); // the rest is forgotten
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM incident WHERE due_at = 0 AND "
                                        "deliveries = 0 AND delivery = 0"),
                     MANY);
}

// The session's first digest counts them all at once, and none comes on its own while the parts of
// it are recorded.
static void test_session_that_begins(void **state)
{
    (void)state;
    fill();
    fake_elapsed_ms += 1000;
    begin(&b);
    delivery_session_ready(b.delivery);
    for (int i = 0; i < 100 && !events_waiting(&b); i++)
        pass(&b, 50);
    const cJSON *e = next_event(&b);
    assert_string_equal(meta_value(e, "kind"), "digest");
    assert_string_equal(meta_value(e, "incidents"), "2010");
    int64_t recorded = ask_int(b.t.store, RECORDED);
    assert_true(recorded < MANY);
    arrive(&b, alert_made("New", "new"));
    pass(&b, 5000);
    assert_int_equal(ask_int(b.t.store, RECORDED), MANY + 1);
    assert_string_equal(meta_value(next_event(&b), "alertname"), "New");
    assert_int_equal(events_waiting(&b), 0);
}

// A session that cannot be written to hears all of it later, once.
static void test_session_that_does_not_read(void **state)
{
    (void)state;
    fill();
    fake_elapsed_ms += 1000;
    begin(&b);
    b.mcp.sink_error = -ENOBUFS;
    delivery_session_ready(b.delivery);
    pass(&b, 3000);
    assert_int_equal(ask_int(b.t.store, RECORDED), 0);
    b.mcp.sink_error = 0;
    pass(&b, 5000);
    assert_string_equal(meta_value(next_event(&b), "incidents"), "2010");
    assert_int_equal(events_waiting(&b), 0);
    assert_int_equal(ask_int(b.t.store, RECORDED), MANY);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_recorded_in_parts),
        T(test_taken_back),
        T(test_session_that_begins),
        T(test_session_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
