#pragma once

// Bytes that grow up to a hard cap. The first failure sticks: later additions do nothing, so a
// caller that builds something long checks once, at the end.

#include "common/base.h"

struct buf {
    char *data; // owned; NUL-terminated whenever it is not NULL
    size_t len;
    size_t cap;
    size_t max; // `len` never exceeds it
    int error;  // 0, -ENOMEM, or -E2BIG once `max` was hit
};

#define BUF_INIT(limit) ((struct buf){.max = (limit)})

void buf_done(struct buf *b);  // frees the bytes; fine on a zeroed or done buffer
void buf_clear(struct buf *b); // empties it and forgets the error, keeps the memory

int buf_reserve(struct buf *b, size_t more); // room for `more` bytes: 0, -ENOMEM or -E2BIG
int buf_add(struct buf *b, const void *bytes, size_t n);
int buf_adds(struct buf *b, const char *s);
int buf_addc(struct buf *b, char c);
int buf_addf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_consume(struct buf *b, size_t n);    // drops the first n bytes
void buf_truncate(struct buf *b, size_t len); // keeps the first len bytes

const char *buf_cstr(const struct buf *b); // "" when empty; valid until the next change
static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->data, b->len};
}

// Takes the bytes out; the caller frees them. NULL when nothing was added or something failed.
char *buf_take(struct buf *b);
