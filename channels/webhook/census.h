#pragma once

// How many incidents there are of a kind, without counting them: from the counts that the schema's
// triggers keep (common/schema.c). Tests count only where it says so.

#include "common/store.h"

enum census_of { CENSUS_UNDECIDED, CENSUS_OPEN, CENSUS_ALL }; // undecided: no verdict, or unsure

struct census_query {
    enum census_of of;
    int64_t severity;    // -1 = any
    const char *cluster; // NULL = any; borrowed
    bool tests;          // those, too
};

// 0, or a store error.
int census_count(struct store *s, const struct census_query *query, int64_t *ret_n) MUST_CHECK;
int census_waiting(struct store *s,
                   int64_t *ret_n) MUST_CHECK; // undecided, any severity and cluster
