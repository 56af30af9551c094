#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "channels/webhook/listing.h"
#include "test/support/store_fixture.h"

#include "test/support/alert_maker.h"

#define T0 1700000000000
#define MINUTE 60000ll

// The ids in one text, "..." behind them when there are more.
static const char *ids_of(struct listing l)
{
    static char text[512];
    int64_t ids[LISTING_MAX], count = -1;
    int n = 0;
    bool more = false;
    text[0] = '\0';
    if (!l.limit)
        l.limit = LISTING_MAX;
    assert_int_equal(listing_ids(t.store, &l, ids, &n, &more), 0);
    for (int i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld", i ? " " : "",
                 (long long)ids[i]);
    if (more)
        snprintf(text + strlen(text), sizeof text - strlen(text), "...");
    assert_int_equal(listing_count(t.store, &l, &count), 0);
    if (l.limit == LISTING_MAX && !l.before)
        assert_int_equal(count, n);
    return text;
}

static int64_t fire(const char *name, const char *cluster, enum alert_severity severity)
{
    struct alert a = alert_made(name, name);
    a.cluster = cluster;
    a.severity = severity;
    return take_alert(&t, T0, a);
}

static void test_states(void **state)
{
    (void)state;
    static const char *const names[] = {"new",    "pushed", "taken", "decided",
                                        "unsure", "over",   "judged"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(fire(names[i], "platform", SEVERITY_WARNING), i + 1);
    struct alert press = alert_made("test", "test");
    press.test = true;
    assert_int_equal(take_alert(&t, T0, press), 8);
    run_sql(t.store, "UPDATE incident SET state = 1 WHERE id = 2");
    assert_int_equal(incident_taken(t.store, &t.config, 3, T0), 0);
    decide(&t, 4, VERDICT_REAL, T0);
    decide(&t, 5, VERDICT_UNSURE, T0);
    take_end(&t, T0, alert_made("over", "over"));
    decide(&t, 7, VERDICT_NOISE, T0);
    take_end(&t, T0, alert_made("judged", "judged"));

    assert_string_equal(ids_of((struct listing){.state = LIST_UNDECIDED, .severity = -1}),
                        "6 5 3 2 1");
    assert_string_equal(ids_of((struct listing){.state = LIST_OPEN, .severity = -1}), "5 4 3 2 1");
    assert_string_equal(ids_of((struct listing){.state = LIST_ALL, .severity = -1}),
                        "7 6 5 4 3 2 1");
    assert_string_equal(ids_of((struct listing){.state = LIST_ALL, .severity = -1, .tests = true}),
                        "8 7 6 5 4 3 2 1");
}

static void test_filters(void **state)
{
    (void)state;
    fire("a", "platform", SEVERITY_CRITICAL);
    fire("b", "platform", SEVERITY_WARNING);
    fire("c", "dev-1", SEVERITY_CRITICAL);
    fire("d", "", SEVERITY_UNKNOWN);
    for (int s = LIST_UNDECIDED; s <= LIST_ALL; s++) {
        struct listing l = {.state = (enum listing_state)s, .severity = SEVERITY_CRITICAL};
        assert_string_equal(ids_of(l), "3 1");
        l.cluster = "platform";
        assert_string_equal(ids_of(l), "1");
        l.severity = -1;
        assert_string_equal(ids_of(l), "2 1");
        l.cluster = "plat%";
        assert_string_equal(ids_of(l), "");
        l.cluster = "";
        assert_string_equal(ids_of(l), "4");
        l = (struct listing){.state = (enum listing_state)s, .severity = SEVERITY_UNKNOWN};
        assert_string_equal(ids_of(l), "4");
    }
}

static void test_pages(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        fire(names[i], "platform", SEVERITY_WARNING);
    struct listing l = {.state = LIST_ALL, .severity = -1, .limit = 2};
    assert_string_equal(ids_of(l), "5 4...");
    l.before = 4;
    assert_string_equal(ids_of(l), "3 2...");
    l.before = 2;
    assert_string_equal(ids_of(l), "1");
    l.before = 1;
    assert_string_equal(ids_of(l), "");
    int64_t count = 0;
    assert_int_equal(listing_count(t.store, &l, &count), 0);
    assert_int_equal(count, 5); // whatever the page
    l = (struct listing){.state = LIST_ALL, .severity = -1, .limit = 5};
    assert_string_equal(ids_of(l), "5 4 3 2 1");
    l.limit = 1000000; // no more than fits
    assert_string_equal(ids_of(l), "5 4 3 2 1");
}

static void test_names_of_states(void **state)
{
    (void)state;
    enum listing_state s = LIST_OPEN;
    assert_int_equal(listing_state_named("undecided", &s), 0);
    assert_int_equal(s, LIST_UNDECIDED);
    assert_int_equal(listing_state_named("open", &s), 0);
    assert_int_equal(s, LIST_OPEN);
    assert_int_equal(listing_state_named("all", &s), 0);
    assert_int_equal(s, LIST_ALL);
    assert_int_equal(listing_state_named("closed", &s), -EINVAL);
    assert_int_equal(listing_state_named("", &s), -EINVAL);
    assert_int_equal(s, LIST_ALL);
}

static const char *line_of(int64_t id, int64_t now)
{
    static char text[512];
    struct incident_view v;
    struct buf b = BUF_INIT(512);
    assert_int_equal(incident_view_load(t.store, id, &v), 0);
    listing_line(&v, now, &b);
    snprintf(text, sizeof text, "%s", buf_cstr(&b));
    incident_view_done(&v);
    buf_done(&b);
    return text;
}

static void test_line(void **state)
{
    (void)state;
    int64_t id = fire("Slow", "platform", SEVERITY_CRITICAL);
    assert_string_equal(line_of(id, T0 + 4 * MINUTE),
                        "#1 critical firing Slow on checkout (platform / payments), 4 min, new");
    take_alert(&t, T0, alert_made("Slow", "other"));
    decide(&t, id, VERDICT_AUTO_FIXED, T0);
    assert_string_equal(line_of(id, T0 + 65 * MINUTE),
                        "#1 critical firing Slow on checkout (platform / payments), 2 alerts, 1 h "
                        "5 min, decided, auto_fixed");
    take_end(&t, T0 + 2 * MINUTE, alert_made("Slow", "other"));
    take_end(&t, T0 + 3 * MINUTE, alert_made("Slow", "Slow"));
    assert_string_equal(line_of(id, T0 + 500 * MINUTE),
                        "#1 critical resolved Slow on checkout (platform / payments), 3 min, "
                        "decided, auto_fixed"); // how long it was
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_states), T(test_filters), T(test_pages), T(test_names_of_states), T(test_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
