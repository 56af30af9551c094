#include "channels/webhook/proposal_trial.h"

#define MINUTE_MS (60ll * 1000)
// Who comes with whom is looked up for each pair, so it is bounded.
#define MAX_RULES 64
#define MAX_PROBLEMS 50   // of one of them
#define MAX_INHIBITED 300 // firings of the unit
#define MAX_OVERLAP 200   // firings around one

struct rival {
    const char *alertname;
    size_t ahead,
        same_namespace; // of the unit's firings: it was there before, in the same namespace
    int severity;
    int64_t open_ms; // of all its firings together
};

static bool overlaps(const struct tuning_data *d, const struct tuning_firing *f,
                     const struct tuning_firing *g)
{
    return g->opened_at <= f->opened_at + 2 * MINUTE_MS &&
           (g->closed_at ? g->closed_at : d->now) >= f->opened_at;
}

// Counts the firings of one other problem that were there when the unit's own came. Both are in the
// order of time, but an old one may still be open, so a bounded number of them is looked at.
static void count_rival(const struct tuning_trial *s, const struct tuning_problem *p,
                        struct rival *r)
{
    for (size_t i = 0; i < s->u->n; i++) {
        const struct tuning_firing *f = s->u->firings[i];
        const struct tuning_problem *own = &s->d->problems[f->problem];
        if (strcmp(own->cluster, p->cluster) != 0)
            continue;
        size_t low = p->first, high = p->first + p->n; // the first that opened too late
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (s->d->firings[middle].opened_at <= f->opened_at + 2 * MINUTE_MS)
                low = middle + 1;
            else
                high = middle;
        }
        for (size_t looked = 0; low-- > p->first && looked < MAX_OVERLAP; looked++) {
            const struct tuning_firing *g = &s->d->firings[low];
            if (!overlaps(s->d, f, g))
                continue;
            s->gone[i] = true;
            r->ahead += g->opened_at < f->opened_at - 1000;
            r->same_namespace += strcmp(own->namespace, p->namespace) == 0;
            break;
        }
    }
    for (size_t i = p->first; i < p->first + p->n; i++) {
        const struct tuning_firing *g = &s->d->firings[i];
        r->open_ms += (g->closed_at ? g->closed_at : s->d->now) - g->opened_at;
        r->severity = g->severity > r->severity ? g->severity : r->severity;
    }
}

// Which of two that always come together is the cause: the one that is there first, else the
// graver, else (so that it is one of them) by name.
static bool is_cause(const struct rival *r, const struct tuning_unit *u, size_t removed)
{
    if (r->ahead * 5 >= removed * 4)
        return true;
    if (r->severity != u->severity)
        return r->severity > u->severity;
    return r->ahead * 2 > removed ||
           (r->ahead * 5 > removed && strcmp(r->alertname, u->alertname) < 0);
}

static bool try_inhibit_by(struct tuning_trial *s, struct rival *r, size_t first, size_t end,
                           struct proposal_change *c)
{
    for (size_t i = 0; i < s->u->n; i++)
        s->gone[i] = false;
    size_t firings = 0;
    for (size_t p = first; p < end; p++) {
        const struct tuning_problem *other = &s->d->problems[p];
        if (s->u->cluster[0] && strcmp(other->cluster, s->u->cluster) != 0)
            continue;
        count_rival(s, other, r);
        firings += other->n;
    }
    trial_count(s, c);
    c->other = r->alertname;
    c->same_namespace = r->same_namespace >= c->removed;
    // One that is open half of the time is there by chance.
    return firings >= PROPOSAL_MIN_FIRINGS && r->open_ms * 2 < s->d->now - s->d->since &&
           trial_removes(s, c, 90) && is_cause(r, s->u, c->removed);
}

bool trial_inhibit(struct tuning_trial *s, struct proposal_change *c)
{
    size_t rules = 0;
    for (size_t first = 0, end; first < s->d->n_problems; first = end) {
        const char *alertname = s->d->problems[first].alertname;
        for (end = first + 1;
             end < s->d->n_problems && strcmp(s->d->problems[end].alertname, alertname) == 0;)
            end++;
        if (strcmp(alertname, s->u->alertname) == 0)
            continue;
        struct rival r = {.alertname = alertname};
        if (++rules > MAX_RULES || s->u->n > MAX_INHIBITED)
            return false;
        if (end - first <= MAX_PROBLEMS && try_inhibit_by(s, &r, first, end, c))
            return true;
    }
    return false;
}
