#include "mcp/stdio_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int stdio_fd_type(int fd)
{
    if (fcntl(fd, F_GETFL) < 0)
        return -errno;
    switch (uv_guess_handle(fd)) {
    case UV_NAMED_PIPE:
        return UV_NAMED_PIPE;
    case UV_TCP:
        return UV_TCP;
    case UV_TTY:
        return UV_TTY;
    case UV_FILE:
        return UV_FILE;
    default:
        return -ENOTSUP;
    }
}

int stdio_fd_open(struct stdio_fd *e, uv_loop_t *loop, int fd, int type)
{
    int flags = fcntl(fd, F_GETFL), r = 0;
    e->fd = fd;
    e->was_blocking = flags >= 0 && !(flags & O_NONBLOCK);
    e->is_file = type == UV_FILE;
    if (type == UV_FILE)
        r = uv_idle_init(loop, &e->u.idle);
    else if (type == UV_TTY)
        r = uv_tty_init(loop, &e->u.tty, fd, 0); // opens it anew where it can
    else if (type == UV_TCP)
        r = uv_tcp_init(loop, &e->u.tcp);
    else
        r = uv_pipe_init(loop, &e->u.pipe, 0);
    if (r < 0) {
        e->u.handle.type = UV_UNKNOWN_HANDLE;
        return r;
    }
    if (type == UV_TCP)
        r = uv_tcp_open(&e->u.tcp, fd);
    else if (type == UV_NAMED_PIPE)
        r = uv_pipe_open(&e->u.pipe, fd);
    return r;
}

bool stdio_fd_is_open(const struct stdio_fd *e)
{
    return e->u.handle.type != UV_UNKNOWN_HANDLE;
}

void stdio_fd_close(struct stdio_fd *e, uv_close_cb on_closed)
{
    int flags = fcntl(e->fd, F_GETFL);
    if (e->was_blocking && flags >= 0 && (flags & O_NONBLOCK))
        fcntl(e->fd, F_SETFL, flags & ~O_NONBLOCK);
    // libuv closes what it reads itself: not a file, nor the terminal that it opened anew.
    uv_os_fd_t read_by_uv = -1;
    uv_fileno(&e->u.handle, &read_by_uv);
    if (e->fd > STDERR_FILENO && e->fd != read_by_uv)
        close(e->fd);
    uv_close(&e->u.handle, on_closed);
}
