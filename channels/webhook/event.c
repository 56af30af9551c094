#include "channels/webhook/event.h"

#include <errno.h>
#include <stdio.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/event_lines.h"
#include "channels/webhook/noise.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

#define MAX_VALUES 16384
#define WEEK_MS (7ll * 24 * 3600 * 1000)
#define MAX_MEMBERS_SHOWN 10
#define MAX_LABELS_SHOWN 14
#define MAX_VALUE_SHOWN 200

void event_init(struct event *e, const struct config *c)
{
    // One more than the cap is never needed: lines are added only while they fit.
    *e =
        (struct event){.content = BUF_INIT((size_t)c->event_bytes), .values = BUF_INIT(MAX_VALUES)};
    // Pointers into `values` are kept, so it must not move.
    if (buf_reserve(&e->values, MAX_VALUES) < 0)
        return;
}

void event_done(struct event *e)
{
    buf_done(&e->content);
    buf_done(&e->values);
    e->n_meta = 0;
}

size_t event_bytes(const struct event *e)
{
    size_t n = e->content.len;
    for (size_t i = 0; i < e->n_meta; i++)
        n += strlen(e->meta[i].key) + strlen(e->meta[i].value);
    return n;
}

void event_meta(struct event *e, const char *key, const char *value)
{
    if (value && *value && e->n_meta < EVENT_MAX_META)
        e->meta[e->n_meta++] = (struct channel_meta){key, value};
}

// Copied: cut to what an attribute is for.
static void meta_text(struct event *e, const char *key, const char *value)
{
    size_t at = e->values.len;
    struct str s = str_of(value);
    s.n = utf8_prefix(s, MAX_VALUE_SHOWN);
    if (!s.n || buf_add(&e->values, s.p, s.n) < 0 || buf_addc(&e->values, '\0') < 0)
        return;
    event_meta(e, key, e->values.data + at);
}

void event_meta_int(struct event *e, const char *key, int64_t value)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)value);
    meta_text(e, key, number);
}

// ---- one incident ----

static bool label_is_shown_elsewhere(const char *key)
{
    static const char *const shown[] = {"alertname", "severity", "ruleId", "ruleSource",
                                        "threshold.name"};
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        if (strcmp(key, shown[i]) == 0)
            return true;
    return false;
}

static void pairs(struct buf *out, const char *json, const char *separator, int most)
{
    const char *why;
    cJSON *obj = json_parse(str_of(json), &why);
    int shown = 0, all = 0;
    for (const cJSON *c = obj ? obj->child : NULL; c; c = c->next) {
        if (!cJSON_IsString(c) || label_is_shown_elsewhere(c->string))
            continue;
        if (++all > most)
            continue;
        buf_addf(out, "%s%s=", shown++ ? separator : "", c->string);
        text_clean(out, str_of(c->valuestring), MAX_VALUE_SHOWN, TEXT_ONE_LINE);
    }
    if (all > most)
        buf_addf(out, "%s(%d more)", separator, all - most);
    cJSON_Delete(obj);
}

static void annotation_line(struct lines *l, const char *json, const char *text)
{
    static const char *const keys[] = {"summary", "message", "description", "title"};
    const char *why;
    cJSON *obj = json_parse(str_of(json), &why);
    struct buf b = BUF_INIT(8192);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *v = json_str(obj, keys[i]);
        if (!v || !*v || strcmp(v, text) == 0)
            continue;
        buf_addf(&b, "%s: ", keys[i]);
        text_clean(&b, str_of(v), 1000, TEXT_ONE_LINE);
        lines_add(l, buf_str(&b));
        break; // one more than the text itself is enough here
    }
    const char *runbook = json_str(obj, "runbook_url");
    if (runbook && *runbook) {
        buf_clear(&b);
        buf_addf(&b, "runbook: %s", runbook);
        lines_add(l, buf_str(&b));
    }
    buf_done(&b);
    cJSON_Delete(obj);
}

static int member_lines(struct lines *l, const struct event_source *from,
                        const struct incident_view *v)
{
    struct buf b = BUF_INIT(16384);
    struct stmt *q =
        store_sql(from->store, "SELECT labels, annotations, status FROM alert WHERE incident_id = ?"
                               " ORDER BY status, id DESC LIMIT 10");
    bind_int(q, 1, v->id);
    int r, n = 0;
    while ((r = stmt_step(q)) > 0) {
        if (n++ == 0) {
            buf_adds(&b, "labels: ");
            pairs(&b, col_text(q, 0), ", ", MAX_LABELS_SHOWN);
            lines_add(l, buf_str(&b));
            annotation_line(l, col_text(q, 1), v->text);
            if (v->members <= 1)
                break;
        }
        buf_clear(&b);
        buf_addf(&b, "- %s: ", status_name(col_int(q, 2)));
        pairs(&b, col_text(q, 0), ", ", 8);
        lines_add(l, buf_str(&b));
    }
    stmt_reset(q);
    if (v->members > MAX_MEMBERS_SHOWN) {
        buf_clear(&b);
        buf_addf(&b, "and %lld more alerts", (long long)(v->members - MAX_MEMBERS_SHOWN));
        lines_add(l, buf_str(&b));
    }
    buf_done(&b);
    return r < 0 ? r : 0;
}

