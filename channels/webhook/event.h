#pragma once

// How an incident, and many of them, read in the session: the content and meta of a channel event
// (design.md, 4). The words of senders were cleaned and redacted at intake; here they are only cut.

#include "channels/webhook/history.h"
#include "channels/webhook/playbooks.h"
#include "channels/webhook/view.h"
#include "common/config.h"
#include "mcp/channel.h"

#define EVENT_MAX_META 20

struct event {
    struct buf content; // at most SRE_EVENT_BYTES
    struct channel_meta meta[EVENT_MAX_META];
    size_t n_meta;
    struct buf values; // owns the numbers that meta points to
};

void event_init(struct event *e, const struct config *c);
void event_done(struct event *e);
size_t event_bytes(const struct event *e); // content and meta together

struct event_source {
    struct store *store;
    const struct config *config;
    const struct playbooks *playbooks;
    int64_t now; // wall ms
};

// kind: alert, patrol, test, resolved, reminder. `v` is borrowed and must outlive the event. 0, or
// a store error.
int event_of_incident(struct event *e, const struct event_source *from,
                      const struct incident_view *v, const char *kind) MUST_CHECK;

// The canary: as few bytes as say what to do. Like event_of_incident.
int event_of_canary(struct event *e, const struct incident_view *v) MUST_CHECK;

// One event for many: those that the caller marked with due_at = DIGEST_MARK. What several rules
// say of one node or service is one line; the rest is grouped by alertname, cluster and severity,
// worst first, with ids to drill down. May change the marks to other values below 0. 0, or a store
// error.
#define DIGEST_MARK (-1)
int event_of_digest(struct event *e, const struct event_source *from, const char *heading,
                    size_t max_bytes) MUST_CHECK;

// The known noise that the memory dismissed since the last digest, which names it too when it comes
// first. 0, or a store error.
int event_of_noise(struct event *e, const struct event_source *from) MUST_CHECK;
