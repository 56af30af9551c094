#include "common/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/schema.h"
#include "common/store_rescue.h"

// A check at start must not keep alerts waiting: it is done up to this size, beyond it by `doctor`
// or when a process marked the file after meeting damage.
#define QUICK_CHECK_BYTES (64ll << 20)
#define CHECKPOINT_PAGES 1000
#define CHECK_STEPS 10000 // of the machine of a statement, between looks at the clock
#define CACHE_SLOTS 512   // a power of two, well above the number of distinct statements
#define OPEN_PATIENCE_MS 5000
#define OPEN_TRY_MS 20
#define REOPEN_PATIENCE_MS 200 // on the loop
#define ALONE_PATIENCE_MS 1000
#define ALONE_TRY_MS 50

struct stmt {
    sqlite3_stmt
        *q; // NULL: it could not be prepared; binding does nothing, stepping returns `error`
    const char *sql; // key: the literal's address
    struct store *store;
    int error;
    bool used; // since it was reset
};

struct store {
    sqlite3 *db;
    char *path;
    int lock_fd; // shared lock: held as long as the database is open
    int busy_ms, open_patience_ms;
    int wal_pages;
    bool quick_check;
    bool gone;   // the file went away; said once
    bool reopen; // could not be opened anew, or only for reading: tried at each transaction
    char error[256];
    struct stmt cache[CACHE_SLOTS];
    struct stmt unprepared;
};

// ---- errors ----

static int map_error(int rc)
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

// A process that meets damage while it runs leaves a mark, so that the next start checks whatever
// the size.
static void mark_damaged(const struct store *s)
{
    char *mark = NULL;
    if (asprintf(&mark, "%s.check", s->path) < 0)
        return;
    int fd = open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    free(mark);
}

static int fail(struct store *s, int rc)
{
    int r = map_error(rc);
    if (r < 0)
        snprintf(s->error, sizeof s->error, "%s", sqlite3_errmsg(s->db));
    if (r == -EILSEQ)
        mark_damaged(s);
    s->reopen |= r == -EROFS; // opened for reading only, it stays so until it is opened again
    return r;
}

const char *store_error(const struct store *s)
{
    return s->error;
}

const char *store_path(const struct store *s)
{
    return s->path;
}

static int exec(struct store *s, const char *sql)
{
    return fail(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

// ---- opening ----

static bool dir_is_ours_to_close(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return false;
    bool empty = true, has_db = false;
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            empty = false;
        if (!strcmp(e->d_name, "incidents.db"))
            has_db = true;
    }
    closedir(d);
    return empty || has_db;
}

// mkdir -p with 0700. A folder that exists is closed to others when it is empty or already ours,
// never when it is somebody's (SRE_STATE_DIR=/tmp).
static int make_dir(const char *dir)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s", dir) >= sizeof path)
        return -ENAMETOOLONG;
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return -errno;
        *p = '/';
    }
    if (mkdir(path, 0700) == 0)
        return 0;
    struct stat st;
    if (errno != EEXIST || stat(path, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if ((st.st_mode & 077) && st.st_uid == geteuid() && dir_is_ours_to_close(path) &&
        chmod(path, 0700) < 0)
        return -errno;
    return 0;
}

static int take_lock(struct store *s)
{
    char *path = NULL;
    if (asprintf(&path, "%s.lock", s->path) < 0)
        return -ENOMEM;
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    s->lock_fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    int r = s->lock_fd < 0 ? -errno : 0;
    free(path);
    if (r == 0 && flock(s->lock_fd, LOCK_SH) < 0)
        r = -errno;
    return r;
}

static int on_wal(void *data, sqlite3 *db, const char *name, int pages)
{
    (void)db, (void)name;
    ((struct store *)data)->wal_pages = pages;
    return SQLITE_OK;
}

static int connect_db(struct store *s)
{
    mode_t mask = umask(0077);
    int rc = sqlite3_open_v2(
        s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    umask(mask);
    if (rc != SQLITE_OK)
        return s->db ? fail(s, rc) : -ENOMEM;
    chmod(s->path, 0600);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, s->open_patience_ms);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    int r = exec(s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
                    "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-2000;"
                    "PRAGMA journal_size_limit=8388608; PRAGMA trusted_schema=OFF");
    sqlite3_wal_hook(s->db, on_wal, s);
    return r;
}

static void disconnect_db(struct store *s)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        sqlite3_finalize(s->cache[i].q);
    memset(s->cache, 0, sizeof s->cache);
    sqlite3_close_v2(s->db);
    s->db = NULL;
}

static int query_int(struct store *s, const char *sql, int64_t *ret)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    int r = fail(s, rc);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return r;
}

