#include "channels/webhook/alert_fields.h"

#include "common/bytes8.h"

// Name and field; of one field the earlier row wins. `rulename` is where Grafana keeps the name of
// a rule without data.
#define LABEL_ROWS                                                                                 \
    ROW("rulename", FIELD_NAME)                                                                    \
    ROW("alertname", FIELD_NAME)                                                                   \
    ROW("severity", FIELD_SEVERITY)                                                                \
    ROW("threshold.name", FIELD_SEVERITY)                                                          \
    ROW("priority", FIELD_SEVERITY)                                                                \
    ROW("level", FIELD_SEVERITY)                                                                   \
    ROW("service.name", FIELD_SERVICE_NAME)                                                        \
    ROW("service_name", FIELD_SERVICE_NAME)                                                        \
    ROW("service", FIELD_SERVICE_LABEL)                                                            \
    ROW("app.kubernetes.io/name", FIELD_SERVICE_OTHER)                                             \
    ROW("app", FIELD_SERVICE_OTHER)                                                                \
    ROW("k8s.deployment.name", FIELD_SERVICE_OTHER)                                                \
    ROW("deployment", FIELD_SERVICE_OTHER)                                                         \
    ROW("k8s.deployment.name", FIELD_WORKLOAD)                                                     \
    ROW("deployment", FIELD_WORKLOAD)                                                              \
    ROW("k8s.statefulset.name", FIELD_WORKLOAD)                                                    \
    ROW("statefulset", FIELD_WORKLOAD)                                                             \
    ROW("k8s.daemonset.name", FIELD_WORKLOAD)                                                      \
    ROW("daemonset", FIELD_WORKLOAD)                                                               \
    ROW("cronjob", FIELD_WORKLOAD)                                                                 \
    ROW("job_name", FIELD_WORKLOAD)                                                                \
    ROW("job", FIELD_JOB)                                                                          \
    ROW("k8s.cluster.name", FIELD_CLUSTER)                                                         \
    ROW("cluster", FIELD_CLUSTER)                                                                  \
    ROW("cluster_name", FIELD_CLUSTER)                                                             \
    ROW("kubernetes_cluster", FIELD_CLUSTER)                                                       \
    ROW("prometheus", FIELD_CLUSTER)                                                               \
    ROW("k8s.namespace.name", FIELD_NAMESPACE)                                                     \
    ROW("namespace", FIELD_NAMESPACE)                                                              \
    ROW("kubernetes_namespace", FIELD_NAMESPACE)                                                   \
    ROW("exported_namespace", FIELD_NAMESPACE)                                                     \
    ROW("k8s.pod.name", FIELD_POD)                                                                 \
    ROW("pod", FIELD_POD)                                                                          \
    ROW("pod_name", FIELD_POD)                                                                     \
    ROW("exported_pod", FIELD_POD)                                                                 \
    ROW("k8s.node.name", FIELD_NODE)                                                               \
    ROW("node", FIELD_NODE)                                                                        \
    ROW("host.name", FIELD_NODE)                                                                   \
    ROW("instance", FIELD_NODE)                                                                    \
    ROW("alertname", FIELD_ALERTNAME)                                                              \
    ROW("ruleId", FIELD_RULE_ID)                                                                   \
    ROW("ruleSource", FIELD_RULE_SOURCE)                                                           \
    ROW("testalert", FIELD_TEST)                                                                   \
    ROW("instance", FIELD_INSTANCE)

#define ANNOTATION_ROWS                                                                            \
    ROW("summary", FIELD_TEXT)                                                                     \
    ROW("message", FIELD_TEXT)                                                                     \
    ROW("description", FIELD_TEXT)                                                                 \
    ROW("title", FIELD_TEXT)                                                                       \
    ROW("runbook_url", FIELD_RUNBOOK)                                                              \
    ROW("runbook", FIELD_RUNBOOK)                                                                  \
    ROW("value", FIELD_VALUE)

struct row {
    const char *name;
    enum alert_field field;
};

struct map {
    const struct row *rows;
    size_t n;
    const char *lengths; // of the names, filled up with zeros to whole words
};

#define PADDED(n) (((n) + 7) / 8 * 8)

#define ROW(text, what) {text, what},
static const struct row label_rows[] = {LABEL_ROWS};
static const struct row annotation_rows[] = {ANNOTATION_ROWS};
#undef ROW

#define ROW(text, what) sizeof(text) - 1,
static const char label_lengths[PADDED(ARRAY_LEN(label_rows))] = {LABEL_ROWS};
static const char annotation_lengths[PADDED(ARRAY_LEN(annotation_rows))] = {ANNOTATION_ROWS};
#undef ROW

static const struct map label_map = {label_rows, ARRAY_LEN(label_rows), label_lengths};
static const struct map annotation_map = {annotation_rows, ARRAY_LEN(annotation_rows),
                                          annotation_lengths};

static void take(const struct map *map, size_t row, const struct alert_pair *p,
                 unsigned char rank[FIELD_COUNT], struct alert_fields *out)
{
    enum alert_field field = map->rows[row].field;
    if (row >= rank[field] || (size_t)map->lengths[row] != p->name.n ||
        memcmp(map->rows[row].name, p->name.p, p->name.n) != 0)
        return;
    rank[field] = (unsigned char)row;
    out->of[field] = p->value;
}

// Eight rows at once are dismissed by the length of their names.
static void find(const struct alert_pairs *pairs, const struct map *map, struct alert_fields *out)
{
    unsigned char rank[FIELD_COUNT];
    memset(rank, 0xff, sizeof rank);
    for (size_t i = 0; i < pairs->n; i++) {
        const struct alert_pair *p = &pairs->items[i];
        if (!p->value.n || !p->name.n || p->name.n > 0x7f)
            continue;
        for (size_t row = 0; row < map->n; row += 8) {
            uint64_t maybe = bytes8_equal(bytes8_load(map->lengths + row), (char)p->name.n);
            for (; maybe; maybe &= maybe - 1)
                take(map, row + bytes8_first(maybe), p, rank, out);
        }
    }
}

void alert_fields_of(const struct alert_pairs *labels, const struct alert_pairs *annotations,
                     struct alert_fields *ret_fields)
{
    *ret_fields = (struct alert_fields){.of = {{NULL, 0}}};
    find(labels, &label_map, ret_fields);
    find(annotations, &annotation_map, ret_fields);
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
