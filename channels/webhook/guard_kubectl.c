// kubectl: what each verb may do, and to what.

#include "channels/webhook/guard_kubectl.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

// ---- Verbs ------------------------------------------------------------------------------------

struct kube {
    struct guard_judge *j;
    const struct guard_call *call;
    struct flags f;
    const char *verb;
};

static void judge_reading(struct kube *k);
static void judge_delete(struct kube *k);
static void judge_rollout(struct kube *k);
static void judge_scale(struct kube *k);
static void judge_patch(struct kube *k);
static void judge_annotate(struct kube *k);
static void judge_config(struct kube *k);
static void judge_auth(struct kube *k);
static void judge_create(struct kube *k);
static void judge_cluster_info(struct kube *k);

static const struct {
    const char *verb;
    enum guard_verdict verdict;
    void (*judge)(struct kube *); // looks closer; may be NULL
} verbs[] = {
    {"get", GUARD_ALLOW, judge_reading},
    {"describe", GUARD_ALLOW, judge_reading},
    {"logs", GUARD_ALLOW, judge_reading},
    {"log", GUARD_ALLOW, judge_reading},
    {"top", GUARD_ALLOW, NULL},
    {"events", GUARD_ALLOW, NULL},
    {"wait", GUARD_ALLOW, judge_reading},
    {"explain", GUARD_ALLOW, NULL},
    {"api-resources", GUARD_ALLOW, NULL},
    {"api-versions", GUARD_ALLOW, NULL},
    {"version", GUARD_ALLOW, NULL},
    {"options", GUARD_ALLOW, NULL},
    {"help", GUARD_ALLOW, NULL},
    {"cluster-info", GUARD_ALLOW, judge_cluster_info},
    {"auth", GUARD_ALLOW, judge_auth},
    {"config", GUARD_ALLOW, judge_config},
    {"rollout", GUARD_ALLOW, judge_rollout},
    {"delete", GUARD_ALLOW, judge_delete},
    {"annotate", GUARD_ALLOW, judge_annotate},
    {"patch", GUARD_ALLOW, judge_patch},
    {"scale", GUARD_ASK, judge_scale},
    {"autoscale", GUARD_ASK, judge_scale},
    {"create", GUARD_ASK, judge_create},
    {"apply", GUARD_ASK, judge_scale},
    {"replace", GUARD_ASK, judge_scale},
    {"edit", GUARD_ASK, NULL},
    {"label", GUARD_ASK, NULL},
    {"set", GUARD_ASK, NULL},
    {"run", GUARD_ASK, judge_scale},
    {"expose", GUARD_ASK, NULL},
    {"drain", GUARD_ASK, NULL},
    {"cordon", GUARD_ASK, NULL},
    {"uncordon", GUARD_ASK, NULL},
    {"taint", GUARD_ASK, NULL},
    {"certificate", GUARD_ASK, NULL},
    {"diff", GUARD_ASK, NULL},
    {"kustomize", GUARD_ASK, NULL},
    {"exec", GUARD_DENY, NULL},
    {"cp", GUARD_DENY, NULL},
    {"port-forward", GUARD_DENY, NULL},
    {"proxy", GUARD_DENY, NULL},
    {"attach", GUARD_DENY, NULL},
    {"debug", GUARD_DENY, NULL},
};

// Parts of plugins' names that read secrets or run commands: view-secret, iexec, node-shell, ...
static const char *const plugin_bans[] = {"secret",      "exec",  "shell",   "ssh",
                                          "tunnel",      "relay", "forward", "sudo",
                                          "impersonate", "enter", "sniff"};

static const char *text_of(const struct kube *k, size_t i)
{
    return i < k->f.nwords ? k->f.words[i]->text : "";
}

// No verb but explain may name a secret; and what cannot be read may be one.
static void judge_secrets(struct kube *k, const struct kube_targets *ts)
{
    if (ts->too_many)
        guard_say(k->j, GUARD_DENY, "kubectl %s: too many objects at once", k->verb);
    for (size_t i = 0; i < ts->n; i++) {
        if (ts->t[i].kind == KIND_SECRET)
            guard_say(k->j, GUARD_DENY, "kubectl %s: secrets are forbidden", k->verb);
        if (ts->t[i].kind == KIND_UNKNOWN)
            guard_say(k->j, GUARD_DENY, "kubectl %s: write the kind of object out", k->verb);
        if (ts->t[i].name && kube_kind_of(ts->t[i].name, strlen(ts->t[i].name)) == KIND_SECRET)
            guard_say(k->j, GUARD_ASK, "kubectl %s: an object that is called like secrets",
                      k->verb);
        if (ts->t[i].unknown)
            guard_say(k->j, GUARD_ASK, "kubectl %s: a name that is not written out", k->verb);
    }
}

