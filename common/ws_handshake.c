#include "common/ws_handshake.h"

#include <errno.h>
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/crypto.h"
#include "common/text.h"

enum {
    MAX_NAME = 64,   // longer header names and values are none that matter here
    MAX_VALUE = 256, // Connection may be a list
    MAX_EXCERPT = 60,
    ACCEPT_SIZE = 29, // base64 of a SHA-1, with its NUL
};

struct ws_handshake {
    llhttp_t parser;
    llhttp_settings_t settings;
    char accept[ACCEPT_SIZE];
    char name[MAX_NAME];
    char value[MAX_VALUE];
    size_t name_len, value_len; // beyond the array: too long
    size_t total;
    int status;
    int64_t retry_after_s;
    unsigned upgrades, connections, accepts; // headers that were right
    const char *wrong;                       // the first thing that was not
    char excerpt[MAX_EXCERPT + 1];           // how an answer that may not be HTTP begins
    size_t excerpt_len;
    char error[160];
};

static void encode_nonce(const uint8_t nonce[WS_NONCE_SIZE], char out[static 25])
{
    base64_encode((struct str){(const char *)nonce, WS_NONCE_SIZE}, out, 25);
}

static bool is_printable(const char *s)
{
    for (const char *p = s; *p; p++)
        if (*p <= ' ' || *p > '~')
            return false;
    return *s != '\0';
}

int ws_handshake_request(struct buf *out, const char *host, const char *target,
                         const uint8_t nonce[WS_NONCE_SIZE])
{
    if (!is_printable(host) || !is_printable(target) || target[0] != '/')
        return -EINVAL;
    char key[25];
    encode_nonce(nonce, key);
    return buf_addf(out,
                    "GET %s HTTP/1.1\r\n"
                    "Host: %s\r\n"
                    "Upgrade: websocket\r\n"
                    "Connection: Upgrade\r\n"
                    "Sec-WebSocket-Key: %s\r\n"
                    "Sec-WebSocket-Version: 13\r\n"
                    "\r\n",
                    target, host, key);
}

static void append(char *to, size_t size, size_t *len, const char *at, size_t n)
{
    for (size_t i = 0; i < n && *len <= size; i++) {
        if (*len < size)
            to[*len] = at[i];
        ++*len;
    }
}

static struct str trim(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = (struct str){s.p + 1, s.n - 1};
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

// Is the token in the comma-separated list? Case-insensitive (RFC 9110, 7.6.1).
static bool has_token(struct str list, const char *token)
{
    while (list.n) {
        const char *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        if (text_equal_nocase(trim((struct str){list.p, n}), token))
            return true;
        size_t skip = comma ? n + 1 : n;
        list = (struct str){list.p + skip, list.n - skip};
    }
    return false;
}

static int64_t seconds(struct str s)
{
    int64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || value > 1000000000)
            return 0;
        value = value * 10 + (s.p[i] - '0');
    }
    return value;
}

static void wrong(struct ws_handshake *h, const char *what)
{
    if (!h->wrong)
        h->wrong = what;
}

// RFC 6455, 4.1, the client's checks 2 to 6 of the server's response.
static void check_header(struct ws_handshake *h)
{
    if (h->name_len > MAX_NAME)
        return;
    struct str name = {h->name, h->name_len};
    struct str value = {h->value, h->value_len > MAX_VALUE ? MAX_VALUE : h->value_len};
    value = trim(value);
    if (text_equal_nocase(name, "upgrade")) {
        if (text_equal_nocase(value, "websocket"))
            h->upgrades++;
        else
            wrong(h, "another Upgrade than websocket");
    } else if (text_equal_nocase(name, "connection")) {
        h->connections += has_token(value, "upgrade");
    } else if (text_equal_nocase(name, "sec-websocket-accept")) {
        if (str_is(value, h->accept))
            h->accepts++;
        else
            wrong(h, "the wrong Sec-WebSocket-Accept");
    } else if (text_equal_nocase(name, "sec-websocket-extensions")) {
        wrong(h, "an extension that was not asked for");
    } else if (text_equal_nocase(name, "sec-websocket-protocol")) {
        wrong(h, "a subprotocol that was not asked for");
    } else if (text_equal_nocase(name, "retry-after")) {
        h->retry_after_s = seconds(value);
    }
}

