// Statements: prepared once, found by the address of their literal.

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/store_parts.h"

// With SRE_LOG=debug: every statement, once, and where SQLite reads a table or an index from end to
// end for it. The tests hold this against a list of what may be.
static void log_plan(struct store *s, const char *sql)
{
    char *explain = NULL;
    sqlite3_stmt *q = NULL;
    if (!log_is_on(LOG_DEBUG) || asprintf(&explain, "EXPLAIN QUERY PLAN %s", sql) < 0)
        return;
    log_debug("query", "sql", sql);
    if (sqlite3_prepare_v2(s->db, explain, -1, &q, NULL) == SQLITE_OK)
        while (sqlite3_step(q) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(q, 3);
            if (detail && strncmp(detail, "SCAN ", 5) == 0)
                log_debug("query scans", "plan", detail, "sql", sql);
        }
    sqlite3_finalize(q);
    free(explain);
}

struct stmt *store_sql(struct store *s, const char *sql)
{
    size_t slot = ((uintptr_t)sql >> 3) * 0x9E3779B97F4A7C15u >> 40 & (STORE_STATEMENTS - 1);
    for (size_t i = 0; i < STORE_STATEMENTS; i++, slot = (slot + 1) & (STORE_STATEMENTS - 1)) {
        struct stmt *q = &s->cache[slot];
        if (q->sql == sql) {
            stmt_reset(q);
            return q;
        }
        if (q->sql)
            continue;
        int rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->q, NULL);
        s->unprepared = (struct stmt){.store = s, .error = store_fail(s, rc)};
        if (s->unprepared.error < 0)
            return &s->unprepared;
        log_plan(s, sql);
        q->sql = sql;
        q->store = s;
        return q;
    }
    s->unprepared = (struct stmt){.store = s, .error = -ENOMEM};
    return &s->unprepared;
}

void bind_int(struct stmt *q, int n, int64_t v)
{
    q->used = true;
    if (q->q)
        sqlite3_bind_int64(q->q, n, v);
}

void bind_real(struct stmt *q, int n, double v)
{
    q->used = true;
    if (q->q)
        sqlite3_bind_double(q->q, n, v);
}

void bind_text(struct stmt *q, int n, const char *v)
{
    q->used = true;
    if (q->q)
        sqlite3_bind_text(q->q, n, v, -1, SQLITE_STATIC);
}

void bind_str(struct stmt *q, int n, struct str v)
{
    q->used = true;
    if (q->q)
        sqlite3_bind_text(q->q, n, v.p ? v.p : "", (int)v.n, SQLITE_STATIC);
}

int stmt_step(struct stmt *q)
{
    if (!q->q)
        return q->error;
    q->used = true;
    int rc = sqlite3_step(q->q);
    if (rc == SQLITE_ROW)
        return 1;
    int r = rc == SQLITE_DONE ? 0 : store_fail(q->store, rc);
    stmt_reset(q);
    return r;
}

void stmt_reset(struct stmt *q)
{
    if (!q->q || !q->used)
        return;
    sqlite3_reset(q->q);
    sqlite3_clear_bindings(q->q);
    q->used = false;
}

int stmt_run(struct stmt *q)
{
    int r;
    while ((r = stmt_step(q)) > 0)
        ;
    return r;
}

int64_t col_int(struct stmt *q, int n)
{
    return sqlite3_column_int64(q->q, n);
}

double col_real(struct stmt *q, int n)
{
    return sqlite3_column_double(q->q, n);
}

const char *col_text(struct stmt *q, int n)
{
    const unsigned char *t = sqlite3_column_text(q->q, n);
    return t ? (const char *)t : "";
}

bool col_is_null(struct stmt *q, int n)
{
    return sqlite3_column_type(q->q, n) == SQLITE_NULL;
}

int64_t store_last_id(struct store *s)
{
    return sqlite3_last_insert_rowid(s->db);
}

int64_t store_changes(struct store *s)
{
    return sqlite3_changes64(s->db);
}
