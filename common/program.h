#pragma once

// Another program, run without a shell: its output and its exit status, within a time. Blocks: for
// subcommands, never on a server's loop.

#include <sys/types.h>

#include "common/buf.h"

struct program {
    pid_t pid;
    int fd; // reads its stdout and stderr
};

// Starts argv[0], looked for in PATH, in a process group of its own, its stdin empty. 0, or a
// negative errno: -ENOENT when there is none.
int program_start(const char *const argv[], struct program *ret_program) MUST_CHECK;

// Waits for what program_start began, until deadline (boot ms); then it is killed with all that it
// started. Appends what it says, as far as out has room. Its exit status, 128 + N for signal N, or
// -ETIMEDOUT.
int program_end(struct program *p, int64_t deadline, struct buf *out) MUST_CHECK;

// Both, for one program.
int program_run(const char *const argv[], int64_t ms, struct buf *out) MUST_CHECK;
