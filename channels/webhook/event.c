#include "channels/webhook/event.h"

#include <errno.h>
#include <stdio.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/noise.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"

#define MAX_VALUES 16384
#define WEEK_MS (7ll * 24 * 3600 * 1000)
#define MAX_MEMBERS_SHOWN 10
#define MAX_LABELS_SHOWN 14
#define MAX_VALUE_SHOWN 200
#define TAIL_ROOM 96 // kept for the note of what was left out

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

static void meta(struct event *e, const char *key, const char *value)
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
    meta(e, key, e->values.data + at);
}

static void meta_int(struct event *e, const char *key, int64_t value)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)value);
    meta_text(e, key, number);
}

// ---- lines ----

// Adds a line if it fits with the tail's room; otherwise cuts it on a character boundary and says
// how much is missing. After a cut nothing more is added.
struct lines {
    struct buf *out;
    size_t cap;
    size_t left_out; // bytes
};

static void line(struct lines *l, struct str text)
{
    size_t room = l->cap > l->out->len + TAIL_ROOM ? l->cap - l->out->len - TAIL_ROOM : 0;
    size_t keep = 0;
    if (!l->left_out)
        keep = text.n + 1 <= room ? text.n : utf8_prefix(text, room ? room - 1 : 0);
    if (keep) {
        buf_add(l->out, text.p, keep);
        buf_addc(l->out, '\n');
    }
    l->left_out += text.n - keep;
}

static void lines_end(struct lines *l)
{
    char tail[TAIL_ROOM];
    if (l->left_out) {
        int n = snprintf(tail, sizeof tail, "... %zu bytes left out: get_incident has them\n",
                         l->left_out);
        if (l->out->len + (size_t)n <= l->cap)
            buf_adds(l->out, tail);
    }
    if (l->out->len && l->out->data[l->out->len - 1] == '\n')
        buf_truncate(l->out, l->out->len - 1);
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
        line(l, buf_str(&b));
        break; // one more than the text itself is enough here
    }
    const char *runbook = json_str(obj, "runbook_url");
    if (runbook && *runbook) {
        buf_clear(&b);
        buf_addf(&b, "runbook: %s", runbook);
        line(l, buf_str(&b));
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
            line(l, buf_str(&b));
            annotation_line(l, col_text(q, 1), v->text);
            if (v->members <= 1)
                break;
        }
        buf_clear(&b);
        buf_addf(&b, "- %s: ", status_name(col_int(q, 2)));
        pairs(&b, col_text(q, 0), ", ", 8);
        line(l, buf_str(&b));
    }
    stmt_reset(q);
    if (v->members > MAX_MEMBERS_SHOWN) {
        buf_clear(&b);
        buf_addf(&b, "and %lld more alerts", (long long)(v->members - MAX_MEMBERS_SHOWN));
        line(l, buf_str(&b));
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
    line(l, buf_str(&b));
    buf_done(&b);
}

static void text_lines(struct lines *l, const struct incident_view *v)
{
    struct buf b = BUF_INIT(8192);
    if (v->ask[0]) {
        buf_addf(&b, "why now: %s", v->ask);
        line(l, buf_str(&b));
    }
    if (v->text[0]) {
        buf_clear(&b);
        buf_adds(&b, "text: ");
        text_clean(&b, str_of(v->text), 1000, TEXT_ONE_LINE);
        line(l, buf_str(&b));
    }
    if (v->truncated) {
        buf_clear(&b);
        buf_addf(&b, "the sender left out %lld more alerts of this group", (long long)v->truncated);
        line(l, buf_str(&b));
    }
    buf_done(&b);
}

static int tail_lines(struct lines *l, const struct event_source *from, const struct history *h,
                      const char *playbook, int64_t id)
{
    struct buf b = BUF_INIT(4096);
    buf_adds(&b, "history: ");
    int r = history_line(from->store, h, &b);
    line(l, buf_str(&b));
    if (playbook) {
        buf_clear(&b);
        buf_addf(&b, "playbook: playbooks/%s.md", playbook);
        line(l, buf_str(&b));
    }
    buf_clear(&b);
    buf_addf(&b, "get_incident(%lld) for all", (long long)id);
    line(l, buf_str(&b));
    buf_done(&b);
    return r;
}

