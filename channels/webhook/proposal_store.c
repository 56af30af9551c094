#include "channels/webhook/proposal_store.h"

#include <errno.h>
#include <stdio.h>

#include "channels/webhook/noise.h"
#include "channels/webhook/trail.h"
#include "common/clock.h"

#define DAY_MS (24ll * 3600 * 1000)
#define BEFORE_DAYS 28 // what a change is measured against
#define MIN_AFTER_DAYS 3
#define SHOWN_DAYS 90

int proposal_applied_at(struct store *s, const char *unit, int64_t *ret_at)
{
    struct stmt *q =
        store_sql(s, "SELECT max(decided_at) FROM proposal WHERE unit = ? AND decision = 3");
    bind_text(q, 1, unit);
    int r = stmt_step(q);
    if (r > 0)
        *ret_at = col_int(q, 0);
    stmt_reset(q);
    return r < 0 ? r : 0;
}

// ---- counting what a row is about ----

struct about {
    int64_t scope, problem_id;
    const char *alertname, *cluster, *family; // borrowed
};

// Incidents in [from, to), all or only those that were noise; *ret_first is when the first of all
// opened.
static int count_incidents(struct store *s, const struct about *a, int64_t from, int64_t to,
                           bool noise, int64_t *ret_n, int64_t *ret_first)
{
    struct stmt *q = store_sql(
        s, "SELECT count(*), min(opened_at) FROM incident WHERE opened_at >= ?1 AND opened_at < ?2 "
           "AND kind = 0"
           " AND (?3 = 0 OR verdict = 1) AND problem_id IN (SELECT id FROM problem WHERE alertname "
           "= ?4"
           " AND CASE ?5 WHEN 0 THEN id = ?6 WHEN 1 THEN cluster = ?7 AND family = ?8 ELSE 1 END)");
    bind_int(q, 1, from);
    bind_int(q, 2, to);
    bind_int(q, 3, noise);
    bind_text(q, 4, a->alertname);
    bind_int(q, 5, a->scope);
    bind_int(q, 6, a->problem_id);
    bind_text(q, 7, a->cluster);
    bind_text(q, 8, a->family);
    int r = stmt_step(q);
    if (r > 0) {
        *ret_n = col_int(q, 0);
        *ret_first = col_int(q, 1);
    }
    stmt_reset(q);
    return r < 0 ? r : 0;
}

// ---- saving ----

static int insert(struct store *s, struct proposal_draft *d, int64_t now)
{
    struct stmt *q = store_sql(s, "INSERT INTO proposal(kind, unit, scope, problem_id, alertname, "
                                  "cluster, family, created_at, noise, title, body, text)"
                                  " VALUES(?, ?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?)");
    bind_int(q, 1, d->kind);
    bind_text(q, 2, d->unit);
    bind_int(q, 3, d->scope);
    bind_int(q, 4, d->problem_id);
    bind_text(q, 5, d->alertname);
    bind_text(q, 6, d->cluster);
    bind_text(q, 7, d->family);
    bind_int(q, 8, now);
    bind_int(q, 9, d->noise);
    bind_text(q, 10, d->title);
    bind_text(q, 11, d->body);
    bind_text(q, 12, d->text);
    int r = stmt_run(q);
    if (r == 0)
        d->id = store_last_id(s);
    return r;
}

static int update(struct store *s, const struct proposal_draft *d)
{
    struct stmt *q = store_sql(
        s, "UPDATE proposal SET noise = ?2, title = ?3, body = ?4, text = ?5 WHERE id = ?1");
    bind_int(q, 1, d->id);
    bind_int(q, 2, d->noise);
    bind_text(q, 3, d->title);
    bind_text(q, 4, d->body);
    bind_text(q, 5, d->text);
    return stmt_run(q);
}

