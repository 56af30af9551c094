#include "channels/slack/app_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto.h"

struct app_lock {
    int fd;
};

static int open_lock(const char *token)
{
    uint8_t digest[32];
    char hex[65], path[4096];
    const char *dir = getenv("XDG_RUNTIME_DIR");
    hmac_sha256(str_of("sre-channels"), str_of(token), str_of(""), digest);
    hex_encode((struct str){(const char *)digest, sizeof digest}, hex);
    if (!dir || dir[0] != '/' || access(dir, W_OK) != 0)
        dir = "/tmp";
    if ((size_t)snprintf(path, sizeof path, "%s/sre-channels-%u-%.16s.lock", dir, getuid(), hex) >=
        sizeof path)
        return -ENAMETOOLONG;
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid())
        return fd;
    close(fd);
    return -EPERM;
}

int app_lock_take(const char *app_token, struct app_lock **ret_lock)
{
    int fd = open_lock(app_token);
    if (fd < 0)
        return fd;
    struct app_lock *l = malloc(sizeof *l);
    int r = !l ? -ENOMEM : flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    if (r < 0) {
        close(fd);
        free(l);
        return r == -EWOULDBLOCK ? -EBUSY : r;
    }
    l->fd = fd;
    *ret_lock = l;
    return 0;
}

void app_lock_release(struct app_lock *l)
{
    if (!l)
        return;
    close(l->fd);
    free(l);
}