static void meta_of(struct event *e, const struct incident_view *v, const char *kind,
                    const struct history *h, const char *playbook)
{
    enum verdict last = v->verdict ? (enum verdict)v->verdict : h->last_verdict;
    meta(e, "kind", kind);
    meta_int(e, "incident_id", v->id);
    meta(e, "status", status_name(v->status));
    meta_text(e, "alertname", v->alertname);
    meta(e, "severity", severity_name((enum alert_severity)v->severity));
    meta_text(e, "service", v->service);
    meta_text(e, "cluster", v->cluster);
    meta_text(e, "namespace", v->namespace);
    meta(e, "environment", v->prod ? "prod" : "dev");
    meta_int(e, "alerts", v->members);
    meta_int(e, "delivery", v->delivery);
    meta_int(e, "seen_7d", h->seen);
    meta_int(e, "noise_7d", h->noise);
    meta(e, "last_verdict", verdict_name(last));
    meta(e, "playbook", playbook);
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
        meta(e, "hint", "known_noise");
    if (e->values.error || e->content.error == -ENOMEM)
        return -ENOMEM;
    return r < 0 ? r : known < 0 ? known : tail;
}

int event_of_canary(struct event *e, const struct incident_view *v)
{
    int r =
        buf_adds(&e->content, "Canary: log_incident noise, so that the channel knows you hear.\n");
    meta(e, "kind", "test");
    meta_int(e, "incident_id", v->id);
    meta(e, "status", status_name(v->status));
    meta(e, "alertname", v->alertname);
    meta(e, "severity", severity_name((enum alert_severity)v->severity));
    return e->values.error || r == -ENOMEM ? -ENOMEM : 0;
}

// ---- many ----

static int group_line(struct lines *l, const struct event_source *from, struct stmt *group)
{
    struct buf b = BUF_INIT(4096);
    int64_t n = col_int(group, 3);
    buf_addf(&b, "- %s ", severity_name((enum alert_severity)col_int(group, 2)));
    text_clean(&b, str_of(col_text(group, 0)), MAX_VALUE_SHOWN, TEXT_ONE_LINE);
    if (col_text(group, 1)[0]) {
        buf_adds(&b, " in ");
        text_clean(&b, str_of(col_text(group, 1)), MAX_VALUE_SHOWN, TEXT_ONE_LINE);
    }
    if (n > 1)
        buf_addf(&b, ": %lld incidents", (long long)n);
    struct stmt *q = store_sql(from->store, "SELECT i.id, p.service, p.namespace, i.status FROM "
                                            "incident i JOIN problem p ON p.id = i.problem_id"
                                            " WHERE i.due_at = -1 AND p.alertname = ?1 AND "
                                            "p.cluster = ?2 AND i.severity = ?3 ORDER BY i.id"
                                            " LIMIT CASE WHEN ?3 = 4 THEN 40 ELSE 6 END");
    bind_text(q, 1, col_text(group, 0));
    bind_text(q, 2, col_text(group, 1));
    bind_int(q, 3, col_int(group, 2));
    int r, shown = 0;
    while ((r = stmt_step(q)) > 0) {
        const char *where = col_text(q, 1)[0] ? col_text(q, 1) : col_text(q, 2);
        buf_addf(&b, "%s#%lld", shown++ ? ", " : ": ", (long long)col_int(q, 0));
        if (where[0]) {
            buf_addc(&b, ' ');
            text_clean(&b, str_of(where), 60, TEXT_ONE_LINE);
        }
        if (col_int(q, 3) != STATUS_FIRING)
            buf_addf(&b, " (%s)", status_name(col_int(q, 3)));
    }
    if (n > shown)
        buf_addf(&b, ", ... (%lld more)", (long long)(n - shown));
    if (!l->left_out)
        line(l, buf_str(&b));
    buf_done(&b);
    return r < 0 ? r : 0;
}

// ---- one cause, many alerts ----

#define MIN_SHARED 3 // incidents
#define MAX_CAUSES 3
#define MAX_TOTALS 8
#define MIN_TOTALS 10 // incidents: fewer are read faster one by one

struct cause {
    char name[128], cluster[128];
    int64_t incidents, rules;
    bool node;
};

