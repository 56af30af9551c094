#pragma once

// A real server on a real loop, and clients that take turns with it in the same thread: nothing
// happens but while spin() runs, so tests of timing and order are exact.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "common/http_server.h"

#define PATIENCE_MS 20000

struct site {
    uv_loop_t loop;
    struct http_server *server;
    struct http_limits limits;
    int headers, requests, aborts, refusals, too_large, closed;
    int refused_status;
    char refused_reason[64];
    uint64_t large_bytes;
    struct http_request *late[256]; // requests for /late, in order, that wait for site_answer
    int lates;
    bool answer_all; // on_request for /all answers every late one first
};

struct client {
    struct site *site;
    int fd;
    char *in; // what was received and not yet taken
    size_t n;
    char *answer; // the last one
    bool eof, reset;
};

static inline int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void spin(struct site *s, int ms)
{
    int64_t end = now_ms() + ms;
    do {
        uv_run(&s->loop, UV_RUN_NOWAIT);
        poll(NULL, 0, 1);
    } while (now_ms() < end);
}

static inline void site_answer(struct site *s, int i, int status)
{
    struct http_request *r = s->late[i];
    assert_non_null(r);
    s->late[i] = NULL;
    http_respond(r, status, "text/plain", str_of("late"), NULL);
}

static int site_on_headers(struct http_request *r, void *data)
{
    struct site *s = data;
    s->headers++;
    if (str_is(http_path(r), "/deny")) {
        http_respond(r, 401, "text/plain", str_of("no"), "WWW-Authenticate: Bearer\r\n");
        return 1;
    }
    if (str_is(http_path(r), "/length") && !http_has_length(r)) {
        http_respond(r, 411, NULL, str_of(""), NULL);
        return 1;
    }
    return str_is(http_path(r), "/forgets");
}

static void site_keep(struct site *s, struct http_request *r)
{
    assert_true((size_t)s->lates < ARRAY_LEN(s->late));
    http_set_user(r, s);
    s->late[s->lates++] = r;
}

static void site_on_request(struct http_request *r, void *data)
{
    struct site *s = data;
    struct str path = http_path(r), query = http_query(r), method = http_method(r);
    s->requests++;
    assert_null(http_user(r));
    if (str_is(path, "/late")) {
        site_keep(s, r);
        return;
    }
    if (str_is(path, "/all")) {
        for (int i = 0; i < s->lates; i++)
            site_answer(s, i, 200);
    }
    if (str_is(path, "/nothing")) {
        http_respond(r, 204, "text/plain", str_of("never sent"), NULL);
        return;
    }
    if (str_is(path, "/big")) {
        size_t n = (size_t)strtoul(query.p, NULL, 10);
        char *big = malloc(n);
        memset(big, 'x', n);
        http_respond(r, 200, "text/plain", (struct str){big, n}, NULL);
        free(big);
        return;
    }
    struct buf out = BUF_INIT(1 << 24);
    buf_addf(&out, "%.*s %.*s?%.*s ", (int)method.n, method.p, (int)path.n, path.p, (int)query.n,
             query.p);
    buf_add(&out, http_body(r).p, http_body(r).n);
    http_respond(r, 200, "text/plain", buf_str(&out), NULL);
    buf_done(&out);
}

static void site_on_too_large(struct http_request *r, uint64_t bytes, void *data)
{
    struct site *s = data;
    s->too_large++;
    s->large_bytes = bytes;
    if (str_is(http_path(r), "/late"))
        site_keep(s, r);
    else
        http_respond(r, 413, "text/plain", str_of("too large"), NULL);
}

static void site_on_abort(struct http_request *r, void *data)
{
    struct site *s = data;
    s->aborts++;
    for (int i = 0; i < s->lates; i++) {
        if (s->late[i] == r)
            s->late[i] = NULL;
    }
}

static void site_on_refused(int status, const char *reason, void *data)
{
    struct site *s = data;
    s->refusals++;
    s->refused_status = status;
    snprintf(s->refused_reason, sizeof s->refused_reason, "%s", reason);
}

static const struct http_handler site_handler = {
    .on_headers = site_on_headers,
    .on_request = site_on_request,
    .on_too_large = site_on_too_large,
    .on_abort = site_on_abort,
    .on_refused = site_on_refused,
};

static void site_on_closed(void *data)
{
    ((struct site *)data)->closed++;
}

static inline struct site *site_new(void)
{
    struct site *s = calloc(1, sizeof *s);
    assert_non_null(s);
    signal(SIGPIPE, SIG_IGN);
    s->limits = http_default_limits;
    assert_int_equal(uv_loop_init(&s->loop), 0);
    return s;
}

static inline void site_start(struct site *s)
{
    assert_int_equal(
        http_server_start(&s->loop, "127.0.0.1:0", false, &s->limits, &site_handler, s, &s->server),
        0);
}

static inline struct site *site_open(void)
{
    struct site *s = site_new();
    site_start(s);
    return s;
}

