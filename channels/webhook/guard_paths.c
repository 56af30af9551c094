// Which files hold secrets, and which ones guard the agent. Names decide; a path that exists is
// also looked at behind its symbolic links.

#include "channels/webhook/guard_policy.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

// A component of a path anywhere in it. What stands here is never read.
static const char *const secret_names[] = {
    // folders
    ".kube",
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".gcloud",
    ".argocd",
    ".docker",
    ".password-store",
    "serviceaccount",
    "secrets",
    // files
    "kubeconfig",
    "*.kubeconfig",
    "kubeconfig.*",
    "*kubeconfig*",
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    "config.env*",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".npmrc",
    ".pypirc",
    ".vault-token",
    ".curlrc",
    ".s3cfg",
    ".boto",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keytab",
    "*.gpg",
    "*.age",
    "credentials",
    "credentials.*",
    ".credentials.json",
    ".claude.json*",
    "incidents.db*",
    ".*_history",
    "shadow",
    "shadow-",
    "gshadow",
    "gshadow-",
    "sudoers",
    "*.tfstate*",
    "*.tfvars",
    "secret",
    "secret.*",
    "secrets.*",
    "*-secret.*",
    "*-secrets.*",
    "*_secret.*",
    "*_secrets.*",
    "*.sqlite",
    "token",
    "*.token",
    "environ",
    "kcore",
    "auth.json",
    "rclone.conf",
    ".mc",
};

// Two components in a row, for names that are harmless elsewhere.
static const struct {
    const char *folder, *name;
} secret_pairs[] = {
    {".config", "argocd"},        {".config", "gh"},   {".config", "glab-cli"},
    {".config", "gcloud"},        {".config", "helm"}, {".config", "doctl"},
    {"kubernetes", "admin.conf"}, {"pki", "*"},        {"etc", "kubernetes"},
    {"ssl", "private"},           {"rancher", "k3s"},
};

// What tells the agent and its guard what to do: read freely, never written.
static const char *const own_names[] = {".claude",
                                        "CLAUDE.md",
                                        "CLAUDE.local.md",
                                        "AGENTS.md",
                                        "playbooks",
                                        ".mcp.json",
                                        ".git",
                                        "start",
                                        "webhook-channel",
                                        "slack-channel",
                                        "managed-settings.json",
                                        ".bashrc",
                                        ".bash_profile",
                                        ".profile",
                                        ".zshrc",
                                        ".gitconfig",
                                        "authorized_keys",
                                        "crontab",
                                        "cron.d"};

// Folders and files that hold secrets wherever a search starts above them, under the home folder.
static const char *const home_secrets[] = {
    ".kube",   ".ssh",    ".aws",    ".claude.json",     ".netrc",       ".pgpass",
    ".config", ".docker", ".argocd", ".git-credentials", ".bash_history"};

struct components {
    const char *p;
    size_t n;
};

static bool next_component(const char **path, struct components *c)
{
    *path += strspn(*path, "/:");
    c->p = *path;
    c->n = strcspn(*path, "/:");
    *path += c->n;
    return c->n > 0;
}