// What most of the incidents share: a node, or a service that several rules complain of. 1 = found.
static int find_cause(const struct event_source *from, bool node, struct cause *c)
{
    struct stmt *q =
        node ? store_sql(
                   from->store,
                   "SELECT a.node, p.cluster, count(DISTINCT i.id) AS n, count(DISTINCT "
                   "p.alertname) FROM incident i"
                   " JOIN problem p ON p.id = i.problem_id JOIN alert a ON a.incident_id = i.id "
                   "WHERE i.due_at = -1 AND a.node <> ''"
                   " GROUP BY a.node, p.cluster HAVING n >= ?1 ORDER BY n DESC, a.node LIMIT 1")
             : store_sql(
                   from->store,
                   "SELECT p.service, p.cluster, count(*) AS n, count(DISTINCT p.alertname) AS "
                   "rules FROM incident i"
                   " JOIN problem p ON p.id = i.problem_id WHERE i.due_at = -1 AND p.service <> ''"
                   " GROUP BY p.service, p.cluster HAVING n >= ?1 AND rules > 1 ORDER BY n DESC, "
                   "p.service LIMIT 1");
    bind_int(q, 1, MIN_SHARED);
    int r = stmt_step(q);
    if (r > 0) {
        *c = (struct cause){.incidents = col_int(q, 2), .rules = col_int(q, 3), .node = node};
        snprintf(c->name, sizeof c->name, "%s", col_text(q, 0));
        snprintf(c->cluster, sizeof c->cluster, "%s", col_text(q, 1));
    }
    stmt_reset(q);
    return r;
}

// Marks its incidents, so that the groups below do not name them again.
static int explain(const struct event_source *from, const struct cause *c)
{
    struct stmt *q =
        c->node
            ? store_sql(from->store, "UPDATE incident SET due_at = -2 WHERE due_at = -1 AND id IN "
                                     "(SELECT i.id FROM incident i JOIN problem p"
                                     " ON p.id = i.problem_id JOIN alert a ON a.incident_id = i.id "
                                     "WHERE i.due_at = -1 AND p.cluster = ?2 AND a.node = ?1)")
            : store_sql(from->store,
                        "UPDATE incident SET due_at = -2 WHERE due_at = -1 AND problem_id IN"
                        " (SELECT id FROM problem WHERE service = ?1 AND cluster = ?2)");
    bind_text(q, 1, c->name);
    bind_text(q, 2, c->cluster);
    return stmt_run(q);
}

static bool names_id(const struct buf *b, int64_t id)
{
    char mark[24];
    size_t n = (size_t)snprintf(mark, sizeof mark, "#%lld", (long long)id);
    for (const char *p = buf_cstr(b); (p = strstr(p, mark)); p += n)
        if (p[n] < '0' || p[n] > '9')
            return true;
    return false;
}

// A common cause is no reason to leave out which critical ones of production there are.
static int name_critical(const struct event_source *from, struct buf *b)
{
    struct stmt *q = store_sql(
        from->store,
        "SELECT i.id, p.alertname FROM incident i JOIN problem p ON p.id = i.problem_id"
        " WHERE i.due_at = -2 AND i.environment = 1 AND i.severity = 4 ORDER BY i.id LIMIT 40");
    int r, shown = 0;
    while ((r = stmt_step(q)) > 0) {
        if (names_id(b, col_int(q, 0)))
            continue;
        buf_addf(b, "%s#%lld ", shown++ ? ", " : "; also critical: ", (long long)col_int(q, 0));
        text_clean(b, str_of(col_text(q, 1)), 60, TEXT_ONE_LINE);
    }
    return r;
}

static int cause_line(struct lines *l, const struct event_source *from, const struct cause *c)
{
    struct buf b = BUF_INIT(4096);
    buf_addf(&b, "- %lld incidents share %s %s", (long long)c->incidents,
             c->node ? "node" : "service", c->name);
    if (c->cluster[0])
        buf_addf(&b, " in %s", c->cluster);
    struct stmt *q =
        store_sql(from->store,
                  "SELECT p.alertname, count(*), min(i.id), max(i.id), max(i.severity) AS worst "
                  "FROM incident i"
                  " JOIN problem p ON p.id = i.problem_id WHERE i.due_at = -2 GROUP BY p.alertname"
                  " ORDER BY worst DESC, count(*) DESC LIMIT 6");
    int r, shown = 0;
    while ((r = stmt_step(q)) > 0) {
        buf_adds(&b, shown++ ? ", " : ": ");
        text_clean(&b, str_of(col_text(q, 0)), 60, TEXT_ONE_LINE);
        if (col_int(q, 1) > 1)
            buf_addf(&b, " %lldx", (long long)col_int(q, 1));
        buf_addf(&b, " (#%lld%s)", (long long)col_int(q, 2),
                 col_int(q, 3) > col_int(q, 2) ? " ..." : "");
    }
    if (c->rules > shown)
        buf_addf(&b, " and %lld more rules", (long long)(c->rules - shown));
    if (r == 0)
        r = name_critical(from, &b);
    line(l, buf_str(&b));
    buf_done(&b);
    return r;
}

