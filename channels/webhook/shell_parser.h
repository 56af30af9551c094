#pragma once

// What shell_words.c (commands) and shell_expand.c (words) share. Nobody else includes it.

#include "channels/webhook/shell_words.h"

#include <stdint.h>

// How a character came into a word.
enum { SW_PLAIN, SW_QUOTED, SW_EXPANDED };

// A word before brace expansion and splitting.
struct sw_raw {
    char *c;
    uint8_t *a; // SW_PLAIN.. of each character
    size_t n, cap;
    char *vars;
    size_t nvars, vars_cap;
    bool quoted;
};

struct sw_var {
    const char *name, *value; // value NULL: unknown
    bool sure;
};

// Shared by the parsers of a text and of its nested texts.
struct sw_state {
    struct sw_script *script;
    struct sw_chunk *chunks;
    size_t arena_bytes, nwords, commands_cap;
    struct sw_var vars[SW_MAX_VARS];
    size_t nvars_known;
    int error; // sticky negative errno
};

enum { SW_MAX_HEREDOCS = 16 };

struct sw_heredoc {
    struct sw_redirect *redirect;
    const char *delimiter;
    bool strip_tabs, literal;
};

struct sw_parser {
    struct sw_state *st;
    const char *src;
    size_t len, pos;
    unsigned depth;                // of substitutions
    unsigned nesting;              // of expansions within one word
    bool piped, in_loop, in_arith; // what a substitution's commands inherit
    struct sw_heredoc heredocs[SW_MAX_HEREDOCS];
    size_t nheredocs;
};

// A growing list of finished words.
struct sw_words {
    struct sw_word *v;
    size_t n, cap;
};

void *sw_alloc(struct sw_state *st, size_t size);
void sw_doubt(struct sw_state *st, const char *why);
// -1 at the end of the text or after an error.
int sw_peek(const struct sw_parser *p, size_t ahead);

// What stood between two commands.
enum sw_separator { SEP_NONE, SEP_LIST, SEP_AND, SEP_OR, SEP_PIPE, SEP_BACKGROUND };

// One command while its words are read.
struct sw_builder {
    struct sw_words words, assigns;
    struct sw_redirect *redirects;
    size_t nredirects, redirects_cap;
    enum sw_kind kind;
    bool closed; // no word may follow
    bool named;  // kind is not SW_SIMPLE although there may be no words
};

// One list of commands: a text, or a substitution.
struct sw_lister {
    struct sw_parser *p;
    struct sw_builder cur;
    enum sw_separator sep;
    bool outer_loop;                    // the whole list stands in a loop
    bool piped;                         // the command being read reads a pipe
    bool outer_piped[SW_MAX_DEPTH + 1]; // what the open compounds read, innermost last
    unsigned compounds, parens, loops, cases;
};

// shell_words.c. The commands of a substitution, from the current position to its closing
// parenthesis, or to the end of the text.
void sw_parse_commands(struct sw_parser *p, bool until_paren);
bool sw_is_empty(const struct sw_builder *b);
void sw_end_command(struct sw_lister *l, enum sw_separator next);
void sw_open_compound(struct sw_lister *l);
void sw_close_compound(struct sw_lister *l);
void sw_skip_blanks(struct sw_parser *p);
void sw_skip_lines(struct sw_parser *p);                    // blanks, newlines and comments
void sw_skip_line(struct sw_parser *p);                     // up to its newline
bool sw_raw_is(const struct sw_raw *raw, const char *word); // as it stands, not quoted
void sw_set_variable(struct sw_state *st, const char *name, size_t len, const char *value,
                     bool sure);

// shell_redirect.c
void sw_redirection(struct sw_lister *l);
bool sw_redirect_prefix(struct sw_lister *l, const struct sw_raw *raw);
void sw_read_heredoc(struct sw_parser *p, const struct sw_heredoc *doc);

// shell_compound.c
bool sw_reserved(struct sw_lister *l, const struct sw_raw *raw);
void sw_case_pattern(struct sw_lister *l);

// shell_expand.c
void sw_read_word(struct sw_parser *p, struct sw_raw *raw);
void sw_read_heredoc_body(struct sw_parser *p, const char *text, size_t len, struct sw_raw *raw);
void sw_raw_put(struct sw_state *st, struct sw_raw *raw, char c, uint8_t how);
struct sw_var *sw_var_find(struct sw_state *st, const char *name, size_t len);

// shell_fields.c. Appends what the word becomes: usually one word, none or several after expansion.
void sw_finish_word(struct sw_state *st, const struct sw_raw *raw, struct sw_words *words);
// The word as it stands, without braces or splitting (assignments, here-documents).
struct sw_word sw_whole_word(struct sw_state *st, const struct sw_raw *raw);
