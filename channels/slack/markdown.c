#include "channels/slack/markdown.h"

#include <ctype.h>

#include "channels/slack/mrkdwn.h"
#include "common/text.h"

enum {
    MAX_NESTING = 8,
    MAX_SPAN = 4000, // bytes searched for the other end of an emphasis, link or code span
    MAX_COLUMNS = 16,
    MAX_CELL = 60, // characters a table cell is padded to
};

static bool starts(struct str s, size_t at, const char *what)
{
    size_t n = strlen(what);
    return s.n - at >= n && memcmp(s.p + at, what, n) == 0;
}

static struct str slice(struct str s, size_t from, size_t to)
{
    return (struct str){s.p + from, to - from};
}

// ---- within a line ----

static void add_inline(struct buf *out, struct str s, unsigned depth);

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (c & 0x80);
}

// Where `mark` closes what was opened just before `from`: not after a space, not empty. 0 =
// nowhere.
static size_t find_close(struct str s, size_t from, const char *mark)
{
    size_t n = strlen(mark), limit = s.n < from + MAX_SPAN ? s.n : from + MAX_SPAN;
    if (from >= s.n || isspace((unsigned char)s.p[from]))
        return 0;
    for (size_t i = from; i + n <= limit; i++) {
        if (s.p[i] == '\\') {
            i++;
            continue;
        }
        if (i == from || !starts(s, i, mark) || isspace((unsigned char)s.p[i - 1]))
            continue;
        if (n == 1 && i + 1 < s.n && s.p[i + 1] == mark[0]) { // part of a longer mark
            i++;
            continue;
        }
        if (mark[0] == '_' && i + n < s.n && is_word(s.p[i + n]))
            continue;
        return i;
    }
    return 0;
}

static size_t try_code(struct buf *out, struct str s, size_t i)
{
    size_t n = 0;
    while (i + n < s.n && s.p[i + n] == '`')
        n++;
    size_t limit = s.n < i + MAX_SPAN ? s.n : i + MAX_SPAN;
    for (size_t j = i + n; j < limit; j++) {
        size_t run = 0;
        while (j + run < s.n && s.p[j + run] == '`')
            run++;
        if (run == n && j > i + n) {
            buf_addc(out, '`');
            for (size_t k = i + n; k < j; k++)
                mrkdwn_escape_char(out, s.p[k] == '`' ? '\'' : s.p[k]);
            buf_addc(out, '`');
            return j + n;
        }
        j += run ? run - 1 : 0;
    }
    for (size_t k = 0; k < n; k++)
        buf_addc(out, '`');
    return i + n;
}

static bool is_web_url(struct str url)
{
    return starts(url, 0, "https://") || starts(url, 0, "http://") || starts(url, 0, "mailto:");
}

static void add_url(struct buf *out, struct str url)
{
    for (size_t i = 0; i < url.n; i++) {
        unsigned char c = (unsigned char)url.p[i];
        if (c == '|' || c == '<' || c == '>' || c <= ' ')
            buf_addf(out, "%%%02X", c);
        else
            mrkdwn_escape_char(out, url.p[i]);
    }
}

// [label](url "title") at i, `!` before it already skipped. 0 = it is none.
static size_t try_link(struct buf *out, struct str s, size_t i, unsigned depth)
{
    size_t limit = s.n < i + MAX_SPAN ? s.n : i + MAX_SPAN, close = i + 1, end;
    while (close < limit && s.p[close] != ']')
        close++;
    if (close + 1 >= limit || s.p[close + 1] != '(')
        return 0;
    unsigned open = 1;
    for (end = close + 2; end < limit && open; end++)
        open += s.p[end] == '(' ? 1u : s.p[end] == ')' ? -1u : 0u;
    if (open)
        return 0;
    struct str url = text_trim(slice(s, close + 2, end - 1)), label = slice(s, i + 1, close);
    const char *space = memchr(url.p, ' ', url.n);
    if (space)
        url.n = (size_t)(space - url.p);
    if (!is_web_url(url)) {
        add_inline(out, label, depth + 1);
        buf_adds(out, " (");
        mrkdwn_escape(out, url);
        buf_addc(out, ')');
        return end;
    }
    buf_addc(out, '<');
    add_url(out, url);
    if (label.n) {
        buf_addc(out, '|');
        for (size_t k = 0; k < label.n; k++)
            mrkdwn_escape_char(out, label.p[k] == '|' || label.p[k] == '\n' ? ' ' : label.p[k]);
    }
    buf_addc(out, '>');
    return end;
}

