#include "channels/webhook/ticket_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/trail.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/lease.h"
#include "common/page.h"

#define MAX_STRINGS (256 * 1024)
#define FAR_MS (2 * 3600 * 1000ll) // nothing is put off so far: the clock was set back

// ---- into the outbox ----

static int find_ticket(struct store *s, struct ticket_new *t, int64_t *ret_ticket)
{
    int64_t ticket = 0;
    for (int i = 0; i < t->n; i++) {
        struct stmt *q = store_sql(
            s, "SELECT coalesce((SELECT p.ticket_id FROM ticket_problem p WHERE p.problem_id = "
               "i.problem_id), 0) FROM incident i WHERE i.id = ?");
        bind_int(q, 1, t->ids[i]);
        int r = stmt_step(q);
        int64_t id = r > 0 ? col_int(q, 0) : 0;
        stmt_reset(q);
        if (r == 0)
            t->unknown = t->ids[i];
        if (r <= 0)
            return r < 0 ? r : -ENOENT;
        if (id > ticket)
            ticket = id;
    }
    *ret_ticket = ticket;
    return 0;
}

static int add_ticket(struct store *s, const char *title, int64_t now, int64_t *ret_ticket)
{
    uint8_t bytes[6];
    char mark[32] = "sre-";
    random_bytes(bytes, sizeof bytes);
    hex_encode((struct str){(const char *)bytes, sizeof bytes}, mark + 4);
    struct stmt *q = store_sql(s, "INSERT INTO ticket(at, title, mark) VALUES(?, ?, ?)");
    bind_int(q, 1, now);
    bind_text(q, 2, title);
    bind_text(q, 3, mark);
    int r = stmt_run(q);
    if (r == 0)
        *ret_ticket = store_last_id(s);
    return r;
}

static int point_to(struct store *s, int64_t ticket, const char *incidents)
{
    struct stmt *q = store_sql(s, "INSERT OR REPLACE INTO ticket_incident(incident_id, ticket_id) "
                                  "SELECT i.id, ?1 FROM json_each(?2) j CROSS JOIN incident i ON "
                                  "i.id = j.value");
    bind_int(q, 1, ticket);
    bind_text(q, 2, incidents);
    int r = stmt_run(q);
    q = store_sql(s,
                  "INSERT OR REPLACE INTO ticket_problem(problem_id, ticket_id) SELECT "
                  "i.problem_id, ?1 FROM json_each(?2) j CROSS JOIN incident i ON i.id = j.value");
    bind_int(q, 1, ticket);
    bind_text(q, 2, incidents);
    return r < 0 ? r : stmt_run(q);
}

static int add_row(struct store *s, int64_t ticket, enum ticket_op op, const struct ticket_new *t,
                   const char *incidents, int64_t now)
{
    struct stmt *q =
        store_sql(s, "INSERT INTO ticket_outbox(ticket_id, at, op, body, labels, assignee, "
                     "incidents, due_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?2 WHERE (SELECT "
                     "count(*) FROM ticket_outbox) < ?8");
    bind_int(q, 1, ticket);
    bind_int(q, 2, now);
    bind_int(q, 3, op);
    bind_text(q, 4, t->body);
    bind_text(q, 5, t->labels);
    bind_text(q, 6, t->assignee);
    bind_text(q, 7, incidents);
    bind_int(q, 8, TICKET_MAX_OPEN);
    int r = stmt_run(q);
    return r < 0 ? r : store_changes(s) > 0 ? 0 : -ENOBUFS;
}

int ticket_queue(struct store *s, struct ticket_new *t, int64_t now, int64_t *ret_ticket,
                 int64_t *ret_row)
{
    struct buf ids = BUF_INIT(4096);
    struct jw w = JW(&ids);
    jw_array(&w);
    for (int i = 0; i < t->n; i++)
        jw_int(&w, t->ids[i]);
    jw_array_end(&w);
    int64_t ticket = 0;
    int r = ids.error ? ids.error : find_ticket(s, t, &ticket);
    enum ticket_op op = ticket ? TICKET_OP_COMMENT : TICKET_OP_CREATE;
    if (r == 0 && !ticket)
        r = add_ticket(s, t->title, now, &ticket);
    if (r == 0)
        r = add_row(s, ticket, op, t, buf_cstr(&ids), now);
    int64_t row = store_last_id(s);
    if (r == 0)
        r = point_to(s, ticket, buf_cstr(&ids));
    buf_done(&ids);
    if (r < 0)
        return r;
    *ret_ticket = ticket;
    *ret_row = row;
    return 0;
}

// ---- out of it ----

