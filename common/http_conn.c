#include "common/http_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LINGER_MS = 2000,              // how long, and beyond max_body how much,
    LINGER_BYTES = 4 * 1024 * 1024 // is read and thrown away before a connection is closed
};

static void run(struct http_conn *c);

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_conn *c = handle->data;
    struct http_server *s = c->server;
    free(c->out);
    free(c);
    http_server_closed(s);
}

static void drop_input(struct http_conn *c)
{
    free(c->pending);
    c->pending = NULL;
    c->in = (struct str){NULL, 0};
}

static uint64_t deadline_of(const struct http_conn *c, enum conn_state state)
{
    const struct http_limits *l = &c->server->limits;
    uint64_t now = uv_now(c->server->loop);
    switch (state) {
    case CONN_IDLE:
        return now + l->idle_ms;
    case CONN_HEAD:
        return now + l->request_ms;
    case CONN_BODY:
        return c->deadline; // one deadline for head and body
    case CONN_WRITING:
        return now + l->write_ms;
    case CONN_SKIPPING:
    case CONN_LINGERING:
        return now + LINGER_MS;
    default:
        return UINT64_MAX;
    }
}

// The one place where a connection changes its state, its list and its deadline.
static void set_state(struct http_conn *c, enum conn_state state)
{
    struct http_server *s = c->server;
    TAILQ_REMOVE(c->state == CONN_IDLE ? &s->idle : &s->busy, c, link);
    c->deadline = deadline_of(c, state);
    c->state = state;
    if (state == CONN_CLOSED)
        return;
    TAILQ_INSERT_TAIL(state == CONN_IDLE ? &s->idle : &s->busy, c, link);
    http_server_arm(s, c->deadline);
}

static void close_conn(struct http_conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    set_state(c, CONN_CLOSED);
    c->server->live--;
    if (c->queued)
        TAILQ_REMOVE(&c->server->ready, c, again);
    http_request_done(&c->request);
    drop_input(c);
    uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
}

// The user learns that the request it accepted will not be finished.
static void disown(struct http_conn *c)
{
    struct http_server *s = c->server;
    if (!c->request.owed)
        return;
    c->request.owed = false;
    if (s->handler->on_abort)
        s->handler->on_abort(&c->request, s->data);
}

void http_conn_abort(struct http_conn *c)
{
    disown(c);
    close_conn(c);
}

// --- reading

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct http_conn *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init(c->server->input, sizeof c->server->input);
}

static void on_eof(struct http_conn *c)
{
    c->at_eof = true;
    c->reading = false;
    uv_read_stop((uv_stream_t *)&c->tcp);
    // A peer that only shut down its sending side still gets its answer.
    if (c->state != CONN_HANDLING && c->state != CONN_WRITING)
        http_conn_abort(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_conn *c = stream->data;
    if (n == UV_EOF)
        on_eof(c);
    else if (n < 0)
        http_conn_abort(c);
    else if (n > 0) {
        c->in = (struct str){buf->base, (size_t)n};
        run(c);
    }
}

static void set_reading(struct http_conn *c, bool on)
{
    if (c->reading == on || c->at_eof)
        return;
    c->reading = on;
    if (!on)
        uv_read_stop((uv_stream_t *)&c->tcp);
    else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0)
        http_conn_abort(c);
}

