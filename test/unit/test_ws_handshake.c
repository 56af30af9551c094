#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/ws_handshake.h"

// RFC 6455, 1.3: the nonce "the sample nonce" and the answer to it.
static const uint8_t *const nonce = (const uint8_t *)"the sample nonce";
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define GOOD                                                                                       \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: " ACCEPT "\r\n"

struct verdict {
    int result;
    size_t used;
    int status;
    int64_t retry_after_s;
    char error[200];
};

// Feeds the answer in pieces of `step` bytes, each in memory of its own size so that reading beyond
// it is seen.
static struct verdict feed(const char *answer, size_t n, size_t step)
{
    struct verdict v = {0};
    struct ws_handshake *h = ws_handshake_new(nonce);
    assert_non_null(h);
    for (size_t at = 0; at < n && v.result == 0;) {
        size_t piece = n - at < step ? n - at : step, used = 0;
        char *copy = malloc(piece);
        assert_non_null(copy);
        memcpy(copy, answer + at, piece);
        v.result = ws_handshake_feed(h, copy, piece, &used);
        free(copy);
        if (v.result < 0)
            break;
        at += used;
        v.used = at;
    }
    v.status = ws_handshake_status(h);
    v.retry_after_s = ws_handshake_retry_after_s(h);
    snprintf(v.error, sizeof v.error, "%s", ws_handshake_error(h));
    ws_handshake_free(h);
    return v;
}

// Whole, byte by byte and in threes: the verdict must not depend on the pieces.
static struct verdict judge(const char *answer)
{
    size_t n = strlen(answer);
    struct verdict whole = feed(answer, n, n);
    for (size_t step = 1; step <= 3; step += 2) {
        struct verdict v = feed(answer, n, step);
        assert_int_equal(v.result, whole.result);
        assert_int_equal(v.status, whole.status);
        assert_int_equal(v.retry_after_s, whole.retry_after_s);
        assert_int_equal(v.used, whole.result > 0 ? whole.used : v.used);
    }
    return whole;
}

static void test_request(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(4096);
    assert_int_equal(ws_handshake_request(&out, "[::1]:9", "/link?a=b", nonce), 0);
    assert_string_equal(buf_cstr(&out), "GET /link?a=b HTTP/1.1\r\n"
                                        "Host: [::1]:9\r\n"
                                        "Upgrade: websocket\r\n"
                                        "Connection: Upgrade\r\n"
                                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                        "Sec-WebSocket-Version: 13\r\n\r\n");
    buf_clear(&out);
    assert_int_equal(ws_handshake_request(&out, "h\r\nX: y", "/", nonce), -EINVAL);
    assert_int_equal(ws_handshake_request(&out, "", "/", nonce), -EINVAL);
    assert_int_equal(ws_handshake_request(&out, "h", "/a b", nonce), -EINVAL);
    assert_int_equal(ws_handshake_request(&out, "h", "http://h/", nonce), -EINVAL);
    assert_int_equal(out.len, 0);
    buf_done(&out);
    out = BUF_INIT(20);
    assert_int_equal(ws_handshake_request(&out, "h", "/", nonce), -E2BIG);
    buf_done(&out);
}

static void test_good_answers(void **state)
{
    (void)state;
    assert_int_equal(judge(GOOD "\r\n").result, 1);
    struct verdict v =
        judge("HTTP/1.1 101 x\r\nUPGRADE:WebSocket\r\nconnection: keep-alive ,  upgrade\r\n"
              "Retry-After: 3\r\nsec-websocket-accept:  " ACCEPT " \r\n\r\n");
    assert_int_equal(v.result, 1);
    assert_string_equal(v.error, "");
    // Interim answers do not count, nor do their headers.
    v = judge("HTTP/1.1 103 Early Hints\r\nUpgrade: h2c\r\n\r\n" GOOD "\r\n");
    assert_int_equal(v.result, 1);
    v = judge("HTTP/1.1 100 Continue\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\nHTTP/1.1 101 x\r\n\r\n");
    assert_int_equal(v.result, -EPROTO);
}

