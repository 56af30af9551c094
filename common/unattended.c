#include "common/unattended.h"

// clang-format off
// Elapsed by either clock; after a reboot boot time starts anew and only says less. Each walks what
// its index (common/schema.c) says is late, however much waits. status 0 fires; state 0 is new, 1
// pushed, 2 taken; kind 1 is a test.
#define LATE(state, clock) \
    "SELECT id FROM incident WHERE paged_at IS NULL AND kind <> 1 AND " state " AND " clock
#define UNTAKEN "status = 0 AND state < 2"
#define TAKEN "state = 2"
#define UNATTENDED \
    "(" LATE(UNTAKEN, "since_at <= ?1 - ?3") \
    " UNION " LATE(UNTAKEN, "since_boot <= ?2 - ?3") \
    " UNION " LATE(TAKEN, "since_at <= ?1 - 2 * ?3") \
    " UNION " LATE(TAKEN, "since_boot <= ?2 - 2 * ?3") ")"
// clang-format on

// sql: a literal.
static struct stmt *ask(struct store *s, const struct unattended *u, const char *sql)
{
    struct stmt *q = store_sql(s, sql);
    bind_int(q, 1, u->wall);
    bind_int(q, 2, u->boot);
    bind_int(q, 3, u->after);
    return q;
}

int unattended_count(struct store *s, const struct unattended *u, int64_t *ret_n)
{
    struct stmt *q = ask(s, u, "SELECT count(*) FROM " UNATTENDED);
    int r = stmt_step(q);
    if (r > 0)
        *ret_n = col_int(q, 0);
    stmt_reset(q);
    return r < 0 ? r : 0;
}

int unattended_worst(struct store *s, const struct unattended *u, int64_t ids[UNATTENDED_NAMED],
                     int *ret_n)
{
    struct stmt *q = ask(s, u,
                         "SELECT i.id FROM " UNATTENDED " JOIN incident i USING(id)"
                         " ORDER BY i.severity DESC, i.environment DESC, i.id LIMIT 10");
    int n = 0, r;
    while ((r = stmt_step(q)) > 0)
        if (n < UNATTENDED_NAMED)
            ids[n++] = col_int(q, 0);
    if (r == 0)
        *ret_n = n;
    return r;
}

int unattended_told(struct store *s, const struct unattended *u)
{
    int r = stmt_run(ask(s, u,
                         "INSERT INTO trail(at, incident_id, actor, action, detail) "
                         "SELECT ?1, id, 'channel', 'paged', '' FROM " UNATTENDED));
    return r < 0 ? r
                 : stmt_run(ask(s, u, "UPDATE incident SET paged_at = ?1 WHERE id IN " UNATTENDED));
}