// Copies the component for fnmatch, a hole as *.
static void component_text(const struct components *c, char out[static NAME_MAX + 1])
{
    size_t n = c->n < NAME_MAX ? c->n : NAME_MAX;

    memcpy(out, c->p, n);
    out[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if (out[i] == SW_HOLE)
            out[i] = '*';
}

// True if the component, maybe a pattern itself, may be the name, maybe a pattern too.
static bool may_be(const char *component, bool pattern, const char *name)
{
    char plain[64];
    size_t n = 0;

    if (fnmatch(name, component, 0) == 0)
        return true;
    if (!pattern)
        return false;
    for (const char *c = name; *c && n + 1 < sizeof(plain); c++)
        if (*c != '*')
            plain[n++] = *c;
    plain[n] = '\0';
    return n > 0 && fnmatch(component, plain, 0) == 0;
}

static enum guard_path worse(enum guard_path a, enum guard_path b)
{
    return a > b ? a : b;
}

static enum guard_path judge_component(const char *name, bool pattern, const char *before)
{
    static const char *const examples[] = {"secret.yaml", "secrets.yaml", "secret.yml",
                                           "secret.json", "secrets.json", "db-secret.yaml"};
    enum guard_path found = PATH_PLAIN;
    size_t literal = strlen(name);

    for (const char *c = name; *c; c++)
        literal -= strchr("*?[]", *c) != NULL;
    for (size_t i = 0; i < ARRAY_LEN(secret_names); i++)
        if (may_be(name, pattern, secret_names[i]))
            // A lone * meets everything; what is spelled around a pattern meets it on purpose.
            found = worse(found, pattern && literal == 0 ? PATH_DOUBT : PATH_SECRET);
    for (size_t i = 0; pattern && i < ARRAY_LEN(examples); i++)
        if (fnmatch(name, examples[i], FNM_PERIOD) == 0)
            found = worse(found, PATH_DOUBT);
    for (size_t i = 0; i < ARRAY_LEN(secret_pairs); i++)
        if (before[0] && fnmatch(secret_pairs[i].folder, before, 0) == 0 &&
            may_be(name, pattern, secret_pairs[i].name))
            found = PATH_SECRET;
    for (size_t i = 0; i < ARRAY_LEN(own_names); i++)
        if (may_be(name, pattern, own_names[i]))
            found = worse(found, PATH_OWN);
    return found;
}

static enum guard_path judge_components(const char *path, bool pattern)
{
    enum guard_path found = PATH_PLAIN;
    char name[NAME_MAX + 1], before[NAME_MAX + 1] = "";
    bool proc = strncmp(path, "/proc/", 6) == 0 || strstr(path, "/../proc/");
    struct components c;

    while (next_component(&path, &c)) {
        bool holds = memchr(c.p, SW_HOLE, c.n);

        component_text(&c, name);
        if (holds)
            found = worse(found, PATH_DOUBT);
        found = worse(found, judge_component(name, pattern || holds, before));
        if (proc && (strcmp(name, "mem") == 0 || strcmp(name, "maps") == 0 ||
                     strcmp(name, "fd") == 0 || strcmp(name, "root") == 0))
            found = PATH_SECRET;
        memcpy(before, name, sizeof(before));
    }
    return found;
}

// Absolute, without . and .. (lexically). False if it does not fit.
static bool absolute(const char *home, const char *cwd, const char *path,
                     char out[static PATH_BYTES])
{
    char joined[PATH_BYTES];
    const char *rest = joined;
    struct components c;
    size_t n = 0;
    int len;

    if (path[0] == '~' && (path[1] == '/' || path[1] == '\0'))
        len = snprintf(joined, sizeof(joined), "%s/%s", home, path + 1);
    else if (path[0] == '/')
        len = snprintf(joined, sizeof(joined), "%s", path);
    else
        len = snprintf(joined, sizeof(joined), "%s/%s", cwd, path);
    if (len < 0 || (size_t)len >= sizeof(joined))
        return false;
    while (*rest) {
        rest += strspn(rest, "/");
        c.p = rest;
        c.n = strcspn(rest, "/");
        rest += c.n;
        if (c.n == 0 || (c.n == 1 && c.p[0] == '.'))
            continue;
        if (c.n == 2 && c.p[0] == '.' && c.p[1] == '.') {
            while (n > 0 && out[--n] != '/')
                ;
            continue;
        }
        out[n++] = '/';
        memcpy(out + n, c.p, c.n);
        n += c.n;
    }
    if (n == 0)
        out[n++] = '/';
    out[n] = '\0';
    return true;
}

// `path` is `folder` or lies below it.
static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    while (len > 1 && folder[len - 1] == '/')
        len--;
    return len > 0 && strncmp(path, folder, len) == 0 &&
           (path[len] == '/' || path[len] == '\0' || len == 1);
}

