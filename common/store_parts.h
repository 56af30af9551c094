#pragma once

// What the files of the store share, private to them: store_open.c opens and migrates,
// store_damage.c finds damage and moves it aside, store_rescue.c writes a deleted file anew,
// store_sql.c runs statements, store.c has transactions and checkpoints. Nothing else includes
// this.

#include "common/store.h"

struct sqlite3;
struct sqlite3_stmt;

#define STORE_STATEMENTS 512 // a power of two, well above the number of distinct ones

struct stmt {
    struct sqlite3_stmt *q; // NULL: it could not be prepared; binding does nothing, stepping
                            // returns `error`
    const char *sql;        // key: the literal's address
    struct store *store;
    int error;
    bool used; // since it was reset
};

struct store {
    struct sqlite3 *db;
    char *path;
    int lock_fd; // shared lock: held as long as the database is open
    int busy_ms, open_patience_ms;
    int wal_pages;
    bool quick_check;
    bool gone;   // the file went away; said once
    bool reopen; // could not be opened anew, or only for reading: tried at each transaction
    char error[256];
    struct stmt cache[STORE_STATEMENTS];
    struct stmt unprepared;
};

// A result code of SQLite as an errno of store.h; 0 for SQLITE_OK, SQLITE_ROW and SQLITE_DONE.
int store_errno(int rc);
// The same, and keeps SQLite's words for store_error() and what follows from the error.
int store_fail(struct store *s, int rc);
int store_exec(struct store *s, const char *sql) MUST_CHECK;
int store_query_int(struct store *s, const char *sql, int64_t *ret) MUST_CHECK;

// ---- store_open.c ----

// Someone deleted or replaced the file: what is committed now would be in a file that nobody finds.
// When it cannot be opened now (a disk that is not mounted), the next transaction tries again.
int store_reopen_if_moved(struct store *s) MUST_CHECK;

// ---- store_damage.c ----

// A process that meets damage while it runs leaves a mark, so that the next start checks whatever
// the size.
void store_mark_damaged(const struct store *s);
// The check at start, where it is due: 0, -EILSEQ or another error.
int store_check_start(struct store *s) MUST_CHECK;
// Renames the database, which the caller has disconnected; the lock is held. Fine if another
// process was faster. -EILSEQ: others use it.
int store_move_aside(struct store *s) MUST_CHECK;
