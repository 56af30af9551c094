#include <fcntl.h>
#include <sys/resource.h>

#include "test/support/http_site.h"

// What http_server refuses, bounds and ends by itself.

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST(headers) "POST / HTTP/1.1\r\nHost: x\r\n" headers "\r\n"

static void expect_refusal(struct site *s, struct str request, int status)
{
    struct client c = client_open(s);
    int refusals = s->refusals;
    client_send(&c, request);
    const char *a = client_answer(&c, false);
    if (status_of(a) != status)
        print_error("%.*s\n-> %s\n", (int)request.n, request.p, a);
    assert_int_equal(status_of(a), status);
    assert_non_null(strstr(a, "Connection: close\r\n"));
    assert_int_equal(strncmp(body_of(a), "{\"error\":\"", 10), 0);
    assert_int_equal(s->refused_status, status);
    assert_int_equal(s->refusals, refusals + 1);
    expect_closed(&c, 1000);
    client_close(&c);
}

static void refuses_malformed_heads(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "GET / HTTP/1.1\nHost: x\n\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\rX",
        "GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tfolded\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length\t: 1\r\n\r\na",
        "GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA(b): c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nN\xc3\xa4me: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: \x7f\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\tHTTP/1.1\r\nHost: x\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: x\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        "GET / http/1.1\r\nHost: x\r\n\r\n",
        "GET / ICY\r\nHost: x\r\n\r\n",
        "get / HTTP/1.1\r\nHost: x\r\n\r\n",
        "NONSENSE / HTTP/1.1\r\nHost: x\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01", // somebody speaks TLS
        "{\"alerts\":[]}\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
        POST("Content-Length: 1\r\nContent-Length: 1\r\n") "a",
        POST("Content-Length: 1\r\nContent-Length: 2\r\n") "ab",
        POST("Content-Length: 1, 1\r\n") "a",
        POST("Content-Length: +1\r\n") "a",
        POST("Content-Length: -1\r\n") "a",
        POST("Content-Length: 0x1\r\n") "a",
        POST("Content-Length: 1 1\r\n") "a",
        POST("Content-Length:\r\n") "a",
        POST("Content-Length: 18446744073709551616\r\n") "a",
        POST("Content-Length: 99999999999999999999999\r\n") "a",
        POST("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n",
        POST("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") "0\r\n\r\n",
        POST("Transfer-Encoding: chunked, gzip\r\n") "0\r\n\r\n",
        POST("Transfer-Encoding: gzip\r\n") "a",
        POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n",
        POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n") "0\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
    struct site *s = site_open();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_refusal(s, str_of(bad[i]), 400);
    static const char nul[] = "GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n";
    expect_refusal(s, (struct str){nul, sizeof nul - 1}, 400);
    assert_int_equal(s->headers, 0);
    assert_int_equal(s->aborts, 0);
    site_close(s);
}

static void refuses_codings_it_does_not_know(void **state)
{
    (void)state;
    struct site *s = site_open();
    expect_refusal(s, str_of(POST("Transfer-Encoding: gzip, chunked\r\n") "0\r\n\r\n"), 501);
    expect_refusal(
        s, str_of(POST("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n"),
        501);
    assert_int_equal(s->headers, 0);
    site_close(s);
}

static void refuses_malformed_chunks(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "x\r\nabc\r\n0\r\n\r\n",    "-3\r\nabc\r\n0\r\n\r\n",  "3\r\nabcd\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",     "0x3\r\nabc\r\n0\r\n\r\n", "fffffffffffffffff\r\nabc",
        "3\r\nabc\r\n0\r\n@: \r\n", "3\r\nabc0\r\n\r\n",
    };
    struct site *s = site_open();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct client c = client_open(s);
        client_say(&c, POST("Transfer-Encoding: chunked\r\n"));
        client_say(&c, bad[i]);
        expect(&c, 400, NULL, true);
        assert_int_equal(s->aborts, (int)i + 1); // accepted by on_headers, so it is told
        client_close(&c);
    }
    assert_int_equal(s->requests, 0);
    site_close(s);
}

