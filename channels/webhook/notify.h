#pragma once

// What a sender posted, on its way into the store: the alerts of a notification, part by part, or
// the note that it was too large. The answer goes out after the commit.

#include "channels/webhook/alert.h"
#include "common/config.h"
#include "common/group_commit.h"
#include "common/http_server.h"

#define SENDER_SIZE 64

// All borrowed but the alert; one desk for all requests.
struct notify_desk {
    struct store *store;
    struct group_commit *commit;
    const struct config *config;
    struct alert alert; // the one at hand, of whichever notification
};

// A name fit for a key: what else a path or User-Agent may hold is dropped.
void notify_clean_sender(struct str raw, char out[SENDER_SIZE]);

// Both answer the request once it is decided, or at once: then they return NULL. What they return
// is their own, and gone with the answer. source: from the path, "" when it does not name one.
struct notify_job;
struct notify_job *notify_submit(struct notify_desk *desk, struct http_request *r,
                                 const char *source, bool prometheus_api); // Prometheus's own form
struct oversized_job;
struct oversized_job *notify_oversized(struct notify_desk *desk, struct http_request *r,
                                       const char *source, uint64_t bytes);

// The peer went away, so nothing was promised: what is not in the store yet does not get there.
void notify_forget(struct notify_job *j);
void notify_forget_oversized(struct oversized_job *j);
