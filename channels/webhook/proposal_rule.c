#include "channels/webhook/proposal_rule.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/text.h"

#define MAX_EXPR 600

enum sender { SENDER_PROMETHEUS, SENDER_SIGNOZ, SENDER_GRAFANA };

struct rule {
    const struct tuning_unit *unit;
    const struct proposal_change *change;
    struct buf *out;
    enum sender sender;
    cJSON *labels;      // owned
    struct buf rule_id; // of SigNoz and Grafana; may be empty
    struct buf expr;    // of Prometheus, from the alert's own link; may be empty
};

void proposal_duration(int64_t seconds, struct buf *out)
{
    if (seconds % 3600 == 0)
        buf_addf(out, "%lldh", (long long)(seconds / 3600));
    else if (seconds % 60 == 0)
        buf_addf(out, "%lldm", (long long)(seconds / 60));
    else
        buf_addf(out, "%llds", (long long)seconds);
}

void proposal_number(double v, struct buf *out)
{
    buf_addf(out, "%.6g", v);
}

void proposal_number_json(struct jw *w, double v)
{
    struct buf b = BUF_INIT(64);
    proposal_number(v, &b);
    jw_raw(w, buf_str(&b));
    buf_done(&b);
}

// ---- quoting ----

// As JSON; YAML's double quotes and PromQL's take the same.
static void quoted(struct buf *out, const char *s)
{
    struct jw w = JW(out);
    jw_str(&w, s);
}

// Inside YAML's single quotes.
static void single_quoted(struct buf *out, struct str s)
{
    buf_addc(out, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'')
            buf_addc(out, '\'');
        buf_addc(out, s.p[i]);
    }
    buf_addc(out, '\'');
}

static void regex_escaped(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (strchr("\\.+*?()|[]{}^$", *s))
            buf_addc(out, '\\');
        buf_addc(out, *s);
    }
}

static bool is_plain_label(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return *s && !s[n] && !(*s >= '0' && *s <= '9');
}

// ---- the newest alert ----

// The label that holds the value: senders name the same thing differently.
static const char *label_of(const struct rule *r, const char *value, const char *fallback)
{
    for (const cJSON *c = r->labels ? r->labels->child : NULL; c && *value; c = c->next)
        if (cJSON_IsString(c) && strcmp(c->valuestring, value) == 0 &&
            strcmp(c->string, "alertname") != 0)
            return c->string;
    return fallback;
}

