#pragma once

// The answer of a Prometheus-compatible API to /api/v1/query_range (prometheus.io/docs, "HTTP
// API"): a matrix, read one series at a time. Pure.

#include "channels/webhook/alert_json.h"
#include "channels/webhook/trend.h"

struct patrol_answer {
    struct json_scan cursor; // in the array of series
    bool partial;            // it came with warnings: what is not in it may still be there
    // The series at hand.
    struct alert_pairs labels;  // in the arena and the body
    struct trend_point *points; // owned, kept from series to series
    size_t n_points, max_points;
    struct alert_pair items[ALERT_JSON_PAIRS];
    struct arena arena;
};

// body is borrowed, NUL-terminated, until patrol_answer_done. 0; -EINVAL with one line in *ret_why
// (static, or the server's own words appended to error); -ENOMEM.
int patrol_answer_open(struct patrol_answer *a, struct str body, size_t max_points,
                       struct buf *ret_why) MUST_CHECK;
int patrol_answer_next(struct patrol_answer *a) MUST_CHECK; // 1 a series, 0 the end, -EINVAL
void patrol_answer_done(struct patrol_answer *a);           // fine on a zeroed one

// The value of a label of the series; {NULL, 0} without.
struct str patrol_answer_label(const struct patrol_answer *a, const char *name);
