#pragma once

// What subcommands print: the only place besides mcp/stdio.c that writes to fd 1. A subcommand
// never speaks MCP.

#include "common/buf.h"

// Writes all of it, waiting where it must. 0, -EPIPE when nobody reads any more, or another errno.
int output(struct str text) MUST_CHECK;

// The same to any descriptor that blocks.
int write_all(int fd, struct str bytes) MUST_CHECK;

// Writes what the buffer holds and empties it.
int output_flush(struct buf *b) MUST_CHECK;
