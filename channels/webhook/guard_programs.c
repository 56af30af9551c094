// Builtins of the shell and other programs whose arguments need a reader of their own.

#include "channels/webhook/guard_policy.h"

#include <ctype.h>

// cd: what follows is judged from there and from here.
void guard_cd(struct guard_judge *j, const struct guard_call *call)
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
void guard_set(struct guard_judge *j, const struct guard_call *call)
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
void guard_declare(struct guard_judge *j, const struct guard_call *call)
{
    guard_say(j, GUARD_ASK, "changing the shell's variables");
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
void guard_read(struct guard_judge *j, const struct guard_call *call)
{
    for (size_t i = 1; i < call->n; i++) {
        const char *text = call->w[i].text;

        if (strcmp(text, "-r") == 0)
            continue;
        if (strstr(text, "path")) // zsh's names for PATH and the like
            guard_say(j, GUARD_ASK, "read into a variable of the shell's own");
        for (const char *c = text; *c; c++)
            if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '_')
                guard_say(j, GUARD_ASK, "read into anything but plain lower-case names");
    }
}

// find: listing only.
void guard_find(struct guard_judge *j, const struct guard_call *call)
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
void guard_openssl(struct guard_judge *j, const struct guard_call *call)
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
void guard_own_programs(struct guard_judge *j, const struct guard_call *call)
{
    static const char *const reading[] = {"briefing",  "history", "incidents",  "proposals",
                                          "export",    "audit",   "postmortem", "doctor",
                                          "--version", "--help"};

    for (size_t i = 1; i < call->n; i++)
        if (!sw_literal(&call->w[i]))
            guard_say(j, GUARD_ASK, "an argument that is not written out");
    for (size_t k = 0; call->n > 1 && k < ARRAY_LEN(reading); k++)
        if (strcmp(call->w[1].text, reading[k]) == 0)
            return;
    guard_say(j, GUARD_ASK, "the channels' programs but for reading");
}
