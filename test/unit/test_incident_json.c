#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "channels/webhook/incident_json.h"
#include "channels/webhook/trail.h"
#include "test/support/json_expect.h"
#include "test/support/temp_store.h"

#include "test/support/alert_maker.h"

#define T0 1700000000000 // 2023-11-14T22:13:20Z

static struct temp_store t;
static cJSON *tree;
static size_t n_bytes;

static int setup(void **state)
{
    (void)state;
    temp_store_open(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cJSON_Delete(tree);
    tree = NULL;
    temp_store_close(&t);
    return 0;
}

static void write_json(int64_t id, bool timeline, size_t max_bytes)
{
    struct incident_view v;
    struct buf b = BUF_INIT(16u << 20);
    struct jw w = JW(&b);
    const char *why;
    assert_int_equal(incident_view_load(t.store, id, &v), 0);
    assert_int_equal(incident_json(&w, t.store, &v, timeline, max_bytes), 0);
    cJSON_Delete(tree);
    tree = json_parse(buf_str(&b), &why);
    assert_non_null(tree);
    n_bytes = b.len;
    incident_view_done(&v);
    buf_done(&b);
}

static void expect(const char *path, const char *want)
{
    if (!json_equals(json_at(tree, path), want)) {
        char *got = json_at(tree, path) ? cJSON_PrintUnformatted(json_at(tree, path)) : NULL;
        fail_msg("%s is %s", path, got ? got : "missing");
    }
}

// The names are other people's dashboards.
static void test_names(void **state)
{
    (void)state;
    struct alert a = alert_made("HighErrorRate", "f1");
    a.starts_at = T0 - 1000;
    int64_t id = take_alert(&t, T0, a);
    write_json(id, false, 1 << 20);
    expect("incident_id", "1");
    expect("alertname", "\"HighErrorRate\"");
    expect("severity", "\"warning\"");
    expect("service", "\"checkout\"");
    expect("cluster", "\"platform\"");
    expect("namespace", "\"payments\"");
    expect("environment", "\"prod\"");
    expect("source", "\"alertmanager\"");
    expect("status", "\"firing\"");
    expect("state", "\"new\"");
    expect("verdict", "null");
    expect("summary", "null");
    expect("root_cause", "null");
    expect("action", "null");
    expect("opened_at", "\"2023-11-14T22:13:20Z\"");
    expect("last_seen_at", "\"2023-11-14T22:13:20Z\"");
    expect("closed_at", "null");
    expect("flaps", "0");
    expect("notifications", "1");
    expect("deliveries", "0");
    expect("alerts", "[{\"fingerprint\":\"f1\",\"status\":\"firing\",\"labels\":{\"alertname\":"
                     "\"A\",\"pod\":\"p-1\"},\"annotations\":{},"
                     "\"starts_at\":\"2023-11-14T22:13:19Z\",\"ends_at\":null,\"generator_url\":"
                     "\"http://prometheus/graph\"}]");
    expect("verdicts", "[]");
    assert_null(json_get(tree, "timeline"));
    assert_null(json_get(tree, "alerts_left_out"));

    take_end(&t, T0 + 5000, a);
    write_json(id, false, 1 << 20);
    expect("status", "\"resolved\"");
    expect("closed_at", "\"2023-11-14T22:13:25Z\"");
    expect("alerts/0/status", "\"resolved\"");
    expect("alerts/0/ends_at", "\"2023-11-14T22:13:25Z\"");
}

static void test_verdicts(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_made("A", "a"));
    struct verdict_note note = {.verdict = VERDICT_REAL,
                                .summary = "first",
                                .root_cause = "why",
                                .action = "",
                                .by = "agent",
                                .confidence = 0.75};
    assert_int_equal(incident_decide(t.store, id, &note, T0), 0);
    note = (struct verdict_note){.verdict = VERDICT_NOISE,
                                 .summary = "second",
                                 .root_cause = "",
                                 .action = "did",
                                 .by = "owner",
                                 .confidence = -1};
    assert_int_equal(incident_decide(t.store, id, &note, T0 + 1000), 0);
    write_json(id, false, 1 << 20);
    expect("state", "\"decided\"");
    expect("verdict", "\"noise\""); // the last one counts
    expect("summary", "\"second\"");
    expect("root_cause", "null");
    expect("action", "\"did\"");
    expect("verdicts", "[{\"at\":\"2023-11-14T22:13:20Z\",\"verdict\":\"real\",\"summary\":"
                       "\"first\",\"root_cause\":\"why\",\"action\":null,"
                       "\"confidence\":0.75,\"by\":\"agent\"},"
                       "{\"at\":\"2023-11-14T22:13:21Z\",\"verdict\":\"noise\",\"summary\":"
                       "\"second\",\"root_cause\":null,\"action\":\"did\","
                       "\"confidence\":null,\"by\":\"owner\"}]");
}

