#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "channels/webhook/delivery.h"
#include "channels/webhook/pager.h"
#include "channels/webhook/trail.h"
#include "common/clock.h"
#include "common/lease.h"
#include "test/support/fake_clock.h"
#include "test/support/temp_store.h"

#include "test/support/alert_maker.h"

#define SECOND 1000ll

static struct temp_store t;

static int setup(void **state)
{
    (void)state;
    fake_elapsed_ms = fake_wall_shift_ms = 0;
    temp_store_open(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_store_close(&t);
    return 0;
}

static int run(void)
{
    return pager_run(t.store, &t.config, clock_wall_ms(), clock_boot_ms());
}

static int64_t fire(const char *name, enum alert_severity severity, const char *cluster)
{
    struct alert a = alert_made(name, name);
    a.severity = severity;
    a.cluster = cluster;
    return take_alert(&t, clock_wall_ms(), a);
}

static int64_t pages(void)
{
    return ask_int(t.store, "SELECT count(*) FROM page");
}

static const char *last_page(void)
{
    return ask_text(t.store, "SELECT severity || '|' || coalesce(incident_id, '') || '|' || text "
                             "FROM page ORDER BY id DESC LIMIT 1");
}

static void test_time_of_the_page(void **state)
{
    (void)state;
    fire("Slow", SEVERITY_WARNING, "platform");
    fake_elapsed_ms = 899 * SECOND;
    assert_int_equal(run(), 0);
    assert_int_equal(pages(), 0);
    fake_elapsed_ms = 900 * SECOND;
    assert_int_equal(run(), 1);
    assert_string_equal(last_page(),
                        "warning|1|No agent is running; 1 incident waits\n"
                        "#1 warning firing Slow on checkout (platform / payments), 15 min, new\n");
    assert_int_equal(ask_int(t.store, "SELECT queued FROM page"), 0);
    assert_int_equal(
        ask_int(t.store, "SELECT count(*) FROM trail WHERE incident_id = 1 AND action = 'paged'"),
        1);
    fake_elapsed_ms = 90000 * SECOND;
    assert_int_equal(run(), 0); // once
    assert_int_equal(pages(), 1);
}

static void test_off(void **state)
{
    (void)state;
    t.config.unattended_s = 0;
    fire("Slow", SEVERITY_CRITICAL, "platform");
    fake_elapsed_ms = 90000 * SECOND;
    assert_int_equal(run(), 0);
}

static void test_who_is_paged_for(void **state)
{
    (void)state;
    struct alert press = alert_made("press", "press");
    press.test = true;
    fire("new", SEVERITY_WARNING, "platform");
    int64_t pushed = fire("pushed", SEVERITY_WARNING, "platform"),
            taken = fire("taken", SEVERITY_WARNING, "platform");
    int64_t decided = fire("decided", SEVERITY_WARNING, "platform");
    fire("over", SEVERITY_WARNING, "platform");
    take_end(&t, clock_wall_ms(), alert_made("over", "over"));
    assert_int_equal(
        incident_taken(t.store, &t.config, take_alert(&t, clock_wall_ms(), press), clock_wall_ms()),
        0);
    run_sql(t.store, "UPDATE incident SET state = 1, due_at = NULL WHERE id = 2");
    assert_int_equal(pushed, 2);
    assert_int_equal(incident_taken(t.store, &t.config, taken, clock_wall_ms()), 0);
    decide(&t, decided, VERDICT_UNSURE, clock_wall_ms());
    fake_elapsed_ms = 901 * SECOND;
    assert_int_equal(run(), 2); // new and pushed
    assert_non_null(strstr(last_page(), "#1 "));
    assert_non_null(strstr(last_page(), "#2 "));
    assert_memory_equal(last_page(), "warning||", 9); // of no single incident
    fake_elapsed_ms = 1799 * SECOND;
    assert_int_equal(run(), 0);
    fake_elapsed_ms = 1800 * SECOND;
    assert_int_equal(run(), 1); // taken and not decided for twice as long
    assert_non_null(strstr(last_page(), "#3 "));
}

static void test_a_new_question_is_paged_anew(void **state)
{
    (void)state;
    int64_t id = fire("Slow", SEVERITY_WARNING, "platform");
    fake_elapsed_ms = 900 * SECOND;
    assert_int_equal(run(), 1);
    decide(&t, id, VERDICT_REAL, clock_wall_ms());
    take_alert(&t, clock_wall_ms(), alert_made("Slow", "another"));
    fake_elapsed_ms += 899 * SECOND;
    assert_int_equal(run(), 0);
    fake_elapsed_ms += SECOND;
    assert_int_equal(run(), 1);
}

static void test_clock_set_back(void **state)
{
    (void)state;
    fire("Slow", SEVERITY_WARNING, "platform");
    fake_wall_shift_ms = -3600 * SECOND;
    fake_elapsed_ms = 899 * SECOND;
    assert_int_equal(run(), 0);
    fake_elapsed_ms = 900 * SECOND; // boot time decides
    assert_int_equal(run(), 1);
}

static void test_after_a_reboot(void **state)
{
    (void)state;
    fire("Slow", SEVERITY_WARNING, "platform");
    assert_int_equal(pager_run(t.store, &t.config, clock_wall_ms() + 899 * SECOND, 5), 0);
    assert_int_equal(pager_run(t.store, &t.config, clock_wall_ms() + 900 * SECOND, 6),
                     1); // the wall clock does
}

static void test_worst_ten_and_a_count(void **state)
{
    (void)state;
    static char names[14][16];
    for (int i = 0; i < 14; i++) {
        snprintf(names[i], sizeof names[i], "Alert%d", i);
        fire(names[i], i == 12 ? SEVERITY_CRITICAL : SEVERITY_WARNING,
             i < 3 ? "dev-1" : "platform");
    }
    fire("DevDown", SEVERITY_CRITICAL, "dev-1");
    fake_elapsed_ms = 900 * SECOND;
    assert_int_equal(run(), 15);
    assert_int_equal(pages(), 1); // many at once are one page
    const char *text = last_page();
    assert_memory_equal(text, "critical||", 10);
    static const int order[] = {13, 15, 4, 5, 6, 7, 8, 9, 10, 11}; // critical and prod first
    const char *p = text;
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        char line[16];
        snprintf(line, sizeof line, "\n#%d ", order[i]);
        p = strstr(p, line);
        if (!p)
            fail_msg("no %s in order: %s", line + 1, text);
    }
    assert_non_null(strstr(p, "\nand 5 more\n"));
    assert_non_null(strstr(text, "15 incidents wait"));
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM incident WHERE paged_at IS NULL"), 0);
}

