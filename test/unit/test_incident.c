#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "channels/webhook/view.h"
#include "common/clock.h"
#include "test/support/store_fixture.h"

#include "test/support/alert_maker.h"

#define T0 1700000000000 // wall ms
#define SECOND 1000ll
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define LATER 99000000000000 // boot ms at which something is due, far away

static struct alert alert_a(void)
{
    return alert_made("HighErrorRate", "a");
}

static struct alert alert_b(void)
{
    return alert_made("HighErrorRate", "b");
}

// What the delivery does when it pushes.
static void push(int64_t id)
{
    struct stmt *q = store_sql(
        t.store,
        "UPDATE incident SET state = 1, delivery = 1, due_at = ?2, ask = NULL WHERE id = ?1");
    bind_int(q, 1, id);
    bind_int(q, 2, LATER);
    assert_int_equal(stmt_run(q), 0);
}

static void take(int64_t id, int64_t now)
{
    push(id);
    assert_int_equal(incident_taken(t.store, &t.config, id, now), 0);
}

static int64_t incidents(void)
{
    return ask_int(t.store, "SELECT count(*) FROM incident");
}

static int64_t due_at(int64_t id)
{
    return ask_int_with(t.store, "SELECT due_at FROM incident WHERE id = ?", id);
}

static bool tells_resolution(int64_t id)
{
    return ask_int_with(t.store, "SELECT tell_resolved FROM incident WHERE id = ?", id) == 1;
}

#define VIEW(id, member, want)                                                                     \
    do {                                                                                           \
        struct incident_view v_;                                                                   \
        assert_int_equal(incident_view_load(t.store, id, &v_), 0);                                 \
        assert_int_equal(v_.member, want);                                                         \
        incident_view_done(&v_);                                                                   \
    } while (0)

#define VIEW_TEXT(id, member, want)                                                                \
    do {                                                                                           \
        struct incident_view v_;                                                                   \
        assert_int_equal(incident_view_load(t.store, id, &v_), 0);                                 \
        assert_string_equal(v_.member, want);                                                      \
        incident_view_done(&v_);                                                                   \
    } while (0)

static void asks(int64_t id, const char *why)
{
    VIEW(id, state, STATE_NEW);
    VIEW(id, delivery, 0);
    assert_int_equal(due_at(id), 0);
    VIEW_TEXT(id, ask, why);
}

static void is_quiet(int64_t id, enum incident_state state)
{
    VIEW(id, state, state);
    VIEW_TEXT(id, ask, "");
    assert_true(due_at(id) != 0);
}

// ---- opening and joining ----

static void test_opens(void **state)
{
    (void)state;
    struct alert a = alert_a();
    a.starts_at = T0 - 5000;
    a.node = "node-1";
    int64_t id = take_alert(&t, T0, a);
    assert_true(id > 0);
    asks(id, "");
    VIEW(id, status, STATUS_FIRING);
    VIEW(id, kind, KIND_ALERT);
    VIEW(id, severity, SEVERITY_WARNING);
    VIEW(id, members, 1);
    VIEW(id, notifications, 1);
    VIEW(id, deliveries, 0);
    VIEW(id, flaps, 0);
    VIEW(id, opened_at, T0);
    VIEW(id, last_seen_at, T0);
    VIEW(id, closed_at, 0);
    VIEW(id, verdict, VERDICT_NONE);
    VIEW_TEXT(id, alertname, "HighErrorRate");
    VIEW_TEXT(id, cluster, "platform");
    VIEW_TEXT(id, namespace, "payments");
    VIEW_TEXT(id, service, "checkout");
    VIEW_TEXT(id, source, "alertmanager");
    VIEW_TEXT(id, text, "it is slow");
    assert_string_equal(
        ask_text(
            t.store,
            "SELECT fingerprint || ' ' || labels || ' ' || annotations || ' ' || generator_url"
            " || ' ' || starts_at || ' ' || coalesce(ends_at, 'on') || ' ' || node FROM alert"),
        "a {\"alertname\":\"A\",\"pod\":\"p-1\"} {} http://prometheus/graph 1699999995000 on "
        "node-1");
}

