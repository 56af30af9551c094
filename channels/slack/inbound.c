#include "channels/slack/inbound.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/inbox.h"
#include "channels/slack/message.h"
#include "channels/slack/mrkdwn.h"
#include "channels/slack/permission.h"
#include "common/log.h"
#include "common/text.h"

// ---- text ----

static int add_files(struct buf *out, const cJSON *files)
{
    const cJSON *f;
    cJSON_ArrayForEach(f, files)
    {
        const char *name = json_str(f, "name"), *type = json_str(f, "mimetype"),
                   *id = json_str(f, "id");
        buf_addf(out, "%s[file %s (%s, %lld bytes, id %s)]", out->len ? "\n" : "",
                 name ? name : "?", type ? type : "?", (long long)json_int(f, "size", 0),
                 id ? id : "?");
    }
    return out->error;
}

// As it was typed, clean, within the cap.
static int plain_text(struct buf *out, const char *prefix, const struct slack_event *e)
{
    struct buf raw = BUF_INIT(8u << 20);
    buf_adds(&raw, prefix);
    mrkdwn_unescape(&raw, str_of(e->text));
    add_files(&raw, e->files);
    int r = raw.error;
    if (r == 0)
        r = text_clean(out, buf_str(&raw), INBOX_MAX_TEXT - 64, 0);
    buf_done(&raw);
    return r;
}

bool inbound_is_acknowledgement(struct str text)
{
    static const char *const words[] = {"ack", "acked", "acknowledge", "acknowledged", "on it",
                                        "ok",  "okay",  "seen",        "looking",      "got it"};
    while (text.n && strchr(" .!\n", text.p[text.n - 1]))
        text.n--;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (text_equal_nocase(text, words[i]))
            return true;
    return false;
}

// ---- seen ----

// 1 = none of its names was seen before; all are noted.
static int is_first(struct store *s, const struct slack_event *e, const char *event_id, int64_t now)
{
    int r = inbox_first(s, "e", event_id, "", now), first = r;
    if (e->type == EVENT_MESSAGE) {
        if (r >= 0)
            r = inbox_first(s, "m", e->channel, e->ts, now);
        first = first && r;
        if (r >= 0)
            r = inbox_first(s, "c", e->client_msg_id, "", now);
        first = first && r;
    } else if (e->type == EVENT_REACTION && r >= 0) {
        char what[160];
        snprintf(what, sizeof what, "%.31s:%.23s:%.100s", e->ts, e->user, e->reaction);
        r = inbox_first(s, "x", e->channel, what, now);
        first = first && r;
    } else if (e->type == EVENT_EDIT && r >= 0) {
        r = inbox_first(s, "d", e->ts, e->edited_ts, now);
        first = first && r;
    }
    return r < 0 ? r : first;
}

// ---- what people do ----

static int note(const struct inbound *in, enum inbox_kind kind, const struct slack_event *e,
                const char *thread_ts, struct str text, int64_t escalation_id, struct moment now)
{
    return inbox_add(in->store,
                     &(struct inbox_new){.kind = kind,
                                         .channel = e->channel,
                                         .ts = e->ts,
                                         .thread_ts = thread_ts,
                                         .user = e->user,
                                         .text = text,
                                         .escalation_id = escalation_id},
                     now.wall);
}

// "Olga acknowledged escalation #3 (disk full)", in the escalation's thread.
static int note_act(const struct inbound *in, const struct slack_event *e, int64_t id,
                    const char *did, struct moment now)
{
    struct escalation esc;
    struct person p;
    int r = escalation_read(in->store, id, &esc);
    if (r <= 0)
        return r;
    r = person_read(in->store, e->user, &p);
    struct buf text = BUF_INIT(4096);
    buf_addf(&text, "%s %s escalation #%lld (%s)", r == 0 ? p.name : e->user, did, (long long)id,
             esc.title);
    struct outbox_place place;
    r = outbox_shown(in->store, REF_ESCALATION, id, e->user, &place);
    if (r >= 0)
        r = note(in, INBOX_INTERACTION, e, r > 0 ? place.ts : e->ts, buf_str(&text), id, now);
    buf_done(&text);
    escalation_done(&esc);
    return r;
}

static int decide(const struct inbound *in, const struct slack_event *e, int64_t id, bool allow,
                  const char *thread_ts, struct moment now)
{
    int r = prompt_decide(in->store, id, allow, e->user, now);
    if (r != 0)
        return r;
    struct prompt p; // a stale one says so
    r = prompt_read(in->store, id, &p);
    if (r <= 0)
        return r;
    struct buf text = BUF_INIT(1024);
    buf_addf(&text, "`%s` is not waiting any more: %s.", p.request_id,
             p.state == PROMPT_ALLOWED  ? "it was allowed already"
             : p.state == PROMPT_DENIED ? "it was denied already"
                                        : "the session has ended");
    prompt_done(&p);
    r = outbox_add(
        in->store,
        &(struct outbox_new){
            .op = OUT_POST, .user = e->user, .thread_ts = thread_ts, .body = buf_cstr(&text)},
        NULL);
    if (r == 0)
        r = outbox_refresh(in->store, REF_PROMPT, id);
    buf_done(&text);
    return r < 0 ? r : 1;
}

