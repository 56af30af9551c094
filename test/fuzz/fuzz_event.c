// From the body of a POST to what the session reads of it: alert, incident, event, digest.

#include "test/fuzz/fuzz_store.h"

#include "channels/webhook/event_digest.h"
#include "channels/webhook/incident.h"
#include "channels/webhook/incident_json.h"
#include "channels/webhook/notification.h"
#include "common/json.h"

#define NOW 1700000000000
#define MAX_ALERTS 4

static struct playbooks *books;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_store_open();
    fuzz_store.config.event_bytes = 1500;
    temp_write(temp_path(fuzz_store.dir, "a.md"),
               str_of("---\nname: pods\nalerts: [Pod*, Kube*]\n---\n"), 0600);
    CHECK(playbooks_load(fuzz_store.dir, &books) == 0);
    return 0;
}

static void check_event(const struct event *e, size_t max)
{
    CHECK(e->content.error == 0 && e->content.len > 0);
    fuzz_check_clean(buf_str(&e->content), max, false);
    fuzz_check_masked(buf_str(&e->content));
    CHECK(e->n_meta <= EVENT_MAX_META);
    for (size_t i = 0; i < e->n_meta; i++) {
        if (!e->meta[i].value)
            continue;
        fuzz_check_clean(str_of(e->meta[i].value), ALERT_NAME_MAX + 64, true);
        fuzz_check_masked(str_of(e->meta[i].value));
    }
}

static void check_json(const struct incident_view *v)
{
    struct buf out = BUF_INIT(1 << 20);
    struct jw w = JW(&out);
    const char *why;
    CHECK(incident_json(&w, fuzz_store.store, v, true, 8000) == 0);
    CHECK(!out.error && out.len < 48 * 1024);
    cJSON *tree = json_parse(buf_str(&out), &why);
    CHECK(cJSON_IsObject(tree));
    cJSON_Delete(tree);
    buf_done(&out);
}

// In one of the ways, which the input's sum tells: all of them for each input is a quarter of the
// inputs in the same time.
static void show(int64_t id, unsigned sum)
{
    static const char *const kinds[] = {"alert", "reminder", "resolved", "test"};
    struct event_source from = {fuzz_store.store, &fuzz_store.config, books, NOW + 60000};
    struct incident_view v;
    struct event e;
    CHECK(incident_view_load(fuzz_store.store, id, &v) == 0);
    event_init(&e, &fuzz_store.config);
    CHECK(event_of_incident(&e, &from, &v, kinds[sum % ARRAY_LEN(kinds)]) == 0);
    check_event(&e, (size_t)fuzz_store.config.event_bytes);
    event_done(&e);
    if (sum & 4)
        check_json(&v);
    incident_view_done(&v);
}

static void show_digest(void)
{
    struct event_source from = {fuzz_store.store, &fuzz_store.config, books, NOW + 60000};
    struct event e;
    struct digest_totals totals;
    CHECK(digest_choose_due(fuzz_store.store, INT64_MAX) == 0);
    CHECK(digest_total(fuzz_store.store, &totals) == 0);
    event_init(&e, &fuzz_store.config);
    CHECK(event_of_digest(&e, &from, &totals, "What waits", 900) == 0);
    check_event(&e, 900);
    event_done(&e);
}

static void take(struct notification *note, struct id_set *named)
{
    struct incident_intake in = {.store = fuzz_store.store,
                                 .config = &fuzz_store.config,
                                 .now = NOW,
                                 .truncated = note->truncated,
                                 .named = named};
    const char *why;
    struct alert a;
    alert_init(&a);
    for (unsigned i = 0; i < MAX_ALERTS; i++) {
        int r = notification_next(note, &a, &why);
        if (r == 0)
            break;
        if (r == 1)
            CHECK(incident_take(&in, &a) == 0);
    }
    alert_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct notification_hints hints = {.now_ms = NOW};
    struct notification note = {0};
    struct id_set named = {0};
    const char *why;
    if (notification_open(&note, (struct str){(const char *)bytes, n}, &hints, &why) == 0) {
        CHECK(store_begin(fuzz_store.store) == 0);
        take(&note, &named);
        unsigned sum = 0;
        for (size_t i = 0; i < n; i++)
            sum = sum * 31 + bytes[i];
        sum ^= sum >> 16;
        for (size_t i = 0; i < named.n; i++)
            show(named.ids[i], sum + (unsigned)i);
        if (named.n && (sum & 8))
            show_digest();
        store_rollback(fuzz_store.store);
    }
    id_set_done(&named);
    notification_close(&note);
    return 0;
}