// A no to one change of a rule is a no to the next one too, until there is as much noise again as
// it rested on. 1 = it holds.
static int no_holds(struct store *s, const struct proposal_draft *d, int64_t now)
{
    struct stmt *q = store_sql(s, "SELECT decided_at, noise FROM proposal WHERE unit = ? AND (kind "
                                  "= 0) = ? AND decision = 2 ORDER BY decided_at DESC LIMIT 1");
    bind_text(q, 1, d->unit);
    bind_int(q, 2, d->kind == PROPOSAL_KNOWN_NOISE);
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    int64_t decided_at = col_int(q, 0), noise = col_int(q, 1), since = 0, first;
    stmt_reset(q);
    struct about a = {d->scope, d->problem_id, d->alertname, d->cluster, d->family};
    r = count_incidents(s, &a, decided_at, now + 1, true, &since, &first);
    return r < 0 ? r : since < noise;
}

// The row that still speaks for the draft: open, or accepted and not yet applied. 1 = found.
static int find_row(struct store *s, struct proposal_draft *d, int64_t now, bool *ret_open)
{
    struct stmt *q = store_sql(
        s, "SELECT id, decision FROM proposal WHERE unit = ?1 AND kind = ?2 AND (decision = 0 OR "
           "(decision = 1"
           " AND (kind <> 0 OR decided_at >= ?3))) ORDER BY decision DESC, id DESC LIMIT 1");
    bind_text(q, 1, d->unit);
    bind_int(q, 2, d->kind);
    bind_int(q, 3, now - NOISE_DAYS * DAY_MS);
    int r = stmt_step(q);
    if (r > 0) {
        d->id = col_int(q, 0);
        *ret_open = col_int(q, 1) == DECISION_OPEN;
    }
    stmt_reset(q);
    return r;
}

int proposal_save(struct store *s, struct proposal_draft *d, int64_t now)
{
    bool open = false;
    d->id = 0;
    int r = no_holds(s, d, now);
    if (r != 0)
        return r < 0 ? r : 0;
    r = find_row(s, d, now, &open);
    if (r == 0)
        return insert(s, d, now);
    return r > 0 && open ? update(s, d) : r < 0 ? r : 0;
}

// ---- deciding ----

int proposal_decide(struct store *s, int64_t id, enum proposal_decision decision, const char *by,
                    const char *note, int64_t now)
{
    struct buf detail = BUF_INIT(8192);
    struct stmt *q = store_sql(s, "SELECT kind, title FROM proposal WHERE id = ?");
    bind_int(q, 1, id);
    int r = stmt_step(q);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    bool known_noise = col_int(q, 0) == PROPOSAL_KNOWN_NOISE;
    buf_addf(&detail, "#%lld %s: %s%s%s", (long long)id, proposal_decision_name(decision),
             col_text(q, 1), note[0] ? "; " : "", note);
    stmt_reset(q);
    if (known_noise && decision == DECISION_APPLIED)
        r = -EINVAL;
    else
        r = detail.error;
    q = store_sql(s, "UPDATE proposal SET decision = ?2, decided_at = ?3, decided_by = ?4, note = "
                     "?5 WHERE id = ?1");
    bind_int(q, 1, id);
    bind_int(q, 2, decision);
    bind_int(q, 3, now);
    bind_text(q, 4, by);
    bind_text(q, 5, note);
    if (r == 0)
        r = stmt_run(q);
    if (r == 0)
        r = trail_add(s, 0, by, "proposal", buf_cstr(&detail), now);
    buf_done(&detail);
    return r;
}

// ---- writing ----

struct measure {
    double before, after, days; // firings a week; days since
    bool known;                 // there was time enough
};

static int measure(struct store *s, const struct about *a, int64_t applied_at, int64_t now,
                   struct measure *ret)
{
    int64_t before = 0, after = 0, first = 0, ignored;
    int r = count_incidents(s, a, applied_at - BEFORE_DAYS * DAY_MS, applied_at, false, &before,
                            &first);
    if (r == 0)
        r = count_incidents(s, a, applied_at, now + 1, false, &after, &ignored);
    if (r < 0)
        return r;
    double span = before ? (double)(applied_at - first) / DAY_MS : 1;
    double days = (double)(now - applied_at) / DAY_MS;
    *ret = (struct measure){.before = (double)before * 7 / (span < 1 ? 1 : span),
                            .after = (double)after * 7 / (days < 1 ? 1 : days),
                            .days = days,
                            .known = days >= MIN_AFTER_DAYS};
    return 0;
}