static void test_environment_is_of_the_cluster(void **state)
{
    (void)state;
    struct alert dev = alert_made("X", "x"), none = alert_made("Y", "y");
    dev.cluster = "dev-1";
    none.cluster = "";
    none.labels = "{\"environment\":\"dev\"}"; // never from a label
    VIEW(take_alert(&t, T0, alert_a()), prod, true);
    VIEW(take_alert(&t, T0, dev), prod, false);
    VIEW(take_alert(&t, T0, none), prod, true);
}

// Without a node label it is what was scraped, which is no cause that several could share.
static void test_scrape_target_is_no_node(void **state)
{
    (void)state;
    struct alert a = alert_a();
    a.node = "10.0.0.1:9100";
    take_alert(&t, T0, a);
    assert_string_equal(ask_text(t.store, "SELECT '[' || node || ']' FROM alert"), "[]");
}

static void test_each_problem_is_its_own(void **state)
{
    (void)state;
    struct alert others[4];
    int64_t id = take_alert(&t, T0, alert_a());
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        others[i] = alert_made(i == 0 ? "Other" : "HighErrorRate", i == 0   ? "0"
                                                                   : i == 1 ? "1"
                                                                   : i == 2 ? "2"
                                                                            : "3");
        if (i == 1)
            others[i].cluster = "other";
        if (i == 2)
            others[i].namespace = "other";
        if (i == 3)
            others[i].service = "other";
        assert_true(take_alert(&t, T0, others[i]) != id);
    }
    assert_int_equal(incidents(), 5);
    VIEW(id, members, 1);
}

static void test_join_before_the_verdict_is_only_counted(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_a());
    push(id);
    assert_int_equal(take_alert(&t, T0 + 1000, alert_b()), id);
    VIEW(id, members, 2);
    VIEW(id, last_seen_at, T0 + 1000);
    VIEW(id, notifications, 2);
    is_quiet(id, STATE_PUSHED);
    assert_int_equal(due_at(id), LATER);

    take(id, T0 + 2000);
    take_alert(&t, T0 + 3000, alert_made("HighErrorRate", "c"));
    VIEW(id, members, 3);
    is_quiet(id, STATE_TAKEN);
    assert_int_equal(incidents(), 1);
}

// (source, fingerprint) is the identity: two senders may well use the same number.
static void test_same_fingerprint_of_another_sender(void **state)
{
    (void)state;
    struct alert other = alert_a();
    other.source = "grafana";
    int64_t id = take_alert(&t, T0, alert_a());
    assert_int_equal(take_alert(&t, T0, other), id); // one problem
    VIEW(id, members, 2);                            // two alerts
    take_end(&t, T0 + 1, other);
    VIEW(id, status, STATUS_FIRING);
    VIEW(id, members, 1);
}

static void test_a_notification_counts_once(void **state)
{
    (void)state;
    struct alert many[] = {alert_a(), alert_b(), alert_made("HighErrorRate", "c"),
                           alert_made("Other", "d")};
    int64_t id = take_alerts(&t, T0, many, ARRAY_LEN(many));
    VIEW(id, members, 3);
    VIEW(id, notifications, 1);
    assert_int_equal(incidents(), 2);
}

static void test_truncated_is_the_most_that_was_cut(void **state)
{
    (void)state;
    struct id_set named = {0};
    struct alert a = alert_a();
    struct incident_intake in = {
        .store = t.store, .config = &t.config, .now = T0, .named = &named, .truncated = 7};
    assert_int_equal(incident_take(&in, &a), 0);
    assert_int_equal(incident_take_end(&in), 0);
    int64_t id = named.ids[0];
    VIEW(id, truncated, 7);
    id_set_done(&named);
    take_alert(&t, T0 + 1, a);
    VIEW(id, truncated, 7);
}

