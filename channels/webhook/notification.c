#include "channels/webhook/notification.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/json_scan.h"
#include "common/text.h"

// Labels, and annotations, of one alert that are taken in at all; identity counts these.
#define PAIRS_MAX 256
#define VALUE_TEXT_MAX 512

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

// A JSON value as text: a string's characters, a number's digits, true and false; nothing for null,
// objects and arrays. Points into the body where it can, else into `out`, which has room.
static struct str text_of(struct buf *out, struct str raw)
{
    if (!raw.n || raw.p[0] == 'n' || raw.p[0] == '{' || raw.p[0] == '[')
        return (struct str){NULL, 0};
    if (raw.p[0] != '"')
        return raw;
    struct str inner = {raw.p + 1, raw.n - 2};
    if (text_plain_len(inner) == inner.n && !memchr(inner.p, '\\', inner.n))
        return inner;
    size_t at = out->len;
    json_scan_text(out, inner);
    return (struct str){out->data + at, out->len - at};
}

static struct str key_text(struct buf *out, struct str key)
{
    return text_of(out, (struct str){key.p - 1, key.n + 2});
}

// How much text_of can make of these bytes: an invalid one becomes three.
static size_t text_room(struct str raw)
{
    return utf8_valid(raw) ? raw.n : raw.n * 3;
}

// Empties out and makes room at once, so that what text_of returned never moves.
static int reserve_text(struct buf *out, size_t room)
{
    buf_clear(out);
    out->max = room + VALUE_TEXT_MAX;
    return buf_reserve(out, out->max) < 0 ? -ENOMEM : 0;
}

static void add_pair(struct alert_pairs *pairs, struct str name, struct str value)
{
    if (pairs->n < PAIRS_MAX)
        pairs->items[pairs->n++] = (struct alert_pair){name, value};
    else
        pairs->left_out++;
}

// The members of a JSON object; one that is null is as good as absent, an object or array is kept
// as its JSON.
static void read_pairs(struct alert_pairs *pairs, struct buf *out, struct str raw)
{
    struct json_scan s;
    struct str key, value;
    json_scan_init(&s, raw, JSON_MAX_DEPTH);
    if (!is_object(raw) || json_scan_enter(&s, '{') < 0)
        return;
    while (json_scan_member(&s, &key, &value) > 0) {
        if (value.p[0] == 'n')
            continue;
        bool nested = value.p[0] == '{' || value.p[0] == '[';
        add_pair(pairs, key_text(out, key), nested ? value : text_of(out, value));
    }
}

// Grafana: {"B": 22, "C": 1} as "B=22, C=1".
static struct str values_text(struct buf *out, struct str raw)
{
    struct json_scan s;
    struct str key, value;
    size_t at = out->len;
    json_scan_init(&s, raw, JSON_MAX_DEPTH);
    if (!is_object(raw) || json_scan_enter(&s, '{') < 0)
        return (struct str){NULL, 0};
    while (json_scan_member(&s, &key, &value) > 0) {
        if (value.n + key.n + 3 > VALUE_TEXT_MAX - (out->len - at) || value.p[0] == '{')
            break;
        buf_adds(out, out->len > at ? ", " : "");
        buf_add(out, key.p, key.n);
        buf_addc(out, '=');
        buf_add(out, value.p, value.n);
    }
    return (struct str){out->data + at, out->len - at};
}

// Pre-8 Grafana: [{"metric": "High", "value": 100, "tags": null}] as "High=100".
static struct str matches_text(struct buf *out, struct str raw)
{
    struct json_scan s;
    struct str item;
    size_t at = out->len;
    json_scan_init(&s, raw, JSON_MAX_DEPTH);
    if (!raw.n || raw.p[0] != '[' || json_scan_enter(&s, '[') < 0)
        return (struct str){NULL, 0};
    while (json_scan_element(&s, &item) > 0) {
        struct json_scan m;
        struct str key, v, metric = {NULL, 0}, value = {NULL, 0};
        json_scan_init(&m, item, JSON_MAX_DEPTH);
        if (!is_object(item) || json_scan_enter(&m, '{') < 0)
            continue;
        while (json_scan_member(&m, &key, &v) > 0) {
            if (str_is(key, "metric") && v.p[0] == '"')
                metric = (struct str){v.p + 1, v.n - 2};
            else if (str_is(key, "value") && v.p[0] != '{' && v.p[0] != '[')
                value = v;
        }
        if (metric.n + value.n + 3 > VALUE_TEXT_MAX - (out->len - at))
            break;
        buf_adds(out, out->len > at ? ", " : "");
        buf_add(out, metric.p, metric.n);
        buf_addc(out, '=');
        buf_add(out, value.p, value.n);
    }
    return (struct str){out->data + at, out->len - at};
}

