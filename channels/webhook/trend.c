#include "channels/webhook/trend.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define PAIRS (TREND_BUCKETS * (TREND_BUCKETS - 1) / 2)
#define DAY 86400.0
#define HOURS 24
#define SEASON_DAYS 3
#define MAD_TO_SIGMA 1.4826 // of a normal distribution
#define Z_WHOLE 1.96        // two-sided 95 %
#define Z_PART 2.58         // 99 %: several windows are tried
#define RESET 0.4           // of the range: a fall of so much is one
#define JUMP 0.35           // of the range, from one bucket to the next
#define MAX_BREAKS 4        // that are followed one after the other
#define MAX_UNSURE 2.5      // high / estimate
#define MAX_LOOK_AHEAD 4    // times the history, where there is noise

struct window {
    size_t n;
    double width; // s of a bucket
    double t[TREND_BUCKETS], v[TREND_BUCKETS];
};

struct fit {
    double slope, slope_low, slope_high;
    double level; // at now
    double sigma; // of the residuals
};

// Everything is turned so that the threshold is above.
struct work {
    struct trend_question q;
    const struct trend_point *p; // without its daily rhythm
    size_t n;
    double season[HOURS]; // what was taken off
    bool seasonal;
    struct window w;
    double residual[TREND_BUCKETS];
    double scratch[PAIRS];
};

const char *trend_result_name(enum trend_result r)
{
    static const char *const names[TREND_RESULTS] = {"reaches",   "over",  "far",   "short",
                                                     "gaps",      "flat",  "noisy", "levelling",
                                                     "saw-tooth", "reset", "jump"};
    return names[r];
}

// ---- order statistics ----

// The k-th smallest (Hoare's FIND); reorders a.
static double kth(double *a, size_t n, size_t k)
{
    ptrdiff_t left = 0, right = (ptrdiff_t)n - 1, want = (ptrdiff_t)k;
    while (left < right) {
        double pivot = a[want];
        ptrdiff_t i = left, j = right;
        while (i <= j) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i <= j) {
                double swap = a[i];
                a[i++] = a[j];
                a[j--] = swap;
            }
        }
        if (j < want)
            left = i;
        if (want < i)
            right = j;
    }
    return a[want];
}

static double median(double *a, size_t n)
{
    double upper = kth(a, n, n / 2);
    return n % 2 ? upper : (upper + kth(a, n, n / 2 - 1)) / 2;
}

static double median3(double a, double b, double c)
{
    return a < b ? (b < c ? b : (a < c ? c : a)) : (a < c ? a : (b < c ? c : b));
}

// Of n values about `centre`, spoilt by the call.
static double sigma_about(double *a, size_t n, double centre)
{
    for (size_t i = 0; i < n; i++)
        a[i] = fabs(a[i] - centre);
    return MAD_TO_SIGMA * median(a, n);
}

// ---- windows ----

// The points from `from` on as bucket medians.
static void fill_window(struct work *k, double from)
{
    struct window *w = &k->w;
    size_t i = 0;
    while (i < k->n && k->p[i].t < from)
        i++;
    w->n = 0;
    if (i == k->n)
        return;
    double first = k->p[i].t, span = k->p[k->n - 1].t - first;
    w->width = fmax(k->q.step, span / (TREND_BUCKETS - 1));
    while (i < k->n && w->n < TREND_BUCKETS) {
        double end = first + (floor((k->p[i].t - first) / w->width) + 1) * w->width, sum = 0;
        size_t m = 0;
        for (; i < k->n && (k->p[i].t < end || m == 0); i++) {
            sum += k->p[i].t;
            k->scratch[m++] = k->p[i].v;
        }
        w->t[w->n] = sum / (double)m;
        w->v[w->n++] = median(k->scratch, m);
    }
}

static double span_of(const struct window *w)
{
    return w->n ? w->t[w->n - 1] - w->t[0] : 0;
}

static size_t pair_slopes(struct work *k, size_t first)
{
    const struct window *w = &k->w;
    size_t n = 0;
    for (size_t i = first; i < w->n; i++)
        for (size_t j = i + 1; j < w->n; j++)
            k->scratch[n++] = (w->v[j] - w->v[i]) / (w->t[j] - w->t[i]);
    return n;
}

// Smoothed by its neighbours: a single spike is nothing.
static double smooth(const struct window *w, size_t i)
{
    if (i == 0 || i + 1 == w->n)
        return w->v[i];
    return median3(w->v[i - 1], w->v[i], w->v[i + 1]);
}

