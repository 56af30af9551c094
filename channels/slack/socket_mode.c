#include "channels/slack/socket_mode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/envelope.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/ws_client.h"

enum {
    PING_MS = 15 * 1000,         // of silence, then we ask
    DEAD_MS = 45 * 1000,         // of silence, then it is dead: Slack pings more often than that
    HELLO_MS = 10 * 1000,        // from the open socket to hello
    STEADY_MS = 30 * 1000,       // of life after hello: the backoff starts anew
    PROBE_MS = 5 * 60 * 1000,    // while Socket Mode is switched off
    REFUSED_MS = 10 * 60 * 1000, // while the token is refused
    TOO_MANY_MS = 30 * 1000,     // at least, when Slack counts too many connections
    MAX_CONNECTIONS = 4,         // ours at once: the current, its successor, and closing ones
    MAX_MESSAGE = 4 << 20,
};

struct connection {
    struct socket_mode *m;
    struct ws *ws; // NULL: the slot is free
    bool up, closing;
    bool leaving;                       // asked to go before its hello
    int64_t heard_at, up_at, opened_at; // boot ms
};

struct socket_mode {
    uv_loop_t *loop;
    struct slack_api *api;
    struct socket_handler handler;
    bool plain;
    uv_timer_t retry, watch; // the next attempt; silence
    struct connection connections[MAX_CONNECTIONS];
    struct connection *from; // which delivers right now
    enum socket_state state;
    char why[192];
    bool asking; // apps.connections.open is under way
    bool stopped;
    struct backoff backoff;
    int open_handles;
    void (*closed)(void *data);
    void *closed_data;
};

static void connect_now(struct socket_mode *m);

static void set_state(struct socket_mode *m, enum socket_state state, const char *why)
{
    bool same = m->state == state && strcmp(m->why, why) == 0;
    m->state = state;
    snprintf(m->why, sizeof m->why, "%s", why);
    if (!same)
        m->handler.on_state(state, m->why, m->handler.data);
}

static struct connection *free_slot(struct socket_mode *m)
{
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        if (!m->connections[i].ws)
            return &m->connections[i];
    return NULL;
}

static int count(const struct socket_mode *m, bool up_only)
{
    int n = 0;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        const struct connection *c = &m->connections[i];
        n += c->ws && !c->closing && (c->up || !up_only);
    }
    return n;
}

static bool is_connecting(const struct socket_mode *m)
{
    return m->asking || count(m, false) > count(m, true);
}

static void on_retry(uv_timer_t *t)
{
    connect_now(t->data);
}

static void retry_in(struct socket_mode *m, uint64_t ms)
{
    if (!m->stopped)
        uv_timer_start(&m->retry, on_retry, ms, 0);
}

static void retry_later(struct socket_mode *m, int64_t retry_after_ms, const char *why)
{
    uint32_t random;
    random_bytes(&random, sizeof random);
    unsigned ms = backoff_next(&m->backoff, random, retry_after_ms);
    log_debug("slack: connecting again later", "ms", log_int(ms), "why", why);
    if (!count(m, true))
        set_state(m, SOCKET_TRYING, why);
    retry_in(m, ms);
}

static void close_connection(struct connection *c, const char *why)
{
    if (!c->ws || c->closing)
        return;
    c->closing = true;
    ws_close(c->ws, 1000, str_of(why));
}

static void close_others(struct socket_mode *m, const struct connection *keep, const char *why)
{
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        if (&m->connections[i] != keep && m->connections[i].up)
            close_connection(&m->connections[i], why);
}

// ---- what Slack says ----

static void on_hello(struct connection *c, const struct envelope *e)
{
    struct socket_mode *m = c->m;
    if (c->closing)
        return;
    c->up = true;
    c->up_at = clock_boot_ms();
    uv_timer_stop(&m->retry);
    close_others(m, c, "replaced");
    set_state(m, SOCKET_UP, "connected");
    int ours = 0;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        ours += m->connections[i].ws && m->connections[i].up;
    m->handler.on_up(e->app_id, e->connections, ours, m->handler.data);
    if (c->leaving)
        connect_now(m);
}

