// Claude Code itself, and the plugin as it has it.

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channels/webhook/doctor.h"
#include "common/program.h"

#define PROGRAM_MS 5000

// Channels came with 2.1.80, the relay of permission prompts with 2.1.81.
static const int oldest[] = {2, 1, 81};

static bool is_old(const int v[3])
{
    for (int i = 0; i < 3; i++)
        if (v[i] != oldest[i])
            return v[i] < oldest[i];
    return false;
}

static void check_claude(struct doctor *d)
{
    static const char *const ask[] = {"claude", "--version", NULL};
    static const char install[] = "npm install -g @anthropic-ai/claude-code";
    struct buf said = BUF_INIT(256);
    int v[3], r = program_run(ask, PROGRAM_MS, &said);
    if (r == -ENOENT)
        doctor_say(d, DOCTOR_WARN, "claude", install,
                   "Claude Code is not installed, or not in PATH");
    else if (r != 0 || sscanf(buf_cstr(&said), "%d.%d.%d", &v[0], &v[1], &v[2]) != 3)
        doctor_say(d, DOCTOR_FAIL, "claude", install, "claude --version %s: %s",
                   r == -ETIMEDOUT ? "does not answer" : "fails", buf_cstr(&said));
    else
        doctor_say(d, is_old(v) ? DOCTOR_FAIL : DOCTOR_OK, "claude", install, "%d.%d.%d%s", v[0],
                   v[1], v[2], is_old(v) ? ": too old for channels and the permission relay" : "");
    buf_done(&said);
}

static bool file_has(const char *path, const char *text)
{
    struct buf file = BUF_INIT(DOCTOR_FILE_MAX);
    bool has = doctor_read(path, &file) == 0 && strstr(buf_cstr(&file), text);
    buf_done(&file);
    return has;
}

static bool same_file(const char *a, const char *b)
{
    struct buf x = BUF_INIT(DOCTOR_FILE_MAX), y = BUF_INIT(DOCTOR_FILE_MAX);
    bool same = doctor_read(a, &x) == 0 && doctor_read(b, &y) == 0 &&
                strcmp(buf_cstr(&x), buf_cstr(&y)) == 0;
    buf_done(&x);
    buf_done(&y);
    return same;
}

// Does a managed settings file let the plugin's channels start without a question?
static bool is_allowed(void)
{
    const char *dir = getenv("MANAGED_SETTINGS"); // as in deploy/session
    char pattern[4200];
    glob_t files;
    snprintf(pattern, sizeof pattern, "%s/managed-settings{.json,.d/*.json}",
             dir && dir[0] ? dir : "/etc/claude-code");
    bool allowed = false;
    if (glob(pattern, GLOB_BRACE, NULL, &files) != 0)
        return false;
    for (size_t i = 0; i < files.gl_pathc; i++)
        allowed |= file_has(files.gl_pathv[i], "allowedChannelPlugins") &&
                   file_has(files.gl_pathv[i], "\"sre-channels\"");
    globfree(&files);
    return allowed;
}

// Claude Code works with a copy of its own: 1 = of this folder's plugin, 0 = of another, -ENOENT.
static int installed_copy(const struct doctor *d, const char *home)
{
    char pattern[4200], own[4300], known[4200];
    glob_t copies;
    int r = -ENOENT;
    snprintf(pattern, sizeof pattern,
             "%s/.claude/plugins/cache/sre-channels/sre-channels/*/.claude-plugin/plugin.json",
             home);
    snprintf(own, sizeof own, "%s/deploy/plugin/sre-channels/.claude-plugin/plugin.json",
             d->project);
    snprintf(known, sizeof known, "%s/.claude/plugins/known_marketplaces.json", home);
    if (glob(pattern, 0, NULL, &copies) != 0)
        return r;
    for (size_t i = 0; i < copies.gl_pathc; i++)
        r = r == 1 || (same_file(copies.gl_pathv[i], own) && file_has(known, d->project));
    globfree(&copies);
    return r;
}

static void check_plugin(struct doctor *d)
{
    const char *home = getenv("HOME");
    char mend[8800];
    int copy = home ? installed_copy(d, home) : -ENOENT;
    bool allowed = is_allowed();
    snprintf(mend, sizeof mend,
             "claude plugin marketplace add '%s/deploy/plugin' && claude plugin install "
             "sre-channels@sre-channels (deploy/session does so when it starts)",
             d->project);
    if (copy < 0 && !allowed)
        doctor_say(d, DOCTOR_OK, "plugin", NULL,
                   "not installed: each start asks whether to load the development channels");
    else if (copy < 0)
        doctor_say(d, DOCTOR_WARN, "plugin", mend,
                   "the managed settings allow it, but it is not installed for %s",
                   home ? home : "?");
    else if (!copy)
        doctor_say(d, DOCTOR_WARN, "plugin", mend, "Claude Code's copy is of another version");
    else if (!allowed)
        doctor_say(d, DOCTOR_WARN, "plugin",
                   "sudo install -D -m 644 deploy/managed-settings.json "
                   "/etc/claude-code/managed-settings.d/50-sre-channels.json",
                   "installed, but no managed settings allow its channels: each start asks");
    else
        doctor_say(d, DOCTOR_OK, "plugin", NULL, "installed and allowed");
}

void doctor_client(struct doctor *d)
{
    check_claude(d);
    check_plugin(d);
}
