#include "channels/webhook/guard.h"

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/output.h"
#include "common/redact.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_OUTPUT = 64 * 1024, MAX_INPUT_NOTE = 2 * SW_MAX_BYTES };

// ---- Tools other than Bash --------------------------------------------------------------------

enum tool_rule {
    TOOL_ALLOW,
    TOOL_READS,    // the named keys are paths to read
    TOOL_SEARCHES, // paths to search through
    TOOL_WRITES,
    TOOL_ASKS
};

static const struct {
    const char *name;
    enum tool_rule rule;
} tools[] = {
    {"Read", TOOL_READS},
    {"NotebookRead", TOOL_READS},
    {"LS", TOOL_READS},
    {"Grep", TOOL_SEARCHES},
    {"Glob", TOOL_READS},
    {"Write", TOOL_WRITES},
    {"Edit", TOOL_WRITES},
    {"MultiEdit", TOOL_WRITES},
    {"NotebookEdit", TOOL_WRITES},
    {"Task", TOOL_ALLOW},
    {"Agent", TOOL_ALLOW},
    {"TodoWrite", TOOL_ALLOW},
    {"TodoRead", TOOL_ALLOW},
    {"TaskCreate", TOOL_ALLOW},
    {"TaskGet", TOOL_ALLOW},
    {"TaskList", TOOL_ALLOW},
    {"TaskUpdate", TOOL_ALLOW},
    {"TaskOutput", TOOL_ALLOW},
    {"TaskStop", TOOL_ALLOW},
    {"AgentOutput", TOOL_ALLOW},
    {"BashOutput", TOOL_ALLOW},
    {"KillShell", TOOL_ALLOW},
    {"KillBash", TOOL_ALLOW},
    {"Skill", TOOL_ALLOW},
    {"ToolSearch", TOOL_ALLOW},
    {"SendMessage", TOOL_ALLOW},
    {"ListAgents", TOOL_ALLOW},
    {"ListMcpResourcesTool", TOOL_ALLOW},
    {"AskUserQuestion", TOOL_ALLOW},
};

// The channels' own tools. decide_proposal speaks for the owner, so the owner is asked.
static const struct {
    const char *server, *name;
    enum tool_rule rule;
} own_tools[] = {
    {"webhook", "log_incident", TOOL_ALLOW},
    {"webhook", "check_history", TOOL_ALLOW},
    {"webhook", "get_incident", TOOL_ALLOW},
    {"webhook", "list_incidents", TOOL_ALLOW},
    {"webhook", "briefing", TOOL_ALLOW},
    {"webhook", "tuning_proposals", TOOL_ALLOW},
    {"webhook", "create_ticket", TOOL_ALLOW},
    {"webhook", "decide_proposal", TOOL_ASKS},
    {"slack", "reply", TOOL_READS},
    {"slack", "escalate", TOOL_ALLOW},
    {"slack", "list_escalations", TOOL_ALLOW},
    {"slack", "resolve_escalation", TOOL_ALLOW},
    {"slack", "edit_message", TOOL_ALLOW},
    {"slack", "react", TOOL_ALLOW},
    {"slack", "read_thread", TOOL_ALLOW},
};

static const char *const path_keys[] = {"file_path", "notebook_path", "path",
                                        "pattern",   "glob",          "files"};

struct call {
    const char *tool, *session_id;
    const cJSON *input;
    struct guard_judge judge;
};

static void read_tool_path(struct guard_judge *j, const char *path, const char *key)
{
    bool pattern = strcmp(key, "pattern") == 0 || strcmp(key, "glob") == 0;
    struct sw_word w = {.text = path, .glob = pattern && strpbrk(path, "*?[{") != NULL};

    // What a tool takes as a pattern only narrows its search: a doubt is none of ours.
    if (pattern ? guard_path(j, path, w.glob) == PATH_SECRET : true)
        guard_read_path(j, &w);
}

static void write_tool_path(struct guard_judge *j, const char *path)
{
    enum guard_path p = guard_path(j, path, false);

    if (p == PATH_SECRET || p == PATH_OWN)
        guard_say(j, GUARD_DENY, "writing a file that guards the agent or holds secrets");
}

