#pragma once

// The incidents that one notification named, in the order of their first mention.

#include "common/base.h"

struct id_set {
    int64_t *ids; // owned; in order of insertion
    size_t n, cap;
    uint32_t *slots; // hash over ids: index + 1, 0 = free
    size_t n_slots;
};

int id_set_add(struct id_set *set, int64_t id) MUST_CHECK; // 1 new, 0 already there, -ENOMEM
void id_set_truncate(struct id_set *set, size_t n);        // forgets what came after the first n
void id_set_done(struct id_set *set);
