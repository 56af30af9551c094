// Redirections and here-documents (XCU 2.7).

#include "channels/webhook/shell_parser.h"

#include <string.h>

// One line of a here-document as the shell compares it with the delimiter: where the body is
// expanded, a backslash at a line's end joins the next one.
static void read_line(struct sw_parser *p, const struct sw_heredoc *doc, struct sw_raw *line)
{
    while (doc->strip_tabs && sw_peek(p, 0) == '\t')
        p->pos++;
    for (int c; (c = sw_peek(p, 0)) >= 0 && c != '\n'; p->pos++) {
        bool escape = c == '\\' && !doc->literal && sw_peek(p, 1) >= 0;

        if (escape && sw_peek(p, 1) == '\n') {
            p->pos++;
            continue;
        }
        sw_raw_put(p->st, line, (char)c, SW_QUOTED);
        if (escape)
            sw_raw_put(p->st, line, p->src[++p->pos], SW_QUOTED);
    }
    p->pos += sw_peek(p, 0) == '\n';
}

// One here-document's body; the position stands at its first line.
void sw_read_heredoc(struct sw_parser *p, const struct sw_heredoc *doc)
{
    struct sw_raw body = {0}, raw = {0};
    size_t delimiter_len = strlen(doc->delimiter);
    bool ended = false;

    while (!ended && sw_peek(p, 0) >= 0) {
        struct sw_raw line = {0};

        read_line(p, doc, &line);
        ended =
            line.n == delimiter_len && (line.n == 0 || memcmp(line.c, doc->delimiter, line.n) == 0);
        for (size_t i = 0; !ended && i < line.n; i++)
            sw_raw_put(p->st, &body, line.c[i], SW_QUOTED);
        if (!ended)
            sw_raw_put(p->st, &body, '\n', SW_QUOTED);
    }
    if (!ended)
        sw_doubt(p->st, "a here-document without its end");
    if (doc->literal)
        raw = body;
    else
        sw_read_heredoc_body(p, body.c, body.n, &raw);
    if (doc->literal && body.n && memchr(body.c, SW_HOLE, body.n))
        sw_doubt(p->st, "a control character");
    doc->redirect->target = sw_whole_word(p->st, &raw);
}

static struct sw_redirect *add_redirect(struct sw_lister *l)
{
    struct sw_builder *b = &l->cur;

    if (b->nredirects == b->redirects_cap) {
        struct sw_redirect *v;

        // Here-documents keep pointers into the list, so it never moves.
        if (b->redirects) {
            sw_doubt(l->p->st, "too many redirections");
            return &b->redirects[b->nredirects - 1];
        }
        v = sw_alloc(l->p->st, SW_MAX_HEREDOCS * sizeof(*v));
        if (!v)
            return NULL;
        b->redirects = v;
        b->redirects_cap = SW_MAX_HEREDOCS;
    }
    return &b->redirects[b->nredirects++];
}

static void heredoc(struct sw_lister *l, struct sw_redirect *r)
{
    struct sw_parser *p = l->p;
    struct sw_raw raw = {0};
    bool strip = sw_peek(p, 0) == '-';
    size_t from;

    p->pos += strip;
    sw_skip_blanks(p);
    from = p->pos;
    sw_read_word(p, &raw);
    r->kind = SW_HEREDOC;
    r->target.text = "";
    // A delimiter is not expanded: what looks like an expansion is not read here.
    if (memchr(p->src + from, '$', p->pos - from) || memchr(p->src + from, '`', p->pos - from) ||
        p->nheredocs == SW_MAX_HEREDOCS) {
        sw_doubt(p->st, "a here-document's delimiter");
        return;
    }
    p->heredocs[p->nheredocs++] = (struct sw_heredoc){
        .redirect = r,
        .delimiter = sw_whole_word(p->st, &raw).text,
        .strip_tabs = strip,
        .literal = raw.quoted,
    };
}

// At < or >.
void sw_redirection(struct sw_lister *l)
{
    static const struct {
        const char *op;
        enum sw_redirect_kind kind;
    } ops[] = {{"<<<", SW_HERESTRING}, {"<<", SW_HEREDOC}, {"<>", SW_RDWR}, {"<&", SW_DUP},
               {"<", SW_IN},           {"&>>", SW_OUT},    {"&>", SW_OUT},  {">>", SW_OUT},
               {">|", SW_OUT},         {">&", SW_DUP},     {">", SW_OUT}};
    struct sw_parser *p = l->p;
    struct sw_redirect *r = add_redirect(l);
    struct sw_words words = {0};
    struct sw_raw raw = {0};
    size_t k = 0;

    if (!r)
        return;
    while (p->len - p->pos < strlen(ops[k].op) ||
           memcmp(p->src + p->pos, ops[k].op, strlen(ops[k].op)) != 0)
        k++;
    p->pos += strlen(ops[k].op);
    if (ops[k].kind == SW_HEREDOC) {
        heredoc(l, r);
        return;
    }
    r->kind = ops[k].kind;
    r->target.text = "";
    sw_skip_blanks(p);
    sw_read_word(p, &raw);
    sw_finish_word(p->st, &raw, &words);
    if (words.n != 1)
        sw_doubt(p->st, "a redirection's target");
    if (words.n > 0)
        r->target = words.v[0];
    if (r->kind == SW_DUP && words.n == 1 &&
        r->target.text[strspn(r->target.text, "0123456789-")] != '\0')
        r->kind = SW_OUT;
}

// A descriptor's number or {name} in front of a redirection.
bool sw_redirect_prefix(struct sw_lister *l, const struct sw_raw *raw)
{
    int next = sw_peek(l->p, 0);
    size_t digits = 0;

    if ((next != '<' && next != '>') || raw->n == 0 || raw->quoted)
        return false;
    while (digits < raw->n && raw->c[digits] >= '0' && raw->c[digits] <= '9' &&
           raw->a[digits] == SW_PLAIN)
        digits++;
    if (raw->c[0] == '{')
        sw_doubt(l->p->st, "a redirection to a variable");
    return digits == raw->n;
}
