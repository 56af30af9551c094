// kubectl: what each verb may do, and to what.

#include "channels/webhook/guard_flags.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

// ---- Flags ------------------------------------------------------------------------------------

static const struct flag_spec specs[] = {
    // Who speaks, and to which cluster: --context alone chooses, and the guard reads it.
    {"context", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"namespace", 'n', FLAG_VALUE, FLAG_OK, NULL, true},
    {"request-timeout", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"v", 'v', FLAG_VALUE, FLAG_OK, NULL, true},
    {"vmodule", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"help", 'h', FLAG_BOOL, FLAG_OK, NULL, true},
    {"disable-compression", 0, FLAG_BOOL, FLAG_OK, NULL, true},
    {"match-server-version", 0, FLAG_BOOL, FLAG_OK, NULL, true},
    {"warnings-as-errors", 0, FLAG_BOOL, FLAG_OK, NULL, true},
    {"log-flush-frequency", 0, FLAG_VALUE, FLAG_OK, NULL, true},
    {"as", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"as-group", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"as-uid", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"as-user-extra", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"kubeconfig", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"kuberc", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"cluster", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"user", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"username", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"password", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"token", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"server", 's', FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"client-certificate", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"client-key", 0, FLAG_VALUE, FLAG_DENIED, NULL, true},
    {"certificate-authority", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"insecure-skip-tls-verify", 0, FLAG_BOOL, FLAG_ASKS, NULL, true},
    {"tls-server-name", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"cache-dir", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"profile", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    {"profile-output", 0, FLAG_VALUE, FLAG_ASKS, NULL, true},
    // Which objects.
    {"selector", 'l', FLAG_VALUE, FLAG_OK, NULL, false},
    {"field-selector", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"all-namespaces", 'A', FLAG_BOOL, FLAG_OK, NULL, false},
    {"all", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"filename", 'f', FLAG_VALUE, FLAG_OK,
     " get describe delete apply create replace patch edit label annotate scale autoscale expose "
     "run "
     "set rollout wait diff auth cordon drain taint certificate exec debug attach events explain ",
     false},
    {"kustomize", 'k', FLAG_VALUE, FLAG_OK, NULL, false},
    {"recursive", 'R', FLAG_BOOL, FLAG_OK, NULL, false},
    {"raw", 0, FLAG_BOOL, FLAG_DENIED, " config ", false},
    {"raw", 0, FLAG_VALUE, FLAG_DENIED, " get create replace delete ", false},
    {"subresource", 0, FLAG_VALUE, FLAG_ASKS, NULL, false},
    // What is shown of them.
    {"output", 'o', FLAG_VALUE, FLAG_OK, NULL, false},
    {"template", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"watch", 'w', FLAG_BOOL, FLAG_OK, NULL, false},
    {"watch-only", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"output-watch-events", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"chunk-size", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"ignore-not-found", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"label-columns", 'L', FLAG_VALUE, FLAG_OK, NULL, false},
    {"no-headers", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"server-print", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"show-kind", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"show-labels", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"show-managed-fields", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"show-events", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"sort-by", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"allow-missing-template-keys", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"follow", 'f', FLAG_BOOL, FLAG_OK, " logs ", false},
    {"previous", 'p', FLAG_BOOL, FLAG_OK, " logs ", false},
    {"container", 'c', FLAG_VALUE, FLAG_OK, NULL, false},
    {"since", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"since-time", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"tail", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"timestamps", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"limit-bytes", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"all-containers", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"all-pods", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"ignore-errors", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"max-log-requests", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"pod-running-timeout", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"prefix", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"insecure-skip-tls-verify-backend", 0, FLAG_BOOL, FLAG_ASKS, NULL, false},
    {"containers", 0, FLAG_BOOL, FLAG_OK, " top ", false},
    {"sum", 0, FLAG_BOOL, FLAG_OK, " top ", false},
    {"show-capacity", 0, FLAG_BOOL, FLAG_OK, " top ", false},
    {"use-protocol-buffers", 0, FLAG_BOOL, FLAG_OK, " top ", false},
    {"for", 0, FLAG_VALUE, FLAG_OK, " events wait ", false},
    {"types", 0, FLAG_VALUE, FLAG_OK, " events ", false},
    {"timeout", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"revision", 0, FLAG_VALUE, FLAG_OK, " rollout ", false},
    {"to-revision", 0, FLAG_VALUE, FLAG_OK, " rollout ", false},
    {"api-version", 0, FLAG_VALUE, FLAG_OK, " explain ", false},
    {"api-group", 0, FLAG_VALUE, FLAG_OK, " api-resources ", false},
    {"categories", 0, FLAG_VALUE, FLAG_OK, " api-resources ", false},
    {"namespaced", 0, FLAG_BOOL, FLAG_OK, " api-resources ", false},
    {"verbs", 0, FLAG_VALUE, FLAG_OK, " api-resources ", false},
    {"cached", 0, FLAG_BOOL, FLAG_OK, " api-resources ", false},
    {"client", 0, FLAG_BOOL, FLAG_OK, " version ", false},
    {"short", 0, FLAG_BOOL, FLAG_OK, " version ", false},
    {"list", 0, FLAG_BOOL, FLAG_OK, " auth annotate label ", false},
    {"quiet", 'q', FLAG_BOOL, FLAG_OK, " auth ", false},
    {"minify", 0, FLAG_BOOL, FLAG_OK, " config ", false},
    {"flatten", 0, FLAG_BOOL, FLAG_DENIED, " config ", false},
    {"merge", 0, FLAG_BOOL, FLAG_OK, " config ", false},
    {"output-directory", 0, FLAG_VALUE, FLAG_ASKS, " cluster-info ", false},
    // What is done to them.
    {"cascade", 0, FLAG_BOOL, FLAG_OK, " delete apply replace ", false},
    {"force", 0, FLAG_BOOL, FLAG_ASKS, NULL, false},
    {"grace-period", 0, FLAG_VALUE, FLAG_ASKS, NULL, false},
    {"now", 0, FLAG_BOOL, FLAG_ASKS, " delete ", false},
    {"wait", 0, FLAG_BOOL, FLAG_OK, " delete apply replace ", false},
    {"interactive", 'i', FLAG_BOOL, FLAG_OK, " delete ", false},
    {"dry-run", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"replicas", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"current-replicas", 0, FLAG_VALUE, FLAG_OK, " scale ", false},
    {"resource-version", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"patch", 'p', FLAG_VALUE, FLAG_OK, " patch ", false},
    {"patch-file", 0, FLAG_VALUE, FLAG_ASKS, " patch ", false},
    {"type", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"local", 0, FLAG_BOOL, FLAG_OK, NULL, false},
    {"overwrite", 0, FLAG_BOOL, FLAG_OK, " annotate label taint apply ", false},
    {"field-manager", 0, FLAG_VALUE, FLAG_OK, NULL, false},
    {"prune", 0, FLAG_BOOL, FLAG_DENIED, " apply diff ", false},
    {"min", 0, FLAG_VALUE, FLAG_OK, " autoscale ", false},
    {"max", 0, FLAG_VALUE, FLAG_OK, " autoscale ", false},
};

static const struct flag_table table = {specs, ARRAY_LEN(specs)};

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

// ---- Kinds ------------------------------------------------------------------------------------

enum kind {
    KIND_OTHER,
    KIND_UNKNOWN,
    KIND_SECRET,
    KIND_FORBIDDEN,
    KIND_ALL,
    KIND_POD,
    KIND_DEPLOYMENT,
    KIND_WORKFLOW,
    KIND_APPLICATION
};

// In lower case, without version and group.
static const struct {
    const char *name;
    enum kind kind;
} kinds[] = {
    {"secret", KIND_SECRET},
    {"secrets", KIND_SECRET},
    {"all", KIND_ALL},
    {"ns", KIND_FORBIDDEN},
    {"namespace", KIND_FORBIDDEN},
    {"namespaces", KIND_FORBIDDEN},
    {"pvc", KIND_FORBIDDEN},
    {"persistentvolumeclaim", KIND_FORBIDDEN},
    {"persistentvolumeclaims", KIND_FORBIDDEN},
    {"pv", KIND_FORBIDDEN},
    {"persistentvolume", KIND_FORBIDDEN},
    {"persistentvolumes", KIND_FORBIDDEN},
    {"crd", KIND_FORBIDDEN},
    {"crds", KIND_FORBIDDEN},
    {"customresourcedefinition", KIND_FORBIDDEN},
    {"customresourcedefinitions", KIND_FORBIDDEN},
    {"appset", KIND_FORBIDDEN},
    {"appsets", KIND_FORBIDDEN},
    {"applicationset", KIND_FORBIDDEN},
    {"applicationsets", KIND_FORBIDDEN},
    {"appproj", KIND_FORBIDDEN},
    {"appprojs", KIND_FORBIDDEN},
    {"appproject", KIND_FORBIDDEN},
    {"appprojects", KIND_FORBIDDEN},
    {"tenant", KIND_FORBIDDEN},
    {"tenants", KIND_FORBIDDEN},
    {"app", KIND_APPLICATION},
    {"apps", KIND_APPLICATION},
    {"application", KIND_APPLICATION},
    {"applications", KIND_APPLICATION},
    {"po", KIND_POD},
    {"pod", KIND_POD},
    {"pods", KIND_POD},
    {"deploy", KIND_DEPLOYMENT},
    {"deployment", KIND_DEPLOYMENT},
    {"deployments", KIND_DEPLOYMENT},
    {"wf", KIND_WORKFLOW},
    {"workflow", KIND_WORKFLOW},
    {"workflows", KIND_WORKFLOW},
};

// TYPE, TYPE.GROUP or TYPE.VERSION.GROUP, in any case.
static enum kind kind_of(const char *text, size_t len)
{
    char name[64];
    size_t n = 0;

    if (memchr(text, SW_HOLE, len))
        return KIND_UNKNOWN;
    for (; n < len && n + 1 < sizeof(name); n++)
        name[n] = (char)tolower((unsigned char)text[n]);
    name[n] = '\0';
    if (strstr(name, "cnpg") || strstr(name, "minio") || strstr(name, "postgres") ||
        strstr(name, "qdrant") || strstr(name, "percona"))
        return KIND_FORBIDDEN;
    name[strcspn(name, ".")] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(name, kinds[i].name) == 0)
            return kinds[i].kind;
    return KIND_OTHER;
}

