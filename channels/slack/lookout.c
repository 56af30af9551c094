#include "channels/slack/lookout.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/lease.h"
#include "common/page.h"
#include "common/unattended.h"

#define MAX_PAGE 8192

// After a boot the old heartbeat says nothing: age_ms may be anything.
static bool is_gone(const struct lease_info *l)
{
    return !l->fresh && (!l->pid || l->age_ms < 0 || l->age_ms >= LOOKOUT_PATIENCE_MS);
}

// 1 = a process of the webhook channel lives: it pages, and has more to say.
static int is_watched(struct store *s, struct lease_info *ret_session)
{
    struct lease_info standby = {0};
    int r = lease_read(s, LEASE_SESSION, ret_session);
    if (r == 0)
        r = lease_read(s, LEASE_STANDBY, &standby);
    return r < 0 ? r : !is_gone(ret_session) || !is_gone(&standby);
}

static void write_heading(const struct lease_info *session, int64_t now, int64_t n,
                          struct buf *text)
{
    char at[RFC3339_SIZE];
    if (session->pid)
        buf_addf(text, "No agent since %s",
                 rfc3339_format((now - session->age_ms) / 1000 * 1000, at));
    else
        buf_adds(text, "No agent is running");
    buf_addf(text,
             "; %lld incident%s. No webhook channel runs either: new alerts are not taken in.\n",
             (long long)n, n == 1 ? " waits" : "s wait");
}

// "#12 critical KubePodCrashLooping on backend (platform-prod)"; severity: the worst so far.
static int write_line(struct store *s, int64_t id, struct buf *text, int64_t *severity)
{
    static const char *const names[] = {"unknown", "info", "warning", "error", "critical"};
    struct stmt *q = store_sql(
        s, "SELECT i.severity, p.alertname, coalesce(nullif(p.service, ''), p.namespace), p.cluster"
           " FROM incident i JOIN problem p ON p.id = i.problem_id WHERE i.id = ?");
    bind_int(q, 1, id);
    int r = stmt_step(q);
    if (r > 0) {
        int64_t its = col_int(q, 0);
        *severity = its > *severity ? its : *severity;
        buf_addf(text, "#%lld %s %s", (long long)id,
                 its >= 0 && its < (int64_t)ARRAY_LEN(names) ? names[its] : "", col_text(q, 1));
        if (col_text(q, 2)[0])
            buf_addf(text, " on %s", col_text(q, 2));
        if (col_text(q, 3)[0])
            buf_addf(text, " (%s)", col_text(q, 3));
        buf_addc(text, '\n');
    }
    stmt_reset(q);
    return r < 0 ? r : 0;
}

static int write_lines(struct store *s, const struct unattended *u, int64_t n, struct buf *text,
                       int64_t *ret_worst)
{
    int64_t ids[UNATTENDED_NAMED], worst = 0;
    int named = 0;
    int r = unattended_worst(s, u, ids, &named);
    for (int i = 0; r == 0 && i < named; i++)
        r = write_line(s, ids[i], text, &worst);
    if (n > named)
        buf_addf(text, "and %lld more\n", (long long)(n - named));
    *ret_worst = worst;
    return r < 0 ? r : text->error;
}

static int page(struct store *s, const struct unattended *u, const struct lease_info *session,
                int64_t n)
{
    struct buf text = BUF_INIT(MAX_PAGE + UNATTENDED_NAMED * 2048);
    int64_t worst;
    write_heading(session, u->wall, n, &text);
    int r = write_lines(s, u, n, &text, &worst);
    if (r == 0)
        r = page_add(s,
                     &(struct page){.severity = page_severity_of(worst), .text = buf_cstr(&text)},
                     u->wall, NULL);
    buf_done(&text);
    return r < 0 ? r : unattended_told(s, u);
}

int lookout_run(struct store *s, int64_t after_ms, struct moment now)
{
    struct unattended u = {.wall = now.wall, .boot = now.boot, .after = after_ms};
    struct lease_info session = {0};
    int64_t n = 0;
    if (after_ms == 0)
        return 0;
    int r = is_watched(s, &session);
    if (r != 0)
        return r < 0 ? r : 0;
    r = unattended_count(s, &u, &n);
    if (r < 0 || n == 0)
        return r;
    r = store_begin(s);
    if (r < 0)
        return r;
    r = unattended_count(s, &u, &n); // others may have been quicker
    if (r == 0 && n > 0)
        r = page(s, &u, &session, n);
    if (r == 0)
        r = store_commit(s);
    else
        store_rollback(s);
    return r < 0 ? r : (int)n;
}
