// Programs that run others: what they run is judged as if it stood alone. Where that cannot be seen
// whole, it asks, and what can be seen is still searched for what is forbidden.

#include "channels/webhook/guard_policy.h"

#include <stdlib.h>

// ---- The table --------------------------------------------------------------------------------

enum {
    ASKS = 1,    // needs a person's word even for something harmless
    REPEATS = 2, // runs it more than once
    APPENDS = 4, // adds arguments that are not seen
    ASSIGNS = 8, // takes NAME=value in front of the command
    JOINS = 16   // gives its words to a shell as one text
};

static const struct wrapper {
    const char *name;
    unsigned mode;
    const char *values;      // short options that take a value
    const char *long_values; // long ones
    unsigned skip;           // positional arguments in front of the command
} wrappers[] = {
    {"builtin", 0, "", "", 0},
    {"exec", 0, "a", "", 0},
    {"nohup", 0, "", "", 0},
    {"time", 0, "fo", "format output", 0},
    {"nice", 0, "n", "adjustment", 0},
    {"ionice", 0, "cnpPu", "class classdata", 0},
    {"timeout", 0, "ks", "kill-after signal", 1},
    {"stdbuf", 0, "ioe", "input output error", 0},
    {"setsid", 0, "", "", 0},
    {"chrt", ASKS, "TPD", "", 1},
    {"taskset", ASKS, "", "", 1},
    {"sudo", ASKS | ASSIGNS, "ugphCDRrtTU", "user group prompt host chdir role type", 0},
    {"doas", ASKS, "uC", "", 0},
    {"env", ASSIGNS, "uCS", "unset chdir split-string", 0},
    {"xargs", REPEATS | APPENDS, "IinPLdasE",
     "replace max-args max-procs max-lines delimiter arg-file max-chars eof", 0},
    {"parallel", ASKS | REPEATS | APPENDS | JOINS, "jaINnLl", "jobs arg-file", 0},
    {"watch", ASKS | REPEATS | JOINS, "nq", "interval", 0},
    {"ssh", ASKS | JOINS, "BbcDEeFIiJLlmOopQRSWw", "", 1},
    {"busybox", ASKS, "", "", 0},
    {"toybox", ASKS, "", "", 0},
    {"strace", ASKS, "abeIoOpPsSuUX", "", 0},
    {"ltrace", ASKS, "aeloFnpsuwx", "", 0},
    {"flock", ASKS, "wEc", "timeout conflict-exit-code", 1},
    {"systemd-run", ASKS, "pMHuE", "unit property setenv", 0},
    {"unshare", ASKS, "", "", 0},
    {"nsenter", ASKS, "tSGw", "target", 0},
    {"chroot", ASKS, "", "", 1},
    {"runuser", ASKS, "ugG", "user group", 0},
    {"setpriv", ASKS, "", "", 0},
    {"proxychains", ASKS, "f", "", 0},
    {"torsocks", ASKS, "", "", 0},
    {"unbuffer", ASKS, "", "", 0},
    {"script", ASKS, "cTIOBmoE", "command", 0},
    {"caffeinate", ASKS, "tw", "", 0},
    {"noglob", ASKS, "", "", 0},
    {"nocorrect", ASKS, "", "", 0},
    {"-", ASKS, "", "", 0},
    {"k3s", ASKS, "", "", 0},
    {"microk8s", ASKS, "", "", 0},
    {"minikube", ASKS, "p", "", 0},
    {"rancher", ASKS, "", "", 0},
    {"doctl", ASKS, "", "", 0},
};

static const char *const shells[] = {"sh",   "bash", "dash", "zsh",  "ksh",
                                     "mksh", "ash",  "fish", "rbash"};

static const char *const interpreters[] = {
    "python", "perl",   "ruby", "node",  "nodejs", "php",     "lua",       "deno", "bun",
    "tclsh",  "expect", "pypy", "guile", "R",      "Rscript", "osascript", "pwsh"};

// ---- Shells -----------------------------------------------------------------------------------

static bool is_printed(const struct sw_word *w)
{
    return w->vars && strpbrk(w->vars, "(<");
}

