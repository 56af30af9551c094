#pragma once

// What the patrol found, as the notification that a sender would post: so it enters like any other
// alert. Pure.

#include "channels/webhook/patrol_answer.h"
#include "channels/webhook/patrol_query.h"

#define PATROL_ALERT "Patrol " // and the query's name: the alertname
#define PATROL_ID_SIZE 17

// The identity of a series of a query, in hex.
void patrol_identity(const struct patrol_query *q, struct patrol_answer *a,
                     char out[PATROL_ID_SIZE]);

// The elements of "alerts". cluster: where the series does not name one; "" = not known.
void patrol_firing(struct jw *w, const struct patrol_query *q, const struct patrol_answer *a,
                   const struct trend *t, const char *identity, const char *cluster, double now);
void patrol_resolved(struct jw *w, const char *alertname, const char *identity);

// "19 h (17 to 23 h)".
void patrol_time_text(struct buf *out, double seconds, double low, double high);
