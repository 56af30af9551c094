#pragma once

// Newline framing: lines out of chunks of any size. A line over the cap is skipped to its end and
// reported once; what follows it is read as usual. Pure.

#include "common/buf.h"

struct frame {
    struct buf partial; // the start of a line whose end has not come
    size_t max_line;
    bool skipping; // inside a line that was reported as too long
    bool stale;    // `partial` is the line returned last
};

void frame_init(struct frame *f, size_t max_line);
void frame_done(struct frame *f);

// Takes from the front of *input, as far as needed. 1 = a line without its \n (and without a \r
// before it), in *ret_line: part of the input or of f, valid until the next call or until the
// input's memory changes. 0 = the input is used up. -E2BIG = a line is over the cap, -ENOMEM = no
// memory for it; either way it is skipped: call again.
int frame_next(struct frame *f, struct str *input, struct str *ret_line) MUST_CHECK;

// At the end of the stream: 1 and the last line if it lacked its \n, else 0.
int frame_rest(struct frame *f, struct str *ret_line) MUST_CHECK;
