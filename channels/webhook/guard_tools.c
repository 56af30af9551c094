// Ordinary tools: what they may be asked to do without a person, and which of their arguments are
// files.

#include "channels/webhook/guard_policy.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FILES = 1,     // positional arguments are files that it reads
    PROGRAM = 2,   // the first of them is a pattern or a program instead
    ANY = 4,       // its arguments are not files; unknown parts are harmless
    ONE_FILE = 8,  // a second positional argument is written to
    NO_WORDS = 16, // positional arguments ask
    SILENT = 32,   // prints nothing of its arguments
};

// ---- The table: letters and long options that take a value, and those that ask ----------------
//
// `values`: short options that take a value. `asks`: options that write, run or connect; short ones
// as letters, long ones by name (an abbreviation counts). `program_by`: options that replace the
// pattern or program of PROGRAM.
static const struct tool {
    const char *name;
    unsigned mode;
    const char *values;
    const char *asks;
    const char *long_values;
    const char *long_asks;
    const char *program_by;
} tools[] = {
    {"cat", FILES, "", "", "", "", ""},
    {"tac", FILES, "s", "", "separator", "", ""},
    {"nl", FILES, "bdfhilnsvw", "", "", "", ""},
    {"head", FILES, "nc", "", "lines bytes", "", ""},
    {"tail", FILES, "ncs", "", "lines bytes pid sleep-interval", "", ""},
    {"wc", FILES, "", "", "", "files0-from", ""},
    {"sort", FILES, "kSt", "oT", "key field-separator buffer-size",
     "output compress-program files0-from temporary-directory random-source", ""},
    {"uniq", FILES | ONE_FILE, "fsw", "", "skip-fields skip-chars check-chars", "", ""},
    {"cut", FILES, "bcdf", "", "bytes characters delimiter fields output-delimiter", "", ""},
    {"tr", ANY, "", "", "", "", ""},
    {"rev", FILES, "", "", "", "", ""},
    {"fold", FILES, "w", "", "width", "", ""},
    {"fmt", FILES, "wgp", "", "width", "", ""},
    {"column", FILES, "csoNERTWHOd", "", "separator output-separator table-columns", "", ""},
    {"paste", FILES, "d", "", "delimiters", "", ""},
    {"join", FILES, "aejtov12", "", "", "", ""},
    {"comm", FILES, "", "", "output-delimiter", "", ""},
    {"diff", FILES, "UCIFW", "", "unified context label width exclude", "to-file from-file output",
     ""},
    {"cmp", FILES, "in", "", "bytes ignore-initial", "", ""},
    {"grep", FILES | PROGRAM, "eABCmfdD", "f",
     "regexp max-count after-context before-context context include exclude exclude-dir color "
     "label",
     "file exclude-from", "e regexp"},
    {"egrep", FILES | PROGRAM, "eABCmfdD", "f", "regexp max-count include exclude", "file",
     "e regexp"},
    {"fgrep", FILES | PROGRAM, "eABCmfdD", "f", "regexp max-count include exclude", "file",
     "e regexp"},
    {"zgrep", FILES | PROGRAM, "eABCmfdD", "f", "regexp", "file", "e regexp"},
    {"zcat", FILES, "S", "", "", "", ""},
    {"rg", FILES | PROGRAM, "eABCmfgtTjMrE", "fz",
     "regexp max-count glob type type-not context after-context before-context max-depth threads",
     "pre pre-glob file search-zip hostname-bin ignore-file", "e regexp files"},
    {"ls", FILES, "IwT", "", "ignore width", "", ""},
    {"tree", FILES, "LPIo", "o", "", "", ""},
    {"stat", FILES, "c", "", "format printf", "", ""},
    {"file", FILES, "Fmfe", "fmCz", "", "files-from magic-file compile uncompress", ""},
    {"du", FILES, "dBtX", "X", "max-depth exclude", "files0-from exclude-from", ""},
    {"df", FILES, "Btx", "", "output", "", ""},
    {"readlink", FILES, "", "", "", "", ""},
    {"realpath", FILES, "", "", "", "", ""},
    {"basename", ANY, "s", "", "suffix", "", ""},
    {"dirname", ANY, "", "", "", "", ""},
    {"md5sum", FILES, "", "", "", "", ""},
    {"sha1sum", FILES, "", "", "", "", ""},
    {"sha256sum", FILES, "", "", "", "", ""},
    {"cksum", FILES, "a", "", "algorithm", "", ""},
    {"base64", FILES, "w", "", "wrap", "", ""},
    {"od", FILES, "ANjtwS", "", "", "", ""},
    {"xxd", FILES | ONE_FILE, "cglos", "r", "", "", ""},
    {"hexdump", FILES, "enfs", "f", "", "", ""},
    {"strings", FILES, "net", "", "", "", ""},
    {"echo", ANY, "", "", "", "", ""},
    {"printf", ANY, "", "v", "", "", ""},
    {"true", ANY, "", "", "", "", ""},
    {"false", ANY, "", "", "", "", ""},
    {":", ANY, "", "", "", "", ""},
    {"pwd", ANY, "", "", "", "", ""},
    {"date", ANY | NO_WORDS, "d", "sf", "date", "set file", ""},
    {"sleep", ANY, "", "", "", "", ""},
    {"seq", ANY, "sf", "", "separator format", "", ""},
    {"uptime", ANY, "", "", "", "", ""},
    {"uname", ANY, "", "", "", "", ""},
    {"whoami", ANY, "", "", "", "", ""},
    {"id", ANY, "", "", "", "", ""},
    {"groups", ANY, "", "", "", "", ""},
    {"nproc", ANY, "", "", "", "", ""},
    {"free", ANY, "sc", "", "", "", ""},
    {"hostname", ANY | NO_WORDS, "", "bF", "", "file boot", ""},
    {"ps", ANY | NO_WORDS, "opCtuUgGq", "", "format pid sort user ppid", "", ""},
    {"which", ANY, "", "", "", "", ""},
    {"type", ANY, "", "", "", "", ""},
    {"test", ANY | SILENT, "", "v", "", "", ""},
    {"[", ANY | SILENT, "", "v", "", "", ""},
    {"exit", ANY, "", "", "", "", ""},
    {"break", ANY, "", "", "", "", ""},
    {"continue", ANY, "", "", "", "", ""},
    {"wait", ANY, "", "p", "", "", ""},
};

