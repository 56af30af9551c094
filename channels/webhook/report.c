#include "channels/webhook/report.h"

#include <errno.h>

#include "channels/webhook/terms.h"

#define DAY_MS (24ll * 3600 * 1000)

// ---- alerts per day ----

static int64_t bar_days(int64_t days)
{
    return days <= 45 ? 1 : days <= 310 ? 7 : days <= 1800 ? 30 : 90;
}

// Whole bars up to today: what is not whole is the oldest one.
static void make_bars(struct report *r)
{
    int64_t first = r->since / DAY_MS, last = r->now / DAY_MS;
    r->bar_days = bar_days(r->days);
    r->n_bars = (int)((last - first) / r->bar_days + 1);
    if (r->n_bars > REPORT_BARS_MAX)
        r->n_bars = REPORT_BARS_MAX;
    for (int i = 0; i < r->n_bars; i++)
        r->bars[i].day = last + 1 - (r->n_bars - i) * r->bar_days;
}

static struct report_bar *bar_of(struct report *r, int64_t day)
{
    int64_t i = (day - r->bars[0].day) / r->bar_days;
    return &r->bars[i < 0 ? 0 : i >= r->n_bars ? r->n_bars - 1 : i];
}

static void add_counts(struct stmt *q, struct tally *t)
{
    t->none += col_int(q, 1);
    t->noise += col_int(q, 2);
    t->auto_fixed += col_int(q, 3);
    t->escalated += col_int(q, 4);
    t->real += col_int(q, 5);
    t->unsure += col_int(q, 6);
}

static int read_days(struct store *s, const struct tally_window *w, struct report *r)
{
    int e;
    struct stmt *q =
        store_sql(s, "SELECT day, none, noise, auto_fixed, escalated, real, unsure FROM tally"
                     " WHERE kind = ?1 AND key = '' AND day >= ?2");
    bind_int(q, 1, TALLY_ALL);
    bind_int(q, 2, w->first_day);
    while ((e = stmt_step(q)) > 0)
        add_counts(q, &bar_of(r, col_int(q, 0))->counts);
    return e;
}

// The day that the window cuts is looked at once, for all that counts it.
static int read_counts(struct store *s, struct report *r)
{
    struct tally_window w = tally_window(r->since);
    struct tally_edge edge;
    int e = tally_edge_read(s, &w, &edge);
    if (e < 0)
        return e;
    r->counts = bar_of(r, r->since / DAY_MS)->counts = edge.all;
    e = tally_days(s, &w, &r->counts);
    if (e == 0)
        e = read_days(s, &w, r);
    if (e == 0)
        e = recurring_read(s, &w, &edge, r->noise, &r->n_noise);
    tally_edge_done(&edge);
    return e;
}

static struct pace *pace_of(struct report_bar *bar, bool mended)
{
    return mended ? &bar->mended : &bar->taken;
}

static int read_paces(struct store *s, struct report *r, bool mended)
{
    int e;
    struct stmt *q = store_sql(s, "SELECT hour / 24, sum(n), sum(ms) FROM pace WHERE what = ?1"
                                  " AND hour >= ?2 GROUP BY 1");
    bind_int(q, 1, mended ? PACE_MENDED : PACE_TAKEN);
    bind_int(q, 2, r->since / (DAY_MS / 24));
    while ((e = stmt_step(q)) > 0) {
        struct pace *p = pace_of(bar_of(r, col_int(q, 0)), mended);
        p->n += col_int(q, 1);
        p->ms += col_int(q, 2); // their sum, until all are in
    }
    for (int i = 0; e == 0 && i < r->n_bars; i++) {
        struct pace *p = pace_of(&r->bars[i], mended);
        p->ms = p->n > 0 ? p->ms / p->n : 0;
    }
    return e;
}

// ---- compared with the time before ----

static struct pace pace_without(const struct pace *all, const struct pace *part)
{
    int64_t n = all->n - part->n;
    return (struct pace){.n = n > 0 ? n : 0,
                         .ms = n > 0 ? (all->n * all->ms - part->n * part->ms) / n : 0};
}