// ---- The verbs that are looked at closely -----------------------------------------------------

static void judge_reading(struct kube *k)
{
    const char *output = flags_text(&k->f, "output");

    if (flags_find(&k->f, "filename") || flags_find(&k->f, "kustomize"))
        guard_say(k->j, GUARD_ASK, "kubectl %s from a file", k->verb);
    if (strstr(output, "-file"))
        guard_say(k->j, GUARD_ASK, "kubectl %s with a template file", k->verb);
}

static bool is_bulk(const struct kube *k)
{
    return flags_find(&k->f, "all") || flags_find(&k->f, "selector") ||
           flags_find(&k->f, "field-selector") || flags_find(&k->f, "all-namespaces") ||
           flags_find(&k->f, "filename") || flags_find(&k->f, "kustomize") ||
           flags_find(&k->f, "recursive");
}

static void act(struct kube *k, const char *what, const char *object, bool is_pod)
{
    struct guard_action a = {.what = what};
    const struct flag_value *context = flags_find(&k->f, "context");

    for (size_t i = 0, contexts = 0; i < k->f.nvalues; i++)
        if (strcmp(k->f.values[i].spec->name, "context") == 0 && ++contexts > 1)
            guard_say(k->j, GUARD_ASK, "kubectl with two contexts");
    if (context && context->unknown)
        guard_say(k->j, GUARD_ASK, "kubectl: write the context out");
    if (flags_find(&k->f, "namespace") && !flags_text(&k->f, "namespace")[0])
        guard_say(k->j, GUARD_ASK, "kubectl: write the namespace out");
    if (strlen(object) >= sizeof(a.object)) {
        guard_say(k->j, GUARD_ASK, "a name that is too long");
        return;
    }
    snprintf(a.cluster, sizeof(a.cluster), "%s", flags_text(&k->f, "context"));
    snprintf(a.ns, sizeof(a.ns), "%s", flags_text(&k->f, "namespace"));
    snprintf(a.object, sizeof(a.object), "%s", object);
    if (strncmp(a.ns, "kube-", 5) == 0)
        guard_say(k->j, GUARD_ASK, "kubectl: the cluster's own namespaces need a person's word");
    if (is_pod)
        guard_workload_of_pod(object, a.workload);
    else
        snprintf(a.workload, sizeof(a.workload), "%s", object);
    guard_act(k->j, k->call, &a);
}

static void judge_delete(struct kube *k)
{
    struct kube_targets ts;

    kube_targets_read(&k->f, 1, &ts);
    if (is_bulk(k) || ts.n > 1 || ts.many_kinds)
        guard_say(k->j, GUARD_DENY, "kubectl delete: bulk deletion is forbidden");
    for (size_t i = 0; i < ts.n; i++) {
        switch (ts.t[i].kind) {
        case KIND_FORBIDDEN:
        case KIND_APPLICATION:
            guard_say(k->j, GUARD_DENY, "kubectl delete: this kind of object is never deleted");
            break;
        case KIND_ALL:
            guard_say(k->j, GUARD_DENY, "kubectl delete: bulk deletion is forbidden");
            break;
        default:
            break;
        }
        if (!ts.t[i].name || ts.t[i].unknown)
            guard_say(k->j, GUARD_DENY, "kubectl delete: name exactly one object, written out");
    }
    if (ts.n == 1 && ts.t[0].kind == KIND_POD && ts.t[0].name)
        act(k, "delete pod", ts.t[0].name, true);
    else
        guard_say(k->j, GUARD_ASK, "kubectl delete of anything but one pod");
}

static void judge_rollout(struct kube *k)
{
    const char *sub = text_of(k, 1);
    struct kube_targets ts;

    kube_targets_read(&k->f, 2, &ts);
    judge_secrets(k, &ts);
    if (strcmp(sub, "status") == 0 || strcmp(sub, "history") == 0) {
        judge_reading(k);
        return;
    }
    if (strcmp(sub, "restart") != 0 || is_bulk(k) || ts.n != 1 || ts.many_kinds ||
        ts.t[0].kind != KIND_DEPLOYMENT || !ts.t[0].name || ts.t[0].unknown)
        guard_say(k->j, GUARD_ASK, "kubectl rollout of anything but a restart of one deployment");
    else
        act(k, "restart", ts.t[0].name, false);
}

// pflag reads integers with Go's ParseInt, base 0: 0x0, 0b0, 00, -0 and 0_0 are zero too.
static bool is_zero(const char *text)
{
    return text[strspn(text, "0xXbBoO_+-")] == '\0';
}

