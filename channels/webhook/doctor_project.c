// The project's folder: playbooks, the session's settings, its hooks.

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channels/webhook/doctor.h"
#include "channels/webhook/patrol_query.h"
#include "channels/webhook/playbooks.h"
#include "channels/webhook/stats.h"

#define RULES_MS (30ll * 24 * 3600 * 1000)

// ---- playbooks ----

// Playbooks that the agent would never find, named.
static size_t read_broken(const char *folder, struct buf *names)
{
    size_t broken = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[4400];
        struct buf file = BUF_INIT(DOCTOR_FILE_MAX), name = BUF_INIT(256),
                   patterns = BUF_INIT(DOCTOR_FILE_MAX);
        size_t n = strlen(e->d_name);
        if (n < 4 || strcmp(e->d_name + n - 3, ".md") != 0 || strcmp(e->d_name, "README.md") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        int r = doctor_read(path, &file);
        if (r == 0)
            r = playbook_front_matter(buf_str(&file), &name, &patterns);
        if (r < 0 || !patterns.len)
            buf_addf(names, "%s%s", broken++ ? ", " : "", e->d_name);
        buf_done(&file);
        buf_done(&name);
        buf_done(&patterns);
    }
    if (dir)
        closedir(dir);
    return broken;
}

// The rules that fire most and have none.
static int read_without(const struct playbooks *p, struct store *s, int64_t since,
                        struct buf *names)
{
    struct rule_stats *rules = calloc(RULE_STATS_MAX, sizeof *rules);
    struct tally_window w = tally_window(since);
    struct tally_edge edge = {0}; // whole days are enough
    int n = 0, without = 0;
    if (!rules || stats_rules(s, &w, &edge, rules, &n) < 0)
        n = 0;
    for (int i = 0; i < n; i++)
        if (!playbooks_find(p, rules[i].alertname))
            buf_addf(names, "%s%s", without++ ? ", " : "", rules[i].alertname);
    free(rules);
    return without;
}

static void check_playbooks(struct doctor *d, struct store *s)
{
    const char *folder = d->config->playbooks;
    struct playbooks *p = NULL;
    struct buf broken = BUF_INIT(1024), without = BUF_INIT(2048);
    char mend[4400];
    size_t n_broken = read_broken(folder, &broken);
    if (playbooks_load(folder, &p) < 0)
        return;
    size_t n = playbooks_count(p);
    int n_without = s && n ? read_without(p, s, d->now - RULES_MS, &without) : 0;
    snprintf(mend, sizeof mend, "set SRE_PLAYBOOKS to the folder of playbooks (%s/playbooks)",
             d->project);
    if (!n)
        doctor_say(d, DOCTOR_FAIL, "playbooks", mend, "none in %s", folder);
    else if (n_broken)
        doctor_say(d, DOCTOR_FAIL, "playbooks",
                   "begin each with ---, name: NAME, alerts: [Alert, \"Other *\"], ---",
                   "%zu of %s have no alerts in their front matter: %s", n_broken, folder,
                   buf_cstr(&broken));
    else if (n_without)
        doctor_say(d, DOCTOR_WARN, "playbooks",
                   "add the name to the alerts of a playbook, or `alerts: [\"*\"]` to one for all "
                   "others",
                   "%zu in %s, but none for: %s", n, folder, buf_cstr(&without));
    else
        doctor_say(d, DOCTOR_OK, "playbooks", NULL, "%zu in %s", n, folder);
    playbooks_free(p);
    buf_done(&broken);
    buf_done(&without);
}

// ---- settings ----

// The first command of the event's hooks that has `word` in it. NULL: there is none.
static const char *hook_of(const cJSON *settings, const char *event, const char *word,
                           const char **ret_matcher)
{
    const cJSON *group, *hook;
    cJSON_ArrayForEach(group, json_arr(json_obj(settings, "hooks"), event))
    {
        cJSON_ArrayForEach(hook, json_arr(group, "hooks"))
        {
            const char *command = json_str(hook, "command"), *matcher = json_str(group, "matcher");
            if (command && strstr(command, word)) {
                *ret_matcher = matcher ? matcher : "";
                return command;
            }
        }
    }
    return NULL;
}

