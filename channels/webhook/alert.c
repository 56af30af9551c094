#include "channels/webhook/alert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/redact.h"
#include "common/text.h"

// All of an alert's texts together stay below it, so that its memory is reserved once and never
// moves.
#define TEXT_MAX (ALERT_LABELS_MAX + ALERT_ANNOTATIONS_MAX + (16u << 10))
// What is looked at of one text, before it is masked and then cut to its cap.
#define LOOK_MAX (64u << 10)
#define SAFE_NAME_SIZE (ALERT_KEY_MAX + 64) // with the note of what was cut
#define FINGERPRINT_MAX 128
#define SOURCE_MAX 64
#define VALUE_MAX 512

static const char *const severity_names[] = {"unknown", "info", "warning", "error", "critical"};

static const struct {
    const char *word;
    enum alert_severity severity;
} severity_words[] = {
    {"critical", SEVERITY_CRITICAL},  {"warning", SEVERITY_WARNING},
    {"info", SEVERITY_INFO},          {"error", SEVERITY_ERROR},
    {"page", SEVERITY_CRITICAL},      {"p1", SEVERITY_CRITICAL},
    {"sev1", SEVERITY_CRITICAL},      {"fatal", SEVERITY_CRITICAL},
    {"emergency", SEVERITY_CRITICAL}, {"high", SEVERITY_ERROR},
    {"p2", SEVERITY_ERROR},           {"warn", SEVERITY_WARNING},
    {"p3", SEVERITY_WARNING},         {"low", SEVERITY_INFO},
    {"none", SEVERITY_INFO},          {"p4", SEVERITY_INFO},
};

const char *severity_name(enum alert_severity s)
{
    return severity_names[s];
}

enum alert_severity severity_parse(struct str text)
{
    while (text.n && text.p[0] == ' ')
        text = (struct str){text.p + 1, text.n - 1};
    while (text.n && text.p[text.n - 1] == ' ')
        text.n--;
    for (size_t i = 0; i < ARRAY_LEN(severity_words); i++) {
        if (text_equal_nocase(text, severity_words[i].word))
            return severity_words[i].severity;
    }
    return SEVERITY_UNKNOWN;
}

static int compare_str(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n ? memcmp(a.p, b.p, n) : 0;
    return r ? r : (a.n > b.n) - (a.n < b.n);
}

static int compare_pairs(const void *a, const void *b)
{
    const struct alert_pair *x = a, *y = b;
    int r = compare_str(x->name, y->name);
    return r ? r : compare_str(x->value, y->value);
}

static void sort_pairs(struct alert_pairs *pairs)
{
    size_t n = 1;
    while (n < pairs->n && compare_str(pairs->items[n - 1].name, pairs->items[n].name) < 0)
        n++;
    if (n >= pairs->n) // senders write them sorted
        return;
    qsort(pairs->items, pairs->n, sizeof *pairs->items, compare_pairs);
    n = 1;
    for (size_t i = 1; i < pairs->n; i++) {
        if (compare_str(pairs->items[n - 1].name, pairs->items[i].name) != 0)
            pairs->items[n++] = pairs->items[i];
    }
    pairs->n = n;
}

static uint64_t fnv1a(uint64_t h, struct str s)
{
    const uint64_t prime = UINT64_C(1099511628211);
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * prime;
    return (h ^ 0xff) * prime;
}

uint64_t alert_fingerprint(struct alert_pairs *labels)
{
    sort_pairs(labels);
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < labels->n; i++)
        h = fnv1a(fnv1a(h, labels->items[i].name), labels->items[i].value);
    return h;
}

void alert_init(struct alert *a)
{
    *a = (struct alert){
        .text = BUF_INIT(TEXT_MAX),
        .clean = BUF_INIT(LOOK_MAX * 2),
        .masked = BUF_INIT(LOOK_MAX * 16),
    };
}

void alert_done(struct alert *a)
{
    buf_done(&a->text);
    buf_done(&a->clean);
    buf_done(&a->masked);
}

