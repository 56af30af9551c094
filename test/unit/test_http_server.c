#include "test/support/http_site.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static void answers_with_what_was_sent(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client c = client_open(s);
    client_say(&c,
               "PUT /webhook/a%20b?x=1&y HTTP/1.1\r\nhost: x\r\nContent-Length: 5\r\n\r\nhello");
    const char *a = client_answer(&c, false);
    assert_int_equal(status_of(a), 200);
    assert_string_equal(body_of(a), "PUT /webhook/a%20b?x=1&y hello");
    assert_non_null(strstr(a, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(a, "\r\nDate: "));
    assert_non_null(strstr(a, " GMT\r\n"));
    assert_non_null(strstr(a, "\r\nContent-Type: text/plain\r\n"));
    assert_null(strstr(a, "Connection:"));
    client_close(&c);
    site_close(s);
}

static void shows_headers_and_peer(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client c = client_open(s);
    client_say(&c, "GET /late HTTP/1.1\r\nHost: x\r\nX-One:  a b\t \r\nx-one: second\r\n"
                   "X-Empty:\r\nX-Obs: \xff\r\nAuthorization:Bearer t\r\n\r\n");
    WAIT_FOR(s, s->lates == 1);
    struct http_request *r = s->late[0];
    assert_true(str_is(http_header(r, "x-ONE"), "a b"));
    assert_true(str_is(http_header(r, "X-Obs"), "\xff"));
    assert_true(str_is(http_header(r, "authorization"), "Bearer t"));
    assert_non_null(http_header(r, "X-Empty").p);
    assert_int_equal(http_header(r, "X-Empty").n, 0);
    assert_null(http_header(r, "X-On").p);
    assert_null(http_header(r, "X-One2").p);
    assert_string_equal(http_peer(r), "127.0.0.1");
    assert_false(http_has_length(r));
    assert_ptr_equal(http_user(r), s);
    site_answer(s, 0, 200);
    expect(&c, 200, "late", false);
    client_close(&c);
    site_close(s);
}

static void takes_requests_byte_by_byte(void **state)
{
    (void)state;
    static const char bytes[] =
        "\r\n\r\nPOST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        "POST /b?q HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\n"
        "2;ext=\"1\"\r\nhe\r\n003\r\nllo\r\n0\r\nTrailer-A: 1\r\nTrailer-B: 2\r\n\r\n"
        "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct site *s = site_open();
    struct client c = client_open(s);
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        client_send(&c, (struct str){bytes + i, 1});
        spin(s, 0);
    }
    expect(&c, 200, "POST /a? abc", false);
    expect(&c, 200, "POST /b?q hello", false);
    expect(&c, 200, "GET /c? ", true);
    expect_closed(&c, 1000);
    assert_int_equal(s->headers, 3);
    client_close(&c);
    site_close(s);
}

static void keeps_connections_as_the_version_says(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        bool closes, says_keep_alive;
    } cases[] = {
        {GET("/"), false, false},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n", true, false},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: x, close\r\n\r\n", true, false},
        {"GET / HTTP/1.0\r\n\r\n", true, false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false, true},
    };
    struct site *s = site_open();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct client c = client_open(s);
        client_say(&c, cases[i].request);
        const char *a = client_answer(&c, false);
        assert_int_equal(status_of(a), 200);
        assert_int_equal(strstr(a, "Connection: close") != NULL, cases[i].closes);
        assert_int_equal(strstr(a, "Connection: keep-alive") != NULL, cases[i].says_keep_alive);
        if (cases[i].closes) {
            expect_closed(&c, 1000);
        } else {
            client_say(&c, GET("/again"));
            expect(&c, 200, "GET /again? ", false);
        }
        client_close(&c);
    }
    site_close(s);
}

static void takes_unusual_targets_and_upgrades(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"GET http://h:1/p?q HTTP/1.1\r\nHost: h\r\n\r\n", "GET /p?q "},
        {"GET HTTPS://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET /? "},
        {"GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?q "},
        {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS *? "},
        {"GET /?a?b HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?a?b "},
        {"GET /u HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
         "GET /u? "},
        {"POST /u HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
         "Content-Length: 2\r\n\r\nhi",
         "POST /u? hi"},
        {"POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "POST /e? "},
    };
    struct site *s = site_open();
    struct client c = client_open(s);
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        client_say(&c, pairs[i][0]);
        expect(&c, 200, pairs[i][1], false);
    }
    client_say(&c, "CONNECT h:1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
    expect(&c, 200, NULL, true);
    client_close(&c);
    site_close(s);
}

