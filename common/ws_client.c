#include "common/ws_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include "common/crypto.h"
#include "common/curl_loop.h"
#include "common/text.h"
#include "common/ws_handshake.h"

// The life of a connection:
//
//   CONNECTING --curl--> UPGRADING --101--> OPEN --ws_close, close frame, breach--> CLOSING -->
//   ENDED
//
// and from each state straight to ENDED. libcurl connects, then only serves as a plain or TLS pipe:
// the descriptor is watched by our own poll handle, wslay reads and writes through curl_easy_recv
// and curl_easy_send.
//
// Work happens in the callbacks of libuv and libcurl, between enter() and leave(). Whatever goes
// wrong in between is only noted (state ENDED); leave() then tells the user and frees, when nothing
// on the stack uses the object any more. A failure within a call of the user's is told by the
// timer, at once but from the loop.
enum ws_state { CONNECTING, UPGRADING, OPEN, CLOSING, ENDED };

enum {
    OUT_SIZE = 16 * 1024,    // one TLS record
    EARLY_SIZE = 4096,       // what one read of the answer may bring along of the first frames
    READ_BUDGET = 64 * 1024, // bytes read in a turn, before answers go out and others have theirs
    BATCH = 64,              // frames queued within a turn before they are written
    MAX_REASON = 123,        // of a close frame (RFC 6455, 5.5)
    // wslay takes in 4 KB at a time, so 2048 frames more may be answered once this is reached.
    CLOGGED_FRAMES = WS_MAX_QUEUED_FRAMES / 2,
};

struct ws {
    enum ws_state state;
    const struct ws_handler *handler;
    void *data;
    size_t max_message, max_queue;

    struct curl_loop *curl;
    struct curl_transfer transfer;
    char curl_error[CURL_ERROR_SIZE];
    struct ws_handshake *handshake;
    wslay_event_context_ptr frames; // from OPEN on

    uv_loop_t *loop;
    uv_timer_t timer; // until the 101; for the close; at once for a failure to tell
    uv_idle_t
        idle; // another turn of reading: TLS may hold bytes of which the descriptor shows nothing
    uv_poll_t poll;
    bool has_poll;
    unsigned handles; // uv handles not closed yet; the last one frees

    unsigned busy; // depth of enter()
    bool silent;   // abandoned
    bool torn_down;
    bool told; // on_activity was called for this turn
    bool more; // the budget ended the turn
    size_t budget;

    // What goes out next. TLS wants a write that did not go through repeated with the same bytes at
    // the same place, so they stay here, and nothing is added while `blocked`.
    char out[OUT_SIZE];
    size_t out_at, out_len;
    bool blocked;
    char early[EARLY_SIZE];
    size_t early_at, early_len;

    bool close_asked, close_queued; // by ws_close
    uint16_t close_code;
    char close_reason[MAX_REASON];
    size_t close_reason_len;

    struct ws_closed how; // valid in ENDED
    char peer_reason[MAX_REASON];
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct ws *w = handle->data;
    if (--w->handles == 0)
        free(w);
}

static void close_handle(void *handle)
{
    uv_close(handle, on_handle_closed);
}

static void tear_down(struct ws *w)
{
    if (w->torn_down)
        return;
    w->torn_down = true;
    if (w->has_poll) {
        uv_poll_stop(&w->poll);
        close_handle(&w->poll);
    }
    if (w->frames)
        wslay_event_context_free(w->frames);
    ws_handshake_free(w->handshake);
    curl_loop_remove(w->curl, &w->transfer); // closes the socket
    curl_easy_cleanup(w->transfer.easy);
    curl_loop_close(w->curl);
    close_handle(&w->idle);
    close_handle(&w->timer);
}

static void enter(struct ws *w)
{
    w->busy++;
}

static void leave(struct ws *w)
{
    if (w->busy == 1 && w->state == ENDED && !w->silent) {
        w->silent = true;
        w->handler->on_closed(w, &w->how, w->data);
    }
    if (--w->busy == 0 && w->state == ENDED)
        tear_down(w);
}

static void on_timer(uv_timer_t *timer);

// The first cause counts.
static void end(struct ws *w, struct ws_closed how)
{
    if (w->state == ENDED)
        return;
    w->state = ENDED;
    if (!how.error_text)
        how.error_text = "";
    if (w->handshake) {
        how.http_status = ws_handshake_status(w->handshake);
        how.retry_after_s = ws_handshake_retry_after_s(w->handshake);
    }
    w->how = how;
    if (w->frames)
        wslay_event_shutdown_read(w->frames);
    if (w->busy == 0)
        uv_timer_start(&w->timer, on_timer, 0, 0);
}