static void range_of(const struct window *w, double *ret_low, double *ret_high)
{
    double low = smooth(w, 0), high = low;
    for (size_t i = 1; i < w->n; i++) {
        low = fmin(low, smooth(w, i));
        high = fmax(high, smooth(w, i));
    }
    *ret_low = low;
    *ret_high = high;
}

// From one bucket to the next.
static double step_noise(struct work *k)
{
    size_t n = k->w.n - 1;
    for (size_t i = 0; i < n; i++)
        k->scratch[i] = k->w.v[i + 1] - k->w.v[i];
    double centre = median(k->scratch, n);
    for (size_t i = 0; i < n; i++)
        k->scratch[i] = k->w.v[i + 1] - k->w.v[i];
    return sigma_about(k->scratch, n, centre);
}

// ---- where a trend breaks ----

struct falls {
    int n;
    size_t trough;                   // of the last one: where the latest climb began
    double peak, depth, rise_before; // of the last one
    bool falling;                    // and has not ended
};

// Turning points that are at least `least` apart.
static struct falls find_falls(const struct window *w, double least)
{
    struct falls f = {0};
    double high = smooth(w, 0), low = high;
    bool down = false;
    for (size_t i = 1; i < w->n; i++) {
        double v = smooth(w, i);
        if (!down) {
            high = fmax(high, v);
            if (high - v >= least) {
                f.n++;
                f.peak = high;
                f.rise_before = high - low;
                down = true;
                low = v;
                f.trough = i;
            }
            low = fmin(low, v);
        } else {
            if (v <= low) {
                low = v;
                f.trough = i;
            }
            if (v - low >= least) {
                down = false;
                f.depth = f.peak - low;
                high = v;
            }
        }
    }
    if (down)
        f.depth = f.peak - low;
    f.falling = down;
    return f;
}

// The last sudden rise of more than `least` beyond what the slope explains: its first bucket, or 0.
static size_t find_jump(const struct window *w, double slope, double least)
{
    double best = least;
    size_t at = 0;
    for (size_t i = 3; i + 3 <= w->n; i++) {
        double before = median3(w->v[i - 3], w->v[i - 2], w->v[i - 1]);
        double after = median3(w->v[i], w->v[i + 1], w->v[i + 2]);
        double rise = after - before - slope * (w->t[i + 1] - w->t[i - 2]);
        if (at && i > at + 3)
            best = least; // a later one counts, however small
        if (rise > best) {
            best = rise;
            at = i;
        }
    }
    return at;
}

// ---- the fit ----

// How much more the variance of S is than for independent residuals: at least 1.
static double inflation(const struct work *k, double sigma)
{
    size_t n = k->w.n;
    double zero = 0, sum = 0, limit = Z_WHOLE / sqrt((double)n);
    if (sigma <= 0)
        return 1;
    for (size_t i = 0; i < n; i++) {
        double r = fmax(-3, fmin(3, k->residual[i] / sigma));
        zero += r * r;
    }
    for (size_t lag = 1; lag <= n / 3; lag++) {
        double s = 0;
        for (size_t i = 0; i + lag < n; i++)
            s += fmax(-3, fmin(3, k->residual[i] / sigma)) *
                 fmax(-3, fmin(3, k->residual[i + lag] / sigma));
        if (s / zero < limit)
            break;
        sum += (1 - (double)lag / (double)n) * s / zero;
    }
    return 1 + 2 * sum;
}

// Residuals about the line through their median; returns its value at t = 0 of the window.
static double fit_residuals(struct work *k, double slope)
{
    const struct window *w = &k->w;
    for (size_t i = 0; i < w->n; i++)
        k->scratch[i] = w->v[i] - slope * (w->t[i] - w->t[0]);
    double base = median(k->scratch, w->n);
    for (size_t i = 0; i < w->n; i++)
        k->residual[i] = w->v[i] - slope * (w->t[i] - w->t[0]) - base;
    return base;
}

static void fit_line(struct work *k, double z, struct fit *f)
{
    const struct window *w = &k->w;
    size_t n = w->n, last = n < 5 ? n : 5, pairs = pair_slopes(k, 0);
    f->slope = median(k->scratch, pairs);
    double base = fit_residuals(k, f->slope);
    for (size_t i = 0; i < n; i++)
        k->scratch[i] = k->residual[i];
    f->sigma = sigma_about(k->scratch, n, 0);
    for (size_t i = 0; i < last; i++)
        k->scratch[i] = k->residual[n - last + i];
    f->level = base + f->slope * (k->q.now - w->t[0]) + median(k->scratch, last);

    double m = (double)n, variance = m * (m - 1) * (2 * m + 5) / 18 * inflation(k, f->sigma);
    double reach = z * sqrt(variance), low = floor(((double)pairs - reach) / 2);
    f->slope_low = -INFINITY;
    f->slope_high = INFINITY;
    if (low >= 0) {
        pair_slopes(k, 0);
        f->slope_low = kth(k->scratch, pairs, (size_t)low);
        f->slope_high = kth(k->scratch, pairs, pairs - 1 - (size_t)low);
    }
}

