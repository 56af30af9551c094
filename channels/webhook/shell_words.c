#include "channels/webhook/shell_parser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// What stood between two commands.
enum separator { SEP_NONE, SEP_LIST, SEP_AND, SEP_OR, SEP_PIPE, SEP_BACKGROUND };

enum { CHUNK_BYTES = 16384 };

struct sw_chunk {
    struct sw_chunk *next;
    size_t used, size;
    max_align_t data[];
};

// The state of one text, kept behind the public struct.
struct owned_script {
    struct sw_script script;
    struct sw_state state;
};

// One command while its words are read.
struct builder {
    struct sw_words words, assigns;
    struct sw_redirect *redirects;
    size_t nredirects, redirects_cap;
    enum sw_kind kind;
    bool closed; // no word may follow
    bool named;  // kind is not SW_SIMPLE although there may be no words
};

// One list of commands: a text, or a substitution.
struct lister {
    struct sw_parser *p;
    struct builder cur;
    enum separator sep;
    bool outer_loop;                    // the whole list stands in a loop
    bool piped;                         // the command being read reads a pipe
    bool outer_piped[SW_MAX_DEPTH + 1]; // what the open compounds read, innermost last
    unsigned compounds, parens, loops, cases;
};

void *sw_alloc(struct sw_state *st, size_t size)
{
    struct sw_chunk *chunk = st->chunks;

    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (st->error)
        return NULL;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;

        if (st->arena_bytes + room > SW_MAX_ARENA) {
            st->error = -E2BIG;
            return NULL;
        }
        chunk = malloc(sizeof(*chunk) + room);
        if (!chunk) {
            st->error = -ENOMEM;
            return NULL;
        }
        *chunk = (struct sw_chunk){.next = st->chunks, .size = room};
        st->chunks = chunk;
        st->arena_bytes += room;
    }
    void *p = (char *)chunk->data + chunk->used;
    chunk->used += size;
    return memset(p, 0, size);
}

void sw_doubt(struct sw_state *st, const char *why)
{
    if (st->script->certain)
        st->script->why = why;
    st->script->certain = false;
}

int sw_peek(const struct sw_parser *p, size_t ahead)
{
    if (p->st->error || p->pos >= p->len || ahead >= p->len - p->pos)
        return -1;
    return (unsigned char)p->src[p->pos + ahead];
}

static bool raw_is(const struct sw_raw *raw, const char *word)
{
    size_t len = strlen(word);

    if (raw->quoted || raw->n != len || memcmp(raw->c, word, len) != 0)
        return false;
    for (size_t i = 0; i < len; i++)
        if (raw->a[i] != SW_PLAIN)
            return false;
    return true;
}

// The length of NAME in NAME=value or NAME+=value; 0 if it is no assignment.
static size_t assigned_name(const struct sw_raw *raw, size_t *ret_value)
{
    size_t n = 0, end;

    while (n < raw->n && raw->a[n] == SW_PLAIN &&
           (raw->c[n] == '_' || (raw->c[n] >= 'a' && raw->c[n] <= 'z') ||
            (raw->c[n] >= 'A' && raw->c[n] <= 'Z') ||
            (n > 0 && raw->c[n] >= '0' && raw->c[n] <= '9')))
        n++;
    end = n;
    if (n > 0 && end < raw->n && raw->a[end] == SW_PLAIN && raw->c[end] == '[') {
        while (end < raw->n && raw->c[end] != ']')
            end++;
        end++;
    }
    if (n > 0 && end < raw->n && raw->a[end] == SW_PLAIN && raw->c[end] == '+')
        end++;
    if (n == 0 || end >= raw->n || raw->a[end] != SW_PLAIN || raw->c[end] != '=')
        return 0;
    *ret_value = end + 1;
    return n;
}

static void set_variable(struct sw_state *st, const char *name, size_t len, const char *value,
                         bool sure)
{
    struct sw_var *var = sw_var_find(st, name, len);

    if (!var) {
        char *copy = sw_alloc(st, len + 1);

        if (st->nvars_known == SW_MAX_VARS || !copy) {
            sw_doubt(st, "too many variables");
            return;
        }
        memcpy(copy, name, len);
        var = &st->vars[st->nvars_known++];
        var->name = copy;
    }
    var->value = value;
    var->sure = sure;
}

