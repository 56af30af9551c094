#pragma once

// What an event leads to: one transaction that notes it as seen and does all it means. Called for
// what the socket brings and for what catch-up finds, so it must not matter which comes first.

#include "channels/slack/access.h"
#include "channels/slack/escalation.h"

struct inbound {
    struct store *store;
    const struct access *access;
    const struct escalation_people *people;
    bool batch; // the caller has begun a transaction and ends it
};

// event_id: of the envelope when the event has none ("" from history). Returns 1 when something
// changed (inbox, a decision, the outbox), 0 when not, <0 when it could not be stored.
int inbound_event(const struct inbound *in, const struct slack_event *e, const char *event_id,
                  struct moment now) MUST_CHECK;

// A message of this escalation is now known by its ts. Somebody may have answered it before Slack
// told us: that counts. In the caller's transaction.
int inbound_posted(const struct inbound *in, int64_t escalation_id, const char *channel,
                   const char *ts, struct moment now) MUST_CHECK;

// Words that acknowledge also outside of an escalation's thread: "ack", "on it", ... Pure.
bool inbound_is_acknowledgement(struct str text);
