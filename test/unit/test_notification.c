#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/notification.h"
#include "common/json.h"
#include "common/text.h"

#define LIT(s) ((struct str){(s), sizeof(s) - 1})
#define NOW INT64_C(1795500000000) // 2026-11-24T06:00:00Z

static const struct notification_hints no_hints = {.now_ms = NOW};

static struct str load(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", TEST_DATA, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(n ? n : 1); // exact, so that a sanitizer sees a read behind the end
    assert_int_equal(fread(p, 1, n, f), n);
    fclose(f);
    return (struct str){p, n};
}

struct reading {
    struct notification n;
    struct alert a;
    const char *why;
    int good, bad;
};

static void check_clean(const char *text)
{
    struct str s = str_of(text);
    assert_true(utf8_valid(s));
    for (size_t i = 0; i < s.n; i++)
        assert_true((unsigned char)s.p[i] >= 0x20 || s.p[i] == '\n' || s.p[i] == '\t');
}

static void check_alert(const struct alert *a)
{
    const char *const texts[] = {a->source,  a->fingerprint, a->alertname,   a->severity_raw,
                                 a->cluster, a->namespace,   a->service,     a->pod,
                                 a->node,    a->summary,     a->runbook,     a->generator_url,
                                 a->value,   a->labels,      a->annotations, a->cut};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        check_clean(texts[i]);
    assert_true(a->source[0] && a->fingerprint[0] && a->alertname[0]);
    for (int i = 0; i < 2; i++) {
        const char *why;
        cJSON *tree = json_parse(str_of(i ? a->labels : a->annotations), &why);
        assert_true(cJSON_IsObject(tree));
        for (const cJSON *item = tree->child; item; item = item->next)
            assert_true(cJSON_IsString(item));
        cJSON_Delete(tree);
    }
}

// Opens and takes the first good alert.
static void open_hinted(struct reading *r, struct str body, const struct notification_hints *hints)
{
    *r = (struct reading){.why = ""};
    alert_init(&r->a);
    assert_int_equal(notification_open(&r->n, body, hints, &r->why), 0);
    assert_int_equal(notification_next(&r->n, &r->a, &r->why), 1);
    check_alert(&r->a);
}

static void open_body(struct reading *r, const char *body)
{
    open_hinted(r, str_of(body), &no_hints);
}

// Reads the rest, counting, and closes.
static void finish(struct reading *r)
{
    int step;
    while ((step = notification_next(&r->n, &r->a, &r->why)) != 0) {
        assert_true(step == 1 || step == -EINVAL);
        r->good += step == 1;
        r->bad += step != 1;
        if (step == 1)
            check_alert(&r->a);
    }
    assert_int_equal(notification_next(&r->n, &r->a, &r->why), 0);
    alert_done(&r->a);
    notification_close(&r->n);
}

static void refused(struct str body, const char *want)
{
    struct notification n;
    const char *why = "";
    assert_int_equal(notification_open(&n, body, &no_hints, &why), -EINVAL);
    assert_string_equal(why, want);
    notification_close(&n);
}

struct expected {
    const char *file;
    int alerts;
    const char *source;
    // Of the first alert.
    const char *alertname;
    enum alert_severity severity;
    const char *service, *cluster, *namespace, *pod, *node;
    bool resolved, test;
};