static void test_join_after_the_verdict_asks_again(void **state)
{
    (void)state;
    static const char *const fingerprints[] = {"1", "2", "3", "4", "5"};
    int64_t id = take_alert(&t, T0, alert_a());
    for (int v = VERDICT_NOISE; v <= VERDICT_UNSURE; v++) {
        push(id);
        decide(&t, id, (enum verdict)v, T0 + v);
        is_quiet(id, STATE_DECIDED);
        take_alert(&t, T0 + 10 * v, alert_made("HighErrorRate", fingerprints[v - 1]));
        char why[96];
        snprintf(why, sizeof why, "a new alert joined after the verdict %s", verdict_name(v));
        asks(id, why);
        VIEW(id, members, 1 + v);
    }
    assert_int_equal(incidents(), 1);
}

// ---- severity ----

static void test_severity_is_the_worst_of_its_members(void **state)
{
    (void)state;
    struct alert info = alert_b(), critical = alert_made("HighErrorRate", "c");
    info.severity = SEVERITY_INFO;
    critical.severity = SEVERITY_CRITICAL;
    int64_t id = take_alert(&t, T0, alert_a());
    take_alert(&t, T0, info);
    VIEW(id, severity, SEVERITY_WARNING);
    take_alert(&t, T0, critical);
    VIEW(id, severity, SEVERITY_CRITICAL);
    asks(id, ""); // it had not been pushed: nothing to say anew
    take_end(&t, T0 + 1, critical);
    VIEW(id, severity, SEVERITY_CRITICAL);
}

static void test_a_raise_is_pushed_before_the_verdict(void **state)
{
    (void)state;
    struct alert error = alert_b(), critical = alert_made("HighErrorRate", "c");
    error.severity = SEVERITY_ERROR;
    critical.severity = SEVERITY_CRITICAL;
    int64_t id = take_alert(&t, T0, alert_a());
    push(id);
    take_alert(&t, T0 + 1, error);
    asks(id, "severity rose to error");
    take(id, T0 + 2);
    take_alert(&t, T0 + 3, critical);
    asks(id, "severity rose to critical");
}

// A sender with fingerprints of its own may keep one while its severity changes.
static void test_a_raise_of_a_member_itself(void **state)
{
    (void)state;
    struct alert worse = alert_a();
    worse.severity = SEVERITY_CRITICAL;
    int64_t id = take_alert(&t, T0, alert_a());
    push(id);
    take_alert(&t, T0 + 1, worse);
    VIEW(id, severity, SEVERITY_CRITICAL);
    asks(id, "severity rose to critical");
    push(id);
    take_alert(&t, T0 + 2, worse); // and then it is a repeat
    is_quiet(id, STATE_PUSHED);
    decide(&t, id, VERDICT_NOISE, T0 + 3);
    take_alert(&t, T0 + 4, alert_a());
    is_quiet(id, STATE_DECIDED);
}

// ---- repeats and resolutions ----

static void test_repeats_are_silent(void **state)
{
    (void)state;
    static const enum incident_state states[] = {STATE_PUSHED, STATE_TAKEN, STATE_DECIDED};
    int64_t id = take_alert(&t, T0, alert_a());
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (states[i] == STATE_PUSHED)
            push(id);
        else if (states[i] == STATE_TAKEN)
            take(id, T0);
        else
            decide(&t, id, VERDICT_REAL, T0);
        int64_t due = due_at(id);
        assert_int_equal(take_alert(&t, T0 + (int64_t)i * 1000, alert_a()), id);
        is_quiet(id, states[i]);
        assert_int_equal(due_at(id), due);
        VIEW(id, notifications, (int64_t)i + 2);
        VIEW(id, last_seen_at, T0 + (int64_t)i * 1000);
        VIEW(id, members, 1);
    }
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM alert"), 1);
}

static void test_a_member_is_noted_hourly(void **state)
{
    (void)state;
    take_alert(&t, T0, alert_a());
    take_alert(&t, T0 + HOUR, alert_a());
    assert_int_equal(ask_int(t.store, "SELECT last_at FROM alert"), T0);
    take_alert(&t, T0 + HOUR + 1, alert_a());
    assert_int_equal(ask_int(t.store, "SELECT last_at FROM alert"), T0 + HOUR + 1);
    take_alert(&t, T0, alert_a()); // the clock was set back
    assert_int_equal(ask_int(t.store, "SELECT last_at FROM alert"), T0);
}

