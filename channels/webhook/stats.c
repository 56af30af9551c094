#include "channels/webhook/stats.h"

#include <stdlib.h>

#include "channels/webhook/key_counts.h"
#include "common/text.h"

#define CANDIDATES_MAX 24
#define PROBLEMS_OF_A_RULE "2000" // the first day of others is left out of what a rule had

#define HOUR_MS (3600ll * 1000)

enum pace_kind {
    PACE_TAKEN,
    PACE_VERDICT,
    PACE_MENDED,
    PACE_REVERSED
}; // stored: see common/schema.c

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

static int read_pace(struct store *s, enum pace_kind what, int64_t since, struct pace *ret)
{
    struct stmt *q = store_sql(s, "SELECT sum(n), sum(ms) FROM pace WHERE what = ? AND hour >= ?");
    bind_int(q, 1, what);
    bind_int(q, 2, since / HOUR_MS);
    int r = stmt_step(q);
    int64_t n = r > 0 ? col_int(q, 0) : 0;
    *ret = (struct pace){.n = n, .ms = n > 0 ? col_int(q, 1) / n : 0};
    stmt_reset(q);
    return r < 0 ? r : 0;
}

int stats_read(struct store *s, int64_t since, struct stats *ret_stats)
{
    struct stats t = {0};
    struct pace reversed;
    int r = read_pace(s, PACE_TAKEN, since, &t.taken);
    if (r == 0)
        r = read_pace(s, PACE_VERDICT, since, &t.verdict);
    if (r == 0)
        r = read_pace(s, PACE_MENDED, since, &t.mended);
    if (r == 0)
        r = read_pace(s, PACE_REVERSED, since, &reversed);
    if (r < 0)
        return r;
    t.reversed = reversed.n;
    *ret_stats = t;
    return 0;
}

// ---- by rule ----

struct candidate {
    const char *alertname; // borrowed
    struct rule_stats stats;
};

// By whole days; the one that the window cuts counts as a whole for being looked at.
static int read_keys(struct store *s, const struct tally_window *w, struct key_counts *keys)
{
    int r;
    struct stmt *q = store_sql(s, "SELECT key, none + noise + auto_fixed + escalated + real + "
                                  "unsure FROM tally INDEXED BY tally_rule WHERE kind = 3"
                                  " AND day >= ? - 1");
    bind_int(q, 1, w->first_day);
    while ((r = stmt_step(q)) > 0 && (r = key_counts_add(keys, col_text(q, 0), col_int(q, 1))) == 0)
        ;
    stmt_reset(q);
    return r;
}

static int read_days(struct store *s, const struct tally_window *w, struct candidate *c)
{
    struct tally t = {0};
    int r = tally_rule_days(s, c->alertname, w, &t);
    c->stats =
        (struct rule_stats){.incidents = tally_total(&t), .noise = t.noise, .real = tally_true(&t)};
    return r;
}

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

static int read_candidates(struct store *s, const struct tally_window *w,
                           const struct tally_edge *edge, struct candidate *found, size_t n)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = read_days(s, w, &found[i]);
        if (r == 0 && edge->n)
            r = add_edge(s, edge, &found[i]);
    }
    if (r == 0)
        qsort(found, n, sizeof *found, by_incidents);
    return r;
}

int stats_rules(struct store *s, const struct tally_window *w, const struct tally_edge *edge,
                struct rule_stats rules[RULE_STATS_MAX], int *ret_n)
{
    struct key_counts keys = {0};
    struct key_count top[CANDIDATES_MAX];
    struct candidate found[CANDIDATES_MAX];
    int shown = 0;
    int r = read_keys(s, w, &keys);
    size_t n = r == 0 ? key_counts_top(&keys, CANDIDATES_MAX, top) : 0;
    for (size_t i = 0; i < n; i++)
        found[i].alertname = top[i].key;
    if (r == 0)
        r = read_candidates(s, w, edge, found, n);
    for (size_t i = 0; r == 0 && i < n && shown < RULE_STATS_MAX; i++) {
        if (!found[i].stats.incidents)
            continue;
        rules[shown] = found[i].stats;
        text_fit(found[i].alertname, sizeof rules->alertname, rules[shown++].alertname);
    }
    key_counts_done(&keys);
    *ret_n = shown;
    return r;
}
