#pragma once

// What comes over the Socket Mode connection, as structs. Pure. Sources: docs.slack.dev, "Using
// Socket Mode", "message event", "reaction_added", "block_actions payloads", "slash commands".

#include "common/json.h"

enum envelope_type {
    ENVELOPE_HELLO,
    ENVELOPE_DISCONNECT,
    ENVELOPE_EVENTS,
    ENVELOPE_INTERACTIVE,
    ENVELOPE_COMMAND,
    ENVELOPE_OTHER, // acknowledged and ignored
};

enum event_type {
    EVENT_MESSAGE,
    EVENT_EDIT,
    EVENT_REACTION,
    EVENT_BUTTON,
    EVENT_COMMAND,
    EVENT_NONE,
};

// All strings are borrowed from the JSON tree, "" when absent.
struct slack_event {
    enum event_type type;
    const char *event_id, *team, *user, *channel, *channel_type;
    const char *ts;        // the message's; of a button or reaction: of the message it is on
    const char *thread_ts; // the parent's; "" at top level
    const char *text;      // raw, with Slack's escapes
    const char *subtype, *client_msg_id, *bot_id;
    const char *author_app;           // the app that wrote a message
    const char *reaction;             // name, without colons
    const char *action, *value;       // of a button
    const char *old_text, *edited_ts; // of an edit
    const char *command;
    const cJSON *files; // array or NULL
};

struct envelope {
    cJSON *root; // owns everything
    enum envelope_type type;
    const char *id;      // envelope_id
    const char *reason;  // of a disconnect
    const char *app_id;  // of a hello
    int64_t connections; // of a hello: Slack's count of our registrations, 0 if unknown
    int64_t retry_attempt;
    bool accepts_payload;
    struct slack_event event;
};

// -EINVAL when it is not a JSON object with a string "type". Free with envelope_done.
int envelope_read(struct str text, struct envelope *ret_envelope) MUST_CHECK;
void envelope_done(struct envelope *e);

// One message of conversations.history or .replies as if it had come as an event.
void event_from_history(const cJSON *message, const char *channel, struct slack_event *ret_event);

// "1503435956.000247" as microseconds; 0 if it is not a ts. Two integers, never a double.
int64_t slack_ts_us(const char *ts);
