#pragma once

// The lines of an event's content, as many as fit.

#include "common/buf.h"

#define LINES_TAIL 96 // bytes kept for the note of what was left out

struct lines {
    struct buf *out; // borrowed
    size_t cap;      // bytes
    size_t left_out; // bytes
};

// Adds a line if it fits with the tail's room; otherwise cuts it on a character boundary and says
// how much is missing. After a cut nothing more is added.
void lines_add(struct lines *l, struct str text);
// Says what was left out; the last line has no end.
void lines_end(struct lines *l);