static int read_before(struct store *s, struct report *r)
{
    int64_t since = r->since - r->days * DAY_MS;
    struct tally *b = &r->before;
    struct stats both;
    if (since < 0)
        since = 0;
    int e = tally_all(s, since, b);
    if (e == 0)
        e = stats_read(s, since, &both);
    if (e < 0)
        return e;
    b->none -= r->counts.none;
    b->noise -= r->counts.noise;
    b->auto_fixed -= r->counts.auto_fixed;
    b->escalated -= r->counts.escalated;
    b->real -= r->counts.real;
    b->unsure -= r->counts.unsure;
    r->taken_before = pace_without(&both.taken, &r->stats.taken);
    r->mended_before = pace_without(&both.mended, &r->stats.mended);
    struct stmt *q =
        store_sql(s, "SELECT min(day) FROM tally WHERE kind = ?1 AND key = '' AND day >= 0");
    bind_int(q, 1, TALLY_ALL);
    e = stmt_step(q);
    r->before_known = e > 0 && !col_is_null(q, 0) && col_int(q, 0) <= since / DAY_MS;
    stmt_reset(q);
    return e < 0 ? e : 0;
}

// ---- real incidents ----

#define FIT(q, column, field) text_fit(col_text(q, column), sizeof(field), field)

static int read_real(struct store *s, struct report *r)
{
    struct stmt *q = store_sql(
        s, "SELECT i.id, i.verdict, i.severity, i.opened_at, i.closed_at, i.environment,"
           " p.alertname, p.service, p.namespace, p.cluster, v.summary, v.root_cause, v.action"
           " FROM incident i JOIN problem p ON p.id = i.problem_id LEFT JOIN verdict v ON v.id ="
           " (SELECT max(id) FROM verdict WHERE incident_id = i.id)"
           " WHERE i.verdict BETWEEN 2 AND 4 AND i.kind <> 1 AND i.opened_at >= ?"
           " ORDER BY i.opened_at DESC LIMIT 40");
    int e;
    bind_int(q, 1, r->since);
    while ((e = stmt_step(q)) > 0) {
        if (r->n_real == REPORT_REAL_MAX)
            continue;
        struct report_incident *i = &r->real[r->n_real++];
        *i = (struct report_incident){.id = col_int(q, 0),
                                      .verdict = col_int(q, 1),
                                      .severity = col_int(q, 2),
                                      .opened_at = col_int(q, 3),
                                      .closed_at = col_int(q, 4),
                                      .prod = col_int(q, 5) != 0};
        FIT(q, 6, i->alertname);
        FIT(q, 7, i->service);
        FIT(q, 8, i->namespace);
        FIT(q, 9, i->cluster);
        FIT(q, 10, i->summary);
        FIT(q, 11, i->root_cause);
        FIT(q, 12, i->action);
    }
    return e;
}

// ---- escalations ----

static int read_escalations(struct store *s, struct report *r)
{
    struct stmt *q = store_sql(
        s, "SELECT e.id, e.state, e.created_at, e.answered_at, e.nags, e.incident_id, e.title,"
           " e.severity, coalesce(nullif(p.name, ''), e.answered_by)"
           " FROM slack_escalation e LEFT JOIN slack_person p ON p.user_id = e.answered_by"
           " WHERE e.created_at >= ? ORDER BY e.answered_at IS NULL AND e.state < 3 DESC,"
           " e.created_at DESC LIMIT 30");
    int e;
    bind_int(q, 1, r->since);
    while ((e = stmt_step(q)) > 0) {
        if (r->n_escalations == REPORT_ESCALATIONS_MAX)
            continue;
        struct report_escalation *n = &r->escalations[r->n_escalations++];
        *n = (struct report_escalation){.id = col_int(q, 0),
                                        .state = col_int(q, 1),
                                        .created_at = col_int(q, 2),
                                        .answered_at = col_int(q, 3),
                                        .nags = col_int(q, 4),
                                        .incident_id = col_int(q, 5)};
        FIT(q, 6, n->title);
        FIT(q, 7, n->severity);
        FIT(q, 8, n->by);
    }
    return e;
}

