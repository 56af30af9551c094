#include "channels/webhook/stats.h"

#include <stdlib.h>

#include "channels/webhook/tally_names.h"
#include "common/text.h"

#define CANDIDATES_MAX 24
#define PROBLEMS_OF_A_RULE "2000" // the first day of others is left out of what a rule had

#define HOUR_MS (3600ll * 1000)

void text_fit(const char *text, size_t size, char *out)
{
    struct buf clean = BUF_INIT(16 * 1024);
    text_clean(&clean, str_of(text), 8 * 1024, TEXT_ONE_LINE);
    struct str s = buf_str(&clean);
    bool cut = s.n >= size;
    if (cut)
        s.n = utf8_prefix(s, size - 4);
    memcpy(out, s.n ? s.p : "", s.n);
    memcpy(out + s.n, cut ? "..." : "", cut ? 4 : 1);
    buf_done(&clean);
}

// Of the incidents that opened in whole hours: their sum in ms.
static int read_pace(struct store *s, enum pace_kind what, int64_t first_hour, struct pace *ret)
{
    struct stmt *q = store_sql(s, "SELECT sum(n), sum(ms) FROM pace WHERE what = ? AND hour >= ?");
    bind_int(q, 1, what);
    bind_int(q, 2, first_hour);
    int r = stmt_step(q);
    *ret = (struct pace){.n = r > 0 ? col_int(q, 0) : 0, .ms = r > 0 ? col_int(q, 1) : 0};
    stmt_reset(q);
    return r < 0 ? r : 0;
}

// What the window cuts off its first hour is looked at one by one, by the rules of the schema's
// triggers: a verdict of the memory itself is no pace.
#define EARLIER "(SELECT max(id) FROM verdict WHERE incident_id = n.incident_id AND id < n.id)"
static const char edge_sql[] =
    "SELECT count(taken), sum(max(taken - opened, 0)), count(decided), sum(max(decided - opened, "
    "0)), count(mended), sum(max(mended - opened, 0)), sum(reversed) FROM ("
    " SELECT i.opened_at AS opened, CASE WHEN i.taken_at IS NOT NULL THEN coalesce((SELECT min(at)"
    "   FROM trail WHERE incident_id = i.id AND action = 'taken'), i.taken_at) END AS taken,"
    "  (SELECT CASE WHEN by <> 'memory' THEN at END FROM verdict WHERE incident_id = i.id"
    "   ORDER BY id LIMIT 1) AS decided,"
    "  CASE WHEN i.status = 1 AND i.verdict BETWEEN 2 AND 4 THEN i.closed_at END AS mended,"
    "  (SELECT count(*) FROM verdict n JOIN verdict o ON o.id = " EARLIER
    "   WHERE n.incident_id = i.id AND n.by <> 'memory' AND n.verdict < 5 AND o.verdict < 5"
    "   AND (n.verdict = 1) <> (o.verdict = 1)) AS reversed"
    " FROM incident i WHERE i.opened_at >= ?1 AND i.opened_at < ?2 AND i.kind <> 1)";

static int add_first_hour(struct store *s, int64_t since, int64_t end, struct pace paces[4])
{
    struct stmt *q = store_sql(s, edge_sql);
    bind_int(q, 1, since);
    bind_int(q, 2, end);
    int r = stmt_step(q);
    for (int i = 0; r > 0 && i < 4; i++) {
        paces[i].n += col_int(q, 2 * i);
        paces[i].ms += i == PACE_REVERSED ? 0 : col_int(q, 2 * i + 1);
    }
    stmt_reset(q);
    return r < 0 ? r : 0;
}

int stats_read(struct store *s, int64_t since, struct stats *ret_stats)
{
    static const enum pace_kind kinds[4] = {PACE_TAKEN, PACE_VERDICT, PACE_MENDED, PACE_REVERSED};
    int64_t first_hour = since > 0 ? (since + HOUR_MS - 1) / HOUR_MS : 0;
    struct pace paces[4]; // in the order of edge_sql
    int r = 0;
    for (int i = 0; r == 0 && i < 4; i++)
        r = read_pace(s, kinds[i], first_hour, &paces[i]);
    if (r == 0)
        r = add_first_hour(s, since, first_hour * HOUR_MS, paces);
    if (r < 0)
        return r;
    for (int i = 0; i < 4; i++)
        paces[i].ms = paces[i].n > 0 ? paces[i].ms / paces[i].n : 0;
    *ret_stats = (struct stats){
        .taken = paces[0], .verdict = paces[1], .mended = paces[2], .reversed = paces[3].n};
    return 0;
}

// ---- by rule ----

struct candidate {
    const char *alertname; // borrowed
    struct rule_stats stats;
};

// What the rule's problems had on the first day.
static int add_edge(struct store *s, const struct tally_edge *edge, struct candidate *c)
{
    int r;
    struct stmt *q =
        store_sql(s, "SELECT id FROM problem WHERE alertname = ? LIMIT " PROBLEMS_OF_A_RULE);
    bind_text(q, 1, c->alertname);
    while ((r = stmt_step(q)) > 0) {
        const struct tally *t = tally_edge_of(edge, col_int(q, 0));
        if (!t)
            continue;
        c->stats.incidents += tally_total(t);
        c->stats.noise += t->noise;
        c->stats.real += tally_true(t);
    }
    return r;
}

static int by_incidents(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->stats.incidents != y->stats.incidents)
        return x->stats.incidents < y->stats.incidents ? 1 : -1;
    return strcmp(x->alertname, y->alertname);
}

static int read_candidates(struct store *s, const struct tally_edge *edge,
                           const struct tally_name *const *top, struct candidate *found, size_t n)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct tally *t = &top[i]->days;
        found[i] = (struct candidate){
            .alertname = top[i]->name,
            .stats = {.incidents = tally_total(t), .noise = t->noise, .real = tally_true(t)}};
        if (edge->n)
            r = add_edge(s, edge, &found[i]);
    }
    if (r == 0)
        qsort(found, n, sizeof *found, by_incidents);
    return r;
}

int stats_rules(struct store *s, const struct tally_window *w, const struct tally_edge *edge,
                struct rule_stats rules[RULE_STATS_MAX], int *ret_n)
{
    struct tally_names names;
    const struct tally_name *top[CANDIDATES_MAX];
    struct candidate found[CANDIDATES_MAX] = {0};
    int shown = 0;
    int r = tally_names_of_rules(s, w, &names);
    size_t n = r == 0 ? tally_names_top(&names, CANDIDATES_MAX, top) : 0;
    if (r == 0)
        r = read_candidates(s, edge, top, found, n);
    for (size_t i = 0; r == 0 && i < n && shown < RULE_STATS_MAX; i++) {
        if (!found[i].stats.incidents)
            continue;
        rules[shown] = found[i].stats;
        text_fit(found[i].alertname, sizeof rules->alertname, rules[shown++].alertname);
    }
    tally_names_done(&names);
    *ret_n = shown;
    return r;
}