static void test_end_of_what_never_fired(void **state)
{
    (void)state;
    assert_int_equal(take_end(&t, T0, alert_a()), 0);
    assert_int_equal(incidents(), 0);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM alert"), 0);
    int64_t id = take_alert(&t, T0, alert_a());
    assert_int_equal(take_end(&t, T0, alert_b()), 0); // another member of it
    VIEW(id, status, STATUS_FIRING);
    VIEW(id, members, 1);
}

static void test_the_last_member_closes(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_a());
    take_alert(&t, T0, alert_b());
    struct alert end = alert_a();
    end.ends_at = T0 + 4000;
    assert_int_equal(take_end(&t, T0 + 5000, end), id);
    VIEW(id, status, STATUS_FIRING);
    VIEW(id, members, 1);
    VIEW(id, closed_at, 0);
    assert_int_equal(take_end(&t, T0 + 5500, alert_a()), 0); // told twice
    VIEW(id, members, 1);
    take_end(&t, T0 + 6000, alert_b());
    VIEW(id, status, STATUS_RESOLVED);
    VIEW(id, members, 0);
    VIEW(id, closed_at, T0 + 6000);
    VIEW(id, notifications, 4);
    assert_string_equal(
        ask_text(t.store,
                 "SELECT group_concat(ends_at) FROM (SELECT ends_at FROM alert ORDER BY id)"),
        "1700000004000,1700000006000"); // the sender's word, else ours
    assert_int_equal(take_end(&t, T0 + 7000, alert_b()), 0);
    VIEW(id, closed_at, T0 + 6000);
}

static void test_a_member_that_comes_back(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_a());
    take_alert(&t, T0, alert_b());
    push(id);
    take_end(&t, T0 + 1, alert_a());
    take_alert(&t, T0 + 2, alert_a());
    VIEW(id, members, 2);
    VIEW(id, flaps, 0); // the incident itself was open all the time
    is_quiet(id, STATE_PUSHED);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM alert"), 2);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM alert WHERE ends_at IS NOT NULL"), 0);
}

static void test_which_resolutions_are_told(void **state)
{
    (void)state;
    static const struct {
        enum incident_state state;
        enum verdict verdict;
        bool told;
    } cases[] = {
        {STATE_NEW, VERDICT_NONE, false},          {STATE_PUSHED, VERDICT_NONE, false},
        {STATE_TAKEN, VERDICT_NONE, true},         {STATE_DECIDED, VERDICT_NOISE, false},
        {STATE_DECIDED, VERDICT_AUTO_FIXED, true}, {STATE_DECIDED, VERDICT_ESCALATED, true},
        {STATE_DECIDED, VERDICT_REAL, true},       {STATE_DECIDED, VERDICT_UNSURE, true},
    };
    t.config.flap_s = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t id = take_alert(&t, T0, alert_a());
        take_alert(&t, T0, alert_b());
        if (cases[i].state >= STATE_PUSHED)
            push(id);
        if (cases[i].state == STATE_TAKEN)
            take(id, T0);
        if (cases[i].state == STATE_DECIDED)
            decide(&t, id, cases[i].verdict, T0);
        take_end(&t, T0 + 1, alert_a());
        assert_false(tells_resolution(id)); // not yet all of it
        take_end(&t, T0 + 2, alert_b());
        if (tells_resolution(id) != cases[i].told)
            fail_msg("case %zu", i);
    }
}

// ---- flapping ----

static int64_t fire_and_end(int64_t at)
{
    int64_t id = take_alert(&t, at, alert_a());
    assert_int_equal(take_end(&t, at + 1000, alert_a()), id);
    VIEW(id, status, STATUS_RESOLVED);
    return id;
}

