#include "channels/webhook/recall.h"

#include <errno.h>
#include <stdio.h>

#include "channels/webhook/incident_json.h"
#include "channels/webhook/stats.h"
#include "common/clock.h"
#include "common/text.h"

#define DAY_MS (24ll * 3600 * 1000)
#define PROBLEMS_MAX 1000 // looked at one by one
#define SIMILAR_BYTES (3 * 1024)
#define LINE_ROOM 2048 // the longest line of the text form, and the note of what is missing

static bool is_given(const char *name)
{
    return name && name[0];
}

static int64_t since_of(const struct recall_query *q)
{
    return q->now - q->days * DAY_MS;
}

// ---- which problems ----

// One statement for each way in, so that each has its index. ?1 alertname, ?2 service, ?3 cluster,
// ?4 namespace.
#define OTHERS                                                                                     \
    " AND (?1 IS NULL OR alertname = ?1) AND (?2 IS NULL OR service = ?2) AND (?3 IS NULL OR "     \
    "cluster = ?3)"                                                                                \
    " AND (?4 IS NULL OR namespace = ?4) LIMIT ?5"

static const char *problems_sql(const struct recall_query *q)
{
    bool service = is_given(q->service), rule = is_given(q->alertname),
         cluster = is_given(q->cluster);
    if (service && rule)
        return "SELECT id FROM problem WHERE service = ?2 AND alertname = ?1" OTHERS;
    if (service)
        return "SELECT id FROM problem WHERE service = ?2" OTHERS;
    if (rule && cluster)
        return "SELECT id FROM problem WHERE alertname = ?1 AND cluster = ?3" OTHERS;
    if (rule)
        return "SELECT id FROM problem WHERE alertname = ?1" OTHERS;
    if (is_given(q->namespace))
        return "SELECT id FROM problem WHERE namespace = ?4" OTHERS;
    return "SELECT id FROM problem WHERE cluster = ?3" OTHERS;
}

static void bind_names(struct stmt *q, const struct recall_query *a)
{
    const char *const names[] = {a->alertname, a->service, a->cluster, a->namespace};
    for (int i = 0; i < (int)ARRAY_LEN(names); i++)
        if (is_given(names[i]))
            bind_text(q, i + 1, names[i]);
}

struct problems {
    int64_t ids[PROBLEMS_MAX];
    int n;
    bool some; // there are more
};

static int find_problems(struct store *s, const struct recall_query *a, struct problems *p)
{
    int r;
    struct stmt *q = store_sql(s, problems_sql(a));
    bind_names(q, a);
    bind_int(q, 5, PROBLEMS_MAX + 1);
    p->n = 0;
    p->some = false;
    while ((r = stmt_step(q)) > 0) {
        if (p->n < PROBLEMS_MAX)
            p->ids[p->n++] = col_int(q, 0);
        else
            p->some = true;
    }
    return r;
}

// ---- the latest incidents ----

struct latest {
    int64_t at[RECALL_INCIDENTS_MAX];
    int64_t *ids;
    int n, limit;
};

static void keep(struct latest *l, int64_t id, int64_t at)
{
    int i = l->n < l->limit ? l->n++ : l->limit - 1;
    for (; i > 0 && l->at[i - 1] < at; i--) {
        l->at[i] = l->at[i - 1];
        l->ids[i] = l->ids[i - 1];
    }
    l->at[i] = at;
    l->ids[i] = id;
}

static int latest_of_problem(struct store *s, int64_t problem_id, int64_t but_id, int64_t since,
                             struct latest *l)
{
    int r;
    if (l->n == l->limit && l->at[l->n - 1] >= since)
        since = l->at[l->n - 1] + 1; // older ones would not be kept
    struct stmt *q = store_sql(s, "SELECT id, opened_at FROM incident WHERE problem_id = ? AND "
                                  "opened_at >= ? AND kind <> 1 AND id <> ?"
                                  " ORDER BY opened_at DESC, id DESC LIMIT ?");
    bind_int(q, 1, problem_id);
    bind_int(q, 2, since);
    bind_int(q, 3, but_id);
    bind_int(q, 4, l->limit);
    while ((r = stmt_step(q)) > 0)
        keep(l, col_int(q, 0), col_int(q, 1));
    return r;
}

