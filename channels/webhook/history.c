#include "channels/webhook/history.h"

#include <stdlib.h>

#include "channels/webhook/tally.h"
#include "common/text.h"

#define SAID_MAX 160 // bytes of a summary or an action
#define ELSEWHERE_MAX 2

static int last_decided(struct store *s, int64_t problem_id, int64_t but_id, int64_t *ret_id,
                        enum verdict *ret_verdict)
{
    struct stmt *q = store_sql(
        s, "SELECT id, verdict FROM incident WHERE problem_id = ? AND id <> ? AND kind <> 1"
           " AND verdict IS NOT NULL ORDER BY opened_at DESC LIMIT 1");
    bind_int(q, 1, problem_id);
    bind_int(q, 2, but_id);
    int r = stmt_step(q);
    if (r > 0) {
        *ret_id = col_int(q, 0);
        *ret_verdict = (enum verdict)col_int(q, 1);
    }
    stmt_reset(q);
    return r < 0 ? r : 0;
}

// The incident at hand was counted if it opened in the window and is no test.
static int leave_out(struct store *s, int64_t id, int64_t problem_id, int64_t since,
                     struct tally *t)
{
    struct stmt *q = store_sql(s, "SELECT verdict, flaps FROM incident WHERE id = ? AND problem_id "
                                  "= ? AND opened_at >= ? AND kind <> 1");
    bind_int(q, 1, id);
    bind_int(q, 2, problem_id);
    bind_int(q, 3, since);
    int r = stmt_step(q);
    if (r > 0)
        tally_but(t, col_int(q, 0), col_int(q, 1));
    stmt_reset(q);
    return r < 0 ? r : 0;
}

int history_read(struct store *s, int64_t problem_id, int64_t but_id, int64_t since,
                 struct history *ret_history)
{
    struct tally t = {0};
    struct history h = {.problem_id = problem_id, .since = since};
    int r = tally_problem(s, problem_id, since, &t);
    if (r == 0)
        r = leave_out(s, but_id, problem_id, since, &t);
    if (r == 0)
        r = last_decided(s, problem_id, but_id, &h.last_id, &h.last_verdict);
    if (r < 0)
        return r;
    h.seen = tally_total(&t);
    h.noise = t.noise;
    h.real = tally_true(&t);
    *ret_history = h;
    return 0;
}

// ---- elsewhere ----

static int similar_problems(struct store *s, int64_t problem_id, int64_t ids[SIMILAR_LOOKED_AT],
                            int *ret_n)
{
    int r, n = 0;
    struct stmt *q = store_sql(s, "SELECT p.id FROM problem o CROSS JOIN problem p ON p.service = "
                                  "o.service AND p.alertname = o.alertname"
                                  " WHERE o.id = ?1 AND p.cluster <> o.cluster AND (o.service <> "
                                  "'' OR p.namespace = o.namespace)"
                                  " LIMIT 50");
    bind_int(q, 1, problem_id);
    while ((r = stmt_step(q)) > 0)
        if (n < SIMILAR_LOOKED_AT)
            ids[n++] = col_int(q, 0);
    *ret_n = n;
    return r;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = ((const struct similar *)a)->last_at, y = ((const struct similar *)b)->last_at;
    return x < y ? 1 : x > y ? -1 : 0;
}

static int look_at(struct store *s, int64_t problem_id, int64_t since, struct similar *ret)
{
    struct tally t = {0};
    *ret = (struct similar){.problem_id = problem_id};
    int r = tally_problem(s, problem_id, since, &t);
    ret->seen = tally_total(&t);
    ret->noise = t.noise;
    if (r < 0 || !ret->seen)
        return r;
    struct stmt *q = store_sql(s, "SELECT opened_at FROM incident WHERE problem_id = ? AND kind <> "
                                  "1 ORDER BY opened_at DESC LIMIT 1");
    bind_int(q, 1, problem_id);
    r = stmt_step(q);
    ret->last_at = r > 0 ? col_int(q, 0) : 0;
    stmt_reset(q);
    return r < 0 ? r : last_decided(s, problem_id, 0, &ret->last_id, &ret->last_verdict);
}