// A word at top level that says no more than "seen" is meant for what is open.
static int acknowledge_all(const struct inbound *in, const struct slack_event *e, int64_t *ret_last,
                           struct moment now)
{
    struct escalation esc;
    int64_t after = 0;
    int r;
    while ((r = escalation_next(in->store, ESCALATION_OPEN, after, &esc)) > 0) {
        after = esc.id;
        escalation_done(&esc);
        int posted = outbox_tried(in->store, REF_ESCALATION, after);
        if (posted < 0)
            return posted;
        if (posted)
            r = escalation_acknowledge(in->store, after, e->user, now);
        if (r < 0)
            return r;
        if (posted)
            *ret_last = after;
    }
    return r;
}

static int on_message(const struct inbound *in, const struct slack_event *e, struct moment now)
{
    struct buf text = BUF_INIT(2 * INBOX_MAX_TEXT);
    struct outbox_place place;
    char request[8];
    bool allow;
    int64_t escalation = 0, prompt = 0;
    int r = person_set_channel(in->store, e->user, e->channel);
    if (r == 0)
        r = plain_text(&text, "", e);
    if (r == 0 && permission_parse(buf_str(&text), &allow, request))
        prompt = prompt_by_request(in->store, request);
    if (prompt < 0)
        r = (int)prompt;
    if (r == 0 && prompt) {
        r = decide(in, e, prompt, allow, e->thread_ts[0] ? e->thread_ts : e->ts, now);
        buf_done(&text);
        return r;
    }
    if (r == 0 && e->thread_ts[0]) {
        r = outbox_find(in->store, e->channel, e->thread_ts, &place);
        if (r > 0 && (place.ref == REF_ESCALATION || place.ref == REF_NAG)) {
            escalation = place.ref_id;
            r = escalation_acknowledge(in->store, escalation, e->user, now);
            if (r == 0)
                r = escalation_heard(in->store, escalation, now);
        }
    } else if (r == 0 && inbound_is_acknowledgement(buf_str(&text))) {
        r = acknowledge_all(in, e, &escalation, now);
    }
    if (r >= 0)
        r = note(in, INBOX_MESSAGE, e, e->thread_ts, buf_str(&text), escalation, now);
    buf_done(&text);
    return r < 0 ? r : 1;
}

// Said for the model to know; it decides nothing.
static int on_edit(const struct inbound *in, const struct slack_event *e, struct moment now)
{
    struct buf text = BUF_INIT(2 * INBOX_MAX_TEXT);
    int r = plain_text(&text, "(edited) ", e);
    if (r == 0)
        r = note(in, INBOX_MESSAGE, e, e->thread_ts, buf_str(&text), 0, now);
    buf_done(&text);
    return r < 0 ? r : 1;
}

static int on_reaction(const struct inbound *in, const struct slack_event *e, struct moment now)
{
    struct outbox_place place;
    char did[160];
    int r = outbox_find(in->store, e->channel, e->ts, &place);
    if (r == 0) // ours, perhaps, and not known yet: see inbound_posted
        r = inbox_first(in->store, "r", e->channel, e->ts, now.wall) < 0 ? -EIO : 0;
    if (r <= 0 || (place.ref != REF_ESCALATION && place.ref != REF_NAG))
        return r < 0 ? r : 0;
    r = escalation_acknowledge(in->store, place.ref_id, e->user, now);
    if (r <= 0)
        return r;
    snprintf(did, sizeof did, "acknowledged (by :%.100s:)", e->reaction);
    r = note_act(in, e, place.ref_id, did, now);
    return r < 0 ? r : 1;
}

static int answered_by_word(const struct inbound *in, int64_t id, const char *channel,
                            const char *ts, struct moment now)
{
    char user[24];
    struct stmt *q =
        store_sql(in->store, "SELECT user_id FROM slack_inbox WHERE kind = 0 AND channel = ?1 AND "
                             "thread_ts = ?2 AND thread_ts <> '' ORDER BY id LIMIT 1");
    bind_text(q, 1, channel);
    bind_text(q, 2, ts);
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    snprintf(user, sizeof user, "%s", col_text(q, 0));
    stmt_reset(q);
    q = store_sql(in->store, "UPDATE slack_inbox SET escalation_id = ?3 WHERE channel = ?1 AND "
                             "thread_ts = ?2 AND thread_ts <> ''");
    bind_text(q, 1, channel);
    bind_text(q, 2, ts);
    bind_int(q, 3, id);
    r = stmt_run(q);
    return r < 0 ? r : escalation_acknowledge(in->store, id, user, now);
}

