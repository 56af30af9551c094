#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "common/crypto.h"
#include "common/ws_client.h"
#include "test/support/loopback.h"

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FIN = 0x80 };

enum what { NOTHING, ABANDON, SEND_AND_CLOSE, REPEAT };

struct fixture {
    uv_loop_t loop;
    struct loopback server;
    struct ws_handler handler;
    struct ws_options options;
    char url[64];
    struct ws *ws; // NULL after on_closed

    // The server's part. answer NULL: a right 101, with `hello` behind it in the same write.
    const char *answer;
    struct buf hello;
    bool dribble; // the answer byte by byte, each in a packet of its own
    bool deaf;    // reads the request, then stops reading
    bool mute;    // never answers
    bool echo_close, echo_text, close_tcp_after_close;
    struct peer *peer;
    // What it got.
    unsigned frames, texts, pongs, pings, closes;
    size_t text_bytes;
    int close_code;
    char close_reason[128], last_text[64], last_control[128];
    bool got_close, got_texts, got_pong, got_end, upgraded;
    unsigned want_texts;

    // What the client got.
    bool opened, closed, got_messages;
    unsigned messages, activities, want_messages;
    size_t message_bytes;
    bool in_order;
    char message[64];
    struct ws_closed how;
    char reason[128], error_text[256];
    // What it does.
    enum what on_open, on_message, on_activity;
};

// --- the server's side ---

static void add_frame(struct buf *b, int first_byte, const void *bytes, size_t n)
{
    buf_addc(b, (char)first_byte);
    if (n < 126) {
        buf_addc(b, (char)n);
    } else if (n < 65536) {
        char head[] = {126, (char)(n >> 8), (char)(n & 0xff)};
        buf_add(b, head, sizeof head);
    } else {
        char head[9] = {127};
        for (int i = 0; i < 8; i++)
            head[8 - i] = (char)((uint64_t)n >> (8 * i) & 0xff);
        buf_add(b, head, sizeof head);
    }
    buf_add(b, bytes, n);
    assert_int_equal(b->error, 0);
}

static void add_text(struct buf *b, const char *text)
{
    add_frame(b, FIN | TEXT, text, strlen(text));
}

static void send_frame(struct fixture *f, int first_byte, const void *bytes, size_t n)
{
    struct buf b = BUF_INIT(16u << 20);
    add_frame(&b, first_byte, bytes, n);
    peer_write(f->peer, b.data, b.len);
    buf_done(&b);
}

static void send_close(struct fixture *f, int code, const char *reason)
{
    char payload[128] = {(char)(code >> 8), (char)(code & 0xff)};
    memcpy(payload + 2, reason, strlen(reason));
    send_frame(f, FIN | CLOSE, payload, 2 + strlen(reason));
}

static void on_client_frame(struct fixture *f, int opcode, const char *bytes, size_t n)
{
    f->frames++;
    if (opcode != TEXT)
        snprintf(f->last_control, sizeof f->last_control, "%.*s", (int)n, bytes);
    switch (opcode) {
    case TEXT:
        f->texts++;
        f->text_bytes += n;
        f->got_texts = f->texts >= f->want_texts;
        snprintf(f->last_text, sizeof f->last_text, "%.*s", n < 60 ? (int)n : 60, bytes);
        if (f->echo_text)
            send_frame(f, FIN | TEXT, bytes, n);
        break;
    case PING:
        f->pings++;
        send_frame(f, FIN | PONG, bytes, n);
        break;
    case PONG:
        f->pongs++;
        f->got_pong = true;
        break;
    case CLOSE:
        f->closes++;
        f->close_code = n >= 2 ? (uint8_t)bytes[0] << 8 | (uint8_t)bytes[1] : 1005;
        snprintf(f->close_reason, sizeof f->close_reason, "%.*s", n > 2 ? (int)n - 2 : 0,
                 n > 2 ? bytes + 2 : "");
        f->got_close = true;
        if (f->echo_close)
            send_frame(f, FIN | CLOSE, bytes, n);
        if (f->close_tcp_after_close)
            peer_close(f->peer);
        break;
    default:
        fail_msg("opcode %d from the client", opcode);
    }
}

