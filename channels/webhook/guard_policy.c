#include "channels/webhook/guard_policy.h"

#include "common/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

// ---- The policy, program by program ----------------------------------------------------------
//
//   allow   reading (guard_tools.c; the reading verbs of the readers below)
//           the four safe operations: restart of one deployment, deletion of one pod, end or retry
//           of one workflow, refresh of one application (guard_act)
//   deny    what `forbidden` names here and in the readers, however it is spelled
//   ask     everything else, and whatever is not certain
//
// A name that is not in a table asks. The worst verdict of all commands of a line is the line's.
static const struct {
    const char *name;
    void (*reader)(struct guard_judge *, const struct guard_call *); // NULL: forbidden
    const char *forbidden;
} programs[] = {
    {"kubectl", guard_kubectl, NULL},
    {"argocd", guard_argocd, NULL},
    {"argo", guard_argo, NULL},
    {"helm", guard_helm, NULL},
    {"git", guard_git, NULL},
    {"hub", guard_git, NULL},
    {"curl", guard_curl, NULL},
    {"psql", NULL, "a database operation"},
    {"pg_dump", NULL, "a database operation"},
    {"pg_dumpall", NULL, "a database operation"},
    {"pg_restore", NULL, "a database operation"},
    {"pg_basebackup", NULL, "a database operation"},
    {"pg_ctl", NULL, "a database operation"},
    {"pg_resetwal", NULL, "a database operation"},
    {"pg_rewind", NULL, "a database operation"},
    {"pgcli", NULL, "a database operation"},
    {"pgbench", NULL, "a database operation"},
    {"patronictl", NULL, "a database operation"},
    {"repmgr", NULL, "a database operation"},
    {"createdb", NULL, "a database operation"},
    {"dropdb", NULL, "a database operation"},
    {"createuser", NULL, "a database operation"},
    {"dropuser", NULL, "a database operation"},
    {"vacuumdb", NULL, "a database operation"},
    {"reindexdb", NULL, "a database operation"},
    {"clusterdb", NULL, "a database operation"},
    {"usql", NULL, "a database operation"},
    {"mysql", NULL, "a database operation"},
    {"mysqldump", NULL, "a database operation"},
    {"mysqladmin", NULL, "a database operation"},
    {"mariadb", NULL, "a database operation"},
    {"mariadb-dump", NULL, "a database operation"},
    {"mongo", NULL, "a database operation"},
    {"mongosh", NULL, "a database operation"},
    {"mongodump", NULL, "a database operation"},
    {"redis-cli", NULL, "a database operation"},
    {"valkey-cli", NULL, "a database operation"},
    {"clickhouse", NULL, "a database operation"},
    {"clickhouse-client", NULL, "a database operation"},
    {"cqlsh", NULL, "a database operation"},
    {"influx", NULL, "a database operation"},
    {"etcdctl", NULL, "a database operation"},
    {"sqlite3", NULL, "a database operation"},
    {"sqlite", NULL, "a database operation"},
    {"printenv", NULL, "printing the environment"},
    {"gpg", NULL, "using a key ring"},
    {"pass", NULL, "reading a secret store"},
    {"vault", NULL, "reading a secret store"},
    {"sops", NULL, "reading a secret store"},
    {"kubeseal", NULL, "using a cluster's sealing key"},
    {"ssh-add", NULL, "using a key ring"},
    {"shred", NULL, "destroying data"},
    {"mkfs", NULL, "destroying data"},
    {"wipefs", NULL, "destroying data"},
};

