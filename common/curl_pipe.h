#pragma once

// Bytes both ways over a connection that libcurl makes: name, TCP, proxy and TLS as for any
// request, then nothing of HTTP. Each pipe has a CURLM of its own, so that no other transfer ever
// counts its socket as idle. curl.h stays inside.

#include <uv.h>

#include "common/buf.h"

struct curl_pipe;

enum {
    PIPE_OUT_SIZE = 16 * 1024, // pending bytes: one TLS record
    PIPE_USER_TIMEOUT_MS =
        45 * 1000, // written bytes without an acknowledgement by the peer's kernel
};

struct curl_pipe_events {
    void (*on_connected)(void *data); // put something right here: until the first byte libcurl
                                      // holds the connection idle
    void (*on_failed)(int error, const char *text,
                      void *data); // to connect: -ETIMEDOUT or -EIO; text is borrowed
    void (*on_ready)(void *data);  // there may be something to read, or room to write; or it was
                                   // asked for by _again
};

// Starts to connect; no event comes from within. url is http(s), see curl_loop_easy for what is
// allowed. Borrows loop and events. -EINVAL, -EPERM, -ELIBACC, -ENOMEM or a UV_E* code.
int curl_pipe_open(uv_loop_t *loop, const char *url, bool allow_plain_loopback,
                   const struct curl_pipe_events *events, void *data,
                   struct curl_pipe **ret_pipe) MUST_CHECK;

// Ends the connection at once and frees the pipe in a later turn of the loop; allowed within its
// events. NULL is fine.
void curl_pipe_close(struct curl_pipe *p);

// Bytes read, 0 when there are none now, -ECONNRESET when the peer ended the connection or it
// failed. Only a 0 makes the next on_ready certain: TLS may hold bytes of which the socket shows
// nothing. Who stops earlier asks for _again.
ssize_t curl_pipe_read(struct curl_pipe *p, void *to, size_t n) MUST_CHECK;

// Copies bytes to what goes out next: how many it took, 0 while the socket is full. -ECONNRESET:
// writing failed.
ssize_t curl_pipe_put(struct curl_pipe *p, const void *bytes, size_t n) MUST_CHECK;
// 1: all that was put is written, 0: the socket is full, -ECONNRESET: writing failed.
int curl_pipe_flush(struct curl_pipe *p) MUST_CHECK;
size_t curl_pipe_pending(const struct curl_pipe *p); // put, but not written yet

// What on_ready is to come for: bytes to read if `reading`, and room to write while something is
// pending.
void curl_pipe_watch(struct curl_pipe *p, bool reading);
void curl_pipe_again(struct curl_pipe *p); // on_ready in the next turn of the loop, once

// "host:port" as a Host header has it, and the path with its query. 0, -EINVAL (not a URL, too
// long), -ELIBACC or -ENOMEM.
int curl_pipe_split_url(const char *url, struct buf *authority, struct buf *target) MUST_CHECK;
