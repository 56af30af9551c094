#pragma once

// A WebSocket client (RFC 6455) on a uv loop: ws_open, then text messages both ways until
// on_closed. curl_pipe carries the bytes, wslay frames; wslay.h stays inside. It does not reconnect
// and has no opinion on liveness: it reports that bytes came, the user pings and abandons.

#include <uv.h>

#include "common/base.h"

struct ws;

enum {
    WS_OPEN_MS = 15 * 1000, // DNS to the 101, unless the options say otherwise
    WS_CLOSE_MS = 1000,     // for what is queued, our close frame and the peer's echo together
    WS_MAX_MESSAGE = 1024 * 1024, // inbound, after reassembly, unless the options say otherwise
    WS_MAX_QUEUE = 1024 * 1024,   // outbound bytes that the socket has not taken yet, likewise
    WS_MAX_QUEUED_FRAMES = 4096,  // and their number; a peer that reads none is not read either
};

struct ws_options {
    const char *url; // wss://..., or ws:// to loopback when allowed
    bool allow_plain_loopback;
    unsigned open_ms;   // 0: WS_OPEN_MS
    size_t max_message; // 0: WS_MAX_MESSAGE; more is answered with close 1009
    size_t max_queue;   // 0: WS_MAX_QUEUE
};

enum ws_end {
    WS_END_NOT_OPENED, // it never was a WebSocket: see error, error_text, http_status
    WS_END_BY_PEER,    // the peer sent a close frame: see code, reason
    WS_END_BY_US,      // ws_close; code is the peer's echo, or 1006 when none came in time
    // End of file, reset, write failure: code 1006. A breach of the protocol: the code that we
    // sent.
    WS_END_LOST,
};

struct ws_closed {
    enum ws_end end;
    int code;          // close status (RFC 6455, 7.4); 1005 = frame without one, 1006 = no frame
    struct str reason; // of the peer's close frame; a stranger's text
    // 0 or -ETIMEDOUT, -ECONNREFUSED (a final answer other than 101), -EPROTO (of the handshake or
    // of frames), -E2BIG (the answer's head), -ECONNRESET (the connection ended), -EIO (name,
    // connection, proxy or TLS failed), -ENOMEM
    int error;
    const char *error_text; // one line for people, never with the URL's query; "" without error
    int http_status;        // of the answer to the upgrade, 0 if none
    int64_t retry_after_s;  // of that answer, 0 if absent
};

// Each may call any ws_ function, ws_abandon included. Strings are borrowed until it returns.
// on_activity may be NULL.
struct ws_handler {
    void (*on_open)(struct ws *w, void *data);
    // A whole message; valid UTF-8 if it is text.
    void (*on_message)(struct ws *w, struct str message, void *data);
    // Bytes arrived, whatever they are: once a turn of the loop, before anything else is made of
    // them.
    void (*on_activity)(struct ws *w, void *data);
    // The last callback, exactly once unless abandoned. w is freed after it.
    void (*on_closed)(struct ws *w, const struct ws_closed *how, void *data);
};

// Starts to connect. No callback ever comes from within ws_open, ws_send, ws_ping or ws_close.
// Borrows loop and handler. Errors: -EINVAL (not a ws or wss URL), -EPERM (ws beyond loopback),
// -ELIBACC (libcurl is not installed), -ENOMEM, a UV_E* code.
int ws_open(uv_loop_t *loop, const struct ws_options *options, const struct ws_handler *handler,
            void *data, struct ws **ret_ws) MUST_CHECK;

// Queues one text message, copied, as one unfragmented masked frame, and writes what the socket
// takes at once. -ENOTCONN: not open, closing or ended; -ENOBUFS: max_queue is reached, nothing of
// it was queued; -ENOMEM.
int ws_send(struct ws *w, struct str text) MUST_CHECK;
// As ws_send. -EINVAL: more than 125 bytes.
int ws_ping(struct ws *w, struct str payload) MUST_CHECK;
size_t ws_queued(const struct ws *w); // bytes that the socket has not taken yet
bool ws_is_open(const struct ws *w);

// Orderly: what is queued, a close frame, at most WS_CLOSE_MS for its echo, then the end of TCP and
// on_closed. Messages that arrive meanwhile are still delivered. reason: at most 123 bytes, cut. A
// second call does nothing.
void ws_close(struct ws *w, uint16_t code, struct str reason);

// Ends a dead one at once, without a close frame; no callback comes any more and w is gone. NULL is
// fine.
void ws_abandon(struct ws *w);
