#include "channels/webhook/alert_json.h"

#include <errno.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/text.h"

#define VALUE_TEXT_MAX 512

enum member {
    STATUS,
    LABELS,
    ANNOTATIONS,
    STARTS_AT,
    ENDS_AT,
    GENERATOR_URL,
    FINGERPRINT,
    VALUES,
    VALUE_STRING,
    DASHBOARD_URL,
    PANEL_URL,
    SILENCE_URL,
    MEMBERS,
};

#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct str member_names[MEMBERS] = {
    [STATUS] = NAME("status"),
    [LABELS] = NAME("labels"),
    [ANNOTATIONS] = NAME("annotations"),
    [STARTS_AT] = NAME("startsAt"),
    [ENDS_AT] = NAME("endsAt"),
    [GENERATOR_URL] = NAME("generatorURL"),
    [FINGERPRINT] = NAME("fingerprint"),
    [VALUES] = NAME("values"),
    [VALUE_STRING] = NAME("valueString"),
    [DASHBOARD_URL] = NAME("dashboardURL"),
    [PANEL_URL] = NAME("panelURL"),
    [SILENCE_URL] = NAME("silenceURL"),
};

// Of an alert that has its labels beside these: prose, and what changes. Never labels.
static const struct str other_names[] = {
    NAME("summary"), NAME("message"), NAME("description"), NAME("title"),       NAME("text"),
    NAME("body"),    NAME("runbook"), NAME("runbook_url"), NAME("value"),       NAME("state"),
    NAME("time"),    NAME("date"),    NAME("timestamp"),   NAME("externalURL"), NAME("receiver"),
};

static size_t find_name(struct str key, const struct str *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (key.n == names[i].n && memcmp(key.p, names[i].p, key.n) == 0)
            return i;
    }
    return count;
}

static bool is_object(struct str value)
{
    return value.n && value.p[0] == '{';
}

static bool is_scalar(struct str value)
{
    return value.n && value.p[0] != 'n' && value.p[0] != '{' && value.p[0] != '[';
}

int alert_json_init(struct alert_json *j)
{
    *j = (struct alert_json){.arena = {.chunks = NULL}};
    // An alert's own labels get room for the common ones, which it may adopt.
    j->labels.items = malloc(2 * ALERT_JSON_PAIRS * sizeof *j->labels.items);
    j->annotations.items = malloc(ALERT_JSON_PAIRS * sizeof *j->annotations.items);
    return j->labels.items && j->annotations.items ? 0 : -ENOMEM;
}

void alert_json_done(struct alert_json *j)
{
    free(j->labels.items);
    free(j->annotations.items);
    arena_done(&j->arena);
    j->labels.items = j->annotations.items = NULL;
}

// A buffer over arena memory: it never grows, so its bytes never move. n at least 1.
static struct buf begin_text(struct arena *a, size_t n)
{
    char *p = arena_reserve(a, n + 1);
    return p ? (struct buf){.data = p, .cap = n + 1, .max = n} : (struct buf){.error = -ENOMEM};
}

static struct str end_text(struct arena *a, const struct buf *b)
{
    if (!b->data)
        return (struct str){NULL, 0};
    arena_keep(a, b->len + 1);
    return buf_str(b);
}

struct str alert_json_text(struct arena *a, struct str value)
{
    if (!is_scalar(value))
        return (struct str){NULL, 0};
    if (value.p[0] != '"')
        return value;
    struct str inner = {value.p + 1, value.n - 2};
    if (text_plain_len(inner) == inner.n && !memchr(inner.p, '\\', inner.n))
        return inner;
    struct buf text = begin_text(a, inner.n * 3); // an invalid byte becomes three
    json_scan_text(&text, inner);
    return end_text(a, &text);
}

static struct str key_text(struct arena *a, struct str key)
{
    return alert_json_text(a, (struct str){key.p - 1, key.n + 2});
}

static void add_pair(struct alert_pairs *pairs, struct str name, struct str value)
{
    if (pairs->n < ALERT_JSON_PAIRS)
        pairs->items[pairs->n++] = (struct alert_pair){name, value};
    else
        pairs->left_out++;
}