// s as one clean line in a text of fixed size.
static void keep_clean(char *out, size_t size, struct str s)
{
    struct buf clean = BUF_INIT(size - 1);
    text_clean(&clean, s, size - 40, TEXT_ONE_LINE);
    size_t n = clean.len, from = 0;
    while (n && clean.data[n - 1] == ' ')
        n--;
    while (from < n && clean.data[from] == ' ')
        from++;
    snprintf(out, size, "%.*s", (int)(n - from), buf_cstr(&clean) + from);
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
    else if (is_object(m[MEMBER_LABELS]) || is_object(m[MEMBER_COMMON_LABELS]) ||
             (m[MEMBER_ALERTNAME].n > 2 && m[MEMBER_ALERTNAME].p[0] == '"'))
        n->shape = SHAPE_SINGLE;
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
    struct buf *out = &n->common_decoded;
    size_t room = 0;
    for (size_t i = 0; i < MEMBER_COUNT; i++)
        room += i == MEMBER_ALERTS || i == MEMBER_LABELS ? 0 : text_room(m[i]);
    if (reserve_text(out, room) < 0)
        return -ENOMEM;
    read_pairs(&n->common_labels, out, m[MEMBER_COMMON_LABELS]);
    read_pairs(&n->common_annotations, out, m[MEMBER_COMMON_ANNOTATIONS]);
    n->title = text_of(out, m[MEMBER_TITLE]);
    n->group_status = text_of(out, m[MEMBER_STATUS].n ? m[MEMBER_STATUS] : m[MEMBER_STATE]);
    n->truncated = whole_number(m[MEMBER_TRUNCATED]);
    keep_clean(n->reason_text, sizeof n->reason_text, text_of(out, m[MEMBER_REASON]));
    keep_clean(n->source_text, sizeof n->source_text, n->hints.source);
    if (!n->source_text[0]) {
        struct str key = text_of(out, m[MEMBER_GROUP_KEY]);
        struct str version = text_of(out, m[MEMBER_VERSION]);
        keep_clean(n->source_text, sizeof n->source_text, str_of(envelope_source(n, key, version)));
    }
    return 0;
}

static int alloc_pairs(struct alert_pairs *pairs, size_t count)
{
    pairs->items = malloc(count * sizeof *pairs->items);
    return pairs->items ? 0 : -ENOMEM;
}

static int scan_body(struct notification *n, const char **ret_why)
{
    struct json_scan s;
    json_scan_init(&s, n->body, JSON_MAX_DEPTH);
    char open = json_scan_peek(&s);
    int r = -EINVAL;
    if (open == '{') {
        r = read_members(n, &s);
    } else if (open == '[') {
        n->shape = SHAPE_ARRAY;
        r = json_scan_value(&s, &n->elements);
    } else if (json_scan_value(&s, &n->elements) == 0 && json_scan_end(&s) == 0) {
        return fail(n, ret_why, "expected an object or an array of alerts");
    }
    if (r < 0 || json_scan_end(&s) < 0)
        return fail(n, ret_why, "not JSON at byte %zu: %s", json_scan_offset(&s), s.why);
    return open == '{' ? choose_shape(n, ret_why) : 0;
}

static bool is_empty_array(struct str raw)
{
    struct json_scan s;
    json_scan_init(&s, raw, 1);
    return json_scan_enter(&s, '[') == 0 && json_scan_peek(&s) == ']';
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
    if (n->elements.n && is_empty_array(n->elements))
        return fail(n, ret_why, "%s: holds no alert", n->shape == SHAPE_GROUP ? "alerts" : "body");
    // An alert's own labels get room for the common ones, which it may adopt.
    if (alloc_pairs(&n->labels, PAIRS_MAX * 2) < 0 ||
        alloc_pairs(&n->annotations, PAIRS_MAX * 2) < 0 ||
        alloc_pairs(&n->common_labels, PAIRS_MAX) < 0 ||
        alloc_pairs(&n->common_annotations, PAIRS_MAX) < 0)
        return -ENOMEM;
    json_scan_init(&n->cursor, n->elements, JSON_MAX_DEPTH);
    if (n->elements.n)
        n->cursor.p++; // the bracket; all of it was checked
    return read_envelope(n);
}