// ---- Words ------------------------------------------------------------------------------------

// `list` holds names separated by spaces; one that begins with the given text counts, as
// getopt_long takes abbreviations.
static bool lists_long(const char *list, const char *name, size_t len)
{
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, " ");

        if (len <= n && len > 0 && memcmp(at, name, len) == 0)
            return true;
        at += n + (at[n] == ' ');
    }
    return false;
}

struct tool_words {
    const struct sw_word *words[256];
    size_t n;
    bool program_given;
};

static void option_value(struct guard_judge *j, const struct tool *t, const struct sw_word *w)
{
    if (!sw_literal(w))
        guard_say(j, GUARD_ASK, "%s: an option that is not written out", t->name);
    else if (strpbrk(w->text, "/."))
        guard_read_path(j, w);
}

// One option; returns how many further words belong to it.
static size_t read_option(struct guard_judge *j, const struct tool *t,
                          const struct guard_call *call, size_t i, struct tool_words *out)
{
    const struct sw_word *w = &call->w[i];
    const char *name = w->text + 1;

    if (name[0] == '-') {
        size_t len = strcspn(++name, "=");

        if (lists_long(t->long_asks, name, len))
            guard_say(j, GUARD_ASK, "%s --%.*s needs a person's word", t->name, (int)len, name);
        out->program_given |= len > 1 && lists_long(t->program_by, name, len);
        if (name[len] == '=' && !(t->mode & ANY)) {
            struct sw_word value = {.text = name + len + 1};

            option_value(j, t, &value);
        }
        if (name[len] == '=')
            return 0;
        return len > 1 && lists_long(t->long_values, name, len) && i + 1 < call->n ? 1 : 0;
    }
    for (; *name; name++) {
        if (strchr(t->asks, *name))
            guard_say(j, GUARD_ASK, "%s -%c needs a person's word", t->name, *name);
        out->program_given |= strchr(t->program_by, *name) == t->program_by && *t->program_by;
        if (strchr(t->values, *name))
            return !name[1] && i + 1 < call->n ? 1 : 0;
    }
    return 0;
}

