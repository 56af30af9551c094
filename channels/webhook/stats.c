#include "channels/webhook/stats.h"

#include "channels/webhook/tally.h"
#include "common/text.h"

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

int stats_rules(struct store *s, int64_t since, struct rule_stats rules[RULE_STATS_MAX], int *ret_n)
{
    struct tally_window w = tally_window(since);
    int r, n = 0;
    struct stmt *q = store_sql(s, "SELECT key, sum(n), sum(noise), sum(bad) FROM ("
                                  " SELECT key, none + noise + auto_fixed + escalated + real + "
                                  "unsure AS n, noise, auto_fixed + escalated + real AS bad"
                                  "  FROM tally INDEXED BY tally_rule WHERE kind = 3 AND day >= ?1"
                                  " UNION ALL SELECT p.alertname, e.n, e.noise, e.bad FROM"
                                  "  (SELECT problem_id, count(*) AS n, sum(verdict IS 1) AS "
                                  "noise, sum(coalesce(verdict, 0) BETWEEN 2 AND 4) AS bad"
                                  "   FROM incident WHERE opened_at >= ?2 AND opened_at < ?3 AND "
                                  "kind <> 1 GROUP BY problem_id) e"
                                  "  JOIN problem p ON p.id = e.problem_id)"
                                  " GROUP BY key ORDER BY 2 DESC, key LIMIT 20");
    bind_int(q, 1, w.first_day);
    bind_int(q, 2, since);
    bind_int(q, 3, w.edge_end);
    while ((r = stmt_step(q)) > 0) {
        if (n == RULE_STATS_MAX)
            continue;
        rules[n] = (struct rule_stats){
            .incidents = col_int(q, 1), .noise = col_int(q, 2), .real = col_int(q, 3)};
        text_fit(col_text(q, 0), sizeof rules[n].alertname, rules[n].alertname);
        n++;
    }
    *ret_n = n;
    return r;
}
