#include "channels/webhook/shell_parser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

bool sw_raw_is(const struct sw_raw *raw, const char *word)
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

void sw_set_variable(struct sw_state *st, const char *name, size_t len, const char *value,
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

bool sw_is_empty(const struct sw_builder *b)
{
    return b->words.n == 0 && b->assigns.n == 0 && b->nredirects == 0 && !b->named;
}

// Assignments without a command last. They are sure only on the straight way through the line.
static void keep_variables(struct sw_lister *l, enum sw_separator next)
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
        sw_set_variable(st, w->text, len, plain ? equals + 1 : NULL, straight);
    }
}

// read NAME...
static void forget_variables(struct sw_lister *l)
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

void sw_end_command(struct sw_lister *l, enum sw_separator next)
{
    struct sw_state *st = l->p->st;
    struct sw_script *script = st->script;
    struct sw_builder *b = &l->cur;

    if (!sw_is_empty(b)) {
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
            .piped_in = l->piped,
            .in_loop = l->loops > 0 || l->outer_loop,
            .in_arith = l->p->in_arith,
        };
        if (b->kind == SW_SIMPLE && b->words.n == 0)
            keep_variables(l, next);
        if (b->words.n > 0 && strcmp(b->words.v[0].text, "read") == 0)
            forget_variables(l);
    }
    *b = (struct sw_builder){0};
    l->sep = next;
    l->piped = next == SEP_PIPE || l->outer_piped[l->compounds];
}

void sw_open_compound(struct sw_lister *l)
{
    if (l->compounds == SW_MAX_DEPTH) {
        l->p->st->error = l->p->st->error ? l->p->st->error : -E2BIG;
        return;
    }
    l->outer_piped[++l->compounds] = l->piped;
}

void sw_close_compound(struct sw_lister *l)
{
    if (l->compounds > 0)
        l->compounds--;
    else
        sw_doubt(l->p->st, "a compound command that was not opened");
    l->piped = l->outer_piped[l->compounds];
}

void sw_skip_blanks(struct sw_parser *p)
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

void sw_skip_line(struct sw_parser *p)
{
    while (sw_peek(p, 0) >= 0 && sw_peek(p, 0) != '\n')
        p->pos++;
}

void sw_skip_lines(struct sw_parser *p)
{
    for (;;) {
        sw_skip_blanks(p);
        if (sw_peek(p, 0) == '#')
            sw_skip_line(p);
        else if (sw_peek(p, 0) == '\n')
            p->pos++;
        else
            return;
        if (p->nheredocs > 0)
            sw_doubt(p->st, "a here-document around a compound command");
    }
}

static void newline(struct sw_lister *l)
{
    bool waits =
        sw_is_empty(&l->cur) && (l->sep == SEP_PIPE || l->sep == SEP_AND || l->sep == SEP_OR);

    l->p->pos++;
    // The bodies first: the command's redirections are filled in before it is kept.
    for (size_t i = 0; i < l->p->nheredocs; i++)
        sw_read_heredoc(l->p, &l->p->heredocs[i]);
    l->p->nheredocs = 0;
    if (!waits)
        sw_end_command(l, SEP_LIST);
}

static void word(struct sw_lister *l)
{
    struct sw_builder *b = &l->cur;
    struct sw_state *st = l->p->st;
    struct sw_raw raw = {0};
    size_t value;

    l->p->piped = l->piped;
    l->p->in_loop = l->loops > 0 || l->outer_loop;
    sw_read_word(l->p, &raw);
    if (sw_redirect_prefix(l, &raw))
        return;
    if (b->closed) {
        sw_doubt(st, "a word behind a test");
        sw_end_command(l, SEP_LIST);
    }
    if (sw_is_empty(b) && sw_reserved(l, &raw))
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

static void open_paren(struct sw_lister *l)
{
    struct sw_parser *p = l->p;

    if (sw_is_empty(&l->cur)) {
        if (sw_peek(p, 1) == '(')
            sw_doubt(p->st, "an arithmetic command");
    } else if (sw_peek(p, 1) == ')') {
        sw_doubt(p->st, "a function");
        p->pos += 2;
        l->cur = (struct sw_builder){0};
        return;
    } else if (l->cur.kind != SW_FOR) {
        sw_doubt(p->st, "a parenthesis");
        sw_end_command(l, SEP_LIST);
    }
    p->pos++;
    l->parens++;
    sw_open_compound(l);
}

// True at the parenthesis that ends the substitution.
static bool close_paren(struct sw_lister *l, bool until_paren)
{
    sw_end_command(l, SEP_LIST);
    l->p->pos++;
    if (l->parens > 0) {
        l->parens--;
        sw_close_compound(l);
        return false;
    }
    if (!until_paren)
        sw_doubt(l->p->st, "a parenthesis that was not opened");
    return until_paren;
}

// ; and & and | in all their forms.
static void operator(struct sw_lister *l)
{
    struct sw_parser *p = l->p;
    int c = sw_peek(p, 0), next = sw_peek(p, 1);

    if (c == '&' && next == '>') {
        sw_redirection(l);
    } else if (c == ';') {
        sw_end_command(l, SEP_LIST);
        p->pos++;
        if (next != ';' && next != '&')
            return;
        p->pos++;
        if (sw_peek(p, 0) == '&')
            p->pos++;
        if (l->cases > 0)
            sw_case_pattern(l);
        else
            sw_doubt(p->st, "the end of a case that was not opened");
    } else if (next == c) {
        sw_end_command(l, c == '&' ? SEP_AND : SEP_OR);
        p->pos += 2;
    } else {
        sw_end_command(l, c == '&' ? SEP_BACKGROUND : SEP_PIPE);
        p->pos += c == '|' && next == '&' ? 2 : 1;
    }
}

void sw_parse_commands(struct sw_parser *p, bool until_paren)
{
    struct sw_lister l = {.p = p, .outer_loop = p->in_loop, .piped = p->piped};
    bool ended = false;
    int c;

    l.outer_piped[0] = p->piped;
    if (p->depth > SW_MAX_DEPTH) {
        p->st->error = p->st->error ? p->st->error : -E2BIG;
        return;
    }
    while (!ended) {
        sw_skip_blanks(p);
        c = sw_peek(p, 0);
        if (c < 0)
            break;
        if (c == '#')
            sw_skip_line(p);
        else if (c == '\n')
            newline(&l);
        else if (c == ';' || c == '&' || c == '|')
            operator(&l);
        else if (c == '(')
            open_paren(&l);
        else if (c == ')')
            ended = close_paren(&l, until_paren);
        else if ((c == '<' || c == '>') && sw_peek(p, 1) != '(')
            sw_redirection(&l);
        else
            word(&l);
    }
    sw_end_command(&l, SEP_LIST);
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
    sw_set_variable(&o->state, "HOME", 4, "~", true);
    sw_set_variable(&o->state, "PWD", 3, ".", true);
    sw_set_variable(&o->state, "IFS", 3, " \t\n", true);

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