static bool empty(const struct builder *b)
{
    return b->words.n == 0 && b->assigns.n == 0 && b->nredirects == 0 && !b->named;
}

// Assignments without a command last. They are sure only on the straight way through the line.
static void keep_variables(struct lister *l, enum separator next)
{
    struct sw_state *st = l->p->st;
    bool straight = l->p->depth == 0 && l->compounds == 0 &&
                    (l->sep == SEP_NONE || l->sep == SEP_LIST) && next != SEP_PIPE &&
                    next != SEP_BACKGROUND;

    for (size_t i = 0; i < l->cur.assigns.n; i++) {
        const struct sw_word *w = &l->cur.assigns.v[i];
        const char *equals = strchr(w->text, '=');
        size_t len = strcspn(w->text, "[+=");
        bool plain = w->text + len == equals && !w->vars;

        if (l->loops > 0 || l->outer_loop)
            sw_doubt(st, "an assignment in a loop");
        else if (!straight && sw_var_find(st, w->text, len))
            sw_doubt(st, "a variable that is assigned again");
        set_variable(st, w->text, len, plain ? equals + 1 : NULL, straight);
    }
}

// read NAME...
static void forget_variables(struct lister *l)
{
    for (size_t i = 1; i < l->cur.words.n; i++) {
        const char *name = l->cur.words.v[i].text;
        struct sw_var *var = sw_var_find(l->p->st, name, strlen(name));

        if (var) {
            sw_doubt(l->p->st, "a variable that is assigned again");
            var->value = NULL;
        }
    }
}

static void end_command(struct lister *l, enum separator next)
{
    struct sw_state *st = l->p->st;
    struct sw_script *script = st->script;
    struct builder *b = &l->cur;

    if (!empty(b)) {
        if (script->ncommands == st->commands_cap) {
            size_t cap = st->commands_cap ? 2 * st->commands_cap : 16;
            struct sw_command *v = sw_alloc(st, cap * sizeof(*v));

            if (!v || cap > SW_MAX_COMMANDS) {
                st->error = st->error ? st->error : -E2BIG;
                return;
            }
            if (script->ncommands)
                memcpy(v, script->commands, script->ncommands * sizeof(*v));
            script->commands = v;
            st->commands_cap = cap;
        }
        script->commands[script->ncommands++] = (struct sw_command){
            .kind = b->kind,
            .assigns = b->assigns.v,
            .nassigns = b->assigns.n,
            .words = b->words.v,
            .nwords = b->words.n,
            .redirects = b->redirects,
            .nredirects = b->nredirects,
            .depth = l->p->depth,
            .piped_in = l->piped,
            .in_loop = l->loops > 0 || l->outer_loop,
            .in_arith = l->p->in_arith,
        };
        if (b->kind == SW_SIMPLE && b->words.n == 0)
            keep_variables(l, next);
        if (b->words.n > 0 && strcmp(b->words.v[0].text, "read") == 0)
            forget_variables(l);
    }
    *b = (struct builder){0};
    l->sep = next;
    l->piped = next == SEP_PIPE || l->outer_piped[l->compounds];
}

static void open_compound(struct lister *l)
{
    if (l->compounds == SW_MAX_DEPTH) {
        l->p->st->error = l->p->st->error ? l->p->st->error : -E2BIG;
        return;
    }
    l->outer_piped[++l->compounds] = l->piped;
}

static void close_compound(struct lister *l)
{
    if (l->compounds > 0)
        l->compounds--;
    else
        sw_doubt(l->p->st, "a compound command that was not opened");
    l->piped = l->outer_piped[l->compounds];
}

static void skip_blanks(struct sw_parser *p)
{
    for (;;) {
        int c = sw_peek(p, 0);

        if (c == ' ' || c == '\t')
            p->pos++;
        else if (c == '\\' && sw_peek(p, 1) == '\n')
            p->pos += 2;
        else
            return;
    }
}

static void skip_comment(struct sw_parser *p)
{
    while (sw_peek(p, 0) >= 0 && sw_peek(p, 0) != '\n')
        p->pos++;
}

