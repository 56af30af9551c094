#pragma once

// Small things that every module needs. No code, no state.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(string, args) __attribute__((format(printf, string, args)))

// Bytes that belong to somebody else. Not terminated; `p` may be NULL when `n` is 0.
struct str {
    const char *p;
    size_t n;
};

static inline struct str str_of(const char *s)
{
    return (struct str){s, s ? strlen(s) : 0};
}

static inline bool str_is(struct str s, const char *literal)
{
    size_t n = strlen(literal);
    return s.n == n && (n == 0 || memcmp(s.p, literal, n) == 0);
}