void notification_close(struct notification *n)
{
    free(n->labels.items);
    free(n->annotations.items);
    free(n->common_labels.items);
    free(n->common_annotations.items);
    buf_done(&n->decoded);
    buf_done(&n->common_decoded);
    n->labels.items = n->annotations.items = NULL;
    n->common_labels.items = n->common_annotations.items = NULL;
}

enum alert_member {
    ALERT_STATUS,
    ALERT_LABELS,
    ALERT_ANNOTATIONS,
    ALERT_STARTS_AT,
    ALERT_ENDS_AT,
    ALERT_GENERATOR_URL,
    ALERT_FINGERPRINT,
    ALERT_VALUES,
    ALERT_VALUE_STRING,
    ALERT_DASHBOARD_URL,
    ALERT_PANEL_URL,
    ALERT_SILENCE_URL,
    ALERT_MEMBERS,
};

static const char *const alert_member_names[ALERT_MEMBERS] = {
    [ALERT_STATUS] = "status",
    [ALERT_LABELS] = "labels",
    [ALERT_ANNOTATIONS] = "annotations",
    [ALERT_STARTS_AT] = "startsAt",
    [ALERT_ENDS_AT] = "endsAt",
    [ALERT_GENERATOR_URL] = "generatorURL",
    [ALERT_FINGERPRINT] = "fingerprint",
    [ALERT_VALUES] = "values",
    [ALERT_VALUE_STRING] = "valueString",
    [ALERT_DASHBOARD_URL] = "dashboardURL",
    [ALERT_PANEL_URL] = "panelURL",
    [ALERT_SILENCE_URL] = "silenceURL",
};

static void read_alert_members(struct str element, struct str member[ALERT_MEMBERS])
{
    struct json_scan s;
    struct str key, value;
    json_scan_init(&s, element, JSON_MAX_DEPTH);
    int r = json_scan_enter(&s, '{');
    while (r >= 0 && (r = json_scan_member(&s, &key, &value)) > 0) {
        for (size_t i = 0; i < ALERT_MEMBERS; i++) {
            if (!member[i].n && str_is(key, alert_member_names[i]))
                member[i] = value;
        }
    }
}

static bool is_one_of(struct str key, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_is(key, names[i]))
            return true;
    }
    return false;
}

// An alert without `labels`: its own strings are its labels, but for those that are known to be
// prose or to change.
static void read_flat(struct notification *n, struct str element)
{
    static const char *const prose[] = {"summary",   "message", "description", "title",      "text",
                                        "body",      "runbook", "runbook_url", "value",      "time",
                                        "timestamp", "date",    "receiver",    "externalURL"};
    struct json_scan s;
    struct str key, value;
    json_scan_init(&s, element, JSON_MAX_DEPTH);
    int r = json_scan_enter(&s, '{');
    while (r >= 0 && (r = json_scan_member(&s, &key, &value)) > 0) {
        if (value.p[0] == 'n' || value.p[0] == '{' || value.p[0] == '[' ||
            is_one_of(key, alert_member_names, ALERT_MEMBERS) ||
            is_one_of(key, member_names, MEMBER_ALERTNAME))
            continue;
        bool label = value.p[0] == '"' && !is_one_of(key, prose, ARRAY_LEN(prose));
        add_pair(label ? &n->labels : &n->annotations, key_text(&n->decoded, key),
                 text_of(&n->decoded, value));
    }
}

// Grafana before version 8: one alert rule a body.
static void read_legacy(struct notification *n, struct str element, struct alert_raw *raw)
{
    struct json_scan s;
    struct str key, value;
    struct buf *out = &n->decoded;
    json_scan_init(&s, element, JSON_MAX_DEPTH);
    int r = json_scan_enter(&s, '{');
    struct str title = {NULL, 0}, name = {NULL, 0};
    while (r >= 0 && (r = json_scan_member(&s, &key, &value)) > 0) {
        if (str_is(key, "ruleName"))
            name = text_of(out, value);
        else if (str_is(key, "title"))
            title = text_of(out, value);
        else if (str_is(key, "ruleUrl"))
            raw->generator_url = text_of(out, value);
        else if (str_is(key, "message"))
            add_pair(&n->annotations, key, text_of(out, value));
        else if (str_is(key, "evalMatches"))
            add_pair(&n->annotations, str_of("value"), matches_text(out, value));
        else if (str_is(key, "tags"))
            read_pairs(&n->labels, out, value);
        else if (str_is(key, "ruleId") || str_is(key, "dashboardId") || str_is(key, "panelId"))
            add_pair(&n->labels, key, text_of(out, value));
    }
    add_pair(&n->annotations, str_of("title"), title);
    add_pair(&n->labels, str_of("alertname"), name.n ? name : title);
}