// Takes whole frames. Each must be masked, final, without reserved bits and in its shortest form
// (RFC 6455, 5.2).
static void on_frames(struct fixture *f, struct buf *in)
{
    size_t at = 0;
    while (in->len - at >= 2) {
        uint8_t *p = (uint8_t *)in->data + at;
        assert_int_equal(p[0] & 0xf0, FIN);
        assert_int_equal(p[1] & 0x80, 0x80);
        size_t n = p[1] & 0x7f, head = 2;
        if (n == 126)
            head = 4;
        else if (n == 127)
            head = 10;
        if (in->len - at < head + 4)
            break;
        if (head > 2) {
            n = 0;
            for (size_t i = 2; i < head; i++)
                n = n << 8 | p[i];
            assert_true(n >= (head == 4 ? 126 : 65536));
        }
        if (in->len - at < head + 4 + n)
            break;
        char *payload = (char *)p + head + 4;
        for (size_t i = 0; i < n; i++)
            payload[i] = (char)(payload[i] ^ (char)p[head + i % 4]);
        at += head + 4 + n;
        on_client_frame(f, p[0] & 0x0f, payload, n);
    }
    buf_consume(in, at);
}

static void add_right_answer(struct buf *out, const char *request)
{
    const char *key = strstr(request, "\r\nSec-WebSocket-Key: ");
    assert_non_null(key);
    char text[64], accept[32];
    uint8_t digest[20];
    snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 21);
    sha1(str_of(text), digest);
    base64_encode((struct str){(char *)digest, 20}, accept, sizeof accept);
    buf_addf(out,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept);
}

static void on_request(struct fixture *f, struct peer *p)
{
    struct buf out = BUF_INIT(16u << 20);
    if (f->answer) {
        buf_adds(&out, f->answer);
    } else {
        add_right_answer(&out, buf_cstr(&p->in));
        buf_add(&out, f->hello.data, f->hello.len);
        f->upgraded = true;
    }
    if (!f->dribble)
        peer_write(p, out.data, out.len);
    uv_tcp_nodelay(&p->tcp, 1);
    for (size_t i = 0; f->dribble && i < out.len; i++) {
        peer_write(p, out.data + i, 1);
        usleep(50);
    }
    buf_done(&out);
    if (f->deaf)
        peer_read(p, false);
}

static void on_bytes(struct peer *p)
{
    struct fixture *f = p->server->data;
    f->peer = p;
    if (f->upgraded) {
        on_frames(f, &p->in);
        return;
    }
    const char *end = strstr(buf_cstr(&p->in), "\r\n\r\n");
    if (!end || f->mute)
        return;
    size_t head = (size_t)(end - p->in.data) + 4;
    on_request(f, p);
    buf_consume(&p->in, head);
}

static void on_end(struct peer *p)
{
    struct fixture *f = p->server->data;
    f->got_end = true;
    f->peer = NULL;
}

// --- the client's side ---

static void act(struct fixture *f, struct ws *w, enum what what, struct str message)
{
    switch (what) {
    case ABANDON:
        ws_abandon(w);
        f->ws = NULL;
        break;
    case SEND_AND_CLOSE:
        assert_int_equal(ws_send(w, str_of("last words")), 0);
        ws_close(w, 1000, str_of("done"));
        assert_int_equal(ws_send(w, str_of("too late")), -ENOTCONN);
        break;
    case REPEAT:
        assert_int_equal(ws_send(w, message), 0);
        break;
    case NOTHING:
        break;
    }
}

static void on_open(struct ws *w, void *data)
{
    struct fixture *f = data;
    assert_false(f->opened);
    assert_true(ws_is_open(w));
    f->opened = true;
    act(f, w, f->on_open, str_of("x"));
}