static void test_frames_behind_the_answer_are_left(void **state)
{
    (void)state;
    static const char answer[] = GOOD "Content-Length: 5\r\n\r\n\x81\x02hi\x89\0HTTP";
    size_t head = sizeof GOOD - 1 + strlen("Content-Length: 5\r\n\r\n");
    for (size_t step = 1; step < sizeof answer; step++) {
        struct verdict v = feed(answer, sizeof answer - 1, step);
        assert_int_equal(v.result, 1);
        assert_int_equal(v.used, head);
    }
}

static void test_wrong_answers(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        const char *error;
    } cases[] = {
        {"HTTP/1.1 101 x\r\n\r\n", "no Upgrade"},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n", "no Connection"},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgraded\r\n\r\n", "no Connection"},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "no Sec-WebSocket"},
        {"HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT
         "\r\n\r\n",
         "another Upgrade"},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n\r\n",
         "wrong Sec-WebSocket-Accept"},
        {GOOD "Sec-WebSocket-Accept: x\r\n\r\n", "wrong Sec-WebSocket-Accept"},
        {GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "extension"},
        {GOOD "Sec-WebSocket-Protocol: chat\r\n\r\n", "subprotocol"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct verdict v = judge(cases[i].answer);
        assert_int_equal(v.result, -EPROTO);
        assert_int_equal(v.status, 101);
        assert_non_null(strstr(v.error, cases[i].error));
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct verdict v = judge("HTTP/1.1 408 Request Timeout\r\n\r\n");
    assert_int_equal(v.result, -ECONNREFUSED);
    assert_int_equal(v.status, 408);
    v = judge(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 5\r\n\r\nsorry");
    assert_int_equal(v.result, -ECONNREFUSED);
    assert_int_equal(v.status, 503);
    assert_int_equal(v.retry_after_s, 30);
    assert_non_null(strstr(v.error, "503"));
    v = judge("HTTP/1.1 429 x\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n\r\n");
    assert_int_equal(v.retry_after_s, 0);
    v = judge("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(v.result, -ECONNREFUSED);
}

static void test_not_http(void **state)
{
    (void)state;
    struct verdict v = judge("UNAUTHENTICATED: cache_error\n");
    assert_int_equal(v.result, -EPROTO);
    v = feed("UNAUTHENTICATED: cache_error\n", 29, 29);
    assert_string_equal(v.error, "the answer is not HTTP: UNAUTHENTICATED: cache_error.");
    assert_int_equal(judge("\x15\x03\x01\x02\x02PF").result, -EPROTO);
    assert_int_equal(judge("GET / HTTP/1.1\r\n\r\n").result, -EPROTO);
}

static void test_head_is_capped(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1 << 20);
    buf_adds(&b, "HTTP/1.1 101 x\r\n");
    for (int i = 0; i < 2000; i++)
        buf_addf(&b, "X-%d: filler\r\n", i);
    assert_int_equal(judge(buf_cstr(&b)).result, -E2BIG);
    // One endless header, one endless name.
    buf_clear(&b);
    buf_adds(&b, "HTTP/1.1 101 x\r\nSec-WebSocket-Accept: ");
    for (int i = 0; i < WS_HANDSHAKE_MAX_HEAD; i++)
        buf_addc(&b, 'a');
    assert_int_equal(judge(buf_cstr(&b)).result, -E2BIG);
    buf_clear(&b);
    buf_adds(&b, GOOD);
    for (int i = 0; i < 300; i++)
        buf_addc(&b, 'a');
    buf_adds(&b, ": b\r\n\r\n");
    assert_int_equal(judge(buf_cstr(&b)).result, 1);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_good_answers),
        cmocka_unit_test(test_frames_behind_the_answer_are_left),
        cmocka_unit_test(test_wrong_answers),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_not_http),
        cmocka_unit_test(test_head_is_capped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
