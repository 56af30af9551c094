#pragma once

// The head of one HTTP/1.1 request (RFC 9112, 2 to 5), collected byte by byte and held to the
// strict grammar, then looked up. Pure. llhttp reads the same bytes afterwards to learn what frames
// the body. Its older releases let through what a proxy may read differently (a bare CR or LF,
// folded lines, a space before the colon): that is refused here.

#include "common/buf.h"

struct http_head {
    struct buf text; // owned: request line and headers with the blank line; its cap is the caller's
    unsigned headers;
    unsigned max_headers;
    uint8_t state;
};

#define HTTP_HEAD_INIT(max_bytes, max_count)                                                       \
    ((struct http_head){.text = BUF_INIT(max_bytes), .max_headers = (max_count)})

// Takes what belongs to the head from the front of *in. Empty lines before the request line are
// dropped (RFC 9112, 2.2). Returns 1 the head is whole, 0 more is needed, -EINVAL malformed, -E2BIG
// too long or too many headers, -ENOMEM.
int http_head_feed(struct http_head *h, struct str *in) MUST_CHECK;
void http_head_done(struct http_head *h);

// All of these need a whole head; the slices live as long as it does.
struct str http_head_method(const struct http_head *h);
struct str http_head_path(const struct http_head *h);  // of the absolute form too (RFC 9112, 3.2.2)
struct str http_head_query(const struct http_head *h); // without the '?'
int http_head_minor(const struct http_head *h);        // 0 or 1: HTTP/1.x
struct str http_head_find(const struct http_head *h,
                          const char *name); // first one, trimmed; .p NULL if absent
unsigned http_head_count(const struct http_head *h, const char *name);