static void skip_lines(struct sw_parser *p)
{
    for (;;) {
        skip_blanks(p);
        if (sw_peek(p, 0) == '#')
            skip_comment(p);
        else if (sw_peek(p, 0) == '\n')
            p->pos++;
        else
            return;
    }
}

// One here-document's body; the position stands at its first line.
static void read_heredoc(struct sw_parser *p, const struct sw_heredoc *doc)
{
    struct sw_raw body = {0}, raw = {0};
    size_t delimiter_len = strlen(doc->delimiter);
    bool ended = false;

    while (!ended && sw_peek(p, 0) >= 0) {
        size_t from = p->pos, to;

        skip_comment(p); // to the end of the line
        to = p->pos;
        p->pos += sw_peek(p, 0) == '\n';
        while (doc->strip_tabs && from < to && p->src[from] == '\t')
            from++;
        ended = to - from == delimiter_len && memcmp(p->src + from, doc->delimiter, to - from) == 0;
        for (; !ended && from < to; from++)
            sw_raw_put(p->st, &body, p->src[from], SW_QUOTED);
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

static void newline(struct lister *l)
{
    bool waits = empty(&l->cur) && (l->sep == SEP_PIPE || l->sep == SEP_AND || l->sep == SEP_OR);

    l->p->pos++;
    // The bodies first: the command's redirections are filled in before it is kept.
    for (size_t i = 0; i < l->p->nheredocs; i++)
        read_heredoc(l->p, &l->p->heredocs[i]);
    l->p->nheredocs = 0;
    if (!waits)
        end_command(l, SEP_LIST);
}

static struct sw_redirect *add_redirect(struct lister *l)
{
    struct builder *b = &l->cur;

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

static void heredoc(struct lister *l, struct sw_redirect *r)
{
    struct sw_parser *p = l->p;
    struct sw_raw raw = {0};
    bool strip = sw_peek(p, 0) == '-';

    p->pos += strip;
    skip_blanks(p);
    sw_read_word(p, &raw);
    r->kind = SW_HEREDOC;
    r->target.text = "";
    if (raw.vars || p->nheredocs == SW_MAX_HEREDOCS) {
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
static void redirection(struct lister *l)
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
    skip_blanks(p);
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

// for NAME [in word...]; the words end with the command.
static void for_head(struct lister *l)
{
    struct sw_parser *p = l->p;
    struct sw_raw raw = {0};

    l->cur.kind = SW_FOR;
    l->cur.named = true;
    skip_blanks(p);
    if (sw_peek(p, 0) == '(')
        sw_doubt(p->st, "an arithmetic loop");
    sw_read_word(p, &raw);
    if (raw.n == 0)
        return;
    if (sw_var_find(p->st, raw.c, raw.n))
        sw_doubt(p->st, "a variable that is assigned again");
    set_variable(p->st, raw.c, raw.n, NULL, false);
    sw_finish_word(p->st, &raw, &l->cur.words);
}

// The pattern of a case, up to its parenthesis; or esac.
static void case_pattern(struct lister *l)
{
    struct sw_parser *p = l->p;

    skip_lines(p);
    if (sw_peek(p, 0) == '(')
        p->pos++;
    for (;;) {
        struct sw_raw raw = {0};

        skip_blanks(p);
        sw_read_word(p, &raw);
        if (raw_is(&raw, "esac")) {
            l->cases--;
            close_compound(l);
            return;
        }
        skip_blanks(p);
        if (sw_peek(p, 0) != '|')
            break;
        p->pos++;
    }
    if (sw_peek(p, 0) == ')')
        p->pos++;
    else
        sw_doubt(p->st, "a pattern of a case");
}

static void case_head(struct lister *l)
{
    struct sw_parser *p = l->p;
    struct sw_raw raw = {0}, in = {0};

    open_compound(l);
    l->cases++;
    skip_blanks(p);
    sw_read_word(p, &raw);
    l->cur.kind = SW_CASE;
    l->cur.named = true;
    sw_finish_word(p->st, &raw, &l->cur.words);
    skip_lines(p);
    sw_read_word(p, &in);
    if (!raw_is(&in, "in"))
        sw_doubt(p->st, "a case without its in");
    end_command(l, SEP_LIST);
    case_pattern(l);
}

// [[ ... ]]
static void test_head(struct lister *l)
{
    struct sw_parser *p = l->p;

    l->cur.kind = SW_TEST;
    l->cur.named = true;
    for (;;) {
        struct sw_raw raw = {0};
        int c;

        skip_lines(p);
        c = sw_peek(p, 0);
        if (c < 0) {
            sw_doubt(p->st, "a test without its end");
            return;
        }
        if (strchr("()<>|&;", c) && !(strchr("<>", c) && sw_peek(p, 1) == '(')) {
            sw_raw_put(p->st, &raw, (char)c, SW_PLAIN);
            p->pos++;
        } else {
            sw_read_word(p, &raw);
        }
        if (raw_is(&raw, "]]")) {
            l->cur.closed = true;
            return;
        }
        sw_finish_word(p->st, &raw, &l->cur.words);
    }
}

static void function_head(struct lister *l)
{
    struct sw_parser *p = l->p;
    struct sw_raw raw = {0};

    sw_doubt(p->st, "a function");
    skip_blanks(p);
    sw_read_word(p, &raw);
    skip_blanks(p);
    if (sw_peek(p, 0) == '(' && sw_peek(p, 1) == ')')
        p->pos += 2;
}

// True if the word was a reserved one; it is then done with (XCU 2.4).
static bool reserved(struct lister *l, const struct sw_raw *raw)
{
    static const char *const neutral[] = {"!", "then", "elif", "else", "do"};

    for (size_t i = 0; i < sizeof(neutral) / sizeof(neutral[0]); i++)
        if (raw_is(raw, neutral[i]))
            return true;
    if (raw_is(raw, "if") || raw_is(raw, "{")) {
        open_compound(l);
    } else if (raw_is(raw, "while") || raw_is(raw, "until")) {
        open_compound(l);
        l->loops++;
    } else if (raw_is(raw, "for") || raw_is(raw, "select")) {
        open_compound(l);
        l->loops++;
        for_head(l);
    } else if (raw_is(raw, "fi") || raw_is(raw, "}")) {
        close_compound(l);
    } else if (raw_is(raw, "done")) {
        l->loops -= l->loops > 0;
        close_compound(l);
    } else if (raw_is(raw, "case")) {
        case_head(l);
    } else if (raw_is(raw, "esac")) {
        l->cases -= l->cases > 0;
        close_compound(l);
    } else if (raw_is(raw, "[[")) {
        test_head(l);
    } else if (raw_is(raw, "function")) {
        function_head(l);
    } else if (raw_is(raw, "coproc")) {
        sw_doubt(l->p->st, "a coprocess");
    } else {
        return false;
    }
    return true;
}

// A descriptor's number or {name} in front of a redirection.
static bool redirect_prefix(struct lister *l, const struct sw_raw *raw)
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

static void word(struct lister *l)
{
    struct builder *b = &l->cur;
    struct sw_state *st = l->p->st;
    struct sw_raw raw = {0};
    size_t value;

    l->p->piped = l->piped;
    l->p->in_loop = l->loops > 0 || l->outer_loop;
    sw_read_word(l->p, &raw);
    if (redirect_prefix(l, &raw))
        return;
    if (b->closed) {
        sw_doubt(st, "a word behind a test");
        end_command(l, SEP_LIST);
    }
    if (empty(b) && reserved(l, &raw))
        return;
    if (b->words.n == 0 && b->kind == SW_SIMPLE && assigned_name(&raw, &value) > 0) {
        struct sw_raw whole = {0};

        // An assignment is not expanded by braces: as a single quoted word it stays whole.
        for (size_t i = 0; i < raw.n; i++)
            sw_raw_put(st, &whole, raw.c[i], SW_QUOTED);
        whole.vars = raw.vars;
        whole.quoted = raw.quoted;
        sw_finish_word(st, &whole, &b->assigns);
        if (sw_peek(l->p, 0) == '(' || memchr(raw.c, '[', value))
            sw_doubt(st, "an array");
        return;
    }
    sw_finish_word(st, &raw, &b->words);
}

static void open_paren(struct lister *l)
{
    struct sw_parser *p = l->p;

    if (empty(&l->cur)) {
        if (sw_peek(p, 1) == '(')
            sw_doubt(p->st, "an arithmetic command");
    } else if (sw_peek(p, 1) == ')') {
        sw_doubt(p->st, "a function");
        p->pos += 2;
        l->cur = (struct builder){0};
        return;
    } else if (l->cur.kind != SW_FOR) {
        sw_doubt(p->st, "a parenthesis");
        end_command(l, SEP_LIST);
    }
    p->pos++;
    l->parens++;
    open_compound(l);
}

// True at the parenthesis that ends the substitution.
static bool close_paren(struct lister *l, bool until_paren)
{
    end_command(l, SEP_LIST);
    l->p->pos++;
    if (l->parens > 0) {
        l->parens--;
        close_compound(l);
        return false;
    }
    if (!until_paren)
        sw_doubt(l->p->st, "a parenthesis that was not opened");
    return until_paren;
}

// ; and & and | in all their forms.
static void operator(struct lister *l)
{
    struct sw_parser *p = l->p;
    int c = sw_peek(p, 0), next = sw_peek(p, 1);

    if (c == '&' && next == '>') {
        redirection(l);
    } else if (c == ';') {
        end_command(l, SEP_LIST);
        p->pos++;
        if (next != ';' && next != '&')
            return;
        p->pos++;
        if (sw_peek(p, 0) == '&')
            p->pos++;
        if (l->cases > 0)
            case_pattern(l);
        else
            sw_doubt(p->st, "the end of a case that was not opened");
    } else if (next == c) {
        end_command(l, c == '&' ? SEP_AND : SEP_OR);
        p->pos += 2;
    } else {
        end_command(l, c == '&' ? SEP_BACKGROUND : SEP_PIPE);
        p->pos += c == '|' && next == '&' ? 2 : 1;
    }
}

void sw_parse_commands(struct sw_parser *p, bool until_paren)
{
    struct lister l = {.p = p, .outer_loop = p->in_loop, .piped = p->piped};
    bool ended = false;
    int c;

    l.outer_piped[0] = p->piped;
    if (p->depth > SW_MAX_DEPTH) {
        p->st->error = p->st->error ? p->st->error : -E2BIG;
        return;
    }
    while (!ended) {
        skip_blanks(p);
        c = sw_peek(p, 0);
        if (c < 0)
            break;
        if (c == '#')
            skip_comment(p);
        else if (c == '\n')
            newline(&l);
        else if (c == ';' || c == '&' || c == '|')
            operator(&l);
        else if (c == '(')
            open_paren(&l);
        else if (c == ')')
            ended = close_paren(&l, until_paren);
        else if ((c == '<' || c == '>') && sw_peek(p, 1) != '(')
            redirection(&l);
        else
            word(&l);
    }
    end_command(&l, SEP_LIST);
    if (p->nheredocs > 0)
        sw_doubt(p->st, "a here-document without its body");
    if (l.compounds > 0 || (until_paren && !ended))
        sw_doubt(p->st, "a compound command without its end");
}

int sw_parse(const char *text, size_t len, struct sw_script **ret_script)
{
    struct owned_script *o;

    if (len > SW_MAX_BYTES)
        return -E2BIG;
    if (len > 0 && memchr(text, '\0', len))
        return -EINVAL;
    o = calloc(1, sizeof(*o));
    if (!o)
        return -ENOMEM;
    o->script.certain = true;
    o->state.script = &o->script;
    // Known to every shell; a line that assigns them itself is judged for that.
    set_variable(&o->state, "HOME", 4, "~", true);
    set_variable(&o->state, "PWD", 3, ".", true);
    set_variable(&o->state, "IFS", 3, " \t\n", true);

    struct sw_parser p = {.st = &o->state, .src = text, .len = len};
    sw_parse_commands(&p, false);
    if (o->state.error) {
        int error = o->state.error;

        sw_free(&o->script);
        return error;
    }
    *ret_script = &o->script;
    return 0;
}

void sw_free(struct sw_script *script)
{
    struct owned_script *o = (struct owned_script *)script;
    struct sw_chunk *next;

    if (!script)
        return;
    for (struct sw_chunk *chunk = o->state.chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(o);
}