// The object at the cursor. A member that is null is as good as absent, an object or array is kept
// as its JSON.
static void scan_pairs(struct arena *a, struct json_scan *s, struct alert_pairs *pairs)
{
    struct str key, value;
    int r = json_scan_enter(s, '{');
    while (r >= 0 && (r = json_scan_member(s, &key, &value)) > 0) {
        if (value.p[0] != 'n')
            add_pair(pairs, key_text(a, key), is_scalar(value) ? alert_json_text(a, value) : value);
    }
}

void alert_json_pairs(struct arena *a, struct str object, struct alert_pairs *pairs)
{
    struct json_scan s;
    json_scan_init(&s, object, JSON_MAX_DEPTH);
    if (is_object(object))
        scan_pairs(a, &s, pairs);
}

// "name=value" behind what is there, if it fits.
static void add_value(struct buf *out, struct str name, struct str value)
{
    if (name.n + value.n + 3 > out->max - out->len)
        return;
    buf_adds(out, out->len ? ", " : "");
    buf_add(out, name.p, name.n);
    buf_addc(out, '=');
    buf_add(out, value.p, value.n);
}

// Grafana: {"B": 22, "C": 1} as "B=22, C=1".
static struct str values_text(struct arena *a, struct str object)
{
    struct json_scan s;
    struct str key, value;
    json_scan_init(&s, object, JSON_MAX_DEPTH);
    if (!is_object(object) || json_scan_enter(&s, '{') < 0)
        return (struct str){NULL, 0};
    struct buf out = begin_text(a, VALUE_TEXT_MAX);
    while (!out.error && json_scan_member(&s, &key, &value) > 0) {
        if (is_scalar(value))
            add_value(&out, key, value);
    }
    return end_text(a, &out);
}

// Grafana before version 8: [{"metric": "High", "value": 100, "tags": null}] as "High=100".
static struct str matches_text(struct arena *a, struct str array)
{
    struct json_scan s;
    struct str item;
    json_scan_init(&s, array, JSON_MAX_DEPTH);
    if (!array.n || array.p[0] != '[' || json_scan_enter(&s, '[') < 0)
        return (struct str){NULL, 0};
    struct buf out = begin_text(a, VALUE_TEXT_MAX);
    while (!out.error && json_scan_element(&s, &item) > 0) {
        struct json_scan m;
        struct str key, v, metric = {NULL, 0}, value = {NULL, 0};
        json_scan_init(&m, item, JSON_MAX_DEPTH);
        if (!is_object(item) || json_scan_enter(&m, '{') < 0)
            continue;
        while (json_scan_member(&m, &key, &v) > 0) {
            if (str_is(key, "metric") && v.p[0] == '"')
                metric = (struct str){v.p + 1, v.n - 2};
            else if (str_is(key, "value") && is_scalar(v))
                value = v;
        }
        add_value(&out, metric, value);
    }
    return end_text(a, &out);
}

// An alert without `labels`: its own strings are its labels, but for those known to be something
// else.
static void read_flat(struct alert_json *j, struct str element)
{
    struct json_scan s;
    struct str key, value;
    json_scan_init(&s, element, JSON_MAX_DEPTH);
    int r = json_scan_enter(&s, '{');
    while (r >= 0 && (r = json_scan_member(&s, &key, &value)) > 0) {
        if (!is_scalar(value) || find_name(key, member_names, MEMBERS) < MEMBERS)
            continue;
        bool other = find_name(key, other_names, ARRAY_LEN(other_names)) < ARRAY_LEN(other_names);
        add_pair(value.p[0] == '"' && !other ? &j->labels : &j->annotations,
                 key_text(&j->arena, key), alert_json_text(&j->arena, value));
    }
}

// The alert's name is its rule's; the state is the envelope's business.
static void read_legacy(struct alert_json *j, struct json_scan *s, struct alert_raw *raw)
{
    struct arena *a = &j->arena;
    struct str key, value, title = {NULL, 0}, name = {NULL, 0};
    int r = json_scan_enter(s, '{');
    while (r >= 0 && (r = json_scan_member(s, &key, &value)) > 0) {
        if (str_is(key, "ruleName"))
            name = alert_json_text(a, value);
        else if (str_is(key, "title"))
            title = alert_json_text(a, value);
        else if (str_is(key, "ruleUrl"))
            raw->generator_url = alert_json_text(a, value);
        else if (str_is(key, "message"))
            add_pair(&j->annotations, key, alert_json_text(a, value));
        else if (str_is(key, "evalMatches"))
            add_pair(&j->annotations, str_of("value"), matches_text(a, value));
        else if (str_is(key, "tags"))
            alert_json_pairs(a, value, &j->labels);
        else if (str_is(key, "ruleId") || str_is(key, "dashboardId") || str_is(key, "panelId"))
            add_pair(&j->labels, key, alert_json_text(a, value));
    }
    add_pair(&j->annotations, str_of("title"), title);
    add_pair(&j->labels, str_of("alertname"), name.n ? name : title);
}

