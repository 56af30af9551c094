#pragma once

// How an incident reads in the session: the content and meta of a channel event. The words of
// senders were cleaned and redacted at intake; here they are only cut.

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

// Adds an attribute; one without a value, or too many, is left out. `value` is borrowed.
void event_meta(struct event *e, const char *key, const char *value);
void event_meta_int(struct event *e, const char *key, int64_t value); // keeps a copy

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
