#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "channels/webhook/briefing.h"
#include "channels/webhook/retention.h"
#include "common/json.h"
#include "test/support/temp_store.h"

#include "test/support/past.h"

#define MINUTE (60ll * 1000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define NOW (1776510000000ll) // 2026-04-18T11:00:00Z

static void set_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

static const char *text_of(const struct briefing *b)
{
    static char text[16384];
    struct buf out = BUF_INIT(sizeof text - 1);
    assert_int_equal(briefing_text(b, &out), 0);
    memcpy(text, buf_cstr(&out), out.len + 1);
    buf_done(&out);
    return text;
}

// ---- the text form ----

// Word for word: people and playbooks read this form. The line of stats is behind it.
static void test_text_is_the_contract_s(void **state)
{
    (void)state;
    set_zone("UTC");
    struct briefing b = {
        .days = 7,
        .now = NOW,
        .counts = {.noise = 38, .auto_fixed = 3, .escalated = 3, .none = 2, .unsure = 1},
        .stats = {.taken = {.n = 40, .ms = 30000},
                  .verdict = {.n = 44, .ms = 5 * MINUTE},
                  .mended = {.n = 6, .ms = 65 * MINUTE},
                  .reversed = 2},
        .noise = {{.alertname = "High Latency", .where = "openaire-test", .count = 12}},
        .n_noise = 1,
        .real = {{.id = 1,
                  .verdict = VERDICT_AUTO_FIXED,
                  .opened_at = NOW - DAY,
                  .alertname = "Pod CrashLooping",
                  .service = "backend",
                  .summary = "OOMKilled, recovered"}},
        .n_real = 1,
        .escalations = {{.id = 1,
                         .at = NOW - 2 * DAY,
                         .title = "PVC at 87% on data-cluster-biorxiv",
                         .body = "climbing"}},
        .n_escalations = 1,
        .escalations_total = 1,
        .waiting = {{.id = 412,
                     .opened_at = NOW - 4 * MINUTE - 59000,
                     .alertname = "KubePodCrashLooping",
                     .service = "backend",
                     .cluster = "platform-prod"}},
        .n_waiting = 1,
        .waiting_total = 1,
    };
    b.counts.real = 0;
    assert_string_equal(
        text_of(&b),
        "=== SRE Briefing - last 7 days ===\n"
        "Total: 47 alerts | 38 noise | 6 real | 3 auto-fixed | 3 escalated | 3 undecided\n"
        "\n"
        "Recurring noise (consider tuning):\n"
        "  - High Latency on openaire-test | 12x\n"
        "Recent real incidents:\n"
        "  - [Apr 17] Pod CrashLooping on backend - auto-fixed: OOMKilled, recovered\n"
        "  - ... and 5 more: list_incidents state all\n"
        "Pending escalations (unacknowledged):\n"
        "  - [Apr 16] PVC at 87% on data-cluster-biorxiv - climbing\n"
        "Waiting for a verdict:\n"
        "  - #412 KubePodCrashLooping on backend (platform-prod), 4 min\n"
        "\n"
        "Noise rate 81% | MTTA < 1 min | time to verdict 5 min | MTTR 1 h 5 min"
        " | 2 verdicts reversed\n");
}

static void test_dates_follow_the_zone(void **state)
{
    (void)state;
    struct briefing b = {.days = 1,
                         .now = NOW,
                         .n_real = 1,
                         .real = {{.verdict = VERDICT_REAL,
                                   .opened_at = NOW + 11 * HOUR + 30 * MINUTE, // 22:30 UTC
                                   .alertname = "A"}}};
    set_zone("UTC");
    assert_non_null(strstr(text_of(&b), "[Apr 18] A - real\n"));
    set_zone("EET-2");
    assert_non_null(strstr(text_of(&b), "[Apr 19] A - real\n"));
    set_zone("UTC");
}

// Where a service is missing, the namespace or the cluster says where; no name is said twice.
static void test_places_without_a_service(void **state)
{
    (void)state;
    struct briefing b = {.days = 7, .now = NOW, .n_waiting = 3, .waiting_total = 3};
    b.waiting[0] = (struct briefing_incident){
        .id = 1, .opened_at = NOW, .alertname = "A", .namespace = "db", .cluster = "eu"};
    b.waiting[1] =
        (struct briefing_incident){.id = 2, .opened_at = NOW, .alertname = "B", .cluster = "eu"};
    b.waiting[2] = (struct briefing_incident){.id = 3, .opened_at = NOW, .alertname = "C"};
    const char *text = text_of(&b);
    assert_non_null(strstr(text, "  - #1 A on db (eu), 0 min\n"));
    assert_non_null(strstr(text, "  - #2 B on eu, 0 min\n"));
    assert_non_null(strstr(text, "  - #3 C, 0 min\n"));
}

// ---- services of one line ----

static const char *merged(const char *family, int n, const char *const *names)
{
    static char out[64];
    struct recurring_services s = {.family = family, .names = names, .n = n};
    return recurring_merges(&s, sizeof out, out) ? out : "";
}