static const struct expected fixtures[] = {
#define AM "alertmanager/"
    {AM "alerta_v4_no_fingerprint.json", 1, "alertmanager", "thing_dead", SEVERITY_CRITICAL, "", "",
     "", "", "", false, false},
    {AM "am025_group5_firing.json", 5, "alertmanager", "KubePodCrashLooping", SEVERITY_CRITICAL,
     "checkout", "lab-1", "default", "checkout-7d9c8b5f4-00000", "", false, false},
    {AM "am025_group_added.json", 4, "alertmanager", "KubePodCrashLooping", SEVERITY_CRITICAL,
     "checkout", "lab-1", "default", "checkout-7d9c8b5f4-00002", "", false, false},
    {AM "am025_group_mixed.json", 5, "alertmanager", "KubePodCrashLooping", SEVERITY_CRITICAL,
     "checkout", "lab-1", "default", "checkout-7d9c8b5f4-00000", "", true, false},
    {AM "am025_k8s_KubeHpaMaxedOut.json", 1, "alertmanager", "KubeHpaMaxedOut", SEVERITY_WARNING,
     "kube-state-metrics", "cluster1", "ns1", "", "", false, false},
    {AM "am025_k8s_KubePodCrashLooping_resolved.json", 3, "alertmanager", "KubePodCrashLooping",
     SEVERITY_WARNING, "cartservice", "kubernetes", "otel-demo", "cartservice-5c4b7d8f9-abcde",
     "10.244.1.9:8443", true, false},
    {AM "am025_k8s_KubePodCrashLooping_x3.json", 3, "alertmanager", "KubePodCrashLooping",
     SEVERITY_WARNING, "cartservice", "kubernetes", "otel-demo", "cartservice-5c4b7d8f9-abcde",
     "10.244.1.9:8443", false, false},
    {AM "am025_minimal_receiver_quotemeta.json", 1, "alertmanager", "Watchdog", SEVERITY_UNKNOWN,
     "", "", "", "", "", false, false},
    {AM "am025_single_firing.json", 1, "alertmanager", "LabAlert", SEVERITY_CRITICAL, "checkout",
     "lab-1", "default", "checkout-7d9c8b5f4-00000", "", false, false},
    {AM "am025_single_repeat.json", 1, "alertmanager", "LabAlert", SEVERITY_CRITICAL, "checkout",
     "lab-1", "default", "checkout-7d9c8b5f4-00000", "", false, false},
    {AM "am025_storm_100.json", 100, "alertmanager", "KubePodCrashLooping", SEVERITY_CRITICAL,
     "checkout", "lab-1", "default", "checkout-7d9c8b5f4-00000", "", false, false},
    {AM "am025_truncated_firing.json", 2, "alertmanager", "HighErrorRate", SEVERITY_CRITICAL,
     "checkout", "lab-1", "default", "checkout-7d9c8b5f4-00000", "", false, false},
    {AM "am_executor_example.json", 2, "unknown", "InstanceDown", SEVERITY_UNKNOWN, "broken", "",
     "", "", "localhost:1234", false, false},
    {AM "grafana_oncall_alertmanager_v2.json", 2, "alertmanager", "InstanceDown", SEVERITY_CRITICAL,
     "node", "", "", "", "localhost:8081", false, false},
    {AM "opensre_e2e_highErrorRate.json", 1, "alertmanager", "HighErrorRate", SEVERITY_CRITICAL,
     "checkout-api", "", "", "", "checkout-api-pod-7d9f8b-xkp2q:8080", false, false},
    {AM "prometheus_bot_emptyValue.json", 1, "alertmanager", "empty_value", SEVERITY_WARNING,
     "prometheus_bot", "", "", "", "server01.int:9100", false, false},
    {AM "prometheus_bot_noGenURL.json", 8, "alertmanager", "node_down", SEVERITY_CRITICAL, "wakeup",
     "", "", "", "mail01.example.com", true, false},
    {AM "prometheus_bot_simpe.json", 1, "alertmanager", "something_happend", SEVERITY_WARNING,
     "prometheus_bot", "", "", "", "server01.int:9100", false, false},
    {AM "prometheus_msteams_grafana_inspired.json", 3, "alertmanager", "JustATestAlert_1",
     SEVERITY_INFO, "", "", "whatever/promstack", "", "", false, false},
#define SZ "signoz/"
    {SZ "derived_all_resolved.json", 3, "signoz", "P99 latency > 2s", SEVERITY_CRITICAL, "checkout",
     "eks-prod-1", "otel-demo", "checkout-7d9c8b5f4-x2k9p", "", true, false},
    {SZ "derived_k8s_expected_by_signoz_test.json", 1, "signoz", "content_templating_metrics",
     SEVERITY_CRITICAL, "", "", "production", "checkout-7d9c8b5f4-x2k9p", "ip-10-0-1-23", false,
     false},
    {SZ "derived_new_annotations_threshold_value.json", 1, "signoz",
     "threshold_above_at_least_once", SEVERITY_CRITICAL, "", "", "", "", "", false, false},
    {SZ "derived_nodata.json", 1, "signoz", "[No data] Kafka lag", SEVERITY_WARNING, "", "", "", "",
     "", false, false},
    {SZ "derived_template_error.json", 1, "signoz", "Bad template", SEVERITY_INFO, "", "", "", "",
     "", false, false},
    {SZ "derived_test_channel_button.json", 1, "signoz", "Test Alert (claude-code)",
     SEVERITY_CRITICAL, "", "", "", "", "", false, true},
    {SZ "derived_traces_otel_k8s_grouped.json", 3, "signoz", "P99 latency > 2s", SEVERITY_CRITICAL,
     "checkout", "eks-prod-1", "otel-demo", "checkout-7d9c8b5f4-x2k9p", "", false, false},
    {SZ "derived_truncated.json", 2, "signoz", "P99 latency > 2s", SEVERITY_CRITICAL, "checkout",
     "eks-prod-1", "otel-demo", "checkout-7d9c8b5f4-x2k9p", "", false, false},
    {SZ "real_grouped_disk_host_name.json", 2, "signoz", "Disk Space Low", SEVERITY_WARNING, "", "",
     "", "", "host000.het.example.com", false, false},
    {SZ "real_logs_related_logs_dotted.json", 1, "signoz", "CreateTooManyBooks", SEVERITY_WARNING,
     "", "", "", "", "", false, false},
    {SZ "third_party_minimal.json", 1, "unknown", "HighErrorRate", SEVERITY_CRITICAL, "api", "", "",
     "", "api-1", false, false},
#define GF "grafana/"
    {GF "grafana_oncall_grafana_alerting.json", 3, "alertmanager", "InstanceDown",
     SEVERITY_CRITICAL, "node", "", "", "", "localhost:8081", false, false},
    {GF "docs_two_firing.json", 2, "grafana", "High memory usage", SEVERITY_UNKNOWN, "", "", "", "",
     "", false, false},
    {GF "grafana_alerting_test_custom_array.json", 1, "unknown", "alert1", SEVERITY_UNKNOWN, "", "",
     "", "", "", false, false},
    {GF "keep_grafana12_test_button.json", 1, "grafana", "TestAlert", SEVERITY_UNKNOWN, "", "", "",
     "", "Grafana", false, true},
    {GF "pytorch_grafana_absolutely_no_priority.json", 1, "grafana",
     "Test Alert With No Priority Anywhere", SEVERITY_UNKNOWN, "", "", "", "", "", false, false},
    {GF "pytorch_grafana_missing_priority.json", 1, "grafana",
     "TEST Alert that keeps toggling ~every 1 min", SEVERITY_UNKNOWN, "", "", "", "", "", false,
     false},
    {GF "pytorch_grafana_resolved.json", 1, "grafana", "Runners Scale Up Failure",
     SEVERITY_CRITICAL, "", "", "", "", "", true, false},
    {GF "real_wire_TestAlert_button.json", 1, "grafana", "TestAlert", SEVERITY_UNKNOWN, "", "", "",
     "", "Grafana", false, true},
    {GF "legacy_alerting.json", 1, "grafana", "Disk usage", SEVERITY_ERROR, "builder", "ci", "", "",
     "", false, false},
    {GF "legacy_ok.json", 1, "grafana", "Disk usage", SEVERITY_ERROR, "builder", "ci", "", "", "",
     true, false},
#define OTHER "other/"
    {OTHER "prometheus_api_v2.json", 2, "unknown", "InstanceDown", SEVERITY_CRITICAL, "node", "",
     "", "", "localhost:9100", true, false},
    {OTHER "hand_written_flat.json", 1, "unknown", "Backup failed", SEVERITY_ERROR, "", "", "", "",
     "db1", false, false},
    {OTHER "hand_written_labels.json", 1, "unknown", "Certificate expires", SEVERITY_UNKNOWN, "web",
     "", "", "", "", true, false},
};

