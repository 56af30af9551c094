#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/schema.h"
#include "test/support/log_capture.h"
#include "test/support/temp_store.h"

#define CHECK_MS 60000

static char dir[TEMP_DIR_SIZE];
static const char *said; // on stderr, by the last open

static int setup(void **state)
{
    (void)state;
    umask(022);
    temp_dir_make(dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_dir_remove(dir);
    return 0;
}

static const char *in_dir(const char *name)
{
    return temp_path(dir, name);
}

static int open_quietly(const char *path, bool check, struct store **ret)
{
    log_capture_begin();
    int r = store_open(path, check, ret);
    said = log_capture_end();
    return r;
}

static struct store *opened(void)
{
    struct store *s = NULL;
    assert_int_equal(open_quietly(dir, true, &s), 0);
    return s;
}

// Rows of a table of our own: what the store holds is other tests' business.
static void add_row(struct store *s, const char *text)
{
    run_sql(s, "CREATE TABLE IF NOT EXISTS note(text TEXT PRIMARY KEY)");
    struct stmt *q = store_sql(s, "INSERT INTO note VALUES(?)");
    bind_text(q, 1, text);
    assert_int_equal(stmt_run(q), 0);
}

// -1: there is not even the table.
static int64_t rows(struct store *s)
{
    if (ask_int(s, "SELECT count(*) FROM sqlite_schema WHERE name = 'note'") == 0)
        return -1;
    return ask_int(s, "SELECT count(*) FROM note");
}

// ---- files ----

static void test_nobody_else_can_read(void **state)
{
    (void)state;
    struct store *s = NULL;
    umask(0);
    const char *deep = in_dir("a/b/c");
    assert_int_equal(store_open(deep, true, &s), 0);
    add_row(s, "c");
    assert_int_equal(temp_mode(in_dir("a")), 0700);
    assert_int_equal(temp_mode(in_dir("a/b/c")), 0700);
    assert_int_equal(temp_mode(in_dir("a/b/c/incidents.db")), 0600);
    assert_int_equal(temp_mode(in_dir("a/b/c/incidents.db-wal")), 0600);
    assert_int_equal(temp_mode(in_dir("a/b/c/incidents.db-shm")), 0600);
    assert_int_equal(temp_mode(in_dir("a/b/c/incidents.db.lock")), 0600);
    assert_string_equal(store_path(s), in_dir("a/b/c/incidents.db"));
    store_close(s);

    // Opened up by hand since: closed again.
    assert_int_equal(chmod(in_dir("a/b/c"), 0755), 0);
    assert_int_equal(chmod(in_dir("a/b/c/incidents.db"), 0644), 0);
    assert_int_equal(store_open(in_dir("a/b/c"), true, &s), 0);
    assert_int_equal(temp_mode(in_dir("a/b/c")), 0700);
    assert_int_equal(temp_mode(in_dir("a/b/c/incidents.db")), 0600);
    store_close(s);
    store_close(NULL);
}

static void test_a_folder_of_others_keeps_its_mode(void **state)
{
    (void)state;
    struct store *s = NULL;
    assert_int_equal(chmod(dir, 0777), 0);
    temp_write(in_dir("somebody's"), str_of("x"), 0644);
    assert_int_equal(store_open(dir, true, &s), 0);
    assert_int_equal(temp_mode(dir), 0777);
    assert_int_equal(temp_mode(in_dir("incidents.db")), 0600);
    store_close(s);

    assert_int_equal(mkdir(in_dir("empty"), 0777), 0);
    assert_int_equal(chmod(in_dir("empty"), 0777), 0);
    assert_int_equal(store_open(in_dir("empty"), true, &s), 0);
    assert_int_equal(temp_mode(in_dir("empty")), 0700);
    store_close(s);
}

static void test_folders_that_cannot_be(void **state)
{
    (void)state;
    struct store *s = NULL;
    temp_write(in_dir("file"), str_of("x"), 0600);
    assert_int_equal(open_quietly(in_dir("file"), true, &s), -ENOTDIR);
    assert_int_equal(open_quietly(in_dir("file/below"), true, &s), -ENOTDIR);
    assert_non_null(strstr(said, "cannot create the state folder"));
    char long_path[5000];
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(open_quietly(long_path, true, &s), -ENAMETOOLONG);
    assert_null(s);
    if (geteuid() != 0) {
        assert_int_equal(chmod(dir, 0500), 0);
        assert_int_equal(open_quietly(dir, true, &s), -EACCES);
        assert_int_equal(open_quietly(in_dir("new"), true, &s), -EACCES);
        assert_int_equal(chmod(dir, 0700), 0);
    }
}

static void test_settings(void **state)
{
    (void)state;
    struct store *s = opened();
    assert_string_equal(ask_text(s, "PRAGMA journal_mode"), "wal");
    assert_int_equal(ask_int(s, "PRAGMA synchronous"), 2); // FULL: a 200 survives a power cut
    assert_int_equal(ask_int(s, "PRAGMA wal_autocheckpoint"), 0);
    assert_int_equal(ask_int(s, "PRAGMA foreign_keys"), 1);
    store_close(s);
}

// ---- versions ----

static void test_schema_is_made_once(void **state)
{
    (void)state;
    struct store *s = opened();
    assert_int_equal(ask_int(s, "PRAGMA user_version"), schema_version);
    add_row(s, "kept");
    store_close(s);
    s = opened();
    assert_string_equal(said, "");
    assert_int_equal(ask_int(s, "PRAGMA user_version"), schema_version);
    assert_int_equal(rows(s), 1);
    store_close(s);
}

static void test_newer_schema_is_refused(void **state)
{
    (void)state;
    struct store *s = opened(), *none = NULL;
    add_row(s, "kept");
    run_sql(s, "PRAGMA user_version=9999");
    store_close(s);
    for (int check = 0; check < 2; check++) {
        assert_int_equal(open_quietly(dir, check, &none), -EINVAL);
        assert_null(none);
        assert_non_null(strstr(said, "schema version 9999"));
        assert_non_null(strstr(said, "upgrade"));
    }
    assert_true(temp_exists(in_dir("incidents.db"))); // and nothing was moved aside
}

static void test_two_open_a_new_store_at_once(void **state)
{
    (void)state;
    pid_t child[3];
    for (size_t i = 0; i < ARRAY_LEN(child); i++) {
        child[i] = fork();
        if (child[i] == 0) {
            struct store *s = NULL;
            int r = store_open(dir, true, &s);
            store_close(s);
            _exit(r == 0 ? 0 : 1);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(child); i++) {
        int status = -1;
        waitpid(child[i], &status, 0);
        assert_int_equal(status, 0);
    }
    struct store *s = opened();
    assert_int_equal(ask_int(s, "PRAGMA user_version"), schema_version);
    store_close(s);
}

// ---- damage ----

static void damage(const char *file, off_t at, size_t n)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    char *junk = malloc(n);
    memset(junk, 0xA5, n);
    assert_int_equal(pwrite(fd, junk, n, at), n);
    free(junk);
    close(fd);
}

// A store with one row whose pages past the first are overwritten.
static void make_damaged(void)
{
    struct store *s = opened();
    add_row(s, "lost");
    store_close(s); // the last one out moves the WAL into the file
    struct stat st;
    assert_int_equal(stat(in_dir("incidents.db"), &st), 0);
    damage(in_dir("incidents.db"), 4096, (size_t)st.st_size - 4096);
}

// How many files of the folder have `part` in their name.
static int files_with(const char *part)
{
    int n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strstr(e->d_name, part) != NULL;
    closedir(d);
    return n;
}

static void test_damaged_file_is_moved_aside(void **state)
{
    (void)state;
    make_damaged();
    struct store *s = NULL;
    assert_int_equal(open_quietly(dir, false, &s), -EILSEQ); // a subcommand touches nothing
    assert_null(s);
    assert_int_equal(files_with("damaged-"), 0);

    assert_int_equal(open_quietly(dir, true, &s), 0);
    assert_non_null(strstr(said, "level=error"));
    assert_non_null(strstr(said, "moved aside, a new one begun"));
    assert_int_equal(files_with("incidents.db.damaged-"), 1);
    assert_int_equal(files_with(".check"), 0);
    assert_int_equal(temp_mode(in_dir("incidents.db")), 0600);
    assert_int_equal(rows(s), -1);
    add_row(s, "new");
    assert_int_equal(store_check(s, CHECK_MS), 0);
    store_close(s);

    s = opened(); // and the new one stays
    assert_string_equal(said, "");
    assert_int_equal(rows(s), 1);
    store_close(s);
}

static void test_no_database_at_all_is_damage(void **state)
{
    (void)state;
    temp_write(in_dir("incidents.db"),
               str_of("this is a text file, and no database at all: it is longer than a header"),
               0600);
    struct store *s = NULL;
    assert_int_equal(open_quietly(dir, false, &s), -EILSEQ);
    assert_int_equal(open_quietly(dir, true, &s), 0);
    assert_int_equal(files_with("incidents.db.damaged-"), 1);
    store_close(s);
}

static void test_empty_file_is_a_new_store(void **state)
{
    (void)state;
    temp_write(in_dir("incidents.db"), str_of(""), 0600);
    struct store *s = opened();
    assert_string_equal(said, "");
    assert_int_equal(files_with("damaged"), 0);
    assert_int_equal(ask_int(s, "PRAGMA user_version"), schema_version);
    store_close(s);
}

// A child that keeps the store open until it is told to end.
struct holder {
    pid_t pid;
    int tell[2];
};

static struct holder hold_open(void)
{
    struct holder h;
    int ready[2];
    char c;
    assert_int_equal(pipe(h.tell), 0);
    assert_int_equal(pipe(ready), 0);
    h.pid = fork();
    if (h.pid == 0) {
        struct store *s = NULL;
        close(h.tell[1]);
        if (store_open(dir, true, &s) < 0 || write(ready[1], "r", 1) != 1)
            _exit(1);
        if (read(h.tell[0], &c, 1) < 0)
            _exit(1);
        store_close(s);
        _exit(0);
    }
    close(ready[1]);
    close(h.tell[0]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return h;
}

static void let_go(struct holder h)
{
    int status = -1;
    close(h.tell[1]);
    waitpid(h.pid, &status, 0);
    assert_int_equal(status, 0);
}

static void test_damaged_file_in_use_is_not_moved(void **state)
{
    (void)state;
    struct store *s = opened();
    add_row(s, "c");
    store_close(s);
    struct holder other = hold_open();
    struct stat st;
    assert_int_equal(stat(in_dir("incidents.db"), &st), 0);
    damage(in_dir("incidents.db"), 4096, (size_t)st.st_size - 4096);
    s = NULL;
    assert_int_equal(open_quietly(dir, true, &s), -EILSEQ);
    assert_null(s);
    assert_non_null(strstr(said, "other processes use it"));
    assert_int_equal(files_with("damaged-"), 0);
    let_go(other);
    assert_int_equal(open_quietly(dir, true, &s), 0);
    assert_int_equal(files_with("damaged-"), 1);
    store_close(s);
}

// Claude Code starts both channels in the same moment.
static void test_two_find_the_damage_at_once(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        make_damaged();
        int go[2], opened_it[2];
        assert_int_equal(pipe(go), 0);
        assert_int_equal(pipe(opened_it), 0);
        pid_t child[2];
        for (size_t i = 0; i < ARRAY_LEN(child); i++) {
            child[i] = fork();
            if (child[i] == 0) {
                struct store *s = NULL;
                char c;
                close(go[1]);
                if (read(go[0], &c, 1) != 1 || !freopen("/dev/null", "w", stderr))
                    _exit(2);
                int r = store_open(dir, true, &s);
                if (r == 0)
                    r = stmt_run(store_sql(s, "CREATE TABLE IF NOT EXISTS note(text TEXT)"));
                // Both go on using it.
                if (write(opened_it[1], r == 0 ? "y" : "n", 1) != 1 || read(go[0], &c, 1) != 0)
                    _exit(3);
                store_close(s);
                _exit(0);
            }
        }
        char both[2] = "";
        assert_int_equal(write(go[1], "gg", 2), 2);
        assert_int_equal(read(opened_it[0], both, 1), 1);
        assert_int_equal(read(opened_it[0], both + 1, 1), 1);
        assert_memory_equal(both, "yy", 2);
        close(go[0]);
        close(go[1]);
        close(opened_it[0]);
        close(opened_it[1]);
        for (size_t i = 0; i < ARRAY_LEN(child); i++) {
            int status = -1;
            waitpid(child[i], &status, 0);
            assert_int_equal(status, 0);
        }
        struct store *s = opened();
        assert_int_equal(rows(s), 0);
        store_close(s);
        temp_dir_remove(dir);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
}

// The one that comes second while the first moves the file.
static void test_another_moves_the_damaged_file(void **state)
{
    (void)state;
    make_damaged();
    int done[2];
    char c = 0;
    assert_int_equal(pipe(done), 0);
    int lock = open(in_dir("incidents.db.lock"), O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_SH), 0);
    pid_t child = fork();
    if (child == 0) {
        struct store *s = NULL;
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        close(lock);
        int r = store_open(dir, true, &s);
        if (write(done[1], r == 0 ? "y" : "n", 1) != 1)
            _exit(3);
        store_close(s);
        _exit(0);
    }
    usleep(200 * 1000); // it has found the damage, and waits for the lock
    assert_int_equal(rename(in_dir("incidents.db"), in_dir("incidents.db.damaged-x")), 0);
    struct store *s = opened();
    assert_int_equal(read(done[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(files_with("damaged-"), 1);
    store_close(s);
    close(lock);
    close(done[0]);
    close(done[1]);
}

// Damage met while running leaves a mark, and the next start checks, whoever it is.
static void test_damage_met_later(void **state)
{
    (void)state;
    struct store *s = opened(), *other = NULL;
    add_row(s, "c");
    store_close(s);
    s = NULL;
    assert_int_equal(open_quietly(dir, false, &s), 0); // not checked: no page of it is in memory
    struct stat st;
    assert_int_equal(stat(in_dir("incidents.db"), &st), 0);
    damage(in_dir("incidents.db"), 4096, (size_t)st.st_size - 4096);
    assert_false(temp_exists(in_dir("incidents.db.check")));
    assert_int_equal(
        stmt_run(store_sql(s, "INSERT INTO incident(problem_id) SELECT id FROM problem")), -EILSEQ);
    assert_true(strlen(store_error(s)) > 0);
    assert_true(temp_exists(in_dir("incidents.db.check")));
    assert_int_equal(store_check(s, CHECK_MS), -EILSEQ);
    store_close(s);
    assert_int_equal(open_quietly(dir, false, &other), -EILSEQ);
    assert_null(other);
}

static void test_mark_without_damage_goes(void **state)
{
    (void)state;
    struct store *s = opened();
    store_close(s);
    temp_write(in_dir("incidents.db.check"), str_of(""), 0600);
    s = opened();
    assert_false(temp_exists(in_dir("incidents.db.check")));
    assert_int_equal(store_check(s, CHECK_MS), 0);
    store_close(s);
}

// ---- the file goes away under a running process ----

static void test_moved_file_is_noticed(void **state)
{
    (void)state;
    struct store *s = opened();
    add_row(s, "old");
    assert_int_equal(rename(in_dir("incidents.db"), in_dir("elsewhere.db")), 0);
    unlink(in_dir("incidents.db-wal"));
    unlink(in_dir("incidents.db-shm"));
    log_capture_begin();
    assert_int_equal(store_begin(s), 0);
    assert_non_null(strstr(log_capture_end(), "moved or deleted"));
    add_row(s, "new");
    assert_int_equal(store_commit(s), 0);
    assert_true(temp_exists(in_dir("incidents.db")));
    struct store *again = opened(); // what was committed is where the next process looks
    assert_string_equal(ask_text(again, "SELECT group_concat(text) FROM note"), "old,new");
    store_close(again);
    store_close(s);
}

static void test_deleted_folder_is_made_again(void **state)
{
    (void)state;
    struct store *s = opened(), *again = NULL;
    add_row(s, "old");
    temp_dir_remove(dir);
    log_capture_begin();
    int r = store_begin(s);
    log_capture_end();
    assert_int_equal(r, 0);
    add_row(s, "new");
    assert_int_equal(store_commit(s), 0);
    assert_int_equal(temp_mode(dir), 0700);
    int lock = open(in_dir("incidents.db.lock"), O_RDWR | O_CLOEXEC);
    assert_true(lock >= 0);
    assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), -1); // nobody may move it from under us
    close(lock);
    run_sql(s, "CREATE TEMP TABLE of_this_connection(x)");
    assert_int_equal(store_begin(s), 0); // and that was all: it is not opened every time
    assert_int_equal(ask_int(s, "SELECT count(*) FROM of_this_connection"), 0);
    store_rollback(s);
    assert_int_equal(open_quietly(dir, true, &again), 0);
    assert_int_equal(rows(again), 2); // with what was in it
    assert_false(temp_exists(in_dir("incidents.db.rescue")));
    store_close(again);
    store_close(s);
}

// A copy that someone put back is what they want: nothing is written over it.
static void test_replaced_file_is_used(void **state)
{
    (void)state;
    struct store *s = opened();
    add_row(s, "saved");
    store_close(s);
    assert_int_equal(rename(in_dir("incidents.db"), in_dir("saved.db")), 0);
    s = opened();
    add_row(s, "lost");
    assert_int_equal(rename(in_dir("saved.db"), in_dir("incidents.db")), 0);
    unlink(in_dir("incidents.db-wal"));
    unlink(in_dir("incidents.db-shm"));
    log_capture_begin();
    int r = store_begin(s);
    log_capture_end();
    assert_int_equal(r, 0);
    assert_string_equal(ask_text(s, "SELECT group_concat(text) FROM note"), "saved");
    store_rollback(s);
    store_close(s);
}

// While it cannot be opened, every transaction fails; once it can, they work again.
static void test_folder_that_comes_back(void **state)
{
    (void)state;
    struct store *s = opened();
    temp_dir_remove(dir);
    temp_write(dir, str_of("in the way"), 0600);
    log_capture_begin();
    assert_true(store_begin(s) < 0);
    assert_true(store_begin(s) < 0);
    log_capture_end();
    assert_int_equal(unlink(dir), 0);
    log_capture_begin();
    int r = store_begin(s);
    log_capture_end();
    assert_int_equal(r, 0);
    add_row(s, "new");
    assert_int_equal(store_commit(s), 0);
    assert_int_equal(rows(s), 1);
    store_close(s);
}

// ---- statements ----

static void test_statements(void **state)
{
    (void)state;
    struct store *s = opened();
    struct stmt *q = store_sql(s, "SELECT ?1, ?2, ?3, ?4, ?5");
    bind_int(q, 1, INT64_MIN);
    bind_real(q, 2, 0.25);
    bind_text(q, 3, "t\xc3\xa9");
    bind_str(q, 4, (struct str){"abcdef", 3});
    assert_int_equal(stmt_step(q), 1);
    assert_true(col_int(q, 0) == INT64_MIN);
    assert_true(col_real(q, 1) > 0.24 && col_real(q, 1) < 0.26);
    assert_string_equal(col_text(q, 2), "t\xc3\xa9");
    assert_string_equal(col_text(q, 3), "abc");
    assert_true(col_is_null(q, 4)); // not bound
    assert_false(col_is_null(q, 3));
    assert_string_equal(col_text(q, 4), "");
    assert_int_equal(col_int(q, 4), 0);
    assert_int_equal(stmt_step(q), 0);
    assert_int_equal(stmt_step(q), 1); // it was reset, and nothing is bound any more
    assert_true(col_is_null(q, 0));
    stmt_reset(q);

    bind_text(q, 1, NULL);
    bind_str(q, 2, (struct str){NULL, 0});
    assert_int_equal(stmt_step(q), 1);
    assert_true(col_is_null(q, 0));
    assert_false(col_is_null(q, 1)); // an empty text
    stmt_reset(q);

    static const char sql[] = "SELECT 7";
    assert_ptr_equal(store_sql(s, sql), store_sql(s, sql));

    q = store_sql(s, "SELECT thing FROM nowhere");
    bind_int(q, 1, 1);
    bind_real(q, 1, 1);
    bind_text(q, 1, "x");
    bind_str(q, 1, str_of("x"));
    assert_true(stmt_step(q) < 0);
    assert_true(stmt_run(q) < 0);
    stmt_reset(q);
    assert_non_null(strstr(store_error(s), "nowhere"));
    store_close(s);
}

static void test_errors(void **state)
{
    (void)state;
    struct store *s = opened();
    add_row(s, "one");
    assert_int_equal(store_last_id(s), 1);
    assert_int_equal(stmt_run(store_sql(s, "INSERT INTO note VALUES('one')")), -EEXIST);
    run_sql(s, "CREATE TABLE child(parent TEXT REFERENCES note(text))");
    assert_int_equal(stmt_run(store_sql(s, "INSERT INTO child VALUES('none')")), -EEXIST);
    run_sql(s, "PRAGMA max_page_count=1");
    int r = 0;
    while (r == 0)
        r = stmt_run(store_sql(s, "INSERT INTO note VALUES(hex(randomblob(2000)))"));
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(store_check(s, CHECK_MS), 0); // a full disk is no damage
    assert_false(temp_exists(in_dir("incidents.db.check")));
    store_close(s);
}

static void test_transactions(void **state)
{
    (void)state;
    struct store *a = opened(), *b = opened();
    store_busy_timeout(a, 0);
    store_busy_timeout(b, 0);
    int64_t version = store_data_version(b);
    assert_int_equal(store_begin(a), 0);
    add_row(a, "one");
    assert_int_equal(store_changes(a), 1);
    assert_int_equal(store_begin(b), -EBUSY);
    assert_int_equal(rows(b), -1); // readers never wait
    assert_int_equal(store_data_version(b), version);
    store_rollback(a);
    store_rollback(a); // without one: nothing
    assert_int_equal(rows(a), -1);

    assert_int_equal(store_begin(a), 0);
    add_row(a, "two");
    assert_int_equal(store_commit(a), 0);
    assert_true(store_data_version(b) != version);
    assert_int_equal(rows(b), 1);
    assert_int_equal(store_begin(b), 0);
    assert_int_equal(store_commit(b), 0);
    assert_true(store_commit(b) < 0);
    store_close(b);
    store_close(a);
}

static void test_wait_for_a_lock(void **state)
{
    (void)state;
    int ready[2], go[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        struct store *mine = NULL;
        if (store_open(dir, false, &mine) < 0 || store_begin(mine) < 0 ||
            write(ready[1], "r", 1) != 1 || read(go[0], &c, 1) != 1)
            _exit(1);
        usleep(50 * 1000);
        int r = store_commit(mine);
        store_close(mine);
        _exit(r == 0 ? 0 : 1);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    struct store *s = opened();
    store_busy_timeout(s, 0);
    assert_int_equal(store_begin(s), -EBUSY);
    store_busy_timeout(s, 60000);
    assert_int_equal(write(go[1], "g", 1), 1);
    assert_int_equal(store_begin(s), 0);
    store_rollback(s);
    int status = -1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    store_close(s);
    close(ready[0]);
    close(ready[1]);
    close(go[0]);
    close(go[1]);
}

static void test_checkpoint(void **state)
{
    (void)state;
    struct store *s = opened();
    struct stat st;
    add_row(s, "first");
    assert_int_equal(store_begin(s), 0);
    for (int i = 0; i < 1500; i++)
        run_sql(s, "INSERT INTO note VALUES(hex(randomblob(2000)))");
    assert_int_equal(store_commit(s), 0);
    assert_true(store_wal_pages(s) > 1000);
    assert_int_equal(stat(in_dir("incidents.db"), &st), 0);
    off_t before = st.st_size;
    store_checkpoint(s);
    assert_int_equal(store_wal_pages(s), 0);
    assert_int_equal(stat(in_dir("incidents.db"), &st), 0);
    assert_true(st.st_size > before + 1000 * 4096);
    add_row(s, "small");
    store_checkpoint(s); // too little to move
    assert_true(store_wal_pages(s) > 0);
    store_close(s);
}

// A file system that is full, as the WAL meets it.
static void test_no_room_for_the_wal(void **state)
{
    (void)state;
    struct store *s = opened();
    struct rlimit old, small;
    struct stat st;
    add_row(s, "kept");
    assert_int_equal(stat(in_dir("incidents.db-wal"), &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = (rlim_t)st.st_size;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(store_begin(s), 0);
    add_row(s, "too much");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int r = store_commit(s);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(r < 0);
    assert_int_equal(rows(s), 1); // rolled back
    assert_int_equal(store_begin(s), 0);
    add_row(s, "room again");
    assert_int_equal(store_commit(s), 0);
    assert_int_equal(rows(s), 2);
    assert_int_equal(store_check(s, CHECK_MS), 0);
    store_close(s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_nobody_else_can_read),
        T(test_a_folder_of_others_keeps_its_mode),
        T(test_folders_that_cannot_be),
        T(test_settings),
        T(test_schema_is_made_once),
        T(test_newer_schema_is_refused),
        T(test_two_open_a_new_store_at_once),
        T(test_damaged_file_is_moved_aside),
        T(test_no_database_at_all_is_damage),
        T(test_empty_file_is_a_new_store),
        T(test_damaged_file_in_use_is_not_moved),
        T(test_two_find_the_damage_at_once),
        T(test_another_moves_the_damaged_file),
        T(test_damage_met_later),
        T(test_mark_without_damage_goes),
        T(test_moved_file_is_noticed),
        T(test_deleted_folder_is_made_again),
        T(test_replaced_file_is_used),
        T(test_folder_that_comes_back),
        T(test_statements),
        T(test_errors),
        T(test_transactions),
        T(test_wait_for_a_lock),
        T(test_checkpoint),
        T(test_no_room_for_the_wal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