static void on_message(struct ws *w, struct str m, void *data)
{
    struct fixture *f = data;
    assert_true(f->activities > 0);
    char expected[16];
    snprintf(expected, sizeof expected, "m%u", f->messages);
    f->in_order = (f->messages == 0 || f->in_order) && str_is(m, expected);
    f->messages++;
    f->message_bytes += m.n;
    f->got_messages = f->messages >= f->want_messages;
    snprintf(f->message, sizeof f->message, "%.*s", m.n < 60 ? (int)m.n : 60, m.p);
    act(f, w, f->on_message, m);
}

static void on_activity(struct ws *w, void *data)
{
    struct fixture *f = data;
    f->activities++;
    act(f, w, f->on_activity, str_of("x"));
}

static void on_closed(struct ws *w, const struct ws_closed *how, void *data)
{
    struct fixture *f = data;
    assert_false(f->closed);
    assert_false(ws_is_open(w));
    assert_int_equal(ws_send(w, str_of("x")), -ENOTCONN);
    f->closed = true;
    f->how = *how;
    snprintf(f->reason, sizeof f->reason, "%.*s", (int)how->reason.n, how->reason.p);
    snprintf(f->error_text, sizeof f->error_text, "%s", how->error_text);
    f->ws = NULL;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->server = (struct loopback){.on_bytes = on_bytes, .on_end = on_end, .data = f};
    loopback_start(&f->server, &f->loop);
    snprintf(f->url, sizeof f->url, "ws://127.0.0.1:%d/link/?ticket=secret", f->server.port);
    f->hello = BUF_INIT(16u << 20);
    f->handler = (struct ws_handler){on_open, on_message, on_activity, on_closed};
    f->options = (struct ws_options){.url = f->url, .allow_plain_loopback = true};
    f->echo_close = true;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    ws_abandon(f->ws);
    loopback_stop(&f->server);
    loopback_finish(&f->loop);
    buf_done(&f->hello);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    assert_int_equal(ws_open(&f->loop, &f->options, &f->handler, f, &f->ws), 0);
    assert_false(f->opened || f->closed);
}

static void open_it(struct fixture *f)
{
    start(f);
    assert_true(loopback_wait(&f->loop, &f->opened, 3000));
}

static void wait_for(struct fixture *f, const bool *flag)
{
    assert_true(loopback_wait(&f->loop, flag, 5000));
}

static void expect_closed(struct fixture *f, enum ws_end end, int code, int error)
{
    wait_for(f, &f->closed);
    assert_int_equal(f->how.end, end);
    assert_int_equal(f->how.code, code);
    assert_int_equal(f->how.error, error);
    assert_int_equal(f->error_text[0] != '\0', error != 0);
    assert_null(strstr(f->error_text, "secret"));
}

// --- opening ---

static void test_hello_in_the_same_packet_as_the_answer(void **state)
{
    struct fixture *f = *state;
    add_text(&f->hello, "m0");
    add_text(&f->hello, "m1");
    f->want_messages = 2;
    start(f);
    wait_for(f, &f->got_messages);
    assert_true(f->opened && f->in_order);
}

static void test_answer_and_frames_in_single_bytes(void **state)
{
    struct fixture *f = *state;
    f->dribble = true;
    add_text(&f->hello, "m0");
    add_frame(&f->hello, FIN | PING, "p", 1);
    add_text(&f->hello, "m1");
    f->want_messages = 2;
    start(f);
    wait_for(f, &f->got_messages);
    assert_true(f->in_order);
    wait_for(f, &f->got_pong);
}

static void test_more_than_a_read_behind_the_answer(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 3000; i++) {
        char text[16];
        snprintf(text, sizeof text, "m%u", i);
        add_text(&f->hello, text);
    }
    f->want_messages = 3000;
    start(f);
    wait_for(f, &f->got_messages);
    assert_true(f->in_order);
}

static void refuse(struct fixture *f, const char *answer, int error, int status)
{
    f->answer = answer;
    f->closed = false;
    start(f);
    expect_closed(f, WS_END_NOT_OPENED, 1006, error);
    assert_int_equal(f->how.http_status, status);
    assert_false(f->opened);
}

