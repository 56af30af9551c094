#include "channels/webhook/census.h"

#define FILTER                                                                                     \
    " AND (?1 < 0 OR severity = ?1) AND (?2 IS NULL OR cluster = ?2) AND (?3 OR test = 0)"

static const char *const counts[] = {
    [CENSUS_UNDECIDED] = "SELECT sum(n) FROM census WHERE (state < 3 OR verdict = 5)" FILTER,
    [CENSUS_OPEN] = "SELECT sum(n) FROM census WHERE firing = 1" FILTER,
    [CENSUS_ALL] = "SELECT sum(n) FROM census WHERE 1" FILTER,
};

int census_count(struct store *s, const struct census_query *query, int64_t *ret_n)
{
    struct stmt *q = store_sql(s, counts[query->of]);
    bind_int(q, 1, query->severity);
    bind_text(q, 2, query->cluster);
    bind_int(q, 3, query->tests);
    int r = stmt_step(q);
    if (r > 0)
        *ret_n = col_int(q, 0);
    stmt_reset(q);
    return r < 0 ? r : 0;
}

int census_waiting(struct store *s, int64_t *ret_n)
{
    struct census_query all = {.of = CENSUS_UNDECIDED, .severity = -1};
    return census_count(s, &all, ret_n);
}
