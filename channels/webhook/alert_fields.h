#pragma once

// Which label or annotation says what: senders name the same thing differently (SigNoz
// uses OpenTelemetry names, kube-prometheus its own, exporters others). Pure.

#include "common/base.h"

// One label or annotation, decoded but otherwise as sent. Borrowed text.
struct alert_pair {
    struct str name, value;
};

struct alert_pairs {
    struct alert_pair *items;
    size_t n;
    size_t left_out; // were too many to be taken in
};

enum alert_field {
    FIELD_NAME,
    FIELD_SEVERITY,
    FIELD_SERVICE_NAME,  // names that always mean the service
    FIELD_SERVICE_LABEL, // `service`, which may be the exporter
    FIELD_SERVICE_OTHER, // names that often mean it
    FIELD_WORKLOAD,      // what owns the pod
    FIELD_JOB,
    FIELD_CLUSTER,
    FIELD_NAMESPACE,
    FIELD_POD,
    FIELD_NODE,
    FIELD_ALERTNAME, // the label itself, where FIELD_NAME prefers another
    FIELD_RULE_ID,
    FIELD_RULE_SOURCE,
    FIELD_TEST,
    FIELD_INSTANCE,
    FIELD_TEXT,
    FIELD_RUNBOOK,
    FIELD_VALUE,
    FIELD_COUNT,
};

// The first non-empty one of each, by the order of preference; {NULL, 0} where there is none.
struct alert_fields {
    struct str of[FIELD_COUNT];
};

void alert_fields_of(const struct alert_pairs *labels, const struct alert_pairs *annotations,
                     struct alert_fields *ret_fields);

// The service: the alert's own labels first, then those common to its group. kube-state-metrics
// reports about others: there the workload is the service. May point into one of the fields.
struct str alert_service(const struct alert_fields *own, const struct alert_fields *common);

// The workload that a pod belongs to, from its name: a prefix of it. The pod's name itself when
// nothing looks generated.
struct str alert_pod_owner(struct str pod);
