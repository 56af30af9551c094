// The safe operations: which object counts as which workload, and what is not one careful step.

#include "channels/webhook/guard_policy.h"

#include <stdio.h>

bool guard_is_database_name(const char *name)
{
    static const char *const parts[] = {
        "postgres",   "pgbouncer", "patroni",   "mysql",   "mariadb",   "mongo",  "redis",
        "valkey",     "minio",     "qdrant",    "etcd",    "kafka",     "rabbit", "database",
        "clickhouse", "zookeeper", "cassandra", "elastic", "opensearch"};

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strcasestr(name, parts[i]))
            return true;
    return false;
}

// The alphabet of Kubernetes' random suffixes (apimachinery, util/rand).
static bool is_suffix(const char *s, size_t len)
{
    return strspn(s, "bcdfghjklmnpqrstvwxz2456789") >= len;
}

static bool is_digits(const char *s, size_t len)
{
    return strspn(s, "0123456789") >= len;
}

// NAME-HASH-SUFFIX of a ReplicaSet, NAME-MINUTES-SUFFIX of a CronJob, NAME-SUFFIX of a Job or a
// DaemonSet, NAME-ORDINAL of a StatefulSet, NAME-HASH of a workflow. What looks like none of them
// stays whole; stripping too much would only count two workloads as one.
void guard_workload_of_pod(const char *pod, char out[static GUARD_NAME_BYTES])
{
    char *dash, *last;
    size_t len;

    snprintf(out, GUARD_NAME_BYTES, "%s", pod);
    last = strrchr(out, '-');
    if (!last || last == out)
        return;
    len = strlen(last + 1);
    if (is_digits(last + 1, len) && len > 0) {
        *last = '\0';
        return;
    }
    if (len != 5 || !is_suffix(last + 1, len))
        return;
    *last = '\0';
    dash = strrchr(out, '-');
    if (!dash || dash == out)
        return;
    len = strlen(dash + 1);
    if ((len >= 6 && len <= 10 && is_suffix(dash + 1, len)) || (len == 8 && is_digits(dash + 1, 8)))
        *dash = '\0';
}

void guard_act(struct guard_judge *j, const struct guard_call *call, const struct guard_action *a)
{
    if ((strcmp(a->what, "restart") == 0 || strcmp(a->what, "delete pod") == 0) &&
        guard_is_database_name(a->object)) {
        guard_say(j, GUARD_ASK, "%s of a database or a store needs a person's word", a->what);
        return;
    }
    if (call->repeated || call->command->in_loop) {
        guard_say(j, GUARD_ASK, "%s in a loop needs a person's word", a->what);
        return;
    }
    if (!a->object[0] || strpbrk(a->object, " \t\n,*")) {
        guard_say(j, GUARD_ASK, "%s: name exactly one", a->what);
        return;
    }
    if (j->nactions == GUARD_MAX_ACTIONS) {
        guard_say(j, GUARD_ASK, "more than %d operations at once", GUARD_MAX_ACTIONS);
        return;
    }
    j->actions[j->nactions] = *a;
    j->actions[j->nactions++].prod = config_is_prod(j->world->config, a->cluster);
}
