// Each kind of change in the words of each sender, as somebody would paste it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "channels/webhook/proposal_data.h"
#include "channels/webhook/proposal_rule.h"
#include "test/support/temp_store.h"

#include "test/support/past.h"

static struct temp_store t;
static struct buf out;
static struct tuning_firing firing, *firings[] = {&firing};

static int setup(void **state)
{
    (void)state;
    temp_store_open(&t);
    out = BUF_INIT(1 << 16);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&out);
    temp_store_close(&t);
    return 0;
}

// One firing of High Latency on checkout, of that sender.
static struct tuning_unit unit_of(struct past p)
{
    p.alertname = "High Latency";
    p.service = "checkout";
    p.at = 1700000000000;
    firing = (struct tuning_firing){.id = past_fire(t.store, p), .value = NAN, .threshold = NAN};
    return (struct tuning_unit){.scope = SCOPE_PROBLEM,
                                .alertname = "High Latency",
                                .family = "checkout",
                                .cluster = "dev-eu",
                                .namespace = "ns",
                                .service = "checkout",
                                .firings = firings,
                                .n = 1};
}

static void expect(const struct tuning_unit *u, struct proposal_change c, const char *format,
                   const char *want)
{
    const char *got;
    buf_clear(&out);
    assert_int_equal(proposal_rule_write(t.store, u, &c, &out, &got), 0);
    assert_string_equal(buf_cstr(&out), want);
    assert_string_equal(got, format);
}

static void test_signoz(void **state)
{
    (void)state;
    struct tuning_unit u =
        unit_of((struct past){.source = "signoz", .label = "ruleId", .label_value = "0194-ab"});
    expect(&u, (struct proposal_change){.kind = PROPOSAL_KEEP_FIRING, .seconds = 900}, "signoz",
           "{\"alert\":\"High Latency\",\"ruleId\":\"0194-ab\",\"evalWindow\":\"15m0s\","
           "\"condition\":{\"matchType\":\"3\"}}\n");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_GROUP}, "signoz",
           "{\"alert\":\"High Latency\",\"ruleId\":\"0194-ab\",\"group by of each query, instead\":"
           "\"cluster\"}\n");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_THRESHOLD, .threshold = 2.5}, "signoz",
           "{\"alert\":\"High Latency\",\"ruleId\":\"0194-ab\",\"condition\":{\"target\":2.5,"
           "\"op\":\"1\"}}\n");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_ANOMALY, .hour = 3, .hours = 1}, "signoz",
           "{\"alert\":\"High Latency\",\"ruleId\":\"0194-ab\",\"ruleType\":\"anomaly_rule\","
           "\"condition\":{\"algorithm\":\"standard\",\"seasonality\":\"daily\",\"target\":3}}\n");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_DROP}, "signoz",
           "{\"alert\":\"High Latency\",\"ruleId\":\"0194-ab\",\"filter to add to each query\":"
           "\"service != 'checkout'\"}\n");
}

// Its number is in the unit of the values: told apart from the rule's own, which may be another.
static void test_signoz_says_the_unit_of_time(void **state)
{
    (void)state;
    struct tuning_unit u = unit_of((struct past){.source = "signoz"});
    struct proposal_change c = {.kind = PROPOSAL_THRESHOLD, .threshold = 0.1, .below = true};
    memcpy(firing.unit, "ms", 3);
    expect(&u, c, "signoz",
           "{\"alert\":\"High "
           "Latency\",\"condition\":{\"target\":0.1,\"targetUnit\":\"ms\",\"op\":\"2\"}}\n");
    memcpy(firing.unit, "s", 2);
    expect(&u, c, "signoz",
           "{\"alert\":\"High Latency\",\"condition\":{\"target\":0.1,\"targetUnit\":\"s\",\"op\":"
           "\"2\"}}\n");
    memcpy(firing.unit, "%", 2);
    expect(&u, c, "signoz",
           "{\"alert\":\"High Latency\",\"condition\":{\"target\":0.1,\"op\":\"2\"}}\n");
}

static void test_signoz_labels_with_dots(void **state)
{
    (void)state;
    struct tuning_unit u = unit_of((struct past){.source = "signoz"});
    run_sql(t.store, "UPDATE alert SET labels = '{\"k8s.cluster.name\":\"dev-eu\","
                     "\"k8s.namespace.name\":\"ns\",\"service.name\":\"it''s \\\\\"}'");
    u.service = "it's \\";
    expect(&u,
           (struct proposal_change){
               .kind = PROPOSAL_INHIBIT, .other = "NodeDown", .same_namespace = true},
           "signoz",
           "{\"alert\":\"High Latency\",\"ruleType\":\"promql_rule\",\"condition\":{"
           "\"compositeQuery\":{\"queryType\":\"promql\",\"query\":\"(QUERY AND THRESHOLD OF THIS "
           "RULE) unless on(\\\"k8s.cluster.name\\\", \\\"k8s.namespace.name\\\") (QUERY AND "
           "THRESHOLD OF \\\"NodeDown\\\")\"}}}\n");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_DROP}, "signoz",
           "{\"alert\":\"High Latency\",\"filter to add to each query\":"
           "\"service.name != 'it\\\\'s \\\\\\\\'\"}\n");
}

static struct tuning_unit of_grafana(void)
{
    return unit_of((struct past){
        .source = "grafana", .url = "https://grafana.example/alerting/grafana/uid-1/view?orgId=1"});
}