// s as clean text without secrets, at most cap bytes of it. Valid until the next call.
static struct str safe(struct alert *a, struct str s, size_t cap, unsigned flags)
{
    size_t sent = s.n;
    if (text_plain_len(s) != s.n || s.n > LOOK_MAX || text_frame_at(s) < s.n) {
        buf_clear(&a->clean);
        text_clean(&a->clean, s, LOOK_MAX, flags);
        s = buf_str(&a->clean);
    }
    buf_clear(&a->masked);
    if (redact(&a->masked, s) != 0)
        s = buf_str(&a->masked);
    if (s.n <= cap)
        return s;
    size_t keep = utf8_prefix(s, cap);
    if (s.p != a->masked.data) {
        buf_clear(&a->masked);
        buf_add(&a->masked, s.p, keep);
    }
    buf_truncate(&a->masked, keep);
    buf_addf(&a->masked, "... (%zu bytes left out)", sent > keep ? sent - keep : s.n - keep);
    return buf_str(&a->masked);
}

static const char *store(struct alert *a, struct str s)
{
    size_t at = a->text.len;
    buf_add(&a->text, s.p, s.n);
    buf_addc(&a->text, '\0');
    return a->text.error ? "" : a->text.data + at;
}

struct pairs_rule {
    size_t json_max, value_max;
    unsigned flags;
    bool skip_private;
};

static const struct pairs_rule label_rule = {ALERT_LABELS_MAX, ALERT_LABEL_MAX, TEXT_ONE_LINE,
                                             false};
static const struct pairs_rule annotation_rule = {ALERT_ANNOTATIONS_MAX, ALERT_ANNOTATION_MAX, 0,
                                                  true};

static const char *store_safe(struct alert *a, struct str s, size_t cap)
{
    if (!s.n)
        return "";
    struct str kept = safe(a, s, cap, TEXT_ONE_LINE);
    // Most fields are labels too, and come by again.
    if (kept.p == s.p && a->n_intact < ARRAY_LEN(a->intact))
        a->intact[a->n_intact++] = s.p;
    return store(a, kept);
}

static struct str safe_value(struct alert *a, struct str value, const struct pairs_rule *rule)
{
    for (size_t i = 0; i < a->n_intact && value.n; i++) {
        if (a->intact[i] == value.p)
            return value;
    }
    return safe(a, value, rule->value_max, rule->flags);
}

// The name of a label or annotation made safe, in `out`; says whether what it names is a secret.
// The few names that all alerts share are looked at once.
static struct str safe_name(struct alert *a, struct str name, char out[SAFE_NAME_SIZE],
                            bool *ret_secret)
{
    size_t slot = (name.n * 7 + (unsigned char)name.p[0] + (unsigned char)name.p[name.n - 1]) %
                  ARRAY_LEN(a->names);
    *ret_secret = false;
    if (a->names[slot].n == name.n && memcmp(a->names[slot].text, name.p, name.n) == 0)
        return name;
    struct str kept = safe(a, name, ALERT_KEY_MAX, TEXT_ONE_LINE);
    *ret_secret = redact_is_secret_name(kept);
    if (kept.p != name.p) {
        size_t n = kept.n < SAFE_NAME_SIZE ? kept.n : SAFE_NAME_SIZE;
        if (n) // nothing is left of a name of invisible characters
            memcpy(out, kept.p, n);
        return (struct str){out, n};
    }
    if (!*ret_secret && name.n <= sizeof a->names[slot].text) {
        memcpy(a->names[slot].text, name.p, name.n);
        a->names[slot].n = (unsigned char)name.n;
    }
    return name;
}

// A member costs at most twice its bytes: clean text holds nothing that takes a \u escape.
static bool add_pair(struct alert *a, struct jw *w, const struct alert_pair *p, size_t start,
                     const struct pairs_rule *rule)
{
    char buffer[SAFE_NAME_SIZE];
    bool secret;
    struct str name = safe_name(a, p->name, buffer, &secret);
    struct str value =
        secret && p->value.n ? str_of("[redacted:secret]") : safe_value(a, p->value, rule);
    if (a->text.len - start + 2 * (name.n + value.n) + 8 > rule->json_max)
        return false;
    jw_keyn(w, name);
    jw_strn(w, value);
    return true;
}

