#include "common/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

extern char **environ;

static int spawn(const char *const argv[], int to, pid_t *ret_pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    int r = posix_spawn_file_actions_init(&files);
    if (r)
        return -r;
    r = posix_spawnattr_init(&how);
    if (r) {
        posix_spawn_file_actions_destroy(&files);
        return -r;
    }
    r = posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP);
    if (!r)
        r = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!r)
        r = posix_spawn_file_actions_adddup2(&files, to, STDOUT_FILENO);
    if (!r)
        r = posix_spawn_file_actions_adddup2(&files, to, STDERR_FILENO);
    if (!r)
        r = posix_spawnp(ret_pid, argv[0], &files, &how, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    return -r;
}

int program_start(const char *const argv[], struct program *ret_program)
{
    int fds[2];
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    int r = spawn(argv, fds[1], &pid);
    close(fds[1]);
    if (r < 0) {
        close(fds[0]);
        return r;
    }
    *ret_program = (struct program){.pid = pid, .fd = fds[0]};
    return 0;
}

// Until its end of the pipe closes: 0, or -ETIMEDOUT.
static int read_all(int fd, int64_t deadline, struct buf *out)
{
    for (;;) {
        int64_t left = deadline - clock_boot_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int r = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (r == 0)
            return -ETIMEDOUT;
        if (r < 0 && errno == EINTR)
            continue;
        char part[4096];
        ssize_t n = read(fd, part, sizeof part);
        if (n <= 0)
            return 0;
        size_t room = out->max - out->len;
        (void)buf_add(out, part, (size_t)n < room ? (size_t)n : room);
    }
}

// It may have closed its output and go on.
static int wait_until(pid_t pid, int64_t deadline, int *ret_status)
{
    for (;;) {
        pid_t r = waitpid(pid, ret_status, WNOHANG);
        if (r == pid)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
        if (clock_boot_ms() >= deadline)
            return -ETIMEDOUT;
        poll(NULL, 0, 5);
    }
}

int program_end(struct program *p, int64_t deadline, struct buf *out)
{
    int status = 0;
    int r = read_all(p->fd, deadline, out);
    if (r == 0)
        r = wait_until(p->pid, deadline, &status);
    close(p->fd);
    if (r < 0) {
        kill(-p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return r;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int program_run(const char *const argv[], int64_t ms, struct buf *out)
{
    struct program p;
    int r = program_start(argv, &p);
    return r < 0 ? r : program_end(&p, clock_boot_ms() + ms, out);
}