// A bare or <bracketed> URL: its underscores and asterisks are not emphasis.
static size_t try_url(struct buf *out, struct str s, size_t i)
{
    bool bracket = s.p[i] == '<';
    size_t from = i + bracket, end = from;
    if (!is_web_url(slice(s, from, s.n)))
        return 0;
    while (end < s.n && (unsigned char)s.p[end] > ' ' && s.p[end] != '>' && s.p[end] != '<' &&
           s.p[end] != ')')
        end++;
    if (bracket && (end >= s.n || s.p[end] != '>'))
        return 0;
    if (bracket) {
        buf_addc(out, '<');
        add_url(out, slice(s, from, end));
        buf_addc(out, '>');
        return end + 1;
    }
    mrkdwn_escape(out, slice(s, from, end));
    return end;
}

static size_t try_emphasis(struct buf *out, struct str s, size_t i, unsigned depth)
{
    static const struct {
        const char *mark, *before, *after;
    } styles[] = {{"***", "*_", "_*"}, {"**", "*", "*"}, {"__", "*", "*"},
                  {"~~", "~", "~"},    {"*", "_", "_"},  {"_", "_", "_"}};
    for (size_t k = 0; k < ARRAY_LEN(styles); k++) {
        if (!starts(s, i, styles[k].mark))
            continue;
        if (s.p[i] == '_' && i > 0 && is_word(s.p[i - 1]))
            return 0;
        size_t n = strlen(styles[k].mark), end = find_close(s, i + n, styles[k].mark);
        if (!end)
            continue;
        buf_adds(out, styles[k].before);
        add_inline(out, slice(s, i + n, end), depth + 1);
        buf_adds(out, styles[k].after);
        return end + n;
    }
    return 0;
}

static size_t try_markup(struct buf *out, struct str s, size_t i, unsigned depth)
{
    char c = s.p[i];
    if (c == '\\' && i + 1 < s.n && ispunct((unsigned char)s.p[i + 1])) {
        mrkdwn_escape_char(out, s.p[i + 1]);
        return i + 2;
    }
    if (c == '`')
        return try_code(out, s, i);
    if (c == '[')
        return try_link(out, s, i, depth);
    if (c == '!' && i + 1 < s.n && s.p[i + 1] == '[')
        return try_link(out, s, i + 1, depth);
    if (c == '<' || ((c == 'h' || c == 'm') && (i == 0 || !is_word(s.p[i - 1]))))
        return try_url(out, s, i);
    if (c == '*' || c == '_' || c == '~')
        return try_emphasis(out, s, i, depth);
    return 0;
}

static void add_inline(struct buf *out, struct str s, unsigned depth)
{
    for (size_t i = 0; i < s.n;) {
        size_t next = depth < MAX_NESTING ? try_markup(out, s, i, depth) : 0;
        if (next) {
            i = next;
            continue;
        }
        // An emphasis that did not close is text, the whole run of it.
        char c = s.p[i];
        do
            mrkdwn_escape_char(out, s.p[i++]);
        while (i < s.n && (c == '*' || c == '_' || c == '~') && s.p[i] == c);
    }
}

// ---- lines ----

static bool is_fence(struct str line, char *ret_mark, size_t *ret_n)
{
    line = text_trim(line);
    char c = line.n ? line.p[0] : 0;
    size_t n = 0;
    while (n < line.n && line.p[n] == c)
        n++;
    if ((c != '`' && c != '~') || n < 3 || (c == '`' && memchr(line.p + n, '`', line.n - n)))
        return false;
    *ret_mark = c;
    *ret_n = n;
    return true;
}

static void add_code_line(struct buf *out, struct str line)
{
    for (size_t i = 0; i < line.n; i++) {
        if (starts(line, i, "```")) { // would end the block
            buf_adds(out, "'''");
            i += 2;
        } else {
            mrkdwn_escape_char(out, line.p[i]);
        }
    }
    buf_addc(out, '\n');
}

static void add_code_block(struct buf *out, struct str *rest, char mark, size_t n)
{
    buf_adds(out, "```\n");
    while (rest->n) {
        struct str line = text_next_line(rest);
        char c;
        size_t run;
        if (is_fence(line, &c, &run) && c == mark && run >= n && text_trim(line).n == run)
            break;
        add_code_line(out, line);
    }
    buf_adds(out, "```\n");
}

static bool is_table_rule(struct str line)
{
    bool dash = false, bar = false;
    for (size_t i = 0; i < line.n; i++) {
        if (!strchr("|:- \t", line.p[i]))
            return false;
        dash |= line.p[i] == '-';
        bar |= line.p[i] == '|';
    }
    return dash && bar;
}