static double tenths(double v)
{
    return (double)(int64_t)(v * 10 + 0.5) / 10;
}

static void write_measure(const struct measure *m, struct jw *w, struct buf *text)
{
    bool helped = m->after * 2 <= m->before;
    jw_key(w, "measured");
    jw_object(w);
    jw_key(w, "firings_per_week_before");
    jw_num(w, tenths(m->before));
    jw_key(w, "firings_per_week_after");
    jw_num(w, tenths(m->after));
    jw_key(w, "days_after");
    jw_num(w, tenths(m->days));
    jw_key(w, "helped");
    if (m->known)
        jw_bool(w, helped);
    else
        jw_null(w);
    jw_object_end(w);
    buf_addf(text, "  since it was applied, %.1f days: %.1f firings a week, before %.1f: %s\n",
             m->days, m->after, m->before,
             !m->known ? "too early to say"
             : helped  ? "it helped"
                       : "it did not help");
}

static int write_decision(struct store *s, struct stmt *q, int64_t now, struct jw *w,
                          struct buf *text)
{
    int64_t decision = col_int(q, 3), at = col_int(q, 4);
    char when[RFC3339_SIZE];
    jw_kstr(w, "decision", proposal_decision_name(decision));
    jw_ktime(w, "decided_at", at);
    jw_kstr(w, "decided_by", col_is_null(q, 5) ? NULL : col_text(q, 5));
    jw_kstr(w, "note", col_text(q, 6)[0] ? col_text(q, 6) : NULL);
    if (decision != DECISION_OPEN)
        buf_addf(text, "  %s %s by the %s%s%s\n", proposal_decision_name(decision),
                 rfc3339_format(at / 1000 * 1000, when), col_text(q, 5),
                 col_text(q, 6)[0] ? ": " : "", col_text(q, 6));
    if (decision != DECISION_APPLIED)
        return 0;
    struct measure m;
    struct about a = {col_int(q, 7), col_int(q, 8), col_text(q, 9), col_text(q, 10),
                      col_text(q, 11)};
    int r = measure(s, &a, at, now, &m);
    if (r == 0)
        write_measure(&m, w, text);
    return r;
}

int proposal_write(struct store *s, int64_t id, int64_t now, struct jw *w, struct buf *text)
{
    struct stmt *q = store_sql(s, "SELECT body, text, created_at, decision, decided_at, "
                                  "decided_by, note, scope, problem_id, alertname, cluster, family"
                                  " FROM proposal WHERE id = ?");
    bind_int(q, 1, id);
    int r = stmt_step(q);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    jw_object(w);
    jw_kint(w, "proposal_id", id);
    buf_addf(text, "#%lld ", (long long)id);
    buf_adds(text, col_text(q, 1));
    jw_ktime(w, "proposed_at", col_int(q, 2));
    r = write_decision(s, q, now, w, text);
    buf_addc(w->out, ',');
    buf_adds(w->out, col_text(q, 0)); // members, made by the same writer
    jw_object_end(w);
    stmt_reset(q);
    return r;
}

int proposal_next_decided(struct store *s, int64_t before, int64_t now, int64_t *ret_id)
{
    struct stmt *q = store_sql(s, "SELECT id FROM proposal WHERE id < ? AND (decision = 3 OR "
                                  "(decision = 1 AND (kind <> 0 OR decided_at >= ?)))"
                                  " AND decided_at >= ? ORDER BY id DESC LIMIT 1");
    bind_int(q, 1, before);
    bind_int(q, 2, now - NOISE_DAYS * DAY_MS);
    bind_int(q, 3, now - SHOWN_DAYS * DAY_MS);
    int r = stmt_step(q);
    *ret_id = r > 0 ? col_int(q, 0) : 0;
    stmt_reset(q);
    return r < 0 ? r : 0;
}
