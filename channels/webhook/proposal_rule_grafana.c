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
        grafana_rule(r);
        buf_adds(r->out, "+    query: what it has now, unless this one's condition holds: ");
        rule_quoted(r->out, r->change->other);
        buf_addc(r->out, '\n');
        break;
    default:
        grafana_policy(r);
    }
    return "grafana";
}
