#include "channels/slack/moment.h"

#include "common/lease.h"

struct moment moment_now(void)
{
    return (struct moment){clock_wall_ms(), clock_boot_ms()};
}

struct moment moment_after(struct moment now, int64_t ms)
{
    return (struct moment){now.wall + ms, now.boot + ms};
}

int64_t moment_wait(struct moment due, struct moment now)
{
    int64_t wall = due.wall - now.wall, boot = due.boot - now.boot;
    int64_t wait = wall < boot ? wall : boot;
    return wait > 0 ? wait : 0;
}

int64_t moment_wait_of(struct stmt *q, struct moment now)
{
    int r = stmt_step(q);
    int64_t wait = r < 0 ? MOMENT_AGAIN_MS : -1;
    if (r > 0 && !col_is_null(q, 0))
        wait = moment_wait((struct moment){col_int(q, 0), col_int(q, 1)}, now);
    stmt_reset(q);
    return wait;
}

static int rebase(struct store *s, struct stmt *q, struct moment now, int64_t cap_ms)
{
    (void)s;
    bind_int(q, 1, now.boot);
    bind_int(q, 2, now.wall);
    bind_int(q, 3, cap_ms);
    return stmt_run(q);
}

int moment_rebase(struct store *s, struct moment now, int64_t cap_ms)
{
    const char *boot = strrchr(lease_self(), ' ') + 1;
    struct stmt *q = store_sql(s, "SELECT 1 FROM slack_meta WHERE key = 'boot' AND value = ?");
    bind_text(q, 1, boot);
    int r = stmt_step(q);
    if (r != 0) {
        stmt_reset(q);
        return r < 0 ? r : 0;
    }
    r = rebase(s,
               store_sql(s, "UPDATE slack_escalation SET due_boot = ?1 + "
                            "max(0, min(due_at - ?2, CASE state WHEN 2 THEN 3600000 ELSE ?3 "
                            "END)) WHERE due_at IS NOT NULL"),
               now, cap_ms);
    if (r == 0)
        r = rebase(s,
                   store_sql(s, "UPDATE slack_prompt SET due_boot = ?1 + "
                                "max(0, min(due_at - ?2, ?3)) WHERE due_at IS NOT NULL"),
                   now, cap_ms);
    if (r < 0)
        return r;
    q = store_sql(s, "INSERT INTO slack_meta(key, value) VALUES('boot', ?1) "
                     "ON CONFLICT(key) DO UPDATE SET value = ?1");
    bind_text(q, 1, boot);
    return stmt_run(q);
}