// Of more problems than can be asked one by one: among the latest incidents of all.
static int latest_of_all(struct store *s, const struct recall_query *a, struct latest *l)
{
    int r;
    bool any = !is_given(a->alertname) && !is_given(a->service) && !is_given(a->cluster) &&
               !is_given(a->namespace);
    struct stmt *q =
        any ? store_sql(s, "SELECT id, opened_at FROM incident WHERE opened_at >= ?6 AND kind <> 1 "
                           "ORDER BY opened_at DESC, id DESC LIMIT ?5")
            : store_sql(s, "SELECT i.id, i.opened_at FROM (SELECT id, opened_at, problem_id FROM "
                           "incident WHERE opened_at >= ?6 AND kind <> 1"
                           "  ORDER BY opened_at DESC, id DESC LIMIT 5000) i CROSS JOIN problem p "
                           "ON p.id = i.problem_id WHERE 1" OTHERS);
    bind_names(q, a);
    bind_int(q, 5, l->limit);
    bind_int(q, 6, since_of(a));
    while ((r = stmt_step(q)) > 0)
        if (l->n < l->limit)
            keep(l, col_int(q, 0), col_int(q, 1));
    return r;
}

// ---- reading ----

static int read_one(struct store *s, int64_t problem_id, struct recall *r)
{
    int64_t since = since_of(&r->asked);
    struct latest l = {.ids = r->ids, .limit = r->asked.limit};
    int e = tally_problem(s, problem_id, since, &r->counts);
    if (e == 0)
        e = latest_of_problem(s, problem_id, r->asked.incident_id, since, &l);
    r->n = l.n;
    return e < 0 ? e
                 : history_similar(s, problem_id, since, RECALL_SIMILAR_MAX, r->similar,
                                   &r->n_similar);
}

static int read_incident(struct store *s, struct recall *r)
{
    struct stmt *q = store_sql(s, "SELECT problem_id, verdict, flaps, opened_at >= ?2 AND kind <> "
                                  "1 FROM incident WHERE id = ?1");
    bind_int(q, 1, r->asked.incident_id);
    bind_int(q, 2, since_of(&r->asked));
    int e = stmt_step(q);
    if (e <= 0)
        return e < 0 ? e : -ENOENT;
    int64_t problem_id = col_int(q, 0), verdict = col_int(q, 1), flaps = col_int(q, 2);
    bool counted = col_int(q, 3) != 0;
    stmt_reset(q);
    r->problems = 1;
    e = read_one(s, problem_id, r);
    if (e == 0 && counted)
        tally_but(&r->counts, verdict, flaps);
    return e;
}

static int read_problems(struct store *s, const struct problems *p, struct recall *r)
{
    struct latest l = {.ids = r->ids, .limit = r->asked.limit};
    int e = 0;
    // A rule has a count of its own.
    bool rule = is_given(r->asked.alertname) && !is_given(r->asked.service) &&
                !is_given(r->asked.cluster) && !is_given(r->asked.namespace);
    if (rule)
        e = tally_rule(s, r->asked.alertname, since_of(&r->asked), &r->counts);
    for (int i = 0; !rule && e == 0 && i < p->n; i++)
        e = tally_problem(s, p->ids[i], since_of(&r->asked), &r->counts);
    for (int i = 0; !p->some && e == 0 && i < p->n; i++)
        e = latest_of_problem(s, p->ids[i], 0, since_of(&r->asked), &l);
    if (p->some && e == 0)
        e = latest_of_all(s, &r->asked, &l);
    r->some = p->some && !rule;
    r->n = l.n;
    return e;
}

static int read_named(struct store *s, struct recall *r)
{
    struct problems p;
    const struct recall_query *a = &r->asked;
    if (!is_given(a->alertname) && !is_given(a->service) && !is_given(a->cluster) &&
        !is_given(a->namespace)) {
        struct latest l = {.ids = r->ids, .limit = a->limit};
        int e = tally_all(s, since_of(a), &r->counts);
        if (e == 0)
            e = latest_of_all(s, a, &l);
        r->n = l.n;
        return e;
    }
    int e = find_problems(s, a, &p);
    if (e < 0)
        return e;
    r->problems = p.n;
    return p.n == 1 ? read_one(s, p.ids[0], r) : read_problems(s, &p, r);
}

int recall_read(struct store *s, const struct recall_query *query, struct recall *ret)
{
    *ret = (struct recall){.asked = *query};
    int r = stmt_run(store_sql(s, "SAVEPOINT recall"));
    if (r < 0)
        return r;
    r = query->incident_id ? read_incident(s, ret) : read_named(s, ret);
    int end = stmt_run(store_sql(s, "RELEASE recall"));
    return r < 0 ? r : end;
}

// ---- in words ----

