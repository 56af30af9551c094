#include "channels/webhook/proposal_find.h"

#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/noise.h"
#include "channels/webhook/proposal_store.h"

#define DAY_MS (24ll * 3600 * 1000)
#define MAX_DETAILS 6000  // firings looked up: each is a query
#define MIN_SERVICES 3    // that differ only in their tail: a family
#define MIN_NOISY_UNITS 3 // of one rule: the rule itself; two, where they are all there is

struct units { // of one rule, or of all
    struct tuning_unit *items;
    size_t n, cap;
};

static int units_add(struct units *all, struct tuning_unit *u)
{
    if (all->n == all->cap) {
        size_t cap = all->cap ? 2 * all->cap : 16;
        struct tuning_unit *items = realloc(all->items, cap * sizeof *items);
        if (!items)
            return -ENOMEM;
        all->items = items;
        all->cap = cap;
    }
    all->items[all->n++] = *u;
    *u = (struct tuning_unit){0};
    return 0;
}

static void units_truncate(struct units *all, size_t n)
{
    while (all->n > n)
        tuning_unit_done(&all->items[--all->n]);
}

// ---- what is noisy ----

// Makes the unit of what fired since its rule was last changed, and adds it if it is mostly noise.
// 1 = added, 0 = not.
static int consider(struct store *s, const struct tuning_data *d, enum proposal_scope scope,
                    size_t first, size_t end, struct units *all)
{
    struct tuning_unit u;
    struct buf key = BUF_INIT(4096);
    int64_t changed_at = 0;
    int r = tuning_unit_make(d, scope, first, end, 0, &u);
    if (r < 0)
        return r;
    bool noisy = tuning_unit_is_noise(&u);
    tuning_unit_key(&u, &key);
    if (noisy)
        r = key.error ? key.error : proposal_applied_at(s, buf_cstr(&key), &changed_at);
    buf_done(&key);
    if (r == 0 && changed_at) {
        tuning_unit_done(&u);
        r = tuning_unit_make(d, scope, first, end, changed_at, &u);
        noisy = r == 0 && tuning_unit_is_noise(&u);
    }
    if (r == 0 && noisy)
        r = units_add(all, &u) < 0 ? -ENOMEM : 1;
    if (r <= 0)
        tuning_unit_done(&u);
    return r;
}

static size_t services_in(const struct tuning_data *d, size_t first, size_t end)
{
    size_t n = 1;
    for (size_t i = first + 1; i < end; i++)
        n += strcmp(d->problems[i].service, d->problems[i - 1].service) != 0;
    return n;
}

static bool same_family(const struct tuning_problem *a, const struct tuning_problem *b)
{
    return strcmp(a->alertname, b->alertname) == 0 && strcmp(a->cluster, b->cluster) == 0 &&
           strcmp(a->family, b->family) == 0;
}

// One rule: its families and problems, and the rule itself where it is noisy everywhere.
static int consider_rule(struct store *s, const struct tuning_data *d, size_t first, size_t end,
                         struct units *all)
{
    size_t before = all->n;
    int r = 0;
    for (size_t a = first, b; r >= 0 && a < end; a = b) {
        for (b = a + 1; b < end && same_family(&d->problems[b], &d->problems[a]);)
            b++;
        r = services_in(d, a, b) >= MIN_SERVICES ? consider(s, d, SCOPE_FAMILY, a, b, all) : 0;
        for (size_t i = a; r == 0 && i < b; i++) {
            r = consider(s, d, SCOPE_PROBLEM, i, i + 1, all);
            r = r > 0 ? 0 : r;
        }
    }
    size_t noisy = all->n - before;
    if (r >= 0 && (noisy >= MIN_NOISY_UNITS || (noisy == 2 && end - first == 2)))
        r = consider(s, d, SCOPE_RULE, first, end, all);
    return r < 0 ? r : 0;
}

static int find_units(struct store *s, const struct tuning_data *d, struct units *all)
{
    int r = 0;
    for (size_t first = 0, end; r == 0 && first < d->n_problems; first = end) {
        for (end = first + 1; end < d->n_problems && strcmp(d->problems[end].alertname,
                                                            d->problems[first].alertname) == 0;)
            end++;
        r = consider_rule(s, d, first, end, all);
    }
    return r;
}

// ---- what may be called known noise ----

static void count_known(const struct tuning_unit *u, int64_t since, struct proposal_change *c)
{
    for (size_t i = 0; i < u->n; i++) {
        const struct tuning_firing *f = u->firings[i];
        if (f->opened_at < since)
            continue;
        c->of++;
        c->noise_removed += firing_is_noise(f);
        c->real += firing_is_real(f);
    }
    c->removed = c->noise_removed;
}

