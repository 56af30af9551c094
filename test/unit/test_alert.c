#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/alert.h"
#include "common/json.h"
#include "common/text.h"

#define LIT(s) ((struct str){(s), sizeof(s) - 1})
#define NOW INT64_C(1795500000000) // 2026-11-24T06:00:00Z

static const struct alert_pairs none;

// Name, value, name, value, ... NULL.
static void fill(struct alert_pairs *out, struct alert_pair *items, const char *const *words)
{
    *out = (struct alert_pairs){.items = items};
    for (; *words; words += 2)
        items[out->n++] = (struct alert_pair){str_of(words[0]), str_of(words[1])};
}

struct fixture {
    struct alert a;
    struct alert_raw raw;
    struct alert_pair labels[1200], annotations[1200], common[64];
    struct alert_pairs common_pairs;
    struct alert_fields common_fields;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.raw = {.common_labels = &none}};
    f->raw.labels.items = f->labels;
    f->raw.annotations.items = f->annotations;
    f->raw.common = &f->common_fields;
    alert_init(&f->a);
}

#define LABELS(...) fill(&f.raw.labels, f.labels, (const char *const[]){__VA_ARGS__, NULL})
#define ANNOTATIONS(...)                                                                           \
    fill(&f.raw.annotations, f.annotations, (const char *const[]){__VA_ARGS__, NULL})
#define COMMON(...)                                                                                \
    (fill(&f.common_pairs, f.common, (const char *const[]){__VA_ARGS__, NULL}),                    \
     f.raw.common_labels = &f.common_pairs,                                                        \
     alert_fields_of(&f.common_pairs, &none, &f.common_fields))
#define BUILD() assert_int_equal(alert_build(&f.a, &f.raw, NOW), 0)

