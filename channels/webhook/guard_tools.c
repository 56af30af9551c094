// Ordinary tools: what they may be asked to do without a person, and which of their arguments are
// files.

#include "channels/webhook/guard_policy.h"

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
            if ((w->vars || (w->splits && w->text[1] != '-')) && (!(t->mode & ANY) || *t->asks))
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

// test and [: an operator that comes out of an expansion may be -v, which evaluates its operand.
static void judge_test(struct guard_judge *j, const struct guard_call *call)
{
    size_t n = call->n - 1 - (strcmp(call->w[0].text, "[") == 0);

    for (size_t i = 1; i < call->n; i++)
        if (call->w[i].vars && call->w[i].splits)
            guard_say(j, GUARD_ASK, "test: put expansions in quotes");
    if (n == 2 && call->n > 1 && call->w[1].text[0] == SW_HOLE)
        guard_say(j, GUARD_ASK, "test: an operator that is not written out");
}

static void judge_tool(struct guard_judge *j, const struct tool *t, const struct guard_call *call)
{
    struct tool_words words = {0};

    read_words(j, t, call, &words);
    if (!(t->mode & ANY)) {
        judge_files(j, t, call, &words);
        return;
    }
    if (t->mode & SILENT)
        judge_test(j, call);
    else if (*t->asks && call->n > 1 && call->w[1].text[0] == SW_HOLE)
        guard_say(j, GUARD_ASK, "%s: an option that is not written out", t->name);
    if (!(t->mode & NO_WORDS))
        return;
    for (size_t i = 0; i < words.n; i++)
        if (words.words[i]->text[0] != '+' && strcmp(words.words[i]->text, "aux") != 0 &&
            strcmp(words.words[i]->text, "ax") != 0)
            guard_say(j, GUARD_ASK, "%s with an argument needs a person's word", t->name);
}

// ---- Tools with a reader of their own ---------------------------------------------------------

static const struct {
    const char *name;
    void (*reader)(struct guard_judge *, const struct guard_call *);
} readers[] = {
    {"jq", guard_jq},
    {"yq", guard_yq},
    {"sed", guard_sed},
    {"awk", guard_awk},
    {"gawk", guard_awk},
    {"mawk", guard_awk},
    {"cd", guard_cd},
    {"set", guard_set},
    {"read", guard_read},
    {"export", guard_declare},
    {"declare", guard_declare},
    {"typeset", guard_declare},
    {"local", guard_declare},
    {"readonly", guard_declare},
    {"find", guard_find},
    {"openssl", guard_openssl},
    {"webhook-channel", guard_own_programs},
    {"slack-channel", guard_own_programs},
};

bool guard_tool(struct guard_judge *j, const struct guard_call *call, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
        if (strcmp(tools[i].name, name) == 0) {
            judge_tool(j, &tools[i], call);
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        if (strcmp(readers[i].name, name) == 0) {
            readers[i].reader(j, call);
            return true;
        }
    }
    return false;
}
