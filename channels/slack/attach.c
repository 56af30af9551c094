#include "channels/slack/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// Without the slash that it may end with: nothing is left of the root.
static size_t folder_len(const char *folder)
{
    size_t n = strlen(folder);
    while (n && folder[n - 1] == '/')
        n--;
    return n;
}

static bool is_within(const char *path, const char *folder)
{
    size_t n = folder_len(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

static bool is_same_or_within(const char *path, const char *other)
{
    char resolved[PATH_MAX];
    if (!other[0] || !realpath(other, resolved))
        return false;
    return strcmp(path, resolved) == 0 || is_within(path, resolved);
}

static const char *refusal(const struct attach_rules *rules, const char *path)
{
    if (!is_within(path, rules->folder))
        return "is outside of the project's folder";
    if (strstr(path + folder_len(rules->folder), "/."))
        return "is hidden, or in a hidden folder";
    if (is_same_or_within(path, rules->state_dir))
        return "belongs to the state";
    if (is_same_or_within(path, rules->config_file))
        return "is the configuration";
    return NULL;
}

static int refuse(struct buf *why, const char *path, const char *what, int error)
{
    buf_addf(why, "%.200s %s", path, what);
    return error;
}

int attach_open(const struct attach_rules *rules, const char *path, char ret_name[256],
                struct buf *ret_why)
{
    char full[PATH_MAX], resolved[PATH_MAX];
    int n = path[0] == '/' ? snprintf(full, sizeof full, "%s", path)
                           : snprintf(full, sizeof full, "%s/%s", rules->folder, path);
    if (n < 0 || (size_t)n >= sizeof full || !realpath(full, resolved))
        return refuse(ret_why, path, "does not exist", -ENOENT);
    // A link is judged by where it leads; one inside a hidden folder is hidden.
    const char *what = refusal(rules, resolved);
    if (what)
        return refuse(ret_why, path, what, -EACCES);
    int fd = open(resolved, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return refuse(ret_why, path, "cannot be read", -errno);
    // Between the check and now somebody may have swapped a folder for a link.
    char proc[64], opened[PATH_MAX];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(proc, opened, sizeof opened - 1);
    opened[len > 0 ? len : 0] = '\0';
    if (strcmp(opened, resolved) != 0)
        what = "changed while it was read";
    else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        what = "is not a regular file";
    else if (st.st_nlink > 1)
        what = "has a second name (hard link)";
    else if (st.st_size == 0)
        what = "is empty";
    else if (st.st_size > ATTACH_MAX_BYTES)
        what = "is larger than 20 MiB";
    if (what) {
        close(fd);
        return refuse(ret_why, path, what, -EACCES);
    }
    snprintf(ret_name, 256, "%.255s", strrchr(resolved, '/') + 1);
    return fd;
}

static int copy_bytes(int from, int to)
{
    char block[65536];
    int64_t total = 0;
    for (;;) {
        ssize_t n = read(from, block, sizeof block);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        total += n;
        if (total > ATTACH_MAX_BYTES)
            return -E2BIG;
        for (ssize_t done = 0; done < n;) {
            ssize_t w = write(to, block + done, (size_t)(n - done));
            if (w < 0 && errno != EINTR)
                return -errno;
            done += w > 0 ? w : 0;
        }
    }
}

int attach_keep(int fd, const char *folder, const char *key)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, key) >= sizeof path)
        return -ENAMETOOLONG;
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return -errno;
    int out = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        return -errno;
    int r = copy_bytes(fd, out);
    if (r == 0 && fsync(out) < 0)
        r = -errno;
    if (close(out) < 0 && r == 0)
        r = -errno;
    if (r < 0)
        unlink(path);
    return r;
}