// Of what Grafana says beside the annotations, unless they say it themselves.
static void add_annotation(struct notification *n, const char *name, struct str text)
{
    for (size_t i = 0; i < n->annotations.n; i++) {
        if (str_is(n->annotations.items[i].name, name))
            return;
    }
    if (text.n)
        add_pair(&n->annotations, str_of(name), text);
}

static void read_element(struct notification *n, struct str element, const struct str *member,
                         struct alert_raw *raw)
{
    struct buf *out = &n->decoded;
    if (n->shape == SHAPE_LEGACY_GRAFANA) {
        read_legacy(n, element, raw);
        return;
    }
    read_pairs(&n->labels, out, member[ALERT_LABELS]);
    read_pairs(&n->annotations, out, member[ALERT_ANNOTATIONS]);
    if (!is_object(member[ALERT_LABELS]) && n->shape != SHAPE_GROUP)
        read_flat(n, element);
    raw->status = text_of(out, member[ALERT_STATUS]);
    raw->starts_at = text_of(out, member[ALERT_STARTS_AT]);
    raw->ends_at = text_of(out, member[ALERT_ENDS_AT]);
    raw->generator_url = text_of(out, member[ALERT_GENERATOR_URL]);
    raw->fingerprint = text_of(out, member[ALERT_FINGERPRINT]);
    struct str value = values_text(out, member[ALERT_VALUES]);
    add_annotation(n, "value", value.n ? value : text_of(out, member[ALERT_VALUE_STRING]));
    add_annotation(n, "dashboardURL", text_of(out, member[ALERT_DASHBOARD_URL]));
    add_annotation(n, "panelURL", text_of(out, member[ALERT_PANEL_URL]));
}

static bool names_itself(const struct alert_pairs *labels)
{
    for (size_t i = 0; i < labels->n; i++) {
        if (str_is(labels->items[i].name, "alertname") && labels->items[i].value.n)
            return true;
    }
    return false;
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

static int build(struct notification *n, struct str element, const struct str *member,
                 struct alert *a, const char **ret_why)
{
    static const char no_labels[] = ".labels: expected an object";
    struct alert_raw raw = {.source = {NULL, 0}};
    struct str labels = member[ALERT_LABELS];
    if (labels.n && labels.p[0] != 'n' && !is_object(labels))
        return reject(n, ret_why, no_labels);
    n->labels.n = n->annotations.n = n->labels.left_out = n->annotations.left_out = 0;
    if (reserve_text(&n->decoded, text_room(element)) < 0)
        return -ENOMEM;
    read_element(n, element, member, &raw);
    // Alerts of a group may lack anything; a custom array may hold what is no alert at all.
    if (n->shape == SHAPE_ARRAY && !is_object(labels) && !names_itself(&n->labels))
        return reject(n, ret_why, no_labels);
    raw.labels = n->labels;
    raw.annotations = n->annotations;
    raw.common_labels = &n->common_labels;
    raw.common_annotations = &n->common_annotations;
    raw.group_status = n->group_status;
    raw.title = n->title;
    raw.source = alert_source(n, &n->labels,
                              member[ALERT_VALUE_STRING].n || member[ALERT_DASHBOARD_URL].n ||
                                  member[ALERT_SILENCE_URL].n);
    int r = alert_build(a, &raw, n->hints.now_ms);
    return r < 0 ? r : 1;
}

int notification_next(struct notification *n, struct alert *a, const char **ret_why)
{
    struct str member[ALERT_MEMBERS] = {{NULL, 0}};
    struct str element = n->body;
    int r;
    if (n->shape == SHAPE_SINGLE || n->shape == SHAPE_LEGACY_GRAFANA) {
        if (n->index)
            return 0;
    } else if ((r = json_scan_element(&n->cursor, &element)) <= 0) {
        return 0;
    }
    read_alert_members(element, member);
    if (is_object(element))
        r = build(n, element, member, a, ret_why);
    else
        r = reject(n, ret_why, ": expected an object");
    n->index++;
    return r;
}
