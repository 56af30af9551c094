#include "channels/webhook/pager.h"

#include <errno.h>
#include <stdio.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/delivery.h"
#include "channels/webhook/listing.h"
#include "channels/webhook/terms.h"
#include "common/clock.h"
#include "common/lease.h"

#define MAX_NAMED 10
#define MAX_PAGE 3000

// Elapsed by either clock; after a reboot boot time starts anew and only says less. Each walks what
// its index (common/schema.c) says is late, however much waits.
#define LATE(state, clock)                                                                         \
    "SELECT id FROM incident WHERE paged_at IS NULL AND kind <> 1 AND " state " AND " clock
#define UNTAKEN "status = 0 AND state < 2"
#define TAKEN "state = 2"
#define UNATTENDED                                                                                 \
    "(" LATE(UNTAKEN, "since_at <= ?1 - ?3") " UNION " LATE(                                       \
        UNTAKEN,                                                                                   \
        "since_boot <= ?2 - ?3") " UNION " LATE(TAKEN,                                             \
                                                "since_at <= ?1 - 2 * ?3") " UNION " LATE(TAKEN,   \
                                                                                          "since_" \
                                                                                          "boot "  \
                                                                                          "<= ?2 " \
                                                                                          "- 2 * " \
                                                                                          "?3") ")"

struct times {
    int64_t wall, boot; // now
    int64_t after;      // ms until the owner is paged
    char failure[128];  // why the session cannot work; "" = as far as is known it can
    int64_t failed_at;
};

static void bind_times(struct stmt *q, const struct times *t)
{
    bind_int(q, 1, t->wall);
    bind_int(q, 2, t->boot);
    bind_int(q, 3, t->after);
}

// A session that said it cannot work is not waited for.
static int read_times(struct store *s, const struct config *c, struct times *t)
{
    struct stmt *q = store_sql(s, "SELECT reason, at FROM agent_failure");
    int r = stmt_step(q);
    t->after = r > 0 ? 0 : c->unattended_s * 1000;
    if (r > 0) {
        snprintf(t->failure, sizeof t->failure, "%s", col_text(q, 0));
        t->failed_at = col_int(q, 1);
    }
    stmt_reset(q);
    return r < 0 ? r : 0;
}

static int count(struct store *s, const struct times *t, int64_t *ret_n)
{
    struct stmt *q = store_sql(s, "SELECT count(*) FROM " UNATTENDED);
    bind_times(q, t);
    int r = stmt_step(q);
    if (r > 0)
        *ret_n = col_int(q, 0);
    stmt_reset(q);
    return r < 0 ? r : 0;
}

// Why nobody looks after them: there is no session, or there is one that takes nothing.
static int write_heading(struct store *s, const struct times *t, int64_t n, struct buf *text)
{
    struct lease_info session;
    char age[DURATION_SIZE], at[RFC3339_SIZE];
    int r = lease_read(s, LEASE_SESSION, &session);
    if (r < 0)
        return r;
    duration_format(t->after, age);
    if (t->failure[0])
        buf_addf(text, "The agent cannot work (%s) since %s; %lld incident%s\n", t->failure,
                 rfc3339_format(t->failed_at / 1000 * 1000, at), (long long)n,
                 n == 1 ? " comes to you" : "s come to you");
    else if (session.fresh)
        buf_addf(text, "The agent is there but gave no verdict for %s: %lld incident%s\n", age,
                 (long long)n, n == 1 ? "" : "s");
    else if (session.pid)
        buf_addf(text, "No agent since %s; %lld incident%s\n",
                 rfc3339_format((t->wall - session.age_ms) / 1000 * 1000, at), (long long)n,
                 n == 1 ? " waits" : "s wait");
    else
        buf_addf(text, "No agent is running; %lld incident%s\n", (long long)n,
                 n == 1 ? " waits" : "s wait");
    return text->error;
}

static int write_text(struct store *s, const struct times *t, int64_t n, struct buf *text,
                      int64_t *ret_worst, int64_t *ret_first)
{
    int64_t ids[MAX_NAMED];
    int named = 0, r;
    struct stmt *q = store_sql(s, "SELECT i.id FROM " UNATTENDED " JOIN incident i USING(id)"
                                  " ORDER BY i.severity DESC, i.environment DESC, i.id LIMIT 10");
    bind_times(q, t);
    while ((r = stmt_step(q)) > 0 && named < MAX_NAMED)
        ids[named++] = col_int(q, 0);
    stmt_reset(q);
    if (r < 0)
        return r;
    *ret_first = named ? ids[0] : 0;
    r = write_heading(s, t, n, text);
    *ret_worst = SEVERITY_UNKNOWN;
    for (int i = 0; r == 0 && i < named; i++) {
        struct incident_view v;
        r = incident_view_load(s, ids[i], &v);
        if (r < 0)
            break;
        listing_line(&v, t->wall, text);
        buf_addc(text, '\n');
        if (v.severity > *ret_worst)
            *ret_worst = v.severity;
        incident_view_done(&v);
    }
    if (n > named)
        buf_addf(text, "and %lld more\n", (long long)(n - named));
    return r < 0 ? r : text->error;
}

int pager_agent_back(struct store *s, int64_t wall)
{
    struct stmt *q = store_sql(s, "INSERT INTO page(at, severity, text) SELECT ?1, 'info', 'The "
                                  "agent is back: ' || count(*) || CASE count(*) WHEN 1"
                                  " THEN ' incident was' ELSE ' incidents were' END || ' handed "
                                  "over.' FROM incident WHERE due_at < 0"
                                  " HAVING sum(paged_at IS NOT NULL) > 0");
    bind_int(q, 1, wall);
    return stmt_run(q);
}