// Of what Grafana says beside the annotations, unless they say it themselves.
static void add_annotation(struct alert_json *j, enum member which, const char *name,
                           struct str text)
{
    struct str wanted = name ? str_of(name) : member_names[which];
    for (size_t i = 0; i < j->annotations.n && text.n; i++) {
        struct str have = j->annotations.items[i].name;
        if (have.n == wanted.n && memcmp(have.p, wanted.p, have.n) == 0)
            return;
    }
    if (text.n)
        add_pair(&j->annotations, wanted, text);
}

// Labels and annotations are read where they stand; of the other members the slices are kept. Of a
// member that comes twice the first counts.
static void scan_members(struct alert_json *j, struct json_scan *s, struct str member[MEMBERS])
{
    struct str key, value;
    int r = json_scan_enter(s, '{');
    while (r >= 0 && (r = json_scan_key(s, &key)) > 0) {
        size_t i = find_name(key, member_names, MEMBERS);
        bool wanted = i < MEMBERS && !member[i].n;
        if (wanted && (i == LABELS || i == ANNOTATIONS) && json_scan_peek(s) == '{') {
            member[i] = (struct str){s->p, 1};
            scan_pairs(&j->arena, s, i == LABELS ? &j->labels : &j->annotations);
        } else if ((r = json_scan_value(s, &value)) == 0 && wanted) {
            member[i] = value;
        }
    }
}

static bool names_itself(const struct alert_pairs *labels)
{
    for (size_t i = 0; i < labels->n; i++) {
        if (str_is(labels->items[i].name, "alertname") && labels->items[i].value.n)
            return true;
    }
    return false;
}

static int read_members(struct alert_json *j, struct json_scan *s, enum alert_json_kind kind,
                        struct alert_raw *raw, bool *ret_grafana)
{
    struct arena *a = &j->arena;
    struct str member[MEMBERS] = {{NULL, 0}};
    json_scan_peek(s);
    const char *begin = s->p;
    scan_members(j, s, member);
    struct str labels = member[LABELS];
    if (labels.n && labels.p[0] != 'n' && !is_object(labels))
        return -EINVAL;
    if (kind == ALERT_JSON_FREE && !is_object(labels)) {
        read_flat(j, (struct str){begin, (size_t)(s->p - begin)});
        if (!names_itself(&j->labels))
            return -EINVAL;
    }
    raw->status = alert_json_text(a, member[STATUS]);
    raw->starts_at = alert_json_text(a, member[STARTS_AT]);
    raw->ends_at = alert_json_text(a, member[ENDS_AT]);
    raw->generator_url = alert_json_text(a, member[GENERATOR_URL]);
    raw->fingerprint = alert_json_text(a, member[FINGERPRINT]);
    struct str value = values_text(a, member[VALUES]);
    value = value.n ? value : alert_json_text(a, member[VALUE_STRING]);
    add_annotation(j, VALUES, "value", value);
    add_annotation(j, DASHBOARD_URL, NULL, alert_json_text(a, member[DASHBOARD_URL]));
    add_annotation(j, PANEL_URL, NULL, alert_json_text(a, member[PANEL_URL]));
    *ret_grafana = member[VALUE_STRING].n || member[DASHBOARD_URL].n || member[SILENCE_URL].n;
    return 0;
}

int alert_json_read(struct alert_json *j, struct json_scan *s, enum alert_json_kind kind,
                    struct alert_raw *raw, bool *ret_grafana)
{
    int r = 0;
    bool grafana = true;
    arena_reset(&j->arena);
    j->labels.n = j->annotations.n = j->labels.left_out = j->annotations.left_out = 0;
    if (kind == ALERT_JSON_LEGACY)
        read_legacy(j, s, raw);
    else
        r = read_members(j, s, kind, raw, &grafana);
    if (j->arena.failed)
        return -ENOMEM;
    if (r < 0)
        return r;
    raw->labels = j->labels;
    raw->annotations = j->annotations;
    *ret_grafana = grafana;
    return 0;
}