static void test_severities(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum alert_severity want;
    } rows[] = {
        {"critical", SEVERITY_CRITICAL}, {"Page", SEVERITY_CRITICAL},
        {"P1", SEVERITY_CRITICAL},       {"sev1", SEVERITY_CRITICAL},
        {"FATAL", SEVERITY_CRITICAL},    {"emergency", SEVERITY_CRITICAL},
        {"error", SEVERITY_ERROR},       {"High", SEVERITY_ERROR},
        {"p2", SEVERITY_ERROR},          {"warning", SEVERITY_WARNING},
        {"WARN", SEVERITY_WARNING},      {"P3", SEVERITY_WARNING},
        {"info", SEVERITY_INFO},         {"low", SEVERITY_INFO},
        {"none", SEVERITY_INFO},         {" p4 ", SEVERITY_INFO},
        {"", SEVERITY_UNKNOWN},          {"criticalx", SEVERITY_UNKNOWN},
        {"blue", SEVERITY_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(severity_parse(str_of(rows[i].text)), rows[i].want);
    assert_true(SEVERITY_CRITICAL > SEVERITY_ERROR && SEVERITY_ERROR > SEVERITY_WARNING);
    assert_string_equal(severity_name(SEVERITY_CRITICAL), "critical");
    assert_string_equal(severity_name(SEVERITY_UNKNOWN), "unknown");
}

static void test_severity_order_of_labels(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    LABELS("level", "info", "priority", "p2", "threshold.name", "warning", "severity", "blue");
    BUILD();
    assert_int_equal(f.a.severity, SEVERITY_UNKNOWN);
    assert_string_equal(f.a.severity_raw, "blue");
    LABELS("level", "info", "priority", "p2", "threshold.name", "warning", "severity", "");
    BUILD();
    assert_int_equal(f.a.severity, SEVERITY_WARNING);
    LABELS("level", "info", "priority", "p2");
    COMMON("severity", "critical", "alertname", "A");
    BUILD();
    assert_int_equal(f.a.severity, SEVERITY_ERROR);
    alert_done(&f.a);
}

static void test_field_mapping(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    LABELS("alertname", "A", "service", "s3", "service_name", "s2", "service.name", "s1", "cluster",
           "c2", "k8s.cluster.name", "c1", "exported_namespace", "n2", "namespace", "n1",
           "pod_name", "p1", "instance", "i2", "host.name", "h1");
    ANNOTATIONS("description", "d", "message", "m", "runbook", "r2", "runbook_url", "r1", "value",
                "87 %");
    BUILD();
    assert_string_equal(f.a.alertname, "A");
    assert_string_equal(f.a.service, "s1");
    assert_string_equal(f.a.cluster, "c1");
    assert_string_equal(f.a.namespace, "n1");
    assert_string_equal(f.a.pod, "p1");
    assert_string_equal(f.a.node, "h1");
    assert_string_equal(f.a.summary, "m");
    assert_string_equal(f.a.runbook, "r1");
    assert_string_equal(f.a.value, "87 %");
    assert_string_equal(f.a.cut, "");
    alert_done(&f.a);
}

static void test_names(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    f.raw.title = LIT("[FIRING:1] x");
    LABELS("alertname", "DatasourceNoData", "rulename", "Lag");
    BUILD();
    assert_string_equal(f.a.alertname, "Lag");
    LABELS("x", "y");
    COMMON("alertname", "C", "team", "t");
    BUILD();
    assert_string_equal(f.a.alertname, "C");
    f.raw.common_labels = &none;
    f.common_fields = (struct alert_fields){.of = {{NULL, 0}}};
    LABELS("x", "y");
    BUILD();
    assert_string_equal(f.a.alertname, "[FIRING:1] x");
    assert_string_equal(f.a.summary, "[FIRING:1] x");
    f.raw.title = (struct str){NULL, 0};
    BUILD();
    assert_string_equal(f.a.alertname, "unnamed");
    LABELS("alertname", "\xe2\x80\x8b");
    BUILD();
    assert_string_equal(f.a.alertname, "unnamed");
    alert_done(&f.a);
}

static void service(const char *want, const char *const *words)
{
    struct fixture f;
    begin(&f);
    fill(&f.raw.labels, f.labels, words);
    BUILD();
    assert_string_equal(f.a.service, want);
    alert_done(&f.a);
}

#define SERVICE(want, ...) service(want, (const char *const[]){__VA_ARGS__, NULL})

static void test_service_behind_kube_state_metrics(void **state)
{
    (void)state;
    SERVICE("checkout", "service", "checkout", "job", "kube-state-metrics", "pod",
            "x-7d9c8b5f4-abcd1");
    SERVICE("cartservice", "service", "kube-state-metrics", "job", "kube-state-metrics", "pod",
            "cartservice-5c4b7d8f9-abcde");
    SERVICE("db", "service", "prom-kube-state-metrics", "statefulset", "db", "pod", "zz-0");
    SERVICE("api", "service", "kube-state-metrics", "deployment", "api", "statefulset", "db");
    SERVICE("kube-state-metrics", "service", "kube-state-metrics", "job", "kube-state-metrics");
    SERVICE("web", "service", "kube-state-metrics", "app", "web", "job", "kube-state-metrics");
    SERVICE("node", "job", "node");
    SERVICE("", "x", "y");
}

static void test_pod_owner(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"checkout-7d9c8b5f4-x2k9p", "checkout"},
        {"checkout-7d9c8b5f4-00000", "checkout"},
        {"my-db-0", "my-db"},
        {"my-db-12", "my-db"},
        {"node-exporter-x2x9k", "node-exporter"},
        {"redis-slave", "redis-slave"},
        {"web", "web"},
        {"-", "-"},
        {"", ""},
        {"backup-28123456-bcdfg", "backup"},
        {"a-", "a-"},
        {"kube-proxy-zzzzz", "kube-proxy"},
        {"cartservice-5c4b7d8f9-abcde", "cartservice"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str owner = alert_pod_owner(str_of(rows[i][0]));
        assert_true(str_is(owner, rows[i][1]));
    }
}

static void test_fingerprint(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    // As a real Alertmanager computed them (test/data/alertmanager).
    LABELS("alertname", "Watchdog");
    assert_true(alert_fingerprint(&f.raw.labels) == UINT64_C(0x003b0a0f7d3fa569));
    LABELS("severity", "critical", "service", "checkout", "pod", "checkout-7d9c8b5f4-00000",
           "namespace", "default", "cluster", "lab-1", "alertname", "LabAlert");
    assert_true(alert_fingerprint(&f.raw.labels) == UINT64_C(0xf6d5457640261c00));
    LABELS("alertname", "Watchdog", "alertname", "Watchdog");
    assert_true(alert_fingerprint(&f.raw.labels) == UINT64_C(0x003b0a0f7d3fa569));
    f.raw.labels.n = 0;
    assert_true(alert_fingerprint(&f.raw.labels) == UINT64_C(0xcbf29ce484222325));
    alert_done(&f.a);
}

