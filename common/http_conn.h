#pragma once

// One connection of http_server: private to http_server.c and http_conn.c.

#include <sys/queue.h>

#include "common/http_answer.h"
#include "common/http_request.h"

// Where a connection is in the life of its one request. What it reads in each state is said at
// http_conn.c's step().
enum conn_state {
    CONN_IDLE,      // between requests, deadline idle_ms
    CONN_HEAD,      // since the first byte of a request, deadline request_ms
    CONN_BODY,      // the head is accepted; same deadline
    CONN_HANDLING,  // the user owes the answer; no deadline
    CONN_WRITING,   // the answer does not fit the socket yet, deadline write_ms
    CONN_SKIPPING,  // answered before the body was in: the rest is thrown away, then IDLE
    CONN_LINGERING, // our side is shut down; what the peer still sends is thrown away, so that it
                    // can read the answer
    CONN_CLOSED,
};

struct http_conn {
    struct http_server *server;
    uv_tcp_t tcp;
    TAILQ_ENTRY(http_conn) link;  // in server->idle or ->busy
    TAILQ_ENTRY(http_conn) again; // in server->ready
    enum conn_state state;
    bool running; // step() is being called: input goes on when the callbacks returned
    bool queued;  // in server->ready
    bool reading;
    bool at_eof;       // the peer sends no more; it may still read
    uint64_t deadline; // uv_now, UINT64_MAX none
    struct str in;     // bytes not looked at yet: of the server's read buffer, or of pending
    char *pending;     // owned: holds `in` while the next request waits for the answer to this one
    uint64_t drained;  // bytes thrown away since the answer
    uv_write_t write;
    char *out; // owned: what uv_write sends
    char peer[HTTP_PEER_SIZE];
    struct http_request request;
};

TAILQ_HEAD(http_conns, http_conn);

struct http_server {
    uv_loop_t *loop;
    struct http_limits limits;
    const struct http_handler *handler;
    void *data;
    int fd;
    int port;
    char address[HTTP_ADDRESS_SIZE];
    uv_poll_t listener;
    uv_timer_t deadlines;   // one shot, at the earliest deadline
    uint64_t due;           // when it fires; UINT64_MAX not armed
    uint64_t checked;       // when the deadlines were looked at last
    uv_timer_t pause;       // until accepting is tried again; while stopping: the grace
    uv_idle_t rerun;        // runs while `ready` has connections
    struct http_conns idle; // the longest idle first
    struct http_conns busy;
    struct http_conns ready;
    unsigned live;    // connections not CLOSED
    unsigned handles; // connections whose memory is still there
    unsigned own;     // handles of the server itself
    size_t bodies;    // charged bytes of all requests
    bool stopping;
    void (*on_closed)(void *data);
    void *closed_data;
    time_t date_at;
    char date[HTTP_DATE_SIZE];
    char input[65536]; // every connection reads into it
};

// Takes fd, unless it fails. A refused connection gets 503 and is closed.
int http_conn_open(struct http_server *s, int fd, const struct sockaddr_storage *peer,
                   bool refused) MUST_CHECK;
void http_conn_expire(struct http_conn *c);    // its deadline has passed
void http_conn_abort(struct http_conn *c);     // close at once; the user forgets its request
void http_conn_resume(struct http_conn *c);    // goes on with pipelined input
bool http_conn_has_input(struct http_conn *c); // bytes wait in the socket

// Of http_server.c, for connections.
void http_server_arm(struct http_server *s, uint64_t deadline);
void http_server_count_refusal(struct http_server *s, int status, const char *reason);
void http_server_rerun(struct http_conn *c);    // has http_conn_resume called soon
void http_server_closed(struct http_server *s); // a connection's memory is gone