static int add_page(struct store *s, int64_t wall, int64_t worst, int64_t only_id,
                    const struct buf *text)
{
    static const char *const severities[] = {"warning", "info", "warning", "error",
                                             "critical"}; // of an escalation
    struct stmt *q = store_sql(
        s, "INSERT INTO page(at, severity, text, incident_id) VALUES(?, ?, ?, nullif(?, 0))");
    bind_int(q, 1, wall);
    bind_text(q, 2, severities[worst]);
    bind_str(q, 3, buf_str(text));
    bind_int(q, 4, only_id);
    return stmt_run(q);
}

static int mark(struct store *s, const struct times *t)
{
    struct stmt *q = store_sql(s, "INSERT INTO trail(at, incident_id, actor, action, detail) "
                                  "SELECT ?1, id, 'channel', 'paged', '' FROM " UNATTENDED);
    bind_times(q, t);
    int r = stmt_run(q);
    q = store_sql(s, "UPDATE incident SET paged_at = ?1 WHERE id IN " UNATTENDED);
    bind_times(q, t);
    return r < 0 ? r : stmt_run(q);
}

static int page(struct store *s, const struct times *t, int64_t n, struct buf *text)
{
    int64_t worst = 0, first = 0;
    int r = write_text(s, t, n, text, &worst, &first);
    if (r == 0)
        r = add_page(s, t->wall, worst, n == 1 ? first : 0, text);
    return r < 0 ? r : mark(s, t);
}

// 1: it was not known yet.
static int note_failure(struct store *s, const char *reason, int64_t wall)
{
    struct stmt *q =
        store_sql(s, "INSERT OR IGNORE INTO agent_failure(id, at, reason) VALUES(1, ?, ?)");
    bind_int(q, 1, wall);
    bind_text(q, 2, reason);
    int r = stmt_run(q);
    return r < 0 ? r : store_changes(s) > 0;
}

// A session was there all the time, something was pushed into it, and since that came nothing was
// taken or decided: 1. One that works on other things is not deaf.
static int is_deaf(struct store *s, const struct times *t)
{
    struct lease_info session;
    int r = lease_read(s, LEASE_SESSION, &session);
    if (r < 0 || !session.fresh || session.since > t->wall - t->after)
        return r;
    struct stmt *q = store_sql(
        s, "SELECT max(since_at) FROM incident WHERE paged_at IS NULL AND kind <> 1 AND " UNTAKEN
           " AND state = 1 AND since_at <= ?1");
    bind_int(q, 1, t->wall - t->after);
    r = stmt_step(q);
    int64_t since = r > 0 ? col_int(q, 0) : 0;
    stmt_reset(q);
    if (r < 0 || since == 0)
        return r < 0 ? r : 0;
    q = store_sql(s, "SELECT 1 FROM trail WHERE at >= ? AND actor = 'agent' AND action IN ('taken',"
                     " 'verdict') LIMIT 1");
    bind_int(q, 1, since);
    r = stmt_step(q);
    stmt_reset(q);
    return r < 0 ? r : r == 0;
}

int pager_run(struct store *s, const struct config *c, int64_t wall, int64_t boot)
{
    int64_t n = 0;
    struct times t = {.wall = wall, .boot = boot};
    struct buf text = BUF_INIT(MAX_PAGE + MAX_NAMED * 1024);
    if (c->unattended_s == 0)
        return 0;
    int r = read_times(s, c, &t);
    if (r == 0)
        r = count(s, &t, &n); // outside of the transaction: mostly there is nothing to do
    if (r < 0 || n == 0)
        return r;
    r = store_begin(s);
    if (r < 0)
        return r;
    if (!t.failure[0] && (r = is_deaf(s, &t)) > 0) { // then all that waits is his, not only these
        r = note_failure(s, PAGER_DEAF, wall);
        if (r >= 0)
            r = read_times(s, c, &t);
    }
    if (r == 0)
        r = count(s, &t, &n);
    if (r == 0 && n > 0)
        r = page(s, &t, n, &text);
    if (r == 0)
        r = store_commit(s);
    else
        store_rollback(s);
    buf_done(&text);
    return r < 0 ? r : (int)n;
}

// ---- the agent itself ----

int pager_agent_failed(struct store *s, const char *reason, int64_t wall)
{
    int r = store_begin(s);
    if (r < 0)
        return r;
    r = note_failure(s, reason, wall);
    if (r > 0) {
        struct stmt *q =
            store_sql(s, "INSERT INTO page(at, severity, text) VALUES(?1, 'error', 'The agent "
                         "cannot work: ' || ?2"
                         " || '. Until it gives a verdict again, alerts come to you directly.')");
        bind_int(q, 1, wall);
        bind_text(q, 2, reason);
        r = stmt_run(q);
    }
    if (r >= 0)
        return store_commit(s);
    store_rollback(s);
    return r;
}

static int tell_works(struct store *s, int64_t wall, struct stmt *forget)
{
    int r = stmt_run(forget);
    if (r < 0 || store_changes(s) == 0)
        return r;
    struct stmt *q = store_sql(
        s, "INSERT INTO page(at, severity, text) VALUES(?, 'info', 'The agent works again.')");
    bind_int(q, 1, wall);
    return stmt_run(q);
}

int pager_agent_works(struct store *s, int64_t wall)
{
    return tell_works(s, wall, store_sql(s, "DELETE FROM agent_failure"));
}

int pager_agent_hears(struct store *s, int64_t wall)
{
    return tell_works(s, wall,
                      store_sql(s, "DELETE FROM agent_failure WHERE reason = '" PAGER_DEAF "'"));
}
