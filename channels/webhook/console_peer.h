#pragma once

// The console's side of the session: the channel as a child process, MCP lines to and from it, and
// a sender's POST. For a person at a terminal: it waits where a server must not.

#include "common/config.h"
#include "common/json.h"

struct console_peer {
    int pid;
    int to, from; // the child's stdin and stdout
    struct buf in;
    int64_t next_id;
};

// Starts this executable without arguments and introduces itself as a client. Its stderr is ours.
int console_peer_start(struct console_peer *p) MUST_CHECK;
void console_peer_stop(struct console_peer *p); // ends the child's stdin and waits for it

// Sends tools/call; args_json is one object. Returns the request's id.
int64_t console_peer_call(struct console_peer *p, const char *tool, const char *args_json);

// Reads what the child has written (waits for at least one byte). 0 at its end, 1, or <0.
int console_peer_read(struct console_peer *p) MUST_CHECK;
// The next whole message, owned by the caller (cJSON_Delete); NULL when there is none yet.
cJSON *console_peer_next(struct console_peer *p);

// POSTs the body to the child's port with the configured token or signature. Returns the HTTP
// status, or <0; the answer's body is appended to ret_answer.
int console_peer_post(struct console_peer *p, const struct config *c, const char *path,
                      struct str body, struct buf *ret_answer) MUST_CHECK;