// A text that a shell will read; holes in it are unknown, and may be anything.
// `printed`: what is unknown comes from a command.
static void judge_shell_text(struct guard_judge *j, const char *text, bool printed)
{
    char *script;

    if (!strchr(text, SW_HOLE)) {
        guard_judge_text(j, text, strlen(text));
        return;
    }
    guard_say(j, GUARD_ASK, "a shell's text that is not written out");
    if (text[0] == SW_HOLE && text[strspn(text, "\x01 ")] == '\0' && printed)
        guard_say(j, GUARD_DENY, "a shell that runs what another command prints");
    script = guard_unhole(text);
    if (script)
        guard_judge_text(j, script, strlen(script));
    free(script);
}

// A shell that reads its commands from its input.
static void judge_shell_input(struct guard_judge *j, const struct guard_call *call)
{
    for (size_t i = 0; i < call->command->nredirects; i++) {
        const struct sw_redirect *r = &call->command->redirects[i];

        if (r->kind == SW_HEREDOC || r->kind == SW_HERESTRING) {
            judge_shell_text(j, r->target.text, is_printed(&r->target));
            return;
        }
    }
    if (call->command->piped_in)
        guard_say(j, GUARD_DENY, "a shell that runs what a pipe brings: write the commands out");
    else
        guard_say(j, GUARD_ASK, "a shell that reads its commands from elsewhere");
}

static void judge_shell(struct guard_judge *j, const struct guard_call *call)
{
    bool text = false, input = false;
    size_t i = 1;

    for (; i < call->n; i++) {
        const char *w = call->w[i].text;

        if (!sw_literal(&call->w[i]))
            break;
        if (strcmp(w, "--") == 0) {
            i++;
            break;
        }
        if (strcmp(w, "--rcfile") == 0 || strcmp(w, "--init-file") == 0) {
            guard_say(j, GUARD_ASK, "a shell with a start file of its own");
            i++;
        } else if ((w[0] == '-' || w[0] == '+') && w[1]) {
            bool cluster = w[1] != '-';

            text |= cluster && w[0] == '-' && strchr(w, 'c');
            input |= cluster && w[0] == '-' && strchr(w, 's');
            if (!cluster && strcmp(w, "--norc") != 0 && strcmp(w, "--noprofile") != 0 &&
                strcmp(w, "--login") != 0 && strcmp(w, "--posix") != 0)
                guard_say(j, GUARD_ASK, "a shell with an option that the guard does not know");
            if (cluster && w[strspn(w, "-+celiuxos")] != '\0')
                guard_say(j, GUARD_ASK, "a shell with an option that the guard does not know");
            i += cluster && (w[strlen(w) - 1] == 'o' || w[strlen(w) - 1] == 'O');
        } else {
            break;
        }
    }
    if (text && i < call->n) {
        if (call->w[i].splits)
            guard_say(j, GUARD_ASK, "a shell's text that is not written out");
        judge_shell_text(j, call->w[i].text, is_printed(&call->w[i]));
        guard_scan_arguments(j, call); // what the text may take as $0, $1, ...
    } else if (input || i >= call->n || strcmp(call->w[i].text, "-") == 0 ||
               strcmp(call->w[i].text, "/dev/stdin") == 0) {
        judge_shell_input(j, call);
    } else if (is_printed(&call->w[i])) {
        guard_say(j, GUARD_DENY, "a shell that runs what another command prints");
    } else {
        guard_read_path(j, &call->w[i]);
        guard_say(j, GUARD_ASK, "a script that the guard does not read");
    }
}

// The words joined by spaces, from the given one on. Caller frees.
static char *join(const struct guard_call *call, size_t from)
{
    size_t size = 1, n = 0;
    char *out;

    for (size_t i = from; i < call->n; i++)
        size += strlen(call->w[i].text) + 1;
    out = malloc(size);
    if (!out)
        return NULL;
    for (size_t i = from; i < call->n; i++) {
        size_t len = strlen(call->w[i].text);

        memcpy(out + n, call->w[i].text, len);
        n += len;
        out[n++] = ' ';
    }
    out[n] = '\0';
    return out;
}

static void judge_joined(struct guard_judge *j, const struct guard_call *call, size_t from)
{
    char *text = join(call, from);

    if (text)
        judge_shell_text(j, text, call->n == from + 1 && is_printed(&call->w[from]));
    else
        guard_say(j, GUARD_ASK, "out of memory");
    free(text);
}

