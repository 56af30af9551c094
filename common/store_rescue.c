#include "common/store_rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int lock_folder_of(const char *path)
{
    char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int r = !dir ? -ENOMEM : fd < 0 ? -errno : fd;
    free(dir);
    if (r >= 0 && flock(fd, LOCK_EX) < 0) {
        r = -errno;
        close(fd);
    }
    return r;
}

static int copy_to(sqlite3 *from, const char *path)
{
    sqlite3 *to = NULL;
    mode_t mask = umask(0077);
    int rc = sqlite3_open_v2(
        path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
        if (b)
            sqlite3_backup_step(b, -1);
        rc = b ? sqlite3_backup_finish(b) : sqlite3_errcode(to);
    }
    sqlite3_close(to);
    umask(mask);
    return rc == SQLITE_OK ? 0 : -EIO;
}

static void unlink_with(const char *path, const char *suffix)
{
    char *name = NULL;
    if (asprintf(&name, "%s%s", path, suffix) >= 0)
        unlink(name);
    free(name);
}

// What is left of the deleted database's log belongs to that file alone.
static int put_in_place(const char *copy, const char *path)
{
    unlink_with(path, "-wal");
    unlink_with(path, "-shm");
    return link(copy, path) < 0 ? -errno : 1; // unlike rename it replaces nothing
}

int store_rescue(sqlite3 *open, const char *path)
{
    char *copy = NULL;
    int dir = lock_folder_of(path);
    int r = dir < 0 ? dir : asprintf(&copy, "%s.rescue", path) < 0 ? -ENOMEM : 0;
    if (r == 0 && access(path, F_OK) < 0) {
        unlink(copy);
        r = copy_to(open, copy);
        if (r == 0)
            r = put_in_place(copy, path);
        unlink(copy);
        if (r > 0 && fsync(dir) < 0)
            r = -errno;
    }
    free(copy);
    if (dir >= 0)
        close(dir);
    return r;
}
