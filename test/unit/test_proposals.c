// Tuning proposals from made-up histories: each kind, its numbers, its text for each sender, and
// what becomes of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "channels/webhook/proposal_change.h"
#include "channels/webhook/proposal_data.h"
#include "channels/webhook/proposal_list.h"
#include "test/support/temp_store.h"

#include "test/support/past.h"

#define NOW 1700000000000 // 2023-11-14T22:13:20Z
#define MINUTE (60 * 1000ll)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static struct temp_store t;
static struct buf json, text;
static cJSON *tree;

static int setup(void **state)
{
    (void)state;
    temp_store_open(&t);
    json = text = BUF_INIT(1 << 20);
    tree = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cJSON_Delete(tree);
    buf_done(&json);
    buf_done(&text);
    temp_store_close(&t);
    return 0;
}

static const cJSON *list_at(int64_t now, int64_t days, size_t max)
{
    struct proposal_list l;
    const char *why;
    buf_clear(&json);
    buf_clear(&text);
    assert_int_equal(proposal_list_make(t.store, days, now, &l), 0);
    assert_int_equal(proposal_list_save(t.store, &l), 0);
    assert_int_equal(proposal_list_write(t.store, &l, max, &json, &text), 0);
    proposal_list_done(&l);
    cJSON_Delete(tree);
    tree = json_parse(buf_str(&json), &why);
    assert_non_null(tree);
    return json_arr(tree, "proposals");
}

static const cJSON *list(void)
{
    return list_at(NOW, 30, 1 << 20);
}

// The only proposal, of this kind.
static const cJSON *only(const char *kind)
{
    const cJSON *all = list();
    assert_int_equal(cJSON_GetArraySize(all), 1);
    assert_string_equal(json_str(cJSON_GetArrayItem(all, 0), "kind"), kind);
    return cJSON_GetArrayItem(all, 0);
}

static const char *change_text(const cJSON *p)
{
    return json_str(json_obj(p, "change"), "text");
}

static void has_effect(const cJSON *p, int64_t removed, int64_t of, int64_t real)
{
    char want[96];
    const cJSON *e = json_obj(p, "effect");
    snprintf(want, sizeof want, "would have removed %d of %d firings, 0 of %d real", (int)removed,
             (int)of, (int)real);
    assert_string_equal(json_str(e, "summary"), want);
    assert_int_equal(json_int(e, "removed", -1), removed);
    assert_int_equal(json_int(e, "kept", -1), of - removed);
    assert_int_equal(json_int(e, "noise_removed", -1) + json_int(e, "real_removed", -1) +
                         json_int(e, "undecided_removed", -1),
                     removed);
    assert_int_equal(json_int(e, "real_removed", -1), 0);
}

// n of them, one every 19 hours (no daily pattern), newest an hour ago.
static void series(struct past p, int n)
{
    for (int i = 0; i < n; i++) {
        p.at = NOW - HOUR - i * 19 * HOUR;
        past_fire(t.store, p);
    }
}

static struct past slow(void)
{
    return (struct past){.alertname = "High Latency", .verdict = VERDICT_NOISE, .lasted = 4 * HOUR};
}

// ---- evidence ----

static void test_too_little(void **state)
{
    (void)state;
    struct past p = slow();
    p.lasted = MINUTE;
    series(p, 2);
    assert_int_equal(cJSON_GetArraySize(list()), 0);
    series(p, 2); // four firings at two times
    assert_int_equal(cJSON_GetArraySize(list()), 0);
    assert_string_equal(buf_cstr(&text), "nothing to propose from the last 30 days\n");
}

static void test_mostly_real(void **state)
{
    (void)state;
    struct past p = slow();
    p.lasted = MINUTE;
    series(p, 6);
    p.verdict = VERDICT_REAL;
    p.lasted = HOUR;
    series(p, 4);
    assert_int_equal(cJSON_GetArraySize(list()), 0);
}

static void test_mostly_undecided(void **state)
{
    (void)state;
    struct past p = slow();
    p.lasted = MINUTE;
    series(p, 6);
    p.verdict = VERDICT_NONE;
    series(p, 7);
    assert_int_equal(cJSON_GetArraySize(list()), 0);
}