bool http_conn_has_input(struct http_conn *c)
{
    char byte;
    uv_os_fd_t fd;
    if (c->in.n)
        return true;
    return uv_fileno((const uv_handle_t *)&c->tcp, &fd) == 0 &&
           recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

// --- writing

static void linger(struct http_conn *c)
{
    uv_os_fd_t fd;
    if (c->at_eof || uv_fileno((const uv_handle_t *)&c->tcp, &fd) < 0 ||
        shutdown(fd, SHUT_WR) < 0) {
        close_conn(c);
        return;
    }
    drop_input(c);
    set_state(c, CONN_LINGERING);
    set_reading(c, true);
}

static void next_request(struct http_conn *c)
{
    struct http_server *s = c->server;
    if (c->at_eof || (s->stopping && !http_conn_has_input(c))) {
        close_conn(c);
        return;
    }
    http_request_done(&c->request);
    http_request_init(&c->request, &s->limits, &s->bodies, c->peer);
    set_state(c, CONN_IDLE);
    // Not from here: the user that answers must not find itself called for the next request.
    if (!c->running && c->in.n)
        http_server_rerun(c);
}

// The answer is with the kernel.
static void answer_sent(struct http_conn *c)
{
    struct http_request *r = &c->request;
    if (r->keep_alive && !r->complete)
        set_state(c, CONN_SKIPPING);
    else if (r->keep_alive)
        next_request(c);
    else if (r->complete && !c->in.n)
        close_conn(c);
    else
        linger(c); // closing with something unread would reset the connection under the answer
}

static void on_written(uv_write_t *req, int status)
{
    struct http_conn *c = req->data;
    if (c->state == CONN_CLOSED)
        return;
    free(c->out);
    c->out = NULL;
    if (status < 0)
        close_conn(c);
    else
        answer_sent(c);
}

// Sends now what the socket takes, and queues a copy of the rest.
static void send_parts(struct http_conn *c, uv_buf_t parts[], unsigned n)
{
    size_t total = 0;
    for (unsigned i = 0; i < n; i++)
        total += parts[i].len;
    int w = uv_try_write((uv_stream_t *)&c->tcp, parts, n);
    if (w < 0 && w != UV_EAGAIN) {
        close_conn(c);
        return;
    }
    size_t sent = w < 0 ? 0 : (size_t)w;
    if (sent == total) {
        answer_sent(c);
        return;
    }
    c->out = malloc(total - sent);
    if (!c->out) {
        close_conn(c);
        return;
    }
    uv_buf_t rest = uv_buf_init(c->out, (unsigned)(total - sent));
    char *to = c->out;
    for (unsigned i = 0; i < n; i++) {
        size_t skip = sent < parts[i].len ? sent : parts[i].len;
        memcpy(to, parts[i].base + skip, parts[i].len - skip);
        to += parts[i].len - skip;
        sent -= skip;
    }
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &rest, 1, on_written) < 0)
        close_conn(c);
}

static const char *date_now(struct http_server *s)
{
    time_t now = time(NULL);
    if (now != s->date_at) {
        s->date_at = now;
        http_date(now, s->date);
    }
    return s->date;
}

static uv_buf_t part(struct str s)
{
    return uv_buf_init((char *)(uintptr_t)s.p, (unsigned)s.n);
}

static void answer(struct http_conn *c, int status, const char *type, struct str body,
                   const char *extra)
{
    struct http_server *s = c->server;
    struct http_request *r = &c->request;
    bool stays = !c->at_eof && !s->stopping && (r->complete || http_request_worth_skipping(r));
    r->keep_alive = r->keep_alive && stays;
    r->keeps_body = false;
    r->owed = false;
    struct http_answer a = {
        .status = status,
        .minor = r->keep_alive ? http_head_minor(&r->head) : 1,
        .keep_alive = r->keep_alive,
        .content_type = type,
        .length = body.n,
        .date = date_now(s),
    };
    char head[HTTP_ANSWER_SIZE];
    bool bodyless = r->is_head || status == 204 || status == 304;
    uv_buf_t parts[] = {
        uv_buf_init(head, (unsigned)http_answer_head(&a, head)),
        part(str_of(extra ? extra : "")),
        part(str_of("\r\n")),
        part(bodyless ? (struct str){"", 0} : body),
    };
    set_state(c, CONN_WRITING);
    send_parts(c, parts, ARRAY_LEN(parts));
    http_request_drop_body(r); // not before: the user may answer with a part of it
}

static void refuse(struct http_conn *c, int status, const char *reason)
{
    char body[160];
    snprintf(body, sizeof body, "{\"error\":\"%s\"}\n", reason);
    disown(c);
    http_server_count_refusal(c->server, status, reason);
    c->request.keep_alive = false;
    answer(c, status, "application/json", str_of(body), NULL);
}

// --- one request

static void too_large(struct http_conn *c, uint64_t bytes)
{
    struct http_server *s = c->server;
    c->request.keep_alive = false;
    c->request.owed = true;
    set_state(c, CONN_HANDLING);
    s->handler->on_too_large(&c->request, bytes, s->data);
}

static void deliver(struct http_conn *c)
{
    struct http_server *s = c->server;
    set_state(c, CONN_HANDLING);
    s->handler->on_request(&c->request, s->data);
}

// Lets the peer send the body it holds back (RFC 9110, 10.1.1). Nothing else is in the socket, so
// it fits or is broken.
static void send_continue(struct http_conn *c)
{
    uv_buf_t line = part(str_of("HTTP/1.1 100 Continue\r\n\r\n"));
    c->request.expects = false;
    if (uv_try_write((uv_stream_t *)&c->tcp, &line, 1) != (int)line.len)
        http_conn_abort(c);
}