static void bounds_the_head(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.max_head = 1000;
    s->limits.max_headers = 5;
    site_start(s);
    struct buf b = BUF_INIT(1 << 20);
    struct client c = client_open(s);
    // 1,000 bytes and five headers are fine, one more of either is not.
    buf_adds(&b, "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: ");
    while (b.len < 996)
        buf_addc(&b, 'd');
    buf_adds(&b, "\r\n\r\n");
    client_send(&c, buf_str(&b));
    expect(&c, 200, "GET /? ", false);
    client_close(&c);
    buf_truncate(&b, 996);
    buf_adds(&b, "d\r\n\r\n");
    expect_refusal(s, buf_str(&b), 431);
    expect_refusal(
        s, str_of("GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n"),
        431);
    // A line that never ends is refused when the cap is reached.
    buf_clear(&b);
    buf_adds(&b, "GET /");
    while (b.len < 1001)
        buf_addc(&b, 'x');
    expect_refusal(s, buf_str(&b), 431);
    buf_done(&b);
    assert_int_equal(s->headers, 1);
    site_close(s);
}

static void bounds_the_body(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.max_body = 100000;
    site_start(s);
    char *bytes = malloc(2000000);
    assert_non_null(bytes);
    memset(bytes, 'b', 2000000);
    struct client c = client_open(s);
    client_say(&c, POST("Content-Length: 100000\r\n"));
    client_send(&c, (struct str){bytes, 100000});
    const char *a = client_answer(&c, false);
    assert_int_equal(strlen(body_of(a)), 100000 + strlen("POST /? "));
    client_say(&c, POST("Transfer-Encoding: chunked\r\n") "186A0\r\n");
    client_send(&c, (struct str){bytes, 100000});
    client_say(&c, "\r\n0\r\n\r\n");
    a = client_answer(&c, false);
    assert_int_equal(strlen(body_of(a)), 100000 + strlen("POST /? "));
    // Both framings, both much over the cap: the answer is readable after all of it was sent.
    client_say(&c, POST("Content-Length: 2000000\r\n"));
    client_send(&c, (struct str){bytes, 2000000});
    expect(&c, 413, "too large", true);
    expect_closed(&c, 1000);
    assert_int_equal(s->large_bytes, 2000000);
    client_close(&c);
    c = client_open(s);
    client_say(&c, POST("Transfer-Encoding: chunked\r\n") "1e8480\r\n");
    client_send(&c, (struct str){bytes, 2000000});
    expect(&c, 413, "too large", true);
    expect_closed(&c, 1000);
    assert_in_range(s->large_bytes, 100001, 2000000);
    client_close(&c);
    assert_int_equal(s->too_large, 2);
    assert_int_equal(s->requests, 2);
    assert_int_equal(s->aborts, 0);
    // A little over the cap is no different.
    c = client_open(s);
    client_say(&c, POST("Content-Length: 100001\r\n"));
    client_send(&c, (struct str){bytes, 100001});
    expect(&c, 413, "too large", true);
    client_close(&c);
    // A length beyond all reason is only too large.
    c = client_open(s);
    client_say(&c, POST("Content-Length: 18446744073709551615\r\n"));
    expect(&c, 413, "too large", true);
    client_close(&c);
    free(bytes);
    site_close(s);
}

