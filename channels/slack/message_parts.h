#pragma once

// What the files of message.h share, private to them: message.c has the pieces and pages,
// message_escalation.c and message_prompt.c what their names say.

#include "channels/slack/message.h"

enum { MESSAGE_MAX_TEXT = 200 * 1024 }; // bytes of one text

// Each appends to out, as mrkdwn.
void message_add_name(struct buf *out, struct store *s, const char *user);
// Shown in the reader's own time zone; the fallback is UTC (docs.slack.dev, "Date formatting").
void message_add_time(struct buf *out, int64_t wall_ms);
void message_add_duration(struct buf *out, int64_t ms);
void message_add_severity(struct buf *out, const char *severity);
void message_add_start(struct buf *out, const char *text); // what a notification has room for
const char *message_sign(const char *severity);            // a coloured circle

// One for each kind of row (enum outbox_ref); arguments and errors as message_render.
int message_escalation(struct store *s, const struct outbox_row *row, struct message *m) MUST_CHECK;
int message_nag(struct store *s, const struct outbox_row *row, int64_t now,
                struct message *m) MUST_CHECK;
int message_note(struct store *s, const struct outbox_row *row, struct message *m) MUST_CHECK;
int message_prompt(struct store *s, const struct outbox_row *row, struct message *m) MUST_CHECK;
int message_prompt_part(const struct outbox_row *row, struct message *m) MUST_CHECK;
int message_prompt_nag(struct store *s, const struct outbox_row *row, int64_t now,
                       struct message *m) MUST_CHECK;
