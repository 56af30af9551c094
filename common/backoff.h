#pragma once

// How long to wait before the next attempt: exponential with full jitter, never sooner than the
// server asked for. Pure: randomness comes in, the caller owns the timer.

#include "common/base.h"

enum {
    BACKOFF_BASE_MS = 500,
    BACKOFF_CAP_MS = 60 * 1000,
    // A Retry-After beyond this is taken as this: a server's mistake must not silence a pager for
    // good.
    BACKOFF_MAX_RETRY_AFTER_MS = 60 * 60 * 1000,
};

struct backoff {
    unsigned failures; // since the last reset; zeroed = fresh
};

// The delay in ms before the attempt that follows one more failure: uniform in 0 .. min(cap, base x
// 2^failures), or retry_after_ms (0 or less: none) if that is longer. random is any uniform 32
// bits.
unsigned backoff_next(struct backoff *b, uint32_t random, int64_t retry_after_ms);

// After a success that has lasted: for Socket Mode 30 s of life after `hello`, not the open socket.
void backoff_reset(struct backoff *b);
