#include "common/http_client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/curl_loop.h"

struct http_client {
    struct curl_loop *curl;
    struct http_call *first;
    unsigned n_calls;
};

struct http_call {
    struct curl_transfer transfer;
    struct http_client *client;
    struct http_call *next, *prev;
    http_call_fn on_done;
    void *data;
    struct curl_slist *headers;
    char *body; // copy, when it is not a file
    int fd;     // -1, or the file that is the body
    uint64_t body_size, body_sent;
    size_t head_len;
    struct buf answer;
    bool asked;     // the connection stood and the request began to be written
    bool too_large; // the answer's head or body
    char error_text[CURL_ERROR_SIZE];
};

static void call_free(struct http_call *call)
{
    libcurl.easy_cleanup(call->transfer.easy);
    libcurl.slist_free_all(call->headers);
    if (call->fd >= 0)
        close(call->fd);
    buf_done(&call->answer);
    free(call->body);
    free(call);
}

static void unlink_call(struct http_call *call)
{
    struct http_client *c = call->client;
    if (call->prev)
        call->prev->next = call->next;
    else
        c->first = call->next;
    if (call->next)
        call->next->prev = call->prev;
    c->n_calls--;
    curl_loop_remove(c->curl, &call->transfer);
}

// CURLOPT_PREREQFUNCTION: connected, through proxy and TLS; the request is about to be written.
static int on_request(void *user, char *ip, char *local_ip, int port, int local_port)
{
    (void)ip, (void)local_ip, (void)port, (void)local_port;
    struct http_call *call = user;
    call->asked = true;
    return CURL_PREREQFUNC_OK;
}

static size_t on_head(char *bytes, size_t size, size_t n, void *user)
{
    (void)bytes;
    struct http_call *call = user;
    call->head_len += size * n;
    if (call->head_len <= HTTP_CLIENT_MAX_HEAD)
        return size * n;
    call->too_large = true;
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
    struct http_call *call = user;
    int r = buf_add(&call->answer, bytes, size * n);
    if (r == 0)
        return size * n;
    call->too_large = r == -E2BIG;
    return 0;
}

// Reads at its own offset: the descriptor shares its position with the caller's.
static size_t on_read_file(char *to, size_t size, size_t n, void *user)
{
    struct http_call *call = user;
    uint64_t left = call->body_size - call->body_sent;
    size_t want = size * n < left ? size * n : (size_t)left;
    if (want == 0)
        return 0;
    ssize_t got;
    do
        got = pread(call->fd, to, want, (off_t)call->body_sent);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return CURL_READFUNC_ABORT; // shorter than promised: a cut upload must not look whole
    call->body_sent += (uint64_t)got;
    return (size_t)got;
}

static int error_of(const struct http_call *call, CURLcode result)
{
    if (call->too_large)
        return -EMSGSIZE;
    return result == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EIO;
}

static void on_done(struct curl_transfer *t, CURLcode result)
{
    struct http_call *call = CONTAINER_OF(t, struct http_call, transfer);
    long status = 0;
    curl_off_t retry_after = 0;
    libcurl.easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    libcurl.easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);

    struct http_call_response r = {
        .error_text = "",
        .status = call->asked ? (int)status : 0, // before, it is the proxy's
        .body = {buf_cstr(&call->answer), call->answer.len},
        .retry_after_s = call->asked ? retry_after : 0,
        .call = call,
    };
    if (result != CURLE_OK) {
        r.outcome = call->asked ? HTTP_UNKNOWN : HTTP_NOT_SENT;
        r.error = error_of(call, result);
        r.error_text = call->error_text[0] ? call->error_text : libcurl.easy_strerror(result);
        if (call->too_large)
            r.error_text = "the answer is too large";
    }
    // Off the list first, so that the callback may close the client. The easy handle keeps the
    // answer's headers.
    unlink_call(call);
    call->on_done(&r, call->data);
    call_free(call);
}

int http_client_new(uv_loop_t *loop, struct http_client **ret_client)
{
    struct http_client *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    int r = curl_loop_new(loop, &c->curl);
    if (r < 0) {
        free(c);
        return r;
    }
    *ret_client = c;
    return 0;
}

void http_client_close(struct http_client *c)
{
    if (!c)
        return;
    while (c->first)
        http_call_cancel(c->first);
    curl_loop_close(c->curl);
    free(c);
}

void http_call_cancel(struct http_call *call)
{
    unlink_call(call);
    call_free(call);
}

static bool is_clean(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return false;
    return true;
}

static int add_header(struct http_call *call, const char *line)
{
    if (!is_clean(line))
        return -EINVAL;
    struct curl_slist *list = libcurl.slist_append(call->headers, line);
    if (!list)
        return -ENOMEM;
    call->headers = list;
    return 0;
}