// ---- Other interpreters -----------------------------------------------------------------------

// Code in another language: its string literals are read as commands, each for itself and all in a
// row as the words of one (an argument list).
void guard_scan_code(struct guard_judge *j, const char *code)
{
    size_t len = strlen(code), n = 0;
    char *row = malloc(len + 2);

    if (!row)
        return;
    for (const char *at = code; *at; at++) {
        const char *end;

        if (*at != '"' && *at != '\'' && *at != '`')
            continue;
        for (end = at + 1; *end && *end != *at; end++)
            end += end[0] == '\\' && end[1];
        guard_scan_text(j, at + 1, (size_t)(end - at - 1));
        memcpy(row + n, at + 1, (size_t)(end - at - 1));
        n += (size_t)(end - at - 1);
        row[n++] = ' ';
        if (!*end)
            break;
        at = end;
    }
    guard_scan_text(j, row, n);
    guard_scan_text(j, code, len);
    free(row);
}

static void judge_interpreter(struct guard_judge *j, const struct guard_call *call,
                              const char *name)
{
    guard_say(j, GUARD_ASK, "%.20s may do anything", name);
    if (call->command->piped_in && (call->n == 1 || strcmp(call->w[1].text, "-") == 0))
        guard_say(j, GUARD_DENY, "an interpreter that runs what a pipe brings");
    for (size_t i = 1; i < call->n; i++) {
        char *code = guard_unhole(call->w[i].text);

        if (code)
            guard_scan_code(j, code);
        free(code);
    }
    for (size_t i = 0; i < call->command->nredirects; i++)
        if (call->command->redirects[i].kind == SW_HEREDOC ||
            call->command->redirects[i].kind == SW_HERESTRING)
            guard_scan_code(j, call->command->redirects[i].target.text);
}

// ---- Wrappers ---------------------------------------------------------------------------------

static bool lists(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = list; *at;) {
        size_t n = strcspn(at, " ");

        if (n == len && memcmp(at, name, n) == 0)
            return true;
        at += n + (at[n] == ' ');
    }
    return false;
}

// Skips the wrapper's own options. Returns the index of the first word behind them; *ret_replace is
// xargs' replacement string.
static size_t skip_options(struct guard_judge *j, const struct wrapper *x,
                           const struct guard_call *call, const char **ret_replace)
{
    size_t i = 1;

    for (; i < call->n; i++) {
        const char *w = call->w[i].text;
        size_t last = strlen(w) - (*w != '\0');
        const char *value;

        if (w[0] != '-' || strcmp(w, "-") == 0) {
            if (strcmp(w, "-") == 0 && strcmp(x->name, "env") == 0)
                continue;
            break;
        }
        if (!sw_literal(&call->w[i]))
            guard_say(j, GUARD_ASK, "%s: an option that is not written out", x->name);
        if (strcmp(w, "--") == 0)
            return i + 1;
        if (w[1] == '-') {
            const char *equals = strchr(w, '=');

            value = equals ? equals + 1 : NULL;
            if (!equals && lists(x->long_values, w + 2) && i + 1 < call->n)
                value = call->w[++i].text;
            if (strncmp(w, "--split", 7) == 0 || strncmp(w, "--command", 9) == 0)
                judge_shell_text(j, value ? value : "", false);
            continue;
        }
        value = w + 2;
        if (strcspn(w + 1, x->values) == last - 1 && strcmp(w, "-i") != 0 && i + 1 < call->n)
            value = call->w[++i].text;
        if (strcmp(x->name, "xargs") == 0 && (w[1] == 'I' || w[1] == 'i'))
            *ret_replace = *value ? value : "{}";
        if (strcmp(x->name, "env") == 0 && strchr(w, 'S')) {
            guard_say(j, GUARD_ASK, "env -S");
            judge_joined(j, call, i);
        }
        if (strcmp(x->name, "time") == 0 && strchr(w, 'o'))
            guard_say(j, GUARD_ASK, "writing a file");
        if ((strcmp(x->name, "script") == 0 || strcmp(x->name, "flock") == 0) && strchr(w, 'c'))
            guard_scan_text(j, value, strlen(value));
    }
    return i;
}

