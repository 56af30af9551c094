#include "channels/webhook/briefing.h"

#include <stdio.h>
#include <time.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/census.h"
#include "channels/webhook/terms.h"
#include "common/clock.h"

#define DAY_MS (24ll * 3600 * 1000)
#define SECTION_BYTES 1350 // of the four that there are
#define NOISE_JSON_MAX 20
#define WAITS "(i.state < 3 OR i.verdict = 5) AND i.kind <> 1" // as in the index of these

// ---- reading ----

static void read_incident(struct stmt *q, struct briefing_incident *i)
{
    *i = (struct briefing_incident){.id = col_int(q, 0),
                                    .severity = col_int(q, 1),
                                    .verdict = col_int(q, 2),
                                    .opened_at = col_int(q, 3),
                                    .prod = col_int(q, 4) != 0};
    text_fit(col_text(q, 5), sizeof i->alertname, i->alertname);
    text_fit(col_text(q, 6), sizeof i->service, i->service);
    text_fit(col_text(q, 7), sizeof i->namespace, i->namespace);
    text_fit(col_text(q, 8), sizeof i->cluster, i->cluster);
    text_fit(col_text(q, 9), sizeof i->summary, i->summary);
    text_fit(col_text(q, 10), sizeof i->ticket, i->ticket);
}

#define INCIDENT                                                                                   \
    "SELECT i.id, i.severity, i.verdict, i.opened_at, i.environment, p.alertname, p.service, "     \
    "p.namespace, p.cluster,"                                                                      \
    " (SELECT v.summary FROM verdict v WHERE v.incident_id = i.id ORDER BY v.id DESC LIMIT 1),"    \
    " (SELECT t.key FROM ticket_incident ti JOIN ticket t ON t.id = ti.ticket_id WHERE "           \
    "ti.incident_id = i.id)"                                                                       \
    " FROM incident i JOIN problem p ON p.id = i.problem_id WHERE "

static int read_real(struct store *s, struct briefing *b)
{
    struct stmt *q = store_sql(s, INCIDENT "i.verdict BETWEEN 2 AND 4 AND i.kind <> 1 AND "
                                           "i.opened_at >= ? ORDER BY i.opened_at DESC LIMIT 8");
    int r;
    bind_int(q, 1, b->since);
    while ((r = stmt_step(q)) > 0)
        if (b->n_real < BRIEFING_REAL_MAX)
            read_incident(q, &b->real[b->n_real++]);
    return r;
}

static int read_waiting(struct store *s, struct briefing *b)
{
    struct stmt *q = store_sql(
        s, INCIDENT WAITS " ORDER BY i.severity DESC, i.environment DESC, i.opened_at LIMIT 10");
    int r;
    while ((r = stmt_step(q)) > 0)
        if (b->n_waiting < BRIEFING_WAITING_MAX)
            read_incident(q, &b->waiting[b->n_waiting++]);
    if (r < 0)
        return r;
    return census_waiting(s, &b->waiting_total);
}

static int read_escalations(struct store *s, struct briefing *b)
{
    // state 0 = open, nobody has acknowledged it; the first term names the index.
    struct stmt *q = store_sql(
        s, "SELECT id, created_at, incident_id, title, body, severity FROM slack_escalation"
           " WHERE state < 3 AND state = 0 ORDER BY id DESC");
    int r;
    while ((r = stmt_step(q)) > 0) {
        if (b->escalations_total++ >= BRIEFING_ESCALATIONS_MAX)
            continue;
        struct briefing_escalation *e = &b->escalations[b->n_escalations++];
        *e = (struct briefing_escalation){
            .id = col_int(q, 0), .at = col_int(q, 1), .incident_id = col_int(q, 2)};
        text_fit(col_text(q, 3), sizeof e->title, e->title);
        text_fit(col_text(q, 4), sizeof e->body, e->body);
        text_fit(col_text(q, 5), sizeof e->severity, e->severity);
    }
    return r;
}

