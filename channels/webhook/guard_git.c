// git: reading the history. Pushing is forbidden, under whatever name.

#include "channels/webhook/guard_policy.h"

#include <stdio.h>
#include <strings.h>

enum git_rule { GIT_READS, GIT_LISTS, GIT_FORBIDDEN };

// GIT_LISTS: reads as long as it has no argument but the options named here.
static const struct {
    const char *verb;
    enum git_rule rule;
    const char *options;
} verbs[] = {
    {"status", GIT_READS, ""},
    {"log", GIT_READS, ""},
    {"show", GIT_READS, ""},
    {"diff", GIT_READS, ""},
    {"blame", GIT_READS, ""},
    {"annotate", GIT_READS, ""},
    {"shortlog", GIT_READS, ""},
    {"describe", GIT_READS, ""},
    {"rev-parse", GIT_READS, ""},
    {"rev-list", GIT_READS, ""},
    {"ls-files", GIT_READS, ""},
    {"ls-tree", GIT_READS, ""},
    {"cat-file", GIT_READS, ""},
    {"diff-tree", GIT_READS, ""},
    {"merge-base", GIT_READS, ""},
    {"name-rev", GIT_READS, ""},
    {"show-ref", GIT_READS, ""},
    {"whatchanged", GIT_READS, ""},
    {"cherry", GIT_READS, ""},
    {"count-objects", GIT_READS, ""},
    {"grep", GIT_READS, ""},
    {"version", GIT_READS, ""},
    {"branch", GIT_LISTS, " -a -r -v -vv --all --remotes --list --show-current -l "},
    {"tag", GIT_LISTS, " -l --list -n "},
    {"remote", GIT_LISTS, " show "},
    {"stash", GIT_LISTS, " list "},
    {"reflog", GIT_LISTS, " show "},
    {"worktree", GIT_LISTS, " list "},
    {"push", GIT_FORBIDDEN, ""},
    {"send-pack", GIT_FORBIDDEN, ""},
    {"http-push", GIT_FORBIDDEN, ""},
    {"receive-pack", GIT_FORBIDDEN, ""},
    {"remote-https", GIT_FORBIDDEN, ""},
    {"remote-http", GIT_FORBIDDEN, ""},
    {"remote-ssh", GIT_FORBIDDEN, ""},
    {"remote-ext", GIT_FORBIDDEN, ""},
    {"send-email", GIT_FORBIDDEN, ""},
    {"credential", GIT_FORBIDDEN, ""},
    {"credential-store", GIT_FORBIDDEN, ""},
    {"credential-cache", GIT_FORBIDDEN, ""},
};

// Options of the reading verbs that write, run a program or look outside.
static const char *const asking[] = {
    "--output",   "--ext-diff", "--textconv",    "--open-files-in-pager", "-O",        "--no-index",
    "--contents", "--exec",     "--upload-pack", "--recurse-submodules",  "--paginate"};

// Words of verbs that hide a push in their arguments: subtree push, lfs push, svn dcommit, ...
static const char *const pushes[] = {"push", "dcommit", "submit", "send-pack"};

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

// git's options in front of the verb. Returns the verb's index.
static size_t skip_global(struct guard_judge *j, const struct guard_call *call)
{
    static const char *const harmless[] = {"--no-pager",
                                           "-P",
                                           "--version",
                                           "--help",
                                           "--no-replace-objects",
                                           "--literal-pathspecs",
                                           "--no-optional-locks",
                                           "--bare"};
    static const char *const valued[] = {
        "-C",          "-c",           "--git-dir",      "--work-tree",  "--namespace",
        "--exec-path", "--config-env", "--super-prefix", "--attr-source"};
    size_t i = 1;

    for (; i < call->n && call->w[i].text[0] == '-'; i++) {
        const char *w = call->w[i].text;
        bool known = false, value = false;

        for (size_t k = 0; k < ARRAY_LEN(harmless); k++)
            known |= strcmp(w, harmless[k]) == 0;
        for (size_t k = 0; k < ARRAY_LEN(valued); k++)
            value |= strcmp(w, valued[k]) == 0;
        if (starts(w, "-c") || starts(w, "--config-env")) {
            const char *setting = value && i + 1 < call->n ? call->w[i + 1].text : w;

            guard_say(j, GUARD_ASK, "git -c may run a program");
            if (strcasestr(setting, "alias.") || strcasestr(setting, "credential"))
                guard_say(j, GUARD_DENY, "git -c with an alias or a credential");
        } else if (!known && !(value && strcmp(w, "-C") == 0)) {
            guard_say(j, GUARD_ASK, "git with an option that the guard does not know");
        }
        if (value && i + 1 < call->n) {
            i++;
            if (strcmp(w, "-C") == 0)
                guard_read_path(j, &call->w[i]);
        }
    }
    return i;
}

