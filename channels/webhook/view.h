#pragma once

// One incident as read from the store, for whatever shows it.

#include "channels/webhook/terms.h"
#include "common/buf.h"
#include "common/store.h"

struct incident_view {
    int64_t id, problem_id, kind, severity, status, state, verdict;
    int64_t opened_at, last_seen_at, closed_at; // wall ms; closed_at 0 = open
    int64_t members, flaps, notifications, deliveries, delivery, truncated;
    int64_t pushed_at, taken_at, decided_at; // 0 = not yet
    bool prod;
    const char *alertname, *cluster, *namespace, *service, *source, *text, *ask;
    const char *ticket; // its key. All are "" when absent
    char *strings;      // owned: what the pointers above point into
};

// 0, -ENOENT, or a store error. The caller ends it with incident_view_done.
int incident_view_load(struct store *s, int64_t id, struct incident_view *ret_view) MUST_CHECK;
void incident_view_done(struct incident_view *v);

// "HighErrorRate on checkout (platform-prod / payments)": how one line names an incident.
void incident_view_title(const struct incident_view *v, struct buf *out);
