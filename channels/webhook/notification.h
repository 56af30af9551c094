#pragma once

// The body of one webhook POST, whoever sent it: Alertmanager (versions 3, 4 and newer), SigNoz,
// Grafana (also before 8), the array of Prometheus and of custom payloads, single alerts written by
// hand. Read one alert at a time, so that a body of thousands needs the memory of one and the work
// can be spread. Pure.

#include "channels/webhook/alert_json.h"

struct notification_hints {
    struct str source;     // what the operator called the sender in the URL; wins over everything
    struct str user_agent; // of the request
    bool prometheus_api;   // POSTed to /api/v2/alerts
    int64_t now_ms;        // wall clock
};

// Members of the body beside the alerts that are of use.
enum notification_member {
    MEMBER_ALERTS,
    MEMBER_STATUS,
    MEMBER_STATE,
    MEMBER_COMMON_LABELS,
    MEMBER_COMMON_ANNOTATIONS,
    MEMBER_GROUP_KEY,
    MEMBER_VERSION,
    MEMBER_ORG_ID,
    MEMBER_TRUNCATED,
    MEMBER_REASON,
    MEMBER_TITLE,
    MEMBER_LABELS,
    MEMBER_ALERTNAME,
    MEMBER_RULE_NAME,
    MEMBER_EVAL_MATCHES,
    MEMBER_COUNT,
};

enum notification_shape {
    SHAPE_GROUP,
    SHAPE_ARRAY,
    SHAPE_SINGLE,
    SHAPE_COMMON_ONLY, // a group that lists no alerts
    SHAPE_LEGACY_GRAFANA,
};

struct notification {
    int64_t truncated;  // alerts that the sender itself cut away (truncatedAlerts)
    const char *reason; // notification_reason, clean; "" if not given
    const char *source; // as far as the envelope tells; each alert has its own

    // Private.
    struct str body;
    struct notification_hints hints;
    struct str member[MEMBER_COUNT]; // raw JSON, borrowed from the body
    enum notification_shape shape;
    struct str elements;     // raw JSON of the array
    struct json_scan cursor; // in elements, or the body
    size_t index;            // of the alert that comes next
    struct alert_json reader;
    struct alert_pairs common_labels, common_annotations;
    struct alert_fields common;
    struct arena common_texts;
    struct str title, group_status;
    char reason_text[128], source_text[104], why[160];
};

// Checks the whole body first, so that one with an error at its end stores nothing. Borrows body
// and the texts of hints until notification_close, which the caller calls in any case. Returns 0;
// -EINVAL with one line that names byte or field in *ret_why (held in n): it is not JSON or holds
// no alert; -ENOMEM.
int notification_open(struct notification *n, struct str body,
                      const struct notification_hints *hints, const char **ret_why) MUST_CHECK;

// The next alert: 1 = into a (alert_init before the first; reused), 0 = that was all, -EINVAL =
// this one is no alert, *ret_why names it, the next call goes on behind it; -ENOMEM.
int notification_next(struct notification *n, struct alert *a, const char **ret_why) MUST_CHECK;

// Where the next alert stands, to come back to it: after a rollback the same part is read again.
struct notification_place {
    struct json_scan cursor;
    size_t index;
};
struct notification_place notification_tell(const struct notification *n);
void notification_seek(struct notification *n, struct notification_place place);

void notification_close(struct notification *n); // fine on a zeroed one