static void judge_reading(struct guard_judge *j, const struct guard_call *call, size_t verb)
{
    bool shows = strcmp(call->w[verb].text, "show") == 0;

    for (size_t i = verb + 1; i < call->n; i++) {
        const struct sw_word *w = &call->w[i];
        size_t len = strcspn(w->text, "=");

        for (size_t k = 0; k < ARRAY_LEN(asking); k++)
            // An abbreviation of a long option counts, and -Oless.
            if ((len > 3 && starts(w->text, "--") && strncmp(asking[k], w->text, len) == 0) ||
                (asking[k][1] != '-' && starts(w->text, asking[k])))
                guard_say(j, GUARD_ASK, "git %s: an option that writes, runs or looks outside",
                          call->w[verb].text);
        if (!sw_literal(w)) {
            guard_say(j, GUARD_ASK, "git: an argument that is not written out");
        } else if (w->text[0] != '-' && (shows || strpbrk(w->text, "/:."))) {
            // REVISION:PATH is a path too, and so is what --no-index reads.
            guard_read_path(j, w);
        }
    }
}

static void judge_listing(struct guard_judge *j, const struct guard_call *call, size_t verb,
                          const char *options)
{
    char key[48];

    for (size_t i = verb + 1; i < call->n; i++) {
        if ((size_t)snprintf(key, sizeof(key), " %s ", call->w[i].text) < sizeof(key) &&
            strstr(options, key))
            continue;
        guard_say(j, GUARD_ASK, "git %s but for listing", call->w[verb].text);
    }
}

void guard_git(struct guard_judge *j, const struct guard_call *call)
{
    size_t i = skip_global(j, call);
    const char *verb;

    if (i >= call->n)
        return;
    verb = call->w[i].text;
    if (!sw_literal(&call->w[i])) {
        guard_say(j, GUARD_DENY, "git: write the verb out");
        return;
    }
    for (size_t k = 0; k < ARRAY_LEN(verbs); k++) {
        if (strcmp(verbs[k].verb, verb) != 0)
            continue;
        if (verbs[k].rule == GIT_FORBIDDEN)
            guard_say(j, GUARD_DENY, "git %s is forbidden", verb);
        else if (verbs[k].rule == GIT_READS)
            judge_reading(j, call, i);
        else
            judge_listing(j, call, i, verbs[k].options);
        return;
    }
    guard_say(j, GUARD_ASK, "git with a verb that changes something");
    for (size_t a = i + 1; a < call->n; a++)
        if (strcmp(verb, "config") == 0 && strncasecmp(call->w[a].text, "alias.", 6) == 0)
            guard_say(j, GUARD_DENY, "git config with an alias");
    for (size_t a = i + 1; a < call->n; a++)
        for (size_t k = 0; k < ARRAY_LEN(pushes); k++)
            if (strcmp(call->w[a].text, pushes[k]) == 0 && strcmp(verb, "stash") != 0)
                guard_say(j, GUARD_DENY, "git push is forbidden");
    // submodule foreach, rebase --exec, bisect run, ...
    guard_scan_arguments(j, call);
}
