// The draft, of incidents that went one way and the other.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/webhook/postmortem.h"
#include "test/support/temp_store.h"

#include "test/support/past.h"

#define AT 1790000000000 // 2026-09-21T14:13:20Z
#define MINUTE (60 * 1000ll)
#define DAY (24 * 60 * MINUTE)

static struct temp_store t;
static struct buf out;

static int setup(void **state)
{
    (void)state;
    temp_store_open(&t);
    out = BUF_INIT(POSTMORTEM_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&out);
    temp_store_close(&t);
    return 0;
}

static const char *draft_of(int64_t id)
{
    struct incident_view v;
    buf_clear(&out);
    assert_int_equal(incident_view_load(t.store, id, &v), 0);
    assert_int_equal(postmortem_write(t.store, &v, AT + 40 * DAY, &out), 0);
    incident_view_done(&v);
    return buf_cstr(&out);
}

static void has(const char *text, const char *want)
{
    if (!strstr(text, want))
        fail_msg("no \"%s\" in:\n%s", want, text);
}

// What was believed earlier is kept apart from what is known now; what was said twice is said once.
static void test_verdicts_that_changed(void **state)
{
    (void)state;
    int64_t id = past_fire(t.store, (struct past){.alertname = "Disk full",
                                                  .verdict = VERDICT_REAL,
                                                  .at = AT,
                                                  .lasted = 30 * MINUTE,
                                                  .flaps = 2});
    run_sql(t.store,
            "INSERT INTO verdict(incident_id, at, verdict, summary, root_cause, action, by) "
            "VALUES(1, 1790000060000, 1, 'it is nothing', '', '', 'agent'),"
            "(1, 1790000120000, 4, 'logs fill it', 'debug log', 'rotated', 'agent'),"
            "(1, 1790000180000, 4, 'logs fill it', 'debug log', 'rotated', 'U1')");
    run_sql(t.store, "INSERT INTO proposal(kind, unit, scope, problem_id, alertname, cluster, "
                     "family, created_at, noise, title, body, text) SELECT 1, 'u', 0, problem_id, "
                     "'', '', '', 1, 4, 'Wait | longer', '', '' FROM incident");
    const char *text = draft_of(id);
    has(text, "## Summary\n\nlogs fill it\n\n_Earlier, 2026-09-21 14:14:20");
    has(text, "it is nothing");
    has(text, "The alert fired for 30 min, with 2 interruptions.");
    has(text, "## Root cause\n\ndebug log\n\n_Is that the cause");
    assert_null(strstr(strstr(text, "## Root cause"), "_Earlier"));
    has(text, "| Proposal 1: Wait \\| longer | alert rule | _who_ | _when_ |\n");
    run_sql(t.store, "UPDATE incident SET flaps = 1");
    has(draft_of(id), ", with 1 interruption.");
}

static void test_nobody_has_said_anything(void **state)
{
    (void)state;
    int64_t id =
        past_fire(t.store, (struct past){.alertname = "Disk full", .at = AT, .lasted = -1});
    run_sql(t.store, "UPDATE incident SET text = '/data is at *99* %'");
    // Of the meanwhile only the first days, however long it fires.
    run_sql(t.store, "INSERT INTO trail(at, actor, action, detail) VALUES"
                     "(1790000001000, 'guard', 'allowed', 'near'),"
                     "(1793000000000, 'guard', 'allowed', 'far')");
    const char *text = draft_of(id);
    has(text, "The alert said: /data is at \\*99\\* %\n");
    has(text, "The alert still fires, for 40 d");
    has(text, "_Not known yet._");
    has(text, "allowed: near");
    assert_null(strstr(text, "allowed: far"));
}

static void test_a_store_that_cannot_be_read(void **state)
{
    (void)state;
    struct incident_view v;
    int64_t id = past_fire(t.store, (struct past){.alertname = "A", .at = AT, .lasted = MINUTE});
    static const char *const tables[] = {"ALTER TABLE proposal RENAME TO a1",
                                         "ALTER TABLE tally RENAME TO a2",
                                         "ALTER TABLE verdict RENAME TO a3"};
    assert_int_equal(incident_view_load(t.store, id, &v), 0);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        run_sql(t.store, tables[i]);
        buf_clear(&out);
        assert_true(postmortem_write(t.store, &v, AT, &out) < 0);
    }
    incident_view_done(&v);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_verdicts_that_changed),
        T(test_nobody_has_said_anything),
        T(test_a_store_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
