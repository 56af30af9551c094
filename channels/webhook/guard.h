#pragma once

// `webhook-channel guard`: the PreToolUse hook (README, "Security"). Reads the hook's JSON, judges
// the call and answers allow, deny or ask. Whatever goes wrong in here blocks the call (exit status
// 2): the client lets a call pass when a hook fails in any other way.

#include "channels/webhook/guard_policy.h"
#include "common/buf.h"

enum {
    GUARD_MAX_INPUT = 1 << 20,           // bytes of the hook's JSON
    GUARD_DEADLINE_S = 3,                // from start to answer
    GUARD_MAX_RECENT = 2,                // actions per workload ...
    GUARD_RECENT_MS = 4 * 60 * 60 * 1000 // ... within this time
};

// What is written to the audit trail. All strings are borrowed for the call.
struct guard_decision {
    enum guard_verdict verdict;
    const char *reason;
    const char *tool;
    const char *session_id;
    const char *input; // the command or the path, secrets masked; "" for other tools
    const struct guard_action *actions; // only of an allowed call; they count from now on
    size_t nactions;
};

// What the store knows. Each returns a negative errno when it cannot tell; nothing is then allowed
// that would have depended on it. `cluster` and `ns` are as the command names them: "" when it
// names none, NULL when any will do (an application is found by its name).
struct guard_facts {
    void *data;
    // 1 if an open incident names the workload: cluster and namespace agree and its service or a
    // member's deployment, pod, workflow or application label is it; else 0.
    int (*open_incident)(void *data, const char *cluster, const char *ns, const char *workload);
    // How many recorded actions the workload has had since then (wall clock).
    int (*recent_actions)(void *data, const char *cluster, const char *ns, const char *workload,
                          int64_t since_ms);
    // Writes the decision and its actions, committed before it returns.
    int (*record)(void *data, const struct guard_decision *d);
};

// Judges one call. Appends the answer to `out`. Returns 0, or a negative errno that must block:
// -EINVAL when the input is not a PreToolUse call, buf's errors.
int guard_decide(const struct guard_world *world, const struct guard_facts *facts, int64_t now_ms,
                 struct str hook, struct buf *out) MUST_CHECK;

// The subcommand: reads `in` to its end, writes the answer to `out`. Returns the exit status, 0 or
// 2; says why on stderr. Ends the process with 2 when the deadline passes.
int guard_run(const struct config *config, const struct guard_facts *facts, int in, int out);
