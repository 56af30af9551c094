#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "common/http_client.h"
#include "test/support/loopback.h"

struct fixture {
    uv_loop_t loop;
    struct loopback server;
    struct http_client *client;
    char url[64];
    // What the server does once a whole request is in.
    const char *answer;
    size_t answer_len; // 0: strlen
    bool then_close, reset, close_when_reused;
    // What it saw, and what the client got.
    struct buf request;
    unsigned requests;
    bool done;
    unsigned callbacks;
    enum http_outcome outcome;
    int error, status;
    int64_t retry_after_s;
    char error_text[256], body[256], scopes[64], type[64];
    size_t body_len;
    bool close_client_in_callback;
};

// The length of the first whole request in b, 0 while there is none.
static size_t whole_request(const struct buf *b)
{
    const char *end = strstr(buf_cstr(b), "\r\n\r\n");
    if (!end)
        return 0;
    size_t head = (size_t)(end - b->data) + 4, body = 0;
    const char *length = strstr(b->data, "Content-Length: ");
    if (length && length < end)
        body = (size_t)strtoul(length + 16, NULL, 10);
    return b->len >= head + body ? head + body : 0;
}

static void on_bytes(struct peer *p)
{
    struct fixture *f = p->server->data;
    size_t n = whole_request(&p->in);
    if (n == 0)
        return;
    f->requests++;
    p->requests++;
    buf_clear(&f->request);
    buf_add(&f->request, p->in.data, n);
    buf_consume(&p->in, n);
    if (f->reset) {
        peer_reset(p);
        return;
    }
    if (f->close_when_reused && p->requests > 1) {
        peer_close(p);
        return;
    }
    if (f->answer)
        peer_write(p, f->answer, f->answer_len ? f->answer_len : strlen(f->answer));
    if (f->then_close)
        peer_close(p);
}