static void begin_request(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct http_request *r = &c->request;
    set_state(c, CONN_BODY);
    r->keeps_body = true;
    bool refused = s->handler->on_headers(r, s->data) != 0;
    if (c->state != CONN_BODY)
        return; // answered
    if (refused) {
        refuse(c, 500, "not answered");
        return;
    }
    r->owed = true;
    if (r->length > s->limits.max_body)
        too_large(c, r->length);
    else if (r->complete)
        deliver(c);
    else if (r->expects && !c->in.n)
        send_continue(c);
}

static void take_head(struct http_conn *c)
{
    struct http_request *r = &c->request;
    enum http_progress p = http_request_head(r, &c->in);
    if (c->state == CONN_IDLE && (p != HTTP_MORE || r->head.text.len))
        set_state(c, CONN_HEAD);
    if (p == HTTP_WHOLE)
        begin_request(c);
    else if (p == HTTP_REFUSE)
        refuse(c, r->status, r->reason);
}

static void take_body(struct http_conn *c)
{
    struct http_request *r = &c->request;
    enum http_progress p = http_request_body(r, &c->in);
    if (p == HTTP_TOO_LARGE)
        too_large(c, r->received);
    else if (p == HTTP_REFUSE)
        refuse(c, r->status, r->reason);
    else if (p == HTTP_WHOLE)
        deliver(c);
}

static void skip_body(struct http_conn *c)
{
    enum http_progress p = http_request_body(&c->request, &c->in);
    if (p == HTTP_WHOLE)
        next_request(c);
    else if (p != HTTP_MORE)
        linger(c);
}

static void drain(struct http_conn *c)
{
    c->drained += c->in.n;
    c->in.n = 0;
    if (c->drained > c->server->limits.max_body + LINGER_BYTES)
        close_conn(c);
}

// Takes something off c->in. False where it has to wait for the answer.
static bool step(struct http_conn *c)
{
    switch (c->state) {
    case CONN_IDLE:
    case CONN_HEAD:
        take_head(c);
        return true;
    case CONN_BODY:
        take_body(c);
        return true;
    case CONN_SKIPPING:
        skip_body(c);
        return true;
    case CONN_LINGERING:
        drain(c);
        return true;
    default:
        return false;
    }
}

// Keeps what was not taken, if it is not kept already.
static int keep_input(struct http_conn *c)
{
    if (c->pending)
        return 0;
    char *copy = malloc(c->in.n);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, c->in.p, c->in.n);
    c->pending = copy;
    c->in.p = copy;
    return 0;
}

// Works through c->in. Requests that are answered at once follow each other here, not in each
// other's callbacks.
static void run(struct http_conn *c)
{
    c->running = true;
    while (c->in.n && step(c))
        ;
    c->running = false;
    if (c->state == CONN_CLOSED)
        return;
    if (c->in.n && keep_input(c) < 0) {
        http_conn_abort(c);
        return;
    }
    set_reading(c, c->in.n == 0);
    if (c->state != CONN_CLOSED && !c->in.n)
        drop_input(c);
}

void http_conn_resume(struct http_conn *c)
{
    run(c);
}

void http_conn_expire(struct http_conn *c)
{
    if (c->state == CONN_HEAD || c->state == CONN_BODY)
        refuse(c, 408, "request not complete in time");
    else if (c->state == CONN_IDLE && http_conn_has_input(c))
        set_state(c, CONN_IDLE); // a request came in this moment
    else
        http_conn_abort(c);
}

int http_conn_open(struct http_server *s, int fd, const struct sockaddr_storage *peer, bool refused)
{
    struct http_conn *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->server = s;
    c->tcp.data = c->write.data = c;
    http_address_peer(peer, c->peer);
    if (uv_tcp_init(s->loop, &c->tcp) < 0) {
        free(c);
        return -ENOMEM;
    }
    s->live++;
    s->handles++;
    TAILQ_INSERT_TAIL(&s->idle, c, link);
    http_request_init(&c->request, &s->limits, &s->bodies, c->peer);
    int e = uv_tcp_open(&c->tcp, fd);
    if (e < 0) {
        close_conn(c);
        return e;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    set_state(c, CONN_IDLE);
    if (refused)
        refuse(c, 503, "too many connections");
    else
        set_reading(c, true);
    return 0;
}

void http_respond(struct http_request *r, int status, const char *content_type, struct str body,
                  const char *extra_headers)
{
    struct http_conn *c = CONTAINER_OF(r, struct http_conn, request);
    if (c->state == CONN_BODY || c->state == CONN_HANDLING)
        answer(c, status, content_type, body, extra_headers);
}