static void test_edges_of_the_flap_window(void **state)
{
    (void)state;
    int64_t id = fire_and_end(T0); // ends at T0 + 1000
    assert_int_equal(take_alert(&t, T0 + 1000 + 600 * SECOND, alert_a()), id);
    VIEW(id, status, STATUS_FIRING);
    VIEW(id, flaps, 1);
    VIEW(id, members, 1);
    VIEW(id, closed_at, 0);
    VIEW(id, opened_at, T0);
    assert_int_equal(take_end(&t, T0 + HOUR, alert_a()), id);
    int64_t next = take_alert(&t, T0 + HOUR + 600 * SECOND + 1, alert_a());
    assert_true(next > id);
    VIEW(next, flaps, 0);
    VIEW(id, status, STATUS_RESOLVED);
}

static void test_no_flap_window(void **state)
{
    (void)state;
    t.config.flap_s = 0;
    int64_t id = fire_and_end(T0);
    int64_t next = take_alert(&t, T0 + 1000, alert_a());
    assert_true(next > id);
    VIEW(next, flaps, 0);
    assert_int_equal(take_alert(&t, T0 + 1001, alert_b()), next); // but what is open is joined
}

static void test_another_member_reopens(void **state)
{
    (void)state;
    int64_t id = fire_and_end(T0);
    assert_int_equal(take_alert(&t, T0 + 2000, alert_b()), id);
    VIEW(id, flaps, 1);
    VIEW(id, members, 1);
}

static void test_the_latest_is_reopened(void **state)
{
    (void)state;
    t.config.flap_s = 0;
    int64_t first = fire_and_end(T0), second = fire_and_end(T0 + 2000);
    assert_true(first != second);
    t.config.flap_s = 600;
    assert_int_equal(take_alert(&t, T0 + 4000, alert_a()), second);
}

static void test_reopened_while_undecided(void **state)
{
    (void)state;
    int64_t id = fire_and_end(T0);
    take_alert(&t, T0 + 2000, alert_a());
    asks(id, ""); // never pushed: as before
    push(id);
    take_end(&t, T0 + 3000, alert_a());
    take_alert(&t, T0 + 4000, alert_a());
    is_quiet(id, STATE_PUSHED);
}

// Whoever was told of its end must hear that it did not last, but not of every turn of it.
static void test_reopened_while_taken(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_a());
    int told = 0, asked = 0;
    for (int i = 0; i < 10; i++) {
        take(id, T0 + 10000 * i);
        take_end(&t, T0 + 10000 * i + 1000, alert_a());
        told += tells_resolution(id);
        take_alert(&t, T0 + 10000 * i + 2000, alert_a());
        assert_false(tells_resolution(id)); // overtaken
        asked += ask_int_with(t.store, "SELECT state FROM incident WHERE id = ?", id) == STATE_NEW;
        if (i == 0)
            asks(id, "fires again");
    }
    VIEW(id, flaps, 10);
    assert_int_equal(told, 3);
    assert_int_equal(asked, 3);
}

static void test_reopened_after_noise(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_a());
    push(id);
    decide(&t, id, VERDICT_NOISE, T0);
    take_end(&t, T0 + 1000, alert_a());
    take_alert(&t, T0 + 2000, alert_a());
    VIEW(id, flaps, 1);
    is_quiet(id, STATE_DECIDED);
    take_end(&t, T0 + 3000, alert_a());
    assert_false(tells_resolution(id));
    take_alert(&t, T0 + 4000, alert_b()); // nobody has judged this one
    VIEW(id, flaps, 2);
    asks(id, "a new alert joined after the verdict noise");
}

static void test_reopened_after_any_other_verdict(void **state)
{
    (void)state;
    int64_t now = T0, id = take_alert(&t, now, alert_a());
    for (int v = VERDICT_AUTO_FIXED; v <= VERDICT_UNSURE; v++) {
        push(id);
        decide(&t, id, (enum verdict)v, now += 1000);
        take_end(&t, now += 1000, alert_a());
        assert_int_equal(take_alert(&t, now += 1000, alert_a()), id);
        char why[96];
        snprintf(why, sizeof why, "fires again after the verdict %s", verdict_name(v));
        asks(id, why);
        VIEW(id, verdict, v); // it stays until there is another
    }
}