static void test_severity_of_the_page(void **state)
{
    (void)state;
    static const char *const want[] = {"warning", "info", "warning", "error", "critical"};
    static const char *const names[] = {"u", "i", "w", "e", "c"};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        fire(names[i], (enum alert_severity)i, "platform");
        fake_elapsed_ms += 900 * SECOND;
        assert_int_equal(run(), 1);
        assert_memory_equal(last_page(), want[i], strlen(want[i]));
    }
}

static void test_why_nobody_looked(void **state)
{
    (void)state;
    fire("Slow", SEVERITY_WARNING, "platform");
    fake_elapsed_ms = 900 * SECOND;
    assert_int_equal(lease_beat(t.store, LEASE_SESSION), 1);
    assert_int_equal(run(), 1);
    assert_non_null(
        strstr(last_page(), "The agent is there but gave no verdict for 15 min: 1 incident\n"));

    fire("Other", SEVERITY_WARNING, "platform");
    fake_elapsed_ms += 900 * SECOND; // the lease went stale at 900 s
    assert_int_equal(run(), 1);
    assert_non_null(strstr(last_page(), "No agent since 2023-11-14T22:28:20Z; 1 incident waits\n"));
}

// Pushed into a session that takes nothing: the owner hears that it is deaf, and gets all that
// waits.
static void test_deaf_session(void **state)
{
    (void)state;
    assert_int_equal(lease_beat(t.store, LEASE_SESSION), 1);
    int64_t first = fire("Slow", SEVERITY_WARNING, "platform");
    run_sql(t.store, "UPDATE incident SET state = 1");
    // The heartbeat stays, since the lease is old enough.
    run_sql(t.store, "UPDATE lease SET since = since - 1000");
    fake_elapsed_ms = 890 * SECOND;
    fire("New", SEVERITY_WARNING, "platform");
    fake_elapsed_ms = 900 * SECOND;
    run_sql(t.store, "UPDATE lease SET beat_at = 1000000000 + 900000");
    assert_int_equal(trail_add(t.store, first + 1, "agent", "taken", "", clock_wall_ms()), 0);
    assert_int_equal(run(), 1); // it works on other things
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM agent_failure"), 0);

    run_sql(t.store, "DELETE FROM trail");
    run_sql(t.store, "UPDATE incident SET paged_at = NULL");
    assert_int_equal(run(), 2); // the new one, too
    assert_non_null(strstr(last_page(), "The agent cannot work (" PAGER_DEAF ") since "));
    assert_non_null(strstr(last_page(), "; 2 incidents come to you"));
    fire("Next", SEVERITY_WARNING, "platform");
    assert_int_equal(run(), 1); // at once

    assert_int_equal(pager_agent_hears(t.store, clock_wall_ms()), 0);
    assert_string_equal(last_page(), "info||The agent works again.");
    assert_int_equal(pager_agent_failed(t.store, "out of quota", clock_wall_ms()), 0);
    int64_t before = pages();
    assert_int_equal(pager_agent_hears(t.store, clock_wall_ms()), 0); // only a verdict ends that
    assert_int_equal(pages(), before);
}

