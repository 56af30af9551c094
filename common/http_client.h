#pragma once

// HTTP requests to other people's servers, one callback each, on libcurl. TLS is verified,
// redirects are answers like any other, plain http goes to loopback only unless the
// request says otherwise. curl.h stays inside.

#include <uv.h>

#include "common/buf.h"

struct http_client;
struct http_call;

enum {
    HTTP_CLIENT_TIMEOUT_MS = 30 * 1000,     // a whole call, unless the request says otherwise
    HTTP_CLIENT_MAX_RESPONSE = 1024 * 1024, // bytes of body, unless the request says otherwise
    HTTP_CLIENT_MAX_HEAD = 64 * 1024,       // bytes of the answer's headers
    HTTP_CLIENT_MAX_CALLS = 64,             // under way at once
};

enum http_outcome {
    HTTP_ANSWERED, // a whole answer, whatever its status
    HTTP_NOT_SENT, // the server cannot have seen the request: name, connection, proxy or TLS failed
                   // first. Safe to repeat
    HTTP_UNKNOWN, // the request was (partly) written, a whole answer did not come. It may have been
                  // carried out
};

struct http_call_request {
    const char *method; // "GET", "POST", ...
    const char *url;
    const char *const *headers; // "Name: value" each, NULL at the end; or NULL
    const char *content_type;   // of the body; or NULL
    struct str body;            // p NULL: none
    int body_fd; // > 0: the body is the first body_size bytes of this file instead, sent raw
    uint64_t body_size;
    unsigned timeout_ms; // 0: HTTP_CLIENT_TIMEOUT_MS
    size_t max_response; // 0: HTTP_CLIENT_MAX_RESPONSE
    // The request may be carried out twice without harm (a read). Only such a request uses a
    // connection that is already open: libcurl silently repeats a request whose reused connection
    // ends without an answer, and nobody could tell.
    bool repeatable;
    bool allow_plain_loopback;
    bool allow_plain; // to any host: what holds no secret
};

struct http_call_response {
    enum http_outcome outcome;
    int error; // 0, or why no whole answer came: -ETIMEDOUT, -EMSGSIZE (over max_response), -EIO
               // (else)
    const char *error_text; // one line for people, never with the URL's query; "" without error
    int status;      // 0 while none came; with HTTP_UNKNOWN it may be there without the whole body
    struct str body; // NUL-terminated
    int64_t retry_after_s;  // Retry-After, number or date; 0: absent
    struct http_call *call; // for http_call_header
};

// Borrowed strings of the response live until it returns. It may start and cancel calls and close
// the client.
typedef void (*http_call_fn)(const struct http_call_response *r, void *data);

// Borrows loop until its handles are closed. -ELIBACC (libcurl is not installed), -ENOMEM or a
// UV_E* code.
int http_client_new(uv_loop_t *loop, struct http_client **ret_client) MUST_CHECK;

// Cancels every call (no callback comes) and frees the client in a later turn of the loop. NULL is
// fine.
void http_client_close(struct http_client *c);

// Starts a call; copies everything, and duplicates body_fd. on_done comes once, later, never from
// within. ret_call may be NULL; the call is the client's and ends with on_done. Errors, with
// nothing started: -EINVAL (not a URL, a scheme other than http(s), a header or method with control
// characters), -EPERM (plain http beyond loopback), -ENOBUFS (too many calls), -ENOMEM.
int http_client_call(struct http_client *c, const struct http_call_request *r, http_call_fn on_done,
                     void *data, struct http_call **ret_call) MUST_CHECK;

// Ends a call at once; its callback will not come. Whether the server got it is then unknown. Not
// from its own on_done.
void http_call_cancel(struct http_call *call);

// First header of that name in the answer, case-insensitive, "" when absent. Only within on_done.
const char *http_call_header(const struct http_call *call, const char *name);

// Appends name=value (application/x-www-form-urlencoded), with '&' before all but the first. 0 or
// buf's error.
int http_form_add(struct buf *form, const char *name, struct str value);
