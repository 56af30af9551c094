#include "channels/webhook/proposal_trial.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/text.h"

#define MINUTE_MS (60ll * 1000)
#define HOUR_MS (3600ll * 1000)
#define DAY_MS (24 * HOUR_MS)
#define BURST_MS (5 * MINUTE_MS)
#define MIN_REMOVED_PERCENT 60 // of the noise; less is not worth a change
#define MIN_DAYS 5             // for a daily pattern
#define MIN_BURSTS 3

void trial_count(const struct tuning_trial *s, struct proposal_change *c)
{
    c->of = s->u->n;
    c->real = s->u->real;
    c->removed = c->noise_removed = c->real_removed = c->other_removed = 0;
    for (size_t i = 0; i < s->u->n; i++) {
        if (!s->gone[i])
            continue;
        c->removed++;
        if (firing_is_noise(s->u->firings[i]))
            c->noise_removed++;
        else if (firing_is_real(s->u->firings[i]))
            c->real_removed++;
        else
            c->other_removed++;
    }
}

bool trial_removes(const struct tuning_trial *s, const struct proposal_change *c, size_t percent)
{
    return c->real_removed == 0 && c->noise_removed >= PROPOSAL_MIN_NOISE &&
           c->noise_removed * 100 >= s->u->noise * percent;
}

// ---- a longer `for` ----

static bool try_for(struct tuning_trial *s, struct proposal_change *c)
{
    static const int minutes[] = {1, 2, 3, 5, 10, 15, 20, 30, 45, 60};
    static const size_t percents[] = {95, 80, MIN_REMOVED_PERCENT};
    for (size_t p = 0; p < ARRAY_LEN(percents); p++) {
        for (size_t m = 0; m < ARRAY_LEN(minutes); m++) {
            c->seconds = minutes[m] * 60;
            for (size_t i = 0; i < s->u->n; i++) {
                int64_t lasted = s->u->firings[i]->duration_ms;
                s->gone[i] = lasted >= 0 && lasted < c->seconds * 1000;
            }
            trial_count(s, c);
            if (trial_removes(s, c, percents[p]))
                return true;
        }
    }
    return false;
}

// ---- another threshold ----

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

// The next number of two digits, in the direction of fewer firings.
static double round_up(double v)
{
    double step = 1, size = fabs(v);
    if (size == 0 || size > 1e15)
        return v;
    while (size / step >= 100)
        step *= 10;
    while (size / step < 10 && step > 1e-9)
        step /= 10;
    double n = v / step, whole = (double)(int64_t)n;
    return (n - whole > 1e-9 ? whole + 1 : whole) * step;
}

static const char *common_unit(const struct tuning_unit *u)
{
    const char *unit = NULL;
    for (size_t i = 0; i < u->n; i++) {
        if (isnan(u->firings[i]->value))
            continue;
        if (unit && strcmp(unit, u->firings[i]->unit) != 0)
            return NULL;
        unit = u->firings[i]->unit;
    }
    return unit;
}

// Turned around where the alert fires under its threshold, so that more is always worse.
static double worse(const struct proposal_change *c, double v)
{
    return c->below ? -v : v;
}

static bool sane(const struct tuning_trial *s, const struct proposal_change *c, const double *noise,
                 size_t n)
{
    double now = NAN;
    for (size_t i = 0; i < s->u->n; i++)
        if (!isnan(s->u->firings[i]->threshold))
            now = s->u->firings[i]->threshold;
    if (s->u->real)
        return isnan(now) || worse(c, c->threshold) > worse(c, now);
    // No real one says where the limit is: only as far as the noise is close together.
    double reach = isnan(now) ? 2 * fabs(noise[n / 2]) : 3 * fabs(now);
    return fabs(c->threshold) <= reach && (isnan(now) || worse(c, c->threshold) > worse(c, now)) &&
           worse(c, c->threshold) != 0;
}

static bool try_threshold_at(struct tuning_trial *s, struct proposal_change *c, double limit)
{
    c->threshold = c->below ? -round_up(limit) : round_up(limit);
    for (int exact = 0; exact < 2; exact++, c->threshold = c->below ? -limit : limit) {
        for (size_t i = 0; i < s->u->n; i++)
            s->gone[i] = !isnan(s->u->firings[i]->value) &&
                         worse(c, s->u->firings[i]->value) <= worse(c, c->threshold);
        trial_count(s, c);
        if (trial_removes(s, c, MIN_REMOVED_PERCENT))
            return true;
    }
    return false;
}

