#pragma once

// A TCP server on 127.0.0.1 in the test's own loop, for tests that play the other side byte by
// byte. One test, one server; everything asserts. Include after cmocka.h.

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "common/buf.h"

struct peer;

struct loopback {
    uv_tcp_t listener;
    int port;
    void (*on_bytes)(struct peer *p); // p->in has grown
    void (*on_end)(struct peer *p);   // the client closed its side, or reset it; may be NULL
    void *data;
    unsigned accepted, ended;
    struct peer *last; // the newest connection that is still there
};

struct peer {
    uv_tcp_t tcp;
    struct loopback *server;
    struct buf in;
    unsigned requests; // free for the test
};

static void loopback_on_peer_closed(uv_handle_t *handle)
{
    struct peer *p = handle->data;
    if (p->server->last == p)
        p->server->last = NULL;
    buf_done(&p->in);
    free(p);
}

static void peer_close(struct peer *p)
{
    if (!uv_is_closing((uv_handle_t *)&p->tcp))
        uv_close((uv_handle_t *)&p->tcp, loopback_on_peer_closed);
}

static inline void peer_reset(struct peer *p)
{
    assert_int_equal(uv_tcp_close_reset(&p->tcp, loopback_on_peer_closed), 0);
}

struct peer_write_request {
    uv_write_t req;
    char bytes[];
};

static void loopback_on_written(uv_write_t *req, int status)
{
    (void)status; // the client may well be gone
    free(req);
}

static inline void peer_write(struct peer *p, const void *bytes, size_t n)
{
    struct peer_write_request *w = malloc(sizeof *w + n);
    assert_non_null(w);
    memcpy(w->bytes, bytes, n);
    uv_buf_t b = uv_buf_init(w->bytes, (unsigned)n);
    assert_int_equal(uv_write(&w->req, (uv_stream_t *)&p->tcp, &b, 1, loopback_on_written), 0);
}

static inline void peer_puts(struct peer *p, const char *text)
{
    peer_write(p, text, strlen(text));
}

static void loopback_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle, (void)suggested;
    static char space[65536];
    *buf = uv_buf_init(space, sizeof space);
}

static void loopback_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer *p = stream->data;
    if (n > 0) {
        assert_int_equal(buf_add(&p->in, buf->base, (size_t)n), 0);
        p->server->on_bytes(p);
    } else if (n < 0) {
        p->server->ended++;
        if (p->server->on_end)
            p->server->on_end(p);
        peer_close(p);
    }
}

static inline void peer_read(struct peer *p, bool on)
{
    if (on)
        assert_int_equal(uv_read_start((uv_stream_t *)&p->tcp, loopback_alloc, loopback_on_read),
                         0);
    else
        uv_read_stop((uv_stream_t *)&p->tcp);
}

static void loopback_on_connection(uv_stream_t *listener, int status)
{
    assert_int_equal(status, 0);
    struct loopback *s = listener->data;
    struct peer *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->server = s;
    p->in = BUF_INIT(64u << 20);
    assert_int_equal(uv_tcp_init(listener->loop, &p->tcp), 0);
    p->tcp.data = p;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&p->tcp), 0);
    s->accepted++;
    s->last = p;
    peer_read(p, true);
}

static inline void loopback_start(struct loopback *s, uv_loop_t *loop)
{
    struct sockaddr_in address;
    int len = sizeof address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(uv_tcp_init(loop, &s->listener), 0);
    assert_int_equal(uv_tcp_bind(&s->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&s->listener, 16, loopback_on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&s->listener, (struct sockaddr *)&address, &len), 0);
    s->port = ntohs(address.sin_port);
    s->listener.data = s;
}

static inline void loopback_stop(struct loopback *s)
{
    if (s->last)
        peer_close(s->last);
    if (!uv_is_closing((uv_handle_t *)&s->listener))
        uv_close((uv_handle_t *)&s->listener, NULL);
}

// Turns the loop until *flag, for at most ms. What a test waits for must come: it fails otherwise.
static void loopback_on_deadline(uv_timer_t *timer)
{
    bool *late = timer->data;
    *late = true;
}

static inline bool loopback_wait(uv_loop_t *loop, const bool *flag, unsigned ms)
{
    uv_timer_t deadline;
    bool late = false;
    uv_timer_init(loop, &deadline);
    deadline.data = &late;
    uv_update_time(loop);
    uv_timer_start(&deadline, loopback_on_deadline, ms, 0);
    while (!*flag && !late)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return *flag;
}

static inline void loopback_pause(uv_loop_t *loop, unsigned ms)
{
    const bool never = false;
    loopback_wait(loop, &never, ms);
}

// The machine's own settings must not reach the clients under test.
static inline void unset_proxies(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy",  "HTTPS_PROXY",
                                        "all_proxy",  "ALL_PROXY",    "no_proxy",
                                        "NO_PROXY",   "SSL_CERT_FILE"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unsetenv(names[i]);
}

// All handles must be closed or closing; nothing may be left.
static inline void loopback_finish(uv_loop_t *loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}