static int read_counts(struct store *s, struct briefing *b)
{
    struct tally_window w = tally_window(b->since);
    struct tally_edge edge;
    int r = tally_edge_read(s, &w, &edge);
    if (r < 0)
        return r;
    b->counts = edge.all;
    r = tally_days(s, &w, &b->counts);
    if (r == 0)
        r = stats_rules(s, &w, &edge, b->rules, &b->n_rules);
    if (r == 0)
        r = recurring_read(s, &w, &edge, b->noise, &b->n_noise);
    tally_edge_done(&edge);
    return r;
}

static int read_all(struct store *s, struct briefing *b)
{
    int r = read_counts(s, b);
    if (r == 0)
        r = stats_read(s, b->since, &b->stats);
    if (r == 0)
        r = read_real(s, b);
    if (r == 0)
        r = read_escalations(s, b);
    return r == 0 ? read_waiting(s, b) : r;
}

int briefing_read(struct store *s, int64_t days, int64_t now, struct briefing *ret)
{
    *ret = (struct briefing){.days = days, .now = now, .since = now - days * DAY_MS};
    // One snapshot, so that the numbers add up while others write.
    int r = stmt_run(store_sql(s, "SAVEPOINT briefing"));
    if (r < 0)
        return r;
    r = read_all(s, ret);
    int end = stmt_run(store_sql(s, "RELEASE briefing"));
    return r < 0 ? r : end;
}

// ---- the text form ----

// A section's lines, as many as fit; the rest is counted.
struct section {
    struct buf *out;
    const char *heading;
    size_t begun_at;
    int shown;
};

static void begin(struct section *s, struct buf *out, const char *heading)
{
    *s = (struct section){.out = out, .heading = heading, .begun_at = out->len};
}

static void add(struct section *s, const char *line)
{
    if (s->out->len - s->begun_at + strlen(line) > SECTION_BYTES - 128)
        return;
    if (!s->shown++)
        buf_addf(s->out, "%s\n", s->heading);
    buf_addf(s->out, "  - %s\n", line);
}

static void end(const struct section *s, int64_t total, const char *where)
{
    if (s->shown && total > s->shown)
        buf_addf(s->out, "  - ... and %lld more%s\n", (long long)(total - s->shown), where);
}

static const char *date(int64_t wall_ms, char out[16])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    size_t n = localtime_r(&t, &tm) ? strftime(out, 16, "%b ", &tm) : 0;
    snprintf(out + n, 16 - n, "%d", n ? tm.tm_mday : 0);
    return out;
}

static void noise_section(const struct briefing *b, struct buf *out)
{
    struct section s;
    char line[256];
    begin(&s, out, "Recurring noise (consider tuning):");
    for (int i = 0; i < b->n_noise && i < BRIEFING_NOISE_MAX; i++) {
        const struct recurring_line *l = &b->noise[i];
        snprintf(line, sizeof line, "%s%s%s | %lldx", l->alertname, l->where[0] ? " on " : "",
                 l->where, (long long)l->count);
        add(&s, line);
    }
    end(&s, b->n_noise, "");
}

// "Pod CrashLooping on backend": the service; without one the namespace or the cluster. Returns
// what it named.
static const char *what(const struct briefing_incident *i, size_t size, char *out)
{
    const char *where = i->service[0] ? i->service : i->namespace[0] ? i->namespace : i->cluster;
    snprintf(out, size, "%s%s%s", i->alertname, where[0] ? " on " : "", where);
    return where;
}

static void real_section(const struct briefing *b, struct buf *out)
{
    static const char *const words[] = {[VERDICT_AUTO_FIXED] = "auto-fixed",
                                        [VERDICT_ESCALATED] = "escalated",
                                        [VERDICT_REAL] = "real"};
    struct section s;
    char line[512], title[160], day[16];
    begin(&s, out, "Recent real incidents:");
    for (int i = 0; i < b->n_real; i++) {
        const struct briefing_incident *n = &b->real[i];
        what(n, sizeof title, title);
        snprintf(line, sizeof line, "[%s] %s - %s%s%s%s%s", date(n->opened_at, day), title,
                 words[n->verdict], n->summary[0] ? ": " : "", n->summary,
                 n->ticket[0] ? ", ticket " : "", n->ticket);
        add(&s, line);
    }
    end(&s, tally_true(&b->counts), ": list_incidents state all");
}

