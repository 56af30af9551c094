#include "channels/slack/escalation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/outbox.h"
#include "common/counters.h"

static const char *const state_names[] = {"open", "acknowledged", "snoozed", "resolved"};

const char *escalation_state_name(enum escalation_state state)
{
    return state_names[state];
}

int escalation_add(struct store *s, const struct escalation_new *n,
                   const struct escalation_people *p, struct moment now, int64_t *ret_id)
{
    struct stmt *q =
        store_sql(s, "INSERT INTO slack_escalation(title, body, severity, "
                     "incident_id, recommended_action, created_at, due_at, due_boot, by) "
                     "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
    bind_text(q, 1, n->title);
    bind_text(q, 2, n->body);
    bind_text(q, 3, n->severity);
    if (n->incident_id)
        bind_int(q, 4, n->incident_id);
    bind_text(q, 5, n->action);
    bind_int(q, 6, now.wall);
    if (p->nag_ms) {
        bind_int(q, 7, now.wall + p->nag_ms);
        bind_int(q, 8, now.boot + p->nag_ms);
    }
    bind_text(q, 9, n->by);
    int r = stmt_run(q);
    if (r < 0)
        return r;
    *ret_id = store_last_id(s);
    return outbox_add(
        s,
        &(struct outbox_new){
            .op = OUT_POST, .ref = REF_ESCALATION, .ref_id = *ret_id, .user = p->owner},
        NULL);
}

#define COLUMNS                                                                                    \
    "SELECT id, incident_id, created_at, nags, due_at, changed_at, state, channel, ts, "           \
    "changed_by, title, body, recommended_action, severity, note FROM slack_escalation WHERE "

static int read_row(struct stmt *q, struct escalation *ret)
{
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    *ret = (struct escalation){.id = col_int(q, 0),
                               .incident_id = col_int(q, 1),
                               .created_at = col_int(q, 2),
                               .nags = col_int(q, 3),
                               .due_at = col_int(q, 4),
                               .changed_at = col_int(q, 5),
                               .state = (enum escalation_state)col_int(q, 6),
                               .title = strdup(col_text(q, 10)),
                               .body = strdup(col_text(q, 11)),
                               .action = strdup(col_text(q, 12)),
                               .severity = strdup(col_text(q, 13)),
                               .note = strdup(col_text(q, 14))};
    snprintf(ret->channel, sizeof ret->channel, "%s", col_text(q, 7));
    snprintf(ret->ts, sizeof ret->ts, "%s", col_text(q, 8));
    snprintf(ret->changed_by, sizeof ret->changed_by, "%s", col_text(q, 9));
    stmt_reset(q);
    if (ret->title && ret->body && ret->action && ret->severity && ret->note)
        return 1;
    escalation_done(ret);
    return -ENOMEM;
}

int escalation_read(struct store *s, int64_t id, struct escalation *ret)
{
    struct stmt *q = store_sql(s, COLUMNS "id = ?");
    bind_int(q, 1, id);
    return read_row(q, ret);
}

int escalation_next(struct store *s, int state, int64_t after, struct escalation *ret)
{
    struct stmt *q = store_sql(s, COLUMNS "id > ?1 AND (state = ?2 OR ?2 = -2 OR (?2 = -1 AND "
                                          "state < 3)) ORDER BY id LIMIT 1");
    bind_int(q, 1, after);
    bind_int(q, 2, state);
    return read_row(q, ret);
}

void escalation_done(struct escalation *e)
{
    free(e->title);
    free(e->body);
    free(e->action);
    free(e->severity);
    free(e->note);
    *e = (struct escalation){0};
}

static void bind_due(struct stmt *q, int n, struct moment due)
{
    if (due.wall) {
        bind_int(q, n, due.wall);
        bind_int(q, n + 1, due.boot);
    }
}

int escalation_posted(struct store *s, int64_t id, const char *channel, const char *ts,
                      const struct escalation_people *p, int64_t sent, struct moment now)
{
    int64_t ago = now.wall > sent ? now.wall - sent : 0; // found by reading back
    struct moment due = p->nag_ms ? moment_after(now, p->nag_ms > ago ? p->nag_ms - ago : 0)
                                  : (struct moment){0, 0};
    struct stmt *q = store_sql(s, "UPDATE slack_escalation SET channel = ?2, ts = ?3, "
                                  "due_at = CASE state WHEN 0 THEN ?4 ELSE due_at END, "
                                  "due_boot = CASE state WHEN 0 THEN ?5 ELSE due_boot END "
                                  "WHERE id = ?1 AND ts = ''");
    bind_int(q, 1, id);
    bind_text(q, 2, channel);
    bind_text(q, 3, ts);
    bind_due(q, 4, due);
    return stmt_run(q);
}

int escalation_nagged(struct store *s, int64_t id, const struct escalation_people *p,
                      struct moment now)
{
    struct stmt *q = store_sql(s, "UPDATE slack_escalation SET due_at = ?2, due_boot = ?3 WHERE "
                                  "id = ?1 AND state = 0 AND due_at IS NOT NULL");
    bind_int(q, 1, id);
    bind_due(q, 2, moment_after(now, p->nag_ms));
    return stmt_run(q);
}

// Moves it on unless it is over or in that state already.
static int set_state(struct store *s, int64_t id, enum escalation_state to, const char *user,
                     struct moment due, struct moment now)
{
    struct stmt *q =
        store_sql(s, "UPDATE slack_escalation SET state = ?2, changed_by = ?3, changed_at = ?4, "
                     "due_at = ?5, due_boot = ?6, asked_again = 0 WHERE id = ?1 AND state < 3 AND "
                     "state <> ?2");
    bind_int(q, 1, id);
    bind_int(q, 2, to);
    bind_text(q, 3, user);
    bind_int(q, 4, now.wall);
    bind_due(q, 5, due);
    int r = stmt_run(q);
    if (r < 0)
        return r;
    int changed = store_changes(s) > 0;
    if (!changed)
        return 0;
    r = outbox_cancel(s, REF_NAG, id);
    if (r == 0)
        r = outbox_refresh(s, REF_ESCALATION, id);
    return r < 0 ? r : 1;
}

int escalation_acknowledge(struct store *s, int64_t id, const char *user, struct moment now)
{
    return set_state(s, id, ESCALATION_ACKNOWLEDGED, user, moment_after(now, ESCALATION_SILENCE_MS),
                     now);
}

int escalation_snooze(struct store *s, int64_t id, const char *user, struct moment now)
{
    return set_state(s, id, ESCALATION_SNOOZED, user, moment_after(now, ESCALATION_SNOOZE_MS), now);
}

int escalation_heard(struct store *s, int64_t id, struct moment now)
{
    struct stmt *q = store_sql(s, "UPDATE slack_escalation SET due_at = ?2, due_boot = ?3 WHERE "
                                  "id = ?1 AND state = 1 AND asked_again = 0");
    bind_int(q, 1, id);
    bind_due(q, 2, moment_after(now, ESCALATION_SILENCE_MS));
    return stmt_run(q);
}

// In the thread of everybody who has the message. broadcast is the renderer's business.
static int say_in_thread(struct store *s, enum outbox_ref ref, int64_t id, const char *user,
                         const char *body)
{
    struct outbox_place place;
    int r = user[0] ? outbox_shown(s, REF_ESCALATION, id, user, &place) : 0;
    if (r <= 0)
        return r;
    return outbox_add(s,
                      &(struct outbox_new){.op = OUT_POST,
                                           .ref = ref,
                                           .ref_id = id,
                                           .user = user,
                                           .thread_ts = place.ts,
                                           .body = body},
                      NULL);
}

int escalation_resolve(struct store *s, int64_t id, const char *user, const char *note,
                       const struct escalation_people *p, struct moment now)
{
    struct moment never = {0, 0};
    int r = set_state(s, id, ESCALATION_RESOLVED, user, never, now);
    if (r <= 0)
        return r;
    struct stmt *q = store_sql(s, "UPDATE slack_escalation SET note = ?2 WHERE id = ?1");
    bind_int(q, 1, id);
    bind_text(q, 2, note);
    r = stmt_run(q);
    if (r == 0)
        r = say_in_thread(s, REF_NOTE, id, p->owner, note);
    if (r == 0)
        r = say_in_thread(s, REF_NOTE, id, p->second, note);
    return r < 0 ? r : 1;
}

int escalation_check_incidents(struct store *s, const struct escalation_people *p,
                               struct moment now)
{
    enum { MAX_AT_ONCE = 64 };
    int64_t ids[MAX_AT_ONCE];
    int n = 0, r;
    // incident.status: 0 firing, 1 resolved. One that went stale was not resolved.
    struct stmt *q = store_sql(s, "SELECT e.id FROM slack_escalation AS e JOIN incident AS i ON "
                                  "i.id = e.incident_id WHERE e.state < 3 AND i.status = 1 LIMIT "
                                  "64");
    while ((r = stmt_step(q)) > 0)
        ids[n++] = col_int(q, 0);
    for (int i = 0; r >= 0 && i < n; i++)
        r = escalation_resolve(s, ids[i], "the alert itself", "", p, now);
    return r < 0 ? r : n;
}

// ---- the timer ----

enum nag_step nag_decide(bool posted, bool pending, int64_t nags_before, bool has_second)
{
    if (!posted || pending)
        return NAG_WAIT;
    return has_second && nags_before + 1 == ESCALATION_SECOND_AFTER ? NAG_SAY_SECOND : NAG_SAY;
}

struct due_row {
    int64_t id, nags;
    enum escalation_state state;
    bool posted, firing;
};

static int set_due(struct store *s, const struct due_row *row, int64_t nags, struct moment due)
{
    struct stmt *q =
        store_sql(s, "UPDATE slack_escalation SET nags = ?2, due_at = ?3, due_boot = ?4, "
                     "asked_again = (state = 1), state = CASE state WHEN 2 THEN 0 ELSE state END "
                     "WHERE id = ?1");
    bind_int(q, 1, row->id);
    bind_int(q, 2, nags);
    bind_due(q, 3, due);
    return stmt_run(q);
}

static int nag(struct store *s, const struct due_row *row, const struct escalation_people *p,
               struct moment now)
{
    struct moment due = p->nag_ms ? moment_after(now, p->nag_ms) : (struct moment){0, 0};
    int pending = outbox_pending(s, OUT_POST, REF_NAG, row->id, p->owner);
    if (pending < 0)
        return pending;
    enum nag_step step = nag_decide(row->posted, pending > 0, row->nags, p->second[0] != '\0');
    int r = set_due(s, row, row->nags + (step != NAG_WAIT), due);
    if (r == 0 && row->state == ESCALATION_SNOOZED)
        r = outbox_refresh(s, REF_ESCALATION, row->id);
    if (r < 0 || step == NAG_WAIT)
        return r;
    r = counter_add_now(s, "sre_nags_total{of=\"escalation\"}", 1);
    if (r == 0)
        r = say_in_thread(s, REF_NAG, row->id, p->owner, "");
    if (r == 0)
        r = say_in_thread(s, REF_NAG, row->id, p->second, "");
    if (r == 0 && step == NAG_SAY_SECOND)
        r = outbox_add(
            s,
            &(struct outbox_new){
                .op = OUT_POST, .ref = REF_ESCALATION, .ref_id = row->id, .user = p->second},
            NULL);
    return r;
}

// Acknowledged an hour ago and nothing since: ask once, if the alert is still there.
static int ask_again(struct store *s, const struct due_row *row, const struct escalation_people *p)
{
    struct moment never = {0, 0};
    int r = set_due(s, row, row->nags, never);
    if (r == 0 && row->firing)
        r = say_in_thread(s, REF_NAG, row->id, p->owner, "");
    return r;
}

int escalation_run_due(struct store *s, const struct escalation_people *p, struct moment now)
{
    enum { MAX_AT_ONCE = 64 };
    struct due_row rows[MAX_AT_ONCE];
    int n = 0, r;
    struct stmt *q = store_sql(
        s, "SELECT e.id, e.nags, e.state, e.ts <> '', coalesce(i.status = 0, 0) FROM "
           "slack_escalation AS e LEFT JOIN incident AS i ON i.id = e.incident_id WHERE e.due_at "
           "IS NOT NULL AND (e.due_at <= ?1 OR e.due_boot <= ?2) ORDER BY e.id LIMIT 64");
    bind_int(q, 1, now.wall);
    bind_int(q, 2, now.boot);
    while ((r = stmt_step(q)) > 0)
        rows[n++] = (struct due_row){.id = col_int(q, 0),
                                     .nags = col_int(q, 1),
                                     .state = (enum escalation_state)col_int(q, 2),
                                     .posted = col_int(q, 3) != 0,
                                     .firing = col_int(q, 4) != 0};
    for (int i = 0; r >= 0 && i < n; i++)
        r = rows[i].state == ESCALATION_ACKNOWLEDGED ? ask_again(s, &rows[i], p)
                                                     : nag(s, &rows[i], p, now);
    return r < 0 ? r : n;
}

int64_t escalation_wait(struct store *s, struct moment now)
{
    struct stmt *q = store_sql(s, "SELECT min(due_at), min(due_boot) FROM slack_escalation WHERE "
                                  "due_at IS NOT NULL");
    return moment_wait_of(q, now);
}
