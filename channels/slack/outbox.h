#pragma once

// Everything that Slack is to be told, durable before it is tried. Rows for one person go out in
// the order in which they were added. All functions run in the caller's transaction if there is
// one.

#include "common/store.h"

enum outbox_op { OUT_POST, OUT_UPDATE, OUT_REACT, OUT_UPLOAD };

// What a row shows. All but REF_NONE and REF_PROMPT_PART are rendered when they are sent, so that
// they tell how things stand then.
enum outbox_ref {
    REF_NONE,        // body: the text
    REF_ESCALATION,  // the message with the buttons
    REF_NAG,         // in its thread
    REF_NOTE,        // in its thread: how it ended
    REF_PROMPT,      // a permission prompt with its buttons
    REF_PROMPT_PART, // what of its preview did not fit (body)
    REF_PROMPT_NAG,
    REF_PAGE,
};

enum outbox_state {
    OUT_QUEUED,
    OUT_ATTEMPTED, // may have been sent: look before it is tried again
    OUT_SENT,
    OUT_FAILED,
};

struct outbox_row {
    int64_t id;
    char key[40]; // names the row in the message's metadata
    enum outbox_op op;
    enum outbox_ref ref;
    enum outbox_state state;
    int64_t ref_id, attempted_at, at;
    bool plain;
    char user[24], thread_ts[32], target_ts[32], file_id[32];
    char *body; // owned
};

struct outbox_new {
    enum outbox_op op;
    enum outbox_ref ref;
    int64_t ref_id;
    const char *user, *thread_ts, *target_ts, *body; // NULL is ""
};

int outbox_add(struct store *s, const struct outbox_new *n, int64_t *ret_id) MUST_CHECK;
int outbox_key(struct store *s, int64_t id, char ret_key[40]) MUST_CHECK; // 0, or <0

// The oldest row of each person that is not done, oldest first, of those with an id above `after`.
// 1 = one more in *row (free with outbox_row_done), 0 = no more.
int outbox_head(struct store *s, int64_t after, struct outbox_row *row) MUST_CHECK;
void outbox_row_done(struct outbox_row *row);

int outbox_attempt(struct store *s, int64_t id, int64_t now) MUST_CHECK; // before it is sent
int outbox_requeue(struct store *s, int64_t id, bool plain) MUST_CHECK;  // it was not sent for sure
int outbox_sent(struct store *s, int64_t id, const char *channel, const char *ts,
                int64_t now) MUST_CHECK;
int outbox_failed(struct store *s, int64_t id, const char *error, int64_t now) MUST_CHECK;
int outbox_set_file(struct store *s, int64_t id, const char *file_id) MUST_CHECK;

// What has not been tried and is no longer worth saying.
int outbox_cancel(struct store *s, enum outbox_ref ref, int64_t ref_id) MUST_CHECK;
// 1 if a row of that kind waits to be sent.
int outbox_pending(struct store *s, enum outbox_op op, enum outbox_ref ref, int64_t ref_id,
                   const char *user) MUST_CHECK;
// 1 if a message that shows ref was sent, or may have been.
int outbox_tried(struct store *s, enum outbox_ref ref, int64_t ref_id) MUST_CHECK;
// An update of the message that shows ref, for everybody who has it; none twice.
int outbox_refresh(struct store *s, enum outbox_ref ref, int64_t ref_id) MUST_CHECK;

struct outbox_place {
    char user[24], channel[24], ts[32], error[96];
    enum outbox_state state;
    enum outbox_ref ref;
    int64_t ref_id;
};
int outbox_read(struct store *s, int64_t id, struct outbox_place *ret) MUST_CHECK; // 1 / 0 none
int outbox_find(struct store *s, const char *channel, const char *ts,
                struct outbox_place *ret) MUST_CHECK; // the row that this message is: 1 / 0
// Where the message that shows ref is for this person: 1, or 0 while it was not sent.
int outbox_shown(struct store *s, enum outbox_ref ref, int64_t ref_id, const char *user,
                 struct outbox_place *ret) MUST_CHECK;
int outbox_prune(struct store *s, int64_t before) MUST_CHECK;
