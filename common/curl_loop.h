#pragma once

// One libcurl multi handle on one uv loop: the socket and timer glue, nothing else. Instances share
// nothing, so that a WebSocket in its own one is never pruned for another transfer's sake. Only
// http_client.c and curl_pipe.c include this.

#include <uv.h>

#include "common/curl_lib.h"

struct curl_loop;

// Embedded in the user's object. The user owns `easy`; the rest is set by curl_loop_add.
struct curl_transfer {
    CURL *easy;
    // The transfer is over. Called outside of libcurl, so everything is allowed in it:
    // curl_loop_remove, a new transfer, curl_loop_close. A CONNECT_ONLY handle stays usable (and
    // must stay added) until it is removed.
    void (*on_done)(struct curl_transfer *t, CURLcode result);
    struct curl_transfer *next, *prev;
    bool done;
};

// Loads libcurl. Borrows loop until the handles are closed. -ELIBACC (no libcurl), -ENOMEM or a
// UV_E* code.
int curl_loop_new(uv_loop_t *loop, struct curl_loop **ret_loop) MUST_CHECK;

// Starts a transfer; on_done never comes from within. Uses CURLOPT_PRIVATE. -ENOMEM.
int curl_loop_add(struct curl_loop *c, struct curl_transfer *t) MUST_CHECK;

// Ends a transfer at once, under way or done; its on_done will not come. Closes a CONNECT_ONLY
// socket. The user then frees t->easy. Not from within a callback of libcurl.
void curl_loop_remove(struct curl_loop *c, struct curl_transfer *t);

// All transfers must have been removed. Frees itself once its uv handles are closed, in a later
// turn of the loop.
void curl_loop_close(struct curl_loop *c); // NULL is fine

// Where plain http may go.
enum curl_plain { PLAIN_NEVER, PLAIN_LOOPBACK, PLAIN_ANYWHERE };

// An easy handle as every user needs it: no signals, HTTP/1.1, no redirects, peer and host name
// verified against SSL_CERT_FILE if set (else the system's), proxy from the environment but for
// plain http to loopback, connection attempts bounded. NULL: out of memory. url: https://, or
// http:// where `plain` allows it; anything else sets *ret_error to -EINVAL (not a URL, other
// scheme) or -EPERM (plain text to where it may not go) and returns NULL.
CURL *curl_loop_easy(const char *url, enum curl_plain plain, int *ret_error);