static void test_every_fixture(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fixtures); i++) {
        const struct expected *e = &fixtures[i];
        struct reading r;
        struct str body = load(e->file);
        open_hinted(&r, body, &no_hints);
        assert_string_equal(r.a.source, e->source);
        assert_string_equal(r.a.alertname, e->alertname);
        assert_int_equal(r.a.severity, e->severity);
        assert_string_equal(r.a.service, e->service);
        assert_string_equal(r.a.cluster, e->cluster);
        assert_string_equal(r.a.namespace, e->namespace);
        assert_string_equal(r.a.pod, e->pod);
        assert_string_equal(r.a.node, e->node);
        assert_int_equal(r.a.resolved, e->resolved);
        assert_int_equal(r.a.test, e->test);
        finish(&r);
        assert_int_equal(r.good + 1, e->alerts);
        assert_int_equal(r.bad, 0);
        free((char *)body.p);
    }
}

// Programs that compute the fingerprint as Alertmanager does, over labels that all are in the body.
static bool computes_fingerprints(const char *file)
{
    return strstr(file, "am025_") || strstr(file, "signoz/real_logs") ||
           strstr(file, "signoz/derived") || strstr(file, "real_wire_TestAlert");
}

static int check_fingerprints(const cJSON *body)
{
    int checked = 0;
    const cJSON *alert;
    cJSON_ArrayForEach(alert, json_arr(body, "alerts"))
    {
        struct alert_pair items[64];
        struct alert_pairs labels = {.items = items};
        char hex[17];
        for (const cJSON *l = json_obj(alert, "labels")->child; l; l = l->next)
            items[labels.n++] = (struct alert_pair){str_of(l->string), str_of(l->valuestring)};
        snprintf(hex, sizeof hex, "%016llx", (unsigned long long)alert_fingerprint(&labels));
        assert_string_equal(hex, json_str(alert, "fingerprint"));
        checked++;
    }
    return checked;
}

