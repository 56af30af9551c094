#include "channels/webhook/ticket_text.h"

#include "common/text.h"

enum form { PLAIN, ITEM, FENCE, EMPTY };

static enum form form_of(struct str line, struct str *ret_text)
{
    struct str s = text_trim(line);
    *ret_text = s;
    if (!s.n)
        return EMPTY;
    if (s.n >= 3 && memcmp(s.p, "```", 3) == 0)
        return FENCE;
    if (s.n > 2 && (s.p[0] == '-' || s.p[0] == '*') && s.p[1] == ' ') {
        *ret_text = text_trim((struct str){s.p + 2, s.n - 2});
        return ITEM;
    }
    return PLAIN;
}

// ---- ADF ----

static void node(struct jw *w, const char *type)
{
    jw_object(w);
    jw_kstr(w, "type", type);
    jw_key(w, "content");
    jw_array(w);
}

static void node_end(struct jw *w)
{
    jw_array_end(w);
    jw_object_end(w);
}

static void text_node(struct jw *w, struct str s, bool is_link)
{
    if (!s.n) // the format knows no empty text
        return;
    jw_object(w);
    jw_kstr(w, "type", "text");
    jw_key(w, "text");
    jw_strn(w, s);
    if (is_link) {
        jw_key(w, "marks");
        jw_array(w);
        jw_object(w);
        jw_kstr(w, "type", "link");
        jw_key(w, "attrs");
        jw_object(w);
        jw_key(w, "href");
        jw_strn(w, s);
        jw_object_end(w);
        jw_object_end(w);
        jw_array_end(w);
    }
    jw_object_end(w);
}

static bool starts(struct str s, size_t at, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n - at >= n && memcmp(s.p + at, prefix, n) == 0;
}

// A line's words, addresses as links.
static void inline_nodes(struct jw *w, struct str s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool begins = i == 0 || s.p[i - 1] == ' ' || s.p[i - 1] == '(';
        if (!begins || (!starts(s, i, "https://") && !starts(s, i, "http://")))
            continue;
        size_t end = i;
        while (end < s.n && s.p[end] != ' ' && s.p[end] != ')')
            end++;
        text_node(w, (struct str){s.p + from, i - from}, false);
        text_node(w, (struct str){s.p + i, end - i}, true);
        from = end;
        i = end - 1;
    }
    text_node(w, (struct str){s.p + from, s.n - from}, false);
}

// From behind the opening fence to the closing one.
static void code_block(struct jw *w, struct str *rest)
{
    const char *from = rest->p, *end = from;
    struct str text;
    while (rest->n) {
        struct str line = text_next_line(rest);
        if (form_of(line, &text) == FENCE)
            break;
        end = line.p + line.n;
    }
    node(w, "codeBlock");
    if (end > from)
        text_node(w, (struct str){from, (size_t)(end - from)}, false);
    node_end(w);
}

void ticket_adf(struct jw *w, struct str rest)
{
    bool in_list = false;
    struct str text;
    jw_object(w);
    jw_kint(w, "version", 1);
    jw_kstr(w, "type", "doc");
    jw_key(w, "content");
    jw_array(w);
    while (rest.n) {
        enum form form = form_of(text_next_line(&rest), &text);
        if (in_list && form != ITEM) {
            node_end(w);
            in_list = false;
        }
        if (form == FENCE) {
            code_block(w, &rest);
        } else if (form == ITEM) {
            if (!in_list)
                node(w, "bulletList");
            in_list = true;
            node(w, "listItem");
            node(w, "paragraph");
            inline_nodes(w, text);
            node_end(w);
            node_end(w);
        } else if (form == PLAIN) {
            node(w, "paragraph");
            inline_nodes(w, text);
            node_end(w);
        }
    }
    if (in_list)
        node_end(w);
    node_end(w);
}

// ---- the others ----

int ticket_wiki(struct buf *out, struct str rest)
{
    bool code = false;
    struct str text;
    while (rest.n) {
        struct str line = text_next_line(&rest);
        enum form form = form_of(line, &text);
        if (form == FENCE) {
            code = !code;
            buf_adds(out, "{code}\n");
            continue;
        }
        if (code) { // nothing in it may end it
            for (size_t i = 0; i < line.n; i++)
                buf_addc(out, line.p[i] == '{' && starts(line, i, "{code") ? '(' : line.p[i]);
            buf_addc(out, '\n');
            continue;
        }
        if (form == ITEM)
            buf_adds(out, "* ");
        bool in_link = false; // an address is one as it is
        for (size_t i = 0; i < text.n; i++) {
            in_link = text.p[i] != ' ' && (in_link || starts(text, i, "https://"));
            if (!in_link && strchr("{}[]|!*_^~+", text.p[i]))
                buf_addc(out, '\\');
            buf_addc(out, text.p[i]);
        }
        buf_addc(out, '\n');
    }
    if (code)
        buf_adds(out, "{code}\n");
    return out->error;
}

int ticket_markdown(struct buf *out, struct str rest)
{
    while (rest.n) {
        struct str line = text_next_line(&rest), text = text_trim(line);
        size_t indent = text.n ? (size_t)(text.p - line.p) : 0;
        buf_add(out, line.p, indent);
        if (text.n && text.p[0] == '/')
            buf_addc(out, '\\');
        buf_add(out, line.p + indent, line.n - indent);
        buf_addc(out, '\n');
    }
    return out->error;
}
