#include "common/counters.h"

#include <stdio.h>
#include <stdlib.h>

static struct {
    const char *name;
    int64_t n;
} counters[COUNTERS_MAX];
static size_t n_counters;

void counter_add(const char *name, int64_t n)
{
    size_t i = 0;
    while (i < n_counters && counters[i].name != name && strcmp(counters[i].name, name) != 0)
        i++;
    if (i == COUNTERS_MAX)
        return;
    if (i == n_counters)
        counters[n_counters++].name = name;
    counters[i].n += n;
}

// Upper bounds in seconds, from a commit to a night.
static const struct {
    int64_t ms;
    const char *le;
} bounds[] = {{1, "0.001"},    {5, "0.005"},    {10, "0.01"},      {50, "0.05"},
              {250, "0.25"},   {1000, "1"},     {10000, "10"},     {60000, "60"},
              {300000, "300"}, {900000, "900"}, {3600000, "3600"}, {INT64_MAX, "+Inf"}};

#define MAX_HISTOGRAMS 8

// Names are made once and kept: counter_add borrows them for good.
struct histogram {
    const char *name;
    char bucket[ARRAY_LEN(bounds)][80], sum[64], count[64];
};
static struct histogram histograms[MAX_HISTOGRAMS];
static size_t n_histograms;

static struct histogram *histogram_named(const char *name)
{
    for (size_t i = 0; i < n_histograms; i++)
        if (strcmp(histograms[i].name, name) == 0)
            return &histograms[i];
    if (n_histograms == MAX_HISTOGRAMS)
        return NULL;
    struct histogram *h = &histograms[n_histograms++];
    h->name = name;
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++)
        snprintf(h->bucket[i], sizeof h->bucket[i], "%s_bucket{le=\"%s\"}", name, bounds[i].le);
    snprintf(h->sum, sizeof h->sum, "%s_sum", name);
    snprintf(h->count, sizeof h->count, "%s_count", name);
    return h;
}

void counter_observe(const char *name, int64_t ms)
{
    struct histogram *h = histogram_named(name);
    if (!h)
        return;
    if (ms < 0)
        ms = 0; // the wall clock was set back
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++)
        counter_add(h->bucket[i], ms <= bounds[i].ms);
    counter_add(h->sum, ms);
    counter_add(h->count, 1);
}

int counter_add_now(struct store *s, const char *name, int64_t n)
{
    struct stmt *q = store_sql(
        s,
        "INSERT INTO counter(name, n) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET n = n + ?2");
    bind_text(q, 1, name);
    bind_int(q, 2, n);
    return stmt_run(q);
}

static int write_all(struct store *s)
{
    int r = store_begin(s);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < n_counters; i++)
        if (counters[i].n)
            r = counter_add_now(s, counters[i].name, counters[i].n);
    if (r == 0)
        return store_commit(s);
    store_rollback(s);
    return r;
}

int counters_flush(struct store *s)
{
    bool any = false;
    for (size_t i = 0; i < n_counters; i++)
        any |= counters[i].n != 0;
    if (!any)
        return 0;
    int r = stmt_run(store_sql(s, "PRAGMA synchronous=NORMAL"));
    if (r == 0)
        r = write_all(s);
    int full = stmt_run(store_sql(s, "PRAGMA synchronous=FULL"));
    for (size_t i = 0; r == 0 && i < n_counters; i++)
        counters[i].n = 0;
    return r < 0 ? r : full;
}
