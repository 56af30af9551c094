// argocd, argo (Argo Workflows) and helm.
//
// An Argo CD application's name does not tell its cluster. --argocd-context (or --kube-context) is
// taken for the cluster's name: name the contexts of argocd as the clusters. Without it the cluster
// counts as prod, and an open incident must name the application, whatever its cluster: names are
// unique within one Argo CD, and refreshing only makes it look again.

#include "channels/webhook/guard_flags.h"

#include <stdio.h>

// ---- argocd -----------------------------------------------------------------------------------

static const struct flag_spec argocd_specs[] = {
    {"argocd-context", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"kube-context", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"grpc-web", 0, FLAG_BOOL, FLAG_OK, NULL, true},
    {"grpc-web-root-path", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"http-retry-max", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"logformat", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"loglevel", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"help", 'h', FLAG_BOOL, FLAG_OK, NULL, true},
    {"prompts-enabled", 0, FLAG_BOOL, FLAG_OK, NULL, true},
    {"auth-token", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"config", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"header", 'H', FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"kubeconfig", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"core", 0, FLAG_BOOL, FLAG_DENIED, NULL, true},
    {"port-forward", 0, FLAG_BOOL, FLAG_DENIED, NULL, true},
    {"port-forward-namespace", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"server", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"server-crt", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"client-crt", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"client-crt-key", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"insecure", 0, FLAG_BOOL, FLAG_ASKS, NULL, true},
    {"plaintext", 0, FLAG_BOOL, FLAG_ASKS, NULL, true},
    {"output", 'o', FLAG_VALUE, FLAG_OK, NULL, false},
    {"app-namespace", 'N', FLAG_VALUE, FLAG_OK, NULL, false},
    {"project", 'p', FLAG_VALUE, FLAG_OK, NULL, false},
    {"projects", 'p', FLAG_VALUE, FLAG_OK, NULL, false},
    {"cluster", 'c', FLAG_VALUE, FLAG_OK, NULL, false},
    {"repo", 'r', FLAG_VALUE, FLAG_OK, NULL, false},
    {"selector", 'l', FLAG_VALUE, FLAG_OK, NULL, false},
    {"refresh", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"hard-refresh", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"show-operation", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"show-params", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"timeout", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"health", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"sync", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"operation", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"revision", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"source", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"tail", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"since-seconds", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"container", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"kind", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"name", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"namespace", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"group", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"previous", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"client", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"short", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"exit-code", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"orphaned", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"prune", 0, FLAG_BOOL, FLAG_ASKS, NULL, false},
    {"force", 0, FLAG_BOOL, FLAG_ASKS, NULL, false},
    {"local", 0, FLAG_VALUE, FLAG_ASKS, NULL, false},
    {"cascade", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"yes", 'y', FLAG_BOOL, FLAG_OK, NULL, false},
    {"async", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"dry-run", 0, FLAG_BOOL, FLAG_OK, NULL, false},
};

// `verbs` of a group (" list get "); what is in neither list asks. "*" is every verb.
struct cli_rule {
    const char *group; // "app"; "" for verbs of the program itself
    const char *allowed;
    const char *forbidden;
};

static const struct cli_rule argocd_rules[] = {
    {"app", " list get diff history resources logs manifests wait ",
     " delete delete-resource rm remove patch-resource "},
    {"apps", " list get diff history resources logs manifests wait ",
     " delete delete-resource rm remove patch-resource "},
    {"application", " list get diff history resources logs manifests wait ",
     " delete delete-resource rm remove patch-resource "},
    {"applications", " list get diff history resources logs manifests wait ",
     " delete delete-resource rm remove patch-resource "},
    {"appset", " list get ", " delete rm remove "},
    {"appsets", " list get ", " delete rm remove "},
    {"applicationset", " list get ", " delete rm remove "},
    {"applicationsets", " list get ", " delete rm remove "},
    {"proj", " list get ", " delete rm remove role "},
    {"project", " list get ", " delete rm remove role "},
    {"projects", " list get ", " delete rm remove role "},
    {"cluster", " list get ", " rm remove delete rotate-auth "},
    {"clusters", " list get ", " rm remove delete rotate-auth "},
    {"repo", " list get ", " rm remove delete "},
    {"repos", " list get ", " rm remove delete "},
    {"account", " can-i get get-user-info list ",
     " generate-token delete-token update-password bcrypt "},
    {"", " version help ", " admin login relogin logout context ctx "},
};