static void head_line(struct lines *l, const struct event_source *from,
                      const struct incident_view *v)
{
    char since[RFC3339_SIZE], age[DURATION_SIZE];
    struct buf b = BUF_INIT(8192);
    buf_addf(&b, "%s %s: ", severity_name((enum alert_severity)v->severity),
             status_name(v->status));
    incident_view_title(v, &b);
    if (v->members > 1)
        buf_addf(&b, ", %lld alerts", (long long)v->members);
    buf_addf(&b, ", since %s (%s)", rfc3339_format(v->opened_at / 1000 * 1000, since),
             duration_format(from->now - v->opened_at, age));
    if (v->flaps)
        buf_addf(&b, ", flapped %lldx", (long long)v->flaps);
    lines_add(l, buf_str(&b));
    buf_done(&b);
}

static void text_lines(struct lines *l, const struct incident_view *v)
{
    struct buf b = BUF_INIT(8192);
    if (v->ask[0]) {
        buf_addf(&b, "why now: %s", v->ask);
        lines_add(l, buf_str(&b));
    }
    if (v->text[0]) {
        buf_clear(&b);
        buf_adds(&b, "text: ");
        text_clean(&b, str_of(v->text), 1000, TEXT_ONE_LINE);
        lines_add(l, buf_str(&b));
    }
    if (v->truncated) {
        buf_clear(&b);
        buf_addf(&b, "the sender left out %lld more alerts of this group", (long long)v->truncated);
        lines_add(l, buf_str(&b));
    }
    buf_done(&b);
}

static int tail_lines(struct lines *l, const struct event_source *from, const struct history *h,
                      const char *playbook, int64_t id)
{
    struct buf b = BUF_INIT(4096);
    buf_adds(&b, "history: ");
    int r = history_line(from->store, h, &b);
    lines_add(l, buf_str(&b));
    if (playbook) {
        buf_clear(&b);
        buf_addf(&b, "playbook: playbooks/%s.md", playbook);
        lines_add(l, buf_str(&b));
    }
    buf_clear(&b);
    buf_addf(&b, "get_incident(%lld) for all", (long long)id);
    lines_add(l, buf_str(&b));
    buf_done(&b);
    return r;
}

static void meta_of(struct event *e, const struct incident_view *v, const char *kind,
                    const struct history *h, const char *playbook)
{
    enum verdict last = v->verdict ? (enum verdict)v->verdict : h->last_verdict;
    event_meta(e, "kind", kind);
    event_meta_int(e, "incident_id", v->id);
    event_meta(e, "status", status_name(v->status));
    meta_text(e, "alertname", v->alertname);
    event_meta(e, "severity", severity_name((enum alert_severity)v->severity));
    meta_text(e, "service", v->service);
    meta_text(e, "cluster", v->cluster);
    meta_text(e, "namespace", v->namespace);
    event_meta(e, "environment", v->prod ? "prod" : "dev");
    event_meta_int(e, "alerts", v->members);
    event_meta_int(e, "delivery", v->delivery);
    event_meta_int(e, "seen_7d", h->seen);
    event_meta_int(e, "noise_7d", h->noise);
    event_meta(e, "last_verdict", verdict_name(last));
    event_meta(e, "playbook", playbook);
}

int event_of_incident(struct event *e, const struct event_source *from,
                      const struct incident_view *v, const char *kind)
{
    struct history h;
    int r = history_read(from->store, v->problem_id, v->id, from->now - WEEK_MS, &h);
    if (r < 0)
        return r;
    const char *playbook = playbooks_find(from->playbooks, v->alertname);
    struct lines l = {.out = &e->content, .cap = e->content.max};
    head_line(&l, from, v);
    text_lines(&l, v);
    r = member_lines(&l, from, v);
    int tail = tail_lines(&l, from, &h, playbook, v->id);
    lines_end(&l);
    meta_of(e, v, kind, &h, playbook);
    struct noise_case c = {.problem_id = v->problem_id,
                           .incident_id = v->id,
                           .severity = v->severity,
                           .prod = v->prod};
    int known = v->kind == KIND_ALERT && strcmp(kind, "resolved") != 0
                    ? noise_is_known(from->store, &c, from->now)
                    : 0;
    if (known > 0)
        event_meta(e, "hint", "known_noise");
    if (e->values.error || e->content.error == -ENOMEM)
        return -ENOMEM;
    return r < 0 ? r : known < 0 ? known : tail;
}

int event_of_canary(struct event *e, const struct incident_view *v)
{
    int r =
        buf_adds(&e->content, "Canary: log_incident noise, so that the channel knows you hear.\n");
    event_meta(e, "kind", "test");
    event_meta_int(e, "incident_id", v->id);
    event_meta(e, "status", status_name(v->status));
    event_meta(e, "alertname", v->alertname);
    event_meta(e, "severity", severity_name((enum alert_severity)v->severity));
    return e->values.error || r == -ENOMEM ? -ENOMEM : 0;
}