static void answers_too_large_late(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.max_body = 1000;
    site_start(s);
    char *bytes = calloc(1, 3000000);
    assert_non_null(bytes);
    struct client c = client_open(s);
    client_say(&c, "POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
    for (size_t sent = 0, stalled = 0; sent < 3000000 && stalled < 20;) {
        ssize_t n = send(c.fd, bytes + sent, 3000000 - sent, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        stalled += n <= 0;
        spin(s, 1);
    }
    assert_int_equal(s->lates, 1);
    site_answer(s, 0, 413);
    expect(&c, 413, "late", true);
    client_close(&c);
    free(bytes);
    site_close(s);
}

static void bounds_what_frames_the_chunks(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.max_body = 1000;
    s->limits.max_head = 1000;
    site_start(s);
    static const char *const starts[] = {
        POST("Transfer-Encoding: chunked\r\n") "1;x=",
        POST("Transfer-Encoding: chunked\r\n") "1\r\na\r\n0\r\nTrailer: ",
    };
    char bytes[4000];
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct client c = client_open(s);
        client_say(&c, starts[i]);
        client_send(&c, (struct str){bytes, sizeof bytes});
        expect(&c, 400, NULL, true);
        assert_int_equal(s->aborts, (int)i + 1);
        client_close(&c);
    }
    site_close(s);
}

static void bounds_all_bodies_together(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.max_body = 100000;
    s->limits.max_bodies = 250000;
    site_start(s);
    char *bytes = calloc(1, 100000);
    assert_non_null(bytes);
    struct client c[4];
    for (int i = 0; i < 3; i++) {
        c[i] = client_open(s);
        client_say(&c[i], "POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
        client_send(&c[i], (struct str){bytes, 100000});
    }
    expect(&c[2], 503, NULL, true);
    assert_int_equal(s->lates, 2);
    assert_int_equal(s->aborts, 1);
    assert_int_equal(s->refused_status, 503);
    assert_string_equal(s->refused_reason, "too many bodies at once");
    // What is answered, or gone, gives its share back.
    site_answer(s, 0, 200);
    expect(&c[0], 200, "late", false);
    client_close(&c[1]);
    WAIT_FOR(s, s->lates == 2);
    c[3] = client_open(s);
    client_say(&c[3], POST("Content-Length: 100000\r\n"));
    client_send(&c[3], (struct str){bytes, 100000});
    expect(&c[3], 200, NULL, false);
    client_close(&c[0]);
    client_close(&c[2]);
    client_close(&c[3]);
    free(bytes);
    site_close(s);
}

// Promised bytes cost nothing: otherwise 200 of these would be over the budget.
static void charges_only_what_arrived(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.max_bodies = 20 * 1024 * 1024;
    site_start(s);
    struct client c[200];
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        c[i] = client_open(s);
        client_say(&c[i], POST("Content-Length: 16000000\r\n") "x");
    }
    WAIT_FOR(s, s->headers == ARRAY_LEN(c));
    assert_int_equal(s->refusals, 0);
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        client_close(&c[i]);
    WAIT_FOR(s, s->aborts == ARRAY_LEN(c));
    site_close(s);
}

static void ends_slow_requests(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "G",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        POST("Content-Length: 500\r\n"),
        POST("Transfer-Encoding: chunked\r\n") "5\r\n",
    };
    struct site *s = site_new();
    s->limits.request_ms = 700;
    site_start(s);
    struct client c[ARRAY_LEN(starts)];
    int64_t start = now_ms();
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        c[i] = client_open(s);
        client_say(&c[i], starts[i]);
    }
    // Drops of data do not help.
    while (now_ms() - start < 400) {
        client_say(&c[0], "G");
        client_say(&c[1], "X: y\r\n");
        client_say(&c[2], "x");
        spin(s, 20);
        assert_int_equal(s->refusals, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        expect(&c[i], 408, NULL, true);
        expect_closed(&c[i], 3000);
        client_close(&c[i]);
    }
    assert_in_range(now_ms() - start, 690, 2700);
    assert_int_equal(s->refusals, 4);
    assert_int_equal(s->aborts, 2);
    site_close(s);
}

static void gives_head_and_body_one_time(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.request_ms = 1000;
    site_start(s);
    struct client c = client_open(s);
    int64_t start = now_ms();
    client_say(&c, "POST / HTTP/1.1\r\n");
    spin(s, 800);
    client_say(&c, "Host: x\r\nContent-Length: 5\r\n\r\n");
    expect(&c, 408, NULL, true);
    assert_in_range(now_ms() - start, 990, 1700);
    assert_int_equal(s->aborts, 1);
    client_close(&c);
    site_close(s);
}

static void gives_each_request_its_own_time(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.request_ms = 300;
    site_start(s);
    struct client c = client_open(s);
    for (int i = 0; i < 6; i++) {
        client_say(&c, "GET / HTTP/1.1\r\n");
        spin(s, 100);
        client_say(&c, "Host: x\r\n\r\n");
        expect(&c, 200, NULL, false);
    }
    client_say(&c, GET("/late")); // the user may take longer
    spin(s, 500);
    site_answer(s, 0, 200);
    expect(&c, 200, "late", false);
    client_say(&c, "\r\n"); // an empty line is no request
    spin(s, 500);
    expect_open(&c);
    client_close(&c);
    site_close(s);
}