// One of the files that the configuration or the environment names.
static bool is_configured_secret(const struct guard_world *world, const char *path)
{
    const char *list = world->kubeconfig;

    if (is_below(path, world->config->state_dir) || is_below(path, world->config->file))
        return true;
    while (*list) {
        size_t len = strcspn(list, ":");

        if (len > 0 && strlen(path) == len && memcmp(path, list, len) == 0)
            return true;
        list += len + (list[len] == ':');
    }
    return false;
}

static enum guard_path judge_absolute(const struct guard_world *world, const char *full)
{
    char real[PATH_MAX];

    if (is_configured_secret(world, full))
        return PATH_SECRET;
    if (!realpath(full, real) || strcmp(real, full) == 0)
        return PATH_PLAIN;
    // A folder above a link's target may be called like the guard's own: only secrets count then.
    return is_configured_secret(world, real) || judge_components(real, false) == PATH_SECRET
               ? PATH_SECRET
               : PATH_PLAIN;
}

enum guard_path guard_path(struct guard_judge *j, const char *path, bool pattern)
{
    enum guard_path found;
    char full[PATH_BYTES];

    j->steps += 200; // it asks the file system
    if (strlen(path) >= PATH_BYTES || j->steps > GUARD_MAX_STEPS)
        return PATH_DOUBT;
    found = judge_components(path, pattern);
    if (strchr(path, SW_HOLE) || (path[0] == '~' && path[1] != '/' && path[1] != '\0'))
        return worse(found, PATH_DOUBT);
    if (pattern)
        return found;
    if (!absolute(j->world->home, j->world->cwd, path, full))
        return worse(found, PATH_DOUBT);
    found = worse(found, judge_absolute(j->world, full));
    if (!j->moved[0])
        return found;
    if (!absolute(j->world->home, j->moved, path, full))
        return worse(found, PATH_DOUBT);
    return worse(found, judge_absolute(j->world, full));
}

void guard_move(struct guard_judge *j, const char *dir)
{
    char full[PATH_BYTES];

    if (absolute(j->world->home, j->moved[0] ? j->moved : j->world->cwd, dir, full) &&
        strlen(full) < sizeof(j->moved))
        memcpy(j->moved, full, strlen(full) + 1);
    else
        guard_say(j, GUARD_ASK, "cd to a folder with a very long name");
}

static bool folder_holds_secrets(const struct guard_world *world, const char *full)
{
    static const char *const folders[] = {"/", "/etc", "/proc", "/var", "/run", "/root", "/home"};
    char below[PATH_BYTES + 32];

    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (strcmp(full, folders[i]) == 0)
            return true;
    if (is_below(full, "/proc"))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(home_secrets); i++) {
        snprintf(below, sizeof(below), "%s/%s", world->home, home_secrets[i]);
        if (is_below(below, full))
            return true;
    }
    snprintf(below, sizeof(below), "%s/.env", full);
    return is_below(world->config->state_dir, full) || is_below(world->config->file, full) ||
           is_below(world->kubeconfig, full) || access(below, F_OK) == 0;
}

bool guard_holds_secrets(const struct guard_judge *j, const char *dir)
{
    char full[PATH_BYTES];

    if (!absolute(j->world->home, j->world->cwd, dir, full) || folder_holds_secrets(j->world, full))
        return true;
    return j->moved[0] &&
           (!absolute(j->world->home, j->moved, dir, full) || folder_holds_secrets(j->world, full));
}

void guard_read_path(struct guard_judge *j, const struct sw_word *w)
{
    // <(command): the command is judged for itself.
    if (w->vars && strcmp(w->vars, "< ") == 0 && w->text[0] == SW_HOLE && !w->text[1])
        return;
    switch (guard_path(j, w->text, w->glob)) {
    case PATH_SECRET:
        guard_say(j, GUARD_DENY, "it is forbidden to read secrets, keys and kubeconfigs");
        break;
    case PATH_DOUBT:
        guard_say(j, GUARD_ASK, "a file's name that is not written out");
        break;
    case PATH_OWN:
    case PATH_PLAIN:
        break;
    }
}
