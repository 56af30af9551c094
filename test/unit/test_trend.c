#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "channels/webhook/trend.h"

#define HOUR 3600.0
#define DAY 86400.0
#define NOW 1790000000.0 // of no matter, but for the time of day
#define MAX_POINTS 1200

// ---- series ----

static uint64_t seed;

static double uniform(void) // 0 to 1
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(seed >> 11) / 9007199254740992.0;
}

static double normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return sum;
}

struct series {
    size_t n;
    double step;
    struct trend_point p[MAX_POINTS];
};

static struct series series;

// Times only: `days` up to now, a point each `step`.
static void series_begin(double days, double step)
{
    series.n = (size_t)(days * DAY / step) + 1;
    series.step = step;
    assert_true(series.n <= MAX_POINTS);
    for (size_t i = 0; i < series.n; i++)
        series.p[i] = (struct trend_point){NOW - (double)(series.n - 1 - i) * step, 0};
}

static double age(size_t i) // s since the first point
{
    return series.p[i].t - series.p[0].t;
}

static struct trend ask(struct trend_question q)
{
    struct trend t;
    q.now = NOW;
    q.step = series.step;
    if (q.horizon == 0)
        q.horizon = 36 * HOUR;
    if (q.min_history == 0)
        q.min_history = 6 * HOUR;
    assert_int_equal(trend_of(&q, series.p, series.n, &t), 0);
    return t;
}

static void expect(enum trend_result want, struct trend got)
{
    if (got.result != want)
        fail_msg("%s instead of %s", trend_result_name(got.result), trend_result_name(want));
}

// ---- one by one ----

static void test_a_line_is_exact(void **state)
{
    (void)state;
    series_begin(3, 1800);
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 50 + 20 * age(i) / (3 * DAY);
    struct trend t = ask((struct trend_question){.threshold = 75});
    expect(TREND_REACHES, t);
    assert_true(fabs(t.seconds - 18 * HOUR) < 60);
    assert_true(t.low <= t.seconds && t.seconds <= t.high && t.high < t.low + 600);
    assert_true(fabs(t.value - 70) < 0.5);
}

static void test_downwards_is_the_same(void **state)
{
    (void)state;
    series_begin(1, 600);
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 10 * DAY - age(i); // a certificate
    struct trend t =
        ask((struct trend_question){.threshold = 0, .down = true, .horizon = 14 * DAY});
    expect(TREND_REACHES, t);
    assert_true(fabs(t.seconds - 9 * DAY) < 600);
    assert_true(t.slope < 0 && t.value > 0);
}

static void test_noise_widens_the_interval(void **state)
{
    (void)state;
    double width[2];
    for (int k = 0; k < 2; k++) {
        seed = 7;
        series_begin(3, 1800);
        for (size_t i = 0; i < series.n; i++)
            series.p[i].v = 50 + 20 * age(i) / (3 * DAY) + (k ? 2 : 0.2) * normal();
        struct trend t = ask((struct trend_question){.threshold = 75});
        expect(TREND_REACHES, t);
        assert_true(t.low < 18 * HOUR && t.high > 18 * HOUR);
        width[k] = t.high - t.low;
    }
    assert_true(width[1] > 3 * width[0]);
}

static void test_reasons_why_not(void **state)
{
    (void)state;
    struct trend_question q = {.threshold = 90};
    seed = 1;
    series_begin(0.2, 1800);
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 80 + age(i) / HOUR;
    expect(TREND_SHORT, ask(q));

    series_begin(3, 1800);
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 60;
    expect(TREND_FAR, ask(q)); // constant
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 60 + normal();
    expect(TREND_FLAT, ask(q));
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 80 - 5 * age(i) / DAY;
    expect(TREND_FLAT, ask(q)); // it goes the other way
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 60 + age(i) / DAY;
    expect(TREND_FAR, ask(q));
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 88 + age(i) / DAY;
    expect(TREND_OVER, ask(q));
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 50 + fmod(age(i), 9 * HOUR) / HOUR * 4;
    expect(TREND_SAW_TOOTH, ask(q));
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 50 + (age(i) > 2 * DAY ? 30 : 0) + 0.3 * normal();
    expect(TREND_JUMP, ask(q));
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 85 - 40 * exp(-age(i) / (0.7 * DAY));
    expect(TREND_LEVELLING, ask(q));
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 60 + 10 * age(i) / DAY - (age(i) > 69 * HOUR ? 28 : 0);
    expect(TREND_RESET, ask(q));
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 60 + 9 * age(i) / DAY;
    series.n -= 10;
    expect(TREND_GAPS, ask(q)); // it ended hours ago
}

