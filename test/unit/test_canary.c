#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/webhook/canary.h"
#include "channels/webhook/pager.h"
#include "channels/webhook/terms.h"
#include "test/support/temp_store.h"

#include "test/support/alert_maker.h"

#define WALL 1700000000000ll
#define SECOND 1000ll

static struct temp_store t;
static struct canary canary;

static int setup(void **state)
{
    (void)state;
    temp_store_open(&t);
    t.config.canary_s = 3600;
    canary_begin(&canary, t.store, &t.config, WALL, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_store_close(&t);
    return 0;
}

static void run_at(int64_t seconds)
{
    assert_int_equal(
        canary_run(&canary, t.store, &t.config, WALL + seconds * SECOND, seconds * SECOND), 0);
}

static int64_t count(void)
{
    return ask_int(t.store, "SELECT count(*) FROM incident WHERE source = 'canary'");
}

static int64_t deaf(void)
{
    return ask_int(t.store, "SELECT count(*) FROM agent_failure WHERE reason = '" PAGER_DEAF "'");
}

static void set_state(enum incident_state to)
{
    struct stmt *q = store_sql(t.store, "UPDATE incident SET state = ? WHERE source = 'canary'");
    bind_int(q, 1, (int64_t)to);
    assert_int_equal(stmt_run(q), 0);
}

static void test_one_an_interval(void **state)
{
    (void)state;
    run_at(3599);
    assert_int_equal(count(), 0);
    run_at(3600);
    assert_int_equal(count(), 1);
    assert_int_equal(ask_int(t.store, "SELECT kind * 10 + status FROM incident"), 11); // closed
    decide(&t, canary.id, VERDICT_NOISE, WALL + 3601 * SECOND);
    run_at(3602);
    assert_int_equal(canary.id, 0);
    run_at(7200);
    assert_int_equal(count(), 1); // the old one is gone with all that was of it
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM verdict"), 0);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM alert"), 1);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM tally"), 0);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM pace"), 0);
    assert_int_equal(deaf(), 0);
}

static void test_the_rhythm_survives_a_restart(void **state)
{
    (void)state;
    run_at(3600);
    set_state(STATE_PUSHED);
    canary_begin(&canary, t.store, &t.config, WALL + 4000 * SECOND, 4000 * SECOND);
    run_at(7199); // nobody is deaf to what went to a session before
    assert_int_equal(deaf(), 0);
    assert_int_equal(canary.id, 0);
    run_at(7200);
    assert_true(canary.id > 0);
}

static void test_deaf(void **state)
{
    (void)state;
    run_at(3600);
    run_at(3900); // not pushed yet: the budget held it back
    assert_int_equal(deaf(), 0);
    run_at(7200);
    set_state(STATE_PUSHED);
    run_at(7499);
    assert_int_equal(deaf(), 0);
    run_at(7500);
    assert_int_equal(deaf(), 1);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM page"), 1);
    run_at(10800);
    set_state(STATE_PUSHED);
    run_at(11100);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM page"), 1); // once
    run_at(14400);
    set_state(STATE_TAKEN);
    run_at(14800);
    assert_int_equal(canary.id, 0);
}

static void test_waits_behind_real_events(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, WALL, alert_made("Slow", "f"));
    run_at(3600);
    assert_int_equal(count(), 0);
    decide(&t, id, VERDICT_REAL, WALL + 3700 * SECOND);
    run_at(3701);
    assert_int_equal(count(), 1);
}

static void test_off(void **state)
{
    (void)state;
    t.config.canary_s = 0;
    canary_begin(&canary, t.store, &t.config, WALL, 0);
    run_at(100000);
    assert_int_equal(count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_an_interval, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_rhythm_survives_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deaf, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waits_behind_real_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_off, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
