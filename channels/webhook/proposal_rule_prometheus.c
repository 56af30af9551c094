// Changes of Prometheus rules, and of the Alertmanager behind them.

#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/proposal_rule_parts.h"

static void alert_line(const struct rule *r)
{
    buf_adds(r->out, "   - alert: ");
    rule_quoted(r->out, r->unit->alertname);
    buf_addc(r->out, '\n');
}

static void expr_line(const struct rule *r, char sign, struct str expr)
{
    buf_addf(r->out, "%c    expr: ", sign);
    rule_single_quoted(r->out, expr);
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

#define SAME_SCALE 20 // noise is near its limit

// Is that number what the values were compared with? They may have been written in another unit, or
// be of something else.
static bool is_same_scale(const struct rule *r, const char *comparison)
{
    double limit = strtod(comparison + 1 + (comparison[1] == '='), NULL);
    bool below = r->change->below;
    if ((*comparison == '<') != below ||
        (below ? r->change->threshold > limit : r->change->threshold < limit))
        return false;
    for (size_t i = 0; i < r->unit->n; i++) {
        double v = r->unit->firings[i]->value;
        if (below ? v > limit : v < limit)
            return false;
    }
    return below || limit <= 0 || r->change->threshold <= limit * SAME_SCALE;
}

static void prometheus_threshold(const struct rule *r)
{
    struct buf b = BUF_INIT(4096);
    const char *op = r->change->below ? "<" : ">";
    size_t keep = comparison(buf_cstr(&r->expr));
    if (keep && !is_same_scale(r, buf_cstr(&r->expr) + keep))
        keep = 0;
    if (keep) {
        buf_add(&b, r->expr.data, keep);
        buf_addf(&b, "%s ", op);
    } else {
        buf_addf(&b, "<the expression without its threshold> %s ", op);
    }
    proposal_number(r->change->threshold, &b);
    if (!keep && r->unit->firings[0]->unit[0])
        buf_addf(&b, " <%s>", r->unit->firings[0]->unit);
    alert_line(r);
    if (r->expr.len)
        expr_line(r, '-', buf_str(&r->expr));
    expr_line(r, '+', buf_str(&b));
    buf_done(&b);
}

static void prometheus_group(const struct rule *r)
{
    const char *cluster = rule_label_of(r, r->unit->cluster, "cluster");
    struct buf before = BUF_INIT(1024);
    buf_adds(&before, "count by (");
    if (rule_is_plain_label(cluster))
        buf_adds(&before, cluster);
    else
        rule_quoted(&before, cluster);
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

static void alertmanager_inhibit(const struct rule *r)
{
    buf_adds(r->out, " inhibit_rules:\n+  - source_matchers:\n");
    rule_matcher_item(r->out, "      ", "alertname", "=", r->change->other);
    buf_adds(r->out, "+    target_matchers:\n");
    rule_unit_matchers(r, "      ");
    buf_adds(r->out, "+    equal: [");
    rule_quoted(r->out, rule_label_of(r, r->unit->cluster, "cluster"));
    if (r->change->same_namespace && r->unit->namespace[0]) {
        buf_adds(r->out, ", ");
        rule_quoted(r->out, rule_label_of(r, r->unit->namespace, "namespace"));
    }
    buf_adds(r->out, "]\n");
}

static void alertmanager_drop(const struct rule *r)
{
    buf_adds(r->out, " route:\n   routes:\n+    - receiver: \"null\"   # a receiver of that name "
                     "with nothing in it; before all other routes\n"
                     "+      matchers:\n");
    rule_unit_matchers(r, "        ");
}

const char *rule_write_prometheus(const struct rule *r)
{
    switch (r->change->kind) {
    case PROPOSAL_FOR:
        alert_line(r);
        rule_duration_line(r, "for", true);
        return "prometheus";
    case PROPOSAL_KEEP_FIRING:
        alert_line(r);
        rule_duration_line(r, "keep_firing_for", false);
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