static void on_done(const struct http_call_response *r, void *data)
{
    struct fixture *f = data;
    f->done = true;
    f->callbacks++;
    f->outcome = r->outcome;
    f->error = r->error;
    f->status = r->status;
    f->retry_after_s = r->retry_after_s;
    f->body_len = r->body.n;
    snprintf(f->error_text, sizeof f->error_text, "%s", r->error_text);
    snprintf(f->body, sizeof f->body, "%s", r->body.p);
    snprintf(f->scopes, sizeof f->scopes, "%s", http_call_header(r->call, "x-oauth-scopes"));
    snprintf(f->type, sizeof f->type, "%s", http_call_header(r->call, "content-type"));
    if (f->close_client_in_callback) {
        http_client_close(f->client);
        f->client = NULL;
    }
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->server = (struct loopback){.on_bytes = on_bytes, .data = f};
    loopback_start(&f->server, &f->loop);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/api/x?secret=1", f->server.port);
    f->request = BUF_INIT(8u << 20);
    assert_int_equal(http_client_new(&f->loop, &f->client), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_client_close(f->client);
    loopback_stop(&f->server);
    loopback_finish(&f->loop);
    buf_done(&f->request);
    free(f);
    return 0;
}

static struct http_call_request get(struct fixture *f)
{
    return (struct http_call_request){
        .method = "GET", .url = f->url, .timeout_ms = 3000, .allow_plain_loopback = true};
}

static void call(struct fixture *f, const struct http_call_request *r)
{
    f->done = false;
    assert_int_equal(http_client_call(f->client, r, on_done, f, NULL), 0);
    assert_false(f->done);
    assert_true(loopback_wait(&f->loop, &f->done, 5000));
}

static void test_get(void **state)
{
    struct fixture *f = *state;
    f->answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-OAuth-Scopes: a,b\r\n"
                "Content-Length: 11\r\n\r\n{\"ok\":true}";
    struct http_call_request r = get(f);
    r.headers = (const char *const[]){"Authorization: Bearer x", NULL};
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_int_equal(f->error, 0);
    assert_int_equal(f->status, 200);
    assert_string_equal(f->body, "{\"ok\":true}");
    assert_string_equal(f->scopes, "a,b");
    assert_string_equal(f->type, "application/json");
    assert_int_equal(f->retry_after_s, 0);
    const char *request = buf_cstr(&f->request);
    assert_ptr_equal(strstr(request, "GET /api/x?secret=1 HTTP/1.1\r\n"), request);
    assert_non_null(strstr(request, "\r\nAuthorization: Bearer x\r\n"));
    assert_null(strstr(request, "Expect:"));
    assert_null(strstr(request, "Content-Type:"));
}

static void test_post_form(void **state)
{
    struct fixture *f = *state;
    struct buf form = BUF_INIT(1024);
    http_form_add(&form, "channel", str_of("D1"));
    http_form_add(&form, "text", str_of("a b&c=d\n100% \xc3\xa9+~"));
    assert_string_equal(buf_cstr(&form), "channel=D1&text=a+b%26c%3Dd%0A100%25+%C3%A9%2B%7E");
    f->answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct http_call_request r = get(f);
    r.method = "POST";
    r.content_type = "application/x-www-form-urlencoded";
    r.body = buf_str(&form);
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    const char *request = buf_cstr(&f->request);
    assert_ptr_equal(strstr(request, "POST "), request);
    assert_non_null(strstr(request, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_string_equal(strstr(request, "\r\n\r\n") + 4, buf_cstr(&form));
    buf_done(&form);
    // Without a body there is still a length.
    r.body = (struct str){0};
    r.content_type = NULL;
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_non_null(strstr(buf_cstr(&f->request), "\r\nContent-Length: 0\r\n"));
}

static void test_form_stops_at_its_cap(void **state)
{
    (void)state;
    struct buf form = BUF_INIT(8);
    assert_int_equal(http_form_add(&form, "a", str_of("123456")), 0);
    assert_int_equal(http_form_add(&form, "b", str_of("1")), -E2BIG);
    buf_done(&form);
}

// A MiB, so that libcurl reads the file in many pieces.
enum { FILE_SIZE = 1 << 20 };

static int make_file(char fill)
{
    char path[] = "/tmp/test_http_client.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd > 0);
    unlink(path);
    char *bytes = malloc(FILE_SIZE);
    assert_non_null(bytes);
    memset(bytes, fill, FILE_SIZE);
    assert_int_equal(write(fd, bytes, FILE_SIZE), FILE_SIZE);
    free(bytes);
    return fd;
}

static void test_upload_from_file(void **state)
{
    struct fixture *f = *state;
    int fd = make_file('u');
    f->answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
    struct http_call_request r = get(f);
    r.method = "POST";
    r.content_type = "application/octet-stream";
    r.body_fd = fd;
    r.body_size = FILE_SIZE;
    f->done = false;
    assert_int_equal(http_client_call(f->client, &r, on_done, f, NULL), 0);
    close(fd); // the client has its own
    assert_true(loopback_wait(&f->loop, &f->done, 5000));
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    const char *body = strstr(buf_cstr(&f->request), "\r\n\r\n") + 4;
    assert_int_equal(strlen(body), FILE_SIZE);
    assert_int_equal(strspn(body, "u"), FILE_SIZE);
    assert_non_null(strstr(f->request.data, "\r\nContent-Length: 1048576\r\n"));
}

static void test_upload_of_a_file_that_shrank(void **state)
{
    struct fixture *f = *state;
    int fd = make_file('u');
    struct http_call_request r = get(f);
    r.method = "POST";
    r.body_fd = fd;
    r.body_size = FILE_SIZE + 1;
    call(f, &r);
    close(fd);
    assert_int_equal(f->outcome, HTTP_UNKNOWN);
    assert_int_equal(f->error, -EIO);
    assert_int_equal(f->requests, 0);
}

static void test_statuses_are_answers(void **state)
{
    struct fixture *f = *state;
    f->answer = "HTTP/1.1 429 Too Many\r\nRetry-After: 30\r\nContent-Length: 2\r\n\r\n{}";
    struct http_call_request r = get(f);
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_int_equal(f->status, 429);
    assert_int_equal(f->retry_after_s, 30);
    f->answer = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_int_equal(f->status, 302);
    f->answer = "HTTP/1.1 503 Nope\r\n\r\n<html>";
    f->then_close = true;
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_int_equal(f->status, 503);
    assert_string_equal(f->body, "<html>");
}

static void test_not_sent(void **state)
{
    struct fixture *f = *state;
    struct loopback gone = {.on_bytes = on_bytes};
    loopback_start(&gone, &f->loop);
    loopback_stop(&gone);
    loopback_pause(&f->loop, 1);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", gone.port);
    struct http_call_request r = get(f);
    r.url = url;
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_NOT_SENT);
    assert_int_equal(f->error, -EIO);
    assert_true(f->error_text[0] != '\0');
    r.url = "https://nowhere.invalid/x?secret=1";
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_NOT_SENT);
    assert_null(strstr(f->error_text, "secret"));
}

static void on_bytes_ignored(struct peer *p)
{
    (void)p;
}

static void test_tls_that_stalls_was_not_sent(void **state)
{
    struct fixture *f = *state;
    f->server.on_bytes = on_bytes_ignored;
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", f->server.port);
    struct http_call_request r = get(f);
    r.url = url;
    r.timeout_ms = 200;
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_NOT_SENT);
    assert_int_equal(f->error, -ETIMEDOUT);
}

static void test_unknown(void **state)
{
    struct fixture *f = *state;
    struct http_call_request r = get(f);
    r.method = "POST";
    r.body = str_of("x");
    f->reset = true;
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_UNKNOWN);
    assert_int_equal(f->error, -EIO);
    assert_int_equal(f->status, 0);
    assert_int_equal(f->requests, 1);

    f->reset = false;
    f->then_close = true; // without a word
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_UNKNOWN);
    assert_int_equal(f->requests, 2);

    f->answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ok\"";
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_UNKNOWN);
    assert_int_equal(f->status, 200);

    f->answer = "UNAUTHENTICATED: cache_error\n";
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_UNKNOWN);

    f->then_close = false;
    f->answer = NULL;
    r.timeout_ms = 150;
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_UNKNOWN);
    assert_int_equal(f->error, -ETIMEDOUT);
    assert_null(strstr(f->error_text, "secret"));
}

