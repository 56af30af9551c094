#include "common/arena.h"

#include <stdlib.h>

#define CHUNK_BYTES (16u << 10)

struct arena_chunk {
    struct arena_chunk *next;
    size_t cap, len;
    char data[];
};

char *arena_reserve(struct arena *a, size_t n)
{
    struct arena_chunk *c = a->chunks;
    if (c && n <= c->cap - c->len)
        return c->data + c->len;
    size_t cap = n > CHUNK_BYTES ? n : CHUNK_BYTES;
    c = cap <= SIZE_MAX - sizeof *c ? malloc(sizeof *c + cap) : NULL;
    if (!c) {
        a->failed = true;
        return NULL;
    }
    *c = (struct arena_chunk){.next = a->chunks, .cap = cap};
    a->chunks = c;
    return c->data;
}

void arena_keep(struct arena *a, size_t n)
{
    a->chunks->len += n;
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *c = a->chunks;
    a->failed = false;
    if (!c)
        return;
    a->chunks = c->cap > CHUNK_BYTES ? NULL : c; // a large one is rare, and not worth its memory
    for (struct arena_chunk *next, *old = a->chunks ? c->next : c; old; old = next) {
        next = old->next;
        free(old);
    }
    if (a->chunks)
        *a->chunks = (struct arena_chunk){.cap = c->cap};
}

void arena_done(struct arena *a)
{
    for (struct arena_chunk *next, *c = a->chunks; c; c = next) {
        next = c->next;
        free(c);
    }
    *a = (struct arena){.chunks = NULL};
}