static void test_no_change_that_helps(void **state)
{
    (void)state;
    struct past p = slow();
    p.service = "checkout"; // hours long, no values, alone, at all times of the day
    series(p, 20);
    assert_int_equal(cJSON_GetArraySize(list()), 0);
}

static void test_outside_of_the_window(void **state)
{
    (void)state;
    struct past p = slow();
    p.lasted = MINUTE;
    series(p, 20); // over 16 days
    assert_int_equal(cJSON_GetArraySize(list_at(NOW, 30, 1 << 20)), 1);
    assert_int_equal(cJSON_GetArraySize(list_at(NOW, 2, 1 << 20)), 0);
}

// What the memory dismissed would be gone too, but the proposal rests on what somebody has looked
// at.
static void test_by_the_memory(void **state)
{
    (void)state;
    struct past p = slow();
    p.lasted = MINUTE;
    series(p, 2);
    p.folded = true;
    series(p, 20);
    assert_int_equal(cJSON_GetArraySize(list()), 0);
    p.folded = false;
    series(p, 1);
    const cJSON *e = json_obj(only("for"), "evidence");
    assert_int_equal(json_int(e, "noise", 0), 23);
    assert_int_equal(json_int(e, "noise_by_memory", 0), 20);
}

// ---- for ----

static void test_for(void **state)
{
    (void)state;
    struct past p = slow();
    for (int i = 0; i < 41; i++) {
        p.at = NOW - HOUR - i * 17 * HOUR;
        p.lasted = (1 + i % 8) * MINUTE;
        past_fire(t.store, p);
    }
    p.verdict = VERDICT_REAL;
    p.lasted = 50 * MINUTE;
    series(p, 2);
    const cJSON *q = only("for");
    has_effect(q, 41, 43, 2);
    assert_int_equal(json_int(json_obj(json_obj(q, "change"), "parameters"), "add_seconds", 0),
                     600);
    assert_string_equal(json_str(json_obj(q, "change"), "format"), "prometheus");
    assert_string_equal(change_text(q), "   - alert: \"High Latency\"\n+    for: 10m   # if it has "
                                        "a `for` already: that much more\n");
    const cJSON *e = json_obj(q, "evidence");
    assert_int_equal(json_int(e, "firings", 0), 43);
    assert_int_equal(json_int(e, "noise", 0), 41);
    assert_int_equal(json_int(e, "real", 0), 2);
    assert_int_equal(json_int(json_obj(e, "seconds_of_noise"), "max", 0), 480);
    assert_non_null(strstr(buf_cstr(&text), "would have removed 41 of 43 firings, 0 of 2 real"));
}

// A short real one forbids it.
static void test_for_loses_no_real_one(void **state)
{
    (void)state;
    struct past p = slow();
    p.lasted = 5 * MINUTE;
    series(p, 20);
    p.verdict = VERDICT_AUTO_FIXED;
    p.lasted = 4 * MINUTE;
    series(p, 1);
    assert_int_equal(cJSON_GetArraySize(list()), 0);
}

static void test_for_counts_the_undecided(void **state)
{
    (void)state;
    struct past p = slow();
    p.lasted = MINUTE;
    series(p, 8);
    p.verdict = VERDICT_UNSURE;
    series(p, 1);
    p.verdict = VERDICT_NONE;
    series(p, 1);
    const cJSON *e = json_obj(only("for"), "effect");
    assert_int_equal(json_int(e, "undecided_removed", 0), 2);
    assert_string_equal(
        json_str(e, "summary"),
        "would have removed 10 of 10 firings, 0 of 0 real, and 2 that nobody has decided on");
}

static void test_for_of_others(void **state)
{
    (void)state;
    struct past p = slow();
    p.lasted = MINUTE;
    p.source = "signoz";
    p.label = "ruleId";
    p.label_value = "0194-ab";
    series(p, 8);
    assert_string_equal(change_text(only("for")),
                        "{\"alert\":\"High "
                        "Latency\",\"ruleId\":\"0194-ab\",\"evalWindow\":\"2m0s\",\"condition\":{"
                        "\"matchType\":\"2\"}}\n");
    run_sql(t.store, "UPDATE alert SET source = 'grafana', labels = '{}', generator_url = "
                     "'https://g/alerting/grafana/uid-1/view?orgId=1'");
    assert_string_equal(change_text(only("for")),
                        "   - title: \"High Latency\"\n     uid: \"uid-1\"\n+    for: 2m   # if it "
                        "has a `for` already: that much more\n");
}