static void test_fingerprints_of_real_senders(void **state)
{
    (void)state;
    int checked = 0;
    for (size_t i = 0; i < ARRAY_LEN(fixtures); i++) {
        const char *why;
        struct str text = load(fixtures[i].file);
        cJSON *body = json_parse(text, &why);
        if (computes_fingerprints(fixtures[i].file))
            checked += check_fingerprints(body);
        cJSON_Delete(body);
        free((char *)text.p);
    }
    assert_true(checked > 130);
}

static void test_details(void **state)
{
    (void)state;
    struct reading r;
    struct str body = load("alertmanager/am025_single_firing.json");
    open_hinted(&r, body, &no_hints);
    assert_string_equal(r.a.fingerprint, "f6d5457640261c00");
    assert_string_equal(r.a.summary, "LabAlert on pod 0");
    assert_string_equal(r.a.runbook, "https://runbooks.example/a?b=1&c=2");
    assert_non_null(strstr(r.a.annotations, "5xx ratio is 7.0% (> 5%) for 5m & rising <b>now</b>"));
    assert_int_equal(r.a.starts_at, 1795498401149);
    assert_int_equal(r.a.ends_at, 0);
    assert_int_equal(r.n.truncated, 0);
    finish(&r);
    free((char *)body.p);
    body = load("grafana/legacy_alerting.json");
    open_hinted(&r, body, &no_hints);
    assert_string_equal(r.a.value, "High value=100.5, Higher Value=200");
    assert_string_equal(r.a.summary, "Disk of the build host fills up");
    assert_string_equal(r.a.generator_url,
                        "http://grafana.example.com/d/abc/disks?tab=alert&viewPanel=2&orgId=1");
    char fingerprint[64];
    snprintf(fingerprint, sizeof fingerprint, "%s", r.a.fingerprint);
    finish(&r);
    free((char *)body.p);
    body = load("grafana/legacy_ok.json");
    open_hinted(&r, body, &no_hints);
    assert_string_equal(r.a.fingerprint, fingerprint);
    finish(&r);
    free((char *)body.p);
    body = load("grafana/keep_grafana12_test_button.json");
    open_hinted(&r, body, &no_hints);
    assert_string_equal(r.a.value, "B=22, C=1");
    assert_string_equal(r.a.generator_url, "?orgId=1");
    assert_non_null(strstr(r.a.annotations, "\"panelURL\":\"https://grafana.example.com/d/"));
    finish(&r);
    free((char *)body.p);
    body = load("grafana/real_wire_TestAlert_button.json");
    open_hinted(&r, body, &no_hints);
    assert_string_equal(r.a.value, "[ metric='foo' labels={instance=bar} value=10 ]");
    finish(&r);
    free((char *)body.p);
    body = load("alertmanager/am025_truncated_firing.json");
    open_hinted(&r, body, &no_hints);
    assert_int_equal(r.n.truncated, 5);
    finish(&r);
    free((char *)body.p);
    body = load("other/hand_written_flat.json");
    open_hinted(&r, body, &no_hints);
    assert_string_equal(
        r.a.labels, "{\"alertname\":\"Backup failed\",\"host.name\":\"db1\",\"severity\":\"p2\"}");
    assert_string_equal(r.a.annotations,
                        "{\"attempts\":\"3\",\"message\":\"exit status 3 after 12 s\"}");
    assert_int_equal(r.a.starts_at, 1795498401000);
    finish(&r);
    free((char *)body.p);
    body = load("other/hand_written_labels.json");
    open_hinted(&r, body, &no_hints);
    assert_string_equal(r.a.labels,
                        "{\"alertname\":\"Certificate expires\",\"days\":\"6\",\"renewable\":"
                        "\"true\",\"service\":\"web\"}");
    finish(&r);
    free((char *)body.p);
}

