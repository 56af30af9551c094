#include "channels/webhook/notification.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/redact.h"
#include "common/text.h"

static const char *const member_names[MEMBER_COUNT] = {
    [MEMBER_ALERTS] = "alerts",
    [MEMBER_STATUS] = "status",
    [MEMBER_STATE] = "state",
    [MEMBER_COMMON_LABELS] = "commonLabels",
    [MEMBER_COMMON_ANNOTATIONS] = "commonAnnotations",
    [MEMBER_GROUP_KEY] = "groupKey",
    [MEMBER_VERSION] = "version",
    [MEMBER_ORG_ID] = "orgId",
    [MEMBER_TRUNCATED] = "truncatedAlerts",
    [MEMBER_REASON] = "notification_reason",
    [MEMBER_TITLE] = "title",
    [MEMBER_LABELS] = "labels",
    [MEMBER_ALERTNAME] = "alertname",
    [MEMBER_RULE_NAME] = "ruleName",
    [MEMBER_EVAL_MATCHES] = "evalMatches",
};

static int fail(struct notification *n, const char **ret_why, const char *format, ...)
    PRINTF_LIKE(3, 4);

static int fail(struct notification *n, const char **ret_why, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(n->why, sizeof n->why, format, args);
    va_end(args);
    *ret_why = n->why;
    return -EINVAL;
}

static bool is_object(struct str raw)
{
    return raw.n && raw.p[0] == '{';
}

// s as one clean line in a text of fixed size.
static void keep_clean(char *out, size_t size, struct str s)
{
    out[0] = '\0';
    if (!s.n)
        return;
    struct buf clean = BUF_INIT(size - 1), masked = BUF_INIT(size - 1);
    text_clean(&clean, s, size - 40, TEXT_ONE_LINE);
    redact(&masked, buf_str(&clean));
    size_t n = masked.len, from = 0;
    while (n && masked.data[n - 1] == ' ')
        n--;
    while (from < n && masked.data[from] == ' ')
        from++;
    snprintf(out, size, "%.*s", (int)(n - from), buf_cstr(&masked) + from);
    buf_done(&masked);
    buf_done(&clean);
}

// What the envelope itself says of its sender; "" if nothing.
static const char *envelope_source(const struct notification *n, struct str group_key,
                                   struct str version)
{
    static const char signoz_mark[] = "{__receiver__=";
    const struct str *m = n->member;
    if (group_key.n >= sizeof signoz_mark - 1 &&
        memcmp(group_key.p, signoz_mark, sizeof signoz_mark - 1) == 0)
        return "signoz";
    if (n->shape == SHAPE_LEGACY_GRAFANA || m[MEMBER_ORG_ID].n || str_is(version, "1"))
        return "grafana";
    return "";
}

static bool agent_is(const struct notification *n, const char *name)
{
    size_t len = strlen(name);
    struct str agent = n->hints.user_agent;
    return agent.n >= len && text_equal_nocase((struct str){agent.p, len}, name);
}

static const char *fallback_source(const struct notification *n)
{
    if (n->hints.prometheus_api || agent_is(n, "Prometheus/"))
        return "prometheus";
    if (agent_is(n, "Grafana"))
        return "grafana";
    if (n->member[MEMBER_GROUP_KEY].n || agent_is(n, "Alertmanager/"))
        return "alertmanager";
    return "unknown";
}

static struct str alert_source(const struct notification *n, const struct alert_pairs *labels,
                               bool grafana_members)
{
    bool id = false, source = false, button = false;
    if (n->source_text[0])
        return str_of(n->source_text);
    for (size_t i = 0; i < labels->n; i++) {
        const struct alert_pair *p = &labels->items[i];
        id |= str_is(p->name, "ruleId");
        source |= str_is(p->name, "ruleSource");
        button |= str_is(p->name, "alertname") && p->value.n > 12 &&
                  memcmp(p->value.p, "Test Alert (", 12) == 0;
    }
    if ((id && source) || button)
        return str_of("signoz");
    return str_of(grafana_members ? "grafana" : fallback_source(n));
}

