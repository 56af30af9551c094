#include "channels/slack/blocks.h"

#include "channels/slack/split.h"
#include "common/text.h"

static void text_object(struct jw *w, const char *key, const char *type, struct str text)
{
    jw_key(w, key);
    jw_object(w);
    jw_kstr(w, "type", type);
    jw_key(w, "text");
    jw_strn(w, text);
    jw_object_end(w);
}

static void section(struct jw *w, struct str mrkdwn)
{
    jw_object(w);
    jw_kstr(w, "type", "section");
    jw_kbool(w, "expand", true);
    text_object(w, "text", "mrkdwn", mrkdwn);
    jw_object_end(w);
}

struct sections {
    struct jw *w;
    size_t *budget, left_out;
};

static int add_part(struct str part, void *data)
{
    struct sections *s = data;
    size_t n = utf8_count(part);
    if (s->left_out || n > *s->budget) {
        s->left_out += n;
        return 0;
    }
    *s->budget -= n;
    section(s->w, part);
    return 0;
}

int blocks_sections(struct jw *w, struct str mrkdwn, size_t *budget)
{
    struct sections s = {.w = w, .budget = budget};
    int r = split_text(mrkdwn, BLOCKS_SECTION, add_part, &s);
    if (r == 0 && s.left_out) {
        struct buf note = BUF_INIT(128);
        buf_addf(&note, "_... %zu characters left out_", s.left_out);
        section(w, buf_str(&note));
        buf_done(&note);
    }
    return r;
}

void blocks_literal(struct jw *w, struct str text)
{
    jw_object(w);
    jw_kstr(w, "type", "rich_text");
    jw_key(w, "elements");
    jw_array(w);
    jw_object(w);
    jw_kstr(w, "type", "rich_text_preformatted");
    jw_key(w, "elements");
    jw_array(w);
    jw_object(w);
    jw_kstr(w, "type", "text");
    jw_key(w, "text");
    jw_strn(w, text.n ? text : str_of("(nothing)"));
    jw_object_end(w);
    jw_array_end(w);
    jw_object_end(w);
    jw_array_end(w);
    jw_object_end(w);
}

void blocks_context(struct jw *w, struct str mrkdwn)
{
    jw_object(w);
    jw_kstr(w, "type", "context");
    jw_key(w, "elements");
    jw_array(w);
    jw_object(w);
    jw_kstr(w, "type", "mrkdwn");
    jw_key(w, "text");
    jw_strn(w, mrkdwn);
    jw_object_end(w);
    jw_array_end(w);
    jw_object_end(w);
}

void blocks_actions(struct jw *w)
{
    jw_object(w);
    jw_kstr(w, "type", "actions");
    jw_key(w, "elements");
    jw_array(w);
}

void blocks_button(struct jw *w, const char *label, const char *action, const char *value,
                   const char *style)
{
    jw_object(w);
    jw_kstr(w, "type", "button");
    text_object(w, "text", "plain_text", str_of(label));
    jw_kstr(w, "action_id", action);
    jw_kstr(w, "value", value);
    if (style)
        jw_kstr(w, "style", style);
    jw_object_end(w);
}

void blocks_actions_end(struct jw *w)
{
    jw_array_end(w);
    jw_object_end(w);
}
