#pragma once

// The opening handshake of a WebSocket client (RFC 6455, 4.1): the request as text, and the check
// of the answer. Pure: bytes in, verdict out; the nonce comes from the caller. llhttp.h stays
// inside.

#include "common/buf.h"

enum {
    WS_NONCE_SIZE = 16,
    WS_HANDSHAKE_MAX_HEAD = 16 * 1024, // bytes of status line and headers
};

struct ws_handshake;

// Appends the upgrade request. host is the value of the Host header ("host" or "host:port", IPv6 in
// brackets), target the path with its query. No extension and no subprotocol is offered. Returns 0,
// buf's error, or -EINVAL when host or target hold a space, a control character or nothing.
int ws_handshake_request(struct buf *out, const char *host, const char *target,
                         const uint8_t nonce[WS_NONCE_SIZE]) MUST_CHECK;

// A checker for the answer to a request made with this nonce. NULL when memory is out. Free with
// ws_handshake_free.
struct ws_handshake *ws_handshake_new(const uint8_t nonce[WS_NONCE_SIZE]);
void ws_handshake_free(struct ws_handshake *h); // NULL is fine

// Feeds what arrived, in pieces of any size. Returns
//   1              the connection is open; *ret_used bytes belonged to the answer, what follows
//   them are frames 0              more is needed, all bytes were taken -ECONNREFUSED  a final
//   answer other than 101: see ws_handshake_status -EPROTO        not HTTP, or a 101 that is none
//   (Upgrade, Connection or Sec-WebSocket-Accept missing or wrong, an
//                  extension or subprotocol that nobody offered)
//   -E2BIG         the head exceeds WS_HANDSHAKE_MAX_HEAD
// After anything but 0 it must not be fed again.
int ws_handshake_feed(struct ws_handshake *h, const char *bytes, size_t n,
                      size_t *ret_used) MUST_CHECK;

int ws_handshake_status(const struct ws_handshake *h); // HTTP status of the answer, 0 while unknown
int64_t ws_handshake_retry_after_s(
    const struct ws_handshake *h); // Retry-After in seconds, 0 if absent (or a date)
const char *
ws_handshake_error(const struct ws_handshake *h); // one line for people; "" while nothing is wrong
