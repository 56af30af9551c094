#pragma once

// One request as it comes in: its head (http_head), then its body, framed by llhttp. Private to the
// server; knows no socket and no clock, so it is tested byte by byte. llhttp.h goes no further than
// http_conn.

#include <llhttp.h>

#include "common/http_head.h"
#include "common/http_server.h"

struct http_request {
    const struct http_limits *limits; // borrowed
    size_t *bodies;                   // borrowed: what the bodies of all requests occupy
    const char *peer;                 // borrowed
    void *user;
    struct http_head head;
    llhttp_t parser;
    struct buf body;
    size_t charged;     // the part of *bodies that is this body's
    uint64_t length;    // Content-Length, 0 without
    uint64_t received;  // bytes of the body so far, kept or not
    uint64_t framing;   // bytes of chunk sizes, extensions, trailers
    const char *reason; // why it is refused, with status
    int status;
    int fault;       // why the body cannot be kept: -E2BIG, -ENOBUFS (budget), -ENOMEM
    bool keeps_body; // false: its bytes are only counted
    bool has_length; // Content-Length or chunked
    bool chunked;
    bool is_head;    // the method, not the part
    bool expects;    // the peer waits for 100 (Continue)
    bool keep_alive; // the connection outlives it
    bool complete;   // its last byte was read
    bool owed;       // the user knows of it and has not answered
};

enum http_progress {
    HTTP_MORE,      // all input was taken, more is needed
    HTTP_WHOLE,     // what follows in the input, if anything, is not of this part
    HTTP_TOO_LARGE, // the body is over its cap
    HTTP_REFUSE,    // with status and reason
};

void http_request_init(struct http_request *r, const struct http_limits *limits, size_t *bodies,
                       const char *peer);
void http_request_done(struct http_request *r);
void http_request_drop_body(struct http_request *r); // frees it and gives its budget back

// Both take bytes off the front of *in.
enum http_progress http_request_head(struct http_request *r, struct str *in);
enum http_progress http_request_body(struct http_request *r, struct str *in);

// Is what is missing of the body so short that reading it is better than closing the connection?
bool http_request_worth_skipping(const struct http_request *r);
