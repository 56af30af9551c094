#include "channels/webhook/listing.h"

#include <errno.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/census.h"
#include "common/clock.h"

const char *const listing_states[] = {"undecided", "open", "all", NULL};

int listing_state_named(const char *name, enum listing_state *ret_state)
{
    for (int i = 0; listing_states[i]; i++)
        if (strcmp(name, listing_states[i]) == 0) {
            *ret_state = (enum listing_state)i;
            return 0;
        }
    return -EINVAL;
}

// One statement a state, so that each walks an index of its own. ?1 before, ?2 severity, ?3
// cluster, ?4 tests too.
#define FILTER                                                                                     \
    " AND (?2 < 0 OR i.severity = ?2) AND (?3 IS NULL OR p.cluster = ?3) AND (?4 OR i.kind <> 1)"
#define FROM " FROM incident i JOIN problem p ON p.id = i.problem_id WHERE "
#define UNDECIDED "(i.state < 3 OR i.verdict = 5)"

static const char *const select_ids[] = {
    "SELECT i.id" FROM UNDECIDED " AND i.id < ?1" FILTER " ORDER BY i.id DESC LIMIT ?5",
    "SELECT i.id" FROM "i.status = 0 AND i.id < ?1" FILTER " ORDER BY i.id DESC LIMIT ?5",
    "SELECT i.id" FROM "i.id < ?1" FILTER " ORDER BY i.id DESC LIMIT ?5",
};
static void bind_filter(struct stmt *q, const struct listing *l)
{
    bind_int(q, 1, l->before ? l->before : INT64_MAX);
    bind_int(q, 2, l->severity);
    bind_text(q, 3, l->cluster);
    bind_int(q, 4, l->tests);
}

int listing_ids(struct store *s, const struct listing *l, int64_t ids[LISTING_MAX], int *ret_n,
                bool *ret_more)
{
    int n = 0, r;
    int limit = l->limit < LISTING_MAX ? l->limit : LISTING_MAX;
    struct stmt *q = store_sql(s, select_ids[l->state]);
    bind_filter(q, l);
    bind_int(q, 5, limit + 1);
    while ((r = stmt_step(q)) > 0) {
        if (n < limit)
            ids[n] = col_int(q, 0);
        n++;
    }
    if (r < 0)
        return r;
    *ret_more = n > limit;
    *ret_n = n < limit ? n : limit;
    return 0;
}

int listing_count(struct store *s, const struct listing *l, int64_t *ret_count)
{
    static const enum census_of of[] = {
        [LIST_UNDECIDED] = CENSUS_UNDECIDED, [LIST_OPEN] = CENSUS_OPEN, [LIST_ALL] = CENSUS_ALL};
    struct census_query all = {
        .of = of[l->state], .severity = l->severity, .cluster = l->cluster, .tests = l->tests};
    return census_count(s, &all, ret_count);
}

void listing_line(const struct incident_view *v, int64_t now, struct buf *out)
{
    char age[DURATION_SIZE];
    buf_addf(out, "#%lld %s %s ", (long long)v->id, severity_name((enum alert_severity)v->severity),
             status_name(v->status));
    incident_view_title(v, out);
    if (v->members > 1)
        buf_addf(out, ", %lld alerts", (long long)v->members);
    buf_addf(out, ", %s, %s",
             duration_format((v->closed_at ? v->closed_at : now) - v->opened_at, age),
             state_name(v->state));
    if (v->verdict)
        buf_addf(out, ", %s", verdict_name(v->verdict));
    if (v->ticket[0])
        buf_addf(out, ", ticket %s", v->ticket);
}
