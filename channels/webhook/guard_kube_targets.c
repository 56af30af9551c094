// Kinds of Kubernetes objects in every spelling that kubectl takes, and the objects a command
// names.

#include "channels/webhook/guard_kubectl.h"

#include <ctype.h>

// In lower case, without version and group.
static const struct {
    const char *name;
    enum kube_kind kind;
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
enum kube_kind kube_kind_of(const char *text, size_t len)
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

static void add_target(struct kube_targets *ts, enum kube_kind kind, const char *name,
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
void kube_targets_read(const struct flags *f, size_t from, struct kube_targets *ts)
{
    const struct sw_word *const *w = f->words + from;
    size_t n = f->nwords > from ? f->nwords - from : 0;

    *ts = (struct kube_targets){0};
    for (size_t i = 0; i < n; i++) {
        const char *slash = strchr(w[i]->text, '/');

        if (slash)
            add_target(ts, kube_kind_of(w[i]->text, (size_t)(slash - w[i]->text)), slash + 1, w[i]);
        for (const char *at = strchr(w[i]->text, ','); slash && at; at = strchr(at + 1, ','))
            add_target(ts, kube_kind_of(at + 1, strcspn(at + 1, "/,")), slash + 1, w[i]);
    }
    if (n == 0 || strchr(w[0]->text, '/'))
        return;
    for (const char *at = w[0]->text; !ts->too_many;) {
        size_t len = strcspn(at, ",");
        enum kube_kind kind = w[0]->splits ? KIND_UNKNOWN : kube_kind_of(at, len);

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