static int read_members(struct notification *n, struct json_scan *s)
{
    struct str key, value;
    int r = json_scan_enter(s, '{');
    while (r >= 0 && (r = json_scan_member(s, &key, &value)) > 0) {
        for (size_t i = 0; i < MEMBER_COUNT; i++) {
            if (!n->member[i].n && str_is(key, member_names[i]))
                n->member[i] = value;
        }
    }
    return r;
}

static int choose_shape(struct notification *n, const char **ret_why)
{
    const struct str *m = n->member;
    bool has_title = m[MEMBER_TITLE].n && m[MEMBER_TITLE].p[0] == '"';
    if (m[MEMBER_ALERTS].n && m[MEMBER_ALERTS].p[0] != 'n') {
        n->shape = SHAPE_GROUP;
        n->elements = m[MEMBER_ALERTS];
        return m[MEMBER_ALERTS].p[0] == '[' ? 0 : fail(n, ret_why, "alerts: expected an array");
    }
    if (m[MEMBER_RULE_NAME].n || m[MEMBER_EVAL_MATCHES].n || (has_title && m[MEMBER_STATE].n))
        n->shape = SHAPE_LEGACY_GRAFANA;
    else if (is_object(m[MEMBER_LABELS]) ||
             (m[MEMBER_ALERTNAME].n > 2 && m[MEMBER_ALERTNAME].p[0] == '"'))
        n->shape = SHAPE_SINGLE;
    else if (is_object(m[MEMBER_COMMON_LABELS]))
        n->shape = SHAPE_COMMON_ONLY;
    else if (m[MEMBER_LABELS].n)
        return fail(n, ret_why, "labels: expected an object");
    else
        return fail(n, ret_why, "no alert in it: expected alerts, labels or alertname");
    return 0;
}

static int64_t whole_number(struct str raw)
{
    int64_t v = 0;
    for (size_t i = 0; i < raw.n && i < 15; i++) {
        if (raw.p[i] < '0' || raw.p[i] > '9')
            return 0;
        v = v * 10 + (raw.p[i] - '0');
    }
    return v;
}

static int read_envelope(struct notification *n)
{
    const struct str *m = n->member;
    struct arena *texts = &n->common_texts;
    alert_json_pairs(texts, m[MEMBER_COMMON_LABELS], &n->common_labels);
    alert_json_pairs(texts, m[MEMBER_COMMON_ANNOTATIONS], &n->common_annotations);
    alert_fields_of(&n->common_labels, &n->common_annotations, &n->common);
    n->title = alert_json_text(texts, m[MEMBER_TITLE]);
    n->group_status = alert_json_text(texts, m[m[MEMBER_STATUS].n ? MEMBER_STATUS : MEMBER_STATE]);
    n->truncated = whole_number(m[MEMBER_TRUNCATED]);
    keep_clean(n->reason_text, sizeof n->reason_text, alert_json_text(texts, m[MEMBER_REASON]));
    keep_clean(n->source_text, sizeof n->source_text, n->hints.source);
    if (!n->source_text[0]) {
        struct str key = alert_json_text(texts, m[MEMBER_GROUP_KEY]);
        struct str version = alert_json_text(texts, m[MEMBER_VERSION]);
        snprintf(n->source_text, sizeof n->source_text, "%s", envelope_source(n, key, version));
    }
    return texts->failed ? -ENOMEM : 0;
}

// Finds the members of the body, or its array, checking the grammar of all of it.
static int scan_body(struct notification *n, const char **ret_why)
{
    struct json_scan s;
    json_scan_init(&s, n->body, JSON_MAX_DEPTH);
    char open = json_scan_peek(&s);
    int r;
    if (open == '{') {
        r = read_members(n, &s);
    } else {
        n->shape = SHAPE_ARRAY;
        r = json_scan_value(&s, &n->elements);
    }
    if (r < 0 || json_scan_end(&s) < 0)
        return fail(n, ret_why, "not JSON at byte %zu: %s", json_scan_offset(&s), s.why);
    if (open == '{')
        return choose_shape(n, ret_why);
    return open == '[' ? 0 : fail(n, ret_why, "expected an object or an array of alerts");
}

