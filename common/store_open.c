// Opening: the state folder, the lock, the connection and its settings, the schema; and all of it
// again when the file goes away under us.

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
#include "common/store_parts.h"
#include "common/store_rescue.h"

#define OPEN_PATIENCE_MS 5000
#define OPEN_TRY_MS 20
#define REOPEN_PATIENCE_MS 200 // on the loop

// ---- the folder ----

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

// ---- the connection ----

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
        return s->db ? store_fail(s, rc) : -ENOMEM;
    chmod(s->path, 0600);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, s->open_patience_ms);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    int r = store_exec(
        s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
           "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-2000;"
           "PRAGMA journal_size_limit=8388608; PRAGMA trusted_schema=OFF");
    sqlite3_wal_hook(s->db, on_wal, s);
    return r;
}

static void disconnect_db(struct store *s)
{
    for (size_t i = 0; i < STORE_STATEMENTS; i++)
        sqlite3_finalize(s->cache[i].q);
    memset(s->cache, 0, sizeof s->cache);
    sqlite3_close_v2(s->db);
    s->db = NULL;
}

static int migrate(struct store *s)
{
    int64_t version = 0;
    int r = store_query_int(s, "PRAGMA user_version", &version);
    if (r == 0 && version == (int64_t)schema_version)
        return 0;
    if (r == 0)
        r = store_exec(s, "BEGIN IMMEDIATE");
    if (r < 0)
        return r;
    r = store_query_int(s, "PRAGMA user_version", &version); // another process may have been faster
    if (r == 0 && version > (int64_t)schema_version) {
        snprintf(s->error, sizeof s->error,
                 "the database has schema version %lld, this program knows %zu: upgrade it",
                 (long long)version, schema_version);
        r = -EINVAL;
    }
    for (; r == 0 && version < (int64_t)schema_version; version++)
        r = store_exec(s, schema_steps[version]);
    char set[64];
    snprintf(set, sizeof set, "PRAGMA user_version=%zu", schema_version);
    if (r == 0)
        r = store_exec(s, set);
    if (r == 0)
        r = store_exec(s, "COMMIT");
    if (r < 0)
        store_rollback(s);
    return r;
}

static int open_db(struct store *s)
{
    int r = connect_db(s);
    if (r == 0)
        r = store_check_start(s);
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
        r = store_move_aside(s);
        if (r == 0)
            r = open_patiently(s);
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

// ---- anew ----

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

int store_reopen_if_moved(struct store *s)
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
