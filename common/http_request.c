#include "common/http_request.h"

#include <errno.h>
#include <strings.h>

enum {
    FIRST_BODY = 64 * 1024, // reserved for a body at most before any of it is here
    SKIP_BODY = 64 * 1024,
};

static int on_headers_complete(llhttp_t *parser)
{
    struct http_request *r = parser->data;
    bool has_number = (parser->flags & F_CONTENT_LENGTH) != 0;
    r->keep_alive = llhttp_should_keep_alive(parser) != 0;
    r->chunked = (parser->flags & F_CHUNKED) != 0;
    r->has_length = r->chunked || has_number;
    r->length = has_number ? parser->content_length : 0;
    return 0;
}

// Grows with what arrives: a length that was only promised costs nothing.
static int keep_body(struct http_request *r, const char *at, size_t n)
{
    if (!r->body.data) {
        r->body = BUF_INIT(r->chunked ? r->limits->max_body : (size_t)r->length);
        uint64_t first = r->length < FIRST_BODY ? r->length : FIRST_BODY;
        if (!r->chunked && buf_reserve(&r->body, (size_t)first) < 0)
            return r->body.error;
    }
    int e = buf_add(&r->body, at, n);
    *r->bodies += r->body.cap - r->charged;
    r->charged = r->body.cap;
    if (e < 0)
        return e;
    return *r->bodies > r->limits->max_bodies ? -ENOBUFS : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t n)
{
    struct http_request *r = parser->data;
    r->received += n;
    if (r->keeps_body && !r->fault)
        r->fault = keep_body(r, at, n);
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct http_request *r = parser->data;
    r->complete = true;
    return HPE_PAUSED; // what follows is the next request
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void http_request_init(struct http_request *r, const struct http_limits *limits, size_t *bodies,
                       const char *peer)
{
    *r = (struct http_request){
        .limits = limits,
        .bodies = bodies,
        .peer = peer,
        .head = HTTP_HEAD_INIT(limits->max_head, limits->max_headers),
    };
}

void http_request_done(struct http_request *r)
{
    http_head_done(&r->head);
    http_request_drop_body(r);
}

void http_request_drop_body(struct http_request *r)
{
    *r->bodies -= r->charged;
    r->charged = 0;
    buf_done(&r->body);
}

static enum http_progress refuse(struct http_request *r, int status, const char *reason)
{
    r->status = status;
    r->reason = reason;
    return HTTP_REFUSE;
}

// Feeds llhttp from *in. Returns 0 or -EINVAL. It pauses at the end of the request before it could
// take one to upgrade for anything but an ordinary one.
static int parse(struct http_request *r, struct str *in)
{
    enum llhttp_errno e = llhttp_execute(&r->parser, in->p, in->n);
    size_t used = in->n;
    if (e == HPE_PAUSED)
        used = (size_t)(llhttp_get_error_pos(&r->parser) - in->p);
    else if (e != HPE_OK)
        return -EINVAL;
    in->p += used;
    in->n -= used;
    return 0;
}

static bool is_word(struct str s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

// What the whole head says about the body and the connection.
static enum http_progress understand(struct http_request *r)
{
    const struct http_head *h = &r->head;
    struct str bytes = buf_str(&h->text);
    bool is_1_1 = http_head_minor(h) == 1;
    unsigned hosts = http_head_count(h, "Host");
    struct str coding = http_head_find(h, "Transfer-Encoding");
    if (hosts > 1 || (is_1_1 && hosts == 0))
        return refuse(r, 400, "needs one Host header"); // RFC 9112, 3.2
    if (coding.p && !is_1_1)
        return refuse(r, 400, "Transfer-Encoding in HTTP/1.0"); // RFC 9112, 6.1
    llhttp_init(&r->parser, HTTP_REQUEST, &settings);
    r->parser.data = r;
    if (parse(r, &bytes) < 0)
        return refuse(r, 400, "malformed request");
    if (coding.p && !is_word(coding, "chunked"))
        return refuse(r, 501, "transfer coding other than chunked");
    r->expects = is_1_1 && !r->complete && is_word(http_head_find(h, "Expect"), "100-continue");
    r->is_head = str_is(http_head_method(h), "HEAD");
    if (str_is(http_head_method(h), "CONNECT"))
        r->keep_alive = false; // llhttp reads no body here, whatever was announced
    return HTTP_WHOLE;
}

enum http_progress http_request_head(struct http_request *r, struct str *in)
{
    int e = http_head_feed(&r->head, in);
    if (e == 1)
        return understand(r);
    if (e == 0)
        return HTTP_MORE;
    if (e == -E2BIG)
        return refuse(r, 431, "request head too large");
    if (e == -ENOMEM)
        return refuse(r, 503, "out of memory");
    return refuse(r, 400, "malformed request");
}

enum http_progress http_request_body(struct http_request *r, struct str *in)
{
    size_t before = in->n;
    uint64_t received = r->received;
    if (parse(r, in) < 0)
        return refuse(r, 400, "malformed body");
    r->framing += before - in->n - (r->received - received);
    if (r->framing > r->limits->max_body + r->limits->max_head)
        return refuse(r, 400, "more framing than body");
    if (r->fault == -E2BIG)
        return HTTP_TOO_LARGE;
    if (r->fault)
        return refuse(r, 503, r->fault == -ENOBUFS ? "too many bodies at once" : "out of memory");
    return r->complete ? HTTP_WHOLE : HTTP_MORE;
}

bool http_request_worth_skipping(const struct http_request *r)
{
    return !r->expects && !r->chunked && r->length - r->received <= SKIP_BODY;
}

struct str http_method(const struct http_request *r)
{
    return http_head_method(&r->head);
}

struct str http_path(const struct http_request *r)
{
    return http_head_path(&r->head);
}

struct str http_query(const struct http_request *r)
{
    return http_head_query(&r->head);
}

struct str http_header(const struct http_request *r, const char *name)
{
    return http_head_find(&r->head, name);
}

struct str http_body(const struct http_request *r)
{
    return buf_str(&r->body);
}

const char *http_peer(const struct http_request *r)
{
    return r->peer;
}

bool http_has_length(const struct http_request *r)
{
    return r->has_length;
}

void *http_user(const struct http_request *r)
{
    return r->user;
}

void http_set_user(struct http_request *r, void *user)
{
    r->user = user;
}
