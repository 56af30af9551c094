#pragma once

// Splits a shell command line into the simple commands it would run, wherever they stand: in lists,
// pipelines, compound commands, substitutions and here-documents. It never runs or expands anything
// but constants: a variable that the same line assigns once and for sure is replaced by its value.
//
// The grammar is that of POSIX XCU 2 (Shell Command Language) with bash's extensions. The result
// errs on the side of more commands; whatever the splitter is not sure of clears `certain`, and the
// commands found so far are still listed, so that a ban can be seen in a line that is otherwise
// doubtful. Pure: no clock, no files, no environment.

#include <stdbool.h>
#include <stddef.h>

enum {
    SW_MAX_BYTES = 65536, // of one text
    SW_MAX_WORDS = 4096,  // of one text, brace expansion included
    SW_MAX_COMMANDS = 1024,
    SW_MAX_DEPTH = 16, // of substitutions, and of compound commands within each
    SW_MAX_VARS = 64,
    SW_MAX_ARENA = 4 << 20 // bytes of memory for one text
};

// Stands in a word's text for one expansion whose value is not known.
#define SW_HOLE '\x01'

struct sw_word {
    const char *text; // after quote removal, with SW_HOLE for what is unknown
    const char *vars; // names of the unknown expansions, each followed by a space; "(" is a
                      // substitution, "<" and ">" a process's; NULL if there are none
    bool splits;      // may become no word or several: an unquoted expansion or a file pattern
    bool glob;        // has file pattern characters that are not quoted
};

enum sw_redirect_kind {
    SW_IN,         // <  target
    SW_OUT,        // > >> >| &> &>> and >& with a file
    SW_RDWR,       // <>
    SW_DUP,        // <& and >& with a descriptor number or -
    SW_HEREDOC,    // target.text is the body
    SW_HERESTRING, // target.text is the string
};

struct sw_redirect {
    enum sw_redirect_kind kind;
    struct sw_word target;
};

enum sw_kind {
    SW_SIMPLE, // words, the first of them the program; none if it only assigns or redirects
    SW_FOR,    // words: the variable's name, then the list
    SW_TEST,   // words between [[ and ]], operators as words of their own
    SW_CASE    // words: the subject; patterns are not kept
};

struct sw_command {
    enum sw_kind kind;
    const struct sw_word *assigns; // NAME=value and NAME+=value in front
    size_t nassigns;
    const struct sw_word *words;
    size_t nwords;
    const struct sw_redirect *redirects;
    size_t nredirects;
    bool piped_in; // reads another command's output
    bool in_loop;
    bool in_arith; // its output is evaluated as an arithmetic expression
};

struct sw_script {
    struct sw_command *commands; // in the order in which they end
    size_t ncommands;
    bool certain;
    const char *why; // what is not certain (a static text); NULL if certain
};

// Parses text. The caller frees the result with sw_free. Returns 0 (also for text that is not
// certain), -EINVAL for a NUL in the text, -E2BIG beyond a cap, -ENOMEM.
int sw_parse(const char *text, size_t len, struct sw_script **ret_script)
    __attribute__((warn_unused_result));
void sw_free(struct sw_script *script);

// The word is exactly its text and stays one word.
static inline bool sw_literal(const struct sw_word *w)
{
    return !w->vars && !w->splits;
}