static void check_hooks(struct doctor *d, const cJSON *settings)
{
    static const struct {
        const char *event, *word, *without;
    } others[] = {
        {"SessionStart", "webhook-channel briefing", "a new session starts without its briefing"},
        {"StopFailure", "webhook-channel agent-failed",
         "a session without quota or sign-in is noticed late"}};
    static const char restore[] = "git checkout -- .claude/settings.json";
    const char *matcher = "";
    char path[4200], mend[16 * 1024];
    snprintf(path, sizeof path, "%s/build/webhook-channel", d->project);
    const char *guard = hook_of(settings, "PreToolUse", "webhook-channel guard", &matcher);
    if (!guard)
        doctor_say(d, DOCTOR_FAIL, "guard", restore,
                   "no PreToolUse hook runs it: nothing stands before the agent's commands");
    else if (matcher[0] && strcmp(matcher, "*") != 0)
        doctor_say(d, DOCTOR_FAIL, "guard", restore, "it sees only the tools \"%s\", not all",
                   matcher);
    else if (access(path, X_OK) < 0) {
        snprintf(mend, sizeof mend, "cmake -S '%s' -B '%s/build' && cmake --build '%s/build'",
                 d->project, d->project, d->project);
        doctor_say(d, DOCTOR_FAIL, "guard", mend,
                   "the hook's %s is not there or not executable: every command is blocked", path);
    } else
        doctor_say(d, DOCTOR_OK, "guard", NULL, "before every tool call");
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (hook_of(settings, others[i].event, others[i].word, &matcher))
            doctor_say(d, DOCTOR_OK, "hook", NULL, "%s: %s", others[i].event, others[i].word);
        else
            doctor_say(d, DOCTOR_WARN, "hook", restore, "%s is missing: %s", others[i].event,
                       others[i].without);
}

static void check_settings(struct doctor *d)
{
    char path[4200], mend[4400];
    struct buf file = BUF_INIT(DOCTOR_FILE_MAX);
    const char *why = NULL;
    snprintf(path, sizeof path, "%s/.claude/settings.json", d->project);
    snprintf(mend, sizeof mend, "git -C '%s' checkout -- .claude/settings.json", d->project);
    int r = doctor_read(path, &file);
    cJSON *settings = r == 0 ? json_parse(buf_str(&file), &why) : NULL;
    if (r < 0)
        doctor_say(d, DOCTOR_FAIL, "settings", mend, "%s: %s", path, strerror(-r));
    else if (!cJSON_IsObject(settings))
        doctor_say(d, DOCTOR_FAIL, "settings", mend, "%s is no JSON: %s", path,
                   why ? why : "not an object");
    else if (!cJSON_GetArraySize(json_arr(json_obj(settings, "permissions"), "deny")))
        doctor_say(d, DOCTOR_FAIL, "settings", mend, "%s denies nothing", path);
    else
        doctor_say(d, DOCTOR_OK, "settings", NULL, "%s", path);
    if (cJSON_IsObject(settings))
        check_hooks(d, settings);
    cJSON_Delete(settings);
    buf_done(&file);
}

static void check_patrol(struct doctor *d)
{
    const char *folder = d->config->patrol_queries;
    struct patrol_queries *p = NULL;
    struct buf why = BUF_INIT(16 * 1024);
    if (!d->config->patrol_url[0]) {
        doctor_say(d, DOCTOR_OK, "patrol", NULL, "off: PATROL_URL is not set");
        return;
    }
    int r = patrol_queries_load(folder, &p, &why);
    if (r < 0)
        doctor_say(d, DOCTOR_FAIL, "patrol", "set PATROL_QUERIES to the folder of its queries",
                   "%s: %s", folder, strerror(-r));
    else if (why.len)
        doctor_say(d, DOCTOR_FAIL, "patrol", "mend the file, or take it away", "left out of %s: %s",
                   folder, buf_cstr(&why));
    else if (!p->n)
        doctor_say(d, DOCTOR_FAIL, "patrol", "set PATROL_QUERIES to the folder of its queries",
                   "no query in %s", folder);
    else
        doctor_say(d, DOCTOR_OK, "patrol", NULL, "%zu queries in %s", p->n, folder);
    patrol_queries_free(p);
    buf_done(&why);
}

void doctor_project(struct doctor *d, struct store *s)
{
    check_playbooks(d, s);
    check_patrol(d);
    check_settings(d);
}
