#pragma once

// Eight bytes of text looked at at once, in the order of memory. Masks have the top bit of each
// byte that is meant; only the first one is reliable, since borrows and carries run into the bytes
// behind it.

#include "common/base.h"

#define BYTES8_EACH(b) (UINT64_C(0x0101010101010101) * (uint64_t)(b))
#define BYTES8_TOPS BYTES8_EACH(0x80)

static inline uint64_t bytes8_load(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

static inline uint64_t bytes8_equal(uint64_t w, char c)
{
    uint64_t x = w ^ BYTES8_EACH((unsigned char)c);
    return (x - BYTES8_EACH(1)) & ~x & BYTES8_TOPS;
}

static inline uint64_t bytes8_below(uint64_t w, unsigned char c) // c at most 0x80
{
    return (w - BYTES8_EACH(c)) & ~w & BYTES8_TOPS;
}

// Which byte the first bit of a mask that is not 0 belongs to: 0 to 7.
static inline size_t bytes8_first(uint64_t mask)
{
    return (size_t)__builtin_ctzll(mask) / 8;
}