static int set_headers(struct http_call *call, const struct http_call_request *r)
{
    int e = 0;
    for (const char *const *h = r->headers; h && *h && e == 0; h++)
        e = add_header(call, *h);
    if (e == 0)
        e = add_header(call, "Expect:"); // or libcurl holds a body back for a second
    if (e == 0) {
        struct buf line = BUF_INIT(1024);
        // Without a value libcurl would invent a type for a body.
        e = buf_addf(&line, "Content-Type:%s%s", r->content_type ? " " : "",
                     r->content_type ? r->content_type : "");
        if (e == 0)
            e = add_header(call, line.data);
        buf_done(&line);
    }
    if (e == 0 && libcurl.easy_setopt(call->transfer.easy, CURLOPT_HTTPHEADER, call->headers))
        e = -ENOMEM;
    return e;
}

static int set_body(struct http_call *call, const struct http_call_request *r)
{
    CURL *easy = call->transfer.easy;
    if (r->body_fd > 0) {
        call->fd = fcntl(r->body_fd, F_DUPFD_CLOEXEC, 3);
        if (call->fd < 0)
            return -errno;
        call->body_size = r->body_size;
        libcurl.easy_setopt(easy, CURLOPT_POST, 1L);
        libcurl.easy_setopt(easy, CURLOPT_READFUNCTION, on_read_file);
        libcurl.easy_setopt(easy, CURLOPT_READDATA, call);
        libcurl.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_size);
    } else if (r->body.p || strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0) {
        call->body = malloc(r->body.n + 1);
        if (!call->body)
            return -ENOMEM;
        if (r->body.n)
            memcpy(call->body, r->body.p, r->body.n);
        libcurl.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
        libcurl.easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
    }
    return 0;
}

static int set_request(struct http_call *call, const struct http_call_request *r)
{
    CURL *easy = call->transfer.easy;
    if (!r->method || !is_clean(r->method) || strchr(r->method, ' '))
        return -EINVAL;
    libcurl.easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error_text);
    libcurl.easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    libcurl.easy_setopt(easy, CURLOPT_PREREQDATA, call);
    libcurl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
    libcurl.easy_setopt(easy, CURLOPT_HEADERDATA, call);
    libcurl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    libcurl.easy_setopt(easy, CURLOPT_WRITEDATA, call);
    libcurl.easy_setopt(easy, CURLOPT_FRESH_CONNECT, r->repeatable ? 0L : 1L);
    unsigned timeout = r->timeout_ms ? r->timeout_ms : HTTP_CLIENT_TIMEOUT_MS;
    libcurl.easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout);
    int e = set_body(call, r);
    if (e == 0)
        e = set_headers(call, r);
    if (e < 0)
        return e;
    if (strcmp(r->method, "HEAD") == 0)
        libcurl.easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (libcurl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method) != CURLE_OK)
        return -ENOMEM;
    return 0;
}

int http_client_call(struct http_client *c, const struct http_call_request *r, http_call_fn on_end,
                     void *data, struct http_call **ret_call)
{
    if (c->n_calls >= HTTP_CLIENT_MAX_CALLS)
        return -ENOBUFS;
    struct http_call *call = calloc(1, sizeof *call);
    if (!call)
        return -ENOMEM;
    call->client = c;
    call->on_done = on_end;
    call->data = data;
    call->fd = -1;
    call->answer = BUF_INIT(r->max_response ? r->max_response : HTTP_CLIENT_MAX_RESPONSE);
    call->transfer.on_done = on_done;

    int e = 0;
    call->transfer.easy = curl_loop_easy(r->url,
                                         r->allow_plain            ? PLAIN_ANYWHERE
                                         : r->allow_plain_loopback ? PLAIN_LOOPBACK
                                                                   : PLAIN_NEVER,
                                         &e);
    if (e == 0)
        e = set_request(call, r);
    if (e == 0)
        e = curl_loop_add(c->curl, &call->transfer);
    if (e < 0) {
        call_free(call);
        return e;
    }
    call->next = c->first;
    if (c->first)
        c->first->prev = call;
    c->first = call;
    c->n_calls++;
    if (ret_call)
        *ret_call = call;
    return 0;
}

const char *http_call_header(const struct http_call *call, const char *name)
{
    struct curl_header *h = NULL;
    if (libcurl.easy_header(call->transfer.easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return "";
    return h->value;
}

int http_form_add(struct buf *form, const char *name, struct str value)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-._";
    buf_adds(form, form->len ? "&" : "");
    buf_adds(form, name);
    buf_addc(form, '=');
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c == ' ') {
            buf_addc(form, '+');
        } else if (c && strchr(safe, c)) {
            buf_addc(form, (char)c);
        } else {
            char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
            buf_add(form, escape, sizeof escape);
        }
    }
    return form->error;
}
