#include "channels/slack/message.h"

#include <ctype.h>
#include <errno.h>
#include <time.h>

#include "channels/slack/inbox.h"
#include "channels/slack/markdown.h"
#include "channels/slack/message_parts.h"
#include "channels/slack/mrkdwn.h"
#include "common/clock.h"
#include "common/text.h"

enum { FALLBACK_CHARS = 280 }; // of the body in the notification

// ---- pieces ----

void message_add_name(struct buf *out, struct store *s, const char *user)
{
    struct person p;
    if (user[0] == 'U' || user[0] == 'W') {
        if (person_read(s, user, &p) == 0)
            user = p.name;
    }
    mrkdwn_escape(out, str_of(user));
}

void message_add_time(struct buf *out, int64_t wall_ms)
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[32];
    strftime(text, sizeof text, "%H:%M:%S UTC", gmtime_r(&t, &tm));
    buf_addf(out, "<!date^%lld^{date_short_pretty} {time_secs}|%s>", (long long)t, text);
}

void message_add_start(struct buf *out, const char *s)
{
    struct str first = utf8_first(str_of(s), FALLBACK_CHARS);
    mrkdwn_escape(out, first);
    if (s[first.n])
        buf_adds(out, " ...");
}

void message_add_severity(struct buf *out, const char *severity)
{
    for (const char *p = severity; *p; p++)
        buf_addc(out, (char)toupper((unsigned char)*p));
}

const char *message_sign(const char *severity)
{
    return strcmp(severity, "critical") == 0  ? "\xf0\x9f\x94\xb4"
           : strcmp(severity, "error") == 0   ? "\xf0\x9f\x9f\xa0"
           : strcmp(severity, "warning") == 0 ? "\xf0\x9f\x9f\xa1"
                                              : "\xf0\x9f\x94\xb5";
}

void message_add_duration(struct buf *out, int64_t ms)
{
    char text[DURATION_SIZE];
    buf_adds(out, duration_format(ms, text));
}

// ---- pages ----

static int render_page(struct store *s, const struct outbox_row *row, struct message *m)
{
    struct stmt *q = store_sql(s, "SELECT severity, text FROM page WHERE id = ?");
    bind_int(q, 1, row->ref_id);
    int r = stmt_step(q);
    if (r <= 0)
        return r < 0 ? r : -ECANCELED;
    buf_addf(&m->text, "%s <@%s> *[", message_sign(col_text(q, 0)), row->user);
    message_add_severity(&m->text, col_text(q, 0));
    buf_adds(&m->text, "]* ");
    markdown_to_mrkdwn(&m->text, str_of(col_text(q, 1)));
    stmt_reset(q);
    return m->text.error;
}

// ---- every kind ----

int message_render(struct store *s, const struct outbox_row *row, int64_t now, struct message *m)
{
    *m = (struct message){.text = BUF_INIT(MESSAGE_MAX_TEXT),
                          .blocks = BUF_INIT(4 * MESSAGE_MAX_TEXT)};
    int r = 0;
    switch (row->ref) {
    case REF_NONE:
        r = buf_adds(&m->text, row->body);
        break;
    case REF_ESCALATION:
        r = message_escalation(s, row, m);
        break;
    case REF_NAG:
        r = message_nag(s, row, now, m);
        break;
    case REF_NOTE:
        r = message_note(s, row, m);
        break;
    case REF_PROMPT:
        r = message_prompt(s, row, m);
        break;
    case REF_PROMPT_PART:
        r = message_prompt_part(row, m);
        break;
    case REF_PROMPT_NAG:
        r = message_prompt_nag(s, row, now, m);
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

void message_done(struct message *m)
{
    buf_done(&m->text);
    buf_done(&m->blocks);
}
