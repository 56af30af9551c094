#include "channels/slack/outbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/crypto.h"

static void copy(char *out, size_t size, const char *s)
{
    snprintf(out, size, "%s", s);
}

// A random UUID (RFC 9562, version 4): also the client_msg_id.
static void make_key(char out[40])
{
    uint8_t b[16];
    char hex[33];
    random_bytes(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0F) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3F) | 0x80);
    hex_encode((struct str){(const char *)b, sizeof b}, hex);
    snprintf(out, 40, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

int outbox_add(struct store *s, const struct outbox_new *n, int64_t *ret_id)
{
    char key[40];
    make_key(key);
    struct stmt *q =
        store_sql(s, "INSERT INTO slack_outbox(key, at, op, user_id, thread_ts, target_ts, body, "
                     "ref, ref_id) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
    bind_text(q, 1, key);
    bind_int(q, 2, clock_wall_ms());
    bind_int(q, 3, n->op);
    bind_text(q, 4, n->user);
    bind_text(q, 5, n->thread_ts ? n->thread_ts : "");
    bind_text(q, 6, n->target_ts ? n->target_ts : "");
    bind_text(q, 7, n->body ? n->body : "");
    bind_int(q, 8, n->ref);
    bind_int(q, 9, n->ref_id);
    int r = stmt_run(q);
    if (r == 0 && ret_id)
        *ret_id = store_last_id(s);
    return r;
}

int outbox_key(struct store *s, int64_t id, char ret_key[40])
{
    struct stmt *q = store_sql(s, "SELECT key FROM slack_outbox WHERE id = ?");
    bind_int(q, 1, id);
    int r = stmt_step(q);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    copy(ret_key, 40, col_text(q, 0));
    stmt_reset(q);
    return 0;
}

int outbox_head(struct store *s, int64_t after, struct outbox_row *row)
{
    struct stmt *q = store_sql(
        s, "SELECT id, key, op, ref, ref_id, state, plain, user_id, thread_ts, target_ts, file_id, "
           "attempted_at, at, body FROM slack_outbox WHERE state < 2 AND id > ? AND id IN "
           "(SELECT min(id) FROM slack_outbox WHERE state < 2 GROUP BY user_id) "
           "ORDER BY id LIMIT 1");
    bind_int(q, 1, after);
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    *row = (struct outbox_row){
        .id = col_int(q, 0),
        .op = (enum outbox_op)col_int(q, 2),
        .ref = (enum outbox_ref)col_int(q, 3),
        .ref_id = col_int(q, 4),
        .state = (enum outbox_state)col_int(q, 5),
        .plain = col_int(q, 6) != 0,
        .attempted_at = col_int(q, 11),
        .at = col_int(q, 12),
        .body = strdup(col_text(q, 13)),
    };
    copy(row->key, sizeof row->key, col_text(q, 1));
    copy(row->user, sizeof row->user, col_text(q, 7));
    copy(row->thread_ts, sizeof row->thread_ts, col_text(q, 8));
    copy(row->target_ts, sizeof row->target_ts, col_text(q, 9));
    copy(row->file_id, sizeof row->file_id, col_text(q, 10));
    stmt_reset(q);
    return row->body ? 1 : -ENOMEM;
}

void outbox_row_done(struct outbox_row *row)
{
    free(row->body);
    row->body = NULL;
}

int outbox_attempt(struct store *s, int64_t id, int64_t now)
{
    struct stmt *q = store_sql(s, "UPDATE slack_outbox SET state = 1, attempts = attempts + 1, "
                                  "attempted_at = ?2 WHERE id = ?1 AND state < 2");
    bind_int(q, 1, id);
    bind_int(q, 2, now);
    int r = stmt_run(q);
    return r < 0 ? r : store_changes(s) ? 0 : -ENOENT;
}

int outbox_requeue(struct store *s, int64_t id, bool plain)
{
    struct stmt *q =
        store_sql(s, "UPDATE slack_outbox SET state = 0, plain = ?2 WHERE id = ?1 AND state < 2");
    bind_int(q, 1, id);
    bind_int(q, 2, plain);
    return stmt_run(q);
}

int outbox_sent(struct store *s, int64_t id, const char *channel, const char *ts, int64_t now)
{
    struct stmt *q = store_sql(s, "UPDATE slack_outbox SET state = 2, channel = ?2, ts = ?3, "
                                  "done_at = ?4, error = '' WHERE id = ?1");
    bind_int(q, 1, id);
    bind_text(q, 2, channel);
    bind_text(q, 3, ts);
    bind_int(q, 4, now);
    return stmt_run(q);
}

int outbox_failed(struct store *s, int64_t id, const char *error, int64_t now)
{
    struct stmt *q =
        store_sql(s, "UPDATE slack_outbox SET state = 3, error = ?2, done_at = ?3 WHERE id = ?1");
    bind_int(q, 1, id);
    bind_text(q, 2, error);
    bind_int(q, 3, now);
    return stmt_run(q);
}

int outbox_set_file(struct store *s, int64_t id, const char *file_id)
{
    struct stmt *q = store_sql(s, "UPDATE slack_outbox SET file_id = ?2 WHERE id = ?1");
    bind_int(q, 1, id);
    bind_text(q, 2, file_id);
    return stmt_run(q);
}

int outbox_cancel(struct store *s, enum outbox_ref ref, int64_t ref_id)
{
    struct stmt *q = store_sql(s, "UPDATE slack_outbox SET state = 3, error = 'no longer needed', "
                                  "done_at = ?3 WHERE ref = ?1 AND ref_id = ?2 AND state = 0");
    bind_int(q, 1, ref);
    bind_int(q, 2, ref_id);
    bind_int(q, 3, clock_wall_ms());
    return stmt_run(q);
}

static int exists(struct stmt *q)
{
    int r = stmt_step(q);
    if (r > 0)
        stmt_reset(q);
    return r;
}

int outbox_pending(struct store *s, enum outbox_op op, enum outbox_ref ref, int64_t ref_id,
                   const char *user)
{
    struct stmt *q = store_sql(s, "SELECT 1 FROM slack_outbox WHERE ref = ?2 AND ref_id = ?3 AND "
                                  "op = ?1 AND user_id = ?4 AND state < 2 LIMIT 1");
    bind_int(q, 1, op);
    bind_int(q, 2, ref);
    bind_int(q, 3, ref_id);
    bind_text(q, 4, user);
    return exists(q);
}

int outbox_tried(struct store *s, enum outbox_ref ref, int64_t ref_id)
{
    struct stmt *q = store_sql(s, "SELECT 1 FROM slack_outbox WHERE ref = ?1 AND ref_id = ?2 AND "
                                  "op = 0 AND state IN (1, 2) LIMIT 1");
    bind_int(q, 1, ref);
    bind_int(q, 2, ref_id);
    return exists(q);
}

int outbox_refresh(struct store *s, enum outbox_ref ref, int64_t ref_id)
{
    // A message that has not been tried yet will tell how things stand by itself, and so will an
    // update that has not. One under way may have been rendered before the change.
    enum { MAX_READERS = 8 };
    char users[MAX_READERS][24];
    size_t n = 0;
    struct stmt *q = store_sql(
        s, "SELECT DISTINCT user_id FROM slack_outbox AS p WHERE ref = ?1 AND ref_id = ?2 AND "
           "op = 0 AND state IN (1, 2) AND NOT EXISTS (SELECT 1 FROM slack_outbox AS u WHERE "
           "u.ref = ?1 AND u.ref_id = ?2 AND u.op = 1 AND u.state = 0 AND u.user_id = p.user_id)");
    bind_int(q, 1, ref);
    bind_int(q, 2, ref_id);
    int r;
    while ((r = stmt_step(q)) > 0 && n < MAX_READERS)
        copy(users[n++], sizeof users[0], col_text(q, 0));
    stmt_reset(q);
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = outbox_add(
            s,
            &(struct outbox_new){.op = OUT_UPDATE, .ref = ref, .ref_id = ref_id, .user = users[i]},
            NULL);
    return r < 0 ? r : 0;
}

static int read_place(struct stmt *q, struct outbox_place *ret)
{
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    *ret = (struct outbox_place){.state = (enum outbox_state)col_int(q, 4),
                                 .ref = (enum outbox_ref)col_int(q, 5),
                                 .ref_id = col_int(q, 6)};
    copy(ret->user, sizeof ret->user, col_text(q, 0));
    copy(ret->channel, sizeof ret->channel, col_text(q, 1));
    copy(ret->ts, sizeof ret->ts, col_text(q, 2));
    copy(ret->error, sizeof ret->error, col_text(q, 3));
    stmt_reset(q);
    return 1;
}

#define PLACE "SELECT user_id, channel, ts, error, state, ref, ref_id FROM slack_outbox WHERE "

int outbox_read(struct store *s, int64_t id, struct outbox_place *ret)
{
    struct stmt *q = store_sql(s, PLACE "id = ?");
    bind_int(q, 1, id);
    return read_place(q, ret);
}

int outbox_find(struct store *s, const char *channel, const char *ts, struct outbox_place *ret)
{
    struct stmt *q = store_sql(s, PLACE "ts = ?2 AND ts <> '' AND channel = ?1 AND op = 0 LIMIT 1");
    bind_text(q, 1, channel);
    bind_text(q, 2, ts);
    return read_place(q, ret);
}

int outbox_shown(struct store *s, enum outbox_ref ref, int64_t ref_id, const char *user,
                 struct outbox_place *ret)
{
    struct stmt *q = store_sql(s, PLACE "ref = ?1 AND ref_id = ?2 AND user_id = ?3 AND op = 0 AND "
                                        "state = 2 ORDER BY id LIMIT 1");
    bind_int(q, 1, ref);
    bind_int(q, 2, ref_id);
    bind_text(q, 3, user);
    return read_place(q, ret);
}

int outbox_prune(struct store *s, int64_t before)
{
    struct stmt *q = store_sql(
        s, "DELETE FROM slack_outbox WHERE state >= 2 AND done_at < ?1 AND (ref = 0 OR ref > 3 OR "
           "ref_id NOT IN (SELECT id FROM slack_escalation WHERE state < 3))");
    bind_int(q, 1, before);
    return stmt_run(q);
}