static void read_words(struct guard_judge *j, const struct tool *t, const struct guard_call *call,
                       struct tool_words *out)
{
    bool ended = false;

    for (size_t i = 1; i < call->n; i++) {
        const struct sw_word *w = &call->w[i];

        if (w->vars && guard_names_secret(w->vars) && (t->mode & (ANY | SILENT)) == ANY)
            guard_say(j, GUARD_DENY, "%s would print a secret variable", t->name);
        if (!ended && strcmp(w->text, "--") == 0) {
            ended = true;
        } else if (!ended && w->text[0] == '-' && w->text[1]) {
            size_t more = read_option(j, t, call, i, out);

            // --include=*.md is harmless: whatever it becomes begins with the option.
            if ((w->vars || (w->splits && w->text[1] != '-')) && !(t->mode & ANY))
                guard_say(j, GUARD_ASK, "%s: an option that is not written out", t->name);
            if (more && !(t->mode & ANY))
                option_value(j, t, &call->w[i + 1]);
            i += more;
        } else if (out->n < ARRAY_LEN(out->words)) {
            out->words[out->n++] = w;
        } else {
            guard_say(j, GUARD_ASK, "%s: too many arguments", t->name);
        }
    }
}

// A search that goes down into folders.
static bool is_recursive(const struct tool *t, const struct guard_call *call)
{
    if (strcmp(t->name, "rg") == 0)
        return true;
    if (!strstr(t->name, "grep") && strcmp(t->name, "diff") != 0)
        return false;
    for (size_t i = 1; i < call->n; i++) {
        const char *text = call->w[i].text;

        if (text[0] == '-' && text[1] != '-' && strpbrk(text, "rR"))
            return true;
        if (strncmp(text, "--r", 3) == 0 || strncmp(text, "--d", 3) == 0)
            return true;
    }
    return false;
}

static void judge_files(struct guard_judge *j, const struct tool *t, const struct guard_call *call,
                        const struct tool_words *words)
{
    size_t first = (t->mode & PROGRAM) && !words->program_given ? 1 : 0;
    bool recursive = is_recursive(t, call);

    for (size_t i = 0; i < words->n; i++) {
        const struct sw_word *w = words->words[i];

        if (i < first) {
            if (w->splits && !(w->glob && !w->vars))
                guard_say(j, GUARD_ASK, "%s: put the pattern in quotes", t->name);
            if (w->text[0] == SW_HOLE)
                guard_say(j, GUARD_ASK, "%s: a pattern that is not written out", t->name);
            continue;
        }
        guard_read_path(j, w);
        if (recursive && guard_holds_secrets(j, w->text))
            guard_say(j, GUARD_ASK, "%s: a search through folders that hold secrets", t->name);
    }
    if (recursive && words->n <= first && !call->command->piped_in && guard_holds_secrets(j, "."))
        guard_say(j, GUARD_ASK, "%s: a search through folders that hold secrets", t->name);
    if ((t->mode & ONE_FILE) && words->n > 1)
        guard_say(j, GUARD_ASK, "%s writes its second file", t->name);
}

static void judge_tool(struct guard_judge *j, const struct tool *t, const struct guard_call *call)
{
    struct tool_words words = {0};

    read_words(j, t, call, &words);
    if (!(t->mode & ANY)) {
        judge_files(j, t, call, &words);
        return;
    }
    if (!(t->mode & NO_WORDS))
        return;
    for (size_t i = 0; i < words.n; i++)
        if (words.words[i]->text[0] != '+' && strcmp(words.words[i]->text, "aux") != 0 &&
            strcmp(words.words[i]->text, "ax") != 0)
            guard_say(j, GUARD_ASK, "%s with an argument needs a person's word", t->name);
}