static void judge_scale(struct kube *k)
{
    static const char *const names[] = {"replicas", "min", "max"};

    for (size_t i = 0; i < k->f.nvalues; i++)
        for (size_t m = 0; m < ARRAY_LEN(names); m++)
            if (strcmp(k->f.values[i].spec->name, names[m]) == 0 &&
                (k->f.values[i].unknown || is_zero(k->f.values[i].text ? k->f.values[i].text : "")))
                guard_say(k->j, GUARD_DENY, "kubectl %s: scaling to zero is forbidden", k->verb);
}

static void judge_create(struct kube *k)
{
    judge_scale(k);
    if (strcmp(text_of(k, 1), "token") == 0)
        guard_say(k->j, GUARD_DENY, "kubectl create token: secrets are forbidden");
    if (strcmp(text_of(k, 1), "secret") == 0)
        guard_say(k->j, GUARD_DENY, "kubectl create secret: secrets are forbidden");
}

// Without white space and quotes, in lower case: enough to recognise the few patches that matter.
static void squeeze(const char *text, char *out, size_t size)
{
    size_t n = 0;

    for (; *text && n + 1 < size; text++)
        if (!strchr(" \t\r\n\"'", *text))
            out[n++] = (char)tolower((unsigned char)*text);
    out[n] = '\0';
}

