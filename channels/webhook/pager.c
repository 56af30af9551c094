#include "channels/webhook/pager.h"

#include <errno.h>
#include <stdio.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/delivery.h"
#include "channels/webhook/listing.h"
#include "channels/webhook/terms.h"
#include "common/clock.h"
#include "common/lease.h"
#include "common/page.h"
#include "common/unattended.h"

#define MAX_PAGE 3000

struct times {
    struct unattended u;
    char failure[128]; // why the session cannot work; "" = as far as is known it can
    int64_t failed_at;
};

// A session that said it cannot work is not waited for.
static int read_times(struct store *s, const struct config *c, struct times *t)
{
    struct stmt *q = store_sql(s, "SELECT reason, at FROM agent_failure");
    int r = stmt_step(q);
    t->u.after = r > 0 ? 0 : c->unattended_s * 1000;
    if (r > 0) {
        snprintf(t->failure, sizeof t->failure, "%s", col_text(q, 0));
        t->failed_at = col_int(q, 1);
    }
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
    duration_format(t->u.after, age);
    if (t->failure[0])
        buf_addf(text, "The agent cannot work (%s) since %s; %lld incident%s\n", t->failure,
                 rfc3339_format(t->failed_at / 1000 * 1000, at), (long long)n,
                 n == 1 ? " comes to you" : "s come to you");
    else if (session.fresh)
        buf_addf(text, "The agent is there but gave no verdict for %s: %lld incident%s\n", age,
                 (long long)n, n == 1 ? "" : "s");
    else if (session.pid)
        buf_addf(text, "No agent since %s; %lld incident%s\n",
                 rfc3339_format((t->u.wall - session.age_ms) / 1000 * 1000, at), (long long)n,
                 n == 1 ? " waits" : "s wait");
    else
        buf_addf(text, "No agent is running; %lld incident%s\n", (long long)n,
                 n == 1 ? " waits" : "s wait");
    return text->error;
}

static int write_text(struct store *s, const struct times *t, int64_t n, struct buf *text,
                      int64_t *ret_worst, int64_t *ret_first)
{
    int64_t ids[UNATTENDED_NAMED];
    int named = 0;
    int r = unattended_worst(s, &t->u, ids, &named);
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
        listing_line(&v, t->u.wall, text);
        buf_addc(text, '\n');
        if (v.severity > *ret_worst)
            *ret_worst = v.severity;
        incident_view_done(&v);
    }
    if (n > named)
        buf_addf(text, "and %lld more\n", (long long)(n - named));
    return r < 0 ? r : text->error;
}

int pager_agent_back(struct store *s, int64_t incidents, int64_t paged, int64_t wall)
{
    char text[96];
    if (!paged)
        return 0;
    snprintf(text, sizeof text, "The agent is back: %lld incident%s handed over.",
             (long long)incidents, incidents == 1 ? " was" : "s were");
    return page_add(s, &(struct page){.severity = "info", .text = text}, wall, NULL);
}

static int page(struct store *s, const struct times *t, int64_t n, struct buf *text)
{
    int64_t worst = 0, first = 0;
    int r = write_text(s, t, n, text, &worst, &first);
    struct page p = {.severity = page_severity_of(worst),
                     .text = buf_cstr(text),
                     .incident_id = n == 1 ? first : 0};
    if (r == 0)
        r = page_add(s, &p, t->u.wall, NULL);
    return r < 0 ? r : unattended_told(s, &t->u);
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
    if (r < 0 || !session.fresh || session.since > t->u.wall - t->u.after)
        return r;
    struct stmt *q = store_sql(
        s, "SELECT max(since_at) FROM incident WHERE paged_at IS NULL AND kind <> 1 AND status = 0"
           " AND state < 2 AND state = 1 AND since_at <= ?1");
    bind_int(q, 1, t->u.wall - t->u.after);
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
    struct times t = {.u = {.wall = wall, .boot = boot}};
    struct buf text = BUF_INIT(MAX_PAGE + UNATTENDED_NAMED * 1024);
    if (c->unattended_s == 0)
        return 0;
    int r = read_times(s, c, &t);
    if (r == 0)
        r = unattended_count(s, &t.u,
                             &n); // outside of the transaction: mostly there is nothing to do
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
        r = unattended_count(s, &t.u, &n);
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
    struct buf text = BUF_INIT(4096);
    buf_addf(&text,
             "The agent cannot work: %s. Until it gives a verdict again, alerts come to you "
             "directly.",
             reason);
    r = note_failure(s, reason, wall);
    if (r > 0)
        r = text.error ? text.error
                       : page_add(s, &(struct page){.severity = "error", .text = buf_cstr(&text)},
                                  wall, NULL);
    buf_done(&text);
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
    return page_add(s, &(struct page){.severity = "info", .text = "The agent works again."}, wall,
                    NULL);
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