// A new question may be paged for anew.
static void test_asking_again_starts_the_clocks(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_a());
    push(id);
    decide(&t, id, VERDICT_REAL, T0);
    run_sql(t.store, "UPDATE incident SET paged_at = 5, since_boot = 5");
    take_alert(&t, T0 + HOUR, alert_b());
    assert_int_equal(ask_int(t.store, "SELECT paged_at FROM incident"), -1);
    assert_int_equal(ask_int(t.store, "SELECT asked_at FROM incident"), T0 + HOUR);
    assert_int_equal(ask_int(t.store, "SELECT since_at FROM incident"), T0 + HOUR);
    assert_true(ask_int(t.store, "SELECT since_boot FROM incident") > 5);
}

// ---- kinds ----

static void test_every_press_of_a_test_button_shows(void **state)
{
    (void)state;
    struct alert press = alert_a();
    press.test = true;
    int64_t real = take_alert(&t, T0, alert_a());
    push(real);
    int64_t one = take_alert(&t, T0, press), two = take_alert(&t, T0 + 1, press);
    assert_true(one != real && two != one);
    VIEW(two, kind, KIND_TEST);
    VIEW(two, status, STATUS_RESOLVED);
    VIEW(two, closed_at, T0 + 1);
    VIEW(two, members, 0);
    asks(two, "");
    VIEW(real, members, 1);
    is_quiet(real, STATE_PUSHED);

    // The end of the real one is still heard, and no later firing reopens a press.
    assert_int_equal(take_end(&t, T0 + 2, alert_a()), real);
    VIEW(real, status, STATUS_RESOLVED);
    assert_int_equal(take_alert(&t, T0 + 3, alert_a()), real);
}

static void test_watchdog_only_feeds_the_watch(void **state)
{
    (void)state;
    struct alert w = alert_made("Watchdog", "w");
    assert_int_equal(take_alert(&t, T0, w), 0);
    assert_int_equal(take_alert(&t, T0 + 5, w), 0);
    assert_int_equal(take_end(&t, T0 + 9, w), 0);
    assert_int_equal(incidents(), 0);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM watchdog"), 1);
    assert_string_equal(ask_text(t.store, "SELECT cluster || ' ' || seen_at FROM watchdog"),
                        "platform 1700000000005");
    w.cluster = "other";
    take_alert(&t, T0, w);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM watchdog"), 2);
    assert_true(take_alert(&t, T0, alert_made("WatchdogX", "x")) > 0);
}

static int64_t oversized(int64_t now, const char *sender, uint64_t bytes)
{
    struct id_set named = {0};
    struct incident_intake in = {
        .store = t.store, .config = &t.config, .now = now, .named = &named};
    assert_int_equal(incident_oversized(&in, sender, "10.0.0.7", bytes), 0);
    int64_t id = named.ids[0];
    id_set_done(&named);
    return id;
}

static void test_oversized_notification(void **state)
{
    (void)state;
    int64_t id = oversized(T0, "grafana", 99887766);
    asks(id, "");
    VIEW(id, kind, KIND_OVERSIZED);
    VIEW(id, severity, SEVERITY_ERROR);
    VIEW(id, prod, true);
    VIEW_TEXT(id, alertname, "oversized notification");
    struct incident_view v;
    assert_int_equal(incident_view_load(t.store, id, &v), 0);
    assert_non_null(strstr(v.text, "grafana"));
    assert_non_null(strstr(v.text, "99887766"));
    assert_non_null(strstr(v.text, "16777216"));
    incident_view_done(&v);
    assert_string_equal(
        ask_text(t.store, "SELECT labels ->> 'peer' || ' ' || (labels ->> 'bytes') FROM alert"),
        "10.0.0.7 99887766");

    push(id);
    assert_int_equal(oversized(T0 + 1000, "grafana", 1), id); // it retries
    is_quiet(id, STATE_PUSHED);
    VIEW(id, notifications, 2);
    assert_true(oversized(T0, "signoz", 1) != id);

    assert_int_equal(incident_sweep(t.store, &t.config, T0 + 1000 + HOUR), 1); // the other one
    VIEW(id, status, STATUS_FIRING);
    assert_int_equal(incident_sweep(t.store, &t.config, T0 + 1001 + HOUR), 1);
    VIEW(id, status, STATUS_RESOLVED);
}

