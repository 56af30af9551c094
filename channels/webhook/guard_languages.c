// Tools with a language of their own: jq, yq, sed and awk. Programs that only compute and print
// pass.

#include "channels/webhook/guard_policy.h"

#include <ctype.h>

static bool is_word_at(const char *text, const char *at, size_t len)
{
    bool before = at > text && (isalnum((unsigned char)at[-1]) || at[-1] == '_' || at[-1] == '.' ||
                                at[-1] == '"' || at[-1] == '$');
    bool after =
        isalnum((unsigned char)at[len]) || at[len] == '_' || at[len] == '"' || at[len] == ':';

    return !before && !after;
}

// jq: $ENV and env print the environment; import and include read files.
static void judge_jq_program(struct guard_judge *j, const char *program)
{
    static const char *const words[] = {"env", "import", "include"};

    if (strstr(program, "$ENV") || strcmp(program, "env") == 0 ||
        strncmp(program, "env.", 4) == 0 || strncmp(program, "env|", 4) == 0)
        guard_say(j, GUARD_DENY, "jq would print the environment");
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        for (const char *at = program; (at = strstr(at, words[i])); at++)
            if (is_word_at(program, at, strlen(words[i])))
                guard_say(j, GUARD_ASK, "jq %s needs a person's word", words[i]);
}

void guard_jq(struct guard_judge *j, const struct guard_call *call)
{
    static const struct {
        const char *name;
        unsigned values;
        bool file;
    } options[] = {{"--arg", 2, false},    {"--argjson", 2, false}, {"--slurpfile", 2, true},
                   {"--rawfile", 2, true}, {"--indent", 1, false},  {"--from-file", 1, true},
                   {"-f", 1, true},        {"-L", 1, true},         {"--argfile", 2, true}};
    bool program = false;

    for (size_t i = 1; i < call->n; i++) {
        const struct sw_word *w = &call->w[i];
        bool known = false;

        for (size_t k = 0; k < ARRAY_LEN(options) && !known; k++) {
            known = strcmp(w->text, options[k].name) == 0;
            if (!known)
                continue;
            if (options[k].file)
                guard_say(j, GUARD_ASK, "jq with a file of its own");
            for (unsigned v = 1; v <= options[k].values && i + v < call->n; v++) {
                if (call->w[i + v].splits)
                    guard_say(j, GUARD_ASK, "jq: put the value in quotes");
                if (guard_names_secret(call->w[i + v].vars))
                    guard_say(j, GUARD_DENY, "jq would print a secret variable");
                if (options[k].file)
                    guard_read_path(j, &call->w[i + v]);
            }
            i += options[k].values;
        }
        if (known)
            continue;
        if (w->text[0] == '-' && w->text[1] && sw_literal(w)) {
            if (strpbrk(w->text + 1, "fL") && w->text[1] != '-')
                guard_say(j, GUARD_ASK, "jq with a file of its own");
        } else if (!program) {
            program = true;
            if (w->vars)
                guard_say(j, GUARD_ASK, "jq: a program that is not written out");
            judge_jq_program(j, w->text);
        } else {
            guard_read_path(j, w);
        }
    }
}

// sed: addresses with p, d, q or =, and substitutions without the flags that write or run.
static const char *skip_delimited(const char *at, char delimiter)
{
    while (*at && *at != delimiter)
        at += at[0] == '\\' && at[1] ? 2 : 1;
    return *at ? at + 1 : NULL;
}

static const char *sed_address(const char *at)
{
    for (;;) {
        if (isdigit((unsigned char)*at) || (*at && strchr("$,~+!; \t\n", *at)))
            at++;
        else if (*at == '/')
            at = skip_delimited(at + 1, '/');
        else
            return at;
        if (!at)
            return NULL;
    }
}

static bool is_harmless_sed(const char *at)
{
    while (*at) {
        at = sed_address(at);
        if (!at)
            return false;
        if (*at == 's' && at[1] && !isalnum((unsigned char)at[1]) && at[1] != '\\') {
            char delimiter = at[1];

            at = skip_delimited(at + 2, delimiter);
            at = at ? skip_delimited(at, delimiter) : NULL;
            if (!at)
                return false;
            at += strspn(at, "gpiI0123456789");
        } else if (*at && strchr("pdq=", *at)) {
            at++;
        } else if (*at) {
            return false;
        }
        if (*at && !strchr("; \t\n", *at))
            return false;
    }
    return true;
}

