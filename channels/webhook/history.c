#include "channels/webhook/history.h"

#include "common/text.h"

int history_read(struct store *s, int64_t problem_id, int64_t but_id, int64_t since, struct history *ret_history)
{
    struct history h = {0};
    struct stmt *q = store_sql(s, "SELECT count(*), coalesce(sum(verdict = 1), 0) FROM incident"
                                  " WHERE problem_id = ? AND opened_at >= ? AND kind <> 1 AND id <> ?");
    bind_int(q, 1, problem_id);
    bind_int(q, 2, since);
    bind_int(q, 3, but_id);
    int r = stmt_step(q);
    if (r < 0)
        return r;
    h.seen = col_int(q, 0);
    h.noise = col_int(q, 1);
    stmt_reset(q);
    q = store_sql(s, "SELECT id, verdict FROM incident WHERE problem_id = ? AND id <> ? AND kind <> 1"
                     " AND verdict IS NOT NULL ORDER BY opened_at DESC LIMIT 1");
    bind_int(q, 1, problem_id);
    bind_int(q, 2, but_id);
    r = stmt_step(q);
    if (r > 0) {
        h.last_id = col_int(q, 0);
        h.last_verdict = (enum verdict)col_int(q, 1);
    }
    stmt_reset(q);
    if (r >= 0)
        *ret_history = h;
    return r < 0 ? r : 0;
}

int history_line(struct store *s, const struct history *h, struct buf *out)
{
    if (h->seen)
        buf_addf(out, "%lldx in 7 days, %s%lld noise", (long long)h->seen, h->noise == h->seen ? "always noise: " : "",
                 (long long)h->noise);
    else
        buf_adds(out, "first time in 7 days");
    if (!h->last_verdict)
        return out->error;
    buf_addf(out, "; last: %s", verdict_name(h->last_verdict));
    struct stmt *q = store_sql(s, "SELECT summary FROM verdict WHERE incident_id = ? ORDER BY id DESC LIMIT 1");
    bind_int(q, 1, h->last_id);
    int r = stmt_step(q);
    if (r > 0 && col_text(q, 0)[0]) {
        buf_adds(out, ", ");
        text_clean(out, str_of(col_text(q, 0)), 160, TEXT_ONE_LINE);
    }
    stmt_reset(q);
    return r < 0 ? r : out->error;
}