static const char *store_pairs(struct alert *a, const struct alert_pairs *pairs,
                               const struct pairs_rule *rule, size_t *ret_left_out)
{
    size_t start = a->text.len, kept = 0, skipped = 0;
    struct jw w = JW(&a->text);
    jw_object(&w);
    for (size_t i = 0; i < pairs->n; i++) {
        const struct alert_pair *p = &pairs->items[i];
        if (!p->name.n || (rule->skip_private && p->name.p[0] == '_'))
            skipped++;
        else if (kept < ALERT_PAIRS_MAX && add_pair(a, &w, p, start, rule))
            kept++;
    }
    jw_object_end(&w);
    buf_addc(&a->text, '\0');
    *ret_left_out = pairs->n - kept - skipped + pairs->left_out;
    return a->text.error ? "{}" : a->text.data + start;
}

static bool has_name(const struct alert_pairs *pairs, struct str name)
{
    for (size_t i = 0; i < pairs->n; i++) {
        if (compare_str(pairs->items[i].name, name) == 0)
            return true;
    }
    return false;
}

// Some senders leave what is common out of the alerts themselves; without it two different problems
// would be one.
static void adopt_common_labels(struct alert_raw *raw)
{
    size_t own = raw->labels.n;
    struct alert_pairs before = {raw->labels.items, own, 0};
    for (size_t i = 0; i < raw->common_labels->n; i++) {
        if (!has_name(&before, raw->common_labels->items[i].name))
            raw->labels.items[raw->labels.n++] = raw->common_labels->items[i];
    }
}

static struct str first(struct str a, struct str b)
{
    return a.n ? a : b;
}

static int64_t parse_time(struct str s)
{
    int64_t ms = 0;
    if (rfc3339_parse(s, &ms) == 0)
        return ms > 0 ? ms : 0; // year 1 is how Go writes "none"
    size_t i = 0;
    for (; i < s.n && i < 14 && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        ms = ms * 10 + (s.p[i] - '0');
    if (i < 9 || (i < s.n && s.p[i] != '.'))
        return 0;
    return ms < INT64_C(100000000000) ? ms * 1000 : ms; // seconds until the year 5138
}

static int parse_status(struct str s, bool *ret_resolved)
{
    static const char *const firing[] = {"firing", "alerting", "no_data",
                                         "nodata", "error",    "active"};
    static const char *const resolved[] = {"resolved", "ok", "normal", "inactive", "closed"};
    for (size_t i = 0; i < ARRAY_LEN(firing); i++) {
        if (text_equal_nocase(s, firing[i])) {
            *ret_resolved = false;
            return 0;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(resolved); i++) {
        if (text_equal_nocase(s, resolved[i])) {
            *ret_resolved = true;
            return 0;
        }
    }
    return -EINVAL;
}

static void set_status(struct alert *a, const struct alert_raw *raw, int64_t now_ms)
{
    int64_t end = parse_time(raw->ends_at);
    bool over = end > 0 && end <= now_ms;
    a->starts_at = parse_time(raw->starts_at);
    a->ends_at = over ? end : 0;
    if (parse_status(raw->status, &a->resolved) < 0 &&
        parse_status(raw->group_status, &a->resolved) < 0)
        a->resolved = over;
}

static bool starts_with(struct str s, const char *word)
{
    size_t n = strlen(word);
    return s.n >= n && memcmp(s.p, word, n) == 0;
}

static bool ends_with(struct str s, const char *word)
{
    size_t n = strlen(word);
    return s.n >= n && memcmp(s.p + s.n - n, word, n) == 0;
}

// The buttons of SigNoz (a channel's and a rule's) and Grafana (now and before version 8).
static bool is_test(const struct alert_fields *f)
{
    struct str name = f->of[FIELD_ALERTNAME];
    return str_is(f->of[FIELD_TEST], "true") || ends_with(name, "_TEST_ALERT") ||
           (starts_with(name, "Test Alert (") && !f->of[FIELD_RULE_ID].n) ||
           str_is(name, "Test notification") ||
           (str_is(name, "TestAlert") && str_is(f->of[FIELD_INSTANCE], "Grafana"));
}

static void set_fingerprint(struct alert *a, struct alert_raw *raw)
{
    char hex[17];
    struct str given = safe(a, raw->fingerprint, LOOK_MAX, TEXT_ONE_LINE);
    // One that is too long to keep, or holds a secret, is no name to go by.
    if (given.n && given.n <= FINGERPRINT_MAX && !memmem(given.p, given.n, "[redacted:", 10)) {
        a->fingerprint = store(a, given);
        return;
    }
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)alert_fingerprint(&raw->labels));
    a->fingerprint = store(a, str_of(hex));
}