static void test_timeline(void **state)
{
    (void)state;
    int64_t id = take_alert(&t, T0, alert_made("A", "a")),
            other = take_alert(&t, T0, alert_made("B", "b"));
    assert_int_equal(trail_add(t.store, id, "channel", "pushed", "delivery 1", T0 + 1000), 0);
    assert_int_equal(trail_add(t.store, id, "agent", "taken", "", T0 + 2000), 0);
    assert_int_equal(trail_add(t.store, other, "agent", "taken", "", T0 + 2000), 0);
    assert_int_equal(trail_add(t.store, 0, "guard", "asked", "", T0 + 2000), 0);
    take_end(&t, T0 + 3000, alert_made("A", "a"));
    write_json(id, true, 1 << 20);
    expect(
        "timeline",
        "[{\"at\":\"2023-11-14T22:13:20Z\",\"what\":\"fired\",\"detail\":null},"
        "{\"at\":\"2023-11-14T22:13:21Z\",\"what\":\"pushed\",\"detail\":\"channel: delivery 1\"},"
        "{\"at\":\"2023-11-14T22:13:22Z\",\"what\":\"taken\",\"detail\":\"agent\"},"
        "{\"at\":\"2023-11-14T22:13:23Z\",\"what\":\"resolved\",\"detail\":null}]");
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM trail WHERE incident_id IS NULL"), 1);
}

static void test_alerts_that_have_no_room(void **state)
{
    (void)state;
    static char labels[50][300], fingerprints[50][8];
    int64_t id = 0;
    for (int i = 0; i < 50; i++) {
        snprintf(labels[i], sizeof labels[i], "{\"pod\":\"%0200d\"}", i);
        snprintf(fingerprints[i], sizeof fingerprints[i], "f%d", i);
        struct alert a = alert_made("A", fingerprints[i]);
        a.labels = labels[i];
        id = take_alert(&t, T0, a);
    }
    take_end(&t, T0, alert_made("A", "f0"));
    write_json(id, true, 8000);
    int shown = cJSON_GetArraySize(json_at(tree, "alerts"));
    assert_true(shown > 5 && n_bytes <= 8000 + 200);
    assert_int_equal(shown + json_int(tree, "alerts_left_out", 0), 50);
    expect("alerts/0/fingerprint", "\"f1\""); // what fires comes first
    write_json(id, true, 1 << 20);
    assert_int_equal(cJSON_GetArraySize(json_at(tree, "alerts")), 50);
    expect("alerts/49/fingerprint", "\"f0\"");
}

// Whatever was said of it, the result of a tool stays one that can be given.
static void test_verdicts_that_have_no_room(void **state)
{
    (void)state;
    static char words[4001];
    memset(words, 'w', sizeof words - 1);
    int64_t id = take_alert(&t, T0, alert_made("A", "a"));
    struct verdict_note note = {.verdict = VERDICT_UNSURE,
                                .summary = words,
                                .root_cause = words,
                                .action = words,
                                .by = "agent",
                                .confidence = -1};
    for (int i = 0; i < 60; i++) {
        words[0] = (char)('0' + i % 10);
        assert_int_equal(incident_decide(t.store, id, &note, T0 + i), 0);
        for (int j = 0; j < 3; j++)
            assert_int_equal(
                trail_add(t.store, id, "agent", "called", "get_incident and so on", T0 + i), 0);
    }
    write_json(id, true, 28 * 1024);
    assert_true(n_bytes < 44 * 1024);
    int shown = cJSON_GetArraySize(json_at(tree, "verdicts"));
    assert_true(shown >= 1);
    assert_int_equal(shown + json_int(tree, "verdicts_left_out", 0), 60);
    char last[32];
    snprintf(last, sizeof last, "verdicts/%d/at", shown - 1);
    expect(last, "\"2023-11-14T22:13:20.059Z\"");
    assert_true(cJSON_GetArraySize(json_at(tree, "timeline")) >= 11);
    write_json(id, false, 4 << 20); // the export leaves nothing out
    assert_int_equal(cJSON_GetArraySize(json_at(tree, "verdicts")), 60);
    assert_null(json_get(tree, "verdicts_left_out"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_names),
        T(test_verdicts),
        T(test_timeline),
        T(test_alerts_that_have_no_room),
        T(test_verdicts_that_have_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
