#pragma once

// A folder of its own for one test, removed with all that is in it. Include after cmocka.h.

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base.h"

#define TEMP_DIR_SIZE 64

static inline void temp_dir_make(char out[TEMP_DIR_SIZE])
{
    // In memory where there is such a place and nobody says otherwise: the tests commit a lot.
    const char *base = getenv("TMPDIR");
    if (!base || !base[0])
        base = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(out, TEMP_DIR_SIZE, "%s/sre-unit-XXXXXX", base);
    assert_non_null(mkdtemp(out));
}

static inline int temp_dir_unlink(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static inline void temp_dir_remove(const char *dir)
{
    nftw(dir, temp_dir_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

// "<dir>/<name>", in one of four buffers.
static inline const char *temp_path(const char *dir, const char *name)
{
    static char paths[4][1024];
    static unsigned turn;
    char *out = paths[turn++ % 4];
    snprintf(out, sizeof paths[0], "%s/%s", dir, name);
    return out;
}

static inline void temp_write(const char *path, struct str text, mode_t mode)
{
    chmod(path, 0600); // what an earlier call left may be read-only
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.p, text.n), text.n);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static inline bool temp_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static inline unsigned temp_mode(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mode & 0777 : 0;
}
