#pragma once

// What the parts of the guard's policy share: the judge that collects a verdict over all commands
// of a line, and the readers of each program's arguments. guard_policy.c holds the table that names
// them; nothing here runs a command, and only guard_paths.c looks at the file system.

#include "channels/webhook/shell_words.h"
#include "common/base.h"
#include "common/config.h"

// The worst verdict is the greatest.
enum guard_verdict { GUARD_ALLOW, GUARD_ASK, GUARD_DENY };

enum {
    GUARD_REASON_BYTES = 256,
    GUARD_NAME_BYTES = 254,  // a Kubernetes name has at most 253 characters
    GUARD_MAX_ACTIONS = 4,   // in one call; more of them is not one careful step
    GUARD_MAX_DEPTH = 16,    // of wrappers and of shells within shells
    GUARD_MAX_STEPS = 400000 // of work for one call: bytes parsed, words judged, paths looked at
};

// One safe operation that the line would do.
struct guard_action {
    const char *what;                // static: "restart", "delete pod", "end workflow", "refresh"
    char cluster[GUARD_NAME_BYTES];  // as the command names it; "" if it does not
    char ns[GUARD_NAME_BYTES];       // namespace; "" if the command names none
    char object[GUARD_NAME_BYTES];   // what is named: the deployment, the pod, ...
    char workload[GUARD_NAME_BYTES]; // what is counted: a pod's owner, else the object
    bool any_cluster, any_namespace; // the kind of object is found by its name alone
    bool prod;
};

// What the policy knows of its surroundings. All strings are borrowed; "" when unknown.
struct guard_world {
    const struct config *config;
    const char *home;
    const char *cwd;
    const char *kubeconfig; // $KUBECONFIG, a list separated by colons
};

struct guard_judge {
    const struct guard_world *world;
    enum guard_verdict verdict;
    char reason[GUARD_REASON_BYTES]; // of the verdict; never holds a value from the command line
                                     // but names of programs, verbs and kinds
    struct guard_action actions[GUARD_MAX_ACTIONS];
    size_t nactions;
    char moved[1024]; // the absolute folder that the line's last cd leads to; "" if none
    unsigned depth;
    unsigned steps;
};

// One command to judge: its words, the first of them the program.
struct guard_call {
    const struct sw_word *w;
    size_t n;
    const struct sw_command *command; // where the words stand; its redirections
    bool repeated;                    // run any number of times (xargs, watch, a loop)
};

// Raises the verdict and keeps the reason of the worst.
void guard_say(struct guard_judge *j, enum guard_verdict v, const char *format, ...)
    PRINTF_LIKE(3, 4);

// guard_policy.c: judges a text as a shell would read it, a command, and a text or a command only
// for what is forbidden in it (nothing else is said).
void guard_judge_text(struct guard_judge *j, const char *text, size_t len);
void guard_judge_call(struct guard_judge *j, const struct guard_call *call);
void guard_scan_text(struct guard_judge *j, const char *text, size_t len);
void guard_scan_call(struct guard_judge *j, const struct guard_call *call);
// Looks for forbidden commands among the arguments of a program that may run them.
void guard_scan_arguments(struct guard_judge *j, const struct guard_call *call);
// Looks for them in the string literals of another language's code (guard_wrappers.c).
void guard_scan_code(struct guard_judge *j, const char *code);
// NAME=value in front of a command, or as env's arguments.
void guard_judge_assigns(struct guard_judge *j, const struct sw_command *c);
// Text with unknown parts, as shell text: each hole becomes an unknown variable. Caller frees.
char *guard_unhole(const char *text);

// One of the variables of a word (struct sw_word) is named as secrets are. NULL: none.
bool guard_names_secret(const char *vars);

// guard_actions.c. Notes a safe operation: at once in dev, later held against the incidents in prod
// (guard.c). Borrowed strings; cluster NULL: the command names none.
void guard_act(struct guard_judge *j, const struct guard_call *call, const struct guard_action *a);
// The workload that a pod belongs to by its name; the name itself if it tells nothing.
void guard_workload_of_pod(const char *pod, char out[static GUARD_NAME_BYTES]);
// A name that is usually a database's or a store's: never restarted without asking.
bool guard_is_database_name(const char *name);

// guard_paths.c
enum guard_path {
    PATH_PLAIN,
    PATH_OWN,   // the guard's, the agent's instructions: not to be written
    PATH_DOUBT, // a pattern or an expansion that may name a secret
    PATH_SECRET
};
// `pattern`: the path is a file pattern. A relative one is judged from the session's folder and
// from where the line has gone.
enum guard_path guard_path(struct guard_judge *j, const char *path, bool pattern);
// True if a search through the folder meets known secrets.
bool guard_holds_secrets(const struct guard_judge *j, const char *dir);
void guard_move(struct guard_judge *j, const char *dir); // cd
// Says what reading a word as a file amounts to.
void guard_read_path(struct guard_judge *j, const struct sw_word *w);

// Readers of arguments. Each looks at call->w[1] and on.
void guard_kubectl(struct guard_judge *j, const struct guard_call *call);
void guard_argocd(struct guard_judge *j, const struct guard_call *call);
void guard_argo(struct guard_judge *j, const struct guard_call *call);
void guard_helm(struct guard_judge *j, const struct guard_call *call);
void guard_git(struct guard_judge *j, const struct guard_call *call);
void guard_curl(struct guard_judge *j, const struct guard_call *call);
// guard_languages.c
void guard_jq(struct guard_judge *j, const struct guard_call *call);
void guard_yq(struct guard_judge *j, const struct guard_call *call);
void guard_sed(struct guard_judge *j, const struct guard_call *call);
void guard_awk(struct guard_judge *j, const struct guard_call *call);
// guard_programs.c
void guard_cd(struct guard_judge *j, const struct guard_call *call);
void guard_set(struct guard_judge *j, const struct guard_call *call);
void guard_declare(struct guard_judge *j, const struct guard_call *call);
void guard_read(struct guard_judge *j, const struct guard_call *call);
void guard_find(struct guard_judge *j, const struct guard_call *call);
void guard_openssl(struct guard_judge *j, const struct guard_call *call);
void guard_own_programs(struct guard_judge *j, const struct guard_call *call);
// guard_tools.c: ordinary tools that only read. True if it knows the program.
bool guard_tool(struct guard_judge *j, const struct guard_call *call, const char *name);
// guard_wrappers.c: programs that run others. True if it knows the program.
bool guard_wrapper(struct guard_judge *j, const struct guard_call *call, const char *name);