static inline void site_wait_closed(struct site *s)
{
    for (int64_t end = now_ms() + PATIENCE_MS; !s->closed && now_ms() < end;)
        spin(s, 1);
    assert_int_equal(s->closed, 1);
}

// Stops what still runs; nothing of the server may be left in the loop.
static inline void site_close(struct site *s)
{
    if (s->server && !s->closed) {
        http_server_stop(s->server, 0, site_on_closed, s);
        site_wait_closed(s);
    }
    assert_int_equal(uv_loop_close(&s->loop), 0);
    free(s);
}

static inline int connect_to(struct sockaddr_in sa, int *ret_fd)
{
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(*ret_fd >= 0);
    return connect(*ret_fd, (struct sockaddr *)&sa, sizeof sa) < 0 ? errno : 0;
}

static inline struct sockaddr_in site_address(struct site *s)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)http_server_port(s->server))};
}

static inline int connect_fd(struct site *s)
{
    int fd;
    assert_int_equal(connect_to(site_address(s), &fd), 0);
    return fd;
}

static inline struct client client_open(struct site *s)
{
    return (struct client){.site = s, .fd = connect_fd(s)};
}

static inline void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->in);
    free(c->answer);
    *c = (struct client){.fd = -1};
}

static inline void client_receive(struct client *c)
{
    char bytes[65536];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n == 0)
        c->eof = true;
    if (n < 0 && errno != EAGAIN)
        c->reset = true;
    if (n <= 0)
        return;
    c->in = realloc(c->in, c->n + (size_t)n + 1);
    assert_non_null(c->in);
    memcpy(c->in + c->n, bytes, (size_t)n);
    c->n += (size_t)n;
    c->in[c->n] = '\0';
}

// Sends all of it while the server runs; stops early when the server has closed.
static inline void client_send(struct client *c, struct str bytes)
{
    int64_t end = now_ms() + PATIENCE_MS;
    while (bytes.n && now_ms() < end && !c->reset) {
        ssize_t n = send(c->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        if (n > 0) {
            bytes.p += n;
            bytes.n -= (size_t)n;
        }
        uv_run(&c->site->loop, UV_RUN_NOWAIT);
        client_receive(c);
    }
}

static inline void client_say(struct client *c, const char *text)
{
    client_send(c, str_of(text));
}

// Length of the answer at the front of what came in, 0 while it is not whole.
static inline size_t answer_size(const struct client *c, bool bodyless)
{
    const char *end = c->n ? strstr(c->in, "\r\n\r\n") : NULL;
    if (!end)
        return 0;
    size_t head = (size_t)(end - c->in) + 4;
    const char *length = strstr(c->in, "Content-Length: ");
    size_t body = length && length < end && !bodyless ? strtoul(length + 16, NULL, 10) : 0;
    return c->n >= head + body ? head + body : 0;
}

// Waits for one answer and returns its text, valid until the next call. "" if none comes.
static inline const char *client_answer(struct client *c, bool bodyless)
{
    size_t n = 0;
    for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end;) {
        client_receive(c);
        n = answer_size(c, bodyless);
        if (n || c->eof || c->reset)
            break;
        spin(c->site, 0);
    }
    free(c->answer);
    c->answer = calloc(1, n + 1);
    assert_non_null(c->answer);
    if (n) {
        memcpy(c->answer, c->in, n);
        memmove(c->in, c->in + n, c->n - n + 1);
        c->n -= n;
    }
    return c->answer;
}

static inline int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

static inline const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "";
}

// The next answer has this status, this body and says or does not say that the connection closes.
static inline void expect(struct client *c, int status, const char *body, bool closes)
{
    const char *a = client_answer(c, false);
    if (status_of(a) != status)
        print_error("expected %d, got: %.200s\n", status, a);
    assert_int_equal(status_of(a), status);
    if (body)
        assert_string_equal(body_of(a), body);
    assert_int_equal(strstr(a, "Connection: close\r\n") != NULL, closes);
}

// The server closes the connection within ms, in order (not by a reset), having sent nothing more.
static inline void expect_closed(struct client *c, int ms)
{
    for (int64_t end = now_ms() + ms; !c->eof && !c->reset && now_ms() < end;) {
        spin(c->site, 1);
        client_receive(c);
    }
    assert_false(c->reset);
    assert_true(c->eof);
    assert_int_equal(c->n, 0);
}

static inline void expect_open(struct client *c)
{
    spin(c->site, 5);
    client_receive(c);
    assert_false(c->eof);
    assert_false(c->reset);
    assert_int_equal(c->n, 0);
}

#define WAIT_FOR(site, condition)                                                                  \
    do {                                                                                           \
        for (int64_t end_ = now_ms() + PATIENCE_MS; !(condition) && now_ms() < end_;)              \
            spin(site, 1);                                                                         \
        assert_true(condition);                                                                    \
    } while (0)