#define MERGED(family, ...)                                                                        \
    merged(family, (int)ARRAY_LEN(((const char *[]){__VA_ARGS__})), (const char *[]){__VA_ARGS__})

static void test_tails_are_one_line(void **state)
{
    (void)state;
    assert_string_equal(MERGED("tenant-test-", "tenant-test-1", "tenant-test-2"), "tenant-test-*");
    assert_string_equal(MERGED("tenant-test-", "tenant-test-1", "tenant-test-12", "tenant-test-13"),
                        "tenant-test-*");
    assert_string_equal(MERGED("tenant-test-", "tenant-test-acme", "tenant-test-ajax"),
                        "tenant-test-*");
    assert_string_equal(MERGED("tenant-", "tenant-test1", "tenant-test2"), "tenant-test*");
    assert_string_equal(MERGED("worker", "worker1", "worker22"), "worker*");
    assert_string_equal(MERGED("pod-", "pod-7f3ac", "pod-b2"), "pod-*");
    assert_string_equal(MERGED("shop-", "shop-api", "shop-web", "shop-mail"), "shop-*");
    // Two words of one do not make a kind; one service is itself.
    assert_string_equal(MERGED("openaire-", "openaire-test", "openaire-prod"), "");
    assert_string_equal(MERGED("tenant-test-", "tenant-test-1"), "");
    assert_string_equal(MERGED("", "1", "2"), "");
}

// ---- from the store ----

static void read_briefing(struct temp_store *t, int64_t days, struct briefing *b)
{
    assert_int_equal(briefing_read(t->store, days, NOW, b), 0);
}

static void test_the_window_is_exact(void **state)
{
    (void)state;
    struct temp_store t;
    struct briefing b;
    temp_store_open(&t);
    int64_t edge = NOW - 7 * DAY;
    past_fire(t.store, (struct past){.alertname = "A", .at = edge - 1, .verdict = VERDICT_NOISE});
    for (int i = 0; i < 3; i++)
        past_fire(t.store,
                  (struct past){.alertname = "A", .at = edge + i, .verdict = VERDICT_NOISE});
    past_fire(t.store, (struct past){.alertname = "A", .at = NOW - DAY, .verdict = VERDICT_NOISE});
    past_fire(t.store, (struct past){.alertname = "A", .at = NOW, .verdict = VERDICT_REAL});
    read_briefing(&t, 7, &b);
    assert_int_equal(b.counts.noise, 4);
    assert_int_equal(b.counts.real, 1);
    assert_int_equal(b.n_noise, 1);
    assert_int_equal(b.noise[0].count, 4);
    assert_int_equal(b.rules[0].incidents, 5);
    struct tally of_problem = {0}, of_rule = {0};
    assert_int_equal(tally_problem(t.store, 1, edge, &of_problem), 0);
    assert_int_equal(tally_rule(t.store, "A", edge, &of_rule), 0);
    assert_int_equal(tally_total(&of_problem), 5);
    assert_int_equal(of_rule.noise, 4);
    temp_store_close(&t);
}

// However a verdict changes, the counts follow.
static void test_counts_follow_the_verdicts(void **state)
{
    (void)state;
    struct temp_store t;
    struct briefing b;
    temp_store_open(&t);
    for (int i = 0; i < 6; i++)
        past_fire(t.store,
                  (struct past){.alertname = "A", .at = NOW - HOUR, .verdict = (enum verdict)i});
    run_sql(t.store, "UPDATE incident SET verdict = 4 WHERE id = 2");
    run_sql(t.store, "UPDATE incident SET verdict = NULL WHERE id = 3");
    run_sql(t.store, "UPDATE incident SET kind = kind, verdict = 1 WHERE id = 6");
    read_briefing(&t, 7, &b);
    const struct tally *c = &b.counts;
    assert_int_equal(c->none, 2);
    assert_int_equal(c->noise, 1);
    assert_int_equal(c->auto_fixed, 0);
    assert_int_equal(c->escalated, 1);
    assert_int_equal(c->real, 2);
    assert_int_equal(c->unsure, 0);
    assert_int_equal(tally_total(c), 6);
    temp_store_close(&t);
}

