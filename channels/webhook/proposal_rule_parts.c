#include "channels/webhook/proposal_rule_parts.h"

#include "common/text.h"

#define MAX_EXPR 600 // of a Prometheus expression

// ---- quoting ----

void rule_quoted(struct buf *out, const char *s)
{
    struct jw w = JW(out);
    jw_str(&w, s);
}

void rule_single_quoted(struct buf *out, struct str s)
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

bool rule_is_plain_label(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return *s && !s[n] && !(*s >= '0' && *s <= '9');
}

// ---- the newest alert ----

const char *rule_label_of(const struct rule *r, const char *value, const char *fallback)
{
    for (const cJSON *c = r->labels ? r->labels->child : NULL; c && *value; c = c->next)
        if (cJSON_IsString(c) && strcmp(c->valuestring, value) == 0 &&
            strcmp(c->string, "alertname") != 0)
            return c->string;
    return fallback;
}

const char *rule_service_label(const struct rule *r)
{
    const struct tuning_unit *u = r->unit;
    if (u->scope == SCOPE_PROBLEM)
        return rule_label_of(r, u->service, "service");
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

int rule_read(struct store *s, struct rule *r)
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
    if (rule_is_plain_label(label))
        buf_adds(out, label);
    else
        rule_quoted(out, label); // UTF-8 names: Prometheus 3, Alertmanager 0.27
    buf_adds(out, op);
    rule_quoted(out, value);
}

void rule_service_value(const struct rule *r, const char **op, struct buf *value)
{
    *op = r->unit->scope == SCOPE_FAMILY ? "=~" : "=";
    if (r->unit->scope == SCOPE_FAMILY) {
        regex_escaped(value, r->unit->family);
        buf_adds(value, ".*");
    } else {
        buf_adds(value, r->unit->service);
    }
}

void rule_matcher_item(struct buf *out, const char *indent, const char *label, const char *op,
                       const char *value)
{
    struct buf m = BUF_INIT(8192);
    matcher(&m, label, op, value);
    buf_addf(out, "+%s- ", indent);
    rule_single_quoted(out, buf_str(&m));
    buf_addc(out, '\n');
    buf_done(&m);
}

void rule_unit_matchers(const struct rule *r, const char *indent)
{
    struct buf value = BUF_INIT(4096);
    const char *op;
    rule_matcher_item(r->out, indent, "alertname", "=", r->unit->alertname);
    if (r->unit->cluster[0])
        rule_matcher_item(r->out, indent, rule_label_of(r, r->unit->cluster, "cluster"), "=",
                          r->unit->cluster);
    rule_service_value(r, &op, &value);
    if (r->unit->scope != SCOPE_RULE && value.len)
        rule_matcher_item(r->out, indent, rule_service_label(r), op, buf_cstr(&value));
    buf_done(&value);
}

void rule_duration_line(const struct rule *r, const char *key, bool adds)
{
    buf_addf(r->out, "+    %s: ", key);
    proposal_duration(r->change->seconds, r->out);
    buf_addf(r->out, adds ? "   # if it has a `%s` already: that much more\n" : "\n", key);
}
