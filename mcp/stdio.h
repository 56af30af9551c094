#pragma once

// MCP over stdin and stdout (MCP 2025-11-25, "Transports / stdio"): newline-delimited, one message
// a line. The only module that writes stdout. Either may be a pipe, a UNIX or TCP socket, a
// terminal or a file. stdout is never blocked on and never queued without bound: while more than
// STDIO_PAUSE bytes wait, requests are not read; events are refused with -ENOBUFS.

#include <uv.h>

#include "mcp/server.h"

#define STDIO_MAX_LINE (4u << 20) // a longer line is skipped and answered with an error
#define STDIO_PAUSE (256u << 10)

#define STDIO_MAX_QUEUE (8u << 20) // calls under way when the reader fell behind may still answer
#define STDIO_STALL_MS 50          // how often a reader that is behind is looked at

struct mcp_stdio;

// Reads fd 0 and writes fd 1 on the loop, once a server is attached. on_end comes once, from the
// loop, when the session is over: reason 0 = end of stdin, after all that was read was dispatched;
// -EPIPE = nobody reads stdout any more; another errno = stdout failed (a full disk, no memory).
// The caller has SIGPIPE ignored. -EBADF: a descriptor is closed, -ENOTSUP: one is no stream or
// file.
int mcp_stdio_start(uv_loop_t *loop, void (*on_end)(int reason, void *data), void *data,
                    struct mcp_stdio **ret_stdio) MUST_CHECK;
// The same on other descriptors, which are closed in the end if they are above 2.
int mcp_stdio_open(uv_loop_t *loop, int in_fd, int out_fd, void (*on_end)(int reason, void *data),
                   void *data, struct mcp_stdio **ret_stdio) MUST_CHECK;

// Lines go to the server from now on; NULL: nothing is read for now.
void mcp_stdio_attach(struct mcp_stdio *io, struct mcp_server *server);
struct mcp_sink mcp_stdio_sink(struct mcp_stdio *io);

// Stops reading, flushes for at most flush_ms, then disconnects the attached server, puts the
// descriptors' blocking mode back as it was found, closes and frees. The server is to outlive that:
// free it when the loop has run out, or attach NULL first. Answers given in the meantime still go.
void mcp_stdio_stop(struct mcp_stdio *io, unsigned flush_ms);
