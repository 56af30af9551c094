#include "channels/webhook/id_set.h"

#include <errno.h>
#include <stdlib.h>

static size_t slot_of(const struct id_set *set, int64_t id)
{
    size_t mask = set->n_slots - 1;
    size_t slot = ((uint64_t)id * 0x9E3779B97F4A7C15u >> 32) & mask;
    while (set->slots[slot] && set->ids[set->slots[slot] - 1] != id)
        slot = (slot + 1) & mask;
    return slot;
}

static void rehash(struct id_set *set)
{
    memset(set->slots, 0, set->n_slots * sizeof *set->slots);
    for (size_t i = 0; i < set->n; i++)
        set->slots[slot_of(set, set->ids[i])] = (uint32_t)i + 1;
}

static int grow(struct id_set *set)
{
    size_t cap = set->cap ? set->cap * 2 : 8;
    int64_t *ids = realloc(set->ids, cap * sizeof *ids);
    if (!ids)
        return -ENOMEM;
    set->ids = ids;
    uint32_t *slots = realloc(set->slots, cap * 2 * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    set->slots = slots;
    set->cap = cap;
    set->n_slots = cap * 2;
    rehash(set);
    return 0;
}

int id_set_add(struct id_set *set, int64_t id)
{
    if (set->n == set->cap) {
        int r = grow(set);
        if (r < 0)
            return r;
    }
    size_t slot = slot_of(set, id);
    if (set->slots[slot])
        return 0;
    set->ids[set->n++] = id;
    set->slots[slot] = (uint32_t)set->n;
    return 1;
}

void id_set_truncate(struct id_set *set, size_t n)
{
    if (n >= set->n)
        return;
    set->n = n;
    rehash(set);
}

void id_set_done(struct id_set *set)
{
    free(set->ids);
    free(set->slots);
    *set = (struct id_set){0};
}