static void test_agent_that_cannot_work(void **state)
{
    (void)state;
    assert_int_equal(pager_agent_failed(t.store, "out of quota", clock_wall_ms()), 0);
    assert_memory_equal(last_page(), "error||The agent cannot work: out of quota. ", 42);
    assert_int_equal(pager_agent_failed(t.store, "out of quota", clock_wall_ms() + 1), 0);
    assert_int_equal(pages(), 1); // once, however often the hook fires

    fire("Slow", SEVERITY_WARNING, "platform");
    assert_int_equal(run(), 1); // at once
    assert_non_null(strstr(last_page(), "The agent cannot work (out of quota) since "));

    assert_int_equal(pager_agent_works(t.store, clock_wall_ms()), 0);
    assert_string_equal(last_page(), "info||The agent works again.");
    assert_int_equal(pager_agent_works(t.store, clock_wall_ms()), 0);
    assert_int_equal(pages(), 3);
    fire("Other", SEVERITY_WARNING, "platform");
    assert_int_equal(run(), 0); // the ordinary times
}

static void test_agent_that_is_back(void **state)
{
    (void)state;
    assert_int_equal(pager_agent_back(t.store, 1, 0, clock_wall_ms()), 0);
    assert_int_equal(pages(), 0); // the owner was never troubled
    assert_int_equal(pager_agent_back(t.store, 2, 1, clock_wall_ms()), 0);
    assert_string_equal(last_page(), "info||The agent is back: 2 incidents were handed over.");
}

static void test_store_that_is_locked(void **state)
{
    (void)state;
    struct store *other = NULL;
    assert_int_equal(store_open(t.dir, false, &other), 0);
    store_busy_timeout(t.store, 0);
    assert_int_equal(store_begin(other), 0);
    assert_int_equal(run(), 0); // nothing to do needs no lock
    store_rollback(other);
    fire("Slow", SEVERITY_WARNING, "platform");
    fake_elapsed_ms = 900 * SECOND;
    assert_int_equal(store_begin(other), 0);
    assert_int_equal(run(), -EBUSY);
    store_rollback(other);
    store_close(other);
    assert_int_equal(run(), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_time_of_the_page),      T(test_off),
        T(test_who_is_paged_for),      T(test_a_new_question_is_paged_anew),
        T(test_clock_set_back),        T(test_after_a_reboot),
        T(test_worst_ten_and_a_count), T(test_severity_of_the_page),
        T(test_why_nobody_looked),     T(test_agent_that_cannot_work),
        T(test_agent_that_is_back),    T(test_store_that_is_locked),
        T(test_deaf_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