// ---- time ----

static void test_stale(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_a()),
            other = take_alert(&t, T0 + DAY, alert_made("Other", "o"));
    take(id, T0);
    assert_int_equal(incident_sweep(t.store, &t.config, T0 + 7 * DAY), 0);
    VIEW(id, status, STATUS_FIRING);
    assert_int_equal(incident_sweep(t.store, &t.config, T0 + 7 * DAY + 1), 1);
    VIEW(id, status, STATUS_STALE);
    VIEW(id, closed_at, T0 + 7 * DAY + 1);
    VIEW(id, members, 0);
    VIEW(other, status, STATUS_FIRING);
    assert_false(tells_resolution(id)); // nobody said that it is over
    assert_int_equal(ask_int_with(t.store, "SELECT status FROM alert WHERE incident_id = ?", id),
                     STATUS_STALE);

    assert_int_equal(take_end(&t, T0 + 7 * DAY + 2, alert_a()), 0);
    VIEW(id, status, STATUS_STALE);
    assert_int_equal(take_alert(&t, T0 + 7 * DAY + 3, alert_a()),
                     id); // within the flap window of its end
    VIEW(id, status, STATUS_FIRING);
    VIEW(id, members, 1);
}

static void test_a_repeat_keeps_it_from_being_stale(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_a());
    take_alert(&t, T0 + 6 * DAY, alert_a());
    assert_int_equal(incident_sweep(t.store, &t.config, T0 + 12 * DAY), 0);
    VIEW(id, status, STATUS_FIRING);
}

static void test_stale_is_off(void **state)
{
    (void)state;
    t.config.stale_days = 0;
    take_alert(&t, T0, alert_a());
    assert_int_equal(incident_sweep(t.store, &t.config, T0 + 3650 * DAY), 0);
}

static void test_a_sweep_is_bounded(void **state)
{
    (void)state;
    char names[510][8];
    assert_int_equal(store_begin(t.store), 0);
    for (int i = 0; i < 510; i++) {
        snprintf(names[i], sizeof names[i], "n%d", i);
        struct id_set named = {0};
        struct incident_intake in = {
            .store = t.store, .config = &t.config, .now = T0, .named = &named};
        struct alert a = alert_made(names[i], names[i]);
        assert_int_equal(incident_take(&in, &a), 0);
        id_set_done(&named);
    }
    assert_int_equal(incident_sweep(t.store, &t.config, T0 + 8 * DAY), 500);
    assert_int_equal(incident_sweep(t.store, &t.config, T0 + 8 * DAY), 10);
    assert_int_equal(incident_sweep(t.store, &t.config, T0 + 8 * DAY), 0);
    assert_int_equal(store_commit(t.store), 0);
}

static void test_clock_set_back(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_a());
    assert_int_equal(take_alert(&t, T0 - HOUR, alert_a()), id);
    VIEW(id, notifications, 2);
    assert_int_equal(incident_sweep(t.store, &t.config, T0 - HOUR), 0);
    assert_int_equal(take_end(&t, T0 - HOUR, alert_a()), id);
    VIEW(id, status, STATUS_RESOLVED);
    assert_int_equal(take_alert(&t, T0 - 2 * HOUR, alert_a()),
                     id); // just now, whatever the clock says
    VIEW(id, flaps, 1);
}

// ---- the agent ----

static void test_taken(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_a());
    int64_t before = clock_boot_ms();
    assert_int_equal(incident_taken(t.store, &t.config, id, T0 + 5),
                     0); // even before it was pushed
    VIEW(id, state, STATE_TAKEN);
    VIEW(id, taken_at, T0 + 5);
    assert_true(due_at(id) >= before + 900 * SECOND &&
                due_at(id) <= clock_boot_ms() + 900 * SECOND);
    assert_int_equal(incident_taken(t.store, &t.config, id, T0 + 9), 0);
    VIEW(id, taken_at, T0 + 5); // once
    decide(&t, id, VERDICT_REAL, T0 + 10);
    assert_int_equal(incident_taken(t.store, &t.config, id, T0 + 11), 0);
    VIEW(id, state, STATE_DECIDED);
    assert_int_equal(due_at(id), -1);
    assert_int_equal(incident_taken(t.store, &t.config, 4711, T0), 0);

    t.config.unattended_s = 0;
    int64_t other = take_alert(&t, T0, alert_made("Other", "o"));
    take(other, T0);
    assert_int_equal(due_at(other), -1); // no reminder
}