static void judge_tool(struct call *c, enum tool_rule rule)
{
    struct guard_judge *j = &c->judge;
    const char *dir = json_str(c->input, "path");
    bool is_grep = rule == TOOL_SEARCHES;

    if (rule == TOOL_ALLOW)
        return;
    if (rule == TOOL_ASKS || rule == TOOL_WRITES)
        guard_say(j, GUARD_ASK, "%s needs a person's word", c->tool);
    for (size_t i = 0; i < ARRAY_LEN(path_keys); i++) {
        const cJSON *value = json_get(c->input, path_keys[i]);
        const cJSON *list = json_arr(c->input, path_keys[i]), *item;

        // What Grep looks for is no path.
        if (is_grep && strcmp(path_keys[i], "pattern") == 0)
            continue;
        if (cJSON_IsString(value) && rule == TOOL_WRITES)
            write_tool_path(j, value->valuestring);
        else if (cJSON_IsString(value))
            read_tool_path(j, value->valuestring, path_keys[i]);
        cJSON_ArrayForEach(item, list)
        {
            if (cJSON_IsString(item))
                read_tool_path(j, item->valuestring, path_keys[i]);
        }
    }
    if (is_grep && json_str(c->input, "glob") && strchr(json_str(c->input, "glob"), '{'))
        guard_say(j, GUARD_ASK, "a search with a pattern that the guard does not read");
    if (is_grep && guard_holds_secrets(j, dir ? dir : "."))
        guard_say(j, GUARD_ASK, "a search through folders that hold secrets");
}

// mcp__SERVER__TOOL, where a plugin's server is called plugin_PLUGIN_SERVER.
static bool judge_own_tool(struct call *c)
{
    const char *at = c->tool;

    if (strncmp(at, "mcp__", 5) != 0)
        return false;
    at += 5;
    if (strncmp(at, "plugin_sre-channels_", 20) == 0)
        at += 20;
    for (size_t i = 0; i < ARRAY_LEN(own_tools); i++) {
        size_t len = strlen(own_tools[i].server);

        if (strncmp(at, own_tools[i].server, len) == 0 && strncmp(at + len, "__", 2) == 0 &&
            strcmp(at + len + 2, own_tools[i].name) == 0) {
            judge_tool(c, own_tools[i].rule);
            return true;
        }
    }
    return false;
}

static int judge_bash(struct call *c)
{
    const char *command = json_str(c->input, "command");

    if (!command)
        return -EINVAL;
    guard_judge_text(&c->judge, command, strlen(command));
    if (json_bool(c->input, "dangerouslyDisableSandbox", false))
        guard_say(&c->judge, GUARD_ASK, "a command outside of the sandbox");
    return 0;
}

static int judge_call(struct call *c)
{
    const char *command = json_str(c->input, "command");

    if (strcmp(c->tool, "Bash") == 0)
        return judge_bash(c);
    for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
        if (strcmp(tools[i].name, c->tool) == 0) {
            judge_tool(c, tools[i].rule);
            return 0;
        }
    }
    if (judge_own_tool(c))
        return 0;
    guard_say(&c->judge, GUARD_ASK, "a tool that the guard does not know");
    if (command)
        guard_scan_text(&c->judge, command, strlen(command));
    return 0;
}

// ---- Who asks ---------------------------------------------------------------------------------

// The investigator, also as a plugin's (PLUGIN:investigator), only reads.
static void check_agent(struct guard_judge *j, const char *agent)
{
    const char *colon = agent ? strrchr(agent, ':') : NULL;

    if (agent && j->nactions > 0 && strcmp(colon ? colon + 1 : agent, "investigator") == 0)
        guard_say(j, GUARD_DENY, "%s: the investigator only reads", j->actions[0].what);
}

// ---- Safe operations against the incidents ----------------------------------------------------

static int count_recent(const struct guard_facts *facts, const struct guard_action *a,
                        int64_t now_ms)
{
    return facts->recent_actions(facts->data, a->any_cluster ? NULL : a->cluster,
                                 a->any_namespace ? NULL : a->ns, a->workload,
                                 now_ms - GUARD_RECENT_MS);
}

static int has_incident(const struct guard_facts *facts, const struct guard_action *a)
{
    const char *cluster = a->any_cluster ? NULL : a->cluster;
    const char *ns = a->any_namespace ? NULL : a->ns;
    int r = facts->open_incident(facts->data, cluster, ns, a->object);

    if (r == 0 && strcmp(a->object, a->workload) != 0)
        r = facts->open_incident(facts->data, cluster, ns, a->workload);
    return r;
}

