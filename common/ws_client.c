#include "common/ws_client.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <wslay/wslay.h>

#include "common/crypto.h"
#include "common/curl_pipe.h"
#include "common/text.h"
#include "common/ws_handshake.h"

// The life of a connection:
//
//   CONNECTING --pipe--> UPGRADING --101--> OPEN --ws_close, close frame, breach--> CLOSING -->
//   ENDED
//
// and from each state straight to ENDED. The pipe carries bytes, wslay makes frames of them.
//
// Work happens in events of the pipe and the timer, between enter() and leave(). What goes wrong in
// between is only noted (state ENDED); leave() then tells the user and frees, when nothing on the
// stack uses the object any more. A failure within a call of the user's is told by the timer: at
// once, but from the loop.
enum ws_state { CONNECTING, UPGRADING, OPEN, CLOSING, ENDED };

enum {
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

    uv_timer_t timer; // until the 101; for the close; at once for a failure to tell
    struct curl_pipe *pipe;
    struct buf request; // the upgrade, until it is put into the pipe
    struct ws_handshake *handshake;
    wslay_event_context_ptr frames; // from OPEN on
    char early[EARLY_SIZE];
    size_t early_at, early_len;

    unsigned busy;  // depth of enter()
    bool silent;    // told, or abandoned
    bool torn_down; // freed as soon as the timer is closed
    bool active;    // on_activity was called in this turn
    bool more;      // the turn ended before the bytes did
    size_t budget;

    bool close_asked, close_queued; // by ws_close
    uint16_t close_code;
    char close_reason[MAX_REASON];
    size_t close_reason_len;