static void test_holes(void **state)
{
    (void)state;
    struct trend_question q = {.threshold = 95};
    series_begin(3, 1800);
    size_t n = 0;
    for (size_t i = 0; i < series.n; i++)
        if (i < series.n / 4 || i > series.n * 7 / 8) {
            series.p[n] = series.p[i];
            series.p[n++].v = 60 + 10 * (series.p[i].t - NOW + 3 * DAY) / DAY;
        }
    series.n = n;
    expect(TREND_GAPS, ask(q));
    series_begin(3, 1800); // 13 points in two places tell nothing of a day's rhythm either
    for (size_t i = 0; i < 13; i++)
        series.p[i] = (struct trend_point){
            i < 10 ? NOW - 3 * DAY + (double)i : NOW - (double)(13 - i), 50 + 3 * (double)i};
    series.n = 13;
    expect(TREND_SHORT, ask(q));
}

// Where there is noise nobody looks ten times as far ahead as back.
static void test_far_ahead_of_a_short_past(void **state)
{
    (void)state;
    struct trend_question q = {.threshold = 170, .horizon = 30 * DAY};
    for (int noisy = 0; noisy < 2; noisy++) {
        seed = 11;
        series_begin(1, 600);
        for (size_t i = 0; i < series.n; i++)
            series.p[i].v = 50 + 10 * age(i) / DAY + (noisy ? 0.3 * normal() : 0);
        expect(noisy ? TREND_SHORT : TREND_REACHES, ask(q));
    }
}

// Of more points than there is room for, the latest count.
static void test_very_many_points(void **state)
{
    (void)state;
    enum { MANY = 40000 };
    struct trend_point *p = malloc(MANY * sizeof *p);
    struct trend t;
    assert_non_null(p);
    for (int i = 0; i < MANY; i++)
        p[i] = (struct trend_point){NOW - 10.0 * (MANY - 1 - i),
                                    i < MANY / 4 ? 1000 : 50 + i / 2000.0};
    struct trend_question q = {
        .threshold = 75, .now = NOW, .step = 10, .horizon = 36 * HOUR, .min_history = 6 * HOUR};
    assert_int_equal(trend_of(&q, p, MANY, &t), 0);
    expect(TREND_REACHES, t);
    assert_true(fabs(t.seconds - 100000) < 1000);
    free(p);
}

static void test_only_since_it_was_emptied(void **state)
{
    (void)state;
    series_begin(7, 1800);
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = age(i) < 5 * DAY ? 88 : 40 + (age(i) - 5 * DAY) / HOUR;
    struct trend t = ask((struct trend_question){.threshold = 95});
    expect(TREND_REACHES, t);
    assert_true(fabs(t.seconds - 7 * HOUR) < HOUR);
    assert_true(t.since >= NOW - 2.1 * DAY);
}

static void test_what_began_an_hour_ago(void **state)
{
    (void)state;
    seed = 3;
    series_begin(3, 600);
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = 40 + fmax(0, age(i) - 2.7 * DAY) / HOUR * 4 + 0.3 * normal();
    struct trend t = ask((struct trend_question){.threshold = 95, .min_history = 3 * HOUR});
    expect(TREND_REACHES, t);
    double truth = 55.0 / 4 * HOUR - 0.3 * DAY;
    assert_true(fabs(t.seconds - truth) < 0.2 * truth);
}

// The threshold is reached at the hour of the day's peak, not where the line alone would be.
static void test_the_day_has_its_rhythm(void **state)
{
    (void)state;
    seed = 5;
    series_begin(7, 1800);
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v =
            30 + 4 * age(i) / DAY + 8 * sin(series.p[i].t / DAY * 6.2831853) + 0.3 * normal();
    double truth = 0;
    while (30 + 4 * (7 + truth / DAY) + 8 * sin((NOW + truth) / DAY * 6.2831853) < 72)
        truth += 60;
    struct trend t = ask((struct trend_question){.threshold = 72, .horizon = 60 * HOUR});
    expect(TREND_REACHES, t);
    assert_true(fabs(t.seconds - truth) < 3 * HOUR);
    for (size_t i = 0; i < series.n; i++) // the rhythm alone
        series.p[i].v = 40 + 20 * sin(series.p[i].t / DAY * 6.2831853) + 0.5 * normal();
    expect(TREND_FLAT, ask((struct trend_question){.threshold = 72}));
}