// One line for "one node died". Explained incidents end as due_at = -3: named, still in the digest.
static int causes(struct lines *l, const struct event_source *from, int64_t *named)
{
    struct cause c;
    int r = 0;
    for (int i = 0; i < MAX_CAUSES && l->out->len + 600 + TAIL_ROOM < l->cap; i++) {
        r = find_cause(from, true, &c);
        if (r == 0)
            r = find_cause(from, false, &c);
        if (r <= 0)
            break;
        r = explain(from, &c);
        if (r == 0)
            r = cause_line(l, from, &c);
        if (r == 0)
            r = stmt_run(
                store_sql(from->store, "UPDATE incident SET due_at = -3 WHERE due_at = -2"));
        if (r < 0)
            break;
        *named += c.incidents;
    }
    return r < 0 ? r : 0;
}

static int digest_groups(struct lines *l, const struct event_source *from, int64_t total,
                         int64_t named)
{
    struct stmt *q =
        store_sql(from->store, "SELECT p.alertname, p.cluster, i.severity, count(*) FROM incident "
                               "i JOIN problem p ON p.id = i.problem_id"
                               " WHERE i.due_at = -1 GROUP BY p.alertname, p.cluster, i.severity"
                               " ORDER BY max(i.environment = 1 AND i.severity = 4) DESC, "
                               "i.severity DESC, count(*) DESC, min(i.id) LIMIT 200");
    int r;
    while ((r = stmt_step(q)) > 0) {
        size_t before = l->out->len;
        if (l->out->len + 160 + TAIL_ROOM < l->cap && (r = group_line(l, from, q)) < 0)
            break;
        if (l->out->len > before)
            named += col_int(q, 3);
    }
    stmt_reset(q);
    if (named < total) {
        char rest[TAIL_ROOM];
        snprintf(rest, sizeof rest, "and %lld more incidents: list_incidents pages through all\n",
                 (long long)(total - named));
        if (l->out->len + strlen(rest) <= l->cap)
            buf_adds(l->out, rest);
    }
    return r;
}

static int noise_line(struct lines *l, const struct event_source *from, int64_t *ret_folded)
{
    struct buf b = BUF_INIT(8192);
    int r = noise_lines(from->store, &b, ret_folded);
    if (b.len)
        line(l, buf_str(&b));
    buf_done(&b);
    return r;
}

int event_of_noise(struct event *e, const struct event_source *from)
{
    struct lines l = {.out = &e->content, .cap = e->content.max};
    int64_t folded = 0;
    int r = noise_line(&l, from, &folded);
    lines_end(&l);
    meta(e, "kind", "digest");
    meta_int(e, "incidents", folded);
    meta(e, "hint", "known_noise");
    return e->values.error ? -ENOMEM : r < 0 ? r : 0;
}

// "by cluster: data-1 600, data-0 590 and 3 more": the whole at a glance, however many groups there
// are.
static int totals_line(struct lines *l, const struct event_source *from, const char *by,
                       const char *sql)
{
    struct buf b = BUF_INIT(1024);
    struct stmt *q = store_sql(from->store, sql);
    int shown = 0, left_out = 0, r;
    buf_addf(&b, "by %s:", by);
    while ((r = stmt_step(q)) > 0) {
        if (shown == MAX_TOTALS) {
            left_out++;
            continue;
        }
        buf_adds(&b, shown++ ? ", " : " ");
        text_clean(&b, str_of(col_text(q, 0)[0] ? col_text(q, 0) : "(none)"), 60, TEXT_ONE_LINE);
        buf_addf(&b, " %lld", (long long)col_int(q, 1));
    }
    if (left_out)
        buf_addf(&b, " and %d more", left_out);
    if (r == 0 && shown)
        line(l, buf_str(&b));
    buf_done(&b);
    return r;
}