    struct ws_closed how; // valid in ENDED
    char peer_reason[MAX_REASON];
    size_t peer_reason_len;
    char error_text[256];
};

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void tear_down(struct ws *w)
{
    if (w->torn_down)
        return;
    w->torn_down = true;
    if (w->frames)
        wslay_event_context_free(w->frames);
    ws_handshake_free(w->handshake);
    buf_done(&w->request);
    curl_pipe_close(w->pipe);
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
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

// text must outlive the object's last event.
static void fail(struct ws *w, int error, const char *text)
{
    if (w->close_asked)
        end(w, (struct ws_closed){.end = WS_END_BY_US, .code = 1006});
    else
        end(w, (struct ws_closed){
                   .end = w->state < OPEN ? WS_END_NOT_OPENED : WS_END_LOST,
                   .code = 1006,
                   .error = error,
                   .error_text = text,
               });
}

// Both close frames were exchanged, or there was time enough to.
static void end_closing(struct ws *w)
{
    bool received = wslay_event_get_close_received(w->frames);
    struct ws_closed how = {.code = 1006};
    if (received) {
        how.code = wslay_event_get_status_code_received(w->frames);
        how.reason = (struct str){w->peer_reason, w->peer_reason_len};
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

// --- frames ---

static ssize_t on_frame_send(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t n, int flags,
                             void *user)
{
    (void)flags;
    struct ws *w = user;
    ssize_t r = curl_pipe_put(w->pipe, bytes, n);
    if (r > 0)
        return r;
    wslay_event_set_error(ctx, r == 0 ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
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
        if (r == 0)
            r = curl_pipe_flush(w->pipe);
        if (r < 0)
            fail(w, r == WSLAY_ERR_NOMEM ? -ENOMEM : -ECONNRESET,
                 "writing failed: the connection is gone");
    } while (r > 0 && (wslay_event_want_write(w->frames) || (w->close_asked && !w->close_queued)));
}

// The peer sends but does not read: its pings must not pile up pongs here. It is not read either
// until it does.
static bool is_clogged(const struct ws *w)
{
    return wslay_event_get_queued_msg_count(w->frames) >= CLOGGED_FRAMES ||
           wslay_event_get_queued_msg_length(w->frames) > w->max_queue;
}

static ssize_t take_early(struct ws *w, uint8_t *to, size_t n)
{
    size_t left = w->early_len - w->early_at;
    size_t take = n < left ? n : left;
    memcpy(to, w->early + w->early_at, take);
    w->early_at += take;
    return (ssize_t)take;
}

static ssize_t take_in(struct ws *w, uint8_t *to, size_t n)
{
    if (w->early_at < w->early_len)
        return take_early(w, to, n);
    if (w->budget == 0 || is_clogged(w)) {
        w->more = true;
        return 0;
    }
    ssize_t got = curl_pipe_read(w->pipe, to, n < w->budget ? n : w->budget);
    if (got > 0)
        w->budget -= (size_t)got;
    else if (got < 0)
        fail(w, -ECONNRESET, "the connection ended without a close frame");
    return got;
}

static ssize_t on_frame_recv(wslay_event_context_ptr ctx, uint8_t *to, size_t n, int flags,
                             void *user)
{
    (void)flags;
    struct ws *w = user;
    ssize_t got = take_in(w, to, n);
    if (got > 0 && !w->active) {
        w->active = true;
        if (w->handler->on_activity)
            w->handler->on_activity(w, w->data);
    }
    if (got > 0 && w->state != ENDED)
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
        w->peer_reason_len = n < MAX_REASON ? n : MAX_REASON;
        memcpy(w->peer_reason, m->msg + 2, w->peer_reason_len);
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
    if (wslay_event_context_client_init(&w->frames, &callbacks, w) != 0) {
        w->frames = NULL; // wslay has freed it, but leaves the pointer
        return -ENOMEM;
    }
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

// --- the turn ---

static void read_answer(struct ws *w)
{
    while (w->state == UPGRADING) {
        char bytes[EARLY_SIZE];
        ssize_t n = curl_pipe_read(w->pipe, bytes, sizeof bytes);
        if (n < 0)
            fail(w, -ECONNRESET, "the connection ended before the answer to the upgrade");
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

static void upgrade(struct ws *w)
{
    if (curl_pipe_flush(w->pipe) < 0)
        fail(w, -ECONNRESET, "the connection ended before the upgrade");
    else
        read_answer(w);
}

static bool is_framing(const struct ws *w)
{
    return w->state == OPEN || w->state == CLOSING;
}

static void watch(struct ws *w)
{
    bool reading = !w->frames || (wslay_event_get_read_enabled(w->frames) && !is_clogged(w));
    curl_pipe_watch(w->pipe, reading);
}

// Reads and writes all that can be, and says what is waited for.
static void take_turn(struct ws *w)
{
    w->active = w->more = false;
    w->budget = READ_BUDGET;
    if (w->state == UPGRADING)
        upgrade(w);
    if (is_framing(w) && wslay_event_get_read_enabled(w->frames))
        read_frames(w);
    if (is_framing(w))
        write_frames(w);
    if (w->state == CLOSING && wslay_event_get_close_sent(w->frames) &&
        !wslay_event_get_read_enabled(w->frames) && curl_pipe_pending(w->pipe) == 0)
        end_closing(w);
    if (w->state == ENDED)
        return;
    watch(w);
    if (w->more && !is_clogged(w))
        curl_pipe_again(w->pipe);
}

static void on_ready(void *data)
{
    struct ws *w = data;
    enter(w);
    take_turn(w);
    leave(w);
}

static void on_connected(void *data)
{
    struct ws *w = data;
    enter(w);
    if (w->state == CONNECTING) {
        w->state = UPGRADING;
        if (curl_pipe_put(w->pipe, w->request.data, w->request.len) != (ssize_t)w->request.len)
            fail(w, -ECONNRESET, "the upgrade could not be written");
        take_turn(w);
    }
    leave(w);
}

static void on_failed(int error, const char *text, void *data)
{
    struct ws *w = data;
    enter(w);
    size_t n = utf8_prefix(str_of(text), sizeof w->error_text - 1);
    memcpy(w->error_text, text, n);
    fail(w, error, w->error_text);
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

// --- what the user calls ---

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
    w->handshake = ws_handshake_new(nonce);
    if (!w->handshake)
        return -ENOMEM;
    struct buf authority = BUF_INIT(512), target = BUF_INIT(8192);
    int r = curl_pipe_split_url(url, &authority, &target);
    if (r == 0)
        r = ws_handshake_request(&w->request, authority.data, target.data, nonce);
    buf_done(&authority);
    buf_done(&target);
    return r;
}

static int prepare(struct ws *w, uv_loop_t *loop, const struct ws_options *o)
{
    static const struct curl_pipe_events events = {on_connected, on_failed, on_ready};
    struct buf url = BUF_INIT(8192);
    w->request = BUF_INIT(PIPE_OUT_SIZE);
    int r = http_url(&url, o->url);
    if (r == 0)
        r = prepare_request(w, url.data);
    if (r == 0)
        r = curl_pipe_open(loop, url.data, o->allow_plain_loopback, &events, w, &w->pipe);
    buf_done(&url);
    return r == -E2BIG ? -EINVAL : r;
}

int ws_open(uv_loop_t *loop, const struct ws_options *options, const struct ws_handler *handler,
            void *data, struct ws **ret_ws)
{
    struct ws *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    int r = prepare(w, loop, options);
    if (r < 0) {
        ws_handshake_free(w->handshake);
        buf_done(&w->request);
        free(w);
        return r;
    }
    w->handler = handler;
    w->data = data;
    w->max_message = options->max_message ? options->max_message : WS_MAX_MESSAGE;
    w->max_queue = options->max_queue ? options->max_queue : WS_MAX_QUEUE;
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_timer, options->open_ms ? options->open_ms : WS_OPEN_MS, 0);
    *ret_ws = w;
    return 0;
}

// Writes at once what a call of the user's has queued. Within a turn that comes at its end, so that
// many answers share one write.
static void push(struct ws *w)
{
    if (w->busy > 0 && wslay_event_get_queued_msg_count(w->frames) < BATCH)
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
    size_t n = curl_pipe_pending(w->pipe);
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
