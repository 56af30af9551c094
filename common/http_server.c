#include "common/http_server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http_conn.h"

enum {
    ACCEPTS_AT_ONCE = 64, // then other connections have their turn
    REFUSED_AT_ONCE = 64, // connections over the cap that are given their 503 in good form
    IDLE_LOOKS =
        16, // how many idle connections are looked at to find one without a request on its way
    PAUSE_MS = 100,       // no accepting while there are no descriptors
    CHECK_MS = 100,       // deadlines are not looked at more often
    LATE_MS = 1000,       // the whole loop stood still for that long: nobody else's fault
    DESCRIPTORS_LEFT = 64 // for all the rest of the process
};

const struct http_limits http_default_limits = {
    .max_body = 16 * 1024 * 1024,
    .max_bodies = 64 * 1024 * 1024,
    .max_head = 32 * 1024,
    .max_headers = 100,
    .max_connections = 4096,
    .request_ms = 30 * 1000,
    .idle_ms = 300 * 1000,
    .write_ms = 30 * 1000,
};

void http_server_count_refusal(struct http_server *s, int status, const char *reason)
{
    if (s->handler->on_refused)
        s->handler->on_refused(status, reason, s->data);
}

// --- deadlines

// Returns when to look again. A callback may close or move any connection, so that some are missed
// in this round; where anything expired another one follows soon.
static uint64_t check_deadlines(struct http_conns *list, uint64_t now, uint64_t late)
{
    uint64_t next = UINT64_MAX;
    bool expired = false;
    struct http_conn *c = TAILQ_FIRST(list);
    while (c) {
        struct http_conn *following = TAILQ_NEXT(c, link);
        if (c->deadline != UINT64_MAX)
            c->deadline += late;
        if (c->deadline <= now) {
            http_conn_expire(c);
            expired = true;
        } else if (c->deadline < next) {
            next = c->deadline;
        }
        c = following;
    }
    return expired ? now : next;
}

static void on_deadline(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    uint64_t now = uv_now(s->loop);
    // What waits in the sockets since the loop stood still (a stopped process) is not late: it is
    // given that time again, and some more to be read.
    uint64_t late = now > s->due + LATE_MS ? now - s->due + LATE_MS : 0;
    s->due = UINT64_MAX;
    s->checked = now;
    uint64_t idle = check_deadlines(&s->idle, now, late);
    uint64_t busy = check_deadlines(&s->busy, now, late);
    http_server_arm(s, idle < busy ? idle : busy);
}

void http_server_arm(struct http_server *s, uint64_t deadline)
{
    uint64_t now = uv_now(s->loop);
    uint64_t due = deadline > s->checked + CHECK_MS ? deadline : s->checked + CHECK_MS;
    if (due >= s->due || s->handles == 0)
        return;
    s->due = due;
    uv_timer_start(&s->deadlines, on_deadline, due > now ? due - now : 0, 0);
}

// --- pipelined requests

static void on_rerun(uv_idle_t *idle)
{
    struct http_server *s = idle->data;
    struct http_conn *c;
    while ((c = TAILQ_FIRST(&s->ready))) {
        TAILQ_REMOVE(&s->ready, c, again);
        c->queued = false;
        http_conn_resume(c);
    }
    uv_idle_stop(idle);
}

void http_server_rerun(struct http_conn *c)
{
    struct http_server *s = c->server;
    c->queued = true;
    TAILQ_INSERT_TAIL(&s->ready, c, again);
    uv_idle_start(&s->rerun, on_rerun);
}

// --- accepting

// Closes the connection that has been idle the longest, unless a request has come for it already.
static bool evict_idle(struct http_server *s)
{
    struct http_conn *c = TAILQ_FIRST(&s->idle);
    for (int i = 0; c && i < IDLE_LOOKS; i++, c = TAILQ_NEXT(c, link)) {
        if (!http_conn_has_input(c)) {
            http_conn_abort(c);
            return true;
        }
    }
    return false;
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    uv_poll_start(&s->listener, UV_READABLE, on_acceptable);
}

static void pause_accepting(struct http_server *s)
{
    uv_poll_stop(&s->listener);
    uv_timer_start(&s->pause, on_pause_over, PAUSE_MS, 0);
}

static void take(struct http_server *s, int fd, const struct sockaddr_storage *peer)
{
    bool refused = s->live >= s->limits.max_connections && !evict_idle(s);
    bool crowded = s->live >= s->limits.max_connections + REFUSED_AT_ONCE;
    if (crowded)
        http_server_count_refusal(s, 503, "too many connections");
    if (crowded || http_conn_open(s, fd, peer, refused) < 0)
        close(fd);
}