// ---- Tools with a language of their own -------------------------------------------------------

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

static void judge_jq(struct guard_judge *j, const struct guard_call *call)
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
static void judge_yq(struct guard_judge *j, const struct guard_call *call)
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

// cd: what follows is judged from there and from here.
static void judge_cd(struct guard_judge *j, const struct guard_call *call)
{
    if (call->n != 2 || !sw_literal(&call->w[1]) || call->w[1].text[0] == '-') {
        if (call->n > 1)
            guard_say(j, GUARD_ASK, "cd to a folder that is not written out");
        return;
    }
    guard_read_path(j, &call->w[1]);
    guard_move(j, call->w[1].text);
}

// set: only what makes a shell stricter; alone it prints every variable.
static void judge_set(struct guard_judge *j, const struct guard_call *call)
{
    if (call->n == 1)
        guard_say(j, GUARD_DENY, "printing the environment is forbidden");
    for (size_t i = 1; i < call->n; i++)
        if (call->w[i].text[0] != '-'
                ? strcmp(call->w[i].text, "pipefail") != 0
                : call->w[i].text[strspn(call->w[i].text, "-eu")] != '\0' &&
                      strcmp(call->w[i].text, "-o") != 0 && strcmp(call->w[i].text, "-eo") != 0 &&
                      strcmp(call->w[i].text, "-euo") != 0)
            guard_say(j, GUARD_ASK, "set with an option that the guard does not know");
    guard_scan_arguments(j, call);
}

// export, declare and the like: printing shows every variable, setting may redirect a tool.
static void judge_declare(struct guard_judge *j, const struct guard_call *call, const char *name)
{
    guard_say(j, GUARD_ASK, "%s changes the shell's variables", name);
    for (size_t i = 1; i < call->n; i++) {
        const char *text = call->w[i].text;

        if (strncmp(text, "KUBE", 4) == 0 || strncmp(text, "ARGOCD_", 7) == 0)
            guard_say(j, GUARD_DENY, "it is forbidden to choose another kubeconfig or account");
    }
    if (call->n == 1 || (call->n == 2 && strcmp(call->w[1].text, "-p") == 0) ||
        (call->n == 2 && strcmp(call->w[1].text, "-x") == 0))
        guard_say(j, GUARD_DENY, "printing the environment is forbidden");
}

// read: only into plain variables, whose values are unknown from then on (shell_words.c).
static void judge_read(struct guard_judge *j, const struct guard_call *call)
{
    for (size_t i = 1; i < call->n; i++) {
        const char *text = call->w[i].text;

        if (strcmp(text, "-r") == 0)
            continue;
        for (const char *c = text; *c; c++)
            if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '_')
                guard_say(j, GUARD_ASK, "read into anything but plain lower-case names");
    }
}

// find: listing only.
static void judge_find(struct guard_judge *j, const struct guard_call *call)
{
    static const char *const tests[] = {
        "-name",   "-iname", "-path",  "-ipath", "-type", "-maxdepth", "-mindepth", "-mtime",
        "-mmin",   "-newer", "-size",  "-print", "-not",  "!",         "-o",        "-a",
        "(",       ")",      "-empty", "-prune", "-L",    "-H",        "-P",        "-ls",
        "-print0", "-regex", "-ctime", "-atime", "-perm", "-user",     "-group"};

    bool options = false;

    for (size_t i = 1; i < call->n; i++) {
        const char *text = call->w[i].text;
        bool known = false;

        if (strncmp(text, "-exec", 5) == 0 || strncmp(text, "-ok", 3) == 0) {
            struct guard_call inner = *call;

            inner.w += i + 1;
            inner.n -= i + 1;
            inner.repeated = true;
            guard_say(j, GUARD_ASK, "find that runs a command");
            for (size_t k = 1; k < i; k++)
                if (guard_path(j, call->w[k].text, call->w[k].glob) == PATH_SECRET)
                    guard_say(j, GUARD_DENY,
                              "it is forbidden to read secrets, keys and kubeconfigs");
            guard_scan_call(j, &inner);
            return;
        }
        options |= text[0] == '-' || text[0] == '(' || text[0] == '!';
        if (!options)
            guard_read_path(j, &call->w[i]);
        for (size_t k = 0; k < ARRAY_LEN(tests); k++)
            known |= strcmp(text, tests[k]) == 0;
        if (text[0] == '-' && text[1] && !known)
            guard_say(j, GUARD_ASK, "find with a test that the guard does not know");
        if (call->w[i].vars)
            guard_say(j, GUARD_ASK, "find: an argument that is not written out");
    }
}

