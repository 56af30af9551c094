#pragma once

// Alerts as alert.c would have built them, and an intake for them. Include after temp_store.h.

#include "channels/webhook/incident.h"
#include "channels/webhook/incident_state.h"

static inline struct alert alert_made(const char *alertname, const char *fingerprint)
{
    return (struct alert){.source = "alertmanager",
                          .fingerprint = fingerprint,
                          .alertname = alertname,
                          .severity_raw = "warning",
                          .cluster = "platform",
                          .namespace = "payments",
                          .service = "checkout",
                          .pod = "",
                          .node = "",
                          .summary = "it is slow",
                          .runbook = "",
                          .value = "",
                          .generator_url = "http://prometheus/graph",
                          .labels = "{\"alertname\":\"A\",\"pod\":\"p-1\"}",
                          .annotations = "{}",
                          .cut = "",
                          .severity = SEVERITY_WARNING};
}

// One notification with these alerts at `now`. Returns the first incident that it named, 0 for
// none.
static inline int64_t take_alerts(struct temp_store *into, int64_t now, const struct alert *alerts,
                                  size_t n)
{
    struct id_set named = {0};
    struct incident_intake in = {
        .store = into->store, .config = &into->config, .now = now, .named = &named};
    assert_int_equal(store_begin(into->store), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(incident_take(&in, &alerts[i]), 0);
    assert_int_equal(incident_take_end(&in), 0);
    assert_int_equal(store_commit(into->store), 0);
    int64_t first = named.n ? named.ids[0] : 0;
    id_set_done(&named);
    return first;
}

static inline int64_t take_alert(struct temp_store *into, int64_t now, struct alert alert)
{
    return take_alerts(into, now, &alert, 1);
}

static inline int64_t take_end(struct temp_store *into, int64_t now, struct alert alert)
{
    alert.resolved = true;
    return take_alerts(into, now, &alert, 1);
}

static inline void decide(struct temp_store *into, int64_t id, enum verdict verdict, int64_t now)
{
    struct verdict_note note = {.verdict = verdict,
                                .summary = "said so",
                                .root_cause = "",
                                .action = "",
                                .by = "agent",
                                .confidence = -1};
    assert_int_equal(incident_decide(into->store, id, &note, now), 0);
}