// Returns false when there is nothing more to accept now.
static bool accept_one(struct http_server *s)
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    int fd = accept4(s->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        take(s, fd, &peer);
        return true;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return false;
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
        return true; // the connection is broken, not the listener (accept(2), "Error handling")
    if (evict_idle(s))
        return true;
    http_server_count_refusal(s, 503, "out of file descriptors");
    pause_accepting(s);
    return false;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct http_server *s = poll->data;
    (void)events;
    for (int i = 0; status == 0 && i < ACCEPTS_AT_ONCE && !s->stopping; i++) {
        if (!accept_one(s))
            return;
    }
}

// --- starting

// As many descriptors as the system lets us have; the cap on connections leaves some for the store.
static void raise_descriptors(struct http_limits *l)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        getrlimit(RLIMIT_NOFILE, &files);
    }
    rlim_t most = files.rlim_cur > 2 * DESCRIPTORS_LEFT ? files.rlim_cur - DESCRIPTORS_LEFT
                                                        : files.rlim_cur / 2;
    if (l->max_connections > most)
        l->max_connections = (unsigned)most;
}

static int listen_on(struct http_server *s, const char *address, bool reuse_port)
{
    struct sockaddr_storage sa;
    socklen_t len = 0;
    int on = 1;
    int r = http_address_resolve(address, &sa, &len);
    if (r < 0)
        return r;
    s->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return -errno;
    if (setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        (reuse_port && setsockopt(s->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
        bind(s->fd, (struct sockaddr *)&sa, len) < 0 || listen(s->fd, SOMAXCONN) < 0 ||
        getsockname(s->fd, (struct sockaddr *)&sa, &len) < 0) {
        r = -errno;
        close(s->fd);
        return r;
    }
    s->port = http_address_format(&sa, s->address);
    return 0;
}

int http_server_start(uv_loop_t *loop, const char *address, bool reuse_port,
                      const struct http_limits *limits, const struct http_handler *handler,
                      void *data, struct http_server **ret_server)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->loop = loop;
    s->limits = *limits;
    s->handler = handler;
    s->data = data;
    s->due = UINT64_MAX;
    TAILQ_INIT(&s->idle);
    TAILQ_INIT(&s->busy);
    TAILQ_INIT(&s->ready);
    raise_descriptors(&s->limits);
    int r = listen_on(s, address, reuse_port);
    if (r < 0) {
        free(s);
        return r;
    }
    r = uv_poll_init(loop, &s->listener, s->fd);
    if (r < 0) {
        close(s->fd);
        free(s);
        return r;
    }
    uv_timer_init(loop, &s->deadlines);
    uv_timer_init(loop, &s->pause);
    uv_idle_init(loop, &s->rerun);
    s->own = 4;
    s->listener.data = s->deadlines.data = s->pause.data = s->rerun.data = s;
    uv_poll_start(&s->listener, UV_READABLE, on_acceptable);
    *ret_server = s;
    return 0;
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}

const char *http_server_address(const struct http_server *s)
{
    return s->address;
}

// --- stopping

static void on_own_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;
    if (handle == (uv_handle_t *)&s->listener)
        close(s->fd);
    if (--s->own)
        return;
    void (*on_closed)(void *) = s->on_closed;
    void *data = s->closed_data;
    free(s);
    if (on_closed)
        on_closed(data);
}

void http_server_closed(struct http_server *s)
{
    if (--s->handles)
        return;
    uv_timer_stop(&s->deadlines);
    s->due = UINT64_MAX;
    if (!s->stopping)
        return;
    uv_close((uv_handle_t *)&s->deadlines, on_own_closed);
    uv_close((uv_handle_t *)&s->pause, on_own_closed);
    uv_close((uv_handle_t *)&s->rerun, on_own_closed);
}

static void abort_all(struct http_conns *list)
{
    struct http_conn *c;
    while ((c = TAILQ_FIRST(list)))
        http_conn_abort(c);
}

static void on_grace_over(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    abort_all(&s->idle);
    abort_all(&s->busy);
}

void http_server_stop(struct http_server *s, unsigned grace_ms, void (*on_closed)(void *data),
                      void *data)
{
    if (s->stopping)
        return;
    // Those that wait in the backlog would be reset with the listener.
    for (int i = 0; i < ACCEPTS_AT_ONCE && accept_one(s); i++)
        ;
    s->stopping = true;
    s->on_closed = on_closed;
    s->closed_data = data;
    uv_close((uv_handle_t *)&s->listener, on_own_closed);
    uv_timer_start(&s->pause, on_grace_over, grace_ms, 0);
    struct http_conn *c = TAILQ_FIRST(&s->idle);
    while (c) {
        struct http_conn *following = TAILQ_NEXT(c, link);
        if (!http_conn_has_input(c))
            http_conn_abort(c);
        c = following;
    }
    s->handles++; // held while nothing may be left already
    http_server_closed(s);
}