int inbound_posted(const struct inbound *in, int64_t escalation_id, const char *channel,
                   const char *ts, struct moment now)
{
    int r = answered_by_word(in, escalation_id, channel, ts, now);
    if (r != 0)
        return r;
    r = inbox_seen(in->store, "r", channel, ts);
    if (r <= 0)
        return r;
    struct person p;
    r = person_of_channel(in->store, channel, &p);
    if (r <= 0)
        return r;
    struct slack_event e = {.channel = channel, .ts = ts, .user = p.user};
    r = escalation_acknowledge(in->store, escalation_id, p.user, now);
    if (r > 0)
        r = note_act(in, &e, escalation_id, "acknowledged (by a reaction)", now);
    return r;
}

static int on_escalation_button(const struct inbound *in, const struct slack_event *e,
                                struct moment now)
{
    struct outbox_place place;
    int64_t id = strtoll(e->value, NULL, 10);
    int r = outbox_find(in->store, e->channel, e->ts, &place);
    // Unknown: Slack's answer to the post is still on its way. Only our app makes such buttons.
    if (r < 0 || id <= 0 || (r > 0 && (place.ref != REF_ESCALATION || place.ref_id != id)))
        return r < 0 ? r : 0;
    const char *did = "acknowledged";
    if (strcmp(e->action, ACTION_ACKNOWLEDGE) == 0) {
        r = escalation_acknowledge(in->store, id, e->user, now);
    } else if (strcmp(e->action, ACTION_SNOOZE) == 0) {
        did = "snoozed for 1 h";
        r = escalation_snooze(in->store, id, e->user, now);
    } else {
        did = "resolved";
        r = escalation_resolve(in->store, id, e->user, "", in->people, now);
    }
    if (r > 0)
        r = note_act(in, e, id, did, now);
    else if (r == 0) // a client that had not redrawn yet
        r = outbox_refresh(in->store, REF_ESCALATION, id);
    return r < 0 ? r : 1;
}

static int on_button(const struct inbound *in, const struct slack_event *e, struct moment now)
{
    if (strncmp(e->action, "escalation:", 11) == 0)
        return on_escalation_button(in, e, now);
    bool allow = strcmp(e->action, ACTION_ALLOW) == 0;
    if (!allow && strcmp(e->action, ACTION_DENY) != 0)
        return 0;
    int64_t id = prompt_by_nonce(in->store, e->value);
    return id > 0 ? decide(in, e, id, allow, e->ts, now) : (int)id;
}

static int on_command(const struct inbound *in, const struct slack_event *e, struct moment now)
{
    struct buf text = BUF_INIT(2 * INBOX_MAX_TEXT);
    char prefix[128];
    snprintf(prefix, sizeof prefix, "%.100s ", e->command);
    int r = person_set_channel(in->store, e->user, e->channel);
    if (r == 0)
        r = plain_text(&text, prefix, e);
    if (r == 0)
        r = note(in, INBOX_COMMAND, e, "", buf_str(&text), 0, now);
    buf_done(&text);
    return r < 0 ? r : 1;
}

// ---- one event ----

static int act(const struct inbound *in, const struct slack_event *e, struct moment now)
{
    switch (e->type) {
    case EVENT_MESSAGE:
        return on_message(in, e, now);
    case EVENT_EDIT:
        return on_edit(in, e, now);
    case EVENT_REACTION:
        return on_reaction(in, e, now);
    case EVENT_BUTTON:
        return on_button(in, e, now);
    case EVENT_COMMAND:
        return on_command(in, e, now);
    case EVENT_NONE:
        break;
    }
    return 0;
}

static int on_stranger(const struct inbound *in, const struct slack_event *e, struct moment now)
{
    int r = person_stranger(in->store, e->user, now.wall);
    if (r > 0)
        log_warn("slack: somebody who is not in SLACK_ALLOWED_USERS was ignored; add the id to let "
                 "them in",
                 "user", e->user, "channel", e->channel);
    return r < 0 ? r : 0;
}

int inbound_event(const struct inbound *in, const struct slack_event *e, const char *event_id,
                  struct moment now)
{
    if (e->type == EVENT_NONE)
        return 0;
    enum access_verdict verdict = access_check(in->access, e);
    if (verdict != ACCESS_OK && verdict != ACCESS_STRANGER) {
        if (verdict != ACCESS_OWN)
            log_debug("slack: dropped", "why", verdict == ACCESS_BOT ? "bot" : "not a DM", "user",
                      e->user);
        return 0;
    }
    int r = in->batch ? 0 : store_begin(in->store);
    if (r < 0)
        return r;
    r = is_first(in->store, e, event_id, now.wall);
    if (r > 0)
        r = verdict == ACCESS_OK ? act(in, e, now) : on_stranger(in, e, now);
    if (in->batch)
        return r;
    if (r < 0) {
        store_rollback(in->store);
        return r;
    }
    int done = store_commit(in->store);
    return done < 0 ? done : r;
}