static void test_decided(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_a());
    struct verdict_note note = {.verdict = VERDICT_ESCALATED,
                                .summary = "s",
                                .root_cause = "r",
                                .action = "a",
                                .by = "agent",
                                .confidence = 0.5};
    assert_int_equal(incident_decide(t.store, id, &note, T0 + 7), 0);
    VIEW(id, state, STATE_DECIDED);
    VIEW(id, verdict, VERDICT_ESCALATED);
    VIEW(id, decided_at, T0 + 7);
    VIEW(id, taken_at, T0 + 7);
    VIEW(id, status, STATUS_FIRING); // what was said of it does not end it
    assert_int_equal(due_at(id), -1);
    assert_string_equal(ask_text(t.store, "SELECT at || verdict || summary || root_cause || action "
                                          "|| confidence || by FROM verdict"),
                        "17000000000073sra0.5agent");

    note.verdict = VERDICT_NOISE; // again: the last one counts, the trail has both
    note.confidence = -1;
    assert_int_equal(incident_decide(t.store, id, &note, T0 + 8), 0);
    VIEW(id, verdict, VERDICT_NOISE);
    VIEW(id, taken_at, T0 + 7);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM verdict"), 2);
    assert_int_equal(
        ask_int(t.store, "SELECT confidence IS NULL FROM verdict ORDER BY id DESC LIMIT 1"), 1);

    assert_int_equal(incident_decide(t.store, 4711, &note, T0), -ENOENT);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM verdict"), 2);
}

static void test_store_that_fails(void **state)
{
    (void)state;
    struct id_set named = {0};
    struct incident_intake in = {.store = t.store, .config = &t.config, .now = T0, .named = &named};
    struct alert a = alert_a();
    run_sql(t.store, "DROP TABLE verdict");
    run_sql(t.store, "DROP TABLE alert");
    assert_true(incident_take(&in, &a) < 0);
    a.resolved = true;
    assert_true(incident_take(&in, &a) < 0);
    assert_true(incident_oversized(&in, "s", "p", 1) < 0);
    id_set_done(&named);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_opens),
        T(test_environment_is_of_the_cluster),
        T(test_scrape_target_is_no_node),
        T(test_each_problem_is_its_own),
        T(test_join_before_the_verdict_is_only_counted),
        T(test_same_fingerprint_of_another_sender),
        T(test_a_notification_counts_once),
        T(test_truncated_is_the_most_that_was_cut),
        T(test_join_after_the_verdict_asks_again),
        T(test_severity_is_the_worst_of_its_members),
        T(test_a_raise_is_pushed_before_the_verdict),
        T(test_a_raise_of_a_member_itself),
        T(test_repeats_are_silent),
        T(test_a_member_is_noted_hourly),
        T(test_end_of_what_never_fired),
        T(test_the_last_member_closes),
        T(test_a_member_that_comes_back),
        T(test_which_resolutions_are_told),
        T(test_edges_of_the_flap_window),
        T(test_no_flap_window),
        T(test_another_member_reopens),
        T(test_the_latest_is_reopened),
        T(test_reopened_while_undecided),
        T(test_reopened_while_taken),
        T(test_reopened_after_noise),
        T(test_reopened_after_any_other_verdict),
        T(test_asking_again_starts_the_clocks),
        T(test_every_press_of_a_test_button_shows),
        T(test_watchdog_only_feeds_the_watch),
        T(test_oversized_notification),
        T(test_stale),
        T(test_a_repeat_keeps_it_from_being_stale),
        T(test_stale_is_off),
        T(test_a_sweep_is_bounded),
        T(test_clock_set_back),
        T(test_taken),
        T(test_decided),
        T(test_store_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