static void test_families_are_lines(void **state)
{
    (void)state;
    struct temp_store t;
    struct briefing b;
    char service[32];
    temp_store_open(&t);
    for (int i = 0; i < 8; i++) {
        snprintf(service, sizeof service, "tenant-test-%d", i);
        past_fire(t.store, (struct past){.alertname = "Tenant Inactive",
                                         .service = service,
                                         .at = NOW - HOUR * (i + 1),
                                         .verdict = VERDICT_NOISE});
    }
    for (int i = 0; i < 5; i++)
        past_fire(t.store, (struct past){.alertname = "High Latency",
                                         .service = i % 2 ? "openaire-prod" : "openaire-test",
                                         .at = NOW - HOUR * (i + 1),
                                         .verdict = VERDICT_NOISE});
    // 300 of a family are more than are told apart, and still one line with the whole count.
    for (int i = 0; i < 300; i++) {
        snprintf(service, sizeof service, "big-family-%d", i);
        past_fire(t.store, (struct past){.alertname = "Many",
                                         .service = service,
                                         .at = NOW - HOUR,
                                         .verdict = VERDICT_NOISE});
    }
    read_briefing(&t, 7, &b);
    assert_int_equal(b.n_noise, 4);
    assert_string_equal(b.noise[0].where, "big-family-*");
    assert_int_equal(b.noise[0].count, 300);
    assert_string_equal(b.noise[1].where, "tenant-test-*");
    assert_int_equal(b.noise[1].count, 8);
    assert_string_equal(b.noise[2].where, "openaire-test");
    assert_int_equal(b.noise[2].count, 3);
    assert_string_equal(b.noise[3].where, "openaire-prod");
    assert_int_equal(b.noise[3].count, 2);
    temp_store_close(&t);
}

static void test_hostile_names_stay_lines(void **state)
{
    (void)state;
    struct temp_store t;
    struct briefing b;
    char name[600], service[600];
    temp_store_open(&t);
    for (int i = 0; i < 60; i++) {
        int n = snprintf(name, sizeof name, "%02d\x1f|\n=== ", i);
        for (size_t k = (size_t)n; k + 3 < sizeof name; k += 3)
            memcpy(name + k, "\xe2\x82\xac", 4); // three bytes a character
        memcpy(service, name, sizeof service);
        for (int k = 0; k < 3; k++)
            past_fire(t.store, (struct past){.alertname = name,
                                             .service = service,
                                             .cluster = service,
                                             .at = NOW - HOUR,
                                             .verdict = (enum verdict)(k % 3)});
        past_fire(t.store, (struct past){.alertname = name,
                                         .service = service,
                                         .cluster = service,
                                         .at = NOW - HOUR,
                                         .verdict = VERDICT_NOISE});
    }
    read_briefing(&t, 7, &b);
    const char *text = text_of(&b);
    assert_true(strlen(text) < BRIEFING_BYTES);
    assert_int_equal(b.counts.noise, 120);
    assert_non_null(strstr(text, "Recurring noise"));
    assert_null(strstr(text, "\n==="));
    struct buf json = BUF_INIT(48 * 1024);
    struct jw w = JW(&json);
    jw_object(&w);
    briefing_json(&b, &w);
    jw_object_end(&w);
    assert_int_equal(json.error, 0);
    const char *why;
    cJSON *parsed = json_parse(buf_str(&json), &why);
    assert_non_null(parsed);
    assert_int_equal(json_int(parsed, "total", -1), 240);
    cJSON_Delete(parsed);
    buf_done(&json);
    temp_store_close(&t);
}

// ---- retention ----

static void test_retention_goes_in_steps(void **state)
{
    (void)state;
    struct temp_store t;
    temp_store_open(&t);
    int64_t big = past_fire(t.store, (struct past){.alertname = "Old", .at = NOW - 90 * DAY});
    for (int i = 0; i < 2500; i++)
        past_alert(t.store, big,
                   &(struct past){.alertname = "Old", .at = NOW - 90 * DAY, .lasted = 5});
    for (int i = 0; i < 150; i++)
        past_fire(t.store, (struct past){
                               .alertname = "Old", .at = NOW - 80 * DAY, .verdict = VERDICT_NOISE});
    past_fire(t.store, (struct past){.alertname = "New", .at = NOW - DAY});
    past_fire(t.store, (struct past){.alertname = "Open", .at = NOW - 90 * DAY, .lasted = -1});
    run_sql(t.store, "INSERT INTO ticket_incident SELECT id, 1 FROM incident");
    int steps = 0, r = 1;
    for (; r > 0; steps++) {
        int64_t before = ask_int(t.store, "SELECT (SELECT count(*) FROM alert)"
                                          " + (SELECT count(*) FROM incident)");
        r = retention_step(t.store, NOW - 30 * DAY);
        assert_true(r >= 0);
        int64_t after = ask_int(t.store, "SELECT (SELECT count(*) FROM alert)"
                                         " + (SELECT count(*) FROM incident)");
        assert_true(before - after <= RETENTION_STEP_ROWS + 1);
    }
    assert_true(steps >= 3);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM incident"), 2);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM alert"), 2);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM ticket_incident"), 2);
    struct tally all = {0};
    assert_int_equal(tally_all(t.store, 0, &all), 0);
    assert_int_equal(all.noise, 150);
    assert_int_equal(tally_total(&all), 153);
    temp_store_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_the_contract_s),
        cmocka_unit_test(test_dates_follow_the_zone),
        cmocka_unit_test(test_places_without_a_service),
        cmocka_unit_test(test_tails_are_one_line),
        cmocka_unit_test(test_the_window_is_exact),
        cmocka_unit_test(test_counts_follow_the_verdicts),
        cmocka_unit_test(test_families_are_lines),
        cmocka_unit_test(test_hostile_names_stay_lines),
        cmocka_unit_test(test_retention_goes_in_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
