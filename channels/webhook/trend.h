#pragma once

// Where a series is heading: the time until it reaches a threshold, with an interval, or why that
// cannot be said. The slope is the median of all pairwise slopes (Sen 1968, "Estimates of the
// regression coefficient based on Kendall's tau", JASA 63), its interval the rank-based one of the
// same paper, with the variance of Kendall's S enlarged for autocorrelated residuals (Yue and Wang
// 2004, "The Mann-Kendall test modified by effective sample size", Water Resources Management 18).
// Pure.

#include "common/base.h"

#define TREND_BUCKETS 240   // a window is thinned to so many medians, which bounds the pairs
#define TREND_MIN_POINTS 12 // and fewer tell nothing

struct trend_point {
    double t; // s since 1970: the time of day matters
    double v;
};

struct trend_question {
    double threshold;
    bool down;                              // the threshold is below
    double now, step, horizon, min_history; // s
};

enum trend_result {
    TREND_REACHES,   // within the horizon, and sure enough
    TREND_OVER,      // is there already
    TREND_FAR,       // heads there, but not within the horizon
    TREND_SHORT,     // too little history, or too little for so long a look ahead
    TREND_GAPS,      // too much of the history is missing, or its end
    TREND_FLAT,      // does not head there
    TREND_NOISY,     // may head there: the interval is too wide to say
    TREND_LEVELLING, // did, but has slowed down
    TREND_SAW_TOOTH, // falls back again and again
    TREND_RESET,     // fell back a while ago: too little history since
    TREND_JUMP,      // one step, no trend
    TREND_RESULTS,
};

struct trend {
    enum trend_result result;
    double value; // now; in the series' own direction, as the slope
    // Only with TREND_REACHES:
    double seconds, low, high; // to the threshold, from now; high may be INFINITY
    double slope;              // per second
    double since;              // the first point that counts
};

const char *trend_result_name(enum trend_result r); // "flat", "saw-tooth", ...

// points: in the order of time, at any distance; sorted out and changed by the call. A day's rhythm
// is taken off where there are three days of it. 0 or -ENOMEM.
int trend_of(const struct trend_question *q, struct trend_point *points, size_t n,
             struct trend *ret_trend) MUST_CHECK;
