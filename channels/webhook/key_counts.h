#pragma once

// Sums by name, and the largest of them: what GROUP BY does, without its sorting.

#include "common/base.h"

struct key_count {
    char *key; // owned; NULL = an empty place
    int64_t n;
};

// A hash; zeroed is empty.
struct key_counts {
    struct key_count *places; // owned
    size_t n, room;           // room: 0 or a power of two
};

// Beyond so many names only those that are there already are counted.
#define KEY_COUNTS_MAX (1u << 16)

int key_counts_add(struct key_counts *k, const char *key, int64_t n) MUST_CHECK; // 0, or -ENOMEM
void key_counts_done(struct key_counts *k);

// The largest, by name where they are equal; at most `max`. Returns how many. Their keys belong to
// k.
size_t key_counts_top(const struct key_counts *k, size_t max, struct key_count *out);