// ---- threshold ----

static void with_values(struct past p, const char *unit, int first, int step, int n)
{
    char value[32];
    for (int i = 0; i < n; i++) {
        snprintf(value, sizeof value, "%d%s", first + i * step, unit);
        p.value = value;
        p.at = NOW - HOUR - i * 19 * HOUR;
        past_fire(t.store, p);
    }
}

static void test_threshold(void **state)
{
    (void)state;
    struct past p = slow();
    p.url = "http://prometheus/graph?g0.expr=histogram_quantile%280.99%2C+x%29+%3E+500&g0.tab=1";
    with_values(p, " ms", 510, 10, 12); // to 620
    p.verdict = VERDICT_REAL;
    with_values(p, " ms", 2000, 1000, 2);
    const cJSON *q = only("threshold");
    has_effect(q, 12, 14, 2);
    assert_string_equal(
        change_text(q),
        "   - alert: \"High Latency\"\n-    expr: 'histogram_quantile(0.99, x) > 500'\n"
        "+    expr: 'histogram_quantile(0.99, x) > 620'\n");
    assert_string_equal(json_str(json_obj(json_obj(q, "evidence"), "values_of_noise"), "unit"),
                        "ms");
}

// The rule counts in seconds what the alert says in milliseconds: no number of ours belongs there.
static void test_threshold_of_another_scale(void **state)
{
    (void)state;
    struct past p = slow();
    with_values(p, " ms", 510, 10, 12);
    static const char *const update[] = {
        "UPDATE alert SET generator_url = 'http://prometheus/graph?g0.expr=x+%3E+0.5&g0.tab=1'",
        "UPDATE alert SET generator_url = 'http://prometheus/graph?g0.expr=x+%3E%3D+50000'"};
    run_sql(t.store, update[0]);
    assert_string_equal(change_text(only("threshold")),
                        "   - alert: \"High Latency\"\n-    expr: 'x > 0.5'\n"
                        "+    expr: '<the expression without its threshold> > 620 <ms>'\n");
    run_sql(t.store, update[1]);
    assert_non_null(strstr(change_text(only("threshold")), "> 620 <ms>'"));
}

static void test_values_of_two_units(void **state)
{
    (void)state;
    struct past p = slow();
    with_values(p, " ms", 800, 20, 6); // to 900
    for (int i = 0; i < 6; i++) {
        p.at = NOW - 2 * HOUR - i * 19 * HOUR;
        p.value = "1.1 s";
        p.threshold = "500 ms";
        past_fire(t.store, p);
    }
    const cJSON *q = only("threshold");
    assert_true(json_get(json_obj(json_obj(q, "change"), "parameters"), "above")->valuedouble ==
                1.1);
    assert_string_equal(json_str(json_obj(json_obj(q, "evidence"), "values_of_noise"), "unit"),
                        "s");
}

static void test_threshold_from_below(void **state)
{
    (void)state;
    struct past p = slow();
    p.description = "free space is below the threshold (20%)";
    with_values(p, "%", 12, 1, 8); // 12 to 19
    p.verdict = VERDICT_REAL;
    with_values(p, "%", 2, 1, 2);
    const cJSON *q = only("threshold");
    has_effect(q, 8, 10, 2);
    assert_string_equal(change_text(q), "   - alert: \"High Latency\"\n+    expr: '<the expression "
                                        "without its threshold> < 12 <%>'\n");
}

static void test_threshold_loses_no_real_one(void **state)
{
    (void)state;
    struct past p = slow();
    with_values(p, "", 50, 10, 8);
    p.verdict = VERDICT_REAL;
    with_values(p, "", 55, 1, 1);
    assert_int_equal(cJSON_GetArraySize(list()), 0);
}

