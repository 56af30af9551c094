#pragma once

// Plain inline SVG charts: stacked columns and lines. Places are percentages, so that the text
// keeps its size on any screen; colours are classes of the page's style. Pure.

#include "common/buf.h"

#define CHART_COLUMNS_MAX 64
#define CHART_SERIES_MAX 6

struct chart {
    const char *id;    // prefix of the ids in it; a literal
    const char *title; // trusted text, as `what`
    const char *what;  // one sentence for who cannot see it
    int n, n_series;
    char labels[CHART_COLUMNS_MAX][16]; // of the columns; trusted text
    const char *names[CHART_SERIES_MAX];
    const char *classes[CHART_SERIES_MAX]; // "noise"
    int64_t values[CHART_SERIES_MAX][CHART_COLUMNS_MAX];
    bool durations; // values are ms; else counts
};

// Columns, the first series at the bottom.
int chart_columns(const struct chart *c, struct buf *out);
// The first series as a line; a negative value is a gap.
int chart_line(const struct chart *c, struct buf *out);

// The step between the lines of a scale up to max, at most four of them. Never 0.
int64_t chart_step(int64_t max, bool durations);
