// From a word as it is written to the words that a command gets: braces and field splitting.

#include "channels/webhook/shell_parser.h"

#include <errno.h>
#include <string.h>

enum { MAX_BRACES = 16 };

static const char *copy_text(struct sw_state *st, const char *text, size_t len)
{
    char *copy = sw_alloc(st, len + 1);

    if (!copy)
        return "";
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static struct sw_word word_of(struct sw_state *st, const struct sw_raw *raw, size_t from, size_t to)
{
    struct sw_word w = {0};
    bool open = false, hole = false;

    for (size_t i = from; i < to; i++) {
        char c = raw->c[i];

        hole |= c == SW_HOLE;
        if (c == SW_HOLE && raw->a[i] == SW_EXPANDED)
            w.splits = true;
        if (raw->a[i] == SW_QUOTED)
            continue;
        w.glob |= c == '*' || c == '?' || (c == ']' && open);
        open |= c == '[';
    }
    w.splits |= w.glob;
    w.vars = hole ? raw->vars : NULL;
    w.text = to > from ? copy_text(st, raw->c + from, to - from) : "";
    return w;
}

struct sw_word sw_whole_word(struct sw_state *st, const struct sw_raw *raw)
{
    struct sw_word w = word_of(st, raw, 0, raw->n);

    w.splits = w.glob = false;
    return w;
}

static void add_word(struct sw_state *st, struct sw_words *words, struct sw_word w)
{
    if (++st->nwords > SW_MAX_WORDS) {
        st->error = st->error ? st->error : -E2BIG;
        return;
    }
    if (words->n == words->cap) {
        size_t cap = words->cap ? 2 * words->cap : 8;
        struct sw_word *v = sw_alloc(st, cap * sizeof(*v));

        if (!v)
            return;
        if (words->n)
            memcpy(v, words->v, words->n * sizeof(*v));
        words->v = v;
        words->cap = cap;
    }
    words->v[words->n++] = w;
}

// Field splitting (XCU 2.6.5) of what came from a constant's value.
static void split_fields(struct sw_state *st, const struct sw_raw *raw, struct sw_words *words)
{
    size_t from = 0;

    for (size_t i = 0; i <= raw->n; i++) {
        if (i < raw->n && !(raw->a[i] == SW_EXPANDED && strchr(" \t\n", raw->c[i])))
            continue;
        if (i > from || (raw->n == 0 && raw->quoted))
            add_word(st, words, word_of(st, raw, from, i));
        from = i + 1;
    }
}

// The first brace group that expands: {a,b}. Sets the positions of its braces.
static bool find_braces(const struct sw_raw *raw, size_t *ret_open, size_t *ret_close)
{
    for (size_t open = 0; open < raw->n; open++) {
        unsigned level = 0;
        bool comma = false;

        if (raw->c[open] != '{' || raw->a[open] != SW_PLAIN)
            continue;
        for (size_t i = open; i < raw->n; i++) {
            if (raw->a[i] != SW_PLAIN)
                continue;
            level += raw->c[i] == '{';
            comma |= level == 1 &&
                     (raw->c[i] == ',' || (raw->c[i] == '.' && i + 1 < raw->n &&
                                           raw->c[i + 1] == '.' && raw->a[i + 1] == SW_PLAIN));
            if (raw->c[i] != '}' || --level > 0)
                continue;
            if (comma) {
                *ret_open = open;
                *ret_close = i;
                return true;
            }
            break;
        }
    }
    return false;
}

static bool too_many_braces(const struct sw_raw *raw)
{
    size_t n = 0;

    for (size_t i = 0; i < raw->n; i++)
        n += raw->c[i] == '{' && raw->a[i] == SW_PLAIN;
    return n > MAX_BRACES;
}

static void expand_braces(struct sw_state *st, const struct sw_raw *raw, unsigned depth,
                          struct sw_words *words)
{
    size_t open, close, from;
    unsigned level = 0;
    bool comma = false;

    if (st->error)
        return;
    if (depth == 0 && too_many_braces(raw)) {
        sw_doubt(st, "too many braces");
        split_fields(st, raw, words);
        return;
    }
    if (!find_braces(raw, &open, &close)) {
        split_fields(st, raw, words);
        return;
    }
    from = open + 1;
    for (size_t i = open; i <= close; i++) {
        bool plain = raw->a[i] == SW_PLAIN;

        level += plain && raw->c[i] == '{';
        if (!(plain && raw->c[i] == ',' && level == 1) && i != close) {
            level -= plain && raw->c[i] == '}';
            continue;
        }
        comma |= i != close;
        struct sw_raw one = {.vars = raw->vars, .quoted = raw->quoted};

        for (size_t k = 0; k < open; k++)
            sw_raw_put(st, &one, raw->c[k], raw->a[k]);
        for (size_t k = from; k < i; k++)
            sw_raw_put(st, &one, raw->c[k], raw->a[k]);
        for (size_t k = close + 1; k < raw->n; k++)
            sw_raw_put(st, &one, raw->c[k], raw->a[k]);
        if (!comma) {
            sw_doubt(st, "a brace sequence");
            split_fields(st, &one, words);
            return;
        }
        if (st->error)
            return;
        expand_braces(st, &one, depth + 1, words);
        from = i + 1;
    }
}

void sw_finish_word(struct sw_state *st, const struct sw_raw *raw, struct sw_words *words)
{
    expand_braces(st, raw, 0, words);
}