static void test_identity_given_and_computed(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    LABELS("alertname", "Watchdog");
    f.raw.source = LIT("alertmanager");
    f.raw.fingerprint = LIT("abc-123");
    BUILD();
    assert_string_equal(f.a.fingerprint, "abc-123");
    assert_string_equal(f.a.source, "alertmanager");
    f.raw.fingerprint = LIT("");
    BUILD();
    assert_string_equal(f.a.fingerprint, "003b0a0f7d3fa569");
    f.raw.fingerprint = LIT("\x1b[0m\xe2\x80\x8b");
    BUILD();
    assert_string_equal(f.a.fingerprint, "003b0a0f7d3fa569");
    char longer[300];
    memset(longer, 'a', sizeof longer);
    f.raw.fingerprint = (struct str){longer, sizeof longer};
    BUILD();
    assert_string_equal(f.a.fingerprint, "003b0a0f7d3fa569");
    f.raw.fingerprint = LIT("x password=hunter2");
    BUILD();
    assert_string_equal(f.a.fingerprint, "003b0a0f7d3fa569");
    alert_done(&f.a);
}

static void test_two_problems_with_common_names_stay_two(void **state)
{
    (void)state;
    struct fixture f;
    char first[20];
    begin(&f);
    LABELS("instance", "api-1");
    COMMON("alertname", "HighErrorRate", "instance", "other");
    BUILD();
    snprintf(first, sizeof first, "%s", f.a.fingerprint);
    assert_string_equal(f.a.labels, "{\"alertname\":\"HighErrorRate\",\"instance\":\"api-1\"}");
    LABELS("instance", "api-1");
    COMMON("alertname", "HighLatency", "instance", "other");
    BUILD();
    assert_string_not_equal(f.a.fingerprint, first);
    alert_done(&f.a);
}

static void status(struct fixture *f, const char *own, const char *group, const char *ends_at,
                   bool resolved)
{
    f->raw.status = str_of(own);
    f->raw.group_status = str_of(group);
    f->raw.ends_at = str_of(ends_at);
    assert_int_equal(alert_build(&f->a, &f->raw, NOW), 0);
    assert_int_equal(f->a.resolved, resolved);
}

static void test_status(void **state)
{
    (void)state;
    static const char *const past = "2026-11-24T05:59:59Z", *const future = "2026-11-24T06:00:01Z";
    struct fixture f;
    begin(&f);
    status(&f, "firing", "resolved", past, false);
    status(&f, "resolved", "firing", "", true);
    status(&f, "Resolved", "", "", true);
    status(&f, "", "resolved", "0001-01-01T00:00:00Z", true);
    status(&f, "", "alerting", past, false);
    status(&f, "", "ok", "", true);
    status(&f, "", "", past, true);
    status(&f, "", "", future, false);
    status(&f, "", "", "0001-01-01T00:00:00Z", false);
    status(&f, "", "", "not a time", false);
    status(&f, "nonsense", "resolved", "", true);
    alert_done(&f.a);
}

static void test_times(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    f.raw.starts_at = LIT("2025-09-16T17:12:20Z");
    f.raw.ends_at = LIT("2099-01-01T00:00:00Z");
    BUILD();
    assert_int_equal(f.a.starts_at, 1758042740000);
    assert_int_equal(f.a.ends_at, 0);
    f.raw.ends_at = LIT("2025-09-16T17:12:21.5+00:00");
    f.raw.starts_at = LIT("1758042740");
    BUILD();
    assert_int_equal(f.a.starts_at, 1758042740000);
    assert_int_equal(f.a.ends_at, 1758042741500);
    static const char *const others[][2] = {{"1758042740123", "1758042740123"},
                                            {"1758042740.5", "1758042740000"},
                                            {"0001-01-01T00:00:00Z", "0"},
                                            {"yesterday", "0"},
                                            {"7", "0"},
                                            {"99999999999999999999", "0"},
                                            {"", "0"}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        f.raw.starts_at = str_of(others[i][0]);
        BUILD();
        assert_int_equal(f.a.starts_at, strtoll(others[i][1], NULL, 10));
    }
    alert_done(&f.a);
}

static bool is_test(const char *const *words)
{
    struct fixture f;
    begin(&f);
    fill(&f.raw.labels, f.labels, words);
    BUILD();
    bool test = f.a.test;
    alert_done(&f.a);
    return test;
}

#define IS_TEST(...) is_test((const char *const[]){__VA_ARGS__, NULL})

static void test_test_buttons(void **state)
{
    (void)state;
    assert_true(IS_TEST("alertname", "Test Alert (ops)"));
    assert_false(IS_TEST("alertname", "Test Alert (ops)", "ruleId", "1"));
    assert_true(IS_TEST("alertname", "CPU", "testalert", "true"));
    assert_false(IS_TEST("alertname", "CPU", "testalert", "false"));
    assert_true(IS_TEST("alertname", "CPU_TEST_ALERT"));
    assert_true(IS_TEST("alertname", "TestAlert", "instance", "Grafana"));
    assert_false(IS_TEST("alertname", "TestAlert", "instance", "db1"));
    assert_false(IS_TEST("alertname", "Test Alert With No Priority Anywhere"));
}

