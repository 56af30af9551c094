#include "channels/slack/message.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "channels/slack/blocks.h"
#include "channels/slack/inbox.h"
#include "channels/slack/markdown.h"
#include "channels/slack/mrkdwn.h"
#include "channels/slack/permission.h"
#include "common/text.h"

enum {
    MAX_TEXT = 200 * 1024, // bytes of one text
    FALLBACK_CHARS = 280,  // of the body in the notification
};

void message_done(struct message *m)
{
    buf_done(&m->text);
    buf_done(&m->blocks);
}

// ---- pieces ----

static void add_name(struct buf *out, struct store *s, const char *user)
{
    struct person p;
    if (user[0] == 'U' || user[0] == 'W') {
        if (person_read(s, user, &p) == 0)
            user = p.name;
    }
    mrkdwn_escape(out, str_of(user));
}

// Shown in the reader's own time zone; the fallback is UTC (docs.slack.dev, "Date formatting").
static void add_time(struct buf *out, int64_t wall_ms)
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[32];
    strftime(text, sizeof text, "%H:%M:%S UTC", gmtime_r(&t, &tm));
    buf_addf(out, "<!date^%lld^{date_short_pretty} {time_secs}|%s>", (long long)t, text);
}

static void add_start(struct buf *out, const char *s)
{
    struct str all = str_of(s);
    size_t i = 0;
    for (size_t n = 0; i < all.n && n < FALLBACK_CHARS; n++) {
        size_t len = utf8_char_len(s + i, all.n - i);
        i += len ? len : 1;
    }
    mrkdwn_escape(out, (struct str){s, i});
    if (i < all.n)
        buf_adds(out, " ...");
}

static void add_severity(struct buf *out, const char *severity)
{
    for (const char *p = severity; *p; p++)
        buf_addc(out, (char)toupper((unsigned char)*p));
}

static const char *sign_of(const char *severity)
{
    return strcmp(severity, "critical") == 0  ? "\xf0\x9f\x94\xb4"
           : strcmp(severity, "error") == 0   ? "\xf0\x9f\x9f\xa0"
           : strcmp(severity, "warning") == 0 ? "\xf0\x9f\x9f\xa1"
                                              : "\xf0\x9f\x94\xb5";
}

static void add_duration(struct buf *out, int64_t ms)
{
    char text[DURATION_SIZE];
    buf_adds(out, duration_format(ms, text));
}

// ---- escalations ----

static void add_state(struct buf *out, struct store *s, const struct escalation *e)
{
    char word[16];
    snprintf(word, sizeof word, "%s", escalation_state_name(e->state));
    word[0] = (char)toupper((unsigned char)word[0]);
    buf_addf(out, "*%s* ", e->state == ESCALATION_SNOOZED ? "Snoozed for 1 h" : word);
    buf_adds(out, "by ");
    add_name(out, s, e->changed_by);
    buf_adds(out, ", ");
    add_time(out, e->changed_at);
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
    struct buf t = BUF_INIT(MAX_TEXT);
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
    add_time(&t, e->created_at);
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

static int render_escalation(struct store *s, const struct outbox_row *row, struct message *m)
{
    struct escalation e;
    int r = escalation_read(s, row->ref_id, &e);
    if (r <= 0)
        return r < 0 ? r : -ECANCELED;
    struct buf head = BUF_INIT(MAX_TEXT);
    buf_addf(&head, "%s ", sign_of(e.severity));
    if (e.state == ESCALATION_OPEN)
        buf_addf(&head, "<@%s> ", row->user);
    buf_adds(&head, "*[");
    add_severity(&head, e.severity);
    buf_adds(&head, "] ");
    mrkdwn_escape(&head, str_of(e.title));
    buf_adds(&head, "*");
    buf_add(&m->text, head.data, head.len);
    buf_adds(&m->text, "\n");
    if (row->plain)
        plain_escalation(&m->text, s, &e);
    else
        add_start(&m->text, e.body);
    r = head.error ? head.error : escalation_blocks(s, &e, buf_str(&head), &m->blocks);
    buf_done(&head);
    escalation_done(&e);
    return r;
}

static int render_nag(struct store *s, const struct outbox_row *row, int64_t now, struct message *m)
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
        add_duration(&m->text, now - e.created_at);
        buf_adds(&m->text, "*: ");
    } else if (e.state == ESCALATION_ACKNOWLEDGED && again) {
        add_duration(&m->text, now - e.changed_at);
        buf_adds(&m->text, " after ");
        add_name(&m->text, s, e.changed_by);
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

static int render_note(struct store *s, const struct outbox_row *row, struct message *m)
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
    add_duration(&m->text, e.changed_at - e.created_at);
    buf_adds(&m->text, by_alert ? ". No more reminders." : ")");
    escalation_done(&e);
    return m->text.error;
}

