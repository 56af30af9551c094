#include "channels/webhook/incident_state.h"

#include <errno.h>

#include "common/clock.h"

#define OVERSIZED_QUIET_MS (3600 * 1000)
#define SWEEP_MAX 500
#define DAY_MS (24ll * 3600 * 1000)

static int close_silent(struct store *s, int64_t id, int status, int64_t now)
{
    struct stmt *q =
        store_sql(s, "UPDATE incident SET status = ?2, closed_at = ?3, members = 0 WHERE id = ?1");
    bind_int(q, 1, id);
    bind_int(q, 2, status);
    bind_int(q, 3, now);
    int r = stmt_run(q);
    q = store_sql(s, "UPDATE alert SET status = ?2 WHERE incident_id = ?1 AND status = 0");
    bind_int(q, 1, id);
    bind_int(q, 2, status);
    return r < 0 ? r : stmt_run(q);
}

static int sweep_before(struct store *s, int64_t before, bool oversized, int64_t now)
{
    int64_t ids[SWEEP_MAX];
    int n = 0, r;
    struct stmt *q = store_sql(
        s, "SELECT id FROM incident WHERE status = 0 AND last_seen_at < ? AND (kind = 2) = ?"
           " ORDER BY last_seen_at LIMIT 500");
    bind_int(q, 1, before);
    bind_int(q, 2, oversized);
    while ((r = stmt_step(q)) > 0 && n < SWEEP_MAX)
        ids[n++] = col_int(q, 0);
    stmt_reset(q);
    for (int i = 0; r >= 0 && i < n; i++)
        r = close_silent(s, ids[i], oversized ? STATUS_RESOLVED : STATUS_STALE, now);
    return r < 0 ? r : n;
}

int incident_sweep(struct store *s, const struct config *c, int64_t now)
{
    int stale = 0, quiet = sweep_before(s, now - OVERSIZED_QUIET_MS, true, now);
    if (quiet >= 0 && c->stale_days > 0)
        stale = sweep_before(s, now - c->stale_days * DAY_MS, false, now);
    return quiet < 0 || stale < 0 ? (quiet < 0 ? quiet : stale) : quiet + stale;
}

int incident_taken(struct store *s, const struct config *c, int64_t id, int64_t now)
{
    struct stmt *q = store_sql(
        s,
        "UPDATE incident SET state = 2, taken_at = ?2, since_at = ?2, since_boot = ?3, due_at = ?4"
        " WHERE id = ?1 AND state < 2");
    int64_t boot = clock_boot_ms();
    bind_int(q, 1, id);
    bind_int(q, 2, now);
    bind_int(q, 3, boot);
    if (c->unattended_s > 0)
        bind_int(q, 4, boot + c->unattended_s * 1000);
    return stmt_run(q);
}

int incident_decide(struct store *s, int64_t id, const struct verdict_note *note, int64_t now)
{
    struct stmt *q = store_sql(s, "UPDATE incident SET state = 3, verdict = ?2, decided_at = ?3, "
                                  "taken_at = coalesce(taken_at, ?3),"
                                  " due_at = NULL, ask = NULL WHERE id = ?1");
    bind_int(q, 1, id);
    bind_int(q, 2, note->verdict);
    bind_int(q, 3, now);
    int r = stmt_run(q);
    if (r == 0 && store_changes(s) == 0)
        r = -ENOENT;
    if (r < 0)
        return r;
    q = store_sql(
        s,
        "INSERT INTO verdict(incident_id, at, verdict, summary, root_cause, action, confidence, by)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
    bind_int(q, 1, id);
    bind_int(q, 2, now);
    bind_int(q, 3, note->verdict);
    bind_text(q, 4, note->summary);
    bind_text(q, 5, note->root_cause);
    bind_text(q, 6, note->action);
    if (note->confidence >= 0)
        bind_real(q, 7, note->confidence);
    bind_text(q, 8, note->by);
    return stmt_run(q);
}
