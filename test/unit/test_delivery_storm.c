#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "test/support/delivery_bench.h"

#define SECOND 1000ll
#define MANY 400

static struct delivery_bench b;
static char names[MANY][16];

// Everything that came, with its time.
static struct sent {
    int64_t at;
    size_t bytes; // content and meta values
    bool digest, critical;
    long id;
    char content[4096];
} sent[2 * MANY];
static size_t n_sent;

static int setup(void **state)
{
    (void)state;
    delivery_bench_open(&b);
    b.t.config.events_per_min = 5;
    b.t.config.event_bytes = 2000;
    n_sent = 0;
    for (int i = 0; i < MANY; i++)
        snprintf(names[i], sizeof names[i], "Alert%d", i);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    delivery_bench_close(&b);
    next_event(NULL);
    return 0;
}

static void drain(void)
{
    while (events_waiting(&b)) {
        const cJSON *e = next_event(&b);
        assert_true(n_sent < ARRAY_LEN(sent));
        struct sent *s = &sent[n_sent++];
        *s = (struct sent){.at = clock_boot_ms(), .bytes = strlen(content_of(e))};
        for (const cJSON *m = json_get(e, "meta")->child; m; m = m->next)
            s->bytes += strlen(m->valuestring) + strlen(m->string);
        s->digest = strcmp(meta_value(e, "kind"), "digest") == 0;
        s->critical = !s->digest && strcmp(meta_value(e, "severity"), "critical") == 0;
        s->id = strtol(meta_value(e, "incident_id"), NULL, 10);
        assert_true(strlen(content_of(e)) <= (size_t)b.t.config.event_bytes);
        snprintf(s->content, sizeof s->content, "%s", content_of(e));
    }
}

static void pass_noting(int64_t ms)
{
    for (; ms > 0; ms -= 500) {
        pass(&b, 500);
        drain();
    }
}

static struct alert alert_n(int n, enum alert_severity severity, const char *cluster)
{
    struct alert a = alert_made(names[n], names[n]);
    a.severity = severity;
    a.cluster = cluster;
    return a;
}

static void take_in(int first, int n, enum alert_severity severity, const char *cluster)
{
    for (int i = first; i < first + n; i++)
        take_alert(&b.t, clock_wall_ms(), alert_n(i, severity, cluster));
}

static size_t count(bool digest, bool critical)
{
    size_t n = 0;
    for (size_t i = 0; i < n_sent; i++)
        n += sent[i].digest == digest && sent[i].critical == critical;
    return n;
}

// In no minute more than the budget, whatever comes.
static void check_every_minute(void)
{
    for (size_t i = 0; i < n_sent; i++) {
        int64_t events = 0, digests = 0, bytes = 0;
        for (size_t j = i; j < n_sent && sent[j].at - sent[i].at < 60 * SECOND; j++) {
            events += !sent[j].digest && !sent[j].critical;
            digests += sent[j].digest;
            bytes += (int64_t)sent[j].bytes;
        }
        assert_true(events <= b.t.config.events_per_min);
        assert_true(digests <= 1);
        assert_true(bytes <= b.t.config.events_per_min * b.t.config.event_bytes);
    }
}

static void test_budget_then_a_digest(void **state)
{
    (void)state;
    attach(&b);
    take_in(0, 40, SEVERITY_WARNING, "platform");
    take_in(40, 3, SEVERITY_CRITICAL, "platform");
    take_in(43, 1, SEVERITY_CRITICAL, "dev-1");
    delivery_wake(b.delivery);
    drain();
    for (int i = 0; i < 3; i++)
        assert_true(sent[i].critical); // the worst come first
    assert_int_equal(count(false, true), 4);
    assert_true(count(false, false) >= 3 && count(false, false) <= 5);
    assert_int_equal(count(true, false), 0);
    size_t own = n_sent;

    pass_noting(5 * SECOND);
    assert_int_equal(n_sent, own + 1);
    assert_true(sent[own].digest);
    char heading[32];
    snprintf(heading, sizeof heading, "%zu incidents", 44 - own);
    assert_memory_equal(sent[own].content, heading, strlen(heading));
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM incident WHERE deliveries = 0"), 0);
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM incident WHERE deliveries > 1"), 0);
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM incident WHERE state <> 1"), 0);

    pass_noting(290 * SECOND);
    assert_int_equal(n_sent, own + 1); // nothing twice within SRE_TAKE_SECONDS
    pass_noting(420 * SECOND);
    check_every_minute();
    assert_int_equal(ask_int(b.t.store, "SELECT max(delivery) FROM incident"), 3);
    assert_int_equal(ask_int(b.t.store, "SELECT min(delivery) FROM incident"), 3);
}

static void test_a_storm_that_goes_on(void **state)
{
    (void)state;
    attach(&b);
    for (int i = 0; i < MANY; i++) {
        arrive(&b, alert_n(i, i % 50 ? SEVERITY_WARNING : SEVERITY_CRITICAL, "platform"));
        pass_noting(500);
    }
    assert_int_equal(count(false, true), MANY / 50); // each of these by itself
    pass_noting(65 * SECOND);
    check_every_minute();
    assert_true(count(true, false) >= 3);
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM incident WHERE deliveries = 0"), 0);
}