static int migrate(struct store *s)
{
    int64_t version = 0;
    int r = query_int(s, "PRAGMA user_version", &version);
    if (r == 0 && version == (int64_t)schema_version)
        return 0;
    if (r == 0)
        r = exec(s, "BEGIN IMMEDIATE");
    if (r < 0)
        return r;
    r = query_int(s, "PRAGMA user_version", &version); // another process may have been faster
    if (r == 0 && version > (int64_t)schema_version) {
        snprintf(s->error, sizeof s->error,
                 "the database has schema version %lld, this program knows %zu: upgrade it",
                 (long long)version, schema_version);
        r = -EINVAL;
    }
    for (; r == 0 && version < (int64_t)schema_version; version++)
        r = exec(s, schema_steps[version]);
    char set[64];
    snprintf(set, sizeof set, "PRAGMA user_version=%zu", schema_version);
    if (r == 0)
        r = exec(s, set);
    if (r == 0)
        r = exec(s, "COMMIT");
    if (r < 0) {
        char keep[sizeof s->error];
        memcpy(keep, s->error, sizeof keep);
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        memcpy(s->error, keep, sizeof keep);
    }
    return r;
}

static int quick_check(struct store *s)
{
    char *mark = NULL;
    if (asprintf(&mark, "%s.check", s->path) < 0)
        return -ENOMEM;
    struct stat st;
    bool marked = access(mark, F_OK) == 0;
    bool small = stat(s->path, &st) == 0 && st.st_size <= QUICK_CHECK_BYTES;
    int r = 0;
    if (marked || (s->quick_check && small)) {
        int64_t ok = 0;
        r = query_int(s, "SELECT count(*) FROM pragma_quick_check WHERE quick_check = 'ok'", &ok);
        if (r == 0 && !ok) {
            snprintf(s->error, sizeof s->error, "quick_check found damage");
            r = -EILSEQ;
        }
    }
    if (marked && r == 0)
        unlink(mark);
    free(mark);
    return r;
}

static void move_one(const char *path, const char *suffix, const char *stamp)
{
    char *from = NULL, *to = NULL;
    if (asprintf(&from, "%s%s", path, suffix) >= 0 &&
        asprintf(&to, "%s.damaged-%s%s", path, stamp, suffix) >= 0)
        rename(from, to);
    free(from);
    free(to);
}

// Nobody else may have it open: they would go on writing into the file that is moved. Both channels
// start in the same moment and find the same damage: each lets go of the lock while it waits, so
// that one of them gets it; the other finds a new file. 0 = ours to move, 1 = it was moved.
static int take_alone(struct store *s)
{
    struct stat damaged, now;
    if (stat(s->path, &damaged) < 0) // as long as we hold the lock nobody moves it
        return -errno;
    for (int waited = 0; waited < ALONE_PATIENCE_MS; waited += ALONE_TRY_MS) {
        if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        flock(s->lock_fd, LOCK_UN);
        nanosleep(&(struct timespec){.tv_nsec = ALONE_TRY_MS * 1000000}, NULL);
        if (stat(s->path, &now) == 0 && now.st_ino != damaged.st_ino)
            return 1;
    }
    log_error("the database is damaged but other processes use it: stop them, then start again",
              "path", s->path);
    return -EILSEQ;
}

static int move_aside(struct store *s)
{
    int r = take_alone(s);
    if (r < 0)
        return r;
    if (r > 0)
        return flock(s->lock_fd, LOCK_SH) < 0 ? -errno : 0;
    char stamp[32], *mark = NULL;
    time_t now = time(NULL);
    struct tm tm;
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    move_one(s->path, "", stamp);
    move_one(s->path, "-wal", stamp);
    move_one(s->path, "-shm", stamp);
    if (asprintf(&mark, "%s.check", s->path) >= 0)
        unlink(mark);
    free(mark);
    log_error("the database was damaged: moved aside, a new one begun; the history before now is "
              "in the old file",
              "path", s->path, "moved_to_suffix", stamp, "why", s->error);
    return flock(s->lock_fd, LOCK_SH) < 0 ? -errno : 0;
}

static int open_db(struct store *s)
{
    int r = connect_db(s);
    if (r == 0)
        r = quick_check(s);
    if (r == 0)
        r = migrate(s);
    return r;
}

// Where several processes begin a new database in the same moment, as both channels do in a first
// session, SQLite refuses all but one of them at once, whatever the busy timeout.
static int open_patiently(struct store *s)
{
    int64_t end = clock_boot_ms() + OPEN_PATIENCE_MS;
    int r;
    while ((r = open_db(s)) == -EBUSY && clock_boot_ms() < end) {
        disconnect_db(s);
        nanosleep(&(struct timespec){.tv_nsec = OPEN_TRY_MS * 1000000}, NULL);
    }
    return r;
}