static bool same_workload(const struct guard_action *a, const struct guard_action *b)
{
    return strcmp(a->workload, b->workload) == 0 && strcmp(a->ns, b->ns) == 0 &&
           strcmp(a->cluster, b->cluster) == 0;
}

static void check_actions(struct guard_judge *j, const struct guard_facts *facts, int64_t now_ms)
{
    for (size_t i = 0; i < j->nactions; i++) {
        const struct guard_action *a = &j->actions[i];
        int incident, recent;

        if (!a->prod)
            continue;
        incident = has_incident(facts, a);
        recent = count_recent(facts, a, now_ms);
        if (incident < 0 || recent < 0) {
            guard_say(j, GUARD_ASK, "%s in prod: the store cannot tell of incidents", a->what);
            continue;
        }
        if (incident == 0)
            guard_say(j, GUARD_ASK, "%s in prod: no open incident names it", a->what);
        for (size_t k = 0; k < i; k++)
            recent += same_workload(a, &j->actions[k]);
        if (recent >= GUARD_MAX_RECENT)
            guard_say(j, GUARD_ASK, "%s in prod: %d actions on it in 4 hours are enough", a->what,
                      GUARD_MAX_RECENT);
    }
}

static int record(const struct call *c, const struct guard_facts *facts)
{
    const struct guard_judge *j = &c->judge;
    const char *input = json_str(c->input, "command");
    struct buf masked = BUF_INIT(MAX_INPUT_NOTE);
    struct guard_decision d = {.verdict = j->verdict,
                               .reason = j->reason,
                               .tool = c->tool,
                               .session_id = c->session_id,
                               .actions = j->actions,
                               .nactions = j->verdict == GUARD_ALLOW ? j->nactions : 0};
    int r;

    if (!input)
        input = json_str(c->input, "file_path");
    r = redact(&masked, str_of(input ? input : ""));
    d.input = r < 0 ? "(not shown)" : buf_cstr(&masked);
    r = facts->record(facts->data, &d);
    buf_done(&masked);
    return r;
}

// Writes the decision down. Another guard may have decided at the same moment, so the count is
// looked at again once this one's actions are in it.
static void record_decision(struct call *c, const struct guard_facts *facts, int64_t now_ms)
{
    struct guard_judge *j = &c->judge;
    enum guard_verdict before = j->verdict;
    int r = record(c, facts);

    if (r < 0)
        log_error("the guard's decision is not in the audit trail", "why", strerror(-r));
    if (before != GUARD_ALLOW || j->nactions == 0)
        return;
    if (r < 0)
        guard_say(j, GUARD_ASK, "the action could not be written down");
    for (size_t i = 0; r >= 0 && i < j->nactions; i++) {
        int recent = j->actions[i].prod ? count_recent(facts, &j->actions[i], now_ms) : 0;

        if (recent < 0 || recent > GUARD_MAX_RECENT)
            guard_say(j, GUARD_ASK, "%s in prod: too many actions at once", j->actions[i].what);
    }
    if (j->verdict != before && record(c, facts) < 0)
        log_error("the guard's decision is not in the audit trail");
}

// ---- The hook's JSON --------------------------------------------------------------------------

static bool has_twice(const cJSON *object)
{
    const cJSON *a, *b;

    cJSON_ArrayForEach(a,
                       object) for (b = a->next; b;
                                    b = b->next) if (strcmp(a->string, b->string) == 0) return true;
    return false;
}

// A NUL would end the command for the guard, but not for whoever runs it.
static bool has_nul(struct str hook)
{
    return hook.n > 0 && (memchr(hook.p, '\0', hook.n) || memmem(hook.p, hook.n, "\\u0000", 6));
}