static bool is_named(const char *content, int id)
{
    char mark[16];
    size_t n = (size_t)snprintf(mark, sizeof mark, "#%d", id);
    for (const char *p = content; (p = strstr(p, mark)); p += n)
        if (p[n] < '0' || p[n] > '9')
            return true;
    return false;
}

// Those that have no event of their own are named in the digest.
static void check_critical_ones(int n)
{
    delivery_wake(b.delivery);
    pass_noting(5 * SECOND);
    assert_int_equal(count(false, true), 5);
    assert_int_equal(count(true, false), 1);
    for (int id = 1; id <= n; id++) {
        bool own = false;
        for (size_t i = 0; i + 1 < n_sent; i++)
            own |= sent[i].id == id;
        if (own == is_named(sent[n_sent - 1].content, id))
            fail_msg("#%d: %s", id, sent[n_sent - 1].content);
    }
    check_every_minute();
}

static void test_critical_ones_of_one_cause(void **state)
{
    (void)state;
    attach(&b);
    take_in(0, 20, SEVERITY_CRITICAL, "platform"); // one service
    check_critical_ones(20);
}

static void test_critical_ones_of_one_rule(void **state)
{
    (void)state;
    attach(&b);
    for (int i = 0; i < 20; i++) {
        struct alert a = alert_made("OneRule", names[i]);
        a.service = names[i];
        a.severity = SEVERITY_CRITICAL;
        take_alert(&b.t, clock_wall_ms(), a);
    }
    check_critical_ones(20);
}

static void test_a_calm_minute_needs_no_digest(void **state)
{
    (void)state;
    attach(&b);
    take_in(0, 4, SEVERITY_WARNING, "platform");
    delivery_wake(b.delivery);
    pass_noting(30 * SECOND);
    assert_int_equal(count(false, false), 4);
    assert_int_equal(count(true, false), 0);
}

static void test_smallest_budget(void **state)
{
    (void)state;
    b.t.config.events_per_min = 1;
    attach(&b);
    for (int i = 0; i < 20; i++) {
        arrive(&b, alert_n(i, SEVERITY_CRITICAL, "platform"));
        pass_noting(2 * SECOND);
    }
    pass_noting(200 * SECOND);
    assert_true(n_sent >= 2);
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM incident WHERE deliveries = 0"), 0);
}

static void test_smallest_event(void **state)
{
    (void)state;
    b.t.config.event_bytes = 1;
    attach(&b);
    take_in(0, 3, SEVERITY_WARNING, "platform");
    delivery_wake(b.delivery);
    pass_noting(200 * SECOND);
    assert_true(n_sent >= 1);
}

// What was in a digest that could not be written comes again; what was pushed before does not.
static void test_digest_to_a_slow_client(void **state)
{
    (void)state;
    attach(&b);
    take_in(0, 30, SEVERITY_WARNING, "platform");
    delivery_wake(b.delivery);
    drain();
    size_t own = n_sent;
    assert_true(own >= 3 && own <= 5);
    b.mcp.sink_error = -ENOBUFS;
    pass_noting(10 * SECOND);
    b.mcp.sink_error = 0;
    assert_int_equal(n_sent, own);
    pass_noting(20 * SECOND);
    assert_int_equal(n_sent, own + 1);
    assert_true(sent[own].digest);
    char heading[32];
    snprintf(heading, sizeof heading, "%zu incidents", 30 - own);
    assert_memory_equal(sent[own].content, heading, strlen(heading));
    assert_int_equal(
        ask_int(b.t.store, "SELECT count(*) FROM incident WHERE deliveries <> 1 OR delivery <> 1"),
        0);
}

// A press of the test button shows even now, and still only once.
static void test_button_in_a_storm(void **state)
{
    (void)state;
    struct alert press = alert_n(MANY - 1, SEVERITY_INFO, "platform");
    press.test = true;
    attach(&b);
    take_in(0, 30, SEVERITY_WARNING, "platform");
    delivery_wake(b.delivery);
    for (int i = 0; i < 3; i++)
        take_alert(&b.t, clock_wall_ms(), press);
    pass_noting(420 * SECOND);
    assert_int_equal(
        ask_int(b.t.store, "SELECT count(*) FROM incident WHERE kind = 1 AND deliveries = 1"), 3);
}

static void test_reminder_in_a_storm(void **state)
{
    (void)state;
    attach(&b);
    int64_t id = arrive(&b, alert_n(MANY - 1, SEVERITY_WARNING, "platform"));
    assert_int_equal(incident_taken(b.t.store, &b.t.config, id, clock_wall_ms()), 0);
    pass_noting(899 * SECOND);
    take_in(0, 30, SEVERITY_ERROR, "platform");
    delivery_wake(b.delivery);
    pass_noting(600 * SECOND);
    assert_int_equal(STATE_OF(&b, id), STATE_TAKEN);
    assert_int_equal(DELIVERIES_OF(&b, id), 2); // once
    assert_int_equal(incident_int(&b, "SELECT delivery FROM incident WHERE id = ?", id), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_budget_then_a_digest),
        T(test_a_storm_that_goes_on),
        T(test_critical_ones_of_one_cause),
        T(test_critical_ones_of_one_rule),
        T(test_a_calm_minute_needs_no_digest),
        T(test_smallest_budget),
        T(test_smallest_event),
        T(test_digest_to_a_slow_client),
        T(test_button_in_a_storm),
        T(test_reminder_in_a_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