static int read_row(struct store *s, int64_t id, struct ticket_row *row)
{
    struct stmt *q =
        store_sql(s, "SELECT o.ticket_id, o.op, o.attempts, t.mark, t.key, t.title, o.body, "
                     "o.labels, o.assignee, o.incidents FROM ticket_outbox o JOIN ticket t ON t.id "
                     "= o.ticket_id WHERE o.id = ?");
    bind_int(q, 1, id);
    int r = stmt_step(q);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    *row = (struct ticket_row){
        .id = id, .ticket_id = col_int(q, 0), .op = col_int(q, 1), .attempts = col_int(q, 2)};
    snprintf(row->mark, sizeof row->mark, "%s", col_text(q, 3));
    snprintf(row->note, sizeof row->note, "(%s-%lld)", row->mark, (long long)id);
    snprintf(row->key, sizeof row->key, "%s", col_text(q, 4));
    const char **fields[] = {&row->title, &row->body, &row->labels, &row->assignee,
                             &row->incidents};
    size_t at[ARRAY_LEN(fields)];
    struct buf all = BUF_INIT(MAX_STRINGS);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        at[i] = all.len;
        buf_adds(&all, col_text(q, 5 + (int)i));
        buf_addc(&all, '\0');
    }
    stmt_reset(q);
    r = all.error;
    row->strings = buf_take(&all);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(fields); i++)
        *fields[i] = row->strings + at[i];
    return r;
}

void ticket_row_done(struct ticket_row *row)
{
    free(row->strings);
    *row = (struct ticket_row){0};
}

// A comment waits for its ticket. What another live process tries is left to it.
static int find_due(struct store *s, int64_t now, int64_t *ret_id)
{
    struct stmt *q = store_sql(
        s, "SELECT o.id, o.by FROM ticket_outbox o JOIN ticket t ON t.id = o.ticket_id WHERE "
           "(o.due_at <= ?1 OR o.due_at > ?1 + ?2) AND (o.op = 0 OR t.key <> '') ORDER BY o.id");
    bind_int(q, 1, now);
    bind_int(q, 2, FAR_MS);
    int64_t id = 0;
    int r;
    while (!id && (r = stmt_step(q)) > 0) {
        const char *by = col_text(q, 1);
        if (!by[0] || strcmp(by, lease_self()) == 0 || !lease_alive(by))
            id = col_int(q, 0);
    }
    stmt_reset(q);
    *ret_id = id;
    return id ? 1 : r;
}

static int ended(struct store *s, int r)
{
    if (r >= 0)
        return store_commit(s);
    store_rollback(s);
    return r;
}

int ticket_claim(struct store *s, int64_t now, struct ticket_row *ret_row)
{
    int64_t id = 0;
    int r = find_due(s, now, &id); // outside of a transaction: mostly there is nothing
    if (r <= 0)
        return r;
    r = store_begin(s);
    if (r < 0)
        return r;
    r = find_due(s, now, &id);
    bool found = r > 0;
    struct stmt *q =
        store_sql(s, "UPDATE ticket_outbox SET by = ?2, attempts = attempts + 1 WHERE id = ?1");
    bind_int(q, 1, id);
    bind_text(q, 2, lease_self());
    if (found)
        r = stmt_run(q);
    struct ticket_row row = {0};
    if (r == 0 && found)
        r = read_row(s, id, &row);
    r = ended(s, r);
    if (r < 0 || !found) {
        ticket_row_done(&row);
        return r;
    }
    *ret_row = row;
    return 1;
}

// ---- the end of an attempt ----

static int drop_row(struct store *s, int64_t id)
{
    struct stmt *q = store_sql(s, "DELETE FROM ticket_outbox WHERE id = ?");
    bind_int(q, 1, id);
    return stmt_run(q);
}

static int tell(struct store *s, const struct ticket_row *row, const char *action, const char *what,
                int64_t now)
{
    struct stmt *q =
        store_sql(s, "INSERT INTO trail(at, incident_id, actor, action, detail) SELECT "
                     "?1, value, 'channel', ?2, ?3 FROM json_each(?4) j");
    bind_int(q, 1, now);
    bind_text(q, 2, action);
    bind_text(q, 3, what);
    bind_text(q, 4, row->incidents);
    return stmt_run(q);
}

static int page(struct store *s, const char *severity, const char *text, int64_t now)
{
    return page_add(s, &(struct page){.severity = severity, .text = text}, now, NULL);
}

int ticket_created(struct store *s, const struct ticket_row *row, const char *key, const char *url,
                   int64_t now)
{
    char text[1200];
    snprintf(text, sizeof text, "Ticket %s: %.400s\n%s", key, row->title, url);
    int r = store_begin(s);
    if (r < 0)
        return r;
    struct stmt *q = store_sql(s, "UPDATE ticket SET key = ?2, url = ?3 WHERE id = ?1");
    bind_int(q, 1, row->ticket_id);
    bind_text(q, 2, key);
    bind_text(q, 3, url);
    r = stmt_run(q);
    if (r == 0)
        r = drop_row(s, row->id);
    if (r == 0)
        r = tell(s, row, "ticket", key, now);
    if (r == 0)
        r = page(s, "info", text, now);
    return ended(s, r);
}