struct targets {
    struct {
        enum kind kind;
        const char *name; // NULL: none, all of the kind
        bool unknown;     // the name is not written out
    } t[FLAGS_MAX];
    size_t n;
    bool many_kinds, too_many;
};

static void add_target(struct targets *ts, enum kind kind, const char *name,
                       const struct sw_word *w)
{
    if (ts->n == FLAGS_MAX) {
        ts->too_many = true;
        return;
    }
    ts->t[ts->n].kind = kind;
    ts->t[ts->n].name = name;
    ts->t[ts->n++].unknown = name && (strchr(name, SW_HOLE) || w->splits);
}

// The words behind the verb: TYPE[,TYPE] [NAME...], or TYPE/NAME...
static void read_targets(const struct kube *k, size_t from, struct targets *ts)
{
    const struct sw_word *const *w = k->f.words + from;
    size_t n = k->f.nwords > from ? k->f.nwords - from : 0;

    *ts = (struct targets){0};
    for (size_t i = 0; i < n; i++) {
        const char *slash = strchr(w[i]->text, '/');

        if (slash)
            add_target(ts, kind_of(w[i]->text, (size_t)(slash - w[i]->text)), slash + 1, w[i]);
        for (const char *at = strchr(w[i]->text, ','); slash && at; at = strchr(at + 1, ','))
            add_target(ts, kind_of(at + 1, strcspn(at + 1, "/,")), slash + 1, w[i]);
    }
    if (n == 0 || strchr(w[0]->text, '/'))
        return;
    for (const char *at = w[0]->text; !ts->too_many;) {
        size_t len = strcspn(at, ",");
        enum kind kind = w[0]->splits ? KIND_UNKNOWN : kind_of(at, len);

        ts->many_kinds |= at[len] == ',';
        for (size_t i = 1; i < n; i++)
            if (!strchr(w[i]->text, '/'))
                add_target(ts, kind, w[i]->text, w[i]);
        if (n == 1)
            add_target(ts, kind, NULL, w[0]);
        at += len + (at[len] == ',');
        if (!at[0])
            break;
    }
}