// Whether a real one without a value would be lost cannot be said.
static void test_threshold_needs_the_real_values(void **state)
{
    (void)state;
    struct past p = slow();
    with_values(p, "", 50, 1, 12);
    assert_string_equal(json_str(only("threshold"), "kind"), "threshold");
    p.verdict = VERDICT_REAL;
    series(p, 1);
    assert_int_equal(cJSON_GetArraySize(list()), 0);
}

static void test_threshold_does_not_switch_off(void **state)
{
    (void)state;
    struct past p = slow();
    for (int i = 0, value = 1; i < 9; i++, value *= 10) { // anything at all: no limit is near
        p.at = NOW - HOUR - i * 19 * HOUR;
        char number[16];
        snprintf(number, sizeof number, "%d", value);
        p.value = number;
        past_fire(t.store, p);
    }
    assert_int_equal(cJSON_GetArraySize(list()), 0);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *text, *unit;
        double value;
    } good[] = {{"3.41 s", "s", 3.41}, {"250ms", "ms", 250},         {"2 min", "min", 2},
                {"87%", "%", 87},      {"B=22, C=1", "", 22},        {"-1.5", "", -1.5},
                {"1.2e3", "", 1200},   {"  42 req/s.", "req/s", 42}, {"12 averylongunit", "", 12}};
    static const char *const bad[] = {"", "high", "NaN", "inf", "0x10", "A=", "-", "1e999"};
    char unit[8];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        double v = tuning_value(good[i].text, unit);
        assert_true(fabs(v - good[i].value) < 1e-9);
        assert_string_equal(unit, good[i].unit);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(isnan(tuning_value(bad[i], unit)));
}

// ---- keep_firing_for ----

static void test_flaps(void **state)
{
    (void)state;
    struct past p = slow();
    p.flaps = 5;
    series(p, 8);
    const cJSON *q = only("keep_firing_for");
    has_effect(q, 40, 48, 0);
    assert_string_equal(change_text(q),
                        "   - alert: \"High Latency\"\n+    keep_firing_for: 10m\n");
}

static void test_returns_within_the_hour(void **state)
{
    (void)state;
    struct past p = slow();
    p.lasted = 20 * MINUTE;
    for (int day = 0; day < 4; day++)
        for (int i = 0; i < 6; i++) {
            p.at = NOW - DAY - day * 5 * 19 * HOUR + i * 65 * MINUTE;
            past_fire(t.store, p);
        }
    const cJSON *q = only("for"); // 30 min removes all of them, which is more
    const cJSON *other = cJSON_GetArrayItem(json_arr(q, "alternatives"), 0);
    assert_string_equal(json_str(other, "kind"), "keep_firing_for");
    assert_string_equal(json_str(other, "summary"),
                        "would have removed 20 of 24 firings, 0 of 0 real");
    assert_int_equal(json_int(json_obj(other, "parameters"), "seconds", 0), 3600);
}

// ---- inhibition ----

static void test_inhibition(void **state)
{
    (void)state;
    struct past node = {.alertname = "NodeDown",
                        .severity = 4,
                        .verdict = VERDICT_REAL,
                        .lasted = 90 * MINUTE,
                        .service = "node-1"};
    struct past target = {.alertname = "TargetMissing",
                          .verdict = VERDICT_NOISE,
                          .lasted = 70 * MINUTE,
                          .service = "it's"};
    for (int i = 0; i < 6; i++) {
        node.at = NOW - DAY - i * 43 * HOUR;
        past_fire(t.store, node);
        target.at = node.at + 5 * MINUTE;
        past_fire(t.store, target);
    }
    const cJSON *q = only("inhibition");
    has_effect(q, 6, 6, 0);
    assert_string_equal(json_str(json_obj(q, "change"), "format"), "alertmanager");
    assert_string_equal(change_text(q), " inhibit_rules:\n+  - source_matchers:\n+      - "
                                        "'alertname=\"NodeDown\"'\n+    target_matchers:\n"
                                        "+      - 'alertname=\"TargetMissing\"'\n+      - "
                                        "'cluster=\"dev-eu\"'\n+      - 'service=\"it''s\"'\n"
                                        "+    equal: [\"cluster\", \"namespace\"]\n");
    run_sql(t.store, "UPDATE alert SET source = 'signoz'");
    assert_string_equal(
        change_text(only("inhibition")),
        "{\"alert\":\"TargetMissing\",\"ruleType\":\"promql_rule\",\"condition\":{"
        "\"compositeQuery\":{\"queryType\":\"promql\",\"query\":\"(QUERY AND THRESHOLD OF THIS "
        "RULE) unless on(cluster, namespace) (QUERY AND THRESHOLD OF \\\"NodeDown\\\")\"}}}\n");
    run_sql(t.store, "UPDATE alert SET source = 'grafana'");
    assert_non_null(strstr(
        change_text(only("inhibition")),
        "+kind: InhibitionRule\n+metadata: {name: "
        "\"sre-targetmissing-while-nodedown-fires\"}\n+spec:\n"
        "+  source_matchers:\n+    - {type: \"=\", label: \"alertname\", value: \"NodeDown\"}\n"
        "+  target_matchers:\n+    - {type: \"=\", label: \"alertname\", value: "
        "\"TargetMissing\"}\n+    - {type: \"=\", label: \"service\", value: \"it's\"}\n"
        "+  equal: [\"cluster\", \"namespace\"]\n"));
    run_sql(t.store, "UPDATE incident SET verdict = 4 WHERE id = 2"); // one of them was real, and
                                                                      // would have been lost
    assert_int_equal(cJSON_GetArraySize(list()), 0);
}

