#include "channels/webhook/digest.h"

#define STRING(x) #x
#define NUMBER(x) STRING(x)
#define CHOSEN                                                                                     \
    "INSERT INTO digest SELECT id, problem_id, severity, environment, status, state, "             \
    "asked_at, 0 FROM incident WHERE "

// A connection that was opened anew has none.
static int make_tables(struct store *s)
{
    // cause: 0, 1 = explained by the cause at hand, 2 = by an earlier one
    int r = stmt_run(store_sql(
        s, "CREATE TEMP TABLE IF NOT EXISTS digest(id INTEGER PRIMARY KEY, problem_id INTEGER, "
           "severity INTEGER, prod INTEGER, status INTEGER, state INTEGER, asked_at INTEGER, cause "
           "INTEGER)"));
    if (r < 0)
        return r;
    return stmt_run(
        store_sql(s, "CREATE TEMP TABLE IF NOT EXISTS digest_node(node TEXT, id INTEGER)"));
}

static int forget(struct store *s)
{
    int r = stmt_run(store_sql(s, "DELETE FROM digest"));
    return r < 0 ? r : stmt_run(store_sql(s, "DELETE FROM digest_node"));
}

static int choose(struct store *s, struct stmt *which)
{
    int r = stmt_run(which);
    if (r < 0)
        return r;
    return stmt_run(store_sql(
        s, "INSERT INTO digest_node SELECT DISTINCT a.node, d.id FROM digest d CROSS JOIN alert a "
           "ON a.incident_id = d.id WHERE a.node <> ''"));
}

int digest_choose_due(struct store *s, int64_t now)
{
    int r = make_tables(s);
    if (r == 0)
        r = forget(s);
    if (r < 0)
        return r;
    struct stmt *q = store_sql(s, CHOSEN "due_at <= ? LIMIT " NUMBER(DIGEST_MAX));
    bind_int(q, 1, now);
    return choose(s, q);
}

int digest_choose_waiting(struct store *s, int64_t began, int64_t wall)
{
    int r = make_tables(s);
    if (r == 0)
        r = forget(s);
    if (r < 0)
        return r;
    // With a clock set back, some was asked in the future.
    struct stmt *q = store_sql(
        s, CHOSEN "state < 3 AND kind <> 1 AND (asked_at < ?1 OR state > 0)"
                  " AND NOT (state = 2 AND since_at BETWEEN ?1 AND ?2) LIMIT " NUMBER(DIGEST_MAX));
    bind_int(q, 1, began);
    bind_int(q, 2, wall);
    return choose(s, q);
}

int digest_total(struct store *s, struct digest_totals *ret_totals)
{
    struct stmt *q = store_sql(
        s, "SELECT count(*), sum(i.status = 0), sum(i.environment), sum(i.members), sum(i.paged_at "
           "IS NOT NULL), max(i.severity) FROM digest d CROSS JOIN incident i ON i.id = d.id");
    int r = stmt_step(q);
    if (r > 0)
        *ret_totals = (struct digest_totals){.incidents = col_int(q, 0),
                                             .firing = col_int(q, 1),
                                             .prod = col_int(q, 2),
                                             .alerts = col_int(q, 3),
                                             .paged = col_int(q, 4),
                                             .worst = col_int(q, 5)};
    stmt_reset(q);
    return r < 0 ? r : 0;
}

// ---- recording ----

// The last id of the next part; 0 = nothing is left.
static int part_end(struct store *s, int64_t *ret_id)
{
    struct stmt *q = store_sql(
        s, "SELECT max(id) FROM (SELECT id FROM digest ORDER BY id LIMIT " NUMBER(DIGEST_PART) ")");
    int r = stmt_step(q);
    *ret_id = r > 0 ? col_int(q, 0) : 0;
    stmt_reset(q);
    return r < 0 ? r : 0;
}

static int add_trail(struct store *s, const struct digest_note *note, int64_t end)
{
    struct stmt *q = store_sql(s, "INSERT INTO trail(at, incident_id, actor, action, detail)"
                                  " SELECT ?1, id, 'channel', 'pushed', 'in a digest' FROM digest "
                                  "WHERE id <= ?2");
    bind_int(q, 1, note->wall);
    bind_int(q, 2, end);
    return stmt_run(q);
}

static int set_pushed(struct store *s, const struct digest_note *note, int64_t end)
{
    struct stmt *q = store_sql(
        s, "UPDATE incident AS i SET deliveries = deliveries + 1,"
           " state = CASE WHEN i.state = 2 AND NOT ?1 THEN 2 ELSE 1 END,"
           " delivery = CASE WHEN ?1 THEN 1 ELSE delivery + (i.state <> 2) END, pushed_at = ?2,"
           // Neither a test nor a reminder comes twice.
           " due_at = CASE WHEN kind = 1 OR ((delivery + 1 >= 3 OR i.state = 2) AND NOT ?1) THEN "
           "NULL ELSE nullif(?3, 0) END"
           " FROM digest d WHERE d.id <= ?4 AND i.id = d.id AND i.state = d.state AND i.asked_at = "
           "d.asked_at");
    bind_int(q, 1, note->session_start);
    bind_int(q, 2, note->wall);
    bind_int(q, 3, note->due_at);
    bind_int(q, 4, end);
    return stmt_run(q);
}

int digest_record(struct store *s, const struct digest_note *note)
{
    int64_t end = 0, more = 0;
    int r = make_tables(s);
    if (r == 0)
        r = part_end(s, &end);
    if (r < 0 || !end)
        return r;
    r = add_trail(s, note, end);
    if (r == 0)
        r = set_pushed(s, note, end);
    struct stmt *q = store_sql(s, "DELETE FROM digest WHERE id <= ?");
    bind_int(q, 1, end);
    if (r == 0)
        r = stmt_run(q);
    if (r == 0)
        r = part_end(s, &more);
    return r < 0 ? r : more != 0;
}

int digest_take_back(struct store *s, const struct digest_note *note)
{
    struct stmt *q = store_sql(
        s, "UPDATE incident SET due_at = 0, deliveries = deliveries - 1, delivery = max(delivery - "
           "(state <> 2), 0)"
           " WHERE id IN (SELECT incident_id FROM trail WHERE at = ? AND detail = 'in a digest')");
    bind_int(q, 1, note->wall);
    int r = stmt_run(q);
    if (r == 0)
        r = make_tables(s);
    return r < 0 ? r : forget(s);
}
