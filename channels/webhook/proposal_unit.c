#include "channels/webhook/proposal_unit.h"

#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/terms.h"
#include "common/text.h"

#define WEEK_MS (7.0 * 24 * 3600 * 1000)
#define DAY_MS (24.0 * 3600 * 1000)
#define KEY_SEPARATOR '\x1f'

bool firing_is_noise(const struct tuning_firing *f)
{
    return f->verdict == VERDICT_NOISE;
}

bool firing_is_real(const struct tuning_firing *f)
{
    return f->verdict == VERDICT_REAL || f->verdict == VERDICT_AUTO_FIXED ||
           f->verdict == VERDICT_ESCALATED;
}

static int by_time(const void *a, const void *b)
{
    const struct tuning_firing *x = *(struct tuning_firing *const *)a,
                               *y = *(struct tuning_firing *const *)b;
    if (x->opened_at != y->opened_at)
        return x->opened_at < y->opened_at ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void count(const struct tuning_data *d, struct tuning_unit *u)
{
    for (size_t i = 0; i < u->n; i++) {
        const struct tuning_firing *f = u->firings[i];
        if (firing_is_noise(f))
            u->noise++;
        else if (firing_is_real(f))
            u->real++;
        else
            u->other++;
        u->unsure += f->verdict == VERDICT_UNSURE;
        u->folded += firing_is_noise(f) && f->folded;
        u->flaps += (size_t)f->flaps;
        u->prod |= f->prod;
        if (f->severity > u->severity)
            u->severity = f->severity;
    }
    // A day at least: what began an hour ago has no weekly rate.
    double span = u->n ? (double)(d->now - u->firings[0]->opened_at) : 0;
    if (span < DAY_MS)
        span = DAY_MS;
    u->per_week = (double)u->n * WEEK_MS / span;
}

static const char *common(const char *a, const char *b)
{
    return strcmp(a, b) == 0 ? a : "";
}

static void name(const struct tuning_data *d, size_t first, size_t end, struct tuning_unit *u)
{
    const struct tuning_problem *p = &d->problems[first];
    u->alertname = p->alertname;
    u->family = p->family;
    u->cluster = p->cluster;
    u->namespace = p->namespace;
    u->service = p->service;
    u->problem_id = u->scope == SCOPE_PROBLEM ? p->id : 0;
    u->services = 1;
    for (size_t i = first + 1; i < end; i++) {
        u->cluster = common(u->cluster, d->problems[i].cluster);
        u->namespace = common(u->namespace, d->problems[i].namespace);
        u->services += strcmp(d->problems[i].service, d->problems[i - 1].service) != 0;
    }
    if (u->scope != SCOPE_PROBLEM)
        u->service = "";
}

int tuning_unit_make(const struct tuning_data *d, enum proposal_scope scope, size_t first,
                     size_t end, int64_t since, struct tuning_unit *ret_unit)
{
    struct tuning_unit u = {.scope = scope};
    size_t from = d->problems[first].first,
           to = d->problems[end - 1].first + d->problems[end - 1].n;
    u.firings = calloc(to - from, sizeof(struct tuning_firing *));
    if (!u.firings)
        return -ENOMEM;
    for (size_t i = from; i < to; i++)
        if (d->firings[i].opened_at >= since)
            u.firings[u.n++] = &d->firings[i];
    qsort(u.firings, u.n, sizeof(struct tuning_firing *), by_time);
    if (u.n > UNIT_MAX_FIRINGS) {
        memmove(u.firings, u.firings + u.n - UNIT_MAX_FIRINGS,
                UNIT_MAX_FIRINGS * sizeof(struct tuning_firing *));
        u.n = UNIT_MAX_FIRINGS;
    }
    name(d, first, end, &u);
    count(d, &u);
    *ret_unit = u;
    return 0;
}

void tuning_unit_done(struct tuning_unit *u)
{
    free(u->firings);
    *u = (struct tuning_unit){0};
}

bool tuning_unit_is_noise(const struct tuning_unit *u)
{
    return u->n >= PROPOSAL_MIN_FIRINGS && u->noise >= PROPOSAL_MIN_NOISE &&
           u->noise - u->folded >= PROPOSAL_MIN_LOOKED_AT && u->noise * 2 >= u->n &&
           u->noise * 5 >= (u->noise + u->real + u->unsure) * 4;
}

void tuning_unit_key(const struct tuning_unit *u, struct buf *out)
{
    static const char *const scopes[] = {"problem", "family", "rule"};
    buf_adds(out, scopes[u->scope]);
    buf_addf(out, "%c%s", KEY_SEPARATOR, u->alertname);
    if (u->scope == SCOPE_RULE)
        return;
    buf_addf(out, "%c%s%c%s", KEY_SEPARATOR, u->cluster, KEY_SEPARATOR,
             u->scope == SCOPE_FAMILY ? u->family : u->service);
    if (u->scope == SCOPE_PROBLEM)
        buf_addf(out, "%c%s", KEY_SEPARATOR, u->namespace);
}

void tuning_unit_service(const struct tuning_unit *u, struct buf *out)
{
    if (u->scope == SCOPE_FAMILY)
        buf_addf(out, "%s*", u->family);
    else
        buf_adds(out, u->service);
}

void tuning_unit_title(const struct tuning_unit *u, struct buf *out)
{
    struct buf service = BUF_INIT(1024);
    tuning_unit_service(u, &service);
    text_clean(out, str_of(u->alertname), 160, TEXT_ONE_LINE);
    if (service.len) {
        buf_adds(out, " on ");
        text_clean(out, buf_str(&service), 120, TEXT_ONE_LINE);
    } else if (u->services > 1) {
        buf_addf(out, " on %zu services", u->services);
    }
    buf_done(&service);
    if (u->cluster[0] || u->namespace[0]) {
        buf_adds(out, " (");
        text_clean(out, str_of(u->cluster), 80, TEXT_ONE_LINE);
        buf_adds(out, u->cluster[0] && u->namespace[0] ? " / " : "");
        text_clean(out, str_of(u->namespace), 80, TEXT_ONE_LINE);
        buf_addc(out, ')');
    }
}