static void on_disconnect(struct connection *c, const char *reason)
{
    struct socket_mode *m = c->m;
    log_info("slack: asked to disconnect", "reason", reason);
    if (strcmp(reason, "link_disabled") == 0) {
        close_connection(c, "link_disabled");
        set_state(m, SOCKET_DISABLED,
                  "Socket Mode is switched off in the app's settings (link_disabled)");
        retry_in(m, PROBE_MS);
        return;
    }
    if (strcmp(reason, "too_many_websockets") == 0) {
        close_connection(c, "too many");
        // Slack counts connections that are none any more; another at once would make it worse.
        retry_later(m, TOO_MANY_MS, "Slack counts too many connections of this app");
        return;
    }
    // warning, refresh_requested: the successor first; this one is read until the new hello.
    c->leaving = !c->up;
    if (!is_connecting(m) && !uv_is_active((uv_handle_t *)&m->retry))
        connect_now(m);
}

static void on_message(struct ws *w, struct str message, void *data)
{
    struct connection *c = data;
    struct socket_mode *m = c->m;
    struct envelope e;
    (void)w;
    if (m->stopped) // not acknowledged: Slack repeats it for whoever comes next
        return;
    if (envelope_read(message, &e) < 0) {
        log_warn("slack: not an envelope, ignored", "bytes", log_int((int64_t)message.n));
        return;
    }
    m->from = c;
    if (e.type == ENVELOPE_HELLO)
        on_hello(c, &e);
    else if (e.type == ENVELOPE_DISCONNECT)
        on_disconnect(c, e.reason);
    else
        m->handler.on_envelope(&e, m->handler.data);
    m->from = NULL;
    envelope_done(&e);
}

static void on_open(struct ws *w, void *data)
{
    struct connection *c = data;
    (void)w;
    c->heard_at = c->opened_at = clock_boot_ms();
}

static void on_activity(struct ws *w, void *data)
{
    struct connection *c = data;
    (void)w;
    c->heard_at = clock_boot_ms();
    if (c->up && c->heard_at - c->up_at > STEADY_MS)
        backoff_reset(&c->m->backoff);
}

static void finish_close(struct socket_mode *m);

static void on_closed(struct ws *w, const struct ws_closed *how, void *data)
{
    struct connection *c = data;
    struct socket_mode *m = c->m;
    (void)w;
    bool expected = c->closing;
    c->ws = NULL;
    if (m->stopped) {
        finish_close(m);
        return;
    }
    if (expected) {
        if (!count(m, true) && m->state == SOCKET_UP)
            set_state(m, SOCKET_TRYING, "reconnecting");
        return;
    }
    char why[160];
    snprintf(why, sizeof why, "connection lost (code %d) %.100s", how->code, how->error_text);
    log_info("slack: connection ended", "code", log_int(how->code), "error", how->error_text,
             "status", how->http_status ? log_int(how->http_status) : NULL);
    if (count(m, true))
        return;
    if (m->state == SOCKET_UP)
        set_state(m, SOCKET_TRYING, why);
    if (!is_connecting(m) && !uv_is_active((uv_handle_t *)&m->retry))
        retry_later(m, how->retry_after_s * 1000, why);
}

static const struct ws_handler ws_calls = {on_open, on_message, on_activity, on_closed};

// ---- connecting ----

static void open_socket(struct socket_mode *m, const char *url)
{
    struct connection *c = free_slot(m);
    if (!c) {
        retry_later(m, 0, "too many sockets are still closing");
        return;
    }
    *c = (struct connection){.m = m, .heard_at = clock_boot_ms(), .opened_at = clock_boot_ms()};
    struct ws_options options = {
        .url = url, .allow_plain_loopback = m->plain, .max_message = MAX_MESSAGE};
    int r = ws_open(m->loop, &options, &ws_calls, c, &c->ws);
    if (r < 0) {
        c->ws = NULL;
        retry_later(m, 0, "the socket could not be opened");
    }
}

static void on_url(const struct api_answer *a, void *data)
{
    struct socket_mode *m = data;
    m->asking = false;
    if (m->stopped)
        return;
    const char *url = json_str(a->json, "url");
    if (a->verdict == API_OK && url) {
        open_socket(m, url);
        return;
    }
    char why[192];
    snprintf(why, sizeof why, "apps.connections.open: %.100s%s%.30s", a->error,
             a->needed[0] ? ", needs " : "", a->needed);
    if (a->verdict == API_STOP || a->verdict == API_REFUSED) {
        set_state(m, SOCKET_REFUSED, why);
        retry_in(m, REFUSED_MS);
        return;
    }
    retry_later(m, a->retry_ms, why);
}

static void connect_now(struct socket_mode *m)
{
    if (m->stopped || m->asking)
        return;
    if (m->state == SOCKET_OFF)
        set_state(m, SOCKET_TRYING, "connecting");
    int64_t blocked = slack_api_blocked(m->api, "apps.connections.open");
    if (blocked) {
        retry_in(m, (uint64_t)blocked);
        return;
    }
    if (slack_api_call(m->api, "apps.connections.open", str_of(""), API_APP_TOKEN | API_REPEATABLE,
                       on_url, m) < 0)
        retry_later(m, 0, "out of memory");
    else
        m->asking = true;
}