static int answer(const struct call *c, const char *mode, struct buf *out)
{
    static const char *const words[] = {"allow", "ask", "deny"};
    const struct guard_judge *j = &c->judge;
    enum guard_verdict v = j->verdict;
    char reason[GUARD_REASON_BYTES + 128];
    struct jw w = JW(out);

    snprintf(reason, sizeof(reason), "%s", j->reason);
    if (v == GUARD_ALLOW)
        snprintf(reason, sizeof(reason), "%s",
                 j->nactions > 0 ? "a safe operation" : "reads or reports only");
    // The client would ask all the same for an agent that must not ask, and the agent would wait.
    if (v == GUARD_ASK && (strcmp(mode, "auto") == 0 || strcmp(mode, "dontAsk") == 0)) {
        v = GUARD_DENY;
        snprintf(reason, sizeof(reason), "%s; nobody is asked in %s mode", j->reason, mode);
    }
    jw_object(&w);
    jw_key(&w, "hookSpecificOutput");
    jw_object(&w);
    jw_kstr(&w, "hookEventName", "PreToolUse");
    jw_kstr(&w, "permissionDecision", words[v]);
    jw_kstr(&w, "permissionDecisionReason", reason);
    jw_object_end(&w);
    jw_object_end(&w);
    buf_addc(out, '\n');
    return out->error;
}

// The type of agent that calls, as the client names it: PLUGIN:NAME when it comes with a plugin.
static bool only_looks(const char *agent)
{
    const char *colon = agent ? strrchr(agent, ':') : NULL;

    return agent && strcmp(colon ? colon + 1 : agent, "investigator") == 0;
}

int guard_decide(const struct guard_world *world, const struct guard_facts *facts, int64_t now_ms,
                 struct str hook, struct buf *out)
{
    struct guard_world w = *world;
    const char *why, *event, *mode, *cwd;
    struct call c = {.judge = {.world = &w}};
    cJSON *root;
    int r = -EINVAL;

    if (has_nul(hook))
        return -EINVAL;
    root = json_parse(hook, &why);
    event = json_str(root, "hook_event_name");
    c.tool = json_str(root, "tool_name");
    c.input = json_obj(root, "tool_input");
    c.session_id = json_str(root, "session_id");
    mode = json_str(root, "permission_mode");
    cwd = json_str(root, "cwd");
    if (!event || strcmp(event, "PreToolUse") != 0 || !c.tool || !c.input || has_twice(root) ||
        has_twice(c.input))
        goto out;
    c.session_id = c.session_id ? c.session_id : "";
    w.cwd = cwd && cwd[0] == '/' ? cwd : "/";
    r = judge_call(&c);
    if (r < 0)
        goto out;
    if (c.judge.nactions > 0 && only_looks(json_str(root, "agent_type")))
        guard_say(&c.judge, GUARD_DENY, "an investigator only looks; the operator acts");
    check_agent(&c.judge, json_str(root, "agent_type"));
    check_actions(&c.judge, facts, now_ms);
    record_decision(&c, facts, now_ms);
    r = answer(&c, mode ? mode : "", out);
out:
    cJSON_Delete(root);
    return r;
}

// ---- The subcommand ---------------------------------------------------------------------------

static void complain(const char *why)
{
    char line[160];
    int n = snprintf(line, sizeof(line), "guard: blocked: %s\n", why);

    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
        return;
}

static void on_alarm(int number)
{
    static const char line[] = "guard: blocked: no decision in time\n";

    (void)number;
    if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
        _exit(2);
    _exit(2);
}

static int read_all(int fd, struct buf *in)
{
    for (;;) {
        char chunk[16384];
        ssize_t n = read(fd, chunk, sizeof(chunk));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        if (buf_add(in, chunk, (size_t)n) < 0)
            return in->error;
    }
}

int guard_run(const struct config *config, const struct guard_facts *facts, int in, int out)
{
    struct sigaction action = {.sa_handler = on_alarm};
    const char *home = getenv("HOME"), *kubeconfig = getenv("KUBECONFIG");
    struct guard_world world = {.config = config,
                                .home = home ? home : "/root",
                                .kubeconfig = kubeconfig ? kubeconfig : "",
                                .cwd = "/"};
    struct buf input = BUF_INIT(GUARD_MAX_INPUT), output = BUF_INIT(MAX_OUTPUT);
    const char *why = NULL;

    sigaction(SIGALRM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    alarm(GUARD_DEADLINE_S);
    if (read_all(in, &input) < 0)
        why = "the hook's input cannot be read or is too long";
    else if (guard_decide(&world, facts, clock_wall_ms(), buf_str(&input), &output) < 0)
        why = "the hook's input is not a call to judge";
    else if (write_all(out, buf_str(&output)) < 0)
        why = "the answer cannot be written";
    alarm(0);
    if (why)
        complain(why);
    buf_done(&input);
    buf_done(&output);
    return why ? 2 : 0;
}
