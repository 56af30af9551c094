#pragma once

// The days of a window by name, of all rules or of all families of services, and the busiest of
// them: what GROUP BY does, without its sorting.

#include "channels/webhook/tally.h"

struct tally_name {
    char *name;        // as tally's key; owned; NULL = an empty place
    int64_t rank;      // the whole days and the one that the window cuts
    struct tally days; // the whole days
};

// A hash; zeroed is empty.
struct tally_names {
    struct tally_name *places; // owned
    size_t n, room;            // room: 0 or a power of two
};

// Beyond so many names only those that are there already are counted.
#define TALLY_NAMES_MAX (1u << 16)

// Ranked by their incidents. 0, -ENOMEM or a store error; *ret is to be freed in any case.
int tally_names_of_rules(struct store *s, const struct tally_window *w,
                         struct tally_names *ret) MUST_CHECK;
// Those that were noise on some day, ranked by how often, with nothing but that in their days.
int tally_names_of_noise(struct store *s, const struct tally_window *w,
                         struct tally_names *ret) MUST_CHECK;
// The name's place, made if need be; NULL in *ret_place when there are too many. 0, or -ENOMEM.
int tally_names_place(struct tally_names *t, const char *name,
                      struct tally_name **ret_place) MUST_CHECK;
void tally_names_done(struct tally_names *t);

// The highest by rank, then by name; at most `max`. Returns how many. They belong to t.
size_t tally_names_top(const struct tally_names *t, size_t max, const struct tally_name **out);