int history_similar(struct store *s, int64_t problem_id, int64_t since, int max,
                    struct similar *similar, int *ret_n)
{
    int64_t ids[SIMILAR_LOOKED_AT];
    struct similar found[SIMILAR_LOOKED_AT];
    int n = 0, seen = 0;
    int r = similar_problems(s, problem_id, ids, &n);
    for (int i = 0; r == 0 && i < n; i++) {
        r = look_at(s, ids[i], since, &found[seen]);
        seen += r == 0 && found[seen].seen > 0;
    }
    if (r < 0)
        return r;
    qsort(found, (size_t)seen, sizeof *found, by_time);
    *ret_n = seen < max ? seen : max;
    memcpy(similar, found, (size_t)*ret_n * sizeof *found);
    return 0;
}

// ---- in words ----

static void counts(const struct history *h, struct buf *out)
{
    if (!h->seen) {
        buf_adds(out, "first time in 7 days");
        return;
    }
    buf_addf(out, "%lldx in 7 days", (long long)h->seen);
    if (h->noise == h->seen) {
        buf_adds(out, ", always noise");
        return;
    }
    if (h->noise)
        buf_addf(out, ", %lld noise", (long long)h->noise);
    if (h->real)
        buf_addf(out, ", %lld real", (long long)h->real);
    if (h->seen > h->noise + h->real)
        buf_addf(out, ", %lld undecided", (long long)(h->seen - h->noise - h->real));
}

// What the last verdict on an incident says: what was done if anything was, else what it was.
static int said(struct store *s, int64_t incident_id, bool action_first, const char *before_action,
                const char *before_summary, struct buf *out)
{
    struct stmt *q = store_sql(
        s, "SELECT summary, action FROM verdict WHERE incident_id = ? ORDER BY id DESC LIMIT 1");
    bind_int(q, 1, incident_id);
    int r = stmt_step(q);
    bool action = r > 0 && action_first && col_text(q, 1)[0];
    const char *text = r > 0 ? col_text(q, action ? 1 : 0) : "";
    if (text[0]) {
        buf_adds(out, action ? before_action : before_summary);
        text_clean(out, str_of(text), SAID_MAX, TEXT_ONE_LINE);
    }
    stmt_reset(q);
    return r < 0 ? r : 0;
}

static int elsewhere(struct store *s, const struct similar *o, struct buf *out)
{
    struct stmt *q = store_sql(s, "SELECT cluster FROM problem WHERE id = ?");
    bind_int(q, 1, o->problem_id);
    int r = stmt_step(q);
    buf_adds(out, "; also on ");
    text_clean(out,
               str_of(r > 0 && col_text(q, 0)[0] ? col_text(q, 0) : "a cluster without a name"),
               SAID_MAX, TEXT_ONE_LINE);
    stmt_reset(q);
    if (o->seen <= 2)
        buf_adds(out, o->seen == 1 ? ", once" : ", twice");
    else
        buf_addf(out, ", %lldx", (long long)o->seen);
    if (r < 0 || !o->last_verdict)
        return r < 0 ? r : 0;
    if (o->noise == o->seen) {
        buf_adds(out, ", always noise");
        return 0;
    }
    if (o->last_verdict != VERDICT_AUTO_FIXED)
        buf_addf(out, ", last %s", verdict_name(o->last_verdict));
    return said(s, o->last_id, o->last_verdict != VERDICT_NOISE,
                o->last_verdict == VERDICT_AUTO_FIXED ? ", fixed by: " : ", done: ", ": ", out);
}

int history_line(struct store *s, const struct history *h, struct buf *out)
{
    struct similar others[ELSEWHERE_MAX];
    int n = 0, r = 0;
    counts(h, out);
    if (h->last_verdict) {
        buf_addf(out, "; last: %s", verdict_name(h->last_verdict));
        r = said(s, h->last_id, false, "", ", ", out);
    }
    if (r == 0)
        r = history_similar(s, h->problem_id, h->since, ELSEWHERE_MAX, others, &n);
    for (int i = 0; r == 0 && i < n; i++)
        r = elsewhere(s, &others[i], out);
    return r < 0 ? r : out->error;
}
