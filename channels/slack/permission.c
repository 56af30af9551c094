#include "channels/slack/permission.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/mrkdwn.h"
#include "channels/slack/outbox.h"
#include "common/counters.h"
#include "common/crypto.h"
#include "common/lease.h"
#include "common/text.h"

// ---- words ----

static struct str next_word(struct str *s)
{
    while (s->n && isspace((unsigned char)s->p[0]))
        s->p++, s->n--;
    struct str word = {s->p, 0};
    while (s->n && !isspace((unsigned char)s->p[0]))
        s->p++, s->n--, word.n++;
    return word;
}

int permission_parse(struct str text, bool *ret_allow, char ret_request_id[8])
{
    struct str verdict = next_word(&text), id = next_word(&text);
    bool yes = text_equal_nocase(verdict, "yes") || text_equal_nocase(verdict, "y");
    bool no = text_equal_nocase(verdict, "no") || text_equal_nocase(verdict, "n");
    if ((!yes && !no) || next_word(&text).n)
        return 0;
    if (id.n && strchr(".!", id.p[id.n - 1])) // what a phone adds
        id.n--;
    if (id.n != 5)
        return 0;
    char out[8] = {0};
    for (size_t i = 0; i < 5; i++) {
        out[i] = (char)tolower((unsigned char)id.p[i]);
        if (out[i] < 'a' || out[i] > 'z')
            return 0;
    }
    memcpy(ret_request_id, out, sizeof out);
    *ret_allow = yes;
    return 1;
}

// ---- asking ----

// The whole preview is shown: what one message cannot hold goes before it.
static int add_parts(struct store *s, int64_t id, const char *preview, const char *owner)
{
    struct str rest = str_of(preview);
    int r = 0;
    for (;;) {
        struct str part = utf8_first(rest, PROMPT_PART_CHARS);
        if (part.n == rest.n || r < 0)
            return r;
        char *body = strndup(part.p, part.n);
        if (!body)
            return -ENOMEM;
        r = outbox_add(
            s,
            &(struct outbox_new){
                .op = OUT_POST, .ref = REF_PROMPT_PART, .ref_id = id, .user = owner, .body = body},
            NULL);
        free(body);
        rest.p += part.n;
        rest.n -= part.n;
    }
}

int prompt_add(struct store *s, const struct prompt_new *n, const char *session,
               const struct escalation_people *p, struct moment now, int64_t *ret_id)
{
    uint8_t nonce[16];
    char hex[33];
    random_bytes(nonce, sizeof nonce);
    hex_encode((struct str){(const char *)nonce, sizeof nonce}, hex);
    struct buf preview = BUF_INIT(16 * PROMPT_MAX_PREVIEW), description = BUF_INIT(4096);
    struct str all = str_of(n->preview);
    size_t shown = utf8_prefix(all, PROMPT_MAX_PREVIEW);
    int r = mrkdwn_literal(&preview, (struct str){all.p, shown});
    if (r == 0 && shown < all.n)
        r = buf_addf(&preview, "\n\n(%zu bytes are NOT shown here: read it in the terminal)",
                     all.n - shown);
    if (r == 0)
        r = text_clean(&description, str_of(n->description), 1024, TEXT_ONE_LINE);
    struct stmt *q = store_sql(s, "INSERT INTO slack_prompt(request_id, session, tool, "
                                  "description, preview, nonce, created_at) "
                                  "VALUES(?, ?, ?, ?, ?, ?, ?)");
    bind_text(q, 1, n->request_id);
    bind_text(q, 2, session);
    bind_text(q, 3, n->tool);
    bind_text(q, 4, buf_cstr(&description));
    bind_str(q, 5, buf_str(&preview));
    bind_text(q, 6, hex);
    bind_int(q, 7, now.wall);
    if (r == 0)
        r = stmt_run(q);
    if (r == 0) {
        *ret_id = store_last_id(s);
        r = add_parts(s, *ret_id, buf_cstr(&preview), p->owner);
    }
    if (r == 0)
        r = outbox_add(s,
                       &(struct outbox_new){
                           .op = OUT_POST, .ref = REF_PROMPT, .ref_id = *ret_id, .user = p->owner},
                       NULL);
    stmt_reset(q);
    buf_done(&preview);
    buf_done(&description);
    return r;
}

int prompt_read(struct store *s, int64_t id, struct prompt *ret)
{
    struct stmt *q = store_sql(s, "SELECT id, created_at, nags, decided_at, state, request_id, "
                                  "nonce, decided_by, tool, description, preview, session FROM "
                                  "slack_prompt WHERE id = ?");
    bind_int(q, 1, id);
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    *ret = (struct prompt){.id = col_int(q, 0),
                           .created_at = col_int(q, 1),
                           .nags = col_int(q, 2),
                           .decided_at = col_int(q, 3),
                           .state = (enum prompt_state)col_int(q, 4),
                           .tool = strdup(col_text(q, 8)),
                           .description = strdup(col_text(q, 9)),
                           .preview = strdup(col_text(q, 10))};
    snprintf(ret->request_id, sizeof ret->request_id, "%s", col_text(q, 5));
    snprintf(ret->nonce, sizeof ret->nonce, "%s", col_text(q, 6));
    snprintf(ret->decided_by, sizeof ret->decided_by, "%s", col_text(q, 7));
    snprintf(ret->session, sizeof ret->session, "%s", col_text(q, 11));
    stmt_reset(q);
    if (ret->tool && ret->description && ret->preview)
        return 1;
    prompt_done(ret);
    return -ENOMEM;
}

