// Changes of Grafana rules and notification policies.

#include "channels/webhook/proposal_rule_parts.h"

static void grafana_object_matchers(const struct rule *r)
{
    struct jw w = JW(r->out);
    struct buf value = BUF_INIT(4096);
    const char *op;
    rule_service_value(r, &op, &value);
    buf_adds(r->out, "+    object_matchers: ");
    jw_array(&w);
    jw_array(&w);
    jw_str(&w, "alertname");
    jw_str(&w, "=");
    jw_str(&w, r->unit->alertname);
    jw_array_end(&w);
    if (r->unit->scope != SCOPE_RULE && value.len) {
        jw_array(&w);
        jw_str(&w, rule_service_label(r));
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
    rule_quoted(r->out, r->unit->alertname);
    if (r->rule_id.len) {
        buf_adds(r->out, "\n     uid: ");
        rule_quoted(r->out, buf_cstr(&r->rule_id));
    }
    buf_addc(r->out, '\n');
}

// A name as its API takes one: lower case, digits and dashes.
static void resource_name(struct buf *out, const char *s)
{
    for (size_t i = 0; i < 60 && s[i]; i++) {
        char c = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] - 'A' + 'a') : s[i];
        buf_addc(out, (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-');
    }
}

static void inhibition_matcher(struct buf *out, const char *label, const char *op,
                               const char *value)
{
    buf_adds(out, "+    - {type: \"");
    buf_adds(out, op);
    buf_adds(out, "\", label: ");
    rule_quoted(out, label);
    buf_adds(out, ", value: ");
    rule_quoted(out, value);
    buf_adds(out, "}\n");
}

// Grafana 13's own kind of resource (its documentation, "Configure inhibition rules"); older ones
// have none, and there only the rule itself can look at the other's condition.
static void grafana_inhibit(const struct rule *r)
{
    struct buf value = BUF_INIT(4096);
    const char *op;
    rule_service_value(r, &op, &value);
    buf_adds(r->out, "# Grafana 13, feature toggle alertingMultiplePolicies. Older: add the other "
                     "rule's queries to this\n# one's, and a math expression `$CONDITION && "
                     "!$OTHER` as its condition.\n"
                     "+apiVersion: notifications.alerting.grafana.app/v0alpha1\n"
                     "+kind: InhibitionRule\n+metadata: {name: \"sre-");
    resource_name(r->out, r->unit->alertname);
    buf_adds(r->out, "-while-");
    resource_name(r->out, r->change->other);
    buf_adds(r->out, "-fires\"}\n+spec:\n+  source_matchers:\n");
    inhibition_matcher(r->out, "alertname", "=", r->change->other);
    buf_adds(r->out, "+  target_matchers:\n");
    inhibition_matcher(r->out, "alertname", "=", r->unit->alertname);
    if (r->unit->scope != SCOPE_RULE && value.len)
        inhibition_matcher(r->out, rule_service_label(r), op, buf_cstr(&value));
    buf_adds(r->out, "+  equal: [");
    rule_quoted(r->out, rule_label_of(r, r->unit->cluster, "cluster"));
    if (r->change->same_namespace && r->unit->namespace[0]) {
        buf_adds(r->out, ", ");
        rule_quoted(r->out, rule_label_of(r, r->unit->namespace, "namespace"));
    }
    buf_adds(r->out, "]\n");
    buf_done(&value);
}

// A range ends after it begins: one across midnight is two.
static void mute_hours(const struct rule *r)
{
    int from = r->change->hour, to = from + r->change->hours;
    buf_addf(r->out, "{start_time: \"%02d:00\", end_time: \"%02d:00\"}", from, to < 24 ? to : 24);
    if (to > 24)
        buf_addf(r->out, ", {start_time: \"00:00\", end_time: \"%02d:00\"}", to - 24);
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
    buf_adds(r->out, " muteTimes:\n+  - name: \"daily\"\n+    time_intervals: [{times: [");
    mute_hours(r);
    buf_adds(r->out, "]}]   # UTC\n");
}

const char *rule_write_grafana(const struct rule *r)
{
    switch (r->change->kind) {
    case PROPOSAL_FOR:
        grafana_rule(r);
        rule_duration_line(r, "for", true);
        break;
    case PROPOSAL_KEEP_FIRING:
        grafana_rule(r);
        rule_duration_line(r, "keep_firing_for", false);
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
        grafana_inhibit(r);
        break;
    default:
        grafana_policy(r);
    }
    return "grafana";
}
