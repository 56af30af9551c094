#pragma once

// What the patrol looks at: the files of PATROL_QUERIES (deploy/patrol), one query each.

#include "channels/webhook/alert.h"
#include "common/json.h"

#define PATROL_MAX_QUERIES 64
#define PATROL_MAX_POINTS 2000 // history / step: what one series may have

enum patrol_unit { PATROL_PLAIN, PATROL_PERCENT, PATROL_BYTES, PATROL_SECONDS };

// A label of the alert, from the first of these of the series that is not empty.
struct patrol_label {
    const char *from[4];
    size_t n;
    bool owner; // "owner(pod)": the workload that the pod belongs to
};

struct patrol_query {
    cJSON *json;                    // owned; the texts below are in it
    const char *name, *expr, *text; // text: "PVC {persistentvolumeclaim} reaches 90 %"
    const char *playbook;           // of what is forecast; NULL: none
    double threshold;
    bool down; // it is reached from above
    enum patrol_unit unit;
    enum alert_severity severity;
    int64_t horizon, history, minimum, step; // s
    struct patrol_label cluster, namespace, service;
};

struct patrol_queries {
    size_t n;
    struct patrol_query q[PATROL_MAX_QUERIES];
};

// One file. 0; -EINVAL with "field: rule" appended to ret_why; -ENOMEM.
int patrol_query_read(struct str text, struct patrol_query *ret_query,
                      struct buf *ret_why) MUST_CHECK;
void patrol_query_done(struct patrol_query *q); // fine on a zeroed one

// Every *.json of the folder, by name. What cannot be used is left out, with a line "FILE: field:
// rule" in ret_why. 0, -ENOMEM, or why the folder cannot be read.
int patrol_queries_load(const char *folder, struct patrol_queries **ret_queries,
                        struct buf *ret_why) MUST_CHECK;
void patrol_queries_free(struct patrol_queries *p); // NULL is fine
