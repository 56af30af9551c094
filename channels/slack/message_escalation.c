// Escalations, their nags and the notes of their end, as messages.

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "channels/slack/blocks.h"
#include "channels/slack/escalation.h"
#include "channels/slack/markdown.h"
#include "channels/slack/message_parts.h"
#include "channels/slack/mrkdwn.h"

static void add_state(struct buf *out, struct store *s, const struct escalation *e)
{
    char word[16];
    snprintf(word, sizeof word, "%s", escalation_state_name(e->state));
    word[0] = (char)toupper((unsigned char)word[0]);
    buf_addf(out, "*%s* ", e->state == ESCALATION_SNOOZED ? "Snoozed for 1 h" : word);
    buf_adds(out, "by ");
    message_add_name(out, s, e->changed_by);
    buf_adds(out, ", ");
    message_add_time(out, e->changed_at);
    if (e->note[0]) {
        buf_adds(out, ": ");
        mrkdwn_escape(out, str_of(e->note));
    }
}

static void escalation_buttons(struct jw *w, const struct escalation *e)
{
    char id[24];
    if (e->state == ESCALATION_RESOLVED)
        return;
    snprintf(id, sizeof id, "%lld", (long long)e->id);
    blocks_actions(w);
    if (e->state != ESCALATION_ACKNOWLEDGED)
        blocks_button(w, "Acknowledge", ACTION_ACKNOWLEDGE, id, "primary");
    if (e->state == ESCALATION_OPEN)
        blocks_button(w, "Snooze 1 h", ACTION_SNOOZE, id, NULL);
    blocks_button(w, "Resolve", ACTION_RESOLVE, id, NULL);
    blocks_actions_end(w);
}

static int escalation_blocks(struct store *s, const struct escalation *e, struct str head,
                             struct buf *out)
{
    struct buf t = BUF_INIT(MESSAGE_MAX_TEXT);
    struct jw w = JW(out);
    size_t budget = BLOCKS_MAX_TEXT - 2000;
    jw_array(&w);
    int r = blocks_sections(&w, head, &budget);
    markdown_to_mrkdwn(&t, str_of(e->body));
    if (r == 0)
        r = blocks_sections(&w, buf_str(&t), &budget);
    buf_clear(&t);
    if (e->action[0]) {
        buf_adds(&t, "*Recommended:* ");
        markdown_to_mrkdwn(&t, str_of(e->action));
        if (r == 0)
            r = blocks_sections(&w, buf_str(&t), &budget);
        buf_clear(&t);
    }
    if (e->state != ESCALATION_OPEN) {
        size_t rest = 2000;
        add_state(&t, s, e);
        if (r == 0)
            r = blocks_sections(&w, buf_str(&t), &rest);
        buf_clear(&t);
    }
    escalation_buttons(&w, e);
    buf_addf(&t, "Escalation #%lld", (long long)e->id);
    if (e->incident_id)
        buf_addf(&t, "  \xc2\xb7  incident #%lld", (long long)e->incident_id);
    buf_adds(&t, "  \xc2\xb7  ");
    message_add_time(&t, e->created_at);
    blocks_context(&w, buf_str(&t));
    jw_array_end(&w);
    r = r < 0 ? r : t.error;
    buf_done(&t);
    return r;
}

// Without blocks the text has to tell everything; a word in the thread does what the buttons did.
static void plain_escalation(struct buf *out, struct store *s, const struct escalation *e)
{
    markdown_to_mrkdwn(out, str_of(e->body));
    if (e->action[0]) {
        buf_adds(out, "\n*Recommended:* ");
        markdown_to_mrkdwn(out, str_of(e->action));
    }
    buf_adds(out, "\n");
    if (e->state == ESCALATION_OPEN)
        buf_adds(out, "Any word in the thread acknowledges it.");
    else
        add_state(out, s, e);
}

int message_escalation(struct store *s, const struct outbox_row *row, struct message *m)
{
    struct escalation e;
    int r = escalation_read(s, row->ref_id, &e);
    if (r <= 0)
        return r < 0 ? r : -ECANCELED;
    struct buf head = BUF_INIT(MESSAGE_MAX_TEXT);
    buf_addf(&head, "%s ", message_sign(e.severity));
    if (e.state == ESCALATION_OPEN)
        buf_addf(&head, "<@%s> ", row->user);
    buf_adds(&head, "*[");
    message_add_severity(&head, e.severity);
    buf_adds(&head, "] ");
    mrkdwn_escape(&head, str_of(e.title));
    buf_adds(&head, "*");
    buf_add(&m->text, head.data, head.len);
    buf_adds(&m->text, "\n");
    if (row->plain)
        plain_escalation(&m->text, s, &e);
    else
        message_add_start(&m->text, e.body);
    r = head.error ? head.error : escalation_blocks(s, &e, buf_str(&head), &m->blocks);
    buf_done(&head);
    escalation_done(&e);
    return r;
}

int message_nag(struct store *s, const struct outbox_row *row, int64_t now, struct message *m)
{
    struct escalation e;
    struct stmt *q = store_sql(s, "SELECT asked_again FROM slack_escalation WHERE id = ?");
    bind_int(q, 1, row->ref_id);
    bool again = stmt_step(q) > 0 && col_int(q, 0);
    stmt_reset(q);
    int r = escalation_read(s, row->ref_id, &e);
    if (r <= 0)
        return r < 0 ? r : -ECANCELED;
    m->broadcast = true;
    buf_addf(&m->text, "<@%s> ", row->user);
    if (e.state == ESCALATION_OPEN) {
        buf_addf(&m->text, "*Nag #%lld, unanswered for ", (long long)e.nags);
        message_add_duration(&m->text, now - e.created_at);
        buf_adds(&m->text, "*: ");
    } else if (e.state == ESCALATION_ACKNOWLEDGED && again) {
        message_add_duration(&m->text, now - e.changed_at);
        buf_adds(&m->text, " after ");
        message_add_name(&m->text, s, e.changed_by);
        buf_adds(&m->text, " acknowledged it, it is *still firing*. Is somebody on it? ");
    } else {
        r = -ECANCELED;
    }
    mrkdwn_escape(&m->text, str_of(e.title));
    if (e.state == ESCALATION_OPEN)
        buf_adds(&m->text, "\nAny word or reaction here stops this.");
    escalation_done(&e);
    return r == -ECANCELED ? r : m->text.error;
}

int message_note(struct store *s, const struct outbox_row *row, struct message *m)
{
    struct escalation e;
    int r = escalation_read(s, row->ref_id, &e);
    if (r <= 0)
        return r < 0 ? r : -ECANCELED;
    bool by_alert = strcmp(e.changed_by, "the alert itself") == 0;
    buf_adds(&m->text, "\xe2\x9c\x85 ");
    if (by_alert)
        buf_adds(&m->text, "*Resolved* by the alert itself");
    else
        add_state(&m->text, s, &e);
    buf_adds(&m->text, by_alert ? ", after " : " (open for ");
    message_add_duration(&m->text, e.changed_at - e.created_at);
    buf_adds(&m->text, by_alert ? ". No more reminders." : ")");
    escalation_done(&e);
    return m->text.error;
}
