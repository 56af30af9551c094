#pragma once

// What an outbox row looks like when it is sent: the text that notifications and screen readers
// use, and the blocks. Reads the store, so that it tells how things stand now.

#include "channels/slack/outbox.h"
#include "common/buf.h"

struct message {
    struct buf text;   // mrkdwn
    struct buf blocks; // a JSON array, or empty
    bool broadcast;    // a reply that is shown in the conversation too
};

// Action ids of the buttons; the value is the escalation's id or the prompt's nonce.
#define ACTION_ACKNOWLEDGE "escalation:acknowledge"
#define ACTION_SNOOZE "escalation:snooze"
#define ACTION_RESOLVE "escalation:resolve"
#define ACTION_ALLOW "permission:allow"
#define ACTION_DENY "permission:deny"

// now: wall ms. 0; -ECANCELED when it is no longer worth saying; or an error. message_done in any
// case.
int message_render(struct store *s, const struct outbox_row *row, int64_t now,
                   struct message *m) MUST_CHECK;
void message_done(struct message *m);