static void sends_no_body_where_none_belongs(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client c = client_open(s);
    client_say(&c, "HEAD /abc HTTP/1.1\r\nHost: x\r\n\r\n");
    const char *a = client_answer(&c, true);
    assert_int_equal(status_of(a), 200);
    assert_non_null(strstr(a, "Content-Length: 11\r\n"));
    client_say(&c, GET("/nothing"));
    a = client_answer(&c, true);
    assert_int_equal(status_of(a), 204);
    assert_null(strstr(a, "Content-"));
    expect_open(&c);
    client_say(&c, GET("/next"));
    expect(&c, 200, "GET /next? ", false);
    client_close(&c);
    site_close(s);
}

static void answers_pipelined_requests_in_order(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client c = client_open(s);
    client_say(&c, "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na" GET("/late")
                       GET("/3") "POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nwxyz"
                                 "POST /5 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "1\r\nb\r\n0\r\n\r\nGET /6 HTT");
    expect(&c, 200, "POST /1? a", false);
    expect_open(&c);
    assert_int_equal(s->requests, 2);
    site_answer(s, 0, 200);
    assert_int_equal(s->requests, 2); // the next ones are not handled inside the answer
    expect(&c, 200, "late", false);
    expect(&c, 200, "GET /3? ", false);
    WAIT_FOR(s, s->lates == 2);
    assert_true(str_is(http_body(s->late[1]), "wxyz"));
    site_answer(s, 1, 201);
    expect(&c, 201, "late", false);
    expect(&c, 200, "POST /5? b", false);
    client_say(&c, "P/1.1\r\nHost: x\r\n\r\n");
    expect(&c, 200, "GET /6? ", false);
    client_close(&c);
    site_close(s);
}

// What is sent ahead stays with the sender, and thousands of requests do not nest in each other.
static void pauses_reading_while_an_answer_is_due(void **state)
{
    (void)state;
    enum { MOST = 64 * 1024 * 1024 };
    struct site *s = site_open();
    struct client c = client_open(s);
    struct buf ahead = BUF_INIT(MOST);
    size_t sent = 0, size = strlen(GET("/p"));
    while (buf_adds(&ahead, GET("/p")) == 0)
        ;
    client_say(&c, GET("/late"));
    WAIT_FOR(s, s->lates == 1);
    for (int stalled = 0; stalled < 20;) {
        ssize_t n = send(c.fd, ahead.data + sent, ahead.len - sent, MSG_DONTWAIT);
        stalled = n > 0 ? 0 : stalled + 1;
        sent += n > 0 ? (size_t)n : 0;
        spin(s, 1);
    }
    assert_true(sent < MOST / 2);
    assert_int_equal(s->requests, 1);
    buf_done(&ahead);
    site_answer(s, 0, 200);
    expect(&c, 200, "late", false);
    expect(&c, 200, "GET /p? ", false);
    while (s->requests < (int)(sent / size) + 1) {
        c.n = 0;
        client_receive(&c);
        uv_run(&s->loop, UV_RUN_NOWAIT);
        assert_false(c.eof || c.reset);
    }
    client_close(&c);
    site_close(s);
}

static void answers_late_and_many_at_once(void **state)
{
    (void)state;
    enum { N = 100 };
    struct site *s = site_open();
    struct client c[N + 1];
    for (int i = 0; i < N; i++) {
        c[i] = client_open(s);
        client_say(&c[i], "POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    }
    WAIT_FOR(s, s->lates == N);
    c[N] = client_open(s);
    client_say(&c[N], GET("/all"));
    for (int i = 0; i < N; i++)
        expect(&c[i], 200, "late", false);
    expect(&c[N], 200, "GET /all? ", false);
    for (int i = 0; i < N; i++)
        client_say(&c[i], GET("/again"));
    for (int i = 0; i < N; i++)
        expect(&c[i], 200, "GET /again? ", false);
    for (int i = 0; i <= N; i++)
        client_close(&c[i]);
    assert_int_equal(s->aborts, 0);
    site_close(s);
}

static void answers_once(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client c = client_open(s);
    client_say(&c, GET("/late"));
    WAIT_FOR(s, s->lates == 1);
    struct http_request *r = s->late[0];
    site_answer(s, 0, 200);
    http_respond(r, 500, NULL, str_of("twice"), NULL);
    expect(&c, 200, "late", false);
    expect_open(&c);
    client_close(&c);
    site_close(s);
}

static void answers_before_the_body(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client c = client_open(s);
    client_say(&c, "POST /deny HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
    const char *a = client_answer(&c, false);
    assert_int_equal(status_of(a), 401);
    assert_non_null(strstr(a, "\r\nWWW-Authenticate: Bearer\r\n"));
    assert_null(strstr(a, "Connection: close"));
    client_say(&c, "lo" GET("/next")); // the rest was skipped, the connection goes on
    expect(&c, 200, "GET /next? ", false);
    client_say(&c, GET("/deny"));
    expect(&c, 401, "no", false);
    client_say(&c, GET("/length"));
    expect(&c, 411, "", false);
    client_say(&c, "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    expect(&c, 200, "POST /length? ", false);
    assert_int_equal(s->requests, 2);
    client_say(&c, GET("/forgets"));
    expect(&c, 500, NULL, true);
    assert_int_equal(s->aborts, 0);
    client_close(&c);
    site_close(s);
}

// A long body is not worth reading, but the peer that is still sending it can read the answer.
static void denies_long_bodies_with_a_lingering_close(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "POST /deny HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n",
        "POST /deny HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2dc6c0\r\n",
        "POST /deny HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n",
    };
    char *body = calloc(1, 3000000);
    assert_non_null(body);
    struct site *s = site_open();
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct client c = client_open(s);
        client_say(&c, heads[i]);
        client_send(&c, (struct str){body, 3000000});
        expect(&c, 401, "no", true);
        expect_closed(&c, 1000);
        client_close(&c);
    }
    assert_int_equal(s->requests, 0);
    site_close(s);
    free(body);
}

static void grants_continue_to_accepted_requests_only(void **state)
{
    (void)state;
    struct site *s = site_new();
    s->limits.max_body = 1000;
    site_start(s);
    struct client c = client_open(s);
    client_say(&c,
               "POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n");
    assert_int_equal(status_of(client_answer(&c, true)), 100);
    client_say(&c, "abc");
    expect(&c, 200, "POST /a? abc", false);
    // The body is here already: no need to ask for it.
    client_say(
        &c, "POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi");
    expect(&c, 200, "POST /b? hi", false);
    client_say(&c, "POST /deny HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                   "Content-Length: 3\r\n\r\n");
    expect(&c, 401, "no", true);
    client_close(&c);
    c = client_open(s);
    client_say(&c, "POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                   "Content-Length: 1001\r\n\r\n");
    expect(&c, 413, "too large", true);
    client_close(&c);
    site_close(s);
}

static void answers_half_closed_clients(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client c = client_open(s);
    client_say(&c, GET("/1") GET("/late"));
    shutdown(c.fd, SHUT_WR);
    expect(&c, 200, "GET /1? ", false);
    spin(s, 20);
    assert_int_equal(s->aborts, 0);
    site_answer(s, 0, 200);
    expect(&c, 200, "late", true);
    expect_closed(&c, 1000);
    assert_int_equal(s->aborts, 0);
    client_close(&c);
    site_close(s);
}

static void reset(struct client *c)
{
    struct linger now = {.l_onoff = 1};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    client_close(c);
}

static void says_once_that_the_peer_is_gone(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client c = client_open(s);
    client_say(&c, GET("/late"));
    WAIT_FOR(s, s->lates == 1);
    reset(&c);
    WAIT_FOR(s, s->aborts == 1);
    // In the middle of a body: the user knows of it since on_headers.
    c = client_open(s);
    client_say(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
    WAIT_FOR(s, s->headers == 2);
    client_close(&c);
    WAIT_FOR(s, s->aborts == 2);
    // In the middle of a head it does not.
    c = client_open(s);
    client_say(&c, "POST / HTTP/1.1\r\nHost: x\r\nCont");
    spin(s, 5);
    reset(&c);
    // With more requests waiting nobody looks at the socket: the answer is lost, nothing else.
    c = client_open(s);
    client_say(&c, GET("/late") GET("/late"));
    WAIT_FOR(s, s->lates == 2);
    reset(&c);
    spin(s, 20);
    site_answer(s, 1, 200);
    spin(s, 20);
    assert_int_equal(s->aborts, 2);
    site_close(s);
}

static void sends_large_answers_to_slow_readers(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client c = client_open(s);
    client_say(&c, GET("/big?9000000") GET("/next"));
    const char *a = client_answer(&c, false);
    assert_int_equal(status_of(a), 200);
    assert_int_equal(strlen(body_of(a)), 9000000);
    expect(&c, 200, "GET /next? ", false);
    client_close(&c);
    site_close(s);
}

// The end of the peer's requests, or ours, may come while a long answer is on its way.
static void closes_after_the_answer_under_way(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct site *s = site_open();
        struct client c = client_open(s);
        assert_true(send(c.fd, GET("/big?9000000"), strlen(GET("/big?9000000")), 0) > 0);
        WAIT_FOR(s, s->requests == 1);
        if (i == 0)
            shutdown(c.fd, SHUT_WR);
        else
            http_server_stop(s->server, 5000, site_on_closed, s);
        spin(s, 10);
        const char *a = client_answer(&c, false);
        assert_int_equal(strlen(body_of(a)), 9000000);
        expect_closed(&c, 1000);
        client_close(&c);
        site_close(s);
    }
}

static void stops_with_requests_waiting(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client c = client_open(s);
    client_say(&c, GET("/late") GET("/late"));
    WAIT_FOR(s, s->lates == 1);
    site_answer(s, 0, 200);
    http_server_stop(s->server, 0, site_on_closed, s);
    site_wait_closed(s);
    assert_int_equal(s->lates - s->aborts, 1);
    client_close(&c);
    site_close(s);
}

static void stops_gracefully(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client idle = client_open(s), late = client_open(s), half = client_open(s);
    client_say(&idle, GET("/"));
    expect(&idle, 200, NULL, false);
    client_say(&late, GET("/late"));
    client_say(&half, "POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nh");
    WAIT_FOR(s, s->lates == 1 && s->headers == 3);
    http_server_stop(s->server, 2000, site_on_closed, s);
    expect_closed(&idle, 500);
    assert_int_equal(s->closed, 0);
    client_say(&half, "i");
    expect(&half, 200, "POST /half? hi", true);
    expect_closed(&half, 500);
    site_answer(s, 0, 200);
    expect(&late, 200, "late", true);
    expect_closed(&late, 500);
    site_wait_closed(s);
    assert_int_equal(s->aborts, 0);
    client_close(&idle);
    client_close(&late);
    client_close(&half);
    site_close(s);
}

static void handles_what_came_before_the_stop(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client kept = client_open(s), silent = client_open(s);
    struct sockaddr_in address = site_address(s);
    int fd;
    client_say(&kept, GET("/1"));
    expect(&kept, 200, NULL, false);
    // Nobody has looked at these bytes, nor accepted this connection, when the stop comes.
    struct client fresh = client_open(s);
    assert_true(send(kept.fd, GET("/2") GET("/3"), 2 * strlen(GET("/2")), 0) > 0);
    assert_true(send(fresh.fd, GET("/4"), strlen(GET("/4")), 0) > 0);
    http_server_stop(s->server, 2000, site_on_closed, s);
    expect(&kept, 200, "GET /2? ", true);
    expect(&fresh, 200, "GET /4? ", true);
    expect_closed(&silent, 500);
    expect_closed(&fresh, 500);
    assert_int_equal(connect_to(address, &fd), ECONNREFUSED);
    close(fd);
    client_close(&kept); // its third request was not answered: it lingers
    site_wait_closed(s);
    client_close(&silent);
    client_close(&fresh);
    site_close(s);
}

static void stops_when_the_grace_is_over(void **state)
{
    (void)state;
    struct site *s = site_open();
    struct client late = client_open(s);
    client_say(&late, GET("/late"));
    WAIT_FOR(s, s->lates == 1);
    int64_t start = now_ms();
    http_server_stop(s->server, 150, site_on_closed, s);
    http_server_stop(s->server, 0, site_on_closed, s); // the first one counts
    site_wait_closed(s);
    assert_in_range(now_ms() - start, 100, 3000);
    assert_int_equal(s->aborts, 1);
    expect_closed(&late, 100);
    client_close(&late);
    site_close(s);
}

static void listens_where_it_is_told(void **state)
{
    (void)state;
    struct site *s = site_new();
    char address[HTTP_ADDRESS_SIZE];
    struct http_server *other = NULL;
    assert_int_equal(
        http_server_start(&s->loop, "nonsense", false, &s->limits, &site_handler, s, &s->server),
        -EINVAL);
    assert_int_equal(
        http_server_start(&s->loop, "192.0.2.1:0", false, &s->limits, &site_handler, s, &s->server),
        -EADDRNOTAVAIL);
    site_start(s);
    snprintf(address, sizeof address, "127.0.0.1:%d", http_server_port(s->server));
    assert_string_equal(http_server_address(s->server), address);
    assert_int_equal(
        http_server_start(&s->loop, address, false, &s->limits, &site_handler, s, &other),
        -EADDRINUSE);
    assert_int_equal(
        http_server_start(&s->loop, address, true, &s->limits, &site_handler, s, &other),
        -EADDRINUSE); // both have to agree to share
    site_close(s);
}

static void shares_its_port(void **state)
{
    (void)state;
    struct site *a = site_new(), *b = site_new();
    char address[HTTP_ADDRESS_SIZE];
    assert_int_equal(
        http_server_start(&a->loop, "127.0.0.1:0", true, &a->limits, &site_handler, a, &a->server),
        0);
    snprintf(address, sizeof address, "%s", http_server_address(a->server));
    assert_int_equal(
        http_server_start(&b->loop, address, true, &b->limits, &site_handler, b, &b->server), 0);
    struct client c[32];
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        c[i] = client_open(a);
        client_say(&c[i], GET("/"));
    }
    WAIT_FOR(a, (spin(b, 0), a->requests + b->requests == ARRAY_LEN(c)));
    assert_true(a->requests > 0 && b->requests > 0);
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        client_close(&c[i]);
    site_close(a);
    site_close(b);
}

static void listens_on_ipv6(void **state)
{
    (void)state;
    struct site *s = site_new();
    int r = http_server_start(&s->loop, "[::1]:0", false, &s->limits, &site_handler, s, &s->server);
    if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT) {
        site_close(s);
        skip(); // a machine without IPv6
    }
    assert_int_equal(r, 0);
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6,
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                              .sin6_port = htons((uint16_t)http_server_port(s->server))};
    struct client c = {.site = s, .fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(connect(c.fd, (struct sockaddr *)&sa, sizeof sa), 0);
    client_say(&c, GET("/late"));
    WAIT_FOR(s, s->lates == 1);
    assert_string_equal(http_peer(s->late[0]), "::1");
    site_answer(s, 0, 200);
    expect(&c, 200, "late", false);
    assert_int_equal(strncmp(http_server_address(s->server), "[::1]:", 6), 0);
    client_close(&c);
    site_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_with_what_was_sent),
        cmocka_unit_test(shows_headers_and_peer),
        cmocka_unit_test(takes_requests_byte_by_byte),
        cmocka_unit_test(keeps_connections_as_the_version_says),
        cmocka_unit_test(takes_unusual_targets_and_upgrades),
        cmocka_unit_test(sends_no_body_where_none_belongs),
        cmocka_unit_test(answers_pipelined_requests_in_order),
        cmocka_unit_test(pauses_reading_while_an_answer_is_due),
        cmocka_unit_test(answers_late_and_many_at_once),
        cmocka_unit_test(answers_once),
        cmocka_unit_test(answers_before_the_body),
        cmocka_unit_test(denies_long_bodies_with_a_lingering_close),
        cmocka_unit_test(grants_continue_to_accepted_requests_only),
        cmocka_unit_test(answers_half_closed_clients),
        cmocka_unit_test(says_once_that_the_peer_is_gone),
        cmocka_unit_test(sends_large_answers_to_slow_readers),
        cmocka_unit_test(closes_after_the_answer_under_way),
        cmocka_unit_test(stops_gracefully),
        cmocka_unit_test(stops_with_requests_waiting),
        cmocka_unit_test(handles_what_came_before_the_stop),
        cmocka_unit_test(stops_when_the_grace_is_over),
        cmocka_unit_test(listens_where_it_is_told),
        cmocka_unit_test(shares_its_port),
        cmocka_unit_test(listens_on_ipv6),
    };
    return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