static void set_fields(struct alert *a, const struct alert_raw *raw, const struct alert_fields *own)
{
    const struct alert_fields *common = raw->common;
    struct str name = first(first(own->of[FIELD_NAME], common->of[FIELD_NAME]), raw->title);
    struct str severity = first(own->of[FIELD_SEVERITY], common->of[FIELD_SEVERITY]);
    a->alertname = store_safe(a, first(name, str_of("unnamed")), ALERT_NAME_MAX);
    if (!a->alertname[0])
        a->alertname = "unnamed"; // it was made of nothing visible
    a->severity = severity_parse(severity);
    a->severity_raw = store_safe(a, severity, ALERT_NAME_MAX);
    a->service = store_safe(a, alert_service(own, common), ALERT_NAME_MAX);
    const char **const names[] = {&a->cluster, &a->namespace, &a->pod, &a->node};
    static const enum alert_field fields[] = {FIELD_CLUSTER, FIELD_NAMESPACE, FIELD_POD,
                                              FIELD_NODE};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        *names[i] = store_safe(a, first(own->of[fields[i]], common->of[fields[i]]), ALERT_NAME_MAX);
    struct str summary = first(own->of[FIELD_TEXT], common->of[FIELD_TEXT]);
    struct str runbook = first(own->of[FIELD_RUNBOOK], common->of[FIELD_RUNBOOK]);
    a->summary = store_safe(a, first(summary, raw->title), ALERT_SUMMARY_MAX);
    a->runbook = store_safe(a, runbook, ALERT_URL_MAX);
    a->value = store_safe(a, own->of[FIELD_VALUE], VALUE_MAX);
    a->generator_url = store_safe(a, raw->generator_url, ALERT_URL_MAX);
    a->source = store_safe(a, raw->source, SOURCE_MAX);
}

static const char *store_cut(struct alert *a, size_t labels, size_t annotations)
{
    char text[96] = "";
    if (labels || annotations)
        snprintf(text, sizeof text, "%zu labels and %zu annotations left out", labels, annotations);
    return store(a, str_of(text));
}

int alert_build(struct alert *a, struct alert_raw *raw, int64_t now_ms)
{
    a->n_intact = 0;
    buf_clear(&a->text);
    if (buf_reserve(&a->text, TEXT_MAX) < 0)
        return -ENOMEM;
    struct alert_fields own, all;
    alert_fields_of(&raw->labels, &raw->annotations, &own);
    all = own;
    if (!own.of[FIELD_NAME].n && raw->common_labels->n) {
        adopt_common_labels(raw);
        alert_fields_of(&raw->labels, &raw->annotations, &all);
    }
    sort_pairs(&raw->labels);
    sort_pairs(&raw->annotations);
    set_status(a, raw, now_ms);
    a->test = is_test(&all);
    set_fingerprint(a, raw);
    set_fields(a, raw, &own);
    size_t labels, annotations;
    a->labels = store_pairs(a, &raw->labels, &label_rule, &labels);
    a->annotations = store_pairs(a, &raw->annotations, &annotation_rule, &annotations);
    a->cut = store_cut(a, labels, annotations);
    return a->text.error || a->clean.error == -ENOMEM || a->masked.error == -ENOMEM ? -ENOMEM : 0;
}