// When the whole process stood still, the peer's bytes are in the socket, not late.
static void forgives_its_own_standstill(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.request_ms = 300;
    site_start(s);
    struct client c = client_open(s);
    client_say(&c, "GET / HTTP/1.1\r\n");
    spin(s, 5);
    poll(NULL, 0, 1500);
    assert_true(send(c.fd, "Host: x\r\n\r\n", 11, MSG_NOSIGNAL) == 11);
    expect(&c, 200, "GET /? ", false);
    client_close(&c);
    site_close(s);
}

static void closes_idle_connections_silently(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.idle_ms = 200;
    site_start(s);
    struct client fresh = client_open(s), used = client_open(s);
    client_say(&used, GET("/"));
    expect(&used, 200, NULL, false);
    int64_t start = now_ms();
    expect_closed(&fresh, 2000);
    expect_closed(&used, 2000);
    assert_in_range(now_ms() - start, 100, 3000);
    assert_int_equal(s->refusals, 0);
    client_close(&fresh);
    client_close(&used);
    site_close(s);
}

// The timer runs before the socket is looked at.
static void does_not_expire_under_a_request(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.idle_ms = 500;
    site_start(s);
    struct client c = client_open(s);
    spin(s, 5);
    assert_true(send(c.fd, GET("/"), strlen(GET("/")), 0) > 0);
    poll(NULL, 0, 700);
    expect(&c, 200, "GET /? ", false);
    client_close(&c);
    site_close(s);
}

static void gives_up_on_slow_readers(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.write_ms = 300;
    site_start(s);
    struct client c = client_open(s);
    int64_t start = now_ms();
    assert_true(send(c.fd, GET("/big?30000000"), strlen(GET("/big?30000000")), 0) > 0);
    WAIT_FOR(s, s->requests == 1);
    http_server_stop(s->server, 60000, site_on_closed, s);
    site_wait_closed(s); // nothing but the deadline ends it
    assert_in_range(now_ms() - start, 300, 4000);
    client_close(&c);
    site_close(s);
}

static void stops_lingering(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client c = client_open(s);
    client_say(&c, "nonsense\r\n\x01");
    expect(&c, 400, NULL, true);
    http_server_stop(s->server, 60000, site_on_closed, s);
    int64_t start = now_ms();
    site_wait_closed(s); // our side of the connection stays open
    assert_in_range(now_ms() - start, 1000, 5000);
    client_close(&c);
    site_close(s);
}

static void needs_no_wakeups(void **state)
{
    (void)state;
    struct site *s = site_open();
    spin(s, 5);
    assert_int_equal(uv_backend_timeout(&s->loop), -1);
    struct client c = client_open(s);
    client_say(&c, GET("/"));
    expect(&c, 200, NULL, false);
    assert_true(uv_backend_timeout(&s->loop) > 20 * 1000);
    client_close(&c);
    spin(s, 5);
    assert_int_equal(uv_backend_timeout(&s->loop), -1);
    site_close(s);
}

static void makes_room_by_closing_the_longest_idle(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.max_connections = 3;
    site_start(s);
    struct client a = client_open(s), b = client_open(s), busy = client_open(s);
    client_say(&busy, GET("/late"));
    client_say(&a, GET("/"));
    expect(&a, 200, NULL, false); // so that b is idle longer than a
    WAIT_FOR(s, s->lates == 1);
    struct client c = client_open(s);
    client_say(&c, GET("/late"));
    WAIT_FOR(s, s->lates == 2);
    expect_closed(&b, 1000);
    expect_open(&a);
    struct client d = client_open(s);
    client_say(&d, GET("/late"));
    WAIT_FOR(s, s->lates == 3);
    expect_closed(&a, 1000);
    assert_int_equal(s->refusals, 0);
    // Nobody is idle any more.
    struct client e = client_open(s);
    client_say(&e, GET("/"));
    expect(&e, 503, NULL, true);
    assert_int_equal(s->refused_status, 503);
    for (int i = 0; i < 3; i++)
        site_answer(s, i, 200);
    expect(&busy, 200, "late", false);
    expect(&c, 200, "late", false);
    expect(&d, 200, "late", false);
    assert_int_equal(s->aborts, 0);
    client_close(&a);
    client_close(&b);
    client_close(&busy);
    client_close(&c);
    client_close(&d);
    client_close(&e);
    site_close(s);
}

