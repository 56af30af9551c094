#pragma once

// check_history: what the memory knows of a problem or of everything that fits some names - has it
// fired before, how often, which verdicts, what was done, and where else.

#include "channels/webhook/history.h"
#include "channels/webhook/tally.h"
#include "common/json.h"

#define RECALL_INCIDENTS_MAX 100
#define RECALL_SIMILAR_MAX 10

struct recall_query {
    int64_t incident_id; // its problem, without itself; 0 = the names below
    const char *alertname, *service, *cluster, *namespace; // exact; NULL = any; borrowed
    int64_t days, now;                                     // now: wall ms
    int limit;                                             // 1 to RECALL_INCIDENTS_MAX
};

struct recall {
    struct recall_query asked;
    struct tally counts; // in the window
    int64_t problems;    // that fit the names; more than are looked at one by one: `some`
    bool some;           // the counts are of the first problems only
    int64_t ids[RECALL_INCIDENTS_MAX]; // the latest incidents, newest first
    int n;
    struct similar similar[RECALL_SIMILAR_MAX]; // elsewhere, when one problem is meant
    int n_similar;
};

// 0, -ENOENT when there is no incident incident_id, or a store error.
int recall_read(struct store *s, const struct recall_query *query,
                struct recall *ret_recall) MUST_CHECK;

// For people: counts, then a line an incident, then the similar ones; as many lines as fit. 0, or
// a store error.
int recall_text(struct store *s, const struct recall *r, struct buf *out) MUST_CHECK;
// The members of one JSON object, without braces. Incidents stop once the buffer holds max_bytes;
// "incidents_left_out" counts the rest.
int recall_json(struct store *s, const struct recall *r, size_t max_bytes, struct jw *w) MUST_CHECK;