static void test_each_alert_has_its_own_status(void **state)
{
    (void)state;
    struct reading r;
    struct str body = load("alertmanager/am025_group_mixed.json");
    int resolved = 1;
    open_hinted(&r, body, &no_hints);
    while (notification_next(&r.n, &r.a, &r.why) == 1)
        resolved += r.a.resolved;
    assert_int_equal(resolved, 2);
    finish(&r);
    free((char *)body.p);
}

static void test_sources(void **state)
{
    (void)state;
    static const char array[] = "[{\"labels\":{\"alertname\":\"A\"}}]";
    static const char rule[] =
        "[{\"labels\":{\"alertname\":\"A\",\"ruleId\":\"1\",\"ruleSource\":\"u\"}}]";
    static const char signoz[] =
        "{\"alerts\":[{\"labels\":{}}],\"groupKey\":\"{__receiver__=\\\"x\\\"}:{}\"}";
    static const char panel[] =
        "{\"alerts\":[{\"labels\":{},\"panelURL\":\"\",\"valueString\":\"\"}],\"groupKey\":\"g\"}";
    const struct {
        const char *body;
        struct notification_hints hints;
        const char *want;
    } rows[] = {
        {array, {.source = LIT("signoz-eu")}, "signoz-eu"},
        {rule, {.source = LIT(" x\ny\x1b[1m ")}, "x y"},
        {rule, {.user_agent = LIT("Grafana")}, "signoz"},
        {signoz, {.prometheus_api = true}, "signoz"},
        {panel, {.user_agent = LIT("Alertmanager/0.28.0")}, "grafana"},
        {array, {.user_agent = LIT("Grafana")}, "grafana"},
        {array, {.user_agent = LIT("Alertmanager/")}, "alertmanager"},
        {array, {.user_agent = LIT("Prometheus/2.53")}, "prometheus"},
        {array, {.prometheus_api = true, .user_agent = LIT("curl/8")}, "prometheus"},
        {array, {.user_agent = LIT("curl/8")}, "unknown"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reading r;
        open_hinted(&r, str_of(rows[i].body), &rows[i].hints);
        assert_string_equal(r.a.source, rows[i].want);
        finish(&r);
    }
}

static void test_what_holds_no_alert(void **state)
{
    (void)state;
    refused(LIT(""), "not JSON at byte 0: unexpected end");
    refused(LIT("alert!"), "not JSON at byte 0: expected a value");
    refused(LIT("{\"alerts\":[{}]"), "not JSON at byte 14: expected ',' or '}'");
    refused(LIT("{\"alerts\":[{\"a\":1},}"), "not JSON at byte 19: expected a value");
    refused(LIT("[{\"labels\":{}}] x"), "not JSON at byte 16: text after the end");
    refused(LIT("42"), "expected an object or an array of alerts");
    refused(LIT("null"), "expected an object or an array of alerts");
    refused(LIT("\"alert\""), "expected an object or an array of alerts");
    refused(LIT("[]"), "body: holds no alert");
    refused(LIT("{\"alerts\": [ ]}"), "alerts: holds no alert");
    refused(LIT("{\"alerts\":{}}"), "alerts: expected an array");
    refused(LIT("{\"alerts\":\"x\"}"), "alerts: expected an array");
    refused(LIT("{\"labels\":[]}"), "labels: expected an object");
    refused(LIT("{\"alerts\":null}"), "no alert in it: expected alerts, labels or alertname");
    refused(LIT("{}"), "no alert in it: expected alerts, labels or alertname");
    refused(LIT("{\"alertname\":\"\"}"), "no alert in it: expected alerts, labels or alertname");
    struct str body = load("alertmanager/derived_empty_alerts.json");
    refused(body, "alerts: holds no alert");
    free((char *)body.p);
    size_t n = 100000;
    char *deep = malloc(n);
    memset(deep, '[', n);
    refused((struct str){deep, n}, "not JSON at byte 64: nested too deeply");
    free(deep);
}

static void test_every_cut_of_a_body_is_refused(void **state)
{
    (void)state;
    struct str body = load("signoz/real_grouped_disk_host_name.json");
    size_t end = body.n;
    while (body.p[end - 1] != '}')
        end--;
    for (size_t n = 0; n < end; n++) {
        struct notification note;
        const char *why = NULL;
        char *exact = malloc(n ? n : 1);
        memcpy(exact, body.p, n);
        assert_int_equal(notification_open(&note, (struct str){exact, n}, &no_hints, &why),
                         -EINVAL);
        assert_non_null(why);
        notification_close(&note);
        free(exact);
    }
    free((char *)body.p);
}

static void test_bad_alerts_are_named_and_passed_over(void **state)
{
    (void)state;
    struct notification n;
    struct alert a;
    const char *why = NULL;
    alert_init(&a);
    assert_int_equal(notification_open(
                         &n,
                         LIT("{\"alerts\":[1,{\"labels\":{\"alertname\":\"A\"}},{\"labels\":\"x\"},"
                             "null,[],{},{\"labels\":null}]}"),
                         &no_hints, &why),
                     0);
    assert_int_equal(notification_next(&n, &a, &why), -EINVAL);
    assert_string_equal(why, "alerts[0]: expected an object");
    assert_int_equal(notification_next(&n, &a, &why), 1);
    assert_string_equal(a.alertname, "A");
    assert_int_equal(notification_next(&n, &a, &why), -EINVAL);
    assert_string_equal(why, "alerts[2].labels: expected an object");
    assert_int_equal(notification_next(&n, &a, &why), -EINVAL);
    assert_string_equal(why, "alerts[3]: expected an object");
    assert_int_equal(notification_next(&n, &a, &why), -EINVAL);
    assert_string_equal(why, "alerts[4]: expected an object");
    assert_int_equal(notification_next(&n, &a, &why), 1);
    assert_string_equal(a.alertname, "unnamed");
    assert_int_equal(notification_next(&n, &a, &why), 1);
    assert_int_equal(notification_next(&n, &a, &why), 0);
    notification_close(&n);
    assert_int_equal(notification_open(&n, LIT("[{\"x\":1},{\"alertname\":\"B\"},{\"labels\":{}}]"),
                                       &no_hints, &why),
                     0);
    assert_int_equal(notification_next(&n, &a, &why), -EINVAL);
    assert_string_equal(why, "[0].labels: expected an object");
    assert_int_equal(notification_next(&n, &a, &why), 1);
    assert_string_equal(a.alertname, "B");
    assert_int_equal(notification_next(&n, &a, &why), 1);
    assert_int_equal(notification_next(&n, &a, &why), 0);
    notification_close(&n);
    alert_done(&a);
}

static void test_wrong_types_everywhere(void **state)
{
    (void)state;
    static const char *const values[] = {"null",
                                         "true",
                                         "7",
                                         "-1.5e300",
                                         "\"x\"",
                                         "\"\"",
                                         "[]",
                                         "{}",
                                         "[[1]]",
                                         "{\"a\":{\"b\":[null]}}",
                                         "18446744073709551616"};
    static const char *const members[] = {
        "status", "annotations", "startsAt",     "endsAt",   "generatorURL", "fingerprint",
        "values", "valueString", "dashboardURL", "panelURL", "silenceURL",
    };
    static const char *const envelope[] = {
        "receiver", "status",      "state", "commonLabels",    "commonAnnotations",   "groupLabels",
        "groupKey", "version",     "orgId", "truncatedAlerts", "notification_reason", "title",
        "message",  "externalURL",
    };
    char body[400];
    for (size_t v = 0; v < ARRAY_LEN(values); v++) {
        for (size_t m = 0; m < ARRAY_LEN(members) + ARRAY_LEN(envelope); m++) {
            struct reading r;
            bool inner = m < ARRAY_LEN(members);
            const char *name = inner ? members[m] : envelope[m - ARRAY_LEN(members)];
            snprintf(body, sizeof body,
                     inner ? "{\"alerts\":[{\"labels\":{\"alertname\":\"A\"},\"%s\":%s}]}"
                           : "{\"%s\":%s,\"alerts\":[{\"labels\":{\"alertname\":\"A\"}}]}",
                     name, values[v]);
            open_body(&r, body);
            assert_string_equal(r.a.alertname, "A");
            finish(&r);
        }
        // Also as a label, an annotation, and in the legacy shape.
        struct reading r;
        snprintf(body, sizeof body,
                 "{\"alerts\":[{\"labels\":{\"alertname\":%s,\"severity\":%s},\"annotations\":{"
                 "\"summary\":%s}}]}",
                 values[v], values[v], values[v]);
        open_body(&r, body);
        finish(&r);
        snprintf(body, sizeof body,
                 "{\"ruleName\":%s,\"title\":%s,\"state\":%s,\"tags\":%s,\"evalMatches\":%s,"
                 "\"ruleUrl\":%s}",
                 values[v], values[v], values[v], values[v], values[v], values[v]);
        open_body(&r, body);
        finish(&r);
    }
}

static void test_broken_text(void **state)
{
    (void)state;
    struct reading r;
    struct str body = LIT("{\"alerts\":[{\"labels\":{\"alertname\":\"a\xff\\ud800\\u0000\0b\","
                          "\"k\\u00e9.y\":\"\\u001b[31m\\ud83d\\ude00\"},"
                          "\"annotations\":{\"summary\":\"\xe2\x80\xaex\\r\\n\\\"q\\\"\"}}]}\n");
    open_hinted(&r, body, &no_hints);
    assert_string_equal(r.a.alertname, "a\xef\xbf\xbd\xef\xbf\xbd"
                                       "b");
    assert_string_equal(r.a.labels, "{\"alertname\":\"a\xef\xbf\xbd\xef\xbf\xbd"
                                    "b\",\"k\xc3\xa9.y\":\"\xf0\x9f\x98\x80\"}");
    assert_string_equal(r.a.summary, "x \"q\"");
    finish(&r);
    // Identity is that of what was sent, not of what is shown.
    char first[64];
    open_body(&r, "{\"alertname\":\"A\",\"k\":\"x\\u200b\"}");
    snprintf(first, sizeof first, "%s", r.a.fingerprint);
    assert_non_null(strstr(r.a.labels, "\"k\":\"x\""));
    finish(&r);
    open_body(&r, "{\"alertname\":\"A\",\"k\":\"x\"}");
    assert_string_not_equal(r.a.fingerprint, first);
    finish(&r);
    open_hinted(&r, LIT("\xef\xbb\xbf [{\"labels\":{\"alertname\":\"after a mark\"}}]"), &no_hints);
    assert_string_equal(r.a.alertname, "after a mark");
    finish(&r);
    size_t n = 0;
    char *all = malloc(70000);
    n += (size_t)snprintf(all, 100, "{\"labels\":{\"alertname\":\"");
    memset(all + n, 0xff, 60000);
    n += 60000;
    memcpy(all + n, "\"}}", 3);
    open_hinted(&r, (struct str){all, n + 3}, &no_hints);
    assert_memory_equal(r.a.alertname, "\xef\xbf\xbd\xef\xbf\xbd", 6);
    finish(&r);
    free(all);
}

static void test_envelope(void **state)
{
    (void)state;
    struct reading r;
    open_body(
        &r,
        "{\"receiver\":\"r\",\"notification_reason\":\"repeat interval "
        "elapsed\",\"truncatedAlerts\":3,"
        "\"groupKey\":18446744073709551615,\"version\":4,\"future\":{\"x\":[1]},\"status\":"
        "\"resolved\","
        "\"commonLabels\":{\"severity\":\"error\",\"cluster\":\"c\"},\"commonAnnotations\":{"
        "\"summary\":\"s\","
        "\"runbook_url\":\"u\"},\"alerts\":[{\"labels\":{\"alertname\":\"A\"}}],\"title\":\"t\"}");
    assert_string_equal(r.n.reason, "repeat interval elapsed");
    assert_int_equal(r.n.truncated, 3);
    assert_string_equal(r.a.source, "alertmanager");
    assert_true(r.a.resolved);
    assert_int_equal(r.a.severity, SEVERITY_ERROR);
    assert_string_equal(r.a.cluster, "c");
    assert_string_equal(r.a.summary, "s");
    assert_string_equal(r.a.runbook, "u");
    assert_string_equal(r.a.labels, "{\"alertname\":\"A\"}");
    finish(&r);
    open_body(
        &r, "{\"status\":\"resolved\",\"receiver\":\"r\",\"commonLabels\":{\"alertname\":\"B\"}}");
    assert_string_equal(r.a.labels, "{\"alertname\":\"B\"}");
    assert_true(r.a.resolved);
    finish(&r);
}

static void test_five_thousand_alerts(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(8 << 20);
    struct jw w = JW(&body);
    jw_object(&w);
    jw_key(&w, "alerts");
    jw_array(&w);
    for (int i = 0; i < 5000; i++) {
        jw_object(&w);
        jw_key(&w, "labels");
        jw_object(&w);
        jw_kstr(&w, "alertname", "Storm");
        jw_kint(&w, "n", i);
        jw_object_end(&w);
        jw_key(&w, "annotations");
        jw_object(&w);
        jw_kstr(&w, "description",
                "A text of some length, so that all of them together are as long as what is seen "
                "in a storm, "
                "with a \"quote\" and a \n line");
        jw_object_end(&w);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
    assert_int_equal(body.error, 0);
    struct reading r;
    open_hinted(&r, buf_str(&body), &no_hints);
    finish(&r);
    assert_int_equal(r.good, 4999);
    assert_int_equal(r.bad, 0);
    buf_done(&body);
}

static void test_many_labels(void **state)
{
    (void)state;
    struct buf body = BUF_INIT(1 << 20);
    buf_adds(&body, "{\"commonLabels\":{");
    for (int i = 0; i < 1000; i++)
        buf_addf(&body, "\"c%d\":\"v\",", i);
    buf_adds(&body, "\"z\":\"v\"},\"alerts\":[{\"labels\":{");
    for (int i = 0; i < 1000; i++)
        buf_addf(&body, "\"l%d\":\"v\",", i);
    buf_adds(&body, "\"z\":\"v\"},\"annotations\":{");
    for (int i = 0; i < 1000; i++)
        buf_addf(&body, "\"a%d\":\"v\",", i);
    buf_adds(&body, "\"z\":\"v\"}}]}");
    struct reading r;
    open_hinted(&r, buf_str(&body), &no_hints);
    assert_string_equal(r.a.cut, "1193 labels and 937 annotations left out");
    finish(&r);
    buf_done(&body);
}

static void test_changed_bytes_never_crash(void **state)
{
    (void)state;
    static const char *const files[] = {
        "signoz/derived_truncated.json", "grafana/docs_two_firing.json",
        "grafana/legacy_alerting.json", "other/hand_written_flat.json"};
    uint32_t x = 3;
    for (size_t f = 0; f < ARRAY_LEN(files); f++) {
        struct str body = load(files[f]);
        char *copy = malloc(body.n);
        for (int round = 0; round < 1500; round++) {
            memcpy(copy, body.p, body.n);
            for (int change = 0; change < 1 + round % 4; change++) {
                x = x * 1664525 + 1013904223;
                copy[(x >> 8) % body.n] =
                    (char)((round & 1) ? "\"{}[],:\\u\xff 0"[x % 12] : (int)(x >> 24));
            }
            struct notification n;
            struct alert a;
            const char *why = NULL;
            alert_init(&a);
            int r = notification_open(&n, (struct str){copy, body.n}, &no_hints, &why);
            while (r >= 0 && (r = notification_next(&n, &a, &why)) != 0) {
                if (r == 1)
                    check_alert(&a);
                r = 0;
            }
            notification_close(&n);
            alert_done(&a);
        }
        free(copy);
        free((char *)body.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_fixture),
        cmocka_unit_test(test_fingerprints_of_real_senders),
        cmocka_unit_test(test_details),
        cmocka_unit_test(test_each_alert_has_its_own_status),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_what_holds_no_alert),
        cmocka_unit_test(test_every_cut_of_a_body_is_refused),
        cmocka_unit_test(test_bad_alerts_are_named_and_passed_over),
        cmocka_unit_test(test_wrong_types_everywhere),
        cmocka_unit_test(test_broken_text),
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_five_thousand_alerts),
        cmocka_unit_test(test_many_labels),
        cmocka_unit_test(test_changed_bytes_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