static void escalation_section(const struct briefing *b, struct buf *out)
{
    struct section s;
    char line[512], day[16];
    begin(&s, out, "Pending escalations (unacknowledged):");
    for (int i = 0; i < b->n_escalations; i++) {
        const struct briefing_escalation *e = &b->escalations[i];
        snprintf(line, sizeof line, "[%s] %s%s%s", date(e->at, day), e->title,
                 e->body[0] ? " - " : "", e->body);
        add(&s, line);
    }
    end(&s, b->escalations_total, ": list_escalations");
}

static void waiting_section(const struct briefing *b, struct buf *out)
{
    struct section s;
    char line[512], title[160], age[DURATION_SIZE];
    begin(&s, out, "Waiting for a verdict:");
    for (int i = 0; i < b->n_waiting; i++) {
        const struct briefing_incident *n = &b->waiting[i];
        bool cluster = what(n, sizeof title, title) != n->cluster && n->cluster[0];
        snprintf(line, sizeof line, "#%lld %s%s%s%s, %s%s%s", (long long)n->id, title,
                 cluster ? " (" : "", cluster ? n->cluster : "", cluster ? ")" : "",
                 duration_format(b->now - n->opened_at, age), n->ticket[0] ? ", ticket " : "",
                 n->ticket);
        add(&s, line);
    }
    end(&s, b->waiting_total, ": list_incidents");
}

static void pace_words(struct buf *out, const char *name, const struct pace *p)
{
    char mean[DURATION_SIZE];
    if (p->n > 0)
        buf_addf(out, " | %s %s", name, p->ms < 60000 ? "< 1 min" : duration_format(p->ms, mean));
}

static void stats_line(const struct briefing *b, struct buf *out)
{
    int64_t total = tally_total(&b->counts);
    if (!total)
        return;
    buf_addf(out, "\nNoise rate %lld%%",
             (long long)((b->counts.noise * 200 + total) / (2 * total)));
    pace_words(out, "MTTA", &b->stats.taken);
    pace_words(out, "time to verdict", &b->stats.verdict);
    pace_words(out, "MTTR", &b->stats.mended);
    if (b->stats.reversed)
        buf_addf(out, " | %lld verdict%s reversed", (long long)b->stats.reversed,
                 b->stats.reversed == 1 ? "" : "s");
    buf_addc(out, '\n');
}

int briefing_text(const struct briefing *b, struct buf *out)
{
    const struct tally *t = &b->counts;
    buf_addf(out, "=== SRE Briefing - last %lld day%s ===\n", (long long)b->days,
             b->days == 1 ? "" : "s");
    buf_addf(out,
             "Total: %lld alerts | %lld noise | %lld real | %lld auto-fixed | %lld escalated | "
             "%lld undecided\n",
             (long long)tally_total(t), (long long)t->noise, (long long)tally_true(t),
             (long long)t->auto_fixed, (long long)t->escalated, (long long)tally_undecided(t));
    if (b->n_noise || b->n_real || b->n_escalations || b->n_waiting)
        buf_addc(out, '\n');
    noise_section(b, out);
    real_section(b, out);
    escalation_section(b, out);
    waiting_section(b, out);
    stats_line(b, out);
    return out->error;
}

// ---- as JSON ----

static void pace_json(struct jw *w, const char *key, const struct pace *p)
{
    jw_key(w, key);
    if (p->n > 0)
        jw_num(w, (double)(p->ms / 100) / 10);
    else
        jw_null(w);
}

static void rate_json(struct jw *w, int64_t noise, int64_t total)
{
    jw_key(w, "noise_rate");
    if (total > 0)
        jw_num(w, (double)(noise * 1000 / total) / 1000);
    else
        jw_null(w);
}

