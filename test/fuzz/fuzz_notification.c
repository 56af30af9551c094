// The body of a webhook POST to normalised alerts: clean, capped, without secrets, with an
// identity.

#include <errno.h>

#include "channels/webhook/notification.h"
#include "common/json.h"
#include "test/fuzz/fuzz.h"

#define NOW 1700000000000

static void check_text(const char *s, size_t max, bool one_line)
{
    CHECK(s);
    fuzz_check_clean(str_of(s), max + 64, one_line); // 64: "... (N bytes left out)"
    fuzz_check_masked(str_of(s));
}

// A JSON object of strings.
static void check_pairs(const char *json, size_t max)
{
    const char *why;
    CHECK(strlen(json) <= max);
    cJSON *tree = json_parse(str_of(json), &why);
    CHECK(cJSON_IsObject(tree));
    CHECK(cJSON_GetArraySize(tree) <= ALERT_PAIRS_MAX);
    for (const cJSON *child = tree->child; child; child = child->next) {
        CHECK(cJSON_IsString(child));
        check_text(child->string, ALERT_KEY_MAX, true);
        check_text(child->valuestring, ALERT_ANNOTATION_MAX, false);
    }
    cJSON_Delete(tree);
}

static void check_alert(const struct alert *a)
{
    const char *const names[] = {a->source,  a->alertname, a->severity_raw, a->cluster,
                                 a->service, a->namespace, a->pod,          a->node};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        check_text(names[i], ALERT_NAME_MAX, true);
    CHECK(a->fingerprint[0] && a->alertname[0] && a->source[0]);
    check_text(a->fingerprint, ALERT_NAME_MAX, true);
    check_text(a->summary, ALERT_SUMMARY_MAX, false);
    check_text(a->value, ALERT_LABEL_MAX, false);
    check_text(a->runbook, ALERT_URL_MAX, true);
    check_text(a->generator_url, ALERT_URL_MAX, true);
    check_text(a->cut, 1024, true);
    check_pairs(a->labels, ALERT_LABELS_MAX + 64);
    check_pairs(a->annotations, ALERT_ANNOTATIONS_MAX + 64);
    CHECK(a->severity <= SEVERITY_CRITICAL);
    CHECK(!a->resolved || a->ends_at >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str all = {(const char *)bytes, n};
    unsigned kind = (unsigned)fuzz_pick(&all, 4);
    struct str body = fuzz_piece(&all, 0);
    struct notification_hints hints = {.source = str_of(kind & 1 ? "grafana" : ""),
                                       .user_agent = str_of(kind & 1 ? "" : "Alertmanager/0.25"),
                                       .prometheus_api = kind == 3,
                                       .now_ms = NOW};
    struct notification note = {0};
    struct alert a;
    const char *why = NULL;
    alert_init(&a);
    int r = notification_open(&note, body, &hints, &why);
    if (r == 0) {
        CHECK(note.truncated >= 0);
        check_text(note.reason, 128, true);
        int more = 1;
        for (unsigned i = 0; more && i < 64; i++) {
            struct notification_place place = notification_tell(&note);
            more = notification_next(&note, &a, &why);
            if (i == 1) { // the same place gives the same alert
                int again;
                notification_seek(&note, place);
                again = notification_next(&note, &a, &why);
                CHECK(again == more);
            }
            CHECK(more >= 0 || more == -EINVAL);
            if (more == 1)
                check_alert(&a);
            else if (more < 0)
                fuzz_check_clean(str_of(why), 512, true);
        }
    } else {
        CHECK(r == -EINVAL && why);
        fuzz_check_clean(str_of(why), 512, true);
    }
    notification_close(&note);
    alert_done(&a);
    free((void *)body.p);
    return 0;
}