// Variables that change what a command does or whom it speaks for. A trailing * is a prefix.
static const struct {
    const char *name;
    enum guard_verdict verdict;
} variables[] = {
    {"KUBECONFIG", GUARD_DENY}, {"KUBERC", GUARD_DENY},    {"KUBE*", GUARD_DENY},
    {"ARGOCD_*", GUARD_DENY},   {"ARGO_*", GUARD_DENY},    {"HELM_*", GUARD_DENY},
    {"SRE_*", GUARD_DENY},      {"WEBHOOK_*", GUARD_DENY}, {"SLACK_*", GUARD_DENY},
    {"GIT_*", GUARD_ASK},       {"PG*", GUARD_ASK},        {"PATH", GUARD_ASK},
    {"*path", GUARD_ASK},       {"LD_*", GUARD_ASK},       {"DYLD_*", GUARD_ASK},
    {"BASH*", GUARD_ASK},       {"ENV", GUARD_ASK},        {"IFS", GUARD_ASK},
    {"HOME", GUARD_ASK},        {"PWD", GUARD_ASK},        {"OLDPWD", GUARD_ASK},
    {"SHELL*", GUARD_ASK},      {"PS4", GUARD_ASK},        {"PROMPT_COMMAND", GUARD_ASK},
    {"*_proxy", GUARD_ASK},     {"*_PROXY", GUARD_ASK},    {"CURL_*", GUARD_ASK},
    {"SSL*", GUARD_ASK},        {"OPENSSL*", GUARD_ASK},   {"PYTHON*", GUARD_ASK},
    {"PERL*", GUARD_ASK},       {"RUBY*", GUARD_ASK},      {"NODE*", GUARD_ASK},
    {"XDG_*", GUARD_ASK},       {"*EDITOR", GUARD_ASK},    {"*PAGER", GUARD_ASK},
    {"LESS*", GUARD_ASK},       {"GLOBIGNORE", GUARD_ASK}, {"CDPATH", GUARD_ASK},
    {"TMPDIR", GUARD_ASK},      {"GREP_*", GUARD_ASK},     {"RIPGREP_*", GUARD_ASK},
    {"JQ_*", GUARD_ASK},        {"AWK*", GUARD_ASK},       {"ZDOTDIR", GUARD_ASK},
    {"CLAUDE*", GUARD_ASK},     {"ANTHROPIC*", GUARD_ASK}, {"AWS_*", GUARD_ASK},
    {"GOOGLE_*", GUARD_ASK},
};

// ---- The judge --------------------------------------------------------------------------------

void guard_say(struct guard_judge *j, enum guard_verdict v, const char *format, ...)
{
    va_list args;

    if (v < j->verdict || (v == j->verdict && j->reason[0]) || v == GUARD_ALLOW)
        return;
    j->verdict = v;
    va_start(args, format);
    vsnprintf(j->reason, sizeof(j->reason), format, args);
    va_end(args);
}

char *guard_unhole(const char *text)
{
    size_t len = strlen(text), n = 0;
    char *out = malloc(4 * len + 1);

    if (!out)
        return NULL;
    for (const char *c = text; *c; c++) {
        if (*c == SW_HOLE) {
            memcpy(out + n, "${_}", 4);
            n += 4;
        } else {
            out[n++] = *c;
        }
    }
    out[n] = '\0';
    return out;
}

static void forget_all_but_a_ban(struct guard_judge *j, const struct guard_judge *scan)
{
    j->steps = scan->steps;
    if (scan->verdict == GUARD_DENY)
        guard_say(j, GUARD_DENY, "%s", scan->reason);
}

void guard_scan_text(struct guard_judge *j, const char *text, size_t len)
{
    struct guard_judge scan = {.world = j->world, .depth = j->depth, .steps = j->steps};

    guard_judge_text(&scan, text, len);
    forget_all_but_a_ban(j, &scan);
}