static int try_threshold(struct tuning_trial *s, struct proposal_change *c)
{
    static const size_t percentiles[] = {100, 95, 90, 80, 70};
    double *noise = calloc(s->u->n, sizeof *noise);
    size_t n = 0;
    bool found = false;
    if (!noise)
        return -ENOMEM;
    for (size_t i = 0; i < s->u->n; i++)
        c->below |= s->u->firings[i]->below;
    bool usable = common_unit(s->u) != NULL;
    for (size_t i = 0; i < s->u->n; i++) {
        const struct tuning_firing *f = s->u->firings[i];
        if (!isnan(f->value) && firing_is_noise(f))
            noise[n++] = worse(c, f->value);
        if (isnan(f->value) && firing_is_real(f))
            usable = false; // whether it would be lost cannot be said
    }
    qsort(noise, n, sizeof *noise, by_value);
    for (size_t p = 0; usable && !found && n >= PROPOSAL_MIN_NOISE && p < ARRAY_LEN(percentiles);
         p++)
        found =
            try_threshold_at(s, c, noise[(n - 1) * percentiles[p] / 100]) && sane(s, c, noise, n);
    free(noise);
    return found;
}

// ---- keep_firing_for ----

static int64_t gap_before(const struct tuning_trial *s, size_t i)
{
    const struct tuning_firing *f = s->u->firings[i];
    for (size_t j = i; j-- > 0;) {
        const struct tuning_firing *before = s->u->firings[j];
        if (before->problem == f->problem)
            return before->closed_at ? f->opened_at - before->closed_at : 0;
    }
    return INT64_MAX;
}

static bool try_keep_firing(struct tuning_trial *s, struct proposal_change *c)
{
    static const int minutes[] = {10, 15, 30, 60, 120};
    for (size_t m = 0; m < ARRAY_LEN(minutes); m++) {
        c->seconds = minutes[m] * 60;
        for (size_t i = 0; i < s->u->n; i++)
            s->gone[i] = gap_before(s, i) <= c->seconds * 1000;
        trial_count(s, c);
        // A flap is a firing that came back within minutes: those all go.
        c->of += s->u->flaps;
        c->removed += s->u->flaps;
        c->noise_removed += s->u->flaps;
        if (c->real_removed == 0 && c->removed >= PROPOSAL_MIN_FIRINGS &&
            c->removed * 100 >= c->of * MIN_REMOVED_PERCENT)
            return true;
    }
    return false;
}

// ---- one for many ----

static bool try_group(struct tuning_trial *s, struct proposal_change *c)
{
    size_t bursts = 0;
    int64_t began = INT64_MIN;
    if (s->u->scope == SCOPE_PROBLEM)
        return false;
    for (size_t i = 0; i < s->u->n; i++) {
        int64_t at = s->u->firings[i]->opened_at;
        s->gone[i] = began != INT64_MIN && at - began <= BURST_MS;
        if (!s->gone[i]) {
            began = at;
            bursts++;
        }
    }
    trial_count(s, c);
    return bursts >= MIN_BURSTS && trial_removes(s, c, MIN_REMOVED_PERCENT);
}

// ---- a test tenant ----

bool proposal_is_test_name(const char *name)
{
    static const char *const words[] = {"test", "tests", "testing",  "e2e", "sandbox",
                                        "demo", "dummy", "loadtest", "qa"};
    for (const char *p = name; *p; p += strspn(p, "-_./: ")) {
        size_t n = strcspn(p, "-_./: ");
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            if (text_equal_nocase((struct str){p, n}, words[i]))
                return true;
        p += n;
    }
    return false;
}

static bool try_drop(struct tuning_trial *s, struct proposal_change *c)
{
    const char *name = s->u->scope == SCOPE_FAMILY ? s->u->family : s->u->service;
    if (s->u->real || !(proposal_is_test_name(name) ||
                        (s->u->scope == SCOPE_PROBLEM && proposal_is_test_name(s->u->namespace))))
        return false;
    for (size_t i = 0; i < s->u->n; i++)
        s->gone[i] = true;
    trial_count(s, c);
    return trial_removes(s, c, MIN_REMOVED_PERCENT);
}