static int read_answers(struct store *s, struct report *r)
{
    struct stmt *q =
        store_sql(s, "SELECT count(*), count(answered_at), sum(answered_at IS NULL AND state < 3),"
                     " max(answered_at - created_at) FROM slack_escalation WHERE created_at >= ?");
    bind_int(q, 1, r->since);
    int e = stmt_step(q);
    if (e > 0) {
        r->escalations_total = col_int(q, 0);
        r->answered = col_int(q, 1);
        r->unanswered = col_int(q, 2);
        r->answer_worst_ms = col_int(q, 3);
    }
    stmt_reset(q);
    q = store_sql(s, "SELECT answered_at - created_at FROM slack_escalation WHERE created_at >= ?1"
                     " AND answered_at IS NOT NULL ORDER BY 1 LIMIT 1 OFFSET ?2");
    bind_int(q, 1, r->since);
    bind_int(q, 2, (r->answered - 1) / 2);
    if (e >= 0 && r->answered)
        e = stmt_step(q);
    if (e > 0)
        r->answer_ms = col_int(q, 0);
    stmt_reset(q);
    return e < 0 ? e : 0;
}

// ---- saved and spent ----

static int ask(struct stmt *q, int64_t since, int64_t *ret_a, int64_t *ret_b)
{
    bind_int(q, 1, since);
    int e = stmt_step(q);
    if (e > 0) {
        *ret_a = col_int(q, 0);
        *ret_b = col_int(q, 1);
    }
    stmt_reset(q);
    return e < 0 ? e : 0;
}

static int read_effort(struct store *s, struct report *r)
{
    int64_t paged_for_nothing = 0, asked_for_nothing = 0, none;
    int e = ask(store_sql(s, "SELECT count(*), sum(coalesce(verdict, 0) IN (1, 2)) FROM incident"
                             " WHERE opened_at >= ? AND paged_at IS NOT NULL AND kind <> 1"),
                r->since, &r->paged, &paged_for_nothing);
    if (e == 0)
        e = ask(store_sql(s, "SELECT count(DISTINCT i.id), 0 FROM slack_escalation e JOIN incident"
                             " i ON i.id = e.incident_id WHERE e.created_at >= ?1 AND i.opened_at"
                             " >= ?1 AND i.verdict IN (1, 2) AND i.paged_at IS NULL AND"
                             " i.kind <> 1"),
                r->since, &asked_for_nothing, &none);
    if (e == 0)
        e = ask(store_sql(s, "SELECT sum(events), sum(bytes) FROM push_day WHERE day >= ?"),
                r->since / DAY_MS, &r->events, &r->bytes);
    r->spared = r->counts.noise + r->counts.auto_fixed - paged_for_nothing - asked_for_nothing;
    return e;
}

// ---- all ----

static int read_all(struct store *s, struct report *r)
{
    make_bars(r);
    int e = read_counts(s, r);
    if (e == 0)
        e = stats_read(s, r->since, &r->stats);
    if (e == 0)
        e = read_before(s, r);
    if (e == 0)
        e = read_paces(s, r, false);
    if (e == 0)
        e = read_paces(s, r, true);
    if (e == 0)
        e = read_real(s, r);
    if (e == 0)
        e = read_escalations(s, r);
    if (e == 0)
        e = read_answers(s, r);
    return e == 0 ? read_effort(s, r) : e;
}

int report_read(struct store *s, int64_t days, int64_t now, struct report *ret)
{
    int64_t since = now - days * DAY_MS;
    *ret = (struct report){.days = days, .now = now, .since = since > 0 ? since : 0};
    int e = report_read_proposals(s, ret);
    if (e == 0) // one snapshot, so that the numbers add up while others write
        e = stmt_run(store_sql(s, "SAVEPOINT report"));
    if (e < 0)
        return e;
    e = read_all(s, ret);
    int end = stmt_run(store_sql(s, "RELEASE report"));
    return e < 0 ? e : end;
}
