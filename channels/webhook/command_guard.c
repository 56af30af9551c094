// `guard`: gives the guard what the store knows, and writes its decisions into the trail.

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "channels/webhook/commands.h"
#include "channels/webhook/guard.h"
#include "channels/webhook/trail.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/options.h"
#include "common/store.h"

#define PATIENCE_MS 1500 // within the guard's own deadline

// Opened at the first question: a call that reads nothing of it must not fail for its sake.
struct facts {
    const struct config *config;
    struct store *store;
};

static int open_store(struct facts *f)
{
    if (f->store)
        return 0;
    int r = store_open(f->config->state_dir, false, &f->store);
    if (r == 0)
        store_busy_timeout(f->store, PATIENCE_MS);
    return r;
}

// What senders call the things that the four safe operations touch.
#define LABEL(key) "json_extract(a.labels, '$.\"" key "\"')"
// clang-format off
#define WORKLOAD_LABELS                                                                            \
    LABEL("deployment") ", " LABEL("k8s.deployment.name") ", "                                     \
    LABEL("pod") ", " LABEL("pod_name") ", " LABEL("k8s.pod.name") ", "                            \
    LABEL("workflow") ", " LABEL("workflow_name") ", "                                             \
    LABEL("application") ", " LABEL("app")
// clang-format on

static int open_incident(void *data, const char *cluster, const char *ns, const char *workload)
{
    struct facts *f = data;
    int r = open_store(f);
    if (r < 0)
        return r;
    struct stmt *q = store_sql(
        f->store, "SELECT 1 FROM incident i JOIN problem p ON p.id = i.problem_id WHERE i.status = "
                  "0 AND i.kind <> 1"
                  " AND (?1 IS NULL OR p.cluster = ?1) AND (?2 IS NULL OR p.namespace = ?2)"
                  " AND (p.service = ?3 OR EXISTS(SELECT 1 FROM alert a WHERE a.incident_id = i.id "
                  "AND ?3 IN (" WORKLOAD_LABELS "))) LIMIT 1");
    bind_text(q, 1, cluster);
    bind_text(q, 2, ns);
    bind_text(q, 3, workload);
    r = stmt_step(q);
    stmt_reset(q);
    return r;
}

static int recent_actions(void *data, const char *cluster, const char *ns, const char *workload,
                          int64_t since_ms)
{
    struct facts *f = data;
    int r = open_store(f);
    if (r < 0)
        return r;
    struct stmt *q = store_sql(f->store, "SELECT count(*) FROM action WHERE workload = ?1 AND at "
                                         ">= ?2 AND (?3 IS NULL OR cluster = ?3)"
                                         " AND (?4 IS NULL OR namespace = ?4)");
    bind_text(q, 1, workload);
    bind_int(q, 2, since_ms);
    bind_text(q, 3, cluster);
    bind_text(q, 4, ns);
    r = stmt_step(q);
    int n = r > 0 ? (int)col_int(q, 0) : 0;
    stmt_reset(q);
    return r < 0 ? r : n;
}

static int record_action(struct store *s, const struct guard_action *a, int64_t now)
{
    struct stmt *q = store_sql(s, "INSERT INTO action(at, cluster, namespace, workload, what, "
                                  "object) VALUES(?, ?, ?, ?, ?, ?)");
    bind_int(q, 1, now);
    bind_text(q, 2, a->cluster);
    bind_text(q, 3, a->ns);
    bind_text(q, 4, a->workload);
    bind_text(q, 5, a->what);
    bind_text(q, 6, a->object);
    return stmt_run(q);
}

static int record(void *data, const struct guard_decision *d)
{
    static const char *const words[] = {"allowed", "asked", "denied"};
    static const char *const counters[] = {"sre_guard_decisions_total{decision=\"allow\"}",
                                           "sre_guard_decisions_total{decision=\"ask\"}",
                                           "sre_guard_decisions_total{decision=\"deny\"}"};
    struct facts *f = data;
    char detail[2048];
    int64_t now = clock_wall_ms();
    int r = open_store(f);
    if (r < 0)
        return r;
    snprintf(detail, sizeof detail, "%s: %s (%s)", d->tool, d->input, d->reason);
    // Only what counts against the cool-down is worth waiting for the disk.
    if (d->nactions == 0)
        r = stmt_run(store_sql(f->store, "PRAGMA synchronous=NORMAL"));
    else
        r = stmt_run(store_sql(f->store, "PRAGMA synchronous=FULL"));
    if (r == 0)
        r = store_begin(f->store);
    if (r < 0)
        return r;
    r = trail_add(f->store, 0, "guard", words[d->verdict], detail, now);
    if (r == 0)
        r = counter_add_now(f->store, counters[d->verdict], 1);
    for (size_t i = 0; r == 0 && i < d->nactions; i++)
        r = record_action(f->store, &d->actions[i], now);
    if (r == 0)
        return store_commit(f->store);
    store_rollback(f->store);
    return r;
}

int command_guard(const struct config *c, int argc, char **argv)
{
    struct buf why = BUF_INIT(256);
    struct facts f = {.config = c};
    struct guard_facts facts = {.data = &f,
                                .open_incident = open_incident,
                                .recent_actions = recent_actions,
                                .record = record};
    int words;
    if (options_parse(argc, argv, NULL, 0, NULL, 0, &words, &why) < 0)
        return command_usage("guard", &why);
    int status = guard_run(c, &facts, STDIN_FILENO, STDOUT_FILENO);
    store_close(f.store);
    return status;
}