// ---- argo -------------------------------------------------------------------------------------

static const struct flag_spec argo_specs[] = {
    {"context", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"namespace", 'n', FLAG_VALUE, FLAG_OK, NULL, true},
    {"request-timeout", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"gloglevel", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"loglevel", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"verbose", 'v', FLAG_BOOL, FLAG_OK, NULL, true},
    {"help", 'h', FLAG_BOOL, FLAG_OK, NULL, true},
    {"as", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"as-group", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"as-uid", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"kubeconfig", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"cluster", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"user", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"username", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"password", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"token", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"header", 'H', FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"server", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"argo-server", 's', FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"client-certificate", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"client-key", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"certificate-authority", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"insecure-skip-tls-verify", 0, FLAG_BOOL, FLAG_ASKS, NULL, true},
    {"insecure-skip-verify", 'k', FLAG_BOOL, FLAG_ASKS, NULL, true},
    {"instanceid", 'i', FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"all-namespaces", 'A', FLAG_BOOL, FLAG_OK, NULL, false},
    {"output", 'o', FLAG_VALUE, FLAG_OK, NULL, false},
    {"selector", 'l', FLAG_VALUE, FLAG_OK, NULL, false},
    {"field-selector", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"node-field-selector", 0, FLAG_VALUE, FLAG_ASKS, NULL, false},
    {"status", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"since", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"running", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"completed", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"older", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"prefix", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"chunk-size", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"limit", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"no-color", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"no-utf8", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"container", 'c', FLAG_VALUE, FLAG_OK, NULL, false},
    {"tail", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"timestamps", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"grep", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"previous", 'p', FLAG_BOOL, FLAG_OK, " logs ", false},
    {"follow", 'f', FLAG_BOOL, FLAG_OK, " logs ", false},
    {"parameter", 'p', FLAG_VALUE, FLAG_ASKS, " retry submit resubmit ", false},
    {"restart-successful", 0, FLAG_BOOL, FLAG_ASKS, NULL, false},
    {"all", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"dry-run", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"message", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"watch", 'w', FLAG_BOOL, FLAG_OK, NULL, false},
    {"log", 0, FLAG_BOOL, FLAG_OK, NULL, false},
};

static const struct cli_rule argo_rules[] = {
    {"cron", " list get ", ""},
    {"template", " list get ", ""},
    {"cluster-template", " list get ", ""},
    {"archive", " list get list-label-keys list-label-values ", ""},
    {"auth", "", " token "},
    {"", " list get logs version help watch terminate stop retry ", " server "},
};

// ---- helm -------------------------------------------------------------------------------------

static const struct flag_spec helm_specs[] = {
    {"kube-context", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"namespace", 'n', FLAG_VALUE, FLAG_OK, NULL, true},
    {"debug", 0, FLAG_BOOL, FLAG_OK, NULL, true},
    {"help", 'h', FLAG_BOOL, FLAG_OK, NULL, true},
    {"burst-limit", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"qps", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"kubeconfig", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"kube-token", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"kube-apiserver", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"kube-as-user", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"kube-as-group", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"kube-ca-file", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"kube-tls-server-name", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"kube-insecure-skip-tls-verify", 0, FLAG_BOOL, FLAG_ASKS, NULL, true},
    {"registry-config", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"repository-cache", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"repository-config", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"all-namespaces", 'A', FLAG_BOOL, FLAG_OK, NULL, false},
    {"all", 'a', FLAG_BOOL, FLAG_OK, NULL, false},
    {"output", 'o', FLAG_VALUE, FLAG_OK, NULL, false},
    {"filter", 'f', FLAG_VALUE, FLAG_OK, " list ls ", false},
    {"selector", 'l', FLAG_VALUE, FLAG_OK, NULL, false},
    {"max", 'm', FLAG_VALUE, FLAG_OK, NULL, false},
    {"date", 'd', FLAG_BOOL, FLAG_OK, NULL, false},
    {"reverse", 'r', FLAG_BOOL, FLAG_OK, NULL, false},
    {"short", 'q', FLAG_BOOL, FLAG_OK, NULL, false},
    {"deployed", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"failed", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"pending", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"revision", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"show-desc", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"show-resources", 0, FLAG_BOOL, FLAG_ASKS, NULL, false},
    {"set", 0, FLAG_VALUE, FLAG_ASKS, NULL, false},
    {"set-string", 0, FLAG_VALUE, FLAG_ASKS, NULL, false},
    {"set-json", 0, FLAG_VALUE, FLAG_ASKS, NULL, false},
    {"values", 'f', FLAG_VALUE, FLAG_ASKS, " install upgrade template lint ", false},
    {"post-renderer", 0, FLAG_VALUE, FLAG_ASKS, NULL, false},
    {"version", 0, FLAG_VALUE, FLAG_OK, NULL, false},
};