static void fail(struct ws *w, int error, const char *text)
{
    struct ws_closed how = {
        .end = w->state < OPEN ? WS_END_NOT_OPENED : WS_END_LOST,
        .code = 1006,
        .error = error,
        .error_text = text,
    };
    if (w->close_asked)
        how = (struct ws_closed){.end = WS_END_BY_US, .code = 1006};
    end(w, how);
}

// Both close frames were exchanged, or there was time enough to.
static void end_closing(struct ws *w)
{
    bool received = wslay_event_get_close_received(w->frames);
    struct ws_closed how = {.code = 1006};
    if (received) {
        how.code = wslay_event_get_status_code_received(w->frames);
        how.reason = w->how.reason;
    }
    if (w->close_asked) {
        how.end = WS_END_BY_US;
    } else if (received) {
        how.end = WS_END_BY_PEER;
    } else {
        how.end = WS_END_LOST;
        how.code = wslay_event_get_status_code_sent(w->frames);
        if (how.code == WSLAY_CODE_NO_STATUS_RCVD) // wslay gives none for a malformed frame
            how.code = WSLAY_CODE_PROTOCOL_ERROR;
        how.error = -EPROTO;
        how.error_text = "the peer broke the protocol or sent too long a message";
    }
    end(w, how);
}

static void start_closing(struct ws *w)
{
    if (w->state != OPEN)
        return;
    w->state = CLOSING;
    uv_timer_start(&w->timer, on_timer, WS_CLOSE_MS, 0);
}

// 1: all is written, 0: the socket is full, negative: it failed (and the end is noted).
static int write_out(struct ws *w)
{
    while (w->out_at < w->out_len) {
        size_t n = 0;
        CURLcode r =
            curl_easy_send(w->transfer.easy, w->out + w->out_at, w->out_len - w->out_at, &n);
        if (r == CURLE_AGAIN) {
            w->blocked = true;
            return 0;
        }
        if (r != CURLE_OK) {
            fail(w, -ECONNRESET, "writing failed: the connection is gone");
            return -ECONNRESET;
        }
        w->blocked = false;
        w->out_at += n;
    }
    w->out_at = w->out_len = 0;
    return 1;
}

