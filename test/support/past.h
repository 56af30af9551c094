#pragma once

// Incidents of the past, written straight into the store: what a test needs weeks of. Include after
// temp_store.h.

#include "channels/webhook/terms.h"
#include "common/json.h"

struct past { // zero means: as in past_fire
    const char *alertname, *cluster, *namespace, *service, *source, *url, *value, *threshold,
        *description, *label, *label_value;
    int64_t at, lasted; // wall ms, ms; lasted -1 = still fires
    enum verdict verdict;
    int severity, flaps;
    bool prod, folded; // folded: by the memory
};

static inline const char *past_or(const char *s, const char *fallback)
{
    return s ? s : fallback;
}

static inline int64_t past_problem(struct store *s, const struct past *p)
{
    const char *names[] = {p->alertname, past_or(p->cluster, "dev-eu"), past_or(p->namespace, "ns"),
                           past_or(p->service, "svc")};
    struct stmt *q = store_sql(
        s,
        "INSERT OR IGNORE INTO problem(alertname, cluster, namespace, service) VALUES(?, ?, ?, ?)");
    for (int i = 0; i < 4; i++)
        bind_text(q, i + 1, names[i]);
    assert_int_equal(stmt_run(q), 0);
    q = store_sql(s, "SELECT id FROM problem WHERE alertname = ? AND cluster = ? AND namespace = ? "
                     "AND service = ?");
    for (int i = 0; i < 4; i++)
        bind_text(q, i + 1, names[i]);
    assert_int_equal(stmt_step(q), 1);
    int64_t id = col_int(q, 0);
    stmt_reset(q);
    return id;
}

static inline void past_alert(struct store *s, int64_t incident, const struct past *p)
{
    struct buf labels = BUF_INIT(65536), annotations = BUF_INIT(65536);
    struct jw w = JW(&labels);
    jw_object(&w);
    jw_kstr(&w, "alertname", p->alertname);
    jw_kstr(&w, "cluster", past_or(p->cluster, "dev-eu"));
    jw_kstr(&w, "namespace", past_or(p->namespace, "ns"));
    jw_kstr(&w, "service", past_or(p->service, "svc"));
    if (p->label)
        jw_kstr(&w, p->label, p->label_value);
    jw_object_end(&w);
    w = JW(&annotations);
    jw_object(&w);
    if (p->value)
        jw_kstr(&w, "value", p->value);
    if (p->threshold)
        jw_kstr(&w, "threshold", p->threshold);
    if (p->description)
        jw_kstr(&w, "description", p->description);
    jw_object_end(&w);
    struct stmt *q = store_sql(s, "INSERT INTO alert(incident_id, source, fingerprint, status, "
                                  "labels, annotations, node, starts_at, ends_at,"
                                  " generator_url, first_at, last_at) VALUES(?1, ?2, 'f' || ?1, 1, "
                                  "?3, ?4, '', ?5, ?6, ?7, ?5, ?5)");
    bind_int(q, 1, incident);
    bind_text(q, 2, past_or(p->source, "prometheus"));
    bind_text(q, 3, buf_cstr(&labels));
    bind_text(q, 4, buf_cstr(&annotations));
    bind_int(q, 5, p->at);
    if (p->lasted >= 0)
        bind_int(q, 6, p->at + p->lasted);
    bind_text(q, 7, past_or(p->url, ""));
    assert_int_equal(stmt_run(q), 0);
    buf_done(&labels);
    buf_done(&annotations);
}

// One incident with one alert. Unless said otherwise: on svc in ns of dev-eu, a warning.
static inline int64_t past_fire(struct store *s, struct past p)
{
    int64_t problem = past_problem(s, &p);
    struct stmt *q = store_sql(
        s, "INSERT INTO incident(problem_id, environment, source, severity, status, state, "
           "verdict, opened_at, last_seen_at,"
           " closed_at, asked_at, since_at, since_boot, decided_at, flaps, folded)"
           " VALUES(?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, 0), ?8, ?8, ?9, ?8, ?8, 0, ?10, ?11, ?12)");
    bind_int(q, 1, problem);
    bind_int(q, 2, p.prod);
    bind_text(q, 3, past_or(p.source, "prometheus"));
    bind_int(q, 4, p.severity ? p.severity : 2);
    bind_int(q, 5, p.lasted >= 0);
    bind_int(q, 6, p.verdict ? STATE_DECIDED : STATE_NEW);
    bind_int(q, 7, p.verdict);
    bind_int(q, 8, p.at);
    if (p.lasted >= 0)
        bind_int(q, 9, p.at + p.lasted);
    if (p.verdict)
        bind_int(q, 10, p.at + 60000);
    bind_int(q, 11, p.flaps);
    bind_int(q, 12, p.folded);
    assert_int_equal(stmt_run(q), 0);
    int64_t id = store_last_id(s);
    past_alert(s, id, &p);
    return id;
}
