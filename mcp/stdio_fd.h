#pragma once

// One of the two descriptors of stdio, whatever it is: pipe, socket, terminal or file. Private to
// stdio.c. A file (which epoll refuses, so that libuv aborts) gets an idle handle to be read from;
// it is written with write(2), which does not block on one.

#include <uv.h>

#include "common/base.h"

struct stdio_fd {
    int fd;
    bool is_file, was_blocking;
    union {
        uv_handle_t handle; // .data is the user's
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
        uv_tty_t tty;
        uv_idle_t idle;
    } u;
};

// An uv_handle_type that can be opened, or -EBADF (closed), -ENOTSUP (neither stream nor file).
int stdio_fd_type(int fd) MUST_CHECK;

// Takes the descriptor. When it fails, e is to be closed if stdio_fd_is_open(e).
int stdio_fd_open(struct stdio_fd *e, uv_loop_t *loop, int fd, int type) MUST_CHECK;
bool stdio_fd_is_open(const struct stdio_fd *e);

// Puts the blocking mode back as it was found, since the description may be shared with the shell
// or the client that started us. The descriptor is closed if it is above 2.
void stdio_fd_close(struct stdio_fd *e, uv_close_cb on_closed);