// What is open all the time is there by chance.
static void test_no_inhibition_by_what_always_fires(void **state)
{
    (void)state;
    struct past always = {.alertname = "AlwaysThere", .severity = 4, .lasted = 100 * HOUR};
    for (int i = 0; i < 7; i++) {
        always.at = NOW - 30 * DAY + i * 100 * HOUR + HOUR;
        past_fire(t.store, always);
    }
    struct past p = slow();
    series(p, 10);
    assert_int_equal(cJSON_GetArraySize(list()), 0);
}

// ---- many services ----

static void test_test_tenants(void **state)
{
    (void)state;
    char service[32];
    for (int i = 0; i < 8; i++) {
        snprintf(service, sizeof service, "tenant-test-%d", i);
        past_fire(t.store, (struct past){.alertname = "Tenant Inactive",
                                         .service = service,
                                         .at = NOW - HOUR - i * 19 * HOUR,
                                         .lasted = 3 * HOUR,
                                         .verdict = VERDICT_NOISE});
    }
    const cJSON *q = only("drop");
    has_effect(q, 8, 8, 0);
    assert_string_equal(json_str(q, "service"), "tenant-test-*");
    assert_string_equal(
        json_str(q, "title"),
        "Tenant Inactive on tenant-test-* (dev-eu / ns): drop it, it watches a test");
    assert_non_null(strstr(change_text(q), "+        - 'service=~\"tenant-test-.*\"'\n"));
    run_sql(t.store, "UPDATE alert SET source = 'signoz'");
    assert_string_equal(change_text(only("drop")),
                        "{\"alert\":\"Tenant Inactive\",\"filter to add to each query\":\"service "
                        "NOT REGEXP 'tenant-test-.*'\"}\n");
    run_sql(t.store, "UPDATE incident SET verdict = 4 WHERE id = 8");
    assert_int_equal(cJSON_GetArraySize(list()), 0);
}

static void test_test_names(void **state)
{
    (void)state;
    static const char *const yes[] = {"openaire-test", "test", "tenant-test-7", "e2e_runner",
                                      "shop.Demo"};
    static const char *const no[] = {
        "", "latest", "attestation", "contest-api", "testimonials", "checkout"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(proposal_is_test_name(yes[i]));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(proposal_is_test_name(no[i]));
}

static void test_a_rule_that_is_noisy_everywhere(void **state)
{
    (void)state;
    static const char *const services[] = {"api", "web", "billing", "search"};
    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        struct past p = slow();
        p.service = services[i];
        p.lasted = MINUTE;
        series(p, 6);
    }
    const cJSON *q = only("for");
    assert_string_equal(json_str(q, "service"), "");
    assert_int_equal(json_int(json_obj(q, "evidence"), "services", 0), 4);
    has_effect(q, 24, 24, 0);
}