void prompt_done(struct prompt *p)
{
    free(p->tool);
    free(p->description);
    free(p->preview);
    *p = (struct prompt){0};
}

int prompt_posted(struct store *s, int64_t id, const char *channel, const char *ts,
                  struct moment now)
{
    struct stmt *q = store_sql(s, "UPDATE slack_prompt SET channel = ?2, ts = ?3, due_at = CASE "
                                  "state WHEN 0 THEN ?4 END, due_boot = ?5 WHERE id = ?1");
    bind_int(q, 1, id);
    bind_text(q, 2, channel);
    bind_text(q, 3, ts);
    bind_int(q, 4, now.wall + PROMPT_REMIND_MS);
    bind_int(q, 5, now.boot + PROMPT_REMIND_MS);
    return stmt_run(q);
}

int prompt_nagged(struct store *s, int64_t id, const struct escalation_people *p, struct moment now)
{
    struct stmt *q = store_sql(s, "UPDATE slack_prompt SET due_at = ?2, due_boot = ?3 WHERE id = "
                                  "?1 AND state = 0 AND due_at IS NOT NULL");
    bind_int(q, 1, id);
    bind_int(q, 2, now.wall + p->nag_ms);
    bind_int(q, 3, now.boot + p->nag_ms);
    return stmt_run(q);
}

// ---- deciding ----

static int show_anew(struct store *s, int64_t id)
{
    int r = outbox_cancel(s, REF_PROMPT_NAG, id);
    return r < 0 ? r : outbox_refresh(s, REF_PROMPT, id);
}

static int close_gone(struct store *s, int64_t id, struct moment now)
{
    struct stmt *q = store_sql(s, "UPDATE slack_prompt SET state = 3, decided_at = ?2, due_at = "
                                  "NULL, told = 1 WHERE id = ?1 AND state IN (0, 4)");
    bind_int(q, 1, id);
    bind_int(q, 2, now.wall);
    int r = stmt_run(q);
    return r < 0 ? r : show_anew(s, id);
}

int prompt_decide(struct store *s, int64_t id, bool allow, const char *user, struct moment now)
{
    struct prompt p;
    int r = prompt_read(s, id, &p);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    bool alive = lease_alive(p.session);
    bool open = p.state == PROMPT_ASKED || p.state == PROMPT_PASSED;
    prompt_done(&p);
    if (!open)
        return 0;
    if (!alive) {
        r = close_gone(s, id, now);
        return r < 0 ? r : 0;
    }
    struct stmt *q = store_sql(s, "UPDATE slack_prompt SET state = ?2, decided_by = ?3, decided_at "
                                  "= ?4, due_at = NULL WHERE id = ?1 AND state IN (0, 4)");
    bind_int(q, 1, id);
    bind_int(q, 2, allow ? PROMPT_ALLOWED : PROMPT_DENIED);
    bind_text(q, 3, user);
    bind_int(q, 4, now.wall);
    r = stmt_run(q);
    if (r < 0)
        return r;
    if (!store_changes(s))
        return 0;
    r = show_anew(s, id);
    return r < 0 ? r : 1;
}

static int64_t one_id(struct stmt *q, const char *key)
{
    bind_text(q, 1, key);
    int r = stmt_step(q);
    int64_t id = r > 0 ? col_int(q, 0) : r;
    stmt_reset(q);
    return id;
}

int64_t prompt_by_nonce(struct store *s, const char *nonce)
{
    return one_id(store_sql(s, "SELECT id FROM slack_prompt WHERE nonce = ? ORDER BY id DESC "
                               "LIMIT 1"),
                  nonce);
}

int64_t prompt_by_request(struct store *s, const char *request_id)
{
    // One that is open is meant before one that is not.
    return one_id(store_sql(s, "SELECT id FROM slack_prompt WHERE request_id = ? ORDER BY state = "
                               "0 DESC, id DESC LIMIT 1"),
                  request_id);
}

int prompt_untold(struct store *s, const char *session, int64_t *ret_id, char ret_request_id[8],
                  bool *ret_allow)
{
    struct stmt *q = store_sql(s, "SELECT id, request_id, state FROM slack_prompt WHERE session = "
                                  "? AND told = 0 AND state IN (1, 2) ORDER BY decided_at LIMIT 1");
    bind_text(q, 1, session);
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    *ret_id = col_int(q, 0);
    snprintf(ret_request_id, 8, "%s", col_text(q, 1));
    *ret_allow = col_int(q, 2) == PROMPT_ALLOWED;
    stmt_reset(q);
    return 1;
}