static const char *text_of(const struct kube *k, size_t i)
{
    return i < k->f.nwords ? k->f.words[i]->text : "";
}

// No verb but explain may name a secret; and what cannot be read may be one.
static void judge_secrets(struct kube *k, const struct targets *ts)
{
    if (ts->too_many)
        guard_say(k->j, GUARD_DENY, "kubectl %s: too many objects at once", k->verb);
    for (size_t i = 0; i < ts->n; i++) {
        if (ts->t[i].kind == KIND_SECRET)
            guard_say(k->j, GUARD_DENY, "kubectl %s: secrets are forbidden", k->verb);
        if (ts->t[i].kind == KIND_UNKNOWN)
            guard_say(k->j, GUARD_DENY, "kubectl %s: write the kind of object out", k->verb);
        if (ts->t[i].name && kind_of(ts->t[i].name, strlen(ts->t[i].name)) == KIND_SECRET)
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
    struct targets ts;

    read_targets(k, 1, &ts);
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
    struct targets ts;

    read_targets(k, 2, &ts);
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
    struct targets ts;

    read_targets(k, 1, &ts);
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
    struct targets ts;

    k->f.nwords -= n > 1;
    read_targets(k, 1, &ts);
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
    struct targets ts;
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
        read_targets(k, 1, &ts);
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

        flags_read(&table, call, NULL, takes, &k.f);
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
        flags_read(&table, call, k.verb, takes, &k.f);
        if (k.f.nwords == 0 || strcmp(k.f.words[0]->text, k.verb) != 0)
            guard_say(j, GUARD_ASK, "kubectl with a flag in front of its verb");
        judge_verb(&k);
        if (k.f.doubt) {
            // An unknown flag may or may not take the next word: read it the other way too.
            flags_read(&table, call, k.verb, !takes, &k.f);
            if (k.f.nwords > 0)
                judge_verb(&k);
        }
    }
}