// ---- silence ----

// Returns after how many ms it is to be looked at again.
static int64_t check_connection(struct connection *c, int64_t now)
{
    struct socket_mode *m = c->m;
    int64_t silent = now - c->heard_at;
    bool waiting = is_connecting(m) || uv_is_active((uv_handle_t *)&m->retry);
    if (!c->up) {
        int64_t left = c->opened_at + WS_OPEN_MS + HELLO_MS - now;
        if (left > 0)
            return left;
        close_connection(c, "no hello");
        if (!count(m, true) && !uv_is_active((uv_handle_t *)&m->retry))
            retry_later(m, 0, "connected, but no hello came");
        return PING_MS;
    }
    if (silent >= DEAD_MS) {
        log_info("slack: connection is dead", "silent_ms", log_int(silent));
        close_connection(c, "dead");
        if (!waiting)
            retry_later(m, 0, "the connection was dead");
        return PING_MS;
    }
    if (silent >= PING_MS && ws_ping(c->ws, str_of("alive?")) < 0)
        log_debug("slack: ping not sent");
    return PING_MS - silent % PING_MS;
}

// Wakes when a connection has been silent for another PING_MS, no more often.
static void on_watch(uv_timer_t *t)
{
    struct socket_mode *m = t->data;
    int64_t now = clock_boot_ms(), next = PING_MS;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        struct connection *c = &m->connections[i];
        if (!c->ws || c->closing)
            continue;
        int64_t ms = check_connection(c, now);
        next = ms < next ? ms : next;
    }
    uv_timer_start(&m->watch, on_watch, (uint64_t)next + 1, 0);
}

// ---- life ----

int socket_mode_new(uv_loop_t *loop, struct slack_api *api, const struct socket_handler *handler,
                    bool plain_loopback, struct socket_mode **ret_socket)
{
    struct socket_mode *m = calloc(1, sizeof *m);
    if (!m)
        return -ENOMEM;
    m->loop = loop;
    m->api = api;
    m->handler = *handler;
    m->plain = plain_loopback;
    uv_timer_init(loop, &m->retry);
    uv_timer_init(loop, &m->watch);
    m->retry.data = m->watch.data = m;
    m->open_handles = 2;
    *ret_socket = m;
    return 0;
}

void socket_mode_start(struct socket_mode *m)
{
    uv_timer_start(&m->watch, on_watch, PING_MS, 0);
    connect_now(m);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct socket_mode *m = h->data;
    m->open_handles--;
    finish_close(m);
}

static void finish_close(struct socket_mode *m)
{
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
        if (m->connections[i].ws)
            return;
    if (m->open_handles)
        return;
    void (*closed)(void *data) = m->closed;
    void *data = m->closed_data;
    free(m);
    closed(data);
}

void socket_mode_close(struct socket_mode *m, void (*closed)(void *data), void *data)
{
    m->stopped = true;
    m->closed = closed;
    m->closed_data = data;
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        struct connection *c = &m->connections[i];
        if (!c->ws)
            continue;
        c->closing = true;
        ws_close(c->ws, 1000, str_of("shutting down"));
    }
    uv_close((uv_handle_t *)&m->retry, on_handle_closed);
    uv_close((uv_handle_t *)&m->watch, on_handle_closed);
}

void socket_mode_ack(struct socket_mode *m, const char *envelope_id)
{
    struct buf text = BUF_INIT(1024);
    struct jw w = JW(&text);
    jw_object(&w);
    jw_kstr(&w, "envelope_id", envelope_id);
    jw_object_end(&w);
    bool sent = false;
    if (!text.error && m->from && m->from->ws && !m->from->closing)
        sent = ws_send(m->from->ws, buf_str(&text)) == 0;
    for (size_t i = 0; !text.error && !sent && i < MAX_CONNECTIONS; i++) {
        struct connection *c = &m->connections[i];
        if (c->ws && c->up && !c->closing)
            sent = ws_send(c->ws, buf_str(&text)) == 0;
    }
    if (!sent)
        log_debug("slack: an acknowledgement could not be sent; Slack will repeat the event");
    buf_done(&text);
}

enum socket_state socket_mode_state(const struct socket_mode *m)
{
    return m->state;
}

const char *socket_mode_why(const struct socket_mode *m)
{
    return m->why;
}