static void counts_line(const struct recall *r, struct buf *out)
{
    const struct tally *t = &r->counts;
    const struct {
        const char *name;
        int64_t n;
    } parts[] = {{"noise", t->noise},         {"auto_fixed", t->auto_fixed},
                 {"escalated", t->escalated}, {"real", t->real},
                 {"unsure", t->unsure},       {"without a verdict", t->none}};
    int64_t total = tally_total(t);
    int shown = 0;
    if (!total) {
        buf_addf(out, "%s in the last %lld days\n",
                 r->asked.incident_id ? "not seen before" : "not seen", (long long)r->asked.days);
        return;
    }
    buf_addf(out, "%lldx%s in the last %lld days:", (long long)total,
             r->asked.incident_id ? " before" : "", (long long)r->asked.days);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i].n)
            buf_addf(out, "%s %lld %s", shown++ ? "," : "", (long long)parts[i].n, parts[i].name);
    if (t->flaps)
        buf_addf(out, "; flapped %lldx", (long long)t->flaps);
    if (r->problems > 1)
        buf_addf(out, "; %s%lld problems fit", r->some ? "more than " : "", (long long)r->problems);
    if (r->some)
        buf_adds(out, ", counted are these: name more");
    buf_addc(out, '\n');
}

static int last_words(struct store *s, int64_t incident_id, struct buf *out)
{
    static const char *const before[] = {": ", "; cause: ", "; done: "};
    char by[64], text[240];
    struct stmt *q = store_sql(s, "SELECT summary, root_cause, action, by FROM verdict WHERE "
                                  "incident_id = ? ORDER BY id DESC LIMIT 1");
    bind_int(q, 1, incident_id);
    int r = stmt_step(q);
    for (int i = 0; r > 0 && i < (int)ARRAY_LEN(before); i++) {
        text_fit(col_text(q, i), sizeof text, text);
        if (text[0])
            buf_addf(out, "%s%s", before[i], text);
    }
    if (r > 0) {
        text_fit(col_text(q, 3), sizeof by, by);
        buf_addf(out, " (by %s)", by);
    }
    stmt_reset(q);
    return r < 0 ? r : 0;
}

static int incident_line(struct store *s, const struct recall *r, int64_t id, struct buf *out)
{
    struct incident_view v;
    char at[RFC3339_SIZE], lasted[DURATION_SIZE];
    int e = incident_view_load(s, id, &v);
    if (e < 0)
        return e == -ENOENT ? 0 : e;
    buf_addf(out, "- #%lld %s ", (long long)id, rfc3339_format(v.opened_at / 1000 * 1000, at));
    if (r->problems != 1 && !r->asked.incident_id) {
        incident_view_title(&v, out);
        buf_adds(out, ", ");
    }
    buf_addf(out, "%s %s, ", v.closed_at ? "lasted" : "firing for",
             duration_format((v.closed_at ? v.closed_at : r->asked.now) - v.opened_at, lasted));
    buf_adds(out, v.verdict ? verdict_name(v.verdict) : "no verdict");
    e = v.verdict ? last_words(s, id, out) : 0;
    buf_addc(out, '\n');
    incident_view_done(&v);
    return e;
}

static int names_of(struct store *s, int64_t problem_id, struct incident_view *v)
{
    // The title of an incident needs only the names; the caller ends it with stmt_reset, through
    // the next use of the statement.
    struct stmt *q =
        store_sql(s, "SELECT alertname, service, cluster, namespace FROM problem WHERE id = ?");
    bind_int(q, 1, problem_id);
    int r = stmt_step(q);
    *v = (struct incident_view){.alertname = r > 0 ? col_text(q, 0) : "",
                                .service = r > 0 ? col_text(q, 1) : "",
                                .cluster = r > 0 ? col_text(q, 2) : "",
                                .namespace = r > 0 ? col_text(q, 3) : ""};
    return r < 0 ? r : 0;
}

static int similar_line(struct store *s, const struct similar *o, struct buf *out)
{
    struct incident_view v;
    char at[RFC3339_SIZE];
    int r = names_of(s, o->problem_id, &v);
    buf_adds(out, "also ");
    incident_view_title(&v, out);
    buf_addf(out, ": %lldx, %lld noise, latest %s", (long long)o->seen, (long long)o->noise,
             rfc3339_format(o->last_at / 1000 * 1000, at));
    if (r == 0 && o->last_verdict) {
        buf_addf(out, "; last verdict #%lld %s", (long long)o->last_id,
                 verdict_name(o->last_verdict));
        r = last_words(s, o->last_id, out);
    }
    buf_addc(out, '\n');
    return r;
}