static void test_many_at_once(void **state)
{
    (void)state;
    char service[16];
    for (int burst = 0; burst < 5; burst++)
        for (int i = 0; i < 6; i++) {
            snprintf(service, sizeof service, "worker-%d", i);
            struct past p = slow();
            p.service = service;
            p.at = NOW - DAY - burst * 43 * HOUR + i * 20000;
            past_fire(t.store, p);
        }
    const cJSON *q = only("grouping");
    has_effect(q, 25, 30, 0);
    assert_string_equal(change_text(q), "   - alert: \"High Latency\"\n+    expr: 'count by "
                                        "(cluster) (<the expression as it is>) > 0'\n");
}

// ---- every day ----

static void test_daily(void **state)
{
    (void)state;
    struct past p = slow();
    for (int i = 0; i < 12; i++) {
        p.at = NOW / DAY * DAY - i * DAY + 23 * HOUR + i * 9 * MINUTE; // 23:00 to 00:39
        past_fire(t.store, p);
    }
    const cJSON *q = cJSON_GetArrayItem(list_at(NOW + DAY, 30, 1 << 20), 0);
    assert_string_equal(json_str(q, "kind"), "anomaly");
    has_effect(q, 12, 12, 0);
    assert_string_equal(
        change_text(q),
        "   - alert: \"High Latency\"\n"
        "+    expr: '(<the expression as it is>) unless on() (hour() >= 23 or hour() < 1)'\n");
    p.verdict = VERDICT_REAL;
    past_fire(t.store, p);
    assert_int_equal(cJSON_GetArraySize(list_at(NOW + DAY, 30, 1 << 20)), 0);
}

// ---- known noise in prod ----

static void test_known_noise(void **state)
{
    (void)state;
    struct past p = slow();
    p.prod = true;
    p.cluster = "platform-prod";
    series(p, 3);
    const cJSON *q = only("known_noise");
    has_effect(q, 3, 3, 0);
    assert_int_equal(ask_int(t.store, "SELECT problem_id FROM proposal"), 1);
    assert_int_equal(proposal_decide(t.store, json_int(q, "proposal_id", 0), DECISION_ACCEPTED,
                                     "agent", "yes", NOW),
                     0);
    q = only("known_noise"); // still told, with the answer
    assert_string_equal(json_str(q, "decision"), "accepted");
    assert_string_equal(json_str(q, "note"), "yes");
    p.verdict = VERDICT_REAL;
    series(p, 1);
    p.verdict = VERDICT_NOISE;
    p.service = "critical";
    p.severity = 4;
    series(p, 3);
    p.severity = 2;
    p.prod = false;
    p.service = "dev";
    series(p, 3);
    list();
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM proposal"), 1);
}

static void test_known_noise_is_asked_again(void **state)
{
    (void)state;
    struct past p = slow();
    p.prod = true;
    series(p, 4);
    int64_t id = json_int(only("known_noise"), "proposal_id", 0);
    assert_int_equal(proposal_decide(t.store, id, DECISION_ACCEPTED, "agent", "", NOW - 15 * DAY),
                     0);
    const cJSON *q = only("known_noise");
    assert_string_equal(json_str(q, "decision"), "open");
    assert_int_equal(json_int(q, "proposal_id", 0), id + 1);
}

// ---- what becomes of them ----

static void test_one_row(void **state)
{
    (void)state;
    struct past p = slow();
    p.lasted = MINUTE;
    series(p, 8);
    int64_t id = json_int(only("for"), "proposal_id", 0);
    past_fire(t.store, (struct past){.alertname = p.alertname,
                                     .at = NOW - MINUTE,
                                     .lasted = 1000,
                                     .verdict = VERDICT_NOISE});
    const cJSON *q = only("for");
    assert_int_equal(json_int(q, "proposal_id", 0), id);
    assert_int_equal(json_int(json_obj(q, "evidence"), "firings", 0), 9);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM proposal"), 1);
}

static void more(int n, int64_t from)
{
    struct past p = slow();
    p.lasted = MINUTE;
    for (int i = 0; i < n; i++) {
        p.at = from + i * 7 * HOUR;
        past_fire(t.store, p);
    }
}