static ssize_t on_frame_send(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t n, int flags,
                             void *user)
{
    (void)flags;
    struct ws *w = user;
    int r = 1;
    if (w->blocked || w->out_len == OUT_SIZE)
        r = write_out(w);
    if (r <= 0) {
        wslay_event_set_error(ctx, r == 0 ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    size_t room = OUT_SIZE - w->out_len;
    size_t take = n < room ? n : room;
    memcpy(w->out + w->out_len, bytes, take);
    w->out_len += take;
    return (ssize_t)take;
}

// Only once all messages are out: a close frame overtakes them otherwise.
static void queue_close(struct ws *w)
{
    if (!w->close_asked || w->close_queued || wslay_event_want_write(w->frames))
        return;
    w->close_queued = true;
    wslay_event_queue_close(w->frames, w->close_code, (const uint8_t *)w->close_reason,
                            w->close_reason_len);
}

static void write_frames(struct ws *w)
{
    int r;
    do {
        queue_close(w);
        r = wslay_event_want_write(w->frames) ? wslay_event_send(w->frames) : 0;
        if (r != 0) {
            fail(w, r == WSLAY_ERR_NOMEM ? -ENOMEM : -ECONNRESET, "writing failed");
            return;
        }
        r = write_out(w);
    } while (r > 0 && (wslay_event_want_write(w->frames) || (w->close_asked && !w->close_queued)));
}

static ssize_t take_early(struct ws *w, uint8_t *to, size_t n)
{
    size_t left = w->early_len - w->early_at;
    size_t take = n < left ? n : left;
    memcpy(to, w->early + w->early_at, take);
    w->early_at += take;
    return (ssize_t)take;
}

// What the socket has: the number of bytes, 0 if none now, negative when it ended or failed
// (noted).
static ssize_t read_in(struct ws *w, void *to, size_t n)
{
    size_t got = 0;
    CURLcode r = curl_easy_recv(w->transfer.easy, to, n, &got);
    if (r == CURLE_OK && got > 0)
        return (ssize_t)got;
    if (r == CURLE_AGAIN)
        return 0;
    fail(w, -ECONNRESET, r == CURLE_OK ? "the peer ended the connection" : "reading failed");
    return -1;
}

// The peer sends but does not read: its pings must not pile up pongs here. It is not read either
// until it does.
static bool is_clogged(const struct ws *w)
{
    return wslay_event_get_queued_msg_count(w->frames) >= CLOGGED_FRAMES ||
           wslay_event_get_queued_msg_length(w->frames) > w->max_queue;
}

static ssize_t on_frame_recv(wslay_event_context_ptr ctx, uint8_t *to, size_t n, int flags,
                             void *user)
{
    (void)flags;
    struct ws *w = user;
    ssize_t got = 0;
    if (w->early_at < w->early_len) {
        got = take_early(w, to, n);
    } else if (w->budget == 0 || is_clogged(w)) {
        w->more = true;
    } else {
        got = read_in(w, to, n < w->budget ? n : w->budget);
        w->budget -= got > 0 ? (size_t)got : 0;
    }
    if (got > 0 && !w->told) {
        w->told = true;
        if (w->handler->on_activity)
            w->handler->on_activity(w, w->data);
    }
    if (w->state == ENDED)
        got = -1;
    if (got > 0)
        return got;
    wslay_event_set_error(ctx, got == 0 ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void on_frame_message(wslay_event_context_ptr ctx,
                             const struct wslay_event_on_msg_recv_arg *m, void *user)
{
    (void)ctx;
    struct ws *w = user;
    if (w->state == ENDED)
        return;
    if (m->opcode == WSLAY_CONNECTION_CLOSE && m->msg_length > 2) {
        size_t n = m->msg_length - 2; // behind the code
        n = n < MAX_REASON ? n : MAX_REASON;
        memcpy(w->peer_reason, m->msg + 2, n);
        w->how.reason = (struct str){w->peer_reason, n};
    }
    if (!wslay_is_ctrl_frame(m->opcode))
        w->handler->on_message(w, (struct str){(const char *)m->msg, m->msg_length}, w->data);
}

static int on_mask(wslay_event_context_ptr ctx, uint8_t *to, size_t n, void *user)
{
    (void)ctx, (void)user;
    random_bytes(to, n);
    return 0;
}

static int start_frames(struct ws *w)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_frame_recv,
        .send_callback = on_frame_send,
        .genmask_callback = on_mask,
        .on_msg_recv_callback = on_frame_message,
    };
    if (wslay_event_context_client_init(&w->frames, &callbacks, w) != 0)
        return -ENOMEM;
    wslay_event_config_set_max_recv_msg_length(w->frames, w->max_message);
    return 0;
}

static void read_frames(struct ws *w)
{
    int r = wslay_event_recv(w->frames);
    if (r == WSLAY_ERR_NOMEM)
        fail(w, -ENOMEM, "out of memory");
    else if (r != 0 && wslay_event_get_read_enabled(w->frames))
        fail(w, -EPROTO, "reading frames failed");
    // A close frame came, or wslay has queued one for what it could not accept.
    if (!wslay_event_get_read_enabled(w->frames))
        start_closing(w);
}

static void read_answer(struct ws *w)
{
    while (w->state == UPGRADING) {
        char bytes[EARLY_SIZE];
        ssize_t n = read_in(w, bytes, sizeof bytes);
        if (n <= 0)
            return;
        size_t used = 0;
        int r = ws_handshake_feed(w->handshake, bytes, (size_t)n, &used);
        if (r > 0 && start_frames(w) < 0)
            r = -ENOMEM;
        if (r < 0)
            fail(w, r, ws_handshake_error(w->handshake));
        if (r <= 0)
            continue;
        w->early_len = (size_t)n - used;
        memcpy(w->early, bytes + used, w->early_len);
        w->state = OPEN;
        uv_timer_stop(&w->timer);
        w->handler->on_open(w, w->data);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct ws *w)
{
    bool framing = w->frames != NULL;
    int events = 0;
    // While nothing is read, readable would be true for good and the loop would spin.
    if (!framing || (wslay_event_get_read_enabled(w->frames) && !is_clogged(w)))
        events |= UV_READABLE;
    if (w->out_at < w->out_len || (framing && wslay_event_want_write(w->frames)))
        events |= UV_WRITABLE;
    if (events)
        uv_poll_start(&w->poll, events, on_poll);
    else
        uv_poll_stop(&w->poll);
}

static void on_idle(uv_idle_t *idle);

// Reads and writes all that can be, and says what is waited for.
static void pump(struct ws *w)
{
    w->told = w->more = false;
    w->budget = READ_BUDGET;
    if (w->state == UPGRADING && write_out(w) >= 0)
        read_answer(w);
    if ((w->state == OPEN || w->state == CLOSING) && wslay_event_get_read_enabled(w->frames))
        read_frames(w);
    if (w->state == OPEN || w->state == CLOSING)
        write_frames(w);
    if (w->state == CLOSING && wslay_event_get_close_sent(w->frames) && w->out_len == 0 &&
        !wslay_event_get_read_enabled(w->frames))
        end_closing(w);
    if (w->state == ENDED)
        return;
    watch(w);
    if (w->more && !is_clogged(w))
        uv_idle_start(&w->idle, on_idle);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct ws *w = poll->data;
    enter(w);
    if (status < 0)
        fail(w, -ECONNRESET, "polling the socket failed");
    else
        pump(w);
    leave(w);
}

static void on_idle(uv_idle_t *idle)
{
    struct ws *w = idle->data;
    uv_idle_stop(idle);
    enter(w);
    pump(w);
    leave(w);
}

static void on_timer(uv_timer_t *timer)
{
    struct ws *w = timer->data;
    enter(w);
    if (w->state == CLOSING)
        end_closing(w);
    else
        fail(w, -ETIMEDOUT,
             w->state == CONNECTING ? "connecting took too long"
                                    : "the answer to the upgrade took too long");
    leave(w);
}

static int start_poll(struct ws *w)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    curl_easy_getinfo(w->transfer.easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd == CURL_SOCKET_BAD)
        return -ENOTCONN;
    int r = uv_poll_init_socket(w->loop, &w->poll, fd);
    if (r < 0)
        return r;
    w->poll.data = w;
    w->has_poll = true;
    w->handles++;
    return 0;
}

// The upgrade goes out right here: until its first byte libcurl counts the connection as idle and
// may close it.
static void on_connected(struct curl_transfer *t, CURLcode result)
{
    struct ws *w = CONTAINER_OF(t, struct ws, transfer);
    enter(w);
    if (w->state == ENDED) {
        leave(w);
        return;
    }
    if (result != CURLE_OK) {
        const char *text = w->curl_error[0] ? w->curl_error : curl_easy_strerror(result);
        fail(w, result == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EIO, text);
    } else if (start_poll(w) < 0) {
        fail(w, -ENOMEM, "no poll handle for the socket");
    } else {
        w->state = UPGRADING;
        pump(w);
    }
    leave(w);
}

// CURLOPT_SOCKOPTFUNCTION: a peer that is gone is found out by what we write, not by the kernel's
// fifteen minutes.
static int on_socket_made(void *user, curl_socket_t fd, curlsocktype purpose)
{
    (void)user, (void)purpose;
    unsigned ms = WS_USER_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    return CURL_SOCKOPT_OK;
}

// wss:// and ws:// as libcurl knows them.
static int http_url(struct buf *out, const char *url)
{
    if (strncasecmp(url, "wss://", 6) == 0)
        return buf_addf(out, "https://%s", url + 6);
    if (strncasecmp(url, "ws://", 5) == 0)
        return buf_addf(out, "http://%s", url + 5);
    return -EINVAL;
}

static int prepare_request(struct ws *w, const char *url)
{
    uint8_t nonce[WS_NONCE_SIZE];
    random_bytes(nonce, sizeof nonce);
    CURLU *u = curl_url();
    char *host = NULL, *port = NULL, *path = NULL, *query = NULL;
    struct buf authority = BUF_INIT(512), target = BUF_INIT(8192), request = BUF_INIT(OUT_SIZE);
    int r = -ENOMEM;
    w->handshake = ws_handshake_new(nonce);
    if (!u || !w->handshake)
        goto out;
    r = -EINVAL;
    if (curl_url_set(u, CURLUPART_URL, url, 0) || curl_url_get(u, CURLUPART_HOST, &host, 0) ||
        curl_url_get(u, CURLUPART_PATH, &path, 0))
        goto out;
    curl_url_get(u, CURLUPART_PORT, &port, 0);
    curl_url_get(u, CURLUPART_QUERY, &query, 0);
    buf_addf(&authority, "%s%s%s", host, port ? ":" : "", port ? port : "");
    buf_addf(&target, "%s%s%s", path, query ? "?" : "", query ? query : "");
    r = authority.error ? authority.error : target.error;
    if (r == 0)
        r = ws_handshake_request(&request, authority.data, target.data, nonce);
    if (r == 0) {
        memcpy(w->out, request.data, request.len);
        w->out_len = request.len;
    }
out:
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(u);
    buf_done(&authority);
    buf_done(&target);
    buf_done(&request);
    return r;
}

static int prepare_transfer(struct ws *w, const char *url, bool allow_plain_loopback)
{
    int error = 0;
    CURL *easy = curl_loop_easy(url, allow_plain_loopback, &error);
    w->transfer = (struct curl_transfer){.easy = easy, .on_done = on_connected};
    if (!easy)
        return error;
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, w->curl_error);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
    return prepare_request(w, url);
}

int ws_open(uv_loop_t *loop, const struct ws_options *options, const struct ws_handler *handler,
            void *data, struct ws **ret_ws)
{
    struct buf url = BUF_INIT(8192);
    struct ws *w = calloc(1, sizeof *w);
    int r = w ? http_url(&url, options->url) : -ENOMEM;
    if (r == 0)
        r = curl_loop_new(loop, &w->curl);
    if (r == 0)
        r = prepare_transfer(w, url.data, options->allow_plain_loopback);
    if (r == 0)
        r = curl_loop_add(w->curl, &w->transfer);
    buf_done(&url);
    if (r < 0) {
        if (w) {
            ws_handshake_free(w->handshake);
            curl_easy_cleanup(w->transfer.easy);
            curl_loop_close(w->curl);
        }
        free(w);
        return r == -E2BIG ? -EINVAL : r;
    }
    w->handler = handler;
    w->data = data;
    w->loop = loop;
    w->max_message = options->max_message ? options->max_message : WS_MAX_MESSAGE;
    w->max_queue = options->max_queue ? options->max_queue : WS_MAX_QUEUE;
    w->handles = 2;
    uv_timer_init(loop, &w->timer);
    uv_idle_init(loop, &w->idle);
    w->timer.data = w->idle.data = w;
    unsigned open_ms = options->open_ms ? options->open_ms : WS_OPEN_MS;
    uv_timer_start(&w->timer, on_timer, open_ms, 0);
    *ret_ws = w;
    return 0;
}

// Writes at once what a call of the user's has queued. Within a turn of our own that comes by
// itself, at its end.
static void push(struct ws *w)
{
    if (w->busy > 0)
        return;
    write_frames(w);
    if (w->state != ENDED)
        watch(w);
}

static int queue(struct ws *w, uint8_t opcode, struct str payload)
{
    if (w->state != OPEN)
        return -ENOTCONN;
    if (payload.n > w->max_queue || ws_queued(w) > w->max_queue - payload.n ||
        wslay_event_get_queued_msg_count(w->frames) >= WS_MAX_QUEUED_FRAMES)
        return -ENOBUFS;
    struct wslay_event_msg m = {opcode, (const uint8_t *)payload.p, payload.n};
    int r = wslay_event_queue_msg(w->frames, &m);
    if (r != 0)
        return r == WSLAY_ERR_NOMEM ? -ENOMEM : -ENOTCONN;
    push(w);
    return 0;
}

int ws_send(struct ws *w, struct str text)
{
    return queue(w, WSLAY_TEXT_FRAME, text);
}

int ws_ping(struct ws *w, struct str payload)
{
    return payload.n > 125 ? -EINVAL : queue(w, WSLAY_PING, payload);
}

size_t ws_queued(const struct ws *w)
{
    size_t n = w->out_len - w->out_at;
    return w->frames ? n + wslay_event_get_queued_msg_length(w->frames) : n;
}

bool ws_is_open(const struct ws *w)
{
    return w->state == OPEN;
}

void ws_close(struct ws *w, uint16_t code, struct str reason)
{
    if (w->close_asked || w->state >= CLOSING)
        return;
    w->close_asked = true;
    if (w->state < OPEN) {
        fail(w, 0, "");
        return;
    }
    w->close_code = code;
    w->close_reason_len = utf8_prefix(reason, MAX_REASON);
    if (w->close_reason_len)
        memcpy(w->close_reason, reason.p, w->close_reason_len);
    start_closing(w);
    push(w);
}

void ws_abandon(struct ws *w)
{
    if (!w)
        return;
    w->silent = true;
    w->state = ENDED;
    if (w->frames)
        wslay_event_shutdown_read(w->frames);
    if (w->busy == 0)
        tear_down(w);
}