int ticket_commented(struct store *s, const struct ticket_row *row, int64_t now)
{
    int r = store_begin(s);
    if (r < 0)
        return r;
    r = drop_row(s, row->id);
    if (r == 0)
        r = tell(s, row, "ticket comment", row->key, now);
    return ended(s, r);
}

int ticket_renew(struct store *s, const struct ticket_row *row, int64_t now)
{
    int64_t ticket = 0;
    int r = store_begin(s);
    if (r < 0)
        return r;
    r = add_ticket(s, row->title, now, &ticket);
    struct stmt *q = store_sql(s, "UPDATE ticket_problem SET ticket_id = ?2 WHERE ticket_id = ?1");
    bind_int(q, 1, row->ticket_id);
    bind_int(q, 2, ticket);
    if (r == 0)
        r = stmt_run(q);
    // Comments that wait behind this one are for the new ticket, too.
    q = store_sql(s, "UPDATE ticket_outbox SET ticket_id = ?2, by = '', attempts = 0, op = CASE id "
                     "WHEN ?3 THEN 0 ELSE op END WHERE ticket_id = ?1");
    bind_int(q, 1, row->ticket_id);
    bind_int(q, 2, ticket);
    bind_int(q, 3, row->id);
    if (r == 0)
        r = stmt_run(q);
    if (r == 0)
        r = point_to(s, ticket, row->incidents);
    return ended(s, r);
}

int ticket_without_assignee(struct store *s, const struct ticket_row *row)
{
    struct stmt *q =
        store_sql(s, "UPDATE ticket_outbox SET assignee = '', by = '', attempts = 0 WHERE id = ?");
    bind_int(q, 1, row->id);
    return stmt_run(q);
}

int ticket_later(struct store *s, const struct ticket_row *row, int64_t due_at, const char *why)
{
    struct stmt *q =
        store_sql(s, "UPDATE ticket_outbox SET by = '', due_at = ?2, error = ?3 WHERE id = ?1");
    bind_int(q, 1, row->id);
    bind_int(q, 2, due_at);
    bind_text(q, 3, why);
    return stmt_run(q);
}

int ticket_given_up(struct store *s, const struct ticket_row *row, const char *why, int64_t now)
{
    char text[1200];
    snprintf(text, sizeof text, "Ticket %s \"%.400s\" could not be written: %.300s",
             row->key[0] ? row->key : "(new)", row->title, why);
    int r = store_begin(s);
    if (r < 0)
        return r;
    r = tell(s, row, "ticket refused", why, now);
    if (r == 0)
        r = page(s, "warning", text, now);
    if (r == 0)
        r = drop_row(s, row->id);
    // One that never came to be is no ticket, and what waited for it goes with it.
    struct stmt *gone[] = {
        store_sql(s, "DELETE FROM ticket_outbox WHERE ticket_id = ?1 AND ?2 = ''"),
        store_sql(s, "DELETE FROM ticket_problem WHERE ticket_id = ?1 AND ?2 = ''"),
        store_sql(s, "DELETE FROM ticket_incident WHERE ticket_id = ?1 AND ?2 = ''"),
        store_sql(s, "DELETE FROM ticket WHERE id = ?1 AND ?2 = ''"),
    };
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(gone); i++) {
        bind_int(gone[i], 1, row->ticket_id);
        bind_text(gone[i], 2, row->key);
        r = stmt_run(gone[i]);
    }
    return ended(s, r);
}

// ---- for those who ask ----

int ticket_state_read(struct store *s, int64_t row, struct ticket_state *ret_state)
{
    struct ticket_state state = {0};
    struct stmt *q = store_sql(s, "SELECT error FROM ticket_outbox WHERE id = ?");
    bind_int(q, 1, row);
    int r = stmt_step(q);
    state.waits = r > 0;
    if (r > 0)
        snprintf(state.why, sizeof state.why, "%s", col_text(q, 0));
    stmt_reset(q);
    if (r < 0)
        return r;
    *ret_state = state;
    return 0;
}

int ticket_of_incident(struct store *s, int64_t incident_id, char key[64], char url[512])
{
    struct stmt *q =
        store_sql(s, "SELECT t.key, t.url FROM ticket_incident i JOIN ticket t ON t.id = "
                     "i.ticket_id WHERE i.incident_id = ? AND t.key <> ''");
    bind_int(q, 1, incident_id);
    int r = stmt_step(q);
    if (r > 0) {
        snprintf(key, 64, "%s", col_text(q, 0));
        snprintf(url, 512, "%s", col_text(q, 1));
    }
    stmt_reset(q);
    return r;
}
