#pragma once

// One alert's JSON, whoever wrote it, as an alert_raw: labels, annotations and the members beside
// them, straight from the body. What the text means is alert.c's business, which bodies there are
// notification.c's. Pure.

#include "channels/webhook/alert.h"
#include "common/arena.h"
#include "common/json_scan.h"

// Labels, and annotations, of one alert that are taken in at all; identity counts these.
#define ALERT_JSON_PAIRS 256

enum alert_json_kind {
    ALERT_JSON_GROUPED, // an element of `alerts`: may lack anything
    ALERT_JSON_FREE,    // may also have its labels beside the other members
    ALERT_JSON_LEGACY,  // Grafana before version 8: a rule
};

struct alert_json { // memory kept from alert to alert
    struct alert_pairs labels, annotations;
    struct arena arena;
};

int alert_json_init(struct alert_json *j) MUST_CHECK; // 0 or -ENOMEM
void alert_json_done(struct alert_json *j);           // fine on a zeroed one

// Reads the object at the cursor, whose grammar has been checked, and leaves the cursor behind it.
// Fills labels, annotations and the alert's own texts of raw; they point into the scanned text and
// into j until the next call. *ret_grafana: it has members that only Grafana writes. 0; -EINVAL:
// `labels` is no object, or a free alert does not say what it is; -ENOMEM.
int alert_json_read(struct alert_json *j, struct json_scan *s, enum alert_json_kind kind,
                    struct alert_raw *raw, bool *ret_grafana) MUST_CHECK;

// A JSON value as text: a string's characters, a number's digits, true, false; {NULL, 0} for null,
// objects and arrays.
struct str alert_json_text(struct arena *a, struct str value);

// The members of a JSON object as pairs, up to ALERT_JSON_PAIRS; nothing if it is none.
void alert_json_pairs(struct arena *a, struct str object, struct alert_pairs *pairs);