// ---- permission prompts ----

static void prompt_verdict(struct buf *out, struct store *s, const struct prompt *p)
{
    switch (p->state) {
    case PROMPT_ASKED:
        break;
    case PROMPT_ALLOWED:
    case PROMPT_DENIED:
        buf_addf(out, "*%s* by ",
                 p->state == PROMPT_ALLOWED ? "\xe2\x9c\x85 Allowed" : "\xe2\x9b\x94 Denied");
        add_name(out, s, p->decided_by);
        buf_adds(out, ", ");
        add_time(out, p->decided_at);
        break;
    case PROMPT_GONE:
        buf_adds(out,
                 "*No longer waiting*: the session has ended. It may have been answered in the "
                 "terminal.");
        break;
    case PROMPT_PASSED:
        buf_adds(out, "*The session went on*: it may have been answered in the terminal.");
        break;
    }
}

// Of the preview; the others are in the messages before this one.
static struct str last_part(const struct prompt *p)
{
    struct str preview = str_of(p->preview);
    size_t start = 0;
    for (size_t i = 0, n = 0; i < preview.n; n++) {
        if (n == PROMPT_PART_CHARS) {
            start = i;
            n = 0;
        }
        size_t len = utf8_char_len(preview.p + i, preview.n - i);
        i += len ? len : 1;
    }
    return (struct str){preview.p + start, preview.n - start};
}

static int prompt_blocks(struct store *s, const struct prompt *p, struct str head, struct buf *out)
{
    struct buf t = BUF_INIT(MAX_TEXT);
    struct jw w = JW(out);
    size_t budget = BLOCKS_SECTION, rest = BLOCKS_SECTION;
    jw_array(&w);
    int r = blocks_sections(&w, head, &budget);
    blocks_literal(&w, last_part(p));
    if (p->state == PROMPT_ASKED || p->state == PROMPT_PASSED) {
        if (p->state == PROMPT_ASKED) {
            blocks_actions(&w);
            blocks_button(&w, "Allow", ACTION_ALLOW, p->nonce, "primary");
            blocks_button(&w, "Deny", ACTION_DENY, p->nonce, "danger");
            blocks_actions_end(&w);
        }
        buf_addf(&t, "or answer `yes %s` / `no %s`", p->request_id, p->request_id);
        blocks_context(&w, buf_str(&t));
        buf_clear(&t);
    }
    prompt_verdict(&t, s, p);
    if (r == 0 && t.len)
        r = blocks_sections(&w, buf_str(&t), &rest);
    jw_array_end(&w);
    r = r < 0 ? r : t.error;
    buf_done(&t);
    return r;
}

static void add_fenced(struct buf *out, struct str text)
{
    buf_adds(out, "```\n");
    mrkdwn_escape(out, text);
    buf_adds(out, "\n```");
}

