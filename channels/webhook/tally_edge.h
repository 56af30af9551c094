#pragma once

// The incidents of the part of a day at which a window begins, which the counts of whole days don't
// have: read once, then told by problem.

#include "channels/webhook/tally.h"

struct tally_edge {
    struct tally all;
    struct edge_problem *problems; // owned; a hash of the ids, `id` 0 = empty
    size_t n, room;                // room: 0 or a power of two
};

// More problems than that on one day are counted in `all` only.
#define EDGE_PROBLEMS_MAX (1u << 18)

// 0, -ENOMEM or a store error; then there is nothing to free.
int tally_edge_read(struct store *s, const struct tally_window *w,
                    struct tally_edge *ret_edge) MUST_CHECK;
void tally_edge_done(struct tally_edge *e);

// Of one problem; valid until tally_edge_done. NULL: none.
const struct tally *tally_edge_of(const struct tally_edge *e, int64_t problem_id);