static size_t skip_assignments(struct guard_judge *j, const struct guard_call *call, size_t i)
{
    for (; i < call->n && strchr(call->w[i].text, '=') && call->w[i].text[0] != '='; i++) {
        struct sw_command c = {.assigns = &call->w[i], .nassigns = 1};

        guard_judge_assigns(j, &c);
    }
    return i;
}

// The command with what xargs puts into it: a hole that may be any number of words at the end, or
// one in place of each replacement string.
static struct sw_word *with_holes(const struct guard_call *call, size_t from, const char *replace,
                                  size_t *ret_n)
{
    static const struct sw_word hole = {.text = "\x01", .vars = "( ", .splits = true};
    static const struct sw_word one = {.text = "\x01", .vars = "( "};
    size_t n = call->n - from;
    struct sw_word *words = malloc((n + 1) * sizeof(*words));

    if (!words)
        return NULL;
    memcpy(words, call->w + from, n * sizeof(*words));
    for (size_t i = 0; replace && i < n; i++)
        if (*replace && strstr(words[i].text, replace))
            words[i] = one;
    if (!replace)
        words[n++] = hole;
    *ret_n = n;
    return words;
}

static void judge_wrapper(struct guard_judge *j, const struct wrapper *x,
                          const struct guard_call *call)
{
    struct guard_call inner = *call;
    const char *replace = NULL;
    struct sw_word *words = NULL;
    size_t i = skip_options(j, x, call, &replace);

    if (x->mode & ASKS)
        guard_say(j, GUARD_ASK, "%s runs another program", x->name);
    if (x->mode & ASSIGNS)
        i = skip_assignments(j, call, i);
    for (unsigned k = 0; k < x->skip && i < call->n; k++, i++)
        if (!sw_literal(&call->w[i]))
            guard_say(j, GUARD_ASK, "%s: an argument that is not written out", x->name);
    if (i >= call->n) {
        if (strcmp(x->name, "env") == 0)
            guard_say(j, GUARD_DENY, "printing the environment is forbidden");
        return;
    }
    if (x->mode & JOINS)
        judge_joined(j, call, i);
    inner.w += i;
    inner.n -= i;
    inner.repeated |= (x->mode & REPEATS) != 0;
    if (x->mode & APPENDS) {
        words = with_holes(call, i, replace, &inner.n);
        inner.w = words;
    }
    if (x->mode & JOINS)
        guard_scan_call(j, &inner);
    else if (inner.w)
        guard_judge_call(j, &inner);
    if (x->mode & ASKS)
        guard_scan_arguments(j, call);
    free(words);
}

// command NAME runs it, command -v NAME only looks it up.
static void judge_command_builtin(struct guard_judge *j, const struct guard_call *call)
{
    struct guard_call inner = *call;
    size_t i = 1;

    for (; i < call->n && call->w[i].text[0] == '-'; i++)
        if (strcmp(call->w[i].text, "-v") == 0 || strcmp(call->w[i].text, "-V") == 0)
            return;
    inner.w += i;
    inner.n -= i;
    guard_judge_call(j, &inner);
}

bool guard_wrapper(struct guard_judge *j, const struct guard_call *call, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        if (strcmp(shells[i], name) == 0) {
            judge_shell(j, call);
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(interpreters); i++) {
        size_t len = strlen(interpreters[i]);

        if (strncmp(name, interpreters[i], len) == 0 &&
            name[len + strspn(name + len, "0123456789.")] == '\0') {
            judge_interpreter(j, call, name);
            return true;
        }
    }
    if (strcmp(name, "eval") == 0) {
        judge_joined(j, call, 1);
        return true;
    }
    if (strcmp(name, ".") == 0 || strcmp(name, "source") == 0) {
        guard_say(j, GUARD_ASK, "a script that the guard does not read");
        if (call->n > 1 && (call->command->piped_in || is_printed(&call->w[1])))
            guard_say(j, GUARD_DENY, "a shell that runs what another command prints");
        else if (call->n > 1)
            guard_read_path(j, &call->w[1]);
        return true;
    }
    if (strcmp(name, "command") == 0) {
        judge_command_builtin(j, call);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(wrappers); i++) {
        if (strcmp(wrappers[i].name, name) == 0) {
            judge_wrapper(j, &wrappers[i], call);
            return true;
        }
    }
    return false;
}
