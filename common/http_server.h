#pragma once

// A small HTTP/1.1 server on libuv and llhttp: persistent connections, one request at a time on
// each, every size and time capped. It knows methods, headers and bodies; what they mean is its
// user's. llhttp.h stays inside.

#include <uv.h>

#include "common/buf.h"
#include "common/http_address.h"

struct http_server;
// Owned by the server; valid from on_headers until it was answered or on_abort returned.
struct http_request;

struct http_limits {
    size_t max_body;      // bytes of one body
    size_t max_bodies;    // bytes of all bodies being received or waiting for an answer together;
                          // beyond it 503
    size_t max_head;      // bytes of request line and headers: 431
    unsigned max_headers; // count: 431
    unsigned max_connections; // beyond it the longest idle connection is closed
    unsigned request_ms;      // from a request's first byte to its last: 408
    unsigned idle_ms;         // a connection without a request
    unsigned write_ms;        // for the peer to take an answer
};
extern const struct http_limits http_default_limits;

struct http_handler {
    // The headers are in, the body is not. Return 0 to receive the body, or answer now
    // (http_respond) and return 1: what follows of the body is then read and thrown away, within
    // limits. "Expect: 100-continue" is granted after a 0.
    int (*on_headers)(struct http_request *r, void *data);
    // The whole request is in. Answer now or later, once.
    void (*on_request)(struct http_request *r, void *data);
    // Instead of on_request: the body is over the cap. Answer (413), now or later, once; the
    // connection is closed after it, slowly enough for the peer to read it.
    void (*on_too_large)(struct http_request *r, uint64_t at_least_bytes, void *data);
    // Once, after on_headers returned 0 and before the answer: the peer went away, or the server
    // refuses the rest of the request (malformed, too slow, over the budget). Forget r.
    void (*on_abort)(struct http_request *r, void *data);
    // Optional: counts what the server refused by itself (400, 408, 431, 503), with its reason.
    void (*on_refused)(int status, const char *reason, void *data);
};

// address: "host:port", IPv6 in brackets, port 0 picks one. reuse_port: share the port with other
// processes of the same user (SO_REUSEPORT). Borrows loop and handler for its life. Errors:
// -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, -EINVAL (address). Raises the limit of open files as far as
// it goes. The process must ignore SIGPIPE.
int http_server_start(uv_loop_t *loop, const char *address, bool reuse_port,
                      const struct http_limits *limits, const struct http_handler *handler,
                      void *data, struct http_server **ret_server) MUST_CHECK;
int http_server_port(const struct http_server *s);
const char *http_server_address(const struct http_server *s); // "127.0.0.1:8788" with the real port
// Stops accepting and closes idle connections; requests that have begun to arrive are still
// handled, and answers flushed, within grace_ms. on_closed comes once, last.
void http_server_stop(struct http_server *s, unsigned grace_ms, void (*on_closed)(void *data),
                      void *data);

struct str http_method(const struct http_request *r);
struct str http_path(const struct http_request *r);  // without the query; as sent, not decoded
struct str http_query(const struct http_request *r); // without the '?'
struct str http_header(const struct http_request *r,
                       const char *name); // first one, case-insensitive; .p NULL if absent
struct str http_body(const struct http_request *r);  // whole only in on_request
const char *http_peer(const struct http_request *r); // "10.0.0.7"
bool http_has_length(const struct http_request *r);  // Content-Length or chunked
void *http_user(const struct http_request *r);       // a pointer of the user's, NULL at first
void http_set_user(struct http_request *r, void *user);

// Answers once. Copies everything. extra_headers: whole lines ending in \r\n, or NULL. A HEAD
// answer sends no body.
void http_respond(struct http_request *r, int status, const char *content_type, struct str body,
                  const char *extra_headers);
