#pragma once

// Sends the outbox: one row at a time for each person, in order. What may have been sent already is
// looked for before it is sent again (Slack documents no idempotent post).

#include "channels/slack/access.h"
#include "channels/slack/outbox.h"
#include "channels/slack/web_api.h"

struct sender;

struct sender_handler {
    // In the transaction that marks the row as sent. 0 or an error (the mark is tried again).
    int (*on_sent)(const struct outbox_row *row, const char *channel, const char *ts, void *data);
    // In the transaction that marks it as refused; likewise.
    int (*on_failed)(const struct outbox_row *row, const char *error, void *data);
    void (*on_done)(int64_t row_id, void *data); // after it: sent or failed
    void *data;
};

// Borrows all but the handler struct. files: the folder of what is to be uploaded.
int sender_new(uv_loop_t *loop, struct store *s, struct slack_api *api, const struct access *access,
               const char *files, const struct sender_handler *handler,
               struct sender **ret_sender) MUST_CHECK;
void sender_close(struct sender *x); // frees in a later turn of the loop; NULL is fine. The API is
                                     // closed before

void sender_kick(struct sender *x);                 // there is something new
void sender_hurry(struct sender *x);                // the network is back: forget the backoff
const char *sender_stopped(const struct sender *x); // why nothing is sent, or ""
void sender_drain(struct sender *x);                // starts nothing any more
bool sender_escalates(const struct sender *x);      // an escalation's post is under way
bool sender_idle(const struct sender *x);           // nothing is under way