// ---- every day at the same time ----

static int hour_of(const struct tuning_firing *f)
{
    return (int)(f->opened_at % DAY_MS / HOUR_MS);
}

static size_t days_of(const struct tuning_trial *s)
{
    size_t days = 0;
    int64_t last = -1;
    for (size_t i = 0; i < s->u->n; i++) {
        int64_t day = s->u->firings[i]->opened_at / DAY_MS;
        if (!s->gone[i] || day == last)
            continue;
        days++;
        last = day;
    }
    return days;
}

static bool try_anomaly(struct tuning_trial *s, struct proposal_change *c)
{
    for (c->hours = 1; c->hours <= 3; c->hours++)
        for (c->hour = 0; c->hour < 24; c->hour++) {
            for (size_t i = 0; i < s->u->n; i++)
                s->gone[i] = (hour_of(s->u->firings[i]) - c->hour + 24) % 24 < c->hours;
            trial_count(s, c);
            if (trial_removes(s, c, 80) && days_of(s) >= MIN_DAYS)
                return true;
        }
    return false;
}

// ---- the choice ----

// What a change costs beside what it removes, in thousandths of the noise.
static size_t cost(const struct tuning_unit *u, const struct proposal_change *c)
{
    switch (c->kind) {
    case PROPOSAL_FOR: // each minute is one that a real one waits
        return 40 + (size_t)c->seconds / 60 * 3;
    case PROPOSAL_THRESHOLD: // what no real one has marked off is drawn around the noise itself
        return u->real ? 60 : 250;
    case PROPOSAL_KEEP_FIRING:
        return 30;
    case PROPOSAL_INHIBIT:
        return 20;
    case PROPOSAL_DROP: // of one service it hides whatever else may come
        return u->scope == SCOPE_FAMILY ? 0 : 400;
    case PROPOSAL_ANOMALY:
        return 200;
    case PROPOSAL_GROUP:
        return 220;
    default:
        return 0;
    }
}

static int64_t score(const struct tuning_unit *u, const struct proposal_change *c)
{
    size_t whole = c->kind == PROPOSAL_KEEP_FIRING ? c->of : u->noise,
           part = c->kind == PROPOSAL_KEEP_FIRING ? c->removed : c->noise_removed;
    return (int64_t)(part * 1000 / (whole ? whole : 1)) - (int64_t)cost(u, c);
}

static void add(struct proposal_changes *all, const struct tuning_unit *u,
                const struct proposal_change *c)
{
    size_t at = all->n;
    while (at && score(u, &all->items[at - 1]) < score(u, c)) {
        all->items[at] = all->items[at - 1];
        at--;
    }
    all->items[at] = *c;
    all->n++;
}

int proposal_changes_find(const struct tuning_data *d, const struct tuning_unit *u,
                          struct proposal_changes *ret_changes)
{
    struct proposal_changes all = {.n = 0};
    struct tuning_trial s = {.d = d, .u = u, .gone = calloc(u->n ? u->n : 1, sizeof(bool))};
    if (!s.gone)
        return -ENOMEM;
    int r = 0;
    for (int kind = PROPOSAL_FOR; r >= 0 && kind < PROPOSAL_KINDS; kind++) {
        struct proposal_change c = {.kind = (enum proposal_kind)kind};
        switch (c.kind) {
        case PROPOSAL_FOR:
            r = try_for(&s, &c);
            break;
        case PROPOSAL_THRESHOLD:
            r = try_threshold(&s, &c);
            break;
        case PROPOSAL_KEEP_FIRING:
            r = try_keep_firing(&s, &c);
            break;
        case PROPOSAL_GROUP:
            r = try_group(&s, &c);
            break;
        case PROPOSAL_INHIBIT:
            r = trial_inhibit(&s, &c);
            break;
        case PROPOSAL_DROP:
            r = try_drop(&s, &c);
            break;
        case PROPOSAL_ANOMALY:
            r = try_anomaly(&s, &c);
            break;
        default:
            r = 0;
        }
        if (r > 0)
            add(&all, u, &c);
    }
    free(s.gone);
    if (r < 0)
        return r;
    *ret_changes = all;
    return 0;
}