static void test_refused_upgrades(void **state)
{
    struct fixture *f = *state;
    refuse(f, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", -ECONNREFUSED, 408);
    refuse(f, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 17\r\n\r\n", -ECONNREFUSED, 503);
    assert_int_equal(f->how.retry_after_s, 17);
    refuse(f,
           "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
           -EPROTO, 101);
    refuse(f, "UNAUTHENTICATED: cache_error\n", -EPROTO, 0);
    assert_non_null(strstr(f->error_text, "cache_error"));
    assert_int_equal(f->server.accepted, 4);
}

static void test_connection_ends_before_the_answer(void **state)
{
    struct fixture *f = *state;
    f->mute = true;
    start(f);
    loopback_pause(&f->loop, 50);
    peer_close(f->peer);
    expect_closed(f, WS_END_NOT_OPENED, 1006, -ECONNRESET);
}

static void on_tick(uv_timer_t *timer)
{
    unsigned *ticks = timer->data;
    ++*ticks;
}

static void test_stalls_time_out_and_the_loop_goes_on(void **state)
{
    struct fixture *f = *state;
    unsigned ticks = 0;
    uv_timer_t timer;
    uv_timer_init(&f->loop, &timer);
    timer.data = &ticks;
    uv_timer_start(&timer, on_tick, 10, 10);
    f->mute = true;
    f->options.open_ms = 200;
    refuse(f, NULL, -ETIMEDOUT, 0); // no answer to the upgrade
    char url[64];
    snprintf(url, sizeof url, "wss://127.0.0.1:%d/?secret", f->server.port);
    f->options.url = url;
    refuse(f, NULL, -ETIMEDOUT, 0); // no answer to the TLS hello
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_in_range(ticks, 10, 60); // a busy machine skips some
}

static void test_nobody_listens(void **state)
{
    struct fixture *f = *state;
    loopback_stop(&f->server);
    loopback_pause(&f->loop, 1);
    start(f);
    expect_closed(f, WS_END_NOT_OPENED, 1006, -EIO);
    f->closed = false;
    f->options.url = "wss://nowhere.invalid/?secret";
    start(f);
    expect_closed(f, WS_END_NOT_OPENED, 1006, -EIO);
}

static void test_refused_urls(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *url;
        bool allow;
        int error;
    } cases[] = {
        {"ws://127.0.0.1:9/", false, -EPERM},
        {"ws://example.com/", true, -EPERM},
        {"ws://127.0.0.1.x.org/", true, -EPERM},
        {"http://127.0.0.1/", true, -EINVAL},
        {"127.0.0.1", true, -EINVAL},
        {"wss://", true, -EINVAL},
        {"wss://a b/", true, -EINVAL},
        {"wss://h/a\r\nX: y", true, -EINVAL},
        {"", true, -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ws_options o = {.url = cases[i].url, .allow_plain_loopback = cases[i].allow};
        assert_int_equal(ws_open(&f->loop, &o, &f->handler, f, &f->ws), cases[i].error);
    }
    struct buf url = BUF_INIT(20000);
    buf_adds(&url, "wss://h/");
    while (url.len < 19000)
        buf_adds(&url, "0123456789");
    struct ws_options o = {.url = url.data};
    assert_int_equal(ws_open(&f->loop, &o, &f->handler, f, &f->ws), -EINVAL);
    buf_done(&url);
}

// --- messages ---

static void test_bursts_keep_their_order(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    struct buf burst = BUF_INIT(16u << 20);
    for (unsigned i = 0; i < 20000; i++) {
        char text[16];
        snprintf(text, sizeof text, "m%u", i);
        add_text(&burst, text);
    }
    f->on_message = REPEAT;
    f->want_messages = f->want_texts = 20000;
    peer_write(f->peer, burst.data, burst.len);
    buf_done(&burst);
    wait_for(f, &f->got_messages);
    assert_true(f->in_order);
    wait_for(f, &f->got_texts);
    assert_string_equal(f->last_text, "m19999");
    assert_int_equal(f->frames, 20000);
}

static void test_300_kb_both_ways(void **state)
{
    struct fixture *f = *state;
    f->echo_text = true;
    open_it(f);
    static char big[300 * 1024];
    memset(big, 'b', sizeof big);
    f->want_messages = 3;
    for (int i = 0; i < 3; i++)
        assert_int_equal(ws_send(f->ws, (struct str){big, sizeof big}), 0);
    wait_for(f, &f->got_messages);
    assert_int_equal(f->message_bytes, 3 * sizeof big);
    assert_int_equal(f->text_bytes, 3 * sizeof big);
    assert_int_equal(f->frames, 3); // unfragmented
    assert_int_equal(ws_queued(f->ws), 0);
}

static void test_pings(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    send_frame(f, FIN | PING, "Ping from applink-1", 19);
    wait_for(f, &f->got_pong);
    assert_string_equal(f->last_control, "Ping from applink-1");
    assert_true(f->activities >= 1);
    f->activities = 0;
    assert_int_equal(ws_ping(f->ws, str_of("alive?")), 0);
    loopback_pause(&f->loop, 50);
    assert_int_equal(f->pings, 1);
    assert_int_equal(f->activities, 1); // the pong
    char long_payload[126] = {0};
    assert_int_equal(ws_ping(f->ws, (struct str){long_payload, 126}), -EINVAL);
    assert_int_equal(f->messages, 0);
}

static void test_fragments_with_a_ping_between(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    send_frame(f, TEXT, "m", 1);
    send_frame(f, 0, "", 0);
    send_frame(f, FIN | PING, "in between", 10);
    wait_for(f, &f->got_pong);
    assert_int_equal(f->messages, 0);
    send_frame(f, FIN, "0", 1);
    wait_for(f, &f->got_messages);
    assert_true(f->in_order);
}

static void test_character_cut_by_a_fragment(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    send_frame(f, TEXT, "\xc3", 1);
    send_frame(f, FIN, "\xa9", 1);
    wait_for(f, &f->got_messages);
    assert_string_equal(f->message, "\xc3\xa9");
}

static void test_idle_connection_does_not_spin(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    loopback_pause(&f->loop, 20);
    uv_timer_t deadline;
    bool late = false;
    uv_timer_init(&f->loop, &deadline);
    deadline.data = &late;
    uv_timer_start(&deadline, loopback_on_deadline, 200, 0);
    unsigned turns = 0;
    while (!late) {
        uv_run(&f->loop, UV_RUN_ONCE);
        turns++;
    }
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_in_range(turns, 1, 3);
}

// --- caps ---

static void test_full_queue_refuses_and_recovers(void **state)
{
    struct fixture *f = *state;
    f->deaf = true;
    f->options.max_queue = 2u << 20;
    open_it(f);
    static char chunk[20000];
    memset(chunk, 'c', sizeof chunk);
    unsigned sent = 0;
    int r;
    while ((r = ws_send(f->ws, (struct str){chunk, sizeof chunk})) == 0) {
        assert_true(ws_queued(f->ws) <= (2u << 20));
        assert_true(++sent < 4000);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(r, -ENOBUFS);
    assert_true(ws_queued(f->ws) > (2u << 20) - sizeof chunk);
    assert_true(ws_is_open(f->ws));
    f->want_texts = sent;
    peer_read(f->peer, true);
    wait_for(f, &f->got_texts);
    assert_int_equal(f->text_bytes, sent * sizeof chunk);
    assert_int_equal(f->frames, sent);
    assert_int_equal(ws_queued(f->ws), 0);
    assert_int_equal(ws_send(f->ws, str_of("again")), 0);
}

static void test_peer_that_pings_but_does_not_read(void **state)
{
    struct fixture *f = *state;
    f->deaf = true;
    open_it(f);
    enum { N = 150000 };
    struct buf pings = BUF_INIT(32u << 20);
    char payload[125] = {0};
    for (int i = 0; i < N; i++)
        add_frame(&pings, FIN | PING, payload, sizeof payload);
    peer_write(f->peer, pings.data, pings.len);
    buf_done(&pings);
    unsigned before;
    do {
        before = f->activities;
        loopback_pause(&f->loop, 200);
        assert_true(ws_queued(f->ws) <= WS_MAX_QUEUED_FRAMES * 125 + 16384);
    } while (f->activities != before || before == 0);
    assert_true(ws_queued(f->ws) > 0);
    // Nothing was lost.
    peer_read(f->peer, true);
    for (int i = 0; i < 50 && f->pongs < N; i++)
        loopback_pause(&f->loop, 100);
    assert_int_equal(f->pongs, N);
    assert_true(ws_is_open(f->ws));
}

static void test_message_over_the_cap(void **state)
{
    struct fixture *f = *state;
    f->options.max_message = 1000;
    open_it(f);
    static char text[1001];
    memset(text, 't', sizeof text);
    send_frame(f, FIN | TEXT, text, 1000);
    wait_for(f, &f->got_messages);
    send_frame(f, TEXT, text, 600);
    send_frame(f, FIN, text, 401);
    expect_closed(f, WS_END_LOST, 1009, -EPROTO);
    assert_int_equal(f->messages, 1);
    wait_for(f, &f->got_close);
    assert_int_equal(f->close_code, 1009);
}

static void test_message_of_a_mebibyte(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    char *text = malloc((1u << 20) + 1);
    assert_non_null(text);
    memset(text, 't', (1u << 20) + 1);
    send_frame(f, FIN | TEXT, text, 1u << 20);
    wait_for(f, &f->got_messages);
    assert_int_equal(f->message_bytes, 1u << 20);
    send_frame(f, FIN | TEXT, text, (1u << 20) + 1);
    free(text);
    expect_closed(f, WS_END_LOST, 1009, -EPROTO);
}

static void test_breaches_of_the_protocol(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes;
        size_t n;
        int code;
    } cases[] = {
        {"\x83\x01x", 3, 1002},          // reserved opcode
        {"\xc1\x01x", 3, 1002},          // reserved bit
        {"\x81\x81\0\0\0\0x", 7, 1002},  // masked by a server
        {"\x80\x01x", 3, 1002},          // nothing to continue
        {"\x01\x01x\x81\x01y", 6, 1002}, // a message within a message
        {"\x09\x01x", 3, 1002},          // fragmented ping
        {"\x89\x7e\x00\x7e", 4, 1002},   // long ping
        {"\x81\x02\xc3\x28", 4, 1007},   // not UTF-8
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        f->opened = f->closed = f->got_close = f->upgraded = false;
        open_it(f);
        peer_write(f->peer, cases[i].bytes, cases[i].n);
        expect_closed(f, WS_END_LOST, cases[i].code, -EPROTO);
        wait_for(f, &f->got_close);
        assert_true(f->close_code == cases[i].code ||
                    (cases[i].code == 1002 && f->close_code == 1005));
        assert_int_equal(f->messages, 0);
    }
}

// --- closing ---

static void test_peer_closes_but_leaves_tcp_open(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    send_frame(f, FIN | TEXT, "m0", 2);
    send_close(f, 1001, "going away");
    expect_closed(f, WS_END_BY_PEER, 1001, 0);
    assert_string_equal(f->reason, "going away");
    assert_int_equal(f->messages, 1);
    wait_for(f, &f->got_close);
    assert_int_equal(f->close_code, 1001);
    wait_for(f, &f->got_end);
}

static void test_peer_closes_without_a_code(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    send_frame(f, FIN | CLOSE, "", 0);
    expect_closed(f, WS_END_BY_PEER, 1005, 0);
    assert_string_equal(f->reason, "");
}

static void test_peer_closes_behind_the_answer(void **state)
{
    struct fixture *f = *state;
    add_frame(&f->hello, FIN | CLOSE, "\x03\xe8", 2);
    start(f);
    expect_closed(f, WS_END_BY_PEER, 1000, 0);
    assert_true(f->opened);
}

static void test_peer_vanishes(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    peer_reset(f->peer);
    expect_closed(f, WS_END_LOST, 1006, -ECONNRESET);
    f->opened = f->closed = f->upgraded = false;
    open_it(f);
    peer_close(f->peer);
    expect_closed(f, WS_END_LOST, 1006, -ECONNRESET);
    // In the middle of a frame, and with something to send.
    f->opened = f->closed = f->upgraded = false;
    open_it(f);
    peer_write(f->peer, "\x81\x05he", 4);
    assert_int_equal(ws_send(f->ws, str_of("x")), 0);
    peer_close(f->peer);
    expect_closed(f, WS_END_LOST, 1006, -ECONNRESET);
    assert_int_equal(f->messages, 0);
}

static void test_write_to_a_reset_connection(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    peer_reset(f->peer);
    uv_run(&f->loop, UV_RUN_NOWAIT); // the reset is on its way, the client may not know yet
    if (!f->closed) {
        int r = ws_send(f->ws, str_of("x"));
        assert_true(r == 0 || r == -ENOTCONN);
    }
    expect_closed(f, WS_END_LOST, 1006, -ECONNRESET);
}

static void test_orderly_close(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    assert_int_equal(ws_send(f->ws, str_of("before")), 0);
    ws_close(f->ws, 1000, str_of("bye"));
    ws_close(f->ws, 1001, str_of("twice"));
    assert_false(f->closed);
    assert_false(ws_is_open(f->ws));
    assert_int_equal(ws_send(f->ws, str_of("after")), -ENOTCONN);
    expect_closed(f, WS_END_BY_US, 1000, 0);
    assert_int_equal(f->close_code, 1000);
    assert_string_equal(f->close_reason, "bye");
    assert_string_equal(f->last_text, "before");
    assert_int_equal(f->closes, 1);
    wait_for(f, &f->got_end);
}

static void test_close_within_callbacks(void **state)
{
    struct fixture *f = *state;
    f->on_open = SEND_AND_CLOSE;
    start(f);
    expect_closed(f, WS_END_BY_US, 1000, 0);
    assert_string_equal(f->last_text, "last words");
    f->on_open = NOTHING;
    f->on_message = SEND_AND_CLOSE;
    f->opened = f->closed = f->upgraded = f->got_close = false;
    open_it(f);
    send_frame(f, FIN | TEXT, "m0", 2);
    expect_closed(f, WS_END_BY_US, 1000, 0);
    assert_int_equal(f->texts, 2);
}

static void test_close_without_an_echo(void **state)
{
    struct fixture *f = *state;
    f->echo_close = false;
    open_it(f);
    uint64_t before = uv_hrtime();
    ws_close(f->ws, 1000, str_of(""));
    wait_for(f, &f->got_close);
    send_frame(f, FIN | TEXT, "m0", 2); // still delivered
    expect_closed(f, WS_END_BY_US, 1006, 0);
    assert_in_range((uv_hrtime() - before) / 1000000, 900, 1400);
    assert_int_equal(f->messages, 1);
    wait_for(f, &f->got_end);
}

static void test_close_ended_by_tcp(void **state)
{
    struct fixture *f = *state;
    f->echo_close = false;
    f->close_tcp_after_close = true;
    open_it(f);
    ws_close(f->ws, 1000, str_of(""));
    expect_closed(f, WS_END_BY_US, 1006, 0);
}

static void test_close_to_a_peer_that_does_not_read(void **state)
{
    struct fixture *f = *state;
    f->deaf = true;
    f->options.max_queue = 8u << 20;
    open_it(f);
    static char chunk[65536];
    memset(chunk, 'c', sizeof chunk);
    while (ws_send(f->ws, (struct str){chunk, sizeof chunk}) == 0)
        ;
    ws_close(f->ws, 1000, str_of(""));
    expect_closed(f, WS_END_BY_US, 1006, 0);
}

static void test_close_before_open(void **state)
{
    struct fixture *f = *state;
    start(f);
    ws_close(f->ws, 1000, str_of(""));
    assert_false(f->closed);
    expect_closed(f, WS_END_BY_US, 1006, 0);
    assert_false(f->opened);
}

static void test_reason_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    open_it(f);
    char reason[130] = "";
    for (size_t i = 0; i + 2 < sizeof reason; i += 2)
        memcpy(reason + i, "\xc3\xa9", 3);
    ws_close(f->ws, 1000, str_of(reason));
    expect_closed(f, WS_END_BY_US, 1000, 0);
    assert_int_equal(strlen(f->close_reason), 122);
}

// --- abandoning ---

static void test_abandon(void **state)
{
    struct fixture *f = *state;
    ws_abandon(NULL);
    start(f);
    ws_abandon(f->ws); // while connecting
    open_it(f);
    ws_abandon(f->ws); // while open
    f->ws = NULL;
    wait_for(f, &f->got_end);
    assert_int_equal(f->closes, 0);
    f->upgraded = f->opened = false;
    open_it(f);
    f->echo_close = false;
    ws_close(f->ws, 1000, str_of(""));
    ws_abandon(f->ws); // while closing
    f->ws = NULL;
    loopback_pause(&f->loop, 1100);
    assert_false(f->closed);
}

static void test_abandon_within_callbacks(void **state)
{
    struct fixture *f = *state;
    add_text(&f->hello, "m0");
    add_text(&f->hello, "m1");
    f->on_open = ABANDON;
    start(f);
    loopback_pause(&f->loop, 50);
    assert_true(f->opened);
    assert_int_equal(f->messages + f->activities, 0);

    f->on_open = NOTHING;
    f->on_activity = ABANDON;
    f->opened = f->upgraded = false;
    open_it(f);
    loopback_pause(&f->loop, 50);
    assert_int_equal(f->activities, 1);
    assert_int_equal(f->messages, 0);

    f->on_activity = NOTHING;
    f->on_message = ABANDON;
    f->opened = f->upgraded = false;
    open_it(f);
    loopback_pause(&f->loop, 50);
    assert_int_equal(f->messages, 1);
    assert_false(f->closed);
    assert_null(f->ws);
}

#define IT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    unset_proxies();
    const struct CMUnitTest tests[] = {
        IT(test_hello_in_the_same_packet_as_the_answer),
        IT(test_answer_and_frames_in_single_bytes),
        IT(test_more_than_a_read_behind_the_answer),
        IT(test_refused_upgrades),
        IT(test_connection_ends_before_the_answer),
        IT(test_stalls_time_out_and_the_loop_goes_on),
        IT(test_nobody_listens),
        IT(test_refused_urls),
        IT(test_bursts_keep_their_order),
        IT(test_300_kb_both_ways),
        IT(test_pings),
        IT(test_fragments_with_a_ping_between),
        IT(test_character_cut_by_a_fragment),
        IT(test_idle_connection_does_not_spin),
        IT(test_full_queue_refuses_and_recovers),
        IT(test_peer_that_pings_but_does_not_read),
        IT(test_message_over_the_cap),
        IT(test_message_of_a_mebibyte),
        IT(test_breaches_of_the_protocol),
        IT(test_peer_closes_but_leaves_tcp_open),
        IT(test_peer_closes_without_a_code),
        IT(test_peer_closes_behind_the_answer),
        IT(test_peer_vanishes),
        IT(test_write_to_a_reset_connection),
        IT(test_orderly_close),
        IT(test_close_within_callbacks),
        IT(test_close_without_an_echo),
        IT(test_close_ended_by_tcp),
        IT(test_close_to_a_peer_that_does_not_read),
        IT(test_close_before_open),
        IT(test_reason_is_cut_between_characters),
        IT(test_abandon),
        IT(test_abandon_within_callbacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
