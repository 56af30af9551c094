#include "channels/webhook/retention.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"

#define DAY_MS (24ll * 3600 * 1000)
#define FIRST_MS 1000
#define PAUSE_MS 200 // between steps: alerts go first
#define EVERY_MS (60 * 1000)
#define PATIENCE_MS 5000
#define INCIDENTS_A_STEP 100

struct retention {
    uv_timer_t timer;
    struct group_commit *commit;
    const struct config *config;
    struct commit_job job;
    bool more;
};

// ---- one step ----

// Runs a statement that deletes at most ?2 rows of incident ?1; *room shrinks by what it took.
static int take_rows(struct store *s, struct stmt *q, int64_t id, int64_t *room)
{
    bind_int(q, 1, id);
    bind_int(q, 2, *room);
    int r = stmt_run(q);
    if (r == 0)
        *room -= store_changes(s);
    return r;
}

int retention_prune_incident(struct store *s, int64_t id, int64_t *room)
{
    int r = take_rows(
        s,
        store_sql(
            s,
            "DELETE FROM alert WHERE id IN (SELECT id FROM alert WHERE incident_id = ?1 LIMIT ?2)"),
        id, room);
    if (r == 0 && *room > 0)
        r = take_rows(s,
                      store_sql(s, "DELETE FROM verdict WHERE id IN (SELECT id FROM verdict WHERE "
                                   "incident_id = ?1 LIMIT ?2)"),
                      id, room);
    if (r == 0 && *room > 0)
        r = take_rows(s,
                      store_sql(s, "DELETE FROM trail WHERE id IN (SELECT id FROM trail WHERE "
                                   "incident_id = ?1 LIMIT ?2)"),
                      id, room);
    if (r < 0 || *room <= 0)
        return r; // the rest, and the incident itself, in the next step
    static const char *const last[] = {"DELETE FROM noise_fold WHERE incident_id = ?",
                                       "DELETE FROM ticket_incident WHERE incident_id = ?",
                                       "DELETE FROM incident WHERE id = ?"};
    (*room)--;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(last); i++) {
        struct stmt *q = store_sql(s, last[i]);
        bind_int(q, 1, id);
        r = stmt_run(q);
    }
    return r;
}

static int prune_incidents(struct store *s, int64_t before, int64_t *room)
{
    int64_t ids[INCIDENTS_A_STEP];
    int n = 0, r;
    struct stmt *q = store_sql(s, "SELECT id FROM incident WHERE opened_at < ?1 AND closed_at < ?1 "
                                  "ORDER BY opened_at LIMIT 100");
    bind_int(q, 1, before);
    while ((r = stmt_step(q)) > 0)
        if (n < INCIDENTS_A_STEP)
            ids[n++] = col_int(q, 0);
    for (int i = 0; r == 0 && i<n && * room> 0; i++)
        r = retention_prune_incident(s, ids[i], room);
    return r < 0 ? r : n == INCIDENTS_A_STEP || *room <= 0;
}

// What belongs to no incident (prompts, guard decisions) or to one that is gone.
static int prune_trail(struct store *s, int64_t before, int64_t *room)
{
    struct stmt *q = store_sql(
        s, "DELETE FROM trail WHERE id IN (SELECT t.id FROM trail t WHERE t.at < ?1 AND "
           "(t.incident_id IS NULL"
           " OR NOT EXISTS (SELECT 1 FROM incident i WHERE i.id = t.incident_id)) LIMIT ?2)");
    bind_int(q, 1, before);
    bind_int(q, 2, *room);
    int r = stmt_run(q);
    *room -= r == 0 ? store_changes(s) : 0;
    return r < 0 ? r : *room <= 0;
}

int retention_step(struct store *s, int64_t before)
{
    int64_t room = RETENTION_STEP_ROWS;
    int r = prune_incidents(s, before, &room);
    return r == 0 ? prune_trail(s, before, &room) : r;
}

// ---- in time ----

static void on_timer(uv_timer_t *t);

static int step_apply(struct commit_job *job, struct store *s)
{
    struct retention *t = CONTAINER_OF(job, struct retention, job);
    int r = retention_step(s, clock_wall_ms() - t->config->retention_days * DAY_MS);
    t->more = r > 0;
    return r < 0 ? r : 0;
}

static void step_done(struct commit_job *job, int error)
{
    struct retention *t = CONTAINER_OF(job, struct retention, job);
    if (error < 0 && error != -EBUSY && error != -ECANCELED)
        log_warn("old incidents cannot be pruned", "why", strerror(-error));
    uv_timer_start(&t->timer, on_timer, error == 0 && t->more ? PAUSE_MS : EVERY_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct retention *t = timer->data;
    t->job = (struct commit_job){.apply = step_apply, .done = step_done};
    group_commit_submit(t->commit, &t->job, PATIENCE_MS);
}

int retention_start(uv_loop_t *loop, struct group_commit *commit, const struct config *c,
                    struct retention **ret)
{
    struct retention *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->commit = commit;
    t->config = c;
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    if (c->retention_days > 0)
        uv_timer_start(&t->timer, on_timer, FIRST_MS, 0);
    *ret = t;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

void retention_stop(struct retention *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->timer, on_closed);
}
