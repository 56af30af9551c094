#pragma once

// What an alert does to the incidents: it opens one, joins one, reopens one, closes
// one, or only shows that it still fires. Runs inside a transaction of the caller and keeps nothing
// in memory, so that any process of this store may take the next alert.

#include "channels/webhook/alert.h"
#include "channels/webhook/id_set.h"
#include "channels/webhook/terms.h"
#include "common/config.h"
#include "common/store.h"

struct incident_intake {
    struct store *store;
    const struct config *config;
    int64_t now;          // wall ms
    int64_t truncated;    // alerts that the sender cut from this notification
    struct id_set *named; // incidents that this notification named so far
    struct {
        int64_t id, joined, named;
    } note; // of the last of them: not yet written
};

// Takes in one alert. 0, or a store error: then the transaction must be rolled back.
int incident_take(struct incident_intake *in, const struct alert *a) MUST_CHECK;
// After the last one, before the transaction ends: writes what is noted.
int incident_take_end(struct incident_intake *in) MUST_CHECK;

// A notification that was over the body cap: no retry will ever fit, so it becomes an incident of
// its own.
int incident_oversized(struct incident_intake *in, const char *sender, const char *peer,
                       uint64_t bytes) MUST_CHECK;

// The always-firing alert of a cluster fell silent, or is heard again: opens or closes the incident
// that says so.
int incident_watchdog(struct incident_intake *in, const char *cluster, bool silent,
                      const char *text) MUST_CHECK;
