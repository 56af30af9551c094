#pragma once

// The one SQLite database that both channels share: opened, checked, migrated; statements;
// transactions. sqlite3.h stays inside. The tables are in schema.c; the SQL that reads and writes
// them lives with the module that owns them. Errors: -EBUSY locked by another process, -ENOSPC disk
// full, -EROFS not writable, -EILSEQ damaged, -EEXIST a constraint, -ENOMEM, -EIO anything else;
// store_error() has SQLite's own words.

#include "common/base.h"

struct store;
struct stmt;

// Opens (creates) <dir>/incidents.db: directory 0700, file 0600, WAL, synchronous=FULL, schema
// brought up to date. With `check` (servers) an existing file is checked first, and a damaged one
// is moved aside as incidents.db.damaged-<time>, said in the log, and a new one begun; without
// (subcommands) damage is -EILSEQ. The caller closes it. -EINVAL: the schema is newer than this
// program.
int store_open(const char *dir, bool check, struct store **ret_store) MUST_CHECK;
void store_close(struct store *s); // NULL is fine; finalizes every statement
// Reads the whole file: 0, -EILSEQ, or -ETIMEDOUT when nothing was wrong until then.
int store_check(struct store *s, int64_t within_ms) MUST_CHECK;
const char *store_error(const struct store *s);
const char *store_path(const struct store *s);

// How long a statement may wait for another process's lock. 0 (what servers use on their loop)
// returns -EBUSY at once.
void store_busy_timeout(struct store *s, int ms);

// Changes whenever another process commits; read it to learn that there is something new.
int64_t store_data_version(struct store *s);

// A prepared statement from the store's cache, reset and with its parameters unbound, which is
// NULL. `sql` must be a literal: its address is the key. Never NULL: one that could not be prepared
// returns its error from stmt_step. Belongs to the store.
struct stmt *store_sql(struct store *s, const char *sql);

void bind_int(struct stmt *q, int n, int64_t v); // n from 1
void bind_real(struct stmt *q, int n, double v);
void bind_text(struct stmt *q, int n,
               const char *v); // NULL binds null; borrowed until the statement is reset
void bind_str(struct stmt *q, int n, struct str v);

int stmt_step(struct stmt *q) MUST_CHECK; // 1 a row, 0 done (and reset), <0 error (and reset)
void stmt_reset(struct stmt *q);          // after leaving a loop of rows early
int stmt_run(struct stmt *q) MUST_CHECK;  // steps to the end: 0 or <0

int64_t col_int(struct stmt *q, int n); // n from 0; NULL reads 0
double col_real(struct stmt *q, int n);
const char *col_text(struct stmt *q, int n); // never NULL: "" for NULL; valid until the next step
bool col_is_null(struct stmt *q, int n);

int64_t store_last_id(struct store *s); // rowid of the last insert
int64_t store_changes(struct store *s); // rows changed by the last statement

int store_begin(struct store *s) MUST_CHECK;  // BEGIN IMMEDIATE
int store_commit(struct store *s) MUST_CHECK; // on failure the transaction is rolled back
void store_rollback(struct store *s);

// Moves what the WAL holds into the database, once it has grown, without waiting for readers. Off
// the request path: the automatic checkpoint is switched off.
void store_checkpoint(struct store *s);
// The same for the database at `path`, in any thread: on a connection of its own. The pages of the
// WAL that are in the database now.
int store_checkpoint_aside(const char *path, int64_t *ret_moved) MUST_CHECK;
int64_t store_wal_pages(const struct store *s); // as of the last commit