static void test_rejected(void **state)
{
    (void)state;
    more(8, NOW - 10 * DAY);
    int64_t id = json_int(only("for"), "proposal_id", 0);
    assert_int_equal(proposal_decide(t.store, id, DECISION_REJECTED, "agent", "we want it", NOW),
                     0);
    assert_int_equal(cJSON_GetArraySize(list()), 0);
    assert_int_equal(json_int(tree, "rejected", 0), 1);
    more(7, NOW + HOUR);
    assert_int_equal(cJSON_GetArraySize(list_at(NOW + 3 * DAY, 60, 1 << 20)),
                     0); // nor with a longer window
    more(1, NOW + 3 * DAY);
    const cJSON *all = list_at(NOW + 4 * DAY, 60, 1 << 20); // as much again
    assert_int_equal(cJSON_GetArraySize(all), 1);
    assert_int_equal(json_int(cJSON_GetArrayItem(all, 0), "proposal_id", 0), id + 1);
    assert_int_equal(json_int(json_obj(cJSON_GetArrayItem(all, 0), "evidence"), "noise", 0), 16);
}

static void test_rejected_is_so_for_other_changes_too(void **state)
{
    (void)state;
    struct past p = slow();
    p.lasted = MINUTE;
    series(p, 8);
    assert_int_equal(proposal_decide(t.store, json_int(only("for"), "proposal_id", 0),
                                     DECISION_REJECTED, "agent", "", NOW),
                     0);
    run_sql(t.store, "UPDATE incident SET flaps = 9"); // now another change is the better one
    assert_int_equal(cJSON_GetArraySize(list()), 0);
}

static const cJSON *measured_at(int64_t now)
{
    return json_obj(cJSON_GetArrayItem(list_at(now, 30, 1 << 20), 0), "measured");
}

static void test_applied(void **state)
{
    (void)state;
    more(24, NOW - 7 * DAY); // 24 a week
    int64_t id = json_int(only("for"), "proposal_id", 0);
    assert_int_equal(proposal_decide(t.store, id, DECISION_APPLIED, "agent", "MR 12", NOW), 0);
    const cJSON *m = measured_at(NOW + DAY);
    assert_true(cJSON_IsNull(json_get(m, "helped"))); // too early
    more(1, NOW + DAY);
    m = measured_at(NOW + 7 * DAY);
    assert_true(json_bool(m, "helped", false));
    assert_true(json_get(m, "firings_per_week_before")->valuedouble == 24);
    assert_true(json_get(m, "firings_per_week_after")->valuedouble == 1);
    assert_non_null(strstr(buf_cstr(&text), "it helped"));
    more(12, NOW + 2 * DAY);
    const cJSON *all = list_at(NOW + 7 * DAY, 30, 1 << 20);
    assert_int_equal(cJSON_GetArraySize(all), 2); // there is a new one, of what fired since
    assert_int_equal(json_int(json_obj(cJSON_GetArrayItem(all, 0), "evidence"), "firings", 0), 13);
    assert_false(json_bool(json_obj(cJSON_GetArrayItem(all, 1), "measured"), "helped", true));
}

// ---- strangers' names ----

static void test_hostile_names(void **state)
{
    (void)state;
    char service[64];
    for (int i = 0; i < 8; i++) {
        snprintf(service, sizeof service, "test.'\"]}\\n$(id)- x-%d", i);
        past_fire(t.store, (struct past){.alertname = "a\": '\n+  - alert: \"b\\",
                                         .service = service,
                                         .at = NOW - HOUR - i * 19 * HOUR,
                                         .lasted = 3 * HOUR,
                                         .verdict = VERDICT_NOISE});
    }
    const cJSON *q = only("drop");
    const char *change = change_text(q);
    assert_non_null(
        strstr(change, "+        - 'alertname=\"a\\\": ''\\n+  - alert: \\\"b\\\\\"'\n"));
    assert_non_null(strstr(
        change,
        "+        - 'service=~\"test\\\\.''\\\"\\\\]\\\\}\\\\\\\\n\\\\$\\\\(id\\\\)- x-.*\"'\n"));
    for (const char *p = change; *p; p = strchr(p, '\n') + 1) // every line is one of ours
        assert_true(strncmp(p, " route", 6) == 0 || strncmp(p, "   routes", 9) == 0 ||
                    strncmp(p, "+    - receiver", 15) == 0 ||
                    strncmp(p, "+      matchers", 15) == 0 || strncmp(p, "+        - '", 12) == 0);
    assert_null(strchr(json_str(q, "title"), '\n'));
    run_sql(t.store, "UPDATE alert SET source = 'signoz'");
    const char *why;
    cJSON *fields = json_parse(str_of(change_text(only("drop"))), &why);
    assert_string_equal(json_str(fields, "alert"), "a\": '\n+  - alert: \"b\\");
    cJSON_Delete(fields);
    run_sql(t.store, "UPDATE alert SET source = 'grafana', labels = '{\"grafana_folder\":\"x\"}'");
    assert_non_null(strstr(change_text(only("drop")),
                           "[\"alertname\",\"=\",\"a\\\": '\\n+  - alert: \\\"b\\\\\"]"));
}