// A connection whose request has arrived is not idle, even if nobody has looked at it yet.
static void does_not_close_under_a_request(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.max_connections = 8;
    site_start(s);
    struct client c[8];
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        c[i] = client_open(s);
    spin(s, 5);
    struct client more = client_open(s);
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        assert_true(send(c[i].fd, GET("/"), strlen(GET("/")), 0) > 0);
    int answered = 0;
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        answered += status_of(client_answer(&c[i], false)) == 200;
        client_close(&c[i]);
    }
    assert_int_equal(answered, 8);
    client_close(&more);
    site_close(s);
}

static void serves_beside_thousands_of_idle_connections(void **state)
{
    (void)state;
    enum { N = 2100 };
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < 2 * N + 200)
        skip(); // clients and server share this process's descriptors
    struct site *s = site_open();
    static int fds[N];
    for (int i = 0; i < N; i++) {
        fds[i] = connect_fd(s);
        if (i % 50 == 0)
            uv_run(&s->loop, UV_RUN_NOWAIT);
    }
    struct client c = client_open(s);
    int64_t start = now_ms();
    client_say(&c, GET("/"));
    expect(&c, 200, "GET /? ", false);
    assert_true(now_ms() - start < 1000);
    assert_int_equal(s->refusals, 0);
    int open = 0;
    for (int i = 0; i < N; i++) {
        char byte;
        open += recv(fds[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
        close(fds[i]);
    }
    assert_int_equal(open, N);
    client_close(&c);
    site_close(s);
}

// Without descriptors the connection waits in the backlog and is served once there are some.
static void waits_for_descriptors(void **state)
{
    (void)state;
    const char *preload = getenv("LD_PRELOAD");
    if (preload && strstr(preload, "valgrind"))
        skip(); // it has its own idea of this limit, and closes what was accepted beyond it
    struct rlimit before, few;
    struct site *s = site_open();
    struct client c = {.site = s, .fd = connect_fd(s)};
    int used = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(used >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)used + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_true(send(c.fd, GET("/"), strlen(GET("/")), 0) > 0);
    spin(s, 50);
    assert_int_equal(s->requests, 0);
    assert_int_equal(s->refusals, 1); // counted once a pause, not once a turn of the loop
    assert_string_equal(s->refused_reason, "out of file descriptors");
    close(used);
    expect(&c, 200, "GET /? ", false);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    client_close(&c);
    site_close(s);
}

// Refusals in good form are bounded as well.
static void refuses_a_crowd(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.max_connections = 1;
    site_start(s);
    struct client busy = client_open(s), c[80];
    client_say(&busy, GET("/late"));
    WAIT_FOR(s, s->lates == 1);
    int refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        c[i] = client_open(s);
    spin(s, 20);
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        refused += status_of(client_answer(&c[i], false)) == 503;
    assert_int_equal(refused, 64);
    assert_int_equal(s->refusals, 80);
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        client_close(&c[i]);
    spin(s, 20);
    site_answer(s, 0, 200);
    expect(&busy, 200, "late", false);
    client_close(&busy);
    site_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_malformed_heads),
        cmocka_unit_test(refuses_codings_it_does_not_know),
        cmocka_unit_test(refuses_malformed_chunks),
        cmocka_unit_test(bounds_the_head),
        cmocka_unit_test(bounds_the_body),
        cmocka_unit_test(answers_too_large_late),
        cmocka_unit_test(bounds_what_frames_the_chunks),
        cmocka_unit_test(bounds_all_bodies_together),
        cmocka_unit_test(charges_only_what_arrived),
        cmocka_unit_test(ends_slow_requests),
        cmocka_unit_test(gives_head_and_body_one_time),
        cmocka_unit_test(gives_each_request_its_own_time),
        cmocka_unit_test(forgives_its_own_standstill),
        cmocka_unit_test(closes_idle_connections_silently),
        cmocka_unit_test(does_not_expire_under_a_request),
        cmocka_unit_test(gives_up_on_slow_readers),
        cmocka_unit_test(stops_lingering),
        cmocka_unit_test(needs_no_wakeups),
        cmocka_unit_test(makes_room_by_closing_the_longest_idle),
        cmocka_unit_test(refuses_a_crowd),
        cmocka_unit_test(does_not_close_under_a_request),
        cmocka_unit_test(serves_beside_thousands_of_idle_connections),
        cmocka_unit_test(waits_for_descriptors),
    };
    return cmocka_run_group_tests_name("http_limits", tests, NULL, NULL);
}