static int alloc_common(struct notification *n)
{
    n->common_labels.items = malloc(ALERT_JSON_PAIRS * sizeof *n->common_labels.items);
    n->common_annotations.items = malloc(ALERT_JSON_PAIRS * sizeof *n->common_annotations.items);
    return n->common_labels.items && n->common_annotations.items ? 0 : -ENOMEM;
}

int notification_open(struct notification *n, struct str body,
                      const struct notification_hints *hints, const char **ret_why)
{
    *n = (struct notification){.hints = *hints};
    n->reason = n->reason_text;
    n->source = n->source_text;
    if (body.n >= 3 && memcmp(body.p, "\xef\xbb\xbf", 3) == 0)
        body = (struct str){body.p + 3, body.n - 3}; // a byte order mark
    n->body = body;
    int r = scan_body(n, ret_why);
    if (r < 0)
        return r;
    json_scan_init(&n->cursor, n->elements.n ? n->elements : body, JSON_MAX_DEPTH);
    if (n->elements.n && json_scan_enter(&n->cursor, '[') == 0 && json_scan_peek(&n->cursor) == ']')
        return fail(n, ret_why, "%s: holds no alert", n->shape == SHAPE_GROUP ? "alerts" : "body");
    if (alert_json_init(&n->reader) < 0 || alloc_common(n) < 0)
        return -ENOMEM;
    return read_envelope(n);
}

struct notification_place notification_tell(const struct notification *n)
{
    return (struct notification_place){.cursor = n->cursor, .index = n->index};
}

void notification_seek(struct notification *n, struct notification_place place)
{
    n->cursor = place.cursor;
    n->index = place.index;
}

void notification_close(struct notification *n)
{
    alert_json_done(&n->reader);
    free(n->common_labels.items);
    free(n->common_annotations.items);
    arena_done(&n->common_texts);
    n->common_labels.items = n->common_annotations.items = NULL;
}

// Says what is wrong with an element, and which one it is.
static int reject(struct notification *n, const char **ret_why, const char *what)
{
    if (n->shape == SHAPE_GROUP)
        return fail(n, ret_why, "alerts[%zu]%s", n->index, what);
    if (n->shape == SHAPE_ARRAY)
        return fail(n, ret_why, "[%zu]%s", n->index, what);
    return fail(n, ret_why, "%s", what[0] == '.' ? what + 1 : what);
}

// The object at the cursor.
static int read_alert(struct notification *n, struct alert *a, const char **ret_why)
{
    static const enum alert_json_kind kinds[] = {
        [SHAPE_GROUP] = ALERT_JSON_GROUPED,         [SHAPE_ARRAY] = ALERT_JSON_FREE,
        [SHAPE_SINGLE] = ALERT_JSON_FREE,           [SHAPE_COMMON_ONLY] = ALERT_JSON_GROUPED,
        [SHAPE_LEGACY_GRAFANA] = ALERT_JSON_LEGACY,
    };
    struct alert_raw raw = {.source = {NULL, 0}};
    bool grafana;
    int r = alert_json_read(&n->reader, &n->cursor, kinds[n->shape], &raw, &grafana);
    if (r == -EINVAL)
        return reject(n, ret_why, ".labels: expected an object");
    if (r < 0)
        return r;
    raw.common_labels = &n->common_labels;
    raw.common = &n->common;
    raw.group_status = n->group_status;
    raw.title = n->title;
    raw.source = alert_source(n, &raw.labels, grafana);
    r = alert_build(a, &raw, n->hints.now_ms);
    return r < 0 ? r : 1;
}

int notification_next(struct notification *n, struct alert *a, const char **ret_why)
{
    struct str other;
    int r;
    if (!n->elements.n) {
        if (n->index)
            return 0;
    } else if (json_scan_item(&n->cursor) <= 0) {
        return 0;
    }
    if (json_scan_peek(&n->cursor) == '{')
        r = read_alert(n, a, ret_why);
    else if (json_scan_value(&n->cursor, &other) < 0)
        r = 0; // not reached: the body was checked
    else
        r = reject(n, ret_why, ": expected an object");
    n->index++;
    return r;
}
