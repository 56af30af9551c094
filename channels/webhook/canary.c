#include "channels/webhook/canary.h"

#include "channels/webhook/incident.h"
#include "channels/webhook/pager.h"
#include "channels/webhook/retention.h"

// ---- the last one ----

// Pushed, and for so long untaken. Forgets one that is over.
static int judge(struct canary *k, struct store *s, const struct config *c, int64_t wall,
                 int64_t now)
{
    int64_t limit = c->take_s > 0 ? c->take_s * 1000 : CANARY_TAKE_MS;
    struct stmt *q = store_sql(s, "SELECT state FROM incident WHERE id = ?");
    bind_int(q, 1, k->id);
    int r = stmt_step(q);
    int64_t state = r > 0 ? col_int(q, 0) : STATE_DECIDED;
    stmt_reset(q);
    if (r < 0)
        return r;
    bool late = now - k->asked_at >= limit;
    r = late && state == STATE_PUSHED ? pager_agent_failed(s, PAGER_DEAF, wall) : 0;
    if (r == 0 && (late || state > STATE_PUSHED))
        k->id = 0;
    return r;
}

// ---- the next one ----

static int drop_old(struct store *s)
{
    int64_t ids[8];
    int n = 0, r;
    struct stmt *q = store_sql(s, "SELECT i.id FROM problem p JOIN incident i ON i.problem_id = "
                                  "p.id WHERE p.alertname = 'Canary' AND p.cluster = ''"
                                  " AND p.namespace = '' AND p.service = 'sre-channels'"
                                  " AND i.kind = 1 AND i.source = '" CANARY_SOURCE "' LIMIT 8");
    while ((r = stmt_step(q)) > 0)
        ids[n++] = col_int(q, 0);
    int64_t room = RETENTION_STEP_ROWS; // one has a few
    for (int i = 0; r == 0 && i < n && room > 0; i++)
        r = retention_prune_incident(s, ids[i], &room);
    return r;
}

static int open_next(struct canary *k, struct store *s, const struct config *c, int64_t wall,
                     int64_t now)
{
    struct id_set named = {0};
    struct incident_intake in = {.store = s, .config = c, .now = wall, .named = &named};
    struct alert a = {.source = CANARY_SOURCE,
                      .fingerprint = CANARY_SOURCE,
                      .alertname = "Canary",
                      .cluster = "",
                      .namespace = "",
                      .service = "sre-channels",
                      .summary = "does the session hear?",
                      .generator_url = "",
                      .node = "",
                      .labels = "{\"alertname\":\"Canary\",\"service\":\"sre-channels\"}",
                      .annotations = "{}",
                      .severity = SEVERITY_INFO,
                      .test = true,
                      .starts_at = wall};
    int r = store_begin(s);
    if (r < 0)
        return r;
    r = drop_old(s);
    if (r == 0)
        r = incident_take(&in, &a);
    if (r == 0)
        r = store_commit(s);
    else
        store_rollback(s);
    if (r == 0 && named.n) {
        k->id = named.ids[0];
        k->asked_at = now;
        k->next_at = now + c->canary_s * 1000;
    }
    id_set_done(&named);
    return r;
}

// 1 = an event is on its way to the session already, or will be again.
static int is_asked_anyway(struct store *s)
{
    struct stmt *q = store_sql(
        s, "SELECT 1 FROM incident WHERE due_at IS NOT NULL AND state < 2 AND kind <> 1 LIMIT 1");
    int r = stmt_step(q);
    stmt_reset(q);
    return r;
}

void canary_begin(struct canary *k, struct store *s, const struct config *c, int64_t wall,
                  int64_t now)
{
    int64_t every = c->canary_s * 1000;
    *k = (struct canary){.next_at = now + every};
    struct stmt *q = store_sql(s, "SELECT max(i.opened_at) FROM problem p JOIN incident i ON "
                                  "i.problem_id = p.id WHERE p.alertname = 'Canary' AND p.cluster "
                                  "= '' AND p.namespace = '' AND p.service = 'sre-channels'");
    if (stmt_step(q) > 0 && !col_is_null(q, 0)) {
        int64_t left = col_int(q, 0) + every - wall;
        k->next_at = now + (left < 0 ? 0 : left > every ? every : left);
    }
    stmt_reset(q);
}

int canary_run(struct canary *k, struct store *s, const struct config *c, int64_t wall, int64_t now)
{
    int r = 0;
    if (c->canary_s == 0)
        return 0;
    if (k->id)
        r = judge(k, s, c, wall, now);
    if (r < 0 || k->id || now < k->next_at)
        return r;
    r = is_asked_anyway(s);
    return r == 0 ? open_next(k, s, c, wall, now) : r < 0 ? r : 0;
}