// ---- when ----

static double season_at(const struct work *k, double t)
{
    return k->seasonal ? k->season[(size_t)fmod(floor(t / 3600), HOURS)] : 0;
}

// Seconds from now until the line, with the day's rhythm on it, is at the threshold.
static double crossing(const struct work *k, double level, double slope)
{
    double missing = k->q.threshold - level;
    if (slope <= 0)
        return missing <= 0 ? 0 : INFINITY;
    if (!k->seasonal)
        return fmax(0, missing / slope);
    double hour = 3600 - fmod(k->q.now, 3600), from = 0, limit = 4 * k->q.horizon;
    for (; from < limit; from = hour, hour += 3600) {
        double at = (missing - season_at(k, k->q.now + from)) / slope;
        if (at <= hour)
            return fmax(from, at);
    }
    return missing / slope;
}

// ---- one window ----

static enum trend_result judge_fit(struct work *k, double z, struct trend *out)
{
    struct fit f;
    const struct window *w = &k->w;
    fit_line(k, z, &f);
    double span = span_of(w), rise = f.slope * span;
    out->slope = f.slope;
    out->since = w->t[0];
    if (rise <= 0 || rise < 2 * f.sigma)
        return TREND_FLAT;
    if (f.slope_low <= 0 || rise < 3 * f.sigma)
        return TREND_NOISY;

    size_t third = w->n - w->n / 3;
    double length = w->t[w->n - 1] - w->t[third],
           recent = median(k->scratch, pair_slopes(k, third));
    if (recent < 0.4 * f.slope)
        return TREND_LEVELLING;
    out->seconds = crossing(k, f.level, f.slope);
    out->low = crossing(k, f.level + f.sigma, f.slope_high);
    out->high = crossing(k, f.level - f.sigma, f.slope_low);
    if (fabs(recent - f.slope) * length > f.sigma) { // it bends
        double then = crossing(k, f.level, recent);
        out->low = fmin(out->low, fmin(then, out->seconds));
        out->high = fmax(out->high, fmax(then, out->seconds));
        out->seconds = then;
    }
    if (out->seconds > k->q.horizon)
        return TREND_FAR;
    if (out->high > MAX_UNSURE * out->seconds + w->width)
        return TREND_NOISY;
    if (out->seconds > MAX_LOOK_AHEAD * span && f.sigma > 0.01 * rise)
        return TREND_SHORT;
    return TREND_REACHES;
}

static enum trend_result look(struct work *k, double from, double z, int breaks, struct trend *out);

// What is left behind a break, if that is enough.
static enum trend_result look_behind(struct work *k, double from, double z, int breaks,
                                     enum trend_result why, struct trend *out)
{
    enum trend_result r = breaks < MAX_BREAKS ? look(k, from, z, breaks + 1, out) : TREND_SHORT;
    return r == TREND_SHORT || r == TREND_FLAT ? why : r;
}

static enum trend_result look(struct work *k, double from, double z, int breaks, struct trend *out)
{
    struct window *w = &k->w;
    double low, high;
    fill_window(k, from);
    if (w->n < TREND_MIN_POINTS || span_of(w) + w->width < k->q.min_history)
        return TREND_SHORT;
    if ((double)w->n < 0.6 * span_of(w) / w->width)
        return TREND_GAPS;
    range_of(w, &low, &high);
    if (high <= low)
        return TREND_FLAT;
    double noise = step_noise(k), least = fmax(RESET * (high - low), 6 * noise);
    struct falls f = find_falls(w, least);
    if (f.n > 1)
        return TREND_SAW_TOOTH;
    if (f.n == 1) {
        // A tooth may end where the one before it did.
        bool tooth = f.rise_before >= 0.5 * f.depth;
        if (f.falling && !tooth)
            return TREND_FLAT;
        if (f.falling || (tooth && smooth(w, w->n - 1) < f.peak - 0.1 * f.depth))
            return TREND_RESET;
        return look_behind(k, w->t[f.trough], z, breaks, TREND_RESET, out);
    }
    double slope = median(k->scratch, pair_slopes(k, 0));
    size_t jump = find_jump(w, fmax(0, slope), fmax(JUMP * (high - low), 5 * noise));
    if (jump)
        return look_behind(k, w->t[jump], z, breaks, TREND_JUMP, out);
    return judge_fit(k, z, out);
}