void guard_scan_call(struct guard_judge *j, const struct guard_call *call)
{
    struct guard_judge scan = {.world = j->world, .depth = j->depth, .steps = j->steps};

    guard_judge_call(&scan, call);
    forget_all_but_a_ban(j, &scan);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool is_program(const char *name)
{
    static const char *const runners[] = {"sh",   "bash",    "dash", "zsh",   "ksh",  "ash",
                                          "env",  "xargs",   "eval", "sudo",  "doas", "timeout",
                                          "find", "busybox", "k",    "watch", "nohup"};

    for (size_t i = 0; i < ARRAY_LEN(programs); i++)
        if (strcmp(programs[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < ARRAY_LEN(runners); i++)
        if (strcmp(runners[i], name) == 0)
            return true;
    return false;
}

void guard_scan_arguments(struct guard_judge *j, const struct guard_call *call)
{
    for (size_t i = 1; i < call->n && j->steps < GUARD_MAX_STEPS; i++) {
        const char *text = call->w[i].text;
        struct guard_call rest = *call;

        if (strpbrk(text, " \t\n;|&")) {
            char *script = guard_unhole(text);

            if (script)
                guard_scan_text(j, script, strlen(script));
            free(script);
        }
        rest.w += i;
        rest.n -= i;
        if (is_program(base_name(text)))
            guard_scan_call(j, &rest);
    }
}

bool guard_names_secret(const char *vars)
{
    static const char *const parts[] = {"TOKEN",   "SECRET", "PASSW", "KEY",    "CRED",   "AUTH",
                                        "PRIVATE", "DSN",    "HMAC",  "COOKIE", "SESSION"};

    for (size_t i = 0; vars && i < ARRAY_LEN(parts); i++)
        if (strcasestr(vars, parts[i]))
            return true;
    return false;
}

// ---- One command ------------------------------------------------------------------------------

static bool is_standard_folder(const char *program)
{
    static const char *const folders[] = {"/bin/",      "/usr/bin/",       "/sbin/",
                                          "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/",
                                          "/snap/bin/"};
    size_t len = (size_t)(base_name(program) - program);

    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (strlen(folders[i]) == len && memcmp(folders[i], program, len) == 0)
            return true;
    return len == 0;
}

// A program whose name is not written out: is it forbidden under any name that matters?
static void judge_unnamed(struct guard_judge *j, const struct guard_call *call)
{
    static const char *const names[] = {"kubectl", "argocd", "argo", "helm", "git"};
    struct sw_word *words = malloc(call->n * sizeof(*words));

    guard_say(j, GUARD_ASK, "the program's name is not written out");
    if (!words)
        return;
    memcpy(words, call->w, call->n * sizeof(*words));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct guard_call named = *call;

        words[0] = (struct sw_word){.text = names[i]};
        named.w = words;
        guard_scan_call(j, &named);
    }
    free(words);
    guard_scan_arguments(j, call);
}

// kubectl under another name: its own plugins' executables, and what people call it.
static bool judge_kubectl_alias(struct guard_judge *j, const struct guard_call *call,
                                const char *name)
{
    static const char *const aliases[] = {"k", "kubecolor", "oc", "kc", "kctl", "k8s"};
    bool alias = strncmp(name, "kubectl", 7) == 0;

    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        alias |= strcmp(name, aliases[i]) == 0;
    if (!alias)
        return false;
    if (strstr(name, "secret") || strstr(name, "exec") || strstr(name, "shell"))
        guard_say(j, GUARD_DENY, "a kubectl plugin that reads secrets or runs commands");
    guard_say(j, GUARD_ASK, "kubectl under another name");
    guard_kubectl(j, call);
    return true;
}

// A program that is not known to do anything harmless with a secret's file.
static void judge_unknown(struct guard_judge *j, const struct guard_call *call, const char *name)
{
    guard_say(j, GUARD_ASK, "%.40s is not a program that the guard knows", name);
    for (size_t i = 1; i < call->n; i++) {
        const char *text = call->w[i].text, *equals = strchr(text, '=');

        text = equals ? equals + 1 : text;
        if (strpbrk(text, "/.~") && guard_path(j, text, call->w[i].glob) == PATH_SECRET)
            guard_say(j, GUARD_DENY, "it is forbidden to read secrets, keys and kubeconfigs");
    }
    guard_scan_arguments(j, call);
}

static void judge_named(struct guard_judge *j, const struct guard_call *call, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        if (strcmp(programs[i].name, name) != 0)
            continue;
        if (programs[i].reader)
            programs[i].reader(j, call);
        else if (call->n != 2 || (strcmp(call->w[1].text, "--version") != 0 &&
                                  strcmp(call->w[1].text, "--help") != 0))
            guard_say(j, GUARD_DENY, "%s: %s is forbidden", name, programs[i].forbidden);
        return;
    }
    if (judge_kubectl_alias(j, call, name) || guard_wrapper(j, call, name) ||
        guard_tool(j, call, name))
        return;
    judge_unknown(j, call, name);
}

void guard_judge_call(struct guard_judge *j, const struct guard_call *call)
{
    char lower[48];
    const char *text, *name;
    size_t len;

    if (call->n == 0)
        return;
    j->steps += 20 + 5 * (unsigned)call->n;
    if (j->steps > GUARD_MAX_STEPS || j->depth >= GUARD_MAX_DEPTH) {
        guard_say(j, GUARD_ASK, "too involved to judge");
        return;
    }
    text = call->w[0].text;
    j->depth++;
    if (!sw_literal(&call->w[0])) {
        judge_unnamed(j, call);
    } else {
        name = base_name(text);
        len = strlen(name);
        if (len > 4 && strcasecmp(name + len - 4, ".exe") == 0)
            len -= 4;
        snprintf(lower, sizeof(lower), "%.*s", (int)(len < sizeof(lower) ? len : sizeof(lower) - 1),
                 name);
        for (char *c = lower; *c; c++)
            *c = isprint((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '?';
        if (strcmp(lower, name) != 0 || !is_standard_folder(text))
            guard_say(j, GUARD_ASK, "a program in an unusual place or spelling");
        judge_named(j, call, lower);
    }
    j->depth--;
}

// ---- Around the words: assignments, redirections, tests ---------------------------------------

// `name` is followed by its value, which some of these variables run.
static void judge_variable(struct guard_judge *j, const char *name, size_t len)
{
    const char *value = name[len] ? strchr(name + len, '=') : NULL;

    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        if (!glob_match(str_of(variables[i].name), (struct str){name, len}))
            continue;
        if (value && !strchr(value, SW_HOLE))
            guard_scan_text(j, value + 1, strlen(value + 1));
        guard_say(j, variables[i].verdict, "%s the variable %s",
                  variables[i].verdict == GUARD_DENY ? "it is forbidden to set" : "setting",
                  variables[i].name);
        return;
    }
}

void guard_judge_assigns(struct guard_judge *j, const struct sw_command *c)
{
    for (size_t i = 0; i < c->nassigns; i++)
        judge_variable(j, c->assigns[i].text, strcspn(c->assigns[i].text, "[+="));
}

static void judge_redirect(struct guard_judge *j, const struct sw_redirect *r)
{
    static const char *const harmless[] = {"/dev/null", "/dev/stdout", "/dev/stderr"};
    const char *target = r->target.text;

    if (r->kind == SW_HEREDOC || r->kind == SW_HERESTRING || r->kind == SW_DUP)
        return;
    if (strstr(target, "/dev/tcp/") || strstr(target, "/dev/udp/")) {
        guard_say(j, GUARD_DENY, "a network connection of the shell");
        return;
    }
    if (r->kind == SW_IN) {
        guard_read_path(j, &r->target);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        if (strcmp(target, harmless[i]) == 0)
            return;
    switch (guard_path(j, target, r->target.splits)) {
    case PATH_SECRET:
    case PATH_OWN:
        guard_say(j, GUARD_DENY, "writing a file that guards the agent or holds secrets");
        break;
    default:
        guard_say(j, GUARD_ASK, "writing a file");
    }
}

// [[ ]]: what compares numbers or looks for a variable evaluates text.
static void judge_test(struct guard_judge *j, const struct sw_command *c)
{
    static const char *const evaluating[] = {"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v"};

    for (size_t i = 0; i < c->nwords; i++)
        for (size_t k = 0; k < ARRAY_LEN(evaluating); k++)
            if (strcmp(c->words[i].text, evaluating[k]) == 0)
                guard_say(j, GUARD_ASK, "[[ %s ]] evaluates its operands", evaluating[k]);
}

// The output becomes a number's text, and the shell would run commands in it.
static void judge_arith(struct guard_judge *j, const struct sw_command *c)
{
    const char *format = c->nwords > 1 ? c->words[c->nwords - 1].text : "";

    if (c->nwords < 2 || strcmp(c->words[0].text, "date") != 0 || format[0] != '+' ||
        format[strspn(format, "+%sN0123456789")] != '\0')
        guard_say(j, GUARD_ASK, "a command's output as an arithmetic expression");
}

static void judge_command(struct guard_judge *j, const struct sw_command *c)
{
    struct guard_call call = {.w = c->words, .n = c->nwords, .command = c};

    guard_judge_assigns(j, c);
    for (size_t i = 0; i < c->nredirects; i++)
        judge_redirect(j, &c->redirects[i]);
    if (c->in_arith)
        judge_arith(j, c);
    if (c->kind == SW_TEST)
        judge_test(j, c);
    else if (c->kind == SW_FOR && c->nwords > 0)
        judge_variable(j, c->words[0].text, strlen(c->words[0].text));
    if (c->kind == SW_SIMPLE)
        guard_judge_call(j, &call);
    else
        guard_scan_arguments(j, &call); // zsh takes `for x in a { command }`
}

void guard_judge_text(struct guard_judge *j, const char *text, size_t len)
{
    struct sw_script *script = NULL;
    int r;

    j->steps += 200 + (len > SW_MAX_BYTES ? 0 : (unsigned)len);
    if (j->steps > GUARD_MAX_STEPS || j->depth >= GUARD_MAX_DEPTH) {
        guard_say(j, GUARD_ASK, "too involved to judge");
        return;
    }
    r = sw_parse(text, len, &script);
    if (r < 0) {
        guard_say(j, GUARD_ASK,
                  r == -E2BIG ? "too long or too deep to judge"
                              : "not to be read as a shell's text");
        return;
    }
    j->depth++;
    for (size_t i = 0; i < script->ncommands; i++)
        judge_command(j, &script->commands[i]);
    j->depth--;
    if (!script->certain)
        guard_say(j, GUARD_ASK, "not certain how a shell reads this: %s", script->why);
    sw_free(script);
}