static void test_texts_are_safe(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    LABELS("alertname", "A\x1b[31m\nB\xe2\x80\xae", "bad\nkey", "a\xff", "db_password", "hunter2",
           "url", "postgres://u:hunter2@h/x");
    ANNOTATIONS("description", "line 1\nline 2 token=hunter2", "_title_template", "private",
                "summary", "s\tt");
    f.raw.generator_url = LIT("http://x/?api_key=hunter2");
    BUILD();
    assert_string_equal(f.a.alertname, "A B");
    assert_string_equal(f.a.summary, "s t");
    assert_string_equal(
        f.a.labels,
        "{\"alertname\":\"A B\",\"bad key\":\"a\xef\xbf\xbd\",\"db_password\":\"[redacted:"
        "secret]\",\"url\":\"postgres://u:[redacted:password]@h/x\"}");
    assert_string_equal(f.a.annotations,
                        "{\"description\":\"line 1\\nline 2 token=[redacted:token]\","
                        "\"summary\":\"s\\tt\"}");
    assert_string_equal(f.a.generator_url, "http://x/?api_key=[redacted:api_key]");
    assert_string_equal(f.a.cut, "");
    alert_done(&f.a);
}

static void check_json(const char *text, size_t max)
{
    const char *why = "";
    cJSON *tree = json_parse(str_of(text), &why);
    assert_string_equal(why, "");
    assert_true(cJSON_IsObject(tree));
    assert_true(strlen(text) <= max);
    cJSON_Delete(tree);
}

static void test_caps(void **state)
{
    (void)state;
    struct fixture f;
    static char names[1000][8], big[300000];
    memset(big, 'x', sizeof big - 1);
    begin(&f);
    for (size_t i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof names[i], "k%04zu", i);
        f.labels[i] = (struct alert_pair){str_of(names[i]), {big, i < 10 ? 1030u : 1}};
        f.annotations[i] =
            (struct alert_pair){str_of(names[i]), {big, i < 5 ? sizeof big - 1 : 10}};
    }
    f.raw.labels.n = f.raw.annotations.n = 1000;
    f.raw.title = str_of(big);
    f.raw.generator_url = str_of(big);
    BUILD();
    check_json(f.a.labels, ALERT_LABELS_MAX);
    check_json(f.a.annotations, ALERT_ANNOTATIONS_MAX);
    assert_string_equal(f.a.cut, "936 labels and 936 annotations left out");
    assert_non_null(strstr(f.a.labels, "x... (6 bytes left out)\""));
    assert_non_null(strstr(f.a.annotations, "x... (295903 bytes left out)\""));
    assert_true(strlen(f.a.alertname) < ALERT_NAME_MAX + 40);
    assert_true(strlen(f.a.summary) < ALERT_SUMMARY_MAX + 40);
    assert_true(strlen(f.a.generator_url) < ALERT_URL_MAX + 40);
    // All of it needs escapes, grows when cleaned, and grows when masked.
    memset(big, '"', sizeof big - 1);
    BUILD();
    check_json(f.a.labels, ALERT_LABELS_MAX);
    check_json(f.a.annotations, ALERT_ANNOTATIONS_MAX);
    memset(big, 0xff, sizeof big - 1);
    BUILD();
    check_json(f.a.annotations, ALERT_ANNOTATIONS_MAX);
    for (size_t i = 0; i + 1 < sizeof big; i++)
        big[i] = "pw=a "[i % 5];
    BUILD();
    check_json(f.a.annotations, ALERT_ANNOTATIONS_MAX);
    assert_null(strstr(f.a.annotations, "pw=a"));
    alert_done(&f.a);
}

static void test_reuse_keeps_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    LABELS("alertname", "A", "pod", "p", "testalert", "true");
    ANNOTATIONS("summary", "s");
    f.raw.status = LIT("resolved");
    BUILD();
    LABELS("alertname", "B");
    f.raw.annotations.n = 0;
    f.raw.status = LIT("firing");
    BUILD();
    assert_string_equal(f.a.alertname, "B");
    assert_string_equal(f.a.pod, "");
    assert_string_equal(f.a.summary, "");
    assert_string_equal(f.a.annotations, "{}");
    assert_false(f.a.test || f.a.resolved);
    alert_done(&f.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_severities),
        cmocka_unit_test(test_severity_order_of_labels),
        cmocka_unit_test(test_field_mapping),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_service_behind_kube_state_metrics),
        cmocka_unit_test(test_pod_owner),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_identity_given_and_computed),
        cmocka_unit_test(test_two_problems_with_common_names_stay_two),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_test_buttons),
        cmocka_unit_test(test_texts_are_safe),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_reuse_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