static void incidents_json(struct jw *w, const char *key, const struct briefing_incident *items,
                           int n)
{
    jw_key(w, key);
    jw_array(w);
    for (int i = 0; i < n; i++) {
        jw_object(w);
        jw_kint(w, "incident_id", items[i].id);
        jw_kstr(w, "alertname", items[i].alertname);
        jw_kstr(w, "severity", severity_name((enum alert_severity)items[i].severity));
        jw_kstr(w, "service", items[i].service);
        jw_kstr(w, "namespace", items[i].namespace);
        jw_kstr(w, "cluster", items[i].cluster);
        jw_kstr(w, "environment", items[i].prod ? "prod" : "dev");
        jw_kstr(w, "verdict", verdict_name(items[i].verdict));
        jw_kstr(w, "summary", items[i].summary[0] ? items[i].summary : NULL);
        jw_kstr(w, "ticket", items[i].ticket[0] ? items[i].ticket : NULL);
        jw_ktime(w, "opened_at", items[i].opened_at);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void noise_json(struct jw *w, const struct briefing *b)
{
    jw_key(w, "recurring_noise");
    jw_array(w);
    for (int i = 0; i < b->n_noise && i < NOISE_JSON_MAX; i++) {
        jw_object(w);
        jw_kstr(w, "alertname", b->noise[i].alertname);
        jw_kstr(w, "service", b->noise[i].where);
        jw_kint(w, "count", b->noise[i].count);
        jw_kint(w, "services", b->noise[i].services);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void rules_json(struct jw *w, const struct briefing *b)
{
    jw_key(w, "rules");
    jw_array(w);
    for (int i = 0; i < b->n_rules; i++) {
        const struct rule_stats *r = &b->rules[i];
        jw_object(w);
        jw_kstr(w, "alertname", r->alertname);
        jw_kint(w, "total", r->incidents);
        jw_kint(w, "noise", r->noise);
        jw_kint(w, "real", r->real);
        jw_kint(w, "undecided", r->incidents - r->noise - r->real);
        rate_json(w, r->noise, r->incidents);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void escalations_json(struct jw *w, const struct briefing *b)
{
    jw_key(w, "pending_escalations");
    jw_array(w);
    for (int i = 0; i < b->n_escalations; i++) {
        const struct briefing_escalation *e = &b->escalations[i];
        jw_object(w);
        jw_kint(w, "escalation_id", e->id);
        jw_ktime(w, "created_at", e->at);
        jw_kstr(w, "severity", e->severity);
        jw_kstr(w, "title", e->title);
        jw_kstr(w, "body", e->body);
        jw_key(w, "incident_id");
        if (e->incident_id)
            jw_int(w, e->incident_id);
        else
            jw_null(w);
        jw_object_end(w);
    }
    jw_array_end(w);
}

void briefing_json(const struct briefing *b, struct jw *w)
{
    const struct tally *t = &b->counts;
    jw_kint(w, "days", b->days);
    jw_ktime(w, "since", b->since);
    jw_ktime(w, "until", b->now);
    jw_kint(w, "total", tally_total(t));
    jw_kint(w, "noise", t->noise);
    jw_kint(w, "real", tally_true(t));
    jw_kint(w, "auto_fixed", t->auto_fixed);
    jw_kint(w, "escalated", t->escalated);
    jw_kint(w, "undecided", tally_undecided(t));
    jw_kint(w, "unsure", t->unsure);
    rate_json(w, t->noise, tally_total(t));
    pace_json(w, "mtta_seconds", &b->stats.taken);
    pace_json(w, "time_to_verdict_seconds", &b->stats.verdict);
    pace_json(w, "mttr_seconds", &b->stats.mended);
    jw_kint(w, "verdicts_reversed", b->stats.reversed);
    noise_json(w, b);
    incidents_json(w, "recent_real", b->real, b->n_real);
    escalations_json(w, b);
    jw_kint(w, "pending_escalations_total", b->escalations_total);
    incidents_json(w, "waiting", b->waiting, b->n_waiting);
    jw_kint(w, "waiting_total", b->waiting_total);
    rules_json(w, b);
}