// A problem in prod that would be known noise in dev: the owner may confirm it.
static int find_known(struct store *s, const struct tuning_data *d, size_t problem,
                      struct proposal *ret)
{
    struct tuning_unit u;
    if (d->problems[problem].n < NOISE_MIN_VERDICTS)
        return 0;
    int r = tuning_unit_make(d, SCOPE_PROBLEM, problem, problem + 1, 0, &u);
    if (r < 0)
        return r;
    struct noise_case c = {
        .problem_id = u.problem_id, .severity = u.firings[u.n - 1]->severity, .prod = false};
    r = u.prod ? noise_is_known(s, &c, d->now) : 0;
    if (r <= 0) {
        tuning_unit_done(&u);
        return r;
    }
    *ret = (struct proposal){.unit = u, .chosen = {.kind = PROPOSAL_KNOWN_NOISE}};
    count_known(&u, d->now - NOISE_DAYS * DAY_MS, &ret->chosen);
    return 1;
}

struct busy {
    size_t problem, firings;
};

static int busiest_first(const void *a, const void *b)
{
    const struct busy *x = a, *y = b;
    return x->firings > y->firings ? -1 : x->firings < y->firings;
}

static int find_all_known(struct store *s, struct proposals *p)
{
    struct busy *busy = calloc(p->data.n_problems ? p->data.n_problems : 1, sizeof *busy);
    size_t most = p->n + PROPOSALS_MAX;
    if (!busy)
        return -ENOMEM;
    for (size_t i = 0; i < p->data.n_problems; i++)
        busy[i] = (struct busy){i, p->data.problems[i].n};
    qsort(busy, p->data.n_problems, sizeof *busy, busiest_first);
    int r = 0;
    for (size_t i = 0; r >= 0 && i < p->data.n_problems && p->n < most; i++) {
        r = find_known(s, &p->data, busy[i].problem, &p->items[p->n]);
        p->n += r > 0;
    }
    free(busy);
    return r;
}

// ---- all ----

static int most_noise_first(const void *a, const void *b)
{
    const struct tuning_unit *x = a, *y = b;
    return x->noise > y->noise ? -1 : x->noise < y->noise;
}

static int find_change(struct store *s, const struct tuning_data *d, struct tuning_unit *u,
                       size_t *details, struct proposal *ret)
{
    struct proposal_changes changes;
    int r = 0;
    if (*details + u->n > MAX_DETAILS)
        return 0;
    *details += u->n;
    for (size_t i = 0; r == 0 && i < u->n; i++)
        r = tuning_firing_detail(s, u->firings[i]);
    tuning_same_unit(u->firings, u->n);
    if (r == 0)
        r = proposal_changes_find(d, u, &changes);
    if (r < 0 || changes.n == 0)
        return r;
    *ret = (struct proposal){.unit = *u, .changes = changes, .chosen = changes.items[0]};
    *u = (struct tuning_unit){0};
    return 1;
}

// A change of the rule itself says it for all that it watches.
static bool is_said(const struct proposals *p, const struct tuning_unit *u)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].unit.scope == SCOPE_RULE &&
            strcmp(p->items[i].unit.alertname, u->alertname) == 0)
            return true;
    return false;
}

static int fill(struct store *s, struct units *units, struct proposals *p)
{
    size_t details = 0;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < units->n && p->n < PROPOSALS_MAX; i++) {
        if (is_said(p, &units->items[i]))
            continue;
        r = find_change(s, &p->data, &units->items[i], &details, &p->items[p->n]);
        p->n += r > 0;
    }
    if (r >= 0)
        r = find_all_known(s, p);
    return r < 0 ? r : 0;
}

int proposals_find(struct store *s, int64_t days, int64_t now, struct proposals *ret_proposals)
{
    struct proposals p = {.n = 0};
    struct units units = {.n = 0};
    int r = tuning_data_load(s, now - days * DAY_MS, now, &p.data);
    if (r == 0)
        r = find_units(s, &p.data, &units);
    if (r == 0 && units.n)
        qsort(units.items, units.n, sizeof *units.items, most_noise_first);
    p.items = r == 0 ? calloc(2ul * PROPOSALS_MAX, sizeof *p.items) : NULL;
    if (r == 0)
        r = p.items ? fill(s, &units, &p) : -ENOMEM;
    units_truncate(&units, 0);
    free(units.items);
    if (r < 0)
        proposals_done(&p);
    else
        *ret_proposals = p;
    return r;
}

void proposals_done(struct proposals *p)
{
    for (size_t i = 0; i < p->n; i++)
        tuning_unit_done(&p->items[i].unit);
    free(p->items);
    tuning_data_done(&p->data);
    *p = (struct proposals){.n = 0};
}
