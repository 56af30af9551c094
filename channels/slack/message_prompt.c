// Permission prompts, what does not fit into one message of them, and their nags, as messages.

#include <errno.h>

#include "channels/slack/blocks.h"
#include "channels/slack/message_parts.h"
#include "channels/slack/mrkdwn.h"
#include "channels/slack/permission.h"
#include "common/text.h"

static void prompt_verdict(struct buf *out, struct store *s, const struct prompt *p)
{
    switch (p->state) {
    case PROMPT_ASKED:
        break;
    case PROMPT_ALLOWED:
    case PROMPT_DENIED:
        buf_addf(out, "*%s* by ",
                 p->state == PROMPT_ALLOWED ? "\xe2\x9c\x85 Allowed" : "\xe2\x9b\x94 Denied");
        message_add_name(out, s, p->decided_by);
        buf_adds(out, ", ");
        message_add_time(out, p->decided_at);
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
    struct str rest = str_of(p->preview), part;
    while ((part = utf8_first(rest, PROMPT_PART_CHARS)).n < rest.n)
        rest = (struct str){rest.p + part.n, rest.n - part.n};
    return rest;
}

static int prompt_blocks(struct store *s, const struct prompt *p, struct str head, struct buf *out)
{
    struct buf t = BUF_INIT(MESSAGE_MAX_TEXT);
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

int message_prompt(struct store *s, const struct outbox_row *row, struct message *m)
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
    struct buf head = BUF_INIT(MESSAGE_MAX_TEXT);
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
            message_add_start(&m->text, p.preview);
        buf_addf(&m->text, "\nyes %s / no %s", p.request_id, p.request_id);
    } else {
        prompt_verdict(&m->text, s, &p);
    }
    r = head.error ? head.error : prompt_blocks(s, &p, buf_str(&head), &m->blocks);
    buf_done(&head);
    prompt_done(&p);
    return r;
}

int message_prompt_nag(struct store *s, const struct outbox_row *row, int64_t now,
                       struct message *m)
{
    struct prompt p;
    int r = prompt_read(s, row->ref_id, &p);
    if (r <= 0)
        return r < 0 ? r : -ECANCELED;
    r = p.state == PROMPT_ASKED ? 0 : -ECANCELED;
    m->broadcast = true;
    buf_addf(&m->text, "<@%s> *Nag #%lld, unanswered for ", row->user, (long long)p.nags);
    message_add_duration(&m->text, now - p.created_at);
    buf_adds(&m->text, "*: the session stands still until ");
    mrkdwn_escape(&m->text, str_of(p.tool));
    buf_addf(&m->text, " is allowed or denied. `yes %s` / `no %s`", p.request_id, p.request_id);
    prompt_done(&p);
    return r < 0 ? r : m->text.error;
}

int message_prompt_part(const struct outbox_row *row, struct message *m)
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