static void test_answer_too_large(void **state)
{
    struct fixture *f = *state;
    struct http_call_request r = get(f);
    r.max_response = 10;
    f->answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_int_equal(f->body_len, 10);
    f->answer = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a";
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_UNKNOWN);
    assert_int_equal(f->error, -EMSGSIZE);
    assert_int_equal(f->status, 200);

    struct buf head = BUF_INIT(1 << 20);
    buf_adds(&head, "HTTP/1.1 200 OK\r\n");
    while (head.len < HTTP_CLIENT_MAX_HEAD)
        buf_adds(&head, "X-Filler: 0123456789012345678901234567890123456789\r\n");
    f->answer = head.data;
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_UNKNOWN);
    assert_int_equal(f->error, -EMSGSIZE);
    buf_done(&head);
}

// libcurl repeats a request whose reused connection ends without an answer. That must never happen
// to one that may not be carried out twice.
static void test_only_repeatable_requests_reuse_connections(void **state)
{
    struct fixture *f = *state;
    f->answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct http_call_request r = get(f);
    r.repeatable = true;
    call(f, &r);
    call(f, &r);
    assert_int_equal(f->server.accepted, 1);
    f->close_when_reused = true;
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_int_equal(f->requests, 4); // seen twice
    r.method = "POST";
    r.body = str_of("x");
    r.repeatable = false;
    call(f, &r);
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_int_equal(f->requests, 5);
    assert_int_equal(f->server.accepted, 3);
}

static void test_refused_requests(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *url;
        bool allow;
        int error;
    } cases[] = {
        {"http://127.0.0.1:9/", false, -EPERM},
        {"http://slack.com/", true, -EPERM},
        {"http://127.0.0.1.example.com/", true, -EPERM},
        {"http://127.0.0.1@example.com/", true, -EPERM},
        {"http://localhost.example.com/", true, -EPERM},
        {"http://[::2]/", true, -EPERM},
        {"ftp://127.0.0.1/", true, -EINVAL},
        {"file:///etc/passwd", true, -EINVAL},
        {"not a url", true, -EINVAL},
        {"", true, -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_call_request r = {
            .method = "GET", .url = cases[i].url, .allow_plain_loopback = cases[i].allow};
        assert_int_equal(http_client_call(f->client, &r, on_done, f, NULL), cases[i].error);
    }
    struct http_call_request r = get(f);
    r.headers = (const char *const[]){"X: a\r\nY: b", NULL};
    assert_int_equal(http_client_call(f->client, &r, on_done, f, NULL), -EINVAL);
    r.headers = NULL;
    r.method = "GET / HTTP/1.1\r\n";
    assert_int_equal(http_client_call(f->client, &r, on_done, f, NULL), -EINVAL);
    r.method = "POST";
    r.content_type = "a\nb";
    assert_int_equal(http_client_call(f->client, &r, on_done, f, NULL), -EINVAL);
    assert_false(f->done);
}

static void test_cancel_and_cap(void **state)
{
    struct fixture *f = *state;
    struct http_call_request r = get(f);
    struct http_call *calls[HTTP_CLIENT_MAX_CALLS];
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        assert_int_equal(http_client_call(f->client, &r, on_done, f, &calls[i]), 0);
    assert_int_equal(http_client_call(f->client, &r, on_done, f, NULL), -ENOBUFS);
    http_call_cancel(calls[3]);
    loopback_pause(&f->loop, 50); // some are under way now
    http_call_cancel(calls[0]);
    http_call_cancel(calls[HTTP_CLIENT_MAX_CALLS - 1]);
    assert_int_equal(f->callbacks, 0);
    // The rest ends with the client, in tear_down.
}

static void test_client_closed_in_callback(void **state)
{
    struct fixture *f = *state;
    f->answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    f->close_client_in_callback = true;
    struct http_call_request r = get(f);
    for (int i = 0; i < 5; i++)
        assert_int_equal(http_client_call(f->client, &r, on_done, f, NULL), 0);
    assert_true(loopback_wait(&f->loop, &f->done, 5000));
    loopback_pause(&f->loop, 50);
    assert_int_equal(f->callbacks, 1);
}

int main(void)
{
    unset_proxies();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_get, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_post_form, set_up, tear_down),
        cmocka_unit_test(test_form_stops_at_its_cap),
        cmocka_unit_test_setup_teardown(test_upload_from_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upload_of_a_file_that_shrank, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_statuses_are_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tls_that_stalls_was_not_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answer_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_repeatable_requests_reuse_connections, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_refused_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_and_cap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_client_closed_in_callback, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
