#pragma once

// What people said and did, durable before Slack hears that we have it; and what was seen already,
// since Slack repeats. All functions run in the caller's transaction if there is one.

#include "common/store.h"

enum inbox_kind { INBOX_MESSAGE, INBOX_COMMAND, INBOX_INTERACTION };

enum inbox_state {
    INBOX_NEW,
    INBOX_PUSHED, // to a session that has not shown a sign of life since
    INBOX_DONE,
};

enum {
    INBOX_MAX_TEXT = 16 * 1024, // bytes of what the session gets; the rest is counted
    INBOX_MAX_PUSHES = 3,
    INBOX_REPEAT_MS = 24 * 3600 * 1000, // older than that nothing is pushed again
    INBOX_SEEN_MS = 7 * 24 * 3600 * 1000,
};

// 1 = it is new and now noted, 0 = it was seen before. key: "e:<event_id>", ...
int inbox_first(struct store *s, const char *prefix, const char *key, const char *key2,
                int64_t now) MUST_CHECK;

int inbox_seen(struct store *s, const char *prefix, const char *key,
               const char *key2) MUST_CHECK; // 1 / 0, without noting it

struct inbox_new {
    enum inbox_kind kind;
    const char *channel, *ts, *thread_ts, *user; // NULL is ""
    struct str text;                             // cleaned and capped by the caller
    int64_t escalation_id;                       // 0: none
};
int inbox_add(struct store *s, const struct inbox_new *n, int64_t now) MUST_CHECK;

struct inbox_row {
    int64_t id, escalation_id, pushes;
    enum inbox_kind kind;
    const char *channel, *ts, *thread_ts, *user, *user_name,
        *text; // valid until the next call on the store
};
// The next row to be pushed to this session, in the order in which it was said; of messages those
// said until horizon_us. 1 / 0.
int inbox_next(struct store *s, const char *session, int64_t now, int64_t horizon_us,
               struct inbox_row *ret) MUST_CHECK;
int inbox_pushed(struct store *s, int64_t id, const char *session, int64_t now) MUST_CHECK;
// The session called a tool: what was pushed to it before has been read.
int inbox_taken(struct store *s, const char *session, int64_t now) MUST_CHECK;

// ---- people ----

// Counts what a stranger said; returns 1 the first time.
int person_stranger(struct store *s, const char *user, int64_t now) MUST_CHECK;
int person_set_channel(struct store *s, const char *user, const char *channel) MUST_CHECK;
int person_set_name(struct store *s, const char *user, const char *name) MUST_CHECK;
int person_set_synced(struct store *s, const char *user, const char *ts) MUST_CHECK;
struct person {
    char user[24], channel[24], synced_ts[32], name[128]; // name is the id while it is unknown
};
int person_read(struct store *s, const char *user, struct person *ret) MUST_CHECK; // 0, or <0
int person_of_channel(struct store *s, const char *channel,
                      struct person *ret) MUST_CHECK; // 1 / 0
int inbox_prune(struct store *s, int64_t now) MUST_CHECK;