static const char *service_label(const struct rule *r)
{
    const struct tuning_unit *u = r->unit;
    if (u->scope == SCOPE_PROBLEM)
        return label_of(r, u->service, "service");
    for (const cJSON *c = r->labels ? r->labels->child : NULL; c;
         c = c->next) // one of the family: begins with what they share
        if (cJSON_IsString(c) && u->family[0] &&
            strncmp(c->valuestring, u->family, strlen(u->family)) == 0 &&
            strcmp(c->string, "alertname") != 0)
            return c->string;
    return "service";
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// Prometheus links to its own graph: ?g0.expr=...
static void read_expr(const char *url, struct buf *out)
{
    struct buf raw = BUF_INIT(8192);
    const char *p = strstr(url, "g0.expr=");
    for (p = p ? p + strlen("g0.expr=") : ""; *p && *p != '&' && *p != '#'; p++) {
        if (*p == '%' && hex(p[1]) >= 0 && hex(p[2]) >= 0) {
            buf_addc(&raw, (char)(hex(p[1]) * 16 + hex(p[2])));
            p += 2;
        } else {
            buf_addc(&raw, *p == '+' ? ' ' : *p);
        }
    }
    if (raw.len <= MAX_EXPR) // half of one is none
        text_clean(out, buf_str(&raw), MAX_EXPR, TEXT_ONE_LINE);
    buf_done(&raw);
}

// Grafana links to the rule: /alerting/grafana/UID/view
static void read_grafana_uid(const char *url, struct buf *out)
{
    const char *p = strstr(url, "/alerting/grafana/");
    if (p) {
        p += strlen("/alerting/grafana/");
        buf_add(out, p, strcspn(p, "/?#"));
    }
}

static void read_sender(struct rule *r, const char *source, const char *url)
{
    const char *id = json_str(r->labels, "ruleId");
    if (strcmp(source, "signoz") == 0 || id || json_get(r->labels, "ruleSource")) {
        r->sender = SENDER_SIGNOZ;
        buf_adds(&r->rule_id, id ? id : "");
    } else if (strcmp(source, "grafana") == 0 || json_get(r->labels, "grafana_folder")) {
        r->sender = SENDER_GRAFANA;
        read_grafana_uid(url, &r->rule_id);
    } else {
        read_expr(url, &r->expr);
    }
}

static int read_alert(struct store *s, struct rule *r)
{
    struct stmt *q = store_sql(s, "SELECT labels, source, generator_url FROM alert WHERE "
                                  "incident_id = ? ORDER BY id LIMIT 1");
    bind_int(q, 1, r->unit->n ? r->unit->firings[r->unit->n - 1]->id : 0);
    int found = stmt_step(q);
    const char *why;
    if (found > 0) {
        r->labels = json_parse(str_of(col_text(q, 0)), &why);
        read_sender(r, col_text(q, 1), col_text(q, 2));
    }
    stmt_reset(q);
    return found < 0 ? found : 0;
}

// ---- matchers ----

static void matcher(struct buf *out, const char *label, const char *op, const char *value)
{
    if (is_plain_label(label))
        buf_adds(out, label);
    else
        quoted(out, label); // UTF-8 names: Prometheus 3, Alertmanager 0.27
    buf_adds(out, op);
    quoted(out, value);
}

static void service_value(const struct rule *r, const char **op, struct buf *value)
{
    *op = r->unit->scope == SCOPE_FAMILY ? "=~" : "=";
    if (r->unit->scope == SCOPE_FAMILY) {
        regex_escaped(value, r->unit->family);
        buf_adds(value, ".*");
    } else {
        buf_adds(value, r->unit->service);
    }
}

static void matcher_item(struct buf *out, const char *indent, const char *label, const char *op,
                         const char *value)
{
    struct buf m = BUF_INIT(8192);
    matcher(&m, label, op, value);
    buf_addf(out, "+%s- ", indent);
    single_quoted(out, buf_str(&m));
    buf_addc(out, '\n');
    buf_done(&m);
}

// Which of its alerts: as lines of an Alertmanager list of matchers.
static void unit_matchers(const struct rule *r, const char *indent)
{
    struct buf value = BUF_INIT(4096);
    const char *op;
    matcher_item(r->out, indent, "alertname", "=", r->unit->alertname);
    if (r->unit->cluster[0])
        matcher_item(r->out, indent, label_of(r, r->unit->cluster, "cluster"), "=",
                     r->unit->cluster);
    service_value(r, &op, &value);
    if (r->unit->scope != SCOPE_RULE && value.len)
        matcher_item(r->out, indent, service_label(r), op, buf_cstr(&value));
    buf_done(&value);
}

// ---- Prometheus ----

static void alert_line(const struct rule *r)
{
    buf_adds(r->out, "   - alert: ");
    quoted(r->out, r->unit->alertname);
    buf_addc(r->out, '\n');
}

static void expr_line(const struct rule *r, char sign, struct str expr)
{
    buf_addf(r->out, "%c    expr: ", sign);
    single_quoted(r->out, expr);
    buf_addc(r->out, '\n');
}

// Where the expression as it is belongs into a new one.
static const char *expr_now(const struct rule *r)
{
    return r->expr.len ? buf_cstr(&r->expr) : "<the expression as it is>";
}

static void new_expr(const struct rule *r, const char *before, const char *after)
{
    struct buf b = BUF_INIT(4096);
    buf_addf(&b, "%s%s%s", before, expr_now(r), after);
    alert_line(r);
    if (r->expr.len)
        expr_line(r, '-', buf_str(&r->expr));
    expr_line(r, '+', buf_str(&b));
    buf_done(&b);
}

// The expression up to its last comparison with a number, which ends it; 0 if it has none.
static size_t comparison(const char *expr)
{
    size_t n = strlen(expr);
    while (n && strchr("0123456789.eE+-_ ", expr[n - 1]))
        n--;
    while (n && expr[n - 1] == '=')
        n--;
    return n && strchr("<>", expr[n - 1]) ? n - 1 : 0;
}

static void prometheus_threshold(const struct rule *r)
{
    struct buf b = BUF_INIT(4096);
    const char *op = r->change->below ? "<" : ">";
    size_t keep = comparison(buf_cstr(&r->expr));
    if (keep) {
        buf_add(&b, r->expr.data, keep);
        buf_addf(&b, "%s ", op);
    } else {
        buf_addf(&b, "<the expression without its threshold> %s ", op);
    }
    proposal_number(r->change->threshold, &b);
    alert_line(r);
    if (keep)
        expr_line(r, '-', buf_str(&r->expr));
    expr_line(r, '+', buf_str(&b));
    buf_done(&b);
}

static void prometheus_group(const struct rule *r)
{
    const char *cluster = label_of(r, r->unit->cluster, "cluster");
    struct buf before = BUF_INIT(1024);
    buf_adds(&before, "count by (");
    if (is_plain_label(cluster))
        buf_adds(&before, cluster);
    else
        quoted(&before, cluster);
    buf_adds(&before, ") (");
    new_expr(r, buf_cstr(&before), ") > 0");
    buf_done(&before);
}

static void prometheus_anomaly(const struct rule *r)
{
    char after[64];
    int to = (r->change->hour + r->change->hours) % 24;
    snprintf(after, sizeof after, ") unless on() (hour() >= %d %s hour() < %d)", r->change->hour,
             r->change->hour < to ? "and" : "or", to);
    if (to == 0)
        snprintf(after, sizeof after, ") unless on() (hour() >= %d)", r->change->hour);
    new_expr(r, "(", after);
}

static void for_lines(const struct rule *r, const char *key, bool adds)
{
    buf_addf(r->out, "+    %s: ", key);
    proposal_duration(r->change->seconds, r->out);
    buf_addf(r->out, adds ? "   # if it has a `%s` already: that much more\n" : "\n", key);
}

static void alertmanager_inhibit(const struct rule *r)
{
    buf_adds(r->out, " inhibit_rules:\n+  - source_matchers:\n");
    matcher_item(r->out, "      ", "alertname", "=", r->change->other);
    buf_adds(r->out, "+    target_matchers:\n");
    unit_matchers(r, "      ");
    buf_adds(r->out, "+    equal: [");
    quoted(r->out, label_of(r, r->unit->cluster, "cluster"));
    if (r->change->same_namespace && r->unit->namespace[0]) {
        buf_adds(r->out, ", ");
        quoted(r->out, label_of(r, r->unit->namespace, "namespace"));
    }
    buf_adds(r->out, "]\n");
}

static void alertmanager_drop(const struct rule *r)
{
    buf_adds(r->out, " route:\n   routes:\n+    - receiver: \"null\"   # a receiver of that name "
                     "with nothing in it; before all other routes\n"
                     "+      matchers:\n");
    unit_matchers(r, "        ");
}

static const char *write_prometheus(const struct rule *r)
{
    switch (r->change->kind) {
    case PROPOSAL_FOR:
        alert_line(r);
        for_lines(r, "for", true);
        return "prometheus";
    case PROPOSAL_KEEP_FIRING:
        alert_line(r);
        for_lines(r, "keep_firing_for", false);
        return "prometheus";
    case PROPOSAL_THRESHOLD:
        prometheus_threshold(r);
        return "prometheus";
    case PROPOSAL_GROUP:
        prometheus_group(r);
        return "prometheus";
    case PROPOSAL_ANOMALY:
        prometheus_anomaly(r);
        return "prometheus";
    case PROPOSAL_INHIBIT:
        alertmanager_inhibit(r);
        return "alertmanager";
    default:
        alertmanager_drop(r);
        return "alertmanager";
    }
}

// ---- SigNoz ----

static void signoz_window(struct jw *w, int64_t seconds, const char *match_type)
{
    char window[32];
    snprintf(window, sizeof window, "%lldm0s", (long long)(seconds / 60));
    jw_kstr(w, "evalWindow", window);
    jw_key(w, "condition");
    jw_object(w);
    jw_kstr(w, "matchType", match_type);
    jw_object_end(w);
}

static void signoz_filter(const struct rule *r, struct jw *w)
{
    struct buf value = BUF_INIT(4096), filter = BUF_INIT(8192);
    const char *op;
    service_value(r, &op, &value);
    buf_addf(&filter, "%s %s '", service_label(r),
             r->unit->scope == SCOPE_FAMILY ? "NOT REGEXP" : "!=");
    for (const char *p = buf_cstr(&value); *p; p++) {
        if (*p == '\'' || (*p == '\\' && r->unit->scope != SCOPE_FAMILY))
            buf_addc(&filter, '\\');
        buf_addc(&filter, *p);
    }
    buf_addc(&filter, '\'');
    jw_kstr(w, "filter to add to each query", buf_cstr(&filter));
    buf_done(&value);
    buf_done(&filter);
}

static void signoz_condition(const struct rule *r, struct jw *w)
{
    jw_key(w, "condition");
    jw_object(w);
    if (r->change->kind == PROPOSAL_THRESHOLD) {
        jw_key(w, "target");
        proposal_number_json(w, r->change->threshold);
        jw_kstr(w, "op", r->change->below ? "2" : "1");
    } else {
        jw_kstr(w, "algorithm", "standard");
        jw_kstr(w, "seasonality", "daily");
        jw_kint(w, "target", 3);
    }
    jw_object_end(w);
}

static void signoz_fields(const struct rule *r, struct jw *w)
{
    switch (r->change->kind) {
    case PROPOSAL_FOR: // all of the window must be over the threshold
        signoz_window(w, r->change->seconds, "2");
        break;
    case PROPOSAL_KEEP_FIRING: // it has no keep_firing_for: the mean of a longer window does not
                               // flap
        signoz_window(w, r->change->seconds, "3");
        break;
    case PROPOSAL_GROUP:
        jw_kstr(w, "group by of each query, instead",
                label_of(r, r->unit->cluster, "k8s.cluster.name"));
        break;
    case PROPOSAL_INHIBIT:
        jw_kstr(w, "fires only while this one does not (add its query, and a formula)",
                r->change->other);
        break;
    case PROPOSAL_DROP:
        signoz_filter(r, w);
        break;
    case PROPOSAL_ANOMALY:
        jw_kstr(w, "ruleType", "anomaly_rule");
        signoz_condition(r, w);
        break;
    default:
        signoz_condition(r, w);
    }
}

static const char *write_signoz(const struct rule *r)
{
    struct jw w = JW(r->out);
    jw_object(&w);
    jw_kstr(&w, "alert", r->unit->alertname);
    if (r->rule_id.len)
        jw_kstr(&w, "ruleId", buf_cstr(&r->rule_id));
    signoz_fields(r, &w);
    jw_object_end(&w);
    buf_addc(r->out, '\n');
    return "signoz";
}

// ---- Grafana ----

static void grafana_object_matchers(const struct rule *r)
{
    struct jw w = JW(r->out);
    struct buf value = BUF_INIT(4096);
    const char *op;
    service_value(r, &op, &value);
    buf_adds(r->out, "+    object_matchers: ");
    jw_array(&w);
    jw_array(&w);
    jw_str(&w, "alertname");
    jw_str(&w, "=");
    jw_str(&w, r->unit->alertname);
    jw_array_end(&w);
    if (r->unit->scope != SCOPE_RULE && value.len) {
        jw_array(&w);
        jw_str(&w, service_label(r));
        jw_str(&w, op);
        jw_str(&w, buf_cstr(&value));
        jw_array_end(&w);
    }
    jw_array_end(&w);
    buf_addc(r->out, '\n');
    buf_done(&value);
}

static void grafana_rule(const struct rule *r)
{
    buf_adds(r->out, "   - title: ");
    quoted(r->out, r->unit->alertname);
    if (r->rule_id.len) {
        buf_adds(r->out, "\n     uid: ");
        quoted(r->out, buf_cstr(&r->rule_id));
    }
    buf_addc(r->out, '\n');
}

static void grafana_policy(const struct rule *r)
{
    buf_adds(r->out, " routes:   # notification policies\n");
    if (r->change->kind == PROPOSAL_DROP) {
        buf_adds(r->out, "+  - receiver: \"null\"   # a contact point that nobody reads\n");
        grafana_object_matchers(r);
        return;
    }
    buf_adds(r->out, "+  - mute_time_intervals: [\"daily\"]\n");
    grafana_object_matchers(r);
    int to = (r->change->hour + r->change->hours) % 24;
    buf_addf(r->out,
             " muteTimes:\n+  - name: \"daily\"\n+    time_intervals: [{times: [{start_time: "
             "\"%02d:00\", end_time: \"%02d:00\"}]}]   # UTC\n",
             r->change->hour, to ? to : 24);
}

static const char *write_grafana(const struct rule *r)
{
    switch (r->change->kind) {
    case PROPOSAL_FOR:
        grafana_rule(r);
        for_lines(r, "for", true);
        break;
    case PROPOSAL_KEEP_FIRING:
        grafana_rule(r);
        for_lines(r, "keep_firing_for", false);
        break;
    case PROPOSAL_THRESHOLD:
        grafana_rule(r);
        buf_addf(r->out, "+    condition: evaluator {type: %s, params: [",
                 r->change->below ? "lt" : "gt");
        proposal_number(r->change->threshold, r->out);
        buf_adds(r->out, "]}\n");
        break;
    case PROPOSAL_GROUP:
        grafana_rule(r);
        buf_adds(r->out, "+    query: count by (cluster) of what it has now, > 0\n");
        break;
    case PROPOSAL_INHIBIT:
        grafana_rule(r);
        buf_adds(r->out, "+    query: what it has now, unless this one's condition holds: ");
        quoted(r->out, r->change->other);
        buf_addc(r->out, '\n');
        break;
    default:
        grafana_policy(r);
    }
    return "grafana";
}

int proposal_rule_write(struct store *s, const struct tuning_unit *u,
                        const struct proposal_change *c, struct buf *out, const char **ret_format)
{
    struct rule rule = {.unit = u,
                        .change = c,
                        .out = out,
                        .rule_id = BUF_INIT(512),
                        .expr = BUF_INIT(2 * MAX_EXPR)};
    int r = read_alert(s, &rule);
    if (c->kind == PROPOSAL_KNOWN_NOISE) {
        buf_adds(out, "decide_proposal accepted: dismissed as known noise for 14 days; every 10th "
                      "is looked at, any other verdict ends it\n");
        *ret_format = "memory";
    } else if (rule.sender == SENDER_SIGNOZ) {
        *ret_format = write_signoz(&rule);
    } else {
        *ret_format =
            rule.sender == SENDER_GRAFANA ? write_grafana(&rule) : write_prometheus(&rule);
    }
    cJSON_Delete(rule.labels);
    buf_done(&rule.rule_id);
    buf_done(&rule.expr);
    return r < 0 ? r : out->error;
}