static void test_labels_with_dots(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        past_fire(t.store, (struct past){.alertname = "A",
                                         .service = "x-test",
                                         .label = "k8s.x",
                                         .label_value = "x-test",
                                         .at = NOW - HOUR - i * 19 * HOUR,
                                         .lasted = 3 * HOUR,
                                         .verdict = VERDICT_NOISE});
    run_sql(t.store, "UPDATE alert SET labels = json_remove(labels, '$.service')");
    assert_non_null(strstr(change_text(only("drop")), "+        - '\"k8s.x\"=\"x-test\"'\n"));
}

static void test_size(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "Rule %d", i);
        struct past p = slow();
        p.alertname = name;
        p.lasted = MINUTE;
        series(p, 6 + i % 3);
    }
    const cJSON *all = list_at(NOW, 30, 34 * 1024);
    int shown = cJSON_GetArraySize(all);
    assert_true(json.len + text.len <= 34 * 1024);
    assert_true(shown > 10);
    assert_int_equal(json_int(tree, "left_out", 0), 60 - shown);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM proposal"), 60);
    assert_int_equal(json_int(json_obj(cJSON_GetArrayItem(all, 0), "evidence"), "noise", 0),
                     8); // the noisiest first
}

// The longest that intake keeps, of what has to be escaped everywhere.
static void test_the_longest_names(void **state)
{
    (void)state;
    char names[3][257];
    memset(names, '"', sizeof names);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        names[i][256] = '\0';
    static const char *const sources[] = {"prometheus", "signoz", "grafana"};
    struct past p = slow();
    p.alertname = names[0];
    p.service = p.namespace = names[1];
    p.cluster = names[2];
    p.lasted = MINUTE;
    series(p, 8);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        struct stmt *q = store_sql(t.store, "UPDATE alert SET source = ?");
        bind_text(q, 1, sources[i]);
        assert_int_equal(stmt_run(q), 0);
        assert_string_equal(json_str(json_obj(only("for"), "change"), "format"), sources[i]);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_too_little),
        T(test_mostly_real),
        T(test_mostly_undecided),
        T(test_no_change_that_helps),
        T(test_outside_of_the_window),
        T(test_by_the_memory),
        T(test_for),
        T(test_for_loses_no_real_one),
        T(test_for_counts_the_undecided),
        T(test_for_of_others),
        T(test_threshold),
        T(test_threshold_of_another_scale),
        T(test_values_of_two_units),
        T(test_threshold_from_below),
        T(test_threshold_loses_no_real_one),
        T(test_threshold_needs_the_real_values),
        T(test_threshold_does_not_switch_off),
        T(test_values),
        T(test_flaps),
        T(test_returns_within_the_hour),
        T(test_inhibition),
        T(test_no_inhibition_by_what_always_fires),
        T(test_test_tenants),
        T(test_test_names),
        T(test_a_rule_that_is_noisy_everywhere),
        T(test_many_at_once),
        T(test_daily),
        T(test_known_noise),
        T(test_known_noise_is_asked_again),
        T(test_one_row),
        T(test_rejected),
        T(test_rejected_is_so_for_other_changes_too),
        T(test_applied),
        T(test_hostile_names),
        T(test_labels_with_dots),
        T(test_size),
        T(test_the_longest_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