static size_t cells_of(struct str line, struct str cells[MAX_COLUMNS])
{
    size_t n = 0, from = 0;
    line = text_trim(line);
    if (line.n && line.p[0] == '|')
        from = 1;
    for (size_t i = from; i <= line.n && n < MAX_COLUMNS; i++) {
        if (i < line.n && (line.p[i] != '|' || (i && line.p[i - 1] == '\\')))
            continue;
        if (i < line.n || i > from)
            cells[n++] = text_trim(slice(line, from, i));
        from = i + 1;
    }
    return n;
}

static void add_table(struct buf *out, struct str header, struct str *rest)
{
    struct str cells[MAX_COLUMNS], scan = *rest;
    size_t width[MAX_COLUMNS] = {0};
    text_next_line(&scan); // the rule
    struct str body = scan;
    for (struct str line = header; memchr(line.p, '|', line.n); line = text_next_line(&scan)) {
        size_t n = cells_of(line, cells);
        for (size_t i = 0; i < n; i++) {
            size_t w = utf8_count(cells[i]);
            width[i] = w > width[i] ? (w < MAX_CELL ? w : MAX_CELL) : width[i];
        }
        *rest = scan;
        if (!scan.n)
            break;
    }
    buf_adds(out, "```\n");
    scan = body;
    for (struct str line = header;; line = text_next_line(&scan)) {
        size_t n = cells_of(line, cells);
        for (size_t i = 0; i < n; i++) {
            mrkdwn_escape(out, cells[i]);
            for (size_t w = utf8_count(cells[i]); i + 1 < n && w < width[i] + 2; w++)
                buf_addc(out, ' ');
        }
        buf_addc(out, '\n');
        if (scan.p >= rest->p)
            break;
    }
    buf_adds(out, "```\n");
}

static size_t heading_marks(struct str line)
{
    size_t n = 0;
    while (n < line.n && line.p[n] == '#')
        n++;
    return n >= 1 && n <= 6 && n < line.n && line.p[n] == ' ' ? n : 0;
}

// Bold within bold would end it: the marks of the heading's own text go.
static void add_heading(struct buf *out, struct str text)
{
    struct buf inner = BUF_INIT(out->max);
    text = text_trim(text);
    while (text.n && text.p[text.n - 1] == '#')
        text.n--;
    add_inline(&inner, text_trim(text), 0);
    buf_addc(out, '*');
    for (size_t i = 0; i < inner.len; i++)
        if (inner.data[i] != '*')
            buf_addc(out, inner.data[i]);
    buf_addc(out, '*');
    if (inner.error && !out->error)
        out->error = inner.error;
    buf_done(&inner);
}

static bool is_rule(struct str line)
{
    line = text_trim(line);
    if (line.n < 3 || !strchr("-*_", line.p[0]))
        return false;
    for (size_t i = 1; i < line.n; i++)
        if (line.p[i] != line.p[0] && line.p[i] != ' ')
            return false;
    return true;
}

static void add_line(struct buf *out, struct str line)
{
    size_t marks = heading_marks(line), indent = 0;
    if (marks) {
        add_heading(out, slice(line, marks, line.n));
        return;
    }
    if (is_rule(line)) {
        buf_adds(out, "\xe2\x80\x94\xe2\x80\x94\xe2\x80\x94");
        return;
    }
    while (indent < line.n && (line.p[indent] == ' ' || line.p[indent] == '\t'))
        indent++;
    struct str text = slice(line, indent, line.n);
    buf_add(out, line.p, indent);
    if (starts(text, 0, ">")) {
        buf_adds(out, "> ");
        text = text_trim(slice(text, 1, text.n));
    } else if (text.n > 1 && strchr("-*+", text.p[0]) && text.p[1] == ' ') {
        text = text_trim(slice(text, 2, text.n));
        bool open = starts(text, 0, "[ ] "),
             checked = starts(text, 0, "[x] ") || starts(text, 0, "[X] ");
        buf_adds(out, open ? "\xe2\x98\x90 " : checked ? "\xe2\x98\x91 " : "\xe2\x80\xa2 ");
        text = open || checked ? slice(text, 4, text.n) : text;
    }
    add_inline(out, text, 0);
}

int markdown_to_mrkdwn(struct buf *out, struct str markdown)
{
    struct str rest = markdown;
    while (rest.n) {
        struct str line = text_next_line(&rest), ahead = rest;
        char mark;
        size_t n;
        if (is_fence(line, &mark, &n)) {
            add_code_block(out, &rest, mark, n);
        } else if (memchr(line.p, '|', line.n) && rest.n && is_table_rule(text_next_line(&ahead))) {
            add_table(out, line, &rest);
        } else {
            add_line(out, line);
            if (rest.n || (markdown.p[markdown.n - 1] == '\n'))
                buf_addc(out, '\n');
        }
    }
    while (out->len && out->data[out->len - 1] == '\n')
        buf_truncate(out, out->len - 1);
    return out->error;
}