// ---- the whole ----

// Values of each hour of the day about the line through all of them. Kept if they explain the
// residuals.
static void take_season_off(struct work *k, struct trend_point *p)
{
    if (p[k->n - 1].t - p[0].t < SEASON_DAYS * DAY || k->q.step > 2 * 3600)
        return;
    fill_window(k, p[0].t);
    if (k->w.n < TREND_MIN_POINTS)
        return;
    double slope = median(k->scratch, pair_slopes(k, 0)), base = fit_residuals(k, slope);
    for (size_t hour = 0; hour < HOURS; hour++) {
        size_t m = 0;
        for (size_t i = 0; i < k->n; i++)
            if ((size_t)fmod(floor(p[i].t / 3600), HOURS) == hour)
                k->scratch[m++] = p[i].v - slope * (p[i].t - k->w.t[0]) - base;
        k->season[hour] = m >= SEASON_DAYS ? median(k->scratch, m) : 0;
    }
    for (size_t i = 0; i < k->n; i++)
        k->scratch[i] = p[i].v - slope * (p[i].t - k->w.t[0]) - base;
    double before = sigma_about(k->scratch, k->n, 0);
    k->seasonal = true;
    for (size_t i = 0; i < k->n; i++)
        k->scratch[i] = p[i].v - slope * (p[i].t - k->w.t[0]) - base - season_at(k, p[i].t);
    k->seasonal = sigma_about(k->scratch, k->n, 0) < 0.7 * before;
    for (size_t i = 0; k->seasonal && i < k->n; i++)
        p[i].v -= season_at(k, p[i].t);
}

// A shorter window may tell what began in it, but only of values that were never seen before it.
static enum trend_result look_closer(struct work *k, enum trend_result whole, struct trend *out)
{
    double first = k->p[0].t, last = k->p[k->n - 1].t;
    for (double span = (last - first) / 3; span >= k->q.min_history; span /= 3) {
        struct trend part = *out;
        fill_window(k, first);
        double highest = -INFINITY;
        for (size_t i = 0; i < k->w.n && k->w.t[i] < last - span; i++)
            highest = fmax(highest, smooth(&k->w, i));
        if (smooth(&k->w, k->w.n - 1) < highest)
            continue;
        if (look(k, last - span, Z_PART, 0, &part) == TREND_REACHES) {
            *out = part;
            return TREND_REACHES;
        }
    }
    return whole;
}

// Most series are nowhere near: not even all of their range again, in each stretch of the least
// history, takes them there. Saves the pairs.
static bool is_out_of_reach(const struct work *k, double value)
{
    double low = k->p[0].v, high = low;
    for (size_t i = 1; i < k->n; i++) {
        low = fmin(low, k->p[i].v);
        high = fmax(high, k->p[i].v);
    }
    return value + (high - low) * (1 + k->q.horizon / k->q.min_history) < k->q.threshold;
}

static enum trend_result answer(struct work *k, struct trend_point *p, struct trend *out)
{
    if (k->n < TREND_MIN_POINTS)
        return TREND_SHORT;
    out->value = median3(p[k->n - 3].v, p[k->n - 2].v, p[k->n - 1].v);
    if (k->q.now - p[k->n - 1].t > 3 * k->q.step)
        return TREND_GAPS;
    if (out->value >= k->q.threshold)
        return TREND_OVER;
    if (is_out_of_reach(k, out->value))
        return TREND_FAR;
    take_season_off(k, p);
    struct trend whole = *out;
    enum trend_result r = look(k, p[0].t, Z_WHOLE, 0, &whole);
    if (r == TREND_FLAT || r == TREND_FAR || r == TREND_NOISY)
        r = look_closer(k, r, &whole);
    *out = whole;
    return r;
}

int trend_of(const struct trend_question *q, struct trend_point *points, size_t n,
             struct trend *ret_trend)
{
    struct work *k = calloc(1, sizeof *k);
    if (!k)
        return -ENOMEM;
    double sign = q->down ? -1 : 1;
    if (n > PAIRS) { // the latest fit into the scratch memory
        points += n - PAIRS;
        n = PAIRS;
    }
    k->q = *q;
    k->q.threshold *= sign;
    k->p = points;
    for (size_t i = 0; i < n; i++)
        if (isfinite(points[i].v) && points[i].t <= q->now)
            points[k->n++] = (struct trend_point){points[i].t, sign * points[i].v};
    struct trend out = {0};
    out.result = answer(k, points, &out);
    out.value *= sign;
    out.slope *= sign;
    *ret_trend = out;
    free(k);
    return 0;
}