int store_open(const char *dir, bool check, struct store **ret_store)
{
    // No thread uses another's connection: no locks on them. Refused once it runs, which is as
    // good.
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->lock_fd = -1;
    s->quick_check = check;
    s->open_patience_ms = OPEN_PATIENCE_MS;
    int r = asprintf(&s->path, "%s/incidents.db", dir) < 0 ? -ENOMEM : 0;
    if (r == 0 && (r = make_dir(dir)) < 0)
        log_error("cannot create the state folder", "path", dir, "why", strerror(-r));
    if (r == 0)
        r = take_lock(s);
    if (r == 0)
        r = open_patiently(s);
    if (r == -EILSEQ && check) {
        disconnect_db(s);
        r = move_aside(s);
        if (r == 0)
            r = open_db(s);
    }
    if (r < 0) {
        log_error("cannot open the database", "path", s->path, "why",
                  s->error[0] ? s->error : strerror(-r));
        store_close(s);
        return r;
    }
    sqlite3_busy_timeout(s->db, s->busy_ms);
    s->quick_check = false;
    s->open_patience_ms = REOPEN_PATIENCE_MS;
    *ret_store = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    disconnect_db(s);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->path);
    free(s);
}

void store_busy_timeout(struct store *s, int ms)
{
    s->busy_ms = ms;
    sqlite3_busy_timeout(s->db, ms);
}

// ---- statements ----

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
    size_t slot = ((uintptr_t)sql >> 3) * 0x9E3779B97F4A7C15u >> 40 & (CACHE_SLOTS - 1);
    for (size_t i = 0; i < CACHE_SLOTS; i++, slot = (slot + 1) & (CACHE_SLOTS - 1)) {
        struct stmt *q = &s->cache[slot];
        if (q->sql == sql) {
            stmt_reset(q);
            return q;
        }
        if (q->sql)
            continue;
        int rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->q, NULL);
        s->unprepared = (struct stmt){.store = s, .error = fail(s, rc)};
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

void bind_null(struct stmt *q, int n)
{
    q->used = true;
    if (q->q)
        sqlite3_bind_null(q->q, n);
}

int stmt_step(struct stmt *q)
{
    if (!q->q)
        return q->error;
    q->used = true;
    int rc = sqlite3_step(q->q);
    if (rc == SQLITE_ROW)
        return 1;
    int r = rc == SQLITE_DONE ? 0 : fail(q->store, rc);
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

// ---- transactions ----

// The folder, and what a deleted file held: it is all still in the one that is open.
static int bring_back(struct store *s, bool moved)
{
    *strrchr(s->path, '/') = '\0';
    int r = make_dir(s->path);
    s->path[strlen(s->path)] = '/';
    if (r == 0 && moved)
        r = store_rescue(s->db, s->path);
    if (r > 0)
        log_warn("the deleted database was written anew, nothing is lost", "path", s->path);
    if (r >= 0)
        r = take_lock(s); // the old one went with the folder
    if (r < 0)
        snprintf(s->error, sizeof s->error, "%s", strerror(-r));
    return r;
}

// Someone deleted or replaced the file: what is committed now would be in a file that nobody finds.
// When it cannot be opened now (a disk that is not mounted), the next transaction tries again.
static int reopen_if_moved(struct store *s)
{
    int moved = 0;
    if (s->db && sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK)
        moved = 0;
    if (!moved && !s->reopen)
        return 0;
    if (moved && !s->gone)
        log_error("the database file was moved or deleted: opening it anew", "path", s->path);
    s->gone = moved;
    int r = bring_back(s, moved);
    if (r < 0)
        return r;
    disconnect_db(s);
    r = open_db(s);
    s->gone = false;
    s->reopen = r < 0;
    if (s->db)
        sqlite3_busy_timeout(s->db, s->busy_ms);
    return r;
}

int store_begin(struct store *s)
{
    int r = reopen_if_moved(s);
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
    return map_error(rc);
}

int store_check(struct store *s)
{
    int64_t ok = 0;
    int r = query_int(s, "SELECT count(*) FROM pragma_quick_check WHERE quick_check = 'ok'", &ok);
    return r < 0 ? r : ok ? 0 : -EILSEQ;
}

static int is_over(void *deadline)
{
    return clock_boot_ms() >= *(const int64_t *)deadline;
}

int store_check_within(struct store *s, int64_t ms)
{
    int64_t deadline = clock_boot_ms() + ms;
    sqlite3_progress_handler(s->db, CHECK_STEPS, is_over, &deadline);
    int r = store_check(s);
    sqlite3_progress_handler(s->db, 0, NULL, NULL);
    return r < 0 && r != -EILSEQ && is_over(&deadline) ? -ETIMEDOUT : r;
}
