#include "channels/webhook/alert_fields.h"

struct mapping {
    const char *name;
    unsigned char len;
    unsigned char field;
};

#define MAP(text, what)                                                                            \
    {                                                                                              \
        text, sizeof(text) - 1, what                                                               \
    }

// Of one field the earlier row wins.
static const struct mapping label_map[] = {
    MAP("rulename", FIELD_NAME), // Grafana's DatasourceNoData and DatasourceError
    MAP("alertname", FIELD_NAME),
    MAP("severity", FIELD_SEVERITY),
    MAP("threshold.name", FIELD_SEVERITY),
    MAP("priority", FIELD_SEVERITY),
    MAP("level", FIELD_SEVERITY),
    MAP("service.name", FIELD_SERVICE_NAME),
    MAP("service_name", FIELD_SERVICE_NAME),
    MAP("service", FIELD_SERVICE_LABEL),
    MAP("app.kubernetes.io/name", FIELD_SERVICE_OTHER),
    MAP("app", FIELD_SERVICE_OTHER),
    MAP("k8s.deployment.name", FIELD_SERVICE_OTHER),
    MAP("deployment", FIELD_SERVICE_OTHER),
    MAP("k8s.deployment.name", FIELD_WORKLOAD),
    MAP("deployment", FIELD_WORKLOAD),
    MAP("k8s.statefulset.name", FIELD_WORKLOAD),
    MAP("statefulset", FIELD_WORKLOAD),
    MAP("k8s.daemonset.name", FIELD_WORKLOAD),
    MAP("daemonset", FIELD_WORKLOAD),
    MAP("cronjob", FIELD_WORKLOAD),
    MAP("job_name", FIELD_WORKLOAD),
    MAP("job", FIELD_JOB),
    MAP("k8s.cluster.name", FIELD_CLUSTER),
    MAP("cluster", FIELD_CLUSTER),
    MAP("cluster_name", FIELD_CLUSTER),
    MAP("kubernetes_cluster", FIELD_CLUSTER),
    MAP("prometheus", FIELD_CLUSTER),
    MAP("k8s.namespace.name", FIELD_NAMESPACE),
    MAP("namespace", FIELD_NAMESPACE),
    MAP("kubernetes_namespace", FIELD_NAMESPACE),
    MAP("exported_namespace", FIELD_NAMESPACE),
    MAP("k8s.pod.name", FIELD_POD),
    MAP("pod", FIELD_POD),
    MAP("pod_name", FIELD_POD),
    MAP("exported_pod", FIELD_POD),
    MAP("k8s.node.name", FIELD_NODE),
    MAP("node", FIELD_NODE),
    MAP("host.name", FIELD_NODE),
    MAP("instance", FIELD_NODE),
    MAP("alertname", FIELD_ALERTNAME),
    MAP("ruleId", FIELD_RULE_ID),
    MAP("ruleSource", FIELD_RULE_SOURCE),
    MAP("testalert", FIELD_TEST),
    MAP("instance", FIELD_INSTANCE),
};

static const struct mapping annotation_map[] = {
    MAP("summary", FIELD_TEXT), MAP("message", FIELD_TEXT),        MAP("description", FIELD_TEXT),
    MAP("title", FIELD_TEXT),   MAP("runbook_url", FIELD_RUNBOOK), MAP("runbook", FIELD_RUNBOOK),
    MAP("value", FIELD_VALUE),
};

static void find(const struct alert_pairs *pairs, const struct mapping *map, size_t rows,
                 struct alert_fields *out)
{
    unsigned char rank[FIELD_COUNT];
    memset(rank, 0xff, sizeof rank);
    for (size_t i = 0; i < pairs->n; i++) {
        struct str name = pairs->items[i].name, value = pairs->items[i].value;
        if (!value.n || !name.n)
            continue;
        for (size_t m = 0; m < rows; m++) {
            if (map[m].len != name.n || map[m].name[0] != name.p[0] ||
                memcmp(map[m].name, name.p, name.n) != 0 || m >= rank[map[m].field])
                continue;
            rank[map[m].field] = (unsigned char)m;
            out->of[map[m].field] = value;
        }
    }
}

void alert_fields_of_labels(const struct alert_pairs *labels, struct alert_fields *ret_fields)
{
    *ret_fields = (struct alert_fields){.of = {{NULL, 0}}};
    find(labels, label_map, ARRAY_LEN(label_map), ret_fields);
}

void alert_fields_of_annotations(const struct alert_pairs *annotations,
                                 struct alert_fields *ret_fields)
{
    *ret_fields = (struct alert_fields){.of = {{NULL, 0}}};
    find(annotations, annotation_map, ARRAY_LEN(annotation_map), ret_fields);
}

static bool is_generated(const char *p, size_t n, size_t min, size_t max)
{
    bool digit = false, vowel = false;
    for (size_t i = 0; i < n; i++) {
        bool is_digit = p[i] >= '0' && p[i] <= '9';
        if (!is_digit && (p[i] < 'a' || p[i] > 'z'))
            return false;
        digit |= is_digit;
        vowel |= p[i] == 'a' || p[i] == 'e' || p[i] == 'i' || p[i] == 'o' || p[i] == 'u';
    }
    return n >= min && n <= max && (digit || !vowel);
}

// Length of s without its last dash and what follows; 0 if there is none.
static size_t without_last(struct str s)
{
    size_t n = s.n;
    while (n && s.p[n - 1] != '-')
        n--;
    return n ? n - 1 : 0;
}

static bool all_digits(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && p[i] >= '0' && p[i] <= '9')
        i++;
    return n > 0 && i == n;
}

struct str alert_pod_owner(struct str pod)
{
    size_t cut = without_last(pod);
    if (!cut)
        return pod;
    const char *last = pod.p + cut + 1;
    size_t n = pod.n - cut - 1;
    if (all_digits(last, n) && n < 5)
        return (struct str){pod.p, cut}; // a StatefulSet's ordinal
    // Five random characters, and a ReplicaSet's hash before them.
    size_t hash = without_last((struct str){pod.p, cut});
    if (hash && is_generated(pod.p + hash + 1, cut - hash - 1, 8, 10) && n == 5)
        return (struct str){pod.p, hash};
    return is_generated(last, n, 5, 5) ? (struct str){pod.p, cut} : pod;
}

static bool is_state_metrics(struct str s)
{
    static const char name[] = "kube-state-metrics";
    size_t n = sizeof name - 1;
    return s.n >= n && memcmp(s.p + s.n - n, name, n) == 0;
}

static struct str service_of(const struct alert_fields *f)
{
    if (f->of[FIELD_SERVICE_NAME].n)
        return f->of[FIELD_SERVICE_NAME];
    struct str service = f->of[FIELD_SERVICE_LABEL];
    if (is_state_metrics(service)) {
        if (f->of[FIELD_WORKLOAD].n)
            return f->of[FIELD_WORKLOAD];
        if (f->of[FIELD_POD].n)
            return alert_pod_owner(f->of[FIELD_POD]);
    } else if (service.n) {
        return service;
    }
    return f->of[FIELD_SERVICE_OTHER].n ? f->of[FIELD_SERVICE_OTHER] : f->of[FIELD_JOB];
}

struct str alert_service(const struct alert_fields *own, const struct alert_fields *common)
{
    struct str service = service_of(own);
    return service.n ? service : service_of(common);
}
