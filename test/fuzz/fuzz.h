#pragma once

// What the fuzz targets share: checks that end the run, and input that is taken apart.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/redact.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

// A number below `below` from the input's first byte, which is taken off; 0 at its end.
static inline size_t fuzz_pick(struct str *in, size_t below)
{
    if (!in->n)
        return 0;
    unsigned char c = (unsigned char)*in->p;
    *in = (struct str){in->p + 1, in->n - 1};
    return c % below;
}

// What is fed in pieces: the next one, of a length that the input's first byte tells. Copied to
// memory of just that size, so that one byte too far is seen. Free .p.
static inline struct str fuzz_piece(struct str *in, size_t step)
{
    size_t n = step && step < in->n ? step : in->n;
    char *copy = malloc(n ? n : 1);
    CHECK(copy);
    if (n)
        memcpy(copy, in->p, n);
    *in = (struct str){in->p + n, in->n - n};
    return (struct str){copy, n};
}

// Clean text: valid UTF-8, nothing invisible of the ASCII range, short enough.
static inline void fuzz_check_clean(struct str s, size_t max, bool one_line)
{
    CHECK(s.n <= max);
    CHECK(utf8_valid(s));
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        CHECK(c != 0x7f && (c >= 0x20 || (!one_line && (c == '\n' || c == '\t'))));
    }
    CHECK(text_frame_at(s) == s.n);
}

// None of the tokens that name themselves is left in it: a second opinion on redact.c, which knows
// many more.
static inline void fuzz_check_masked(struct str s)
{
    static const struct {
        const char *prefix;
        size_t more; // token characters that make it one
    } tokens[] = {{"ghp"
                   "_",
                   36},
                  {"glpat"
                   "-",
                   20},
                  {"xoxb"
                   "-",
                   24},
                  {"sk-ant"
                   "-",
                   40}};
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        size_t n = strlen(tokens[i].prefix), at = 0;
        const char *p = s.n ? memmem(s.p, s.n, tokens[i].prefix, n) : NULL;
        for (; p; p = memmem(p + 1, s.n - at - 1, tokens[i].prefix, n)) {
            size_t run = 0;
            at = (size_t)(p - s.p);
            while (at + n + run < s.n && (p[n + run] == '_' || p[n + run] == '-' ||
                                          (p[n + run] >= '0' && p[n + run] <= '9') ||
                                          ((p[n + run] | 32) >= 'a' && (p[n + run] | 32) <= 'z')))
                run++;
            if (run >= tokens[i].more)
                fprintf(stderr, "a secret is left: %.*s\n", (int)s.n, s.p);
            CHECK(run < tokens[i].more);
        }
    }
}