static int render_prompt(struct store *s, const struct outbox_row *row, struct message *m)
{
    struct prompt p;
    int r = prompt_read(s, row->ref_id, &p);
    if (r <= 0)
        return r < 0 ? r : -ECANCELED;
    // Not worth asking any more when nobody waits.
    if (row->op == OUT_POST && row->state == OUT_QUEUED && p.state == PROMPT_GONE) {
        prompt_done(&p);
        return -ECANCELED;
    }
    struct buf head = BUF_INIT(MAX_TEXT);
    if (p.state == PROMPT_ASKED)
        buf_addf(&head, "<@%s> ", row->user);
    buf_adds(&head, "Claude asks to use *");
    mrkdwn_escape(&head, str_of(p.tool));
    buf_adds(&head, "*");
    if (p.description[0]) {
        buf_adds(&head, ": ");
        mrkdwn_escape(&head, str_of(p.description));
    }
    if (utf8_count(str_of(p.preview)) > PROMPT_PART_CHARS)
        buf_adds(&head, "\n_The beginning is in the messages above._");
    buf_add(&m->text, head.data, head.len < 1500 ? head.len : utf8_prefix(buf_str(&head), 1500));
    buf_addc(&m->text, '\n');
    if (p.state == PROMPT_ASKED) {
        if (row->plain)
            add_fenced(&m->text, last_part(&p));
        else
            add_start(&m->text, p.preview);
        buf_addf(&m->text, "\nyes %s / no %s", p.request_id, p.request_id);
    } else {
        prompt_verdict(&m->text, s, &p);
    }
    r = head.error ? head.error : prompt_blocks(s, &p, buf_str(&head), &m->blocks);
    buf_done(&head);
    prompt_done(&p);
    return r;
}

static int render_prompt_nag(struct store *s, const struct outbox_row *row, int64_t now,
                             struct message *m)
{
    struct prompt p;
    int r = prompt_read(s, row->ref_id, &p);
    if (r <= 0)
        return r < 0 ? r : -ECANCELED;
    r = p.state == PROMPT_ASKED ? 0 : -ECANCELED;
    m->broadcast = true;
    buf_addf(&m->text, "<@%s> *Nag #%lld, unanswered for ", row->user, (long long)p.nags);
    add_duration(&m->text, now - p.created_at);
    buf_adds(&m->text, "*: the session stands still until ");
    mrkdwn_escape(&m->text, str_of(p.tool));
    buf_addf(&m->text, " is allowed or denied. `yes %s` / `no %s`", p.request_id, p.request_id);
    prompt_done(&p);
    return r < 0 ? r : m->text.error;
}

static int render_part(const struct outbox_row *row, struct message *m)
{
    struct jw w = JW(&m->blocks);
    if (row->plain)
        add_fenced(&m->text, str_of(row->body));
    else
        buf_adds(&m->text, "Part of what is asked next.");
    jw_array(&w);
    blocks_literal(&w, str_of(row->body));
    jw_array_end(&w);
    return m->blocks.error;
}

// ---- pages and plain text ----

static int render_page(struct store *s, const struct outbox_row *row, struct message *m)
{
    struct stmt *q = store_sql(s, "SELECT severity, text, at FROM page WHERE id = ?");
    bind_int(q, 1, row->ref_id);
    int r = stmt_step(q);
    if (r <= 0)
        return r < 0 ? r : -ECANCELED;
    buf_addf(&m->text, "%s <@%s> *[", sign_of(col_text(q, 0)), row->user);
    add_severity(&m->text, col_text(q, 0));
    buf_adds(&m->text, "]* ");
    markdown_to_mrkdwn(&m->text, str_of(col_text(q, 1)));
    stmt_reset(q);
    return m->text.error;
}

int message_render(struct store *s, const struct outbox_row *row, int64_t now, struct message *m)
{
    *m = (struct message){.text = BUF_INIT(MAX_TEXT), .blocks = BUF_INIT(4 * MAX_TEXT)};
    int r = 0;
    switch (row->ref) {
    case REF_NONE:
        r = buf_adds(&m->text, row->body);
        break;
    case REF_ESCALATION:
        r = render_escalation(s, row, m);
        break;
    case REF_NAG:
        r = render_nag(s, row, now, m);
        break;
    case REF_NOTE:
        r = render_note(s, row, m);
        break;
    case REF_PROMPT:
        r = render_prompt(s, row, m);
        break;
    case REF_PROMPT_PART:
        r = render_part(row, m);
        break;
    case REF_PROMPT_NAG:
        r = render_prompt_nag(s, row, now, m);
        break;
    case REF_PAGE:
        r = render_page(s, row, m);
        break;
    }
    if (r == 0)
        r = m->text.error ? m->text.error : m->blocks.error;
    if (row->plain)
        buf_clear(&m->blocks);
    return r;
}
