#pragma once

// The normalised alert: what every sender's alert becomes. Its texts are clean (valid UTF-8,
// nothing invisible), free of secrets and capped; its identity is computed from what was really
// sent. Pure.

#include "channels/webhook/alert_fields.h"
#include "common/buf.h"

enum alert_severity { // worst last
    SEVERITY_UNKNOWN,
    SEVERITY_INFO,
    SEVERITY_WARNING,
    SEVERITY_ERROR,
    SEVERITY_CRITICAL,
};
const char *severity_name(enum alert_severity s);
enum alert_severity
severity_parse(struct str text); // any case; what is not known is SEVERITY_UNKNOWN

// Caps, in bytes of clean text, and in entries.
#define ALERT_NAME_MAX 256 // alertname, service, cluster, ...
#define ALERT_SUMMARY_MAX 1024
#define ALERT_URL_MAX 2048
#define ALERT_LABEL_MAX 1024
#define ALERT_ANNOTATION_MAX 4096
#define ALERT_KEY_MAX 128
#define ALERT_PAIRS_MAX 64           // labels, and annotations, that are kept
#define ALERT_LABELS_MAX (16u << 10) // bytes of their JSON text
#define ALERT_ANNOTATIONS_MAX (32u << 10)

struct alert {
    // Never NULL: "" where the sender says nothing. They live until the next alert_build or
    // alert_done.
    const char *source, *fingerprint; // together its identity
    const char *alertname;
    const char *severity_raw; // as sent
    const char *cluster, *namespace, *service, *pod, *node;
    const char *summary, *runbook, *value, *generator_url;
    const char *labels, *annotations; // JSON objects of strings
    const char *cut;                  // what the caps left out, in words
    enum alert_severity severity;
    bool resolved;              // else it fires
    bool test;                  // somebody pressed a test button
    int64_t starts_at, ends_at; // wall ms; 0 = not known, or not over

    // Private: memory kept from alert to alert.
    struct buf text, clean, masked;
    struct {
        char text[31];
        unsigned char n;
    } names[32];            // of labels and annotations: seen before and harmless
    const char *intact[16]; // texts of this alert that need no cleaning, by address
    size_t n_intact;
};

// One alert as sent; everything borrowed, for the call only. Empty strings where the sender says
// nothing.
struct alert_raw {
    struct alert_pairs labels, annotations; // sorted in place by the call
    const struct alert_pairs *common_labels;
    const struct alert_fields *common; // of the group's common labels and annotations
    struct str status, group_status;
    struct str starts_at, ends_at; // RFC 3339, or seconds or milliseconds since 1970
    struct str generator_url, fingerprint, title;
    struct str source;
};

void alert_init(struct alert *a);
void alert_done(struct alert *a);

// Fills a from raw. `labels.items` must have room for the common labels as well: where an alert
// does not name itself, they count as its own. Returns 0 or -ENOMEM.
int alert_build(struct alert *a, struct alert_raw *raw, int64_t now_ms) MUST_CHECK;

// FNV-1a 64 over the labels as Alertmanager computes it (prometheus/common, model/signature.go):
// name, 0xff, value, 0xff, sorted by name. Sorts in place and drops repeated names.
uint64_t alert_fingerprint(struct alert_pairs *labels);
