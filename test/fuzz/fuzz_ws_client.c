// Frames from a hostile peer: ws_client over a pipe that the input plays. curl_pipe is replaced
// here, so nothing goes over a network.

#include <errno.h>

#include "common/crypto.h"
#include "common/curl_pipe.h"
#include "common/ws_client.h"
#include "test/fuzz/fuzz.h"

struct curl_pipe {
    const struct curl_pipe_events *events;
    void *data;
    bool closed;
};

static struct curl_pipe the_pipe;
static struct buf request; // what the client wrote until the handshake was answered
static struct str input;
static size_t step;   // bytes that one read gives
static bool at_end;   // the peer ends the connection behind the input
static unsigned room; // bytes that one write takes

static uv_loop_t loop;
static unsigned opened, closed;
static struct ws *ws;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    CHECK(uv_loop_init(&loop) == 0);
    return 0;
}

int curl_pipe_open(uv_loop_t *on, const char *url, bool allow_plain_loopback,
                   const struct curl_pipe_events *events, void *data, struct curl_pipe **ret_pipe)
{
    (void)on, (void)url, (void)allow_plain_loopback;
    the_pipe = (struct curl_pipe){events, data, false};
    *ret_pipe = &the_pipe;
    return 0;
}

void curl_pipe_close(struct curl_pipe *p)
{
    if (p)
        p->closed = true;
}

ssize_t curl_pipe_read(struct curl_pipe *p, void *to, size_t n)
{
    CHECK(!p->closed);
    if (!input.n)
        return at_end ? -ECONNRESET : 0;
    size_t take = n < step ? n : step;
    take = take < input.n ? take : input.n;
    memcpy(to, input.p, take);
    input = (struct str){input.p + take, input.n - take};
    return (ssize_t)take;
}

ssize_t curl_pipe_put(struct curl_pipe *p, const void *bytes, size_t n)
{
    CHECK(!p->closed);
    if (!opened) {
        CHECK(buf_add(&request, bytes, n) == 0);
        return (ssize_t)n;
    }
    size_t take = n < room ? n : room;
    room -= (unsigned)take;
    return (ssize_t)take;
}

int curl_pipe_flush(struct curl_pipe *p)
{
    CHECK(!p->closed);
    return room > 0;
}

size_t curl_pipe_pending(const struct curl_pipe *p)
{
    (void)p;
    return 0;
}

void curl_pipe_watch(struct curl_pipe *p, bool reading)
{
    (void)reading;
    CHECK(!p->closed);
}

void curl_pipe_again(struct curl_pipe *p)
{
    CHECK(!p->closed);
}

int curl_pipe_split_url(const char *url, struct buf *authority, struct buf *target)
{
    (void)url;
    buf_adds(authority, "peer");
    return buf_adds(target, "/");
}

// The handshake is fuzz_ws_handshake's: here the answer is always right.
static void answer(struct buf *out)
{
    static const char key[] = "Sec-WebSocket-Key: ";
    const char *p = strstr(buf_cstr(&request), key);
    CHECK(p);
    char text[128], accept[32];
    uint8_t digest[20];
    p += sizeof key - 1;
    snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", p);
    sha1(str_of(text), digest);
    base64_encode((struct str){(const char *)digest, sizeof digest}, accept, sizeof accept);
    buf_addf(out,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept);
}

static void on_open(struct ws *w, void *data)
{
    (void)w, (void)data;
    opened++;
}

static void on_message(struct ws *w, struct str message, void *data)
{
    (void)data;
    CHECK(message.n <= 512);
    if (message.n && message.p[0] == 'e')
        (void)!ws_send(w, message);
    if (message.n && message.p[0] == 'c')
        ws_close(w, 1000, message);
    if (message.n && message.p[0] == 'a') {
        ws = NULL;
        ws_abandon(w);
    }
}

static void on_closed(struct ws *w, const struct ws_closed *how, void *data)
{
    (void)w, (void)data;
    CHECK(how->error_text);
    CHECK(how->code == 0 || (how->code >= 1000 && how->code < 5000));
    CHECK(how->reason.n <= 123);
    closed++;
    ws = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const struct ws_handler handler = {
        .on_open = on_open, .on_message = on_message, .on_closed = on_closed};
    static const struct ws_options options = {
        .url = "wss://peer/", .max_message = 512, .max_queue = 256};
    struct str in = {(const char *)bytes, n};
    struct buf stream = BUF_INIT(n + 512);
    step = fuzz_pick(&in, 64) + 1;
    at_end = step & 1;
    request = BUF_INIT(8192);
    opened = closed = 0;
    room = 1024;
    CHECK(ws_open(&loop, &options, &handler, NULL, &ws) == 0);
    input = (struct str){NULL, 0};
    bool ends = at_end;
    at_end = false;
    the_pipe.events->on_connected(the_pipe.data);
    answer(&stream);
    buf_add(&stream, in.p, in.n);
    input = buf_str(&stream);
    at_end = ends;
    for (int i = 0; ws && i < 200 && (input.n || at_end); i++) {
        room = 1024;
        the_pipe.events->on_ready(the_pipe.data);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    CHECK(opened == 1 && closed <= 1);
    ws_abandon(ws);
    ws = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(!uv_loop_alive(&loop)); // nothing of it is left
    buf_done(&stream);
    buf_done(&request);
    return 0;
}