static void test_what_is_no_number_is_left_out(void **state)
{
    (void)state;
    series_begin(3, 1800);
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = i % 5 ? 50 + 20 * age(i) / (3 * DAY) : (i % 2 ? NAN : INFINITY);
    struct trend t = ask((struct trend_question){.threshold = 75});
    expect(TREND_REACHES, t);
    for (size_t i = 0; i < series.n; i++)
        series.p[i].v = NAN;
    expect(TREND_SHORT, ask((struct trend_question){.threshold = 75}));
    series.n = 0;
    expect(TREND_SHORT, ask((struct trend_question){.threshold = 75}));
}

// ---- 200 of all kinds ----

enum family {
    LINE,
    STAIRS,
    WITH_RHYTHM,
    LEAK,
    EMPTIED,
    SPIKY,
    BENDING, // are to be told
    CONSTANT,
    NOISE,
    WANDERING,
    TEETH,
    SLOPING_TEETH,
    LATE_JUMP,
    EARLY_JUMP,
    RHYTHM,
    LEVELLING,
    SLOW,
    YOUNG,
    BURSTS,
    FAMILIES,
};
#define TOLD BENDING // the last one
static const char *const family_names[FAMILIES] = {"line",
                                                   "stairs",
                                                   "line with rhythm",
                                                   "leak that began",
                                                   "emptied",
                                                   "line with spikes",
                                                   "bending",
                                                   "constant",
                                                   "noise",
                                                   "wandering",
                                                   "saw-tooth",
                                                   "sloping teeth",
                                                   "late jump",
                                                   "early jump",
                                                   "rhythm",
                                                   "levelling",
                                                   "slow",
                                                   "young",
                                                   "bursts"};

// A value of the family's series without noise, at x seconds before (negative) or after now.
struct shape {
    enum family family;
    double level, rate, onset, period, depth, phase;
};

static double shape_at(const struct shape *s, double x)
{
    double day = 6.2831853 * ((NOW + x) / DAY + s->phase);
    switch (s->family) {
    case LINE:
    case SPIKY:
    case SLOW:
    case YOUNG:
        return s->level + s->rate * x;
    case STAIRS:
        return s->level + s->rate * s->period * floor(x / s->period + s->phase);
    case WITH_RHYTHM:
        return s->level + s->rate * x + s->depth * sin(day);
    case LEAK:
        return s->level + s->rate * fmax(0, x + s->onset);
    case EMPTIED:
        return x < -s->onset ? 84 : s->level + s->rate * x;
    case BENDING:
        return s->level * exp(s->rate * x / s->level);
    case TEETH:
        return s->level +
               s->depth * fmod(x + 40 * s->period + s->phase * s->period, s->period) / s->period;
    case SLOPING_TEETH:
        return s->level + s->depth * fabs(1 - 2 * fmod(x / s->period + 40 + s->phase, 1));
    case LATE_JUMP:
    case EARLY_JUMP:
        return s->level + (x > -s->onset ? s->depth : 0);
    case RHYTHM:
        return s->level + s->depth * sin(day);
    case LEVELLING:
        return s->level - s->depth * exp(-(x + 3 * DAY) / s->period);
    case BURSTS:
        return s->level + (fmod(x + 40 * s->period, s->period) > 0.85 * s->period ? s->depth : 0);
    default:
        return s->level;
    }
}

#define THRESHOLD 90.0
#define HORIZON (36 * HOUR)