// A zero behind "replicas" or "value", as a merge patch or as a JSON patch has it.
static bool scales_to_zero(const char *squeezed)
{
    static const char *const keys[] = {"replicas:", "value:"};

    // An escape may spell any key.
    if (strstr(squeezed, "\\u"))
        return true;
    if (!strstr(squeezed, "replicas"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        for (const char *at = squeezed; (at = strstr(at, keys[i])); at++) {
            const char *value = at + strlen(keys[i]);
            size_t digits = strspn(value, "+-0.xe");

            if ((digits > 0 && !isdigit((unsigned char)value[digits])) ||
                strncmp(value, "null", 4) == 0)
                return true;
        }
    return strchr(squeezed, '\\') != NULL || strstr(squeezed, "remove") != NULL;
}

static void judge_patch(struct kube *k)
{
    static const char *const endings[] = {"{spec:{shutdown:terminate}}", "{spec:{shutdown:stop}}"};
    static const char *const refreshes[] = {
        "{metadata:{annotations:{argocd.argoproj.io/refresh:normal}}}",
        "{metadata:{annotations:{argocd.argoproj.io/refresh:hard}}}"};
    const struct flag_value *patch = flags_find(&k->f, "patch");
    char squeezed[4096] = "";
    struct kube_targets ts;

    kube_targets_read(&k->f, 1, &ts);
    if (patch && patch->text) {
        squeeze(patch->text, squeezed, sizeof(squeezed));
        if (strlen(patch->text) >= sizeof(squeezed))
            guard_say(k->j, GUARD_ASK, "kubectl patch: a very long patch");
        if (patch->unknown || scales_to_zero(squeezed))
            guard_say(k->j, GUARD_DENY, "kubectl patch: scaling to zero is forbidden");
    }
    if (ts.n == 1 && ts.t[0].name && !ts.t[0].unknown && !is_bulk(k)) {
        for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
            if (ts.t[0].kind == KIND_WORKFLOW && strcmp(squeezed, endings[i]) == 0) {
                act(k, "end workflow", ts.t[0].name, false);
                return;
            }
            if (ts.t[0].kind == KIND_APPLICATION && strcmp(squeezed, refreshes[i]) == 0) {
                act(k, "refresh", ts.t[0].name, false);
                return;
            }
        }
    }
    for (size_t i = 0; i < ts.n; i++)
        if (ts.t[i].kind == KIND_FORBIDDEN)
            guard_say(k->j, GUARD_DENY, "kubectl patch: this kind of object is never changed");
    guard_say(k->j, GUARD_ASK, "kubectl patch changes an object");
}

// The annotation that makes Argo CD look again.
static void judge_annotate(struct kube *k)
{
    static const char *const refreshes[] = {"argocd.argoproj.io/refresh=normal",
                                            "argocd.argoproj.io/refresh=hard"};
    size_t n = k->f.nwords;
    const char *last = text_of(k, n - 1);
    bool refresh = n > 2 && (strcmp(last, refreshes[0]) == 0 || strcmp(last, refreshes[1]) == 0);
    struct kube_targets ts;

    k->f.nwords -= n > 1;
    kube_targets_read(&k->f, 1, &ts);
    k->f.nwords = n;
    if (refresh && ts.n == 1 && ts.t[0].kind == KIND_APPLICATION && ts.t[0].name &&
        !ts.t[0].unknown && !is_bulk(k) && !ts.many_kinds)
        act(k, "refresh", ts.t[0].name, false);
    else
        guard_say(k->j, GUARD_ASK, "kubectl annotate but for one application's refresh");
}

static void judge_config(struct kube *k)
{
    static const char *const reading[] = {"view", "get-contexts", "current-context", "get-clusters",
                                          "get-users"};

    for (size_t i = 0; i < ARRAY_LEN(reading); i++)
        if (strcmp(text_of(k, 1), reading[i]) == 0)
            return;
    guard_say(k->j, GUARD_ASK, "kubectl config changes whom kubectl speaks to");
}

static void judge_auth(struct kube *k)
{
    if (strcmp(text_of(k, 1), "can-i") != 0 && strcmp(text_of(k, 1), "whoami") != 0)
        guard_say(k->j, GUARD_ASK, "kubectl auth but for can-i and whoami");
}

static void judge_cluster_info(struct kube *k)
{
    if (k->f.nwords > 1)
        guard_say(k->j, GUARD_ASK, "kubectl cluster-info dump prints everything");
}

// ---- The whole command ------------------------------------------------------------------------

static void judge_plugin(struct kube *k)
{
    for (size_t i = 0; i < ARRAY_LEN(plugin_bans); i++)
        if (strcasestr(k->verb, plugin_bans[i]))
            guard_say(k->j, GUARD_DENY, "a kubectl plugin that reads secrets or runs commands");
    guard_say(k->j, GUARD_ASK, "kubectl with a verb that the guard does not know");
}

static void judge_verb(struct kube *k)
{
    struct kube_targets ts;
    size_t i = 0;

    while (i < ARRAY_LEN(verbs) && strcmp(verbs[i].verb, k->verb) != 0)
        i++;
    flags_judge(k->j, &k->f, "kubectl");
    if (i == ARRAY_LEN(verbs)) {
        judge_plugin(k);
        return;
    }
    if (verbs[i].verdict != GUARD_ALLOW)
        guard_say(k->j, verbs[i].verdict, "kubectl %s %s", verbs[i].verb,
                  verbs[i].verdict == GUARD_DENY ? "is forbidden" : "needs a person's word");
    if (strcmp(k->verb, "explain") != 0 && strcmp(k->verb, "auth") != 0 &&
        strcmp(k->verb, "rollout") != 0 && strcmp(k->verb, "config") != 0 &&
        strcmp(k->verb, "help") != 0 && verbs[i].verdict != GUARD_DENY) {
        kube_targets_read(&k->f, 1, &ts);
        if (strcmp(k->verb, "logs") == 0 || strcmp(k->verb, "log") == 0)
            for (size_t t = 0; t < ts.n; t++)
                // A bare word is a pod's name here.
                if (ts.t[t].kind == KIND_UNKNOWN && !ts.t[t].name) {
                    guard_say(k->j, GUARD_ASK, "kubectl logs: a name that is not written out");
                    ts.t[t].kind = KIND_OTHER;
                }
        judge_secrets(k, &ts);
    }
    if (verbs[i].judge)
        verbs[i].judge(k);
}

// Flags in front of the verb that are not global: cobra takes the word behind each for its value,
// whatever the flag is. Both readings are judged.
void guard_kubectl(struct guard_judge *j, const struct guard_call *call)
{
    bool judged = false;
    const char *first = NULL;

    for (int takes = 1; takes >= 0; takes--) {
        struct kube k = {.j = j, .call = call};

        flags_read(&guard_kubectl_flags, call, NULL, takes, &k.f);
        if (k.f.doubt)
            guard_say(j, GUARD_ASK, "kubectl with a flag in front of its verb");
        if (k.f.nwords == 0) {
            flags_judge(j, &k.f, "kubectl");
            continue;
        }
        k.verb = k.f.words[0]->text;
        if (strchr(k.verb, SW_HOLE) || k.f.words[0]->splits) {
            guard_say(j, GUARD_DENY, "kubectl: write the verb out");
            continue;
        }
        if (judged && strcmp(first, k.verb) == 0)
            continue;
        judged = true;
        first = k.verb;
        flags_read(&guard_kubectl_flags, call, k.verb, takes, &k.f);
        if (k.f.nwords == 0 || strcmp(k.f.words[0]->text, k.verb) != 0)
            guard_say(j, GUARD_ASK, "kubectl with a flag in front of its verb");
        judge_verb(&k);
        if (k.f.doubt) {
            // An unknown flag may or may not take the next word: read it the other way too.
            flags_read(&guard_kubectl_flags, call, k.verb, !takes, &k.f);
            if (k.f.nwords > 0)
                judge_verb(&k);
        }
    }
}