static int on_message_begin(llhttp_t *p)
{
    struct ws_handshake *h = p->data;
    // 100 and 103 may come ahead of the real answer: each starts afresh.
    h->upgrades = h->connections = h->accepts = 0;
    h->wrong = NULL;
    h->retry_after_s = 0;
    return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
    struct ws_handshake *h = p->data;
    append(h->name, MAX_NAME, &h->name_len, at, n);
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
    struct ws_handshake *h = p->data;
    append(h->value, MAX_VALUE, &h->value_len, at, n);
    return 0;
}

static int on_value_complete(llhttp_t *p)
{
    struct ws_handshake *h = p->data;
    check_header(h);
    h->name_len = h->value_len = 0;
    return 0;
}

static int on_headers_complete(llhttp_t *p)
{
    struct ws_handshake *h = p->data;
    h->status = llhttp_get_status_code(p);
    if (h->status == 101)
        return 2; // no body: stop right behind the headers (HPE_PAUSED_UPGRADE)
    if (h->status < 200)
        return 0;
    return -1; // refused: the body is of no use
}

struct ws_handshake *ws_handshake_new(const uint8_t nonce[WS_NONCE_SIZE])
{
    struct ws_handshake *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    char text[25 + 36];
    encode_nonce(nonce, text);
    // RFC 6455, 1.3
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 37);
    uint8_t digest[20];
    sha1(str_of(text), digest);
    base64_encode((struct str){(const char *)digest, sizeof digest}, h->accept, ACCEPT_SIZE);

    llhttp_settings_init(&h->settings);
    h->settings.on_message_begin = on_message_begin;
    h->settings.on_header_field = on_field;
    h->settings.on_header_value = on_value;
    h->settings.on_header_value_complete = on_value_complete;
    h->settings.on_headers_complete = on_headers_complete;
    llhttp_init(&h->parser, HTTP_RESPONSE, &h->settings);
    h->parser.data = h;
    return h;
}

void ws_handshake_free(struct ws_handshake *h)
{
    free(h);
}

static void keep_excerpt(struct ws_handshake *h, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n && h->excerpt_len < MAX_EXCERPT; i++) {
        bool plain = bytes[i] >= ' ' && bytes[i] <= '~';
        h->excerpt[h->excerpt_len++] = plain ? bytes[i] : '.';
    }
}

static int fail(struct ws_handshake *h, int code, const char *what, const char *detail)
{
    snprintf(h->error, sizeof h->error, "%s%s", what, detail);
    return code;
}

static int verdict(struct ws_handshake *h)
{
    if (!h->wrong && !h->upgrades)
        h->wrong = "no Upgrade";
    if (!h->wrong && !h->connections)
        h->wrong = "no Connection: Upgrade";
    if (!h->wrong && !h->accepts)
        h->wrong = "no Sec-WebSocket-Accept";
    return h->wrong ? fail(h, -EPROTO, "the answer 101 has ", h->wrong) : 1;
}

int ws_handshake_feed(struct ws_handshake *h, const char *bytes, size_t n, size_t *ret_used)
{
    keep_excerpt(h, bytes, n);
    size_t room = WS_HANDSHAKE_MAX_HEAD - h->total;
    size_t take = n < room ? n : room;
    llhttp_errno_t e = llhttp_execute(&h->parser, bytes, take);
    h->total += take;
    if (e == HPE_PAUSED_UPGRADE) {
        int r = verdict(h);
        if (r > 0)
            *ret_used = (size_t)(llhttp_get_error_pos(&h->parser) - bytes);
        return r;
    }
    if (h->status >= 200) {
        char status[16];
        snprintf(status, sizeof status, "%d", h->status);
        return fail(h, -ECONNREFUSED, "the upgrade was answered with HTTP ", status);
    }
    if (e != HPE_OK)
        return fail(h, -EPROTO, "the answer is not HTTP: ", h->excerpt);
    if (take < n)
        return fail(h, -E2BIG, "the answer's headers are too long", "");
    *ret_used = n;
    return 0;
}

int ws_handshake_status(const struct ws_handshake *h)
{
    return h->status;
}

int64_t ws_handshake_retry_after_s(const struct ws_handshake *h)
{
    return h->retry_after_s;
}

const char *ws_handshake_error(const struct ws_handshake *h)
{
    return h->error;
}