static struct shape draw_shape(enum family f)
{
    struct shape s = {.family = f, .level = 40 + 20 * uniform(), .phase = uniform()};
    double until = (4 + 24 * uniform()) * HOUR; // when it reaches the threshold
    s.depth = 15 + 20 * uniform();
    s.period = (3 + 12 * uniform()) * HOUR;
    s.onset = (8 + 12 * uniform()) * HOUR;
    if (f <= TOLD)
        s.level = 60 + 20 * uniform();
    s.rate = (THRESHOLD - s.level) / until;
    if (f == STAIRS)
        s.period = (2 + 4 * uniform()) * HOUR;
    if (f == WITH_RHYTHM)
        s.depth = 3 + 5 * uniform();
    if (f == LEAK)
        s.level = THRESHOLD - s.rate * (until + s.onset);
    if (f == EMPTIED)
        s.onset = (24 + 24 * uniform()) * HOUR;
    if (f == LATE_JUMP)
        s.onset = (1 + 8 * uniform()) * HOUR;
    if (f == EARLY_JUMP)
        s.onset = (20 + 40 * uniform()) * HOUR;
    if (f == LEVELLING) {
        s.level = 70 + 15 * uniform();
        s.period = (12 + 12 * uniform()) * HOUR;
    }
    if (f == SLOW)
        s.rate = (THRESHOLD - s.level) / (HORIZON * (2.5 + 5 * uniform()));
    return s;
}

static void draw_series(const struct shape *s, double noise)
{
    double walk = 0;
    series_begin(s->family == YOUNG                                ? 0.2
                 : s->family == WITH_RHYTHM || s->family == RHYTHM ? 7
                                                                   : 3,
                 900);
    for (size_t i = 0; i < series.n; i++) {
        walk += normal();
        series.p[i].v = shape_at(s, series.p[i].t - NOW) + noise * normal();
        if (s->family == WANDERING)
            series.p[i].v = s->level + 0.8 * walk;
        if (s->family == SPIKY && uniform() < 0.03)
            series.p[i].v += 15;
    }
}

// When the series without its noise is there, in seconds; INFINITY if not within four horizons.
static double truth_of(const struct shape *s)
{
    for (double x = 0; x < 4 * HORIZON; x += 60)
        if (shape_at(s, x) >= THRESHOLD)
            return x;
    return INFINITY;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_precision_and_recall(void **state)
{
    (void)state;
    int told[FAMILIES] = {0}, drawn[FAMILIES] = {0}, right = 0, wrong = 0, missed = 0, within = 0;
    double error[200];
    size_t errors = 0;
    seed = 20261124;
    for (int i = 0; i < 200; i++) {
        enum family f = (enum family)(i % FAMILIES);
        struct shape s = draw_shape(f);
        draw_series(&s, f == CONSTANT ? 0 : 0.2 + 0.8 * uniform());
        struct trend t = ask((struct trend_question){.threshold = THRESHOLD, .horizon = HORIZON});
        bool is = t.result == TREND_REACHES;
        drawn[f]++;
        told[f] += is;
        right += is && f <= TOLD;
        wrong += is && f > TOLD;
        missed += !is && f <= TOLD;
        if (is != (f <= TOLD) && getenv("VERBOSE"))
            print_message("  %d %s: %s\n", i, family_names[f], trend_result_name(t.result));
        if (is && f <= TOLD) {
            double truth = truth_of(&s);
            within += truth >= t.low && truth <= t.high;
            error[errors++] = fabs(t.seconds - truth) / truth;
        }
    }
    qsort(error, errors, sizeof *error, compare);
    double precision = (double)right / (right + wrong), recall = (double)right / (right + missed);
    for (int f = 0; f < FAMILIES; f++)
        print_message("  %-18s %2d of %2d told%s\n", family_names[f], told[f], drawn[f],
                      f > TOLD ? " (none should be)" : "");
    print_message("trend: 200 generated series, %d climbing: precision %.3f, recall %.3f; truth "
                  "within the interval in %.0f %%; "
                  "error of the estimate: median %.0f %%, 90th percentile %.0f %%\n",
                  right + missed, precision, recall, 100.0 * within / right,
                  100 * error[errors / 2], 100 * error[errors * 9 / 10]);
    assert_true(precision >= 0.95);
    assert_true(recall >= 0.85);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_exact),
        cmocka_unit_test(test_downwards_is_the_same),
        cmocka_unit_test(test_noise_widens_the_interval),
        cmocka_unit_test(test_reasons_why_not),
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_far_ahead_of_a_short_past),
        cmocka_unit_test(test_very_many_points),
        cmocka_unit_test(test_only_since_it_was_emptied),
        cmocka_unit_test(test_what_began_an_hour_ago),
        cmocka_unit_test(test_the_day_has_its_rhythm),
        cmocka_unit_test(test_what_is_no_number_is_left_out),
        cmocka_unit_test(test_precision_and_recall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
