#include "channels/slack/unattended.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/lease.h"

enum { MAX_NAMED = 10, MAX_PAGE = 8192 };

// Each walks what its index (common/schema.c) says is late. Not yet closed or decided, as the
// webhook channel has it: status 0 firing; state 0 new, 1 pushed, 2 taken; kind 1 is a test.
#define LATE(state, clock)                                                                         \
    "SELECT id FROM incident WHERE paged_at IS NULL AND kind <> 1 AND " state " AND " clock
#define UNTAKEN "status = 0 AND state < 2"
#define TAKEN "state = 2"
#define WALL(n) "since_at <= ?1 - " n "?3"
#define BOOT(n) "since_boot <= ?2 - " n "?3"
#define UNATTENDED                                                                                 \
    "(" LATE(UNTAKEN, WALL("")) " UNION " LATE(UNTAKEN, BOOT("")) " UNION " LATE(                  \
        TAKEN, WALL("2 * ")) " UNION " LATE(TAKEN, BOOT("2 * ")) ")"

static struct stmt *select_late(struct store *s, const char *sql, int64_t after_ms,
                                struct moment now)
{
    struct stmt *q = store_sql(s, sql);
    bind_int(q, 1, now.wall);
    bind_int(q, 2, now.boot);
    bind_int(q, 3, after_ms);
    return q;
}

static int count(struct store *s, int64_t after_ms, struct moment now, int64_t *ret_n)
{
    struct stmt *q = select_late(s, "SELECT count(*) FROM " UNATTENDED, after_ms, now);
    int r = stmt_step(q);
    if (r > 0)
        *ret_n = col_int(q, 0);
    stmt_reset(q);
    return r < 0 ? r : 0;
}

// After a boot the old heartbeat says nothing: age_ms may be anything.
static bool is_gone(const struct lease_info *l)
{
    return !l->fresh && (!l->pid || l->age_ms < 0 || l->age_ms >= UNATTENDED_PATIENCE_MS);
}

// 1 = a process of the webhook channel lives: it pages, and has more to say.
static int is_watched(struct store *s, struct lease_info *ret_session)
{
    struct lease_info standby = {0};
    int r = lease_read(s, "webhook", ret_session);
    if (r == 0)
        r = lease_read(s, "webhook-standby", &standby);
    return r < 0 ? r : !is_gone(ret_session) || !is_gone(&standby);
}

static void write_heading(const struct lease_info *session, struct moment now, int64_t n,
                          struct buf *text)
{
    char at[RFC3339_SIZE];
    if (session->pid)
        buf_addf(text, "No agent since %s",
                 rfc3339_format((now.wall - session->age_ms) / 1000 * 1000, at));
    else
        buf_adds(text, "No agent is running");
    buf_addf(text,
             "; %lld incident%s. No webhook channel runs either: new alerts are not taken in.\n",
             (long long)n, n == 1 ? " waits" : "s wait");
}

static int write_lines(struct store *s, int64_t after_ms, struct moment now, int64_t n,
                       struct buf *text, int64_t *ret_worst)
{
    static const char *const names[] = {"unknown", "info", "warning", "error", "critical"};
    struct stmt *q = select_late(
        s,
        "SELECT i.id, i.severity, p.alertname, coalesce(nullif(p.service, ''), p.namespace), "
        "p.cluster FROM incident i JOIN problem p ON p.id = i.problem_id WHERE i.id IN " UNATTENDED
        " ORDER BY i.severity DESC, i.environment DESC, i.id LIMIT 10",
        after_ms, now);
    int64_t named = 0;
    int r;
    *ret_worst = 0;
    while ((r = stmt_step(q)) > 0) {
        int64_t severity = col_int(q, 1);
        *ret_worst = severity > *ret_worst ? severity : *ret_worst;
        buf_addf(text, "#%lld %s %s", (long long)col_int(q, 0),
                 severity >= 0 && severity < (int64_t)ARRAY_LEN(names) ? names[severity] : "",
                 col_text(q, 2));
        if (col_text(q, 3)[0])
            buf_addf(text, " on %s", col_text(q, 3));
        if (col_text(q, 4)[0])
            buf_addf(text, " (%s)", col_text(q, 4));
        buf_addc(text, '\n');
        named++;
    }
    if (n > named)
        buf_addf(text, "and %lld more\n", (long long)(n - named));
    return r < 0 ? r : text->error;
}

static int mark(struct store *s, int64_t after_ms, struct moment now)
{
    struct stmt *q = select_late(
        s,
        "INSERT INTO trail(at, incident_id, actor, action, detail) SELECT ?1, id, 'channel', "
        "'paged', '' FROM " UNATTENDED,
        after_ms, now);
    int r = stmt_run(q);
    q = select_late(s, "UPDATE incident SET paged_at = ?1 WHERE id IN " UNATTENDED, after_ms, now);
    return r < 0 ? r : stmt_run(q);
}

static int page(struct store *s, int64_t after_ms, const struct lease_info *session,
                struct moment now, int64_t n)
{
    static const char *const severities[] = {"warning", "info", "warning", "error", "critical"};
    struct buf text = BUF_INIT(MAX_PAGE + MAX_NAMED * 2048);
    int64_t worst;
    write_heading(session, now, n, &text);
    int r = write_lines(s, after_ms, now, n, &text, &worst);
    if (r == 0) {
        struct stmt *q = store_sql(s, "INSERT INTO page(at, severity, text) VALUES(?, ?, ?)");
        bind_int(q, 1, now.wall);
        bind_text(q, 2, severities[worst < (int64_t)ARRAY_LEN(severities) ? worst : 0]);
        bind_str(q, 3, buf_str(&text));
        r = stmt_run(q);
    }
    buf_done(&text);
    return r < 0 ? r : mark(s, after_ms, now);
}

int unattended_run(struct store *s, int64_t after_ms, struct moment now)
{
    struct lease_info session = {0};
    int64_t n = 0;
    if (after_ms == 0)
        return 0;
    int r = is_watched(s, &session);
    if (r != 0)
        return r < 0 ? r : 0;
    r = count(s, after_ms, now, &n);
    if (r < 0 || n == 0)
        return r;
    r = store_begin(s);
    if (r < 0)
        return r;
    r = count(s, after_ms, now, &n); // others may have been quicker
    if (r == 0 && n > 0)
        r = page(s, after_ms, &session, now, n);
    if (r == 0)
        r = store_commit(s);
    else
        store_rollback(s);
    return r < 0 ? r : (int)n;
}
