// Requests out of bytes: head, then body, one behind the other. Whole and in pieces they are read
// alike, no limit is exceeded, and the budget for bodies is given back.

#include "common/http_request.h"
#include "test/fuzz/fuzz.h"

static const struct http_limits limits = {
    .max_body = 600, .max_bodies = 900, .max_head = 1024, .max_headers = 16};

struct reading {
    uint64_t sum; // of all that was read
    unsigned requests;
    int status;
};

static void add(struct reading *r, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        r->sum = (r->sum ^ (unsigned char)s.p[i]) * 1099511628211u;
    r->sum = (r->sum ^ s.n) * 1099511628211u;
}

static void take_whole(struct reading *r, struct http_request *q)
{
    struct str method = http_head_method(&q->head), path = http_head_path(&q->head);
    CHECK(method.n > 0);
    CHECK(!path.n || !memchr(path.p, ' ', path.n));
    CHECK(q->body.len <= limits.max_body);
    CHECK(!q->keeps_body || q->body.len == q->received);
    add(r, method);
    add(r, path);
    add(r, http_head_query(&q->head));
    add(r, http_head_find(&q->head, "authorization"));
    add(r, buf_str(&q->body));
    r->requests++;
}

// True while the connection would go on.
static bool feed(struct reading *r, struct http_request *q, bool *in_body, struct str *in,
                 size_t *bodies)
{
    enum http_progress p = *in_body ? http_request_body(q, in) : http_request_head(q, in);
    CHECK(*bodies <= limits.max_bodies && q->charged <= *bodies);
    CHECK(q->head.text.len <= limits.max_head);
    CHECK(p == HTTP_REFUSE || q->head.headers <= limits.max_headers);
    if (p == HTTP_MORE) {
        CHECK(in->n == 0);
        return true;
    }
    if (p == HTTP_REFUSE) {
        CHECK(q->status >= 400 && q->status < 600 && q->reason);
        r->status = q->status;
        return false;
    }
    if (p == HTTP_TOO_LARGE) {
        r->status = 413;
        return false;
    }
    if (!*in_body && !q->complete) {
        if (q->length > limits.max_body) { // as the connection does
            r->status = 413;
            return false;
        }
        *in_body = true;
        return true;
    }
    take_whole(r, q);
    bool stays = q->keep_alive;
    http_request_done(q);
    http_request_init(q, &limits, bodies, "peer");
    *in_body = false;
    CHECK(*bodies == 0);
    return stays;
}

static struct reading read_all(struct str all, size_t step)
{
    struct reading r = {0};
    size_t bodies = 0;
    struct http_request q;
    bool in_body = false, open = true;
    http_request_init(&q, &limits, &bodies, "peer");
    while (open && all.n) {
        struct str piece = fuzz_piece(&all, step), in = piece;
        while (open && in.n)
            open = feed(&r, &q, &in_body, &in, &bodies);
        free((void *)piece.p);
    }
    http_request_done(&q);
    CHECK(bodies == 0);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str in = {(const char *)bytes, n};
    size_t step = fuzz_pick(&in, 64) + 1;
    struct reading whole = read_all(in, 0), parts = read_all(in, step);
    CHECK(whole.requests == parts.requests);
    CHECK(whole.sum == parts.sum);
    // Only which limit was hit first depends on the pieces.
    CHECK((whole.status != 0) == (parts.status != 0));
    return 0;
}
