#pragma once

// Bytes that never move, given back all at once: for texts that point at each other while one thing
// is read.

#include "common/base.h"

struct arena {
    struct arena_chunk *chunks; // the first one has room
    bool failed;                // an allocation did; sticks until the reset
};

// At least n writable bytes that stay until the reset; NULL without memory. What is not kept is
// handed out again.
char *arena_reserve(struct arena *a, size_t n);
void arena_keep(struct arena *a, size_t n); // the first n of what was reserved last

void arena_reset(struct arena *a); // forgets everything, keeps one chunk
void arena_done(struct arena *a);  // fine on a zeroed one