static const struct cli_rule helm_rules[] = {
    {"get", " metadata ", " all values manifest hooks notes "},
    {"", " list ls history hist status version help ", " uninstall delete del un push secrets "},
};

// ---- Common -----------------------------------------------------------------------------------

struct cli {
    struct guard_judge *j;
    const struct guard_call *call;
    const char *program;
    const struct flag_table table;
    const struct cli_rule *rules;
    size_t nrules;
    void (*judge)(const struct cli *, const struct flags *, const char *group, const char *verb);
};

static bool lists(const char *list, const char *verb)
{
    char key[48];

    if ((size_t)snprintf(key, sizeof(key), " %s ", verb) >= sizeof(key) || strchr(verb, ' '))
        return false;
    return verb[0] && strstr(list, key) != NULL;
}

static void judge_words(const struct cli *c, const struct flags *f)
{
    const char *first = f->words[0]->text, *verb = first, *group = "";
    const struct cli_rule *rule = &c->rules[c->nrules - 1];

    for (size_t i = 0; i + 1 < c->nrules; i++) {
        if (strcmp(c->rules[i].group, first) == 0) {
            rule = &c->rules[i];
            group = first;
            verb = f->nwords > 1 ? f->words[1]->text : "help";
        }
    }
    for (size_t i = 0; i < f->nwords && i < 2; i++) {
        if (strchr(f->words[i]->text, SW_HOLE) || f->words[i]->splits) {
            bool is_verb = i == 0 || group[0];

            guard_say(c->j, is_verb ? GUARD_DENY : GUARD_ASK, "%s: write %s out", c->program,
                      is_verb ? "the verb" : "the name");
        }
    }
    for (size_t i = 1; i < f->nwords; i++)
        if (strchr(f->words[i]->text, SW_HOLE) || f->words[i]->splits)
            guard_say(c->j, GUARD_ASK, "%s: a name that is not written out", c->program);
    if (lists(rule->forbidden, verb))
        guard_say(c->j, GUARD_DENY, "%s %s%s%s is forbidden", c->program, group,
                  group[0] ? " " : "", verb);
    else if (!lists(rule->allowed, verb) && !(group[0] && strcmp(verb, "help") == 0))
        guard_say(c->j, GUARD_ASK, "%s with a verb that changes something", c->program);
    if (c->judge)
        c->judge(c, f, group, verb);
}

// As for kubectl: unknown flags are read both ways, and ask.
static void judge_cli(const struct cli *c)
{
    for (int takes = 1; takes >= 0; takes--) {
        struct flags f;

        flags_read(&c->table, c->call, NULL, takes, &f);
        if (f.doubt)
            guard_say(c->j, GUARD_ASK, "%s: %s", c->program, f.doubt);
        if (f.nwords == 0) {
            flags_judge(c->j, &f, c->program);
            continue;
        }
        flags_read(&c->table, c->call, f.words[0]->text, takes, &f);
        flags_judge(c->j, &f, c->program);
        if (f.nwords > 0)
            judge_words(c, &f);
        if (!f.doubt)
            return;
    }
}

static void name_action(struct guard_action *a, const char *cluster, const char *ns,
                        const char *object)
{
    snprintf(a->cluster, sizeof(a->cluster), "%s", cluster);
    snprintf(a->ns, sizeof(a->ns), "%s", ns);
    snprintf(a->object, sizeof(a->object), "%s", object);
    snprintf(a->workload, sizeof(a->workload), "%s", object);
}