int recall_text(struct store *s, const struct recall *r, struct buf *out)
{
    int e = 0, shown = 0, all = r->n + r->n_similar;
    counts_line(r, out);
    for (; e == 0 && shown < all && out->len + LINE_ROOM < out->max; shown++)
        e = shown < r->n ? incident_line(s, r, r->ids[shown], out)
                         : similar_line(s, &r->similar[shown - r->n], out);
    if (shown < all)
        buf_addf(out, "... %d more lines left out: ask for less, or get_incident\n", all - shown);
    return e < 0 ? e : out->error;
}

// ---- as JSON ----

static void counts_json(const struct recall *r, struct jw *w)
{
    const struct tally *t = &r->counts;
    jw_kint(w, "days", r->asked.days);
    jw_kint(w, "seen", tally_total(t));
    jw_kint(w, "noise", t->noise);
    jw_kint(w, "real", tally_true(t));
    jw_kint(w, "auto_fixed", t->auto_fixed);
    jw_kint(w, "escalated", t->escalated);
    jw_kint(w, "undecided", tally_undecided(t));
    jw_kint(w, "flaps", t->flaps);
    jw_kint(w, "problems", r->problems);
    jw_kbool(w, "problems_left_out", r->some);
}

// One incident, unless it would go beyond max_bytes: 1 = written, 0 = no room.
static int incident_json_within(struct store *s, int64_t id, size_t max_bytes, struct jw *w)
{
    struct incident_view v;
    struct jw before = *w;
    size_t len = w->out->len;
    int e = incident_view_load(s, id, &v);
    if (e < 0)
        return e == -ENOENT ? 0 : e;
    jw_object(w);
    e = incident_json_scalars(w, s, &v);
    jw_object_end(w);
    incident_view_done(&v);
    if (e < 0 || w->out->len <= max_bytes)
        return e < 0 ? e : 1;
    *w = before;
    buf_truncate(w->out, len);
    return 0;
}

static int incidents_json(struct store *s, const struct recall *r, size_t max_bytes, struct jw *w)
{
    int e = 1, shown = 0;
    jw_key(w, "incidents");
    jw_array(w);
    for (int i = 0; e > 0 && i < r->n; i++) {
        e = incident_json_within(s, r->ids[i], max_bytes, w);
        shown += e > 0;
    }
    jw_array_end(w);
    jw_kint(w, "incidents_left_out",
            tally_total(&r->counts) > shown ? tally_total(&r->counts) - shown : 0);
    return e < 0 ? e : 0;
}

// Cut: the similar ones are a hint, get_incident has their words.
static void said_json(struct jw *w, const char *key, const char *text)
{
    char cut[240];
    text_fit(text, sizeof cut, cut);
    jw_kstr(w, key, cut[0] ? cut : NULL);
}

static int similar_json(struct store *s, const struct similar *o, struct jw *w)
{
    struct incident_view v;
    int r = names_of(s, o->problem_id, &v);
    if (r < 0)
        return r;
    jw_object(w);
    jw_kstr(w, "alertname", v.alertname);
    jw_kstr(w, "service", v.service);
    jw_kstr(w, "cluster", v.cluster);
    jw_kstr(w, "namespace", v.namespace);
    jw_kint(w, "seen", o->seen);
    jw_kint(w, "noise", o->noise);
    jw_ktime(w, "last_opened_at", o->last_at);
    jw_kstr(w, "last_verdict", verdict_name(o->last_verdict));
    struct stmt *q = store_sql(s, "SELECT summary, root_cause, action FROM verdict WHERE "
                                  "incident_id = ? ORDER BY id DESC LIMIT 1");
    bind_int(q, 1, o->last_id);
    r = stmt_step(q);
    jw_key(w, "last_incident_id");
    if (o->last_id)
        jw_int(w, o->last_id);
    else
        jw_null(w);
    said_json(w, "summary", r > 0 ? col_text(q, 0) : "");
    said_json(w, "root_cause", r > 0 ? col_text(q, 1) : "");
    said_json(w, "action", r > 0 ? col_text(q, 2) : "");
    jw_object_end(w);
    stmt_reset(q);
    return r < 0 ? r : 0;
}

int recall_json(struct store *s, const struct recall *r, size_t max_bytes, struct jw *w)
{
    counts_json(r, w);
    int e = incidents_json(s, r, max_bytes, w);
    jw_key(w, "similar");
    jw_array(w);
    for (int i = 0; e == 0 && i < r->n_similar && w->out->len < max_bytes + SIMILAR_BYTES; i++)
        e = similar_json(s, &r->similar[i], w);
    jw_array_end(w);
    return e < 0 ? e : w->out->error;
}