// A > compares in a pattern and in parentheses, and writes a file elsewhere. A regular expression
// or a comment could hide what is what.
static bool compares_only(const char *program)
{
    unsigned braces = 0, parens = 0;

    if (!strchr(program, '>'))
        return true;
    if (strpbrk(program, "/#"))
        return false;
    for (const char *c = program; *c; c++) {
        if (*c == '"') {
            const char *end = skip_delimited(c + 1, '"');

            if (!end)
                return false;
            c = end - 1;
        }
        braces += *c == '{';
        braces -= *c == '}' && braces > 0;
        parens += *c == '(';
        parens -= *c == ')' && parens > 0;
        if (*c == '>' && braces > 0 && parens == 0)
            return false;
    }
    return true;
}

// awk: no commands, no files of its own, no environment.
static bool is_harmless_awk(const char *program)
{
    static const char *const banned[] = {"system", "getline", "ENVIRON", "ARGV",
                                         "@",      "close",   "PROCINFO"};

    for (size_t i = 0; i < ARRAY_LEN(banned); i++)
        if (strstr(program, banned[i]))
            return false;
    if (!compares_only(program))
        return false;
    for (const char *at = program; (at = strchr(at, '|')); at += 2)
        if (at[1] != '|')
            return false;
    return true;
}

// Both take -e or -f programs and -n style options; anything unusual asks.
static void judge_editor(struct guard_judge *j, const struct guard_call *call, const char *name)
{
    bool sed = strcmp(name, "sed") == 0, program = false, ended = false;

    for (size_t i = 1; i < call->n; i++) {
        const struct sw_word *w = &call->w[i];
        const char *text = w->text;

        if (!ended && text[0] == '-' && text[1]) {
            ended = strcmp(text, "--") == 0;
            if (ended || (sed && text[strspn(text, "-nErsuz")] == '\0'))
                continue;
            if (!sed && (strncmp(text, "-F", 2) == 0 || strncmp(text, "-v", 2) == 0)) {
                const struct sw_word *value = text[2] || i + 1 >= call->n ? w : &call->w[++i];

                if (value->splits)
                    guard_say(j, GUARD_ASK, "awk: put the value in quotes");
                if (guard_names_secret(value->vars))
                    guard_say(j, GUARD_DENY, "awk would print a secret variable");
                continue;
            }
            if (!sed || strcmp(text, "-e") != 0 || i + 1 >= call->n) {
                guard_say(j, GUARD_ASK, "%s with an option that the guard does not know", name);
                guard_scan_arguments(j, call);
                continue;
            }
            program = false;
            w = &call->w[++i];
            text = w->text;
        }
        if (program) {
            guard_read_path(j, w);
            continue;
        }
        program = true;
        if (w->vars || !(sed ? is_harmless_sed(text) : is_harmless_awk(text))) {
            guard_say(j, GUARD_ASK, "%s: a program that may write, run or is not written out",
                      name);
            guard_scan_code(j, text);
        }
    }
}

// yq: as jq, with fewer options known.
void guard_yq(struct guard_judge *j, const struct guard_call *call)
{
    static const char *const banned[] = {"env", "load", "system", "eval(", "$__"};
    bool program = false;

    for (size_t i = 1; i < call->n; i++) {
        const struct sw_word *w = &call->w[i];

        if (!sw_literal(w))
            guard_say(j, GUARD_ASK, "yq: an argument that is not written out");
        if (w->text[0] == '-' && w->text[1]) {
            if (w->text[strspn(w->text, "-rePMCjo=yaml")] != '\0')
                guard_say(j, GUARD_ASK, "yq with an option that the guard does not know");
        } else if (!program && strcmp(w->text, "e") != 0 && strcmp(w->text, "eval") != 0) {
            program = true;
            for (size_t k = 0; k < ARRAY_LEN(banned); k++)
                if (strstr(w->text, banned[k]))
                    guard_say(j, GUARD_ASK, "yq that may read the environment or a file");
        } else {
            guard_read_path(j, w);
        }
    }
}

void guard_sed(struct guard_judge *j, const struct guard_call *call)
{
    judge_editor(j, call, "sed");
}

void guard_awk(struct guard_judge *j, const struct guard_call *call)
{
    judge_editor(j, call, "awk");
}