static bool unclear(const struct flags *f, const char *name)
{
    const struct flag_value *v = flags_find(f, name);

    return v && (v->unknown || !v->text || !v->text[0]);
}

static void judge_argocd_app(const struct cli *c, const struct flags *f, const char *group,
                             const char *verb)
{
    struct guard_action a = {.what = "refresh", .any_namespace = true};
    const char *context = flags_text(f, "argocd-context"), *name;

    (void)verb;
    if (strncmp(group, "app", 3) != 0 || strncmp(group, "appset", 6) == 0 ||
        strncmp(group, "applicationset", 14) == 0)
        return;
    if (!flags_set(f, "refresh") && !flags_set(f, "hard-refresh"))
        return;
    if (f->nwords != 3 || unclear(f, "argocd-context") || flags_find(f, "selector")) {
        guard_say(c->j, GUARD_ASK, "argocd: a refresh of anything but one application");
        return;
    }
    name = strrchr(f->words[2]->text, '/');
    name_action(&a, context, "", name ? name + 1 : f->words[2]->text);
    a.any_cluster = !context[0];
    guard_act(c->j, c->call, &a);
}

static void judge_argo_verb(const struct cli *c, const struct flags *f, const char *group,
                            const char *verb)
{
    struct guard_action a = {.what = "end workflow"};
    bool retry = strcmp(verb, "retry") == 0, removal = strcmp(verb, "delete") == 0;

    if (group[0] ||
        !(retry || removal || strcmp(verb, "terminate") == 0 || strcmp(verb, "stop") == 0))
        return;
    if (flags_find(f, "selector") || flags_find(f, "field-selector") || flags_find(f, "all") ||
        flags_find(f, "older") || flags_find(f, "completed") || flags_find(f, "prefix") ||
        flags_find(f, "all-namespaces") || flags_find(f, "status") || f->nwords > 2) {
        guard_say(c->j, GUARD_DENY, "argo %s of more than one workflow is forbidden", verb);
        return;
    }
    if (removal)
        return;
    if (f->nwords != 2 || f->words[1]->text[0] == '@' || unclear(f, "context") ||
        unclear(f, "namespace") || strchr(f->words[1]->text, SW_HOLE)) {
        guard_say(c->j, GUARD_ASK, "argo: name exactly one workflow");
        return;
    }
    name_action(&a, flags_text(f, "context"), flags_text(f, "namespace"), f->words[1]->text);
    if (retry)
        a.what = "retry workflow";
    guard_act(c->j, c->call, &a);
}

static void judge_helm_verb(const struct cli *c, const struct flags *f, const char *group,
                            const char *verb)
{
    static const char *const zeros[] = {"replicas=0", "replicaCount=0", "Replicas=0", "replicas:0"};

    (void)group;
    (void)verb;
    for (size_t i = 0; i < f->nvalues; i++)
        for (size_t k = 0; f->values[i].text && k < ARRAY_LEN(zeros); k++)
            if (strstr(f->values[i].text, zeros[k]))
                guard_say(c->j, GUARD_DENY, "helm: scaling to zero is forbidden");
}

void guard_argocd(struct guard_judge *j, const struct guard_call *call)
{
    const struct cli c = {.j = j,
                          .call = call,
                          .program = "argocd",
                          .table = {argocd_specs, ARRAY_LEN(argocd_specs)},
                          .rules = argocd_rules,
                          .nrules = ARRAY_LEN(argocd_rules),
                          .judge = judge_argocd_app};

    judge_cli(&c);
}

void guard_argo(struct guard_judge *j, const struct guard_call *call)
{
    const struct cli c = {.j = j,
                          .call = call,
                          .program = "argo",
                          .table = {argo_specs, ARRAY_LEN(argo_specs)},
                          .rules = argo_rules,
                          .nrules = ARRAY_LEN(argo_rules),
                          .judge = judge_argo_verb};

    judge_cli(&c);
}

void guard_helm(struct guard_judge *j, const struct guard_call *call)
{
    const struct cli c = {.j = j,
                          .call = call,
                          .program = "helm",
                          .table = {helm_specs, ARRAY_LEN(helm_specs)},
                          .rules = helm_rules,
                          .nrules = ARRAY_LEN(helm_rules),
                          .judge = judge_helm_verb};

    judge_cli(&c);
}