// openssl: looking at a certificate.
static void judge_openssl(struct guard_judge *j, const struct guard_call *call)
{
    static const char *const options[] = {
        "-noout",       "-enddate", "-startdate", "-dates",    "-subject", "-issuer", "-serial",
        "-fingerprint", "-text",    "-ext",       "-checkend", "-in",      "-inform"};

    if (call->n < 2 || strcmp(call->w[1].text, "x509") != 0)
        guard_say(j, GUARD_ASK, "openssl but for reading a certificate");
    for (size_t i = 2; i < call->n; i++) {
        bool known = call->w[i].text[0] != '-' && sw_literal(&call->w[i]);

        for (size_t k = 0; k < ARRAY_LEN(options); k++)
            known |= strcmp(call->w[i].text, options[k]) == 0;
        if (!known)
            guard_say(j, GUARD_ASK, "openssl with an option that the guard does not know");
        if (call->w[i].text[0] != '-' && strcmp(call->w[i - 1].text, "-in") == 0)
            guard_read_path(j, &call->w[i]);
    }
}

// The project's own executables.
static void judge_own(struct guard_judge *j, const struct guard_call *call, const char *name)
{
    static const char *const reading[] = {"briefing",  "history", "incidents",  "proposals",
                                          "export",    "audit",   "postmortem", "doctor",
                                          "--version", "--help"};

    for (size_t i = 1; i < call->n; i++)
        if (!sw_literal(&call->w[i]))
            guard_say(j, GUARD_ASK, "%s: an argument that is not written out", name);
    for (size_t k = 0; call->n > 1 && k < ARRAY_LEN(reading); k++)
        if (strcmp(call->w[1].text, reading[k]) == 0)
            return;
    guard_say(j, GUARD_ASK, "%s but for reading", name);
}

bool guard_tool(struct guard_judge *j, const struct guard_call *call, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
        if (strcmp(tools[i].name, name) == 0) {
            judge_tool(j, &tools[i], call);
            return true;
        }
    }
    if (strcmp(name, "jq") == 0)
        judge_jq(j, call);
    else if (strcmp(name, "yq") == 0)
        judge_yq(j, call);
    else if (strcmp(name, "cd") == 0)
        judge_cd(j, call);
    else if (strcmp(name, "sed") == 0)
        judge_editor(j, call, "sed");
    else if (strcmp(name, "awk") == 0 || strcmp(name, "gawk") == 0 || strcmp(name, "mawk") == 0)
        judge_editor(j, call, "awk");
    else if (strcmp(name, "set") == 0)
        judge_set(j, call);
    else if (strcmp(name, "read") == 0)
        judge_read(j, call);
    else if (strcmp(name, "export") == 0 || strcmp(name, "declare") == 0 ||
             strcmp(name, "typeset") == 0 || strcmp(name, "local") == 0 ||
             strcmp(name, "readonly") == 0)
        judge_declare(j, call, name);
    else if (strcmp(name, "find") == 0)
        judge_find(j, call);
    else if (strcmp(name, "openssl") == 0)
        judge_openssl(j, call);
    else if (strcmp(name, "webhook-channel") == 0 || strcmp(name, "slack-channel") == 0)
        judge_own(j, call, name);
    else
        return false;
    return true;
}
