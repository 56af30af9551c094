#include "channels/webhook/shell_parser.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { MAX_PAREN_LEVEL = 64 };

static bool name_start(int c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool name_char(int c)
{
    return name_start(c) || (c >= '0' && c <= '9');
}

void sw_raw_put(struct sw_state *st, struct sw_raw *raw, char c, uint8_t how)
{
    if (raw->n == raw->cap) {
        size_t cap = raw->cap ? 2 * raw->cap : 32;
        char *chars = sw_alloc(st, cap);
        uint8_t *hows = sw_alloc(st, cap);

        if (!chars || !hows)
            return;
        if (raw->n) {
            memcpy(chars, raw->c, raw->n);
            memcpy(hows, raw->a, raw->n);
        }
        raw->c = chars;
        raw->a = hows;
        raw->cap = cap;
    }
    raw->c[raw->n] = c;
    raw->a[raw->n++] = how;
}

// Puts a hole and notes whose it is.
static void put_hole(struct sw_state *st, struct sw_raw *raw, const char *name, size_t len,
                     uint8_t how)
{
    if (raw->nvars + len + 2 > raw->vars_cap) {
        size_t cap = 2 * raw->vars_cap + len + 32;
        char *vars = sw_alloc(st, cap);

        if (!vars)
            return;
        if (raw->nvars)
            memcpy(vars, raw->vars, raw->nvars);
        raw->vars = vars;
        raw->vars_cap = cap;
    }
    memcpy(raw->vars + raw->nvars, name, len);
    raw->nvars += len;
    raw->vars[raw->nvars++] = ' ';
    raw->vars[raw->nvars] = '\0';
    sw_raw_put(st, raw, SW_HOLE, how);
}

struct sw_var *sw_var_find(struct sw_state *st, const char *name, size_t len)
{
    for (size_t i = 0; i < st->nvars_known; i++)
        if (strlen(st->vars[i].name) == len && memcmp(st->vars[i].name, name, len) == 0)
            return &st->vars[i];
    return NULL;
}

static void put_variable(struct sw_parser *p, struct sw_raw *raw, const char *name, size_t len,
                         uint8_t how)
{
    const struct sw_var *var = sw_var_find(p->st, name, len);

    if (p->in_arith)
        sw_doubt(p->st, "a variable in an arithmetic expression");
    if (!var || !var->value) {
        put_hole(p->st, raw, name, len, how);
        return;
    }
    if (!var->sure)
        sw_doubt(p->st, "a variable that may have another value by then");
    for (const char *v = var->value; *v; v++)
        sw_raw_put(p->st, raw, *v, how);
}

// A command substitution whose commands stand in the same text, up to the parenthesis.
static void nested_commands(struct sw_parser *p, bool arith)
{
    struct sw_parser sub = {.st = p->st,
                            .src = p->src,
                            .len = p->len,
                            .pos = p->pos,
                            .depth = p->depth + 1,
                            .piped = p->piped,
                            .in_loop = p->in_loop,
                            .in_arith = arith};

    sw_parse_commands(&sub, true);
    if (p->nheredocs > 0 && memchr(p->src + p->pos, '\n', sub.pos - p->pos))
        sw_doubt(p->st, "a here-document around a substitution");
    p->pos = sub.pos;
}

static void read_backtick(struct sw_parser *p, struct sw_raw *raw, uint8_t how)
{
    char *text = sw_alloc(p->st, p->len - p->pos + 1);
    size_t n = 0;
    int c;

    p->pos++;
    while ((c = sw_peek(p, 0)) != '`') {
        if (c < 0 || !text) {
            sw_doubt(p->st, "a backquote without its end");
            return;
        }
        if (c == '\\') {
            int next = sw_peek(p, 1);

            if (next == '`' || next == '\\' || next == '$' || (next == '"' && how == SW_QUOTED)) {
                p->pos++;
                c = next;
            }
        }
        text[n++] = (char)c;
        p->pos++;
    }
    p->pos++;

    struct sw_parser sub = {.st = p->st,
                            .src = text,
                            .len = n,
                            .depth = p->depth + 1,
                            .piped = p->piped,
                            .in_loop = p->in_loop};
    sw_parse_commands(&sub, false);
    put_hole(p->st, raw, "(", 1, how);
}

static void read_dollar(struct sw_parser *p, struct sw_raw *raw, bool quoted);

// $(( expr )): digits, operators and substitutions only; anything else could evaluate text as code
// (an array index in a variable's value is expanded). False leaves the position alone.
static bool read_arith(struct sw_parser *p, struct sw_raw *raw)
{
    size_t start = p->pos;
    bool outer = p->in_arith;
    struct sw_raw ignored = {0};
    unsigned level = 2;

    p->pos += 2;
    p->in_arith = true;
    while (level > 0) {
        int c = sw_peek(p, 0);

        if (c == '$') {
            read_dollar(p, &ignored, true);
            continue;
        }
        if (c < 0 || !strchr("0123456789+-*/%() \t", c))
            break;
        if (c == '(' && ++level > MAX_PAREN_LEVEL)
            break;
        if (c == ')')
            level--;
        if (level == 1 && sw_peek(p, 1) != ')')
            break;
        p->pos++;
    }
    p->in_arith = outer;
    if (level > 0) {
        p->pos = start;
        return false;
    }
    sw_raw_put(p->st, raw, '0', SW_QUOTED);
    return true;
}

static void read_double(struct sw_parser *p, struct sw_raw *raw);

// ${...}. Only the plain ${NAME} is sure; the rest is searched for commands.
static void read_braced(struct sw_parser *p, struct sw_raw *raw, uint8_t how)
{
    size_t start = ++p->pos, end = start;
    struct sw_raw ignored = {0};
    unsigned level = 1;

    while (name_char(sw_peek(p, end - start)))
        end++;
    if (end > start && sw_peek(p, end - start) == '}' && name_start(p->src[start])) {
        p->pos = end + 1;
        put_variable(p, raw, p->src + start, end - start, how);
        return;
    }
    sw_doubt(p->st, "a parameter expansion that is not plain");
    while (level > 0) {
        int c = sw_peek(p, 0);

        if (c < 0)
            return;
        if (c == '\\') {
            p->pos += 2;
        } else if (c == '"') {
            read_double(p, &ignored);
        } else if (c == '`') {
            read_backtick(p, &ignored, how);
        } else if (c == '$' && sw_peek(p, 1) != '}') {
            read_dollar(p, &ignored, true);
        } else if (c == '\'' && how != SW_QUOTED) {
            do
                p->pos++;
            while (sw_peek(p, 0) >= 0 && sw_peek(p, 0) != '\'');
            p->pos++;
        } else {
            level = c == '}' ? level - 1 : level;
            p->pos++;
        }
    }
    put_hole(p->st, raw, p->src + start, end - start, how);
}

static unsigned digit_value(int c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c = tolower(c);
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 99;
}

static void put_utf8(struct sw_state *st, struct sw_raw *raw, unsigned long u)
{
    if (u < 0x80) {
        sw_raw_put(st, raw, (char)u, SW_QUOTED);
    } else if (u < 0x800) {
        sw_raw_put(st, raw, (char)(0xc0 | u >> 6), SW_QUOTED);
        sw_raw_put(st, raw, (char)(0x80 | (u & 0x3f)), SW_QUOTED);
    } else {
        sw_raw_put(st, raw, (char)(0xe0 | (u >> 12 & 0xf)), SW_QUOTED);
        sw_raw_put(st, raw, (char)(0x80 | (u >> 6 & 0x3f)), SW_QUOTED);
        sw_raw_put(st, raw, (char)(0x80 | (u & 0x3f)), SW_QUOTED);
    }
}

// One escape of $'...', the position behind the backslash.
static void read_ansi_escape(struct sw_parser *p, struct sw_raw *raw)
{
    static const char from[] = "abeEfnrtv", to[] = "\a\b\033\033\f\n\r\t\v";
    int c = sw_peek(p, 0);
    const char *simple = c > 0 ? strchr(from, c) : NULL;
    unsigned base = 8, max = 3;
    unsigned long value = 0;

    if (c < 0)
        return;
    p->pos++;
    if (simple) {
        sw_raw_put(p->st, raw, to[simple - from], SW_QUOTED);
        return;
    }
    if (c == 'x' || c == 'u' || c == 'U') {
        base = 16;
        max = c == 'x' ? 2 : c == 'u' ? 4 : 8;
    } else if (c >= '0' && c <= '7') {
        p->pos--;
    } else {
        if (c == 'c') {
            sw_doubt(p->st, "a control character");
            p->pos += sw_peek(p, 0) >= 0;
            return;
        }
        if (!strchr("\\'\"?", c))
            sw_raw_put(p->st, raw, '\\', SW_QUOTED);
        sw_raw_put(p->st, raw, (char)c, SW_QUOTED);
        return;
    }
    for (; max > 0 && digit_value(sw_peek(p, 0)) < base; max--, p->pos++)
        value = value * base + digit_value(sw_peek(p, 0));
    if (value < 0x20 && value != '\t' && value != '\n')
        sw_doubt(p->st, "a control character");
    else if (base == 16 && c != 'x')
        put_utf8(p->st, raw, value);
    else
        sw_raw_put(p->st, raw, (char)(unsigned char)value, SW_QUOTED);
}

// To the end of '...' or $'...', which alone has escapes.
static void read_single(struct sw_parser *p, struct sw_raw *raw, bool escapes)
{
    int c;

    p->pos++;
    raw->quoted = true;
    while ((c = sw_peek(p, 0)) != '\'') {
        if (c < 0) {
            sw_doubt(p->st, "a quote without its end");
            return;
        }
        if (c == SW_HOLE) {
            sw_doubt(p->st, "a control character");
            c = '?';
        }
        p->pos++;
        if (c == '\\' && escapes)
            read_ansi_escape(p, raw);
        else
            sw_raw_put(p->st, raw, (char)c, SW_QUOTED);
    }
    p->pos++;
}

static bool is_joined_line(const struct sw_parser *p)
{
    return sw_peek(p, 0) == '\\' && sw_peek(p, 1) == '\n';
}

// At a dollar sign.
static void expand_dollar(struct sw_parser *p, struct sw_raw *raw, bool quoted)
{
    uint8_t how = quoted ? SW_QUOTED : SW_EXPANDED;
    bool arith = p->in_arith;
    int c;

    p->pos++;
    // The shell joins lines before it looks at what follows.
    for (; is_joined_line(p); p->pos += 2)
        sw_doubt(p->st, "a line that ends within an expansion");
    c = sw_peek(p, 0);
    if (c == '(') {
        if (sw_peek(p, 1) == '(') {
            if (p->st->script->certain && read_arith(p, raw))
                return;
            sw_doubt(p->st, "an arithmetic expression");
        }
        p->pos++;
        p->in_arith = false;
        nested_commands(p, arith);
        p->in_arith = arith;
        put_hole(p->st, raw, "(", 1, how);
    } else if (c == '{') {
        read_braced(p, raw, how);
    } else if (c == '\'' && !quoted) {
        read_single(p, raw, true);
    } else if (c == '"' && !quoted) {
        read_double(p, raw);
    } else if (name_start(c)) {
        size_t start = p->pos;

        while (name_char(sw_peek(p, 0)))
            p->pos++;
        if (is_joined_line(p))
            sw_doubt(p->st, "a line that ends within an expansion");
        put_variable(p, raw, p->src + start, p->pos - start, how);
    } else if (c == '?' || c == '#' || c == '$') {
        sw_raw_put(p->st, raw, '0', SW_QUOTED); // some number
        p->pos++;
    } else if (c > 0 && strchr("0123456789@*-!", c)) {
        if (arith)
            sw_doubt(p->st, "a variable in an arithmetic expression");
        put_hole(p->st, raw, p->src + p->pos, 1, how == SW_QUOTED && c == '@' ? SW_EXPANDED : how);
        p->pos++;
    } else {
        if (c == '[')
            sw_doubt(p->st, "an arithmetic expression");
        sw_raw_put(p->st, raw, '$', quoted ? SW_QUOTED : SW_PLAIN);
    }
}

static void read_dollar(struct sw_parser *p, struct sw_raw *raw, bool quoted)
{
    if (p->nesting == SW_MAX_DEPTH) {
        p->st->error = p->st->error ? p->st->error : -E2BIG;
        return;
    }
    p->nesting++;
    expand_dollar(p, raw, quoted);
    p->nesting--;
}

// One character or expansion as between double quotes; `quotes`: \" is an escape.
static void read_quoted_char(struct sw_parser *p, struct sw_raw *raw, bool quotes)
{
    int c = sw_peek(p, 0), next = sw_peek(p, 1);

    if (c == '$') {
        read_dollar(p, raw, true);
    } else if (c == '`') {
        read_backtick(p, raw, SW_QUOTED);
    } else if (c == '\\' && next == '\n') {
        p->pos += 2;
    } else if (c == '\\' && next > 0 && (strchr("$`\\", next) || (quotes && next == '"'))) {
        sw_raw_put(p->st, raw, (char)next, SW_QUOTED);
        p->pos += 2;
    } else {
        if (c == SW_HOLE) {
            sw_doubt(p->st, "a control character");
            c = '?';
        }
        sw_raw_put(p->st, raw, (char)c, SW_QUOTED);
        p->pos++;
    }
}

// At an opening double quote.
static void read_double(struct sw_parser *p, struct sw_raw *raw)
{
    p->pos++;
    raw->quoted = true;
    while (sw_peek(p, 0) != '"') {
        if (sw_peek(p, 0) < 0) {
            sw_doubt(p->st, "a quote without its end");
            return;
        }
        read_quoted_char(p, raw, true);
    }
    p->pos++;
}

void sw_read_heredoc_body(struct sw_parser *p, const char *text, size_t len, struct sw_raw *raw)
{
    struct sw_parser sub = {.st = p->st,
                            .src = text,
                            .len = len,
                            .depth = p->depth,
                            .nesting = p->nesting,
                            .piped = p->piped,
                            .in_loop = p->in_loop};

    while (sw_peek(&sub, 0) >= 0)
        read_quoted_char(&sub, raw, false);
}

void sw_read_word(struct sw_parser *p, struct sw_raw *raw)
{
    for (;;) {
        int c = sw_peek(p, 0), next = sw_peek(p, 1);

        if ((c == '<' || c == '>') && next == '(') {
            bool piped = p->piped;

            p->pos += 2;
            p->piped = c == '>';
            nested_commands(p, false);
            p->piped = piped;
            put_hole(p->st, raw, c == '<' ? "<" : ">", 1, SW_QUOTED);
        } else if (c < 0 || strchr(" \t\n;&|()<>", c)) {
            return;
        } else if (c == '\\') {
            p->pos += 2;
            raw->quoted |= next != '\n';
            if (next >= 0 && next != '\n')
                sw_raw_put(p->st, raw, (char)next, SW_QUOTED);
            if (next < 0)
                p->pos = p->len;
        } else if (c == '\'') {
            read_single(p, raw, false);
        } else if (c == '"') {
            read_double(p, raw);
        } else if (c == '`') {
            read_backtick(p, raw, SW_EXPANDED);
        } else if (c == '$') {
            read_dollar(p, raw, false);
        } else {
            bool control = c < 0x20 || c == 0x7f;

            if (control)
                sw_doubt(p->st, "a control character");
            sw_raw_put(p->st, raw, c == SW_HOLE ? '?' : (char)c, control ? SW_QUOTED : SW_PLAIN);
            p->pos++;
        }
    }
}
