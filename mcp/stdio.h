#pragma once

// MCP over stdin and stdout (MCP 2025-11-25, "Transports / stdio"): newline-delimited, one message
// a line. The only module that writes stdout. Either may be a pipe, a UNIX or TCP socket, a
// terminal or a file. stdout is never blocked on and never queued without bound: while more than
// STDIO_PAUSE bytes wait, requests are not read; events are refused with -ENOBUFS.

#include <uv.h>

#include "mcp/server.h"

#define STDIO_MAX_LINE (4u << 20) // a longer line is skipped and answered with an error
#define STDIO_PAUSE (256u << 10)

struct mcp_stdio;

// Reads fd 0 and writes fd 1 on the loop. on_end comes once: end of stdin, or nobody reads stdout
// any more (-EPIPE).
int mcp_stdio_start(uv_loop_t *loop, void (*on_end)(int reason, void *data), void *data,
                    struct mcp_stdio **ret_stdio) MUST_CHECK;
void mcp_stdio_attach(struct mcp_stdio *io,
                      struct mcp_server *server); // lines go to it from now on
struct mcp_sink mcp_stdio_sink(struct mcp_stdio *io);
void mcp_stdio_stop(
    struct mcp_stdio *io,
    unsigned flush_ms); // stops reading, flushes for at most flush_ms, then closes and frees