static void test_grafana(void **state)
{
    (void)state;
    struct tuning_unit u = of_grafana();
    expect(&u, (struct proposal_change){.kind = PROPOSAL_KEEP_FIRING, .seconds = 7200}, "grafana",
           "   - title: \"High Latency\"\n     uid: \"uid-1\"\n+    keep_firing_for: 2h\n");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_THRESHOLD, .threshold = 620}, "grafana",
           "   - title: \"High Latency\"\n     uid: \"uid-1\"\n"
           "+    condition: evaluator {type: gt, params: [620]}\n");
    expect(&u,
           (struct proposal_change){.kind = PROPOSAL_THRESHOLD, .threshold = 12.5, .below = true},
           "grafana",
           "   - title: \"High Latency\"\n     uid: \"uid-1\"\n"
           "+    condition: evaluator {type: lt, params: [12.5]}\n");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_GROUP}, "grafana",
           "   - title: \"High Latency\"\n     uid: \"uid-1\"\n"
           "+    query: count by (cluster) of what it has now, > 0\n");
    u.scope = SCOPE_RULE;
    expect(&u, (struct proposal_change){.kind = PROPOSAL_DROP}, "grafana",
           " routes:   # notification policies\n"
           "+  - receiver: \"null\"   # a contact point that nobody reads\n"
           "+    object_matchers: [[\"alertname\",\"=\",\"High Latency\"]]\n");
}

// A range of its mute timings ends after it begins: one across midnight is two.
static void test_grafana_mutes_by_the_hour(void **state)
{
    (void)state;
    struct tuning_unit u = of_grafana();
#define MUTE                                                                                       \
    " routes:   # notification policies\n+  - mute_time_intervals: [\"daily\"]\n"                  \
    "+    object_matchers: [[\"alertname\",\"=\",\"High Latency\"],"                               \
    "[\"service\",\"=\",\"checkout\"]]\n"                                                          \
    " muteTimes:\n+  - name: \"daily\"\n+    time_intervals: [{times: ["
    expect(&u, (struct proposal_change){.kind = PROPOSAL_ANOMALY, .hour = 3, .hours = 2}, "grafana",
           MUTE "{start_time: \"03:00\", end_time: \"05:00\"}]}]   # UTC\n");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_ANOMALY, .hour = 22, .hours = 2},
           "grafana", MUTE "{start_time: \"22:00\", end_time: \"24:00\"}]}]   # UTC\n");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_ANOMALY, .hour = 23, .hours = 2},
           "grafana",
           MUTE "{start_time: \"23:00\", end_time: \"24:00\"}, "
                "{start_time: \"00:00\", end_time: \"01:00\"}]}]   # UTC\n");
#undef MUTE
}

static void test_prometheus(void **state)
{
    (void)state;
    struct tuning_unit u =
        unit_of((struct past){.url = "http://prometheus/graph?g0.expr=up+%3D%3D+0&g0.tab=1"});
    expect(&u, (struct proposal_change){.kind = PROPOSAL_GROUP}, "prometheus",
           "   - alert: \"High Latency\"\n-    expr: 'up == 0'\n"
           "+    expr: 'count by (cluster) (up == 0) > 0'\n");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_ANOMALY, .hour = 2, .hours = 3},
           "prometheus",
           "   - alert: \"High Latency\"\n-    expr: 'up == 0'\n"
           "+    expr: '(up == 0) unless on() (hour() >= 2 and hour() < 5)'\n");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_ANOMALY, .hour = 22, .hours = 2},
           "prometheus",
           "   - alert: \"High Latency\"\n-    expr: 'up == 0'\n"
           "+    expr: '(up == 0) unless on() (hour() >= 22)'\n");
    run_sql(t.store, "UPDATE alert SET labels = '{\"k8s.cluster.name\":\"dev-eu\"}', "
                     "generator_url = ''");
    expect(&u, (struct proposal_change){.kind = PROPOSAL_GROUP}, "prometheus",
           "   - alert: \"High Latency\"\n+    expr: 'count by (\"k8s.cluster.name\") (<the "
           "expression as it is>) > 0'\n");
}

// An expression whose number a firing's value lies on the wrong side of was not compared with it.
static void test_prometheus_threshold_of_something_else(void **state)
{
    (void)state;
    struct tuning_unit u =
        unit_of((struct past){.url = "http://prometheus/graph?g0.expr=x+%3C+10"});
    struct proposal_change c = {.kind = PROPOSAL_THRESHOLD, .threshold = 5, .below = true};
    firing.value = 7;
    expect(&u, c, "prometheus",
           "   - alert: \"High Latency\"\n-    expr: 'x < 10'\n+    expr: 'x < 5'\n");
    firing.value = 11;
    expect(&u, c, "prometheus",
           "   - alert: \"High Latency\"\n-    expr: 'x < 10'\n"
           "+    expr: '<the expression without its threshold> < 5'\n");
}

static void test_durations(void **state)
{
    (void)state;
    proposal_duration(90, &out);
    buf_addc(&out, ' ');
    proposal_duration(600, &out);
    buf_addc(&out, ' ');
    proposal_duration(7200, &out);
    assert_string_equal(buf_cstr(&out), "90s 10m 2h");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_signoz),
        T(test_signoz_says_the_unit_of_time),
        T(test_signoz_labels_with_dots),
        T(test_grafana),
        T(test_grafana_mutes_by_the_hour),
        T(test_prometheus),
        T(test_prometheus_threshold_of_something_else),
        T(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
