#include "channels/slack/inbox.h"

#include <stdio.h>

#include "channels/slack/envelope.h"

int inbox_first(struct store *s, const char *prefix, const char *key, const char *key2, int64_t now)
{
    char full[320];
    if (!key[0])
        return 1;
    snprintf(full, sizeof full, "%s:%s:%s", prefix, key, key2);
    struct stmt *q = store_sql(s, "INSERT OR IGNORE INTO slack_seen(key, at) VALUES(?, ?)");
    bind_text(q, 1, full);
    bind_int(q, 2, now);
    int r = stmt_run(q);
    return r < 0 ? r : store_changes(s) > 0;
}

int inbox_seen(struct store *s, const char *prefix, const char *key, const char *key2)
{
    char full[320];
    snprintf(full, sizeof full, "%s:%s:%s", prefix, key, key2);
    struct stmt *q = store_sql(s, "SELECT 1 FROM slack_seen WHERE key = ?");
    bind_text(q, 1, full);
    int r = stmt_step(q);
    stmt_reset(q);
    return r;
}

int inbox_add(struct store *s, const struct inbox_new *n, int64_t now)
{
    struct stmt *q = store_sql(
        s, "INSERT INTO slack_inbox(at, kind, channel, ts, ts_us, thread_ts, user_id, text, "
           "escalation_id) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
    int64_t us = n->kind == INBOX_MESSAGE && n->ts ? slack_ts_us(n->ts) : 0;
    bind_int(q, 1, now);
    bind_int(q, 2, n->kind);
    bind_text(q, 3, n->channel ? n->channel : "");
    bind_text(q, 4, n->ts ? n->ts : "");
    bind_int(q, 5, us ? us : now * 1000); // a click's message is older than the click
    bind_text(q, 6, n->thread_ts ? n->thread_ts : "");
    bind_text(q, 7, n->user ? n->user : "");
    bind_str(q, 8, n->text);
    if (n->escalation_id)
        bind_int(q, 9, n->escalation_id);
    return stmt_run(q);
}

int inbox_next(struct store *s, const char *session, int64_t now, int64_t horizon_us,
               struct inbox_row *ret)
{
    struct stmt *q = store_sql(
        s, "SELECT i.id, i.kind, i.channel, i.ts, i.thread_ts, i.user_id, i.text, "
           "i.escalation_id, i.pushes, coalesce(nullif(p.name, ''), i.user_id) FROM slack_inbox AS "
           "i LEFT JOIN slack_person AS p ON p.user_id = i.user_id WHERE i.state < 2 AND "
           "(i.state = 0 OR (i.session <> ?1 AND i.pushes < ?2 AND i.at > ?3)) AND (i.kind <> 0 OR "
           "i.ts_us <= ?4) "
           "ORDER BY i.ts_us, i.id LIMIT 1");
    bind_text(q, 1, session);
    bind_int(q, 2, INBOX_MAX_PUSHES);
    bind_int(q, 3, now - INBOX_REPEAT_MS);
    bind_int(q, 4, horizon_us);
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    *ret = (struct inbox_row){.id = col_int(q, 0),
                              .kind = (enum inbox_kind)col_int(q, 1),
                              .channel = col_text(q, 2),
                              .ts = col_text(q, 3),
                              .thread_ts = col_text(q, 4),
                              .user = col_text(q, 5),
                              .text = col_text(q, 6),
                              .escalation_id = col_int(q, 7),
                              .pushes = col_int(q, 8),
                              .user_name = col_text(q, 9)};
    return 1;
}

int inbox_pushed(struct store *s, int64_t id, const char *session, int64_t now)
{
    struct stmt *q = store_sql(s, "UPDATE slack_inbox SET state = 1, pushes = pushes + 1, "
                                  "pushed_at = ?3, session = ?2 WHERE id = ?1");
    bind_int(q, 1, id);
    bind_text(q, 2, session);
    bind_int(q, 3, now);
    return stmt_run(q);
}

int inbox_taken(struct store *s, const char *session, int64_t now)
{
    struct stmt *q = store_sql(
        s, "UPDATE slack_inbox SET state = 2 WHERE state = 1 AND session = ?1 AND pushed_at < ?2");
    bind_text(q, 1, session);
    bind_int(q, 2, now);
    return stmt_run(q);
}

// ---- people ----

static int upsert(struct stmt *q, const char *user, const char *value)
{
    bind_text(q, 1, user);
    bind_text(q, 2, value);
    return stmt_run(q);
}

int person_stranger(struct store *s, const char *user, int64_t now)
{
    struct stmt *q =
        store_sql(s, "INSERT INTO slack_person(user_id, messages, last_at) VALUES(?1, 1, ?2) "
                     "ON CONFLICT(user_id) DO UPDATE SET messages = messages + 1, last_at = ?2 "
                     "RETURNING messages");
    bind_text(q, 1, user);
    bind_int(q, 2, now);
    int r = stmt_step(q);
    bool first = r > 0 && col_int(q, 0) == 1;
    stmt_reset(q);
    return r < 0 ? r : first;
}

int person_set_channel(struct store *s, const char *user, const char *channel)
{
    return upsert(store_sql(s, "INSERT INTO slack_person(user_id, channel) VALUES(?1, ?2) ON "
                               "CONFLICT(user_id) DO UPDATE SET channel = ?2 WHERE channel <> ?2"),
                  user, channel);
}

int person_set_name(struct store *s, const char *user, const char *name)
{
    return upsert(store_sql(s, "INSERT INTO slack_person(user_id, name) VALUES(?1, ?2) ON "
                               "CONFLICT(user_id) DO UPDATE SET name = ?2"),
                  user, name);
}

int person_set_synced(struct store *s, const char *user, const char *ts)
{
    return upsert(store_sql(s, "INSERT INTO slack_person(user_id, synced_ts) VALUES(?1, ?2) ON "
                               "CONFLICT(user_id) DO UPDATE SET synced_ts = ?2"),
                  user, ts);
}

static int read_person(struct stmt *q, struct person *ret)
{
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    snprintf(ret->user, sizeof ret->user, "%s", col_text(q, 0));
    snprintf(ret->channel, sizeof ret->channel, "%s", col_text(q, 1));
    snprintf(ret->synced_ts, sizeof ret->synced_ts, "%s", col_text(q, 2));
    snprintf(ret->name, sizeof ret->name, "%s", col_text(q, 3)[0] ? col_text(q, 3) : ret->user);
    stmt_reset(q);
    return 1;
}

#define PERSON "SELECT user_id, channel, synced_ts, name FROM slack_person WHERE "

int person_read(struct store *s, const char *user, struct person *ret)
{
    struct stmt *q = store_sql(s, PERSON "user_id = ?");
    bind_text(q, 1, user);
    int r = read_person(q, ret);
    if (r == 0) {
        *ret = (struct person){.channel = ""};
        snprintf(ret->user, sizeof ret->user, "%s", user);
        snprintf(ret->name, sizeof ret->name, "%s", user);
    }
    return r < 0 ? r : 0;
}

int person_of_channel(struct store *s, const char *channel, struct person *ret)
{
    struct stmt *q = store_sql(s, PERSON "channel = ? AND channel <> '' LIMIT 1");
    bind_text(q, 1, channel);
    return read_person(q, ret);
}

int inbox_prune(struct store *s, int64_t now)
{
    struct stmt *q = store_sql(s, "DELETE FROM slack_seen WHERE at < ?");
    bind_int(q, 1, now - INBOX_SEEN_MS);
    int r = stmt_run(q);
    if (r < 0)
        return r;
    q = store_sql(s, "DELETE FROM slack_inbox WHERE state > 0 AND at < ?");
    bind_int(q, 1, now - INBOX_SEEN_MS);
    return stmt_run(q);
}