int prompt_told(struct store *s, int64_t id)
{
    struct stmt *q = store_sql(s, "UPDATE slack_prompt SET told = 1 WHERE id = ?");
    bind_int(q, 1, id);
    return stmt_run(q);
}

// ---- those that nobody decides ----

struct open_prompt {
    int64_t id, nags;
    char session[96], ts[32];
};

static int take_open(struct stmt *q, struct open_prompt *list, int max)
{
    int n = 0, r = 0;
    while (n < max && (r = stmt_step(q)) > 0) {
        list[n].id = col_int(q, 0);
        list[n].nags = col_int(q, 1);
        snprintf(list[n].session, sizeof list[n].session, "%s", col_text(q, 2));
        snprintf(list[n].ts, sizeof list[n].ts, "%s", col_text(q, 3));
        n++;
    }
    stmt_reset(q);
    return r < 0 ? r : n;
}

enum { MAX_AT_ONCE = 32 };

int prompt_passed(struct store *s, const char *session, int64_t before)
{
    struct open_prompt list[MAX_AT_ONCE];
    struct stmt *q = store_sql(s, "SELECT id, nags, session, ts FROM slack_prompt WHERE session = "
                                  "?1 AND told = 0 AND state = 0 AND created_at < ?2 LIMIT 32");
    bind_text(q, 1, session);
    bind_int(q, 2, before);
    int n = take_open(q, list, MAX_AT_ONCE), r = n;
    for (int i = 0; r >= 0 && i < n; i++) {
        q = store_sql(s, "UPDATE slack_prompt SET state = 4, due_at = NULL WHERE id = ?");
        bind_int(q, 1, list[i].id);
        r = stmt_run(q);
        if (r == 0)
            r = show_anew(s, list[i].id);
    }
    return r < 0 ? r : n;
}

int prompt_check_sessions(struct store *s, struct moment now)
{
    struct open_prompt list[MAX_AT_ONCE];
    struct stmt *q = store_sql(s, "SELECT id, nags, session, ts FROM slack_prompt WHERE told = 0 "
                                  "AND state IN (0, 4) LIMIT 32");
    int n = take_open(q, list, MAX_AT_ONCE), r = n, closed = 0;
    for (int i = 0; r >= 0 && i < n; i++) {
        if (lease_alive(list[i].session))
            continue;
        closed++;
        r = close_gone(s, list[i].id, now);
    }
    return r < 0 ? r : closed;
}

static int nag(struct store *s, const struct open_prompt *row, const struct escalation_people *p,
               struct moment now)
{
    int pending = outbox_pending(s, OUT_POST, REF_PROMPT_NAG, row->id, p->owner);
    if (pending < 0)
        return pending;
    bool say = nag_decide(row->ts[0] != '\0', pending > 0, row->nags, false) != NAG_WAIT;
    struct stmt *q =
        store_sql(s, "UPDATE slack_prompt SET nags = nags + ?2, due_at = CASE WHEN ?5 > 0 THEN ?3 "
                     "END, due_boot = ?4 WHERE id = ?1");
    bind_int(q, 1, row->id);
    bind_int(q, 2, say);
    bind_int(q, 3, now.wall + p->nag_ms);
    bind_int(q, 4, now.boot + p->nag_ms);
    bind_int(q, 5, p->nag_ms);
    int r = stmt_run(q);
    if (r == 0 && say)
        r = counter_add_now(s, "sre_nags_total{of=\"prompt\"}", 1);
    if (r == 0 && say)
        r = outbox_add(s,
                       &(struct outbox_new){.op = OUT_POST,
                                            .ref = REF_PROMPT_NAG,
                                            .ref_id = row->id,
                                            .user = p->owner,
                                            .thread_ts = row->ts},
                       NULL);
    return r;
}

int prompt_run_due(struct store *s, const struct escalation_people *p, struct moment now)
{
    struct open_prompt list[MAX_AT_ONCE];
    struct stmt *q =
        store_sql(s, "SELECT id, nags, session, ts FROM slack_prompt WHERE state = 0 AND due_at IS "
                     "NOT NULL AND (due_at <= ?1 OR due_boot <= ?2) ORDER BY id LIMIT 32");
    bind_int(q, 1, now.wall);
    bind_int(q, 2, now.boot);
    int n = take_open(q, list, MAX_AT_ONCE), r = n;
    for (int i = 0; r >= 0 && i < n; i++)
        r = nag(s, &list[i], p, now);
    return r < 0 ? r : n;
}

int64_t prompt_wait(struct store *s, struct moment now)
{
    struct stmt *q =
        store_sql(s, "SELECT min(due_at), min(due_boot) FROM slack_prompt WHERE due_at "
                     "IS NOT NULL AND state = 0");
    return moment_wait_of(q, now);
}
