// Damage: how it is found, remembered and moved out of the way.

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
#include "common/store_parts.h"

// A check at start must not keep alerts waiting: it is done up to this size, beyond it by `doctor`
// or when a process marked the file after meeting damage.
#define QUICK_CHECK_BYTES (64ll << 20)
#define CHECK_STEPS 10000 // of the machine of a statement, between looks at the clock
#define ALONE_PATIENCE_MS 1000
#define ALONE_TRY_MS 50

// ---- finding it ----

// The file's name, which the caller frees; NULL without memory.
static char *mark_of(const struct store *s)
{
    char *mark = NULL;
    return asprintf(&mark, "%s.check", s->path) < 0 ? NULL : mark;
}

void store_mark_damaged(const struct store *s)
{
    char *mark = mark_of(s);
    int fd = mark ? open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
    if (fd >= 0)
        close(fd);
    free(mark);
}

static int quick_check(struct store *s)
{
    int64_t ok = 0;
    int r =
        store_query_int(s, "SELECT count(*) FROM pragma_quick_check WHERE quick_check = 'ok'", &ok);
    if (r < 0 || ok)
        return r;
    snprintf(s->error, sizeof s->error, "quick_check found damage");
    return -EILSEQ;
}

static int is_over(void *deadline)
{
    return clock_boot_ms() >= *(const int64_t *)deadline;
}

int store_check(struct store *s, int64_t within_ms)
{
    int64_t deadline = clock_boot_ms() + within_ms;
    sqlite3_progress_handler(s->db, CHECK_STEPS, is_over, &deadline);
    int r = quick_check(s);
    sqlite3_progress_handler(s->db, 0, NULL, NULL);
    return r < 0 && r != -EILSEQ && is_over(&deadline) ? -ETIMEDOUT : r;
}

int store_check_start(struct store *s)
{
    char *mark = mark_of(s);
    if (!mark)
        return -ENOMEM;
    struct stat st;
    bool marked = access(mark, F_OK) == 0;
    bool small = stat(s->path, &st) == 0 && st.st_size <= QUICK_CHECK_BYTES;
    int r = marked || (s->quick_check && small) ? quick_check(s) : 0;
    if (marked && r == 0)
        unlink(mark);
    free(mark);
    return r;
}

// ---- moving it aside ----

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

int store_move_aside(struct store *s)
{
    int r = take_alone(s);
    if (r < 0)
        return r;
    if (r > 0)
        return flock(s->lock_fd, LOCK_SH) < 0 ? -errno : 0;
    char stamp[32], *mark = mark_of(s);
    time_t now = time(NULL);
    struct tm tm;
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    move_one(s->path, "", stamp);
    move_one(s->path, "-wal", stamp);
    move_one(s->path, "-shm", stamp);
    if (mark)
        unlink(mark);
    free(mark);
    log_error("the database was damaged: moved aside, a new one begun; the history before now is "
              "in the old file",
              "path", s->path, "moved_to_suffix", stamp, "why", s->error);
    return flock(s->lock_fd, LOCK_SH) < 0 ? -errno : 0;
}