static int totals(struct lines *l, const struct event_source *from)
{
    int r = totals_line(
        l, from, "severity",
        "SELECT CASE severity WHEN 4 THEN 'critical' WHEN 3 THEN 'error' WHEN 2 THEN 'warning' "
        "WHEN 1 THEN 'info' ELSE 'unknown' END,"
        " count(*) FROM incident WHERE due_at = -1 GROUP BY severity ORDER BY severity DESC");
    if (r == 0)
        r = totals_line(l, from, "cluster",
                        "SELECT p.cluster, count(*) AS n FROM incident i JOIN problem p ON p.id = "
                        "i.problem_id WHERE i.due_at = -1"
                        " GROUP BY p.cluster ORDER BY n DESC, p.cluster");
    if (r == 0)
        r = totals_line(l, from, "alert",
                        "SELECT p.alertname, count(*) AS n FROM incident i JOIN problem p ON p.id "
                        "= i.problem_id WHERE i.due_at = -1"
                        " GROUP BY p.alertname ORDER BY n DESC, p.alertname");
    return r;
}

// Incidents whose end the session is to hear of, and had no event of its own.
static int resolved_line(struct lines *l, const struct event_source *from)
{
    struct buf b = BUF_INIT(1024);
    struct stmt *q =
        store_sql(from->store, "SELECT count(*) FROM incident WHERE tell_resolved = 1");
    int r = stmt_step(q);
    int64_t n = r > 0 ? col_int(q, 0) : 0;
    stmt_reset(q);
    if (r < 0 || n == 0)
        return r < 0 ? r : 0;
    buf_addf(&b, "%lld resolved:", (long long)n);
    q = store_sql(from->store,
                  "SELECT id FROM incident WHERE tell_resolved = 1 ORDER BY id LIMIT 20");
    int shown = 0;
    for (; (r = stmt_step(q)) > 0; shown++)
        buf_addf(&b, "%s #%lld", shown ? "," : "", (long long)col_int(q, 0));
    if (n > shown)
        buf_addf(&b, " and %lld more", (long long)(n - shown));
    line(l, buf_str(&b));
    buf_done(&b);
    return r;
}

int event_of_digest(struct event *e, const struct event_source *from, const char *heading,
                    size_t max_bytes)
{
    struct stmt *q =
        store_sql(from->store,
                  "SELECT count(*), max(severity), sum(environment), sum(status = 0), sum(members)"
                  " FROM incident WHERE due_at = -1");
    int r = stmt_step(q);
    if (r < 0)
        return r;
    int64_t n = col_int(q, 0), worst = col_int(q, 1), prod = col_int(q, 2), firing = col_int(q, 3),
            alerts = col_int(q, 4);
    stmt_reset(q);
    struct lines l = {.out = &e->content,
                      .cap = max_bytes < e->content.max ? max_bytes : e->content.max};
    struct buf b = BUF_INIT(1024);
    if (n)
        buf_addf(&b, "%lld %s%s: %lld firing, %lld in prod; worst first", (long long)n,
                 n == 1 ? "incident " : "incidents ", heading, (long long)firing, (long long)prod);
    if (n)
        line(&l, buf_str(&b));
    buf_done(&b);
    int64_t named = 0, folded = 0;
    r = n >= MIN_TOTALS ? totals(&l, from) : 0;
    if (r == 0)
        r = causes(&l, from, &named);
    if (r == 0)
        r = digest_groups(&l, from, n, named);
    if (r == 0)
        r = noise_line(&l, from, &folded);
    if (r == 0)
        r = resolved_line(&l, from);
    l.left_out = 0; // what is missing was counted in incidents
    line(&l, str_of("get_incident(ID) for one, log_incident takes many ids at once"));
    l.left_out = 0;
    lines_end(&l);
    meta(e, "kind", "digest");
    meta(e, "severity", severity_name((enum alert_severity)worst));
    meta_int(e, "incidents", n);
    meta_int(e, "alerts", alerts);
    return e->values.error ? -ENOMEM : r < 0 ? r : 0;
}
