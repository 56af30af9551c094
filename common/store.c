#include "common/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

#include "common/store_parts.h"

#define CHECKPOINT_PAGES 1000

// ---- errors ----

int store_errno(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return -EROFS;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EILSEQ;
    case SQLITE_CONSTRAINT:
        return -EEXIST;
    case SQLITE_NOMEM:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

int store_fail(struct store *s, int rc)
{
    int r = store_errno(rc);
    if (r < 0)
        snprintf(s->error, sizeof s->error, "%s", sqlite3_errmsg(s->db));
    if (r == -EILSEQ)
        store_mark_damaged(s);
    s->reopen |= r == -EROFS; // opened for reading only, it stays so until it is opened again
    return r;
}

const char *store_error(const struct store *s)
{
    return s->error;
}

int store_exec(struct store *s, const char *sql)
{
    return store_fail(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

int store_query_int(struct store *s, const char *sql, int64_t *ret)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    int r = store_fail(s, rc);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return r;
}

// ---- transactions ----

int store_begin(struct store *s)
{
    int r = store_reopen_if_moved(s);
    return r < 0 ? r : stmt_run(store_sql(s, "BEGIN IMMEDIATE"));
}

int store_commit(struct store *s)
{
    int r = stmt_run(store_sql(s, "COMMIT"));
    if (r < 0)
        store_rollback(s);
    return r;
}

void store_rollback(struct store *s)
{
    if (s->db && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

int64_t store_data_version(struct store *s)
{
    struct stmt *q = store_sql(s, "PRAGMA data_version");
    int64_t v = stmt_step(q) > 0 ? col_int(q, 0) : 0;
    stmt_reset(q);
    return v;
}

// ---- the write-ahead log ----

int64_t store_wal_pages(const struct store *s)
{
    return s->wal_pages;
}

void store_checkpoint(struct store *s)
{
    if (s->wal_pages < CHECKPOINT_PAGES)
        return;
    s->wal_pages = 0;
    sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

int store_checkpoint_aside(const char *path, int64_t *ret_moved)
{
    sqlite3 *db = NULL;
    int pages = 0, moved = 0;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) // reads the head of the file, which tells that there is a log
        rc = sqlite3_exec(db, "PRAGMA schema_version", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    sqlite3_close_v2(db);
    if (rc == SQLITE_OK)
        *ret_moved = moved;
    return store_errno(rc);
}

// ---- what it is ----

const char *store_path(const struct store *s)
{
    return s->path;
}

void store_busy_timeout(struct store *s, int ms)
{
    s->busy_ms = ms;
    sqlite3_busy_timeout(s->db, ms);
}
