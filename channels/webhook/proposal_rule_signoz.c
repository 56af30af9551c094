// Fields of a SigNoz rule. Its newer schema has target, op and matchType in
// condition.thresholds.spec[], evalWindow in evaluation.spec. op: 1 above, 2 below. matchType: 2
// all the times, 3 on average.

#include <stdio.h>

#include "channels/webhook/proposal_rule_parts.h"

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
    rule_service_value(r, &op, &value);
    buf_addf(&filter, "%s %s '", rule_service_label(r),
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
        if (strcmp(r->unit->firings[0]->unit, "s") == 0 ||
            strcmp(r->unit->firings[0]->unit, "ms") == 0)
            jw_kstr(w, "targetUnit", r->unit->firings[0]->unit);
        jw_kstr(w, "op", r->change->below ? "2" : "1");
    } else {
        jw_kstr(w, "algorithm", "standard");
        jw_kstr(w, "seasonality", "daily");
        jw_kint(w, "target", 3);
    }
    jw_object_end(w);
}

// SigNoz knows no inhibition (its planned maintenance is by time only). What it can do is a rule in
// PromQL: `unless` takes away the clusters, or namespaces, where the other one's condition holds.
static void signoz_inhibit(const struct rule *r, struct jw *w)
{
    struct buf query = BUF_INIT(8192);
    const char *labels[] = {rule_label_of(r, r->unit->cluster, "k8s.cluster.name"), NULL};
    if (r->change->same_namespace && r->unit->namespace[0])
        labels[1] = rule_label_of(r, r->unit->namespace, "k8s.namespace.name");
    buf_adds(&query, "(QUERY AND THRESHOLD OF THIS RULE) unless on(");
    for (size_t i = 0; i < ARRAY_LEN(labels) && labels[i]; i++) {
        buf_adds(&query, i ? ", " : "");
        if (rule_is_plain_label(labels[i]))
            buf_adds(&query, labels[i]);
        else
            rule_quoted(&query, labels[i]);
    }
    buf_adds(&query, ") (QUERY AND THRESHOLD OF ");
    rule_quoted(&query, r->change->other);
    buf_adds(&query, ")");
    jw_kstr(w, "ruleType", "promql_rule");
    jw_key(w, "condition");
    jw_object(w);
    jw_key(w, "compositeQuery");
    jw_object(w);
    jw_kstr(w, "queryType", "promql");
    jw_kstr(w, "query", buf_cstr(&query));
    jw_object_end(w);
    jw_object_end(w);
    buf_done(&query);
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
                rule_label_of(r, r->unit->cluster, "k8s.cluster.name"));
        break;
    case PROPOSAL_INHIBIT:
        signoz_inhibit(r, w);
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

const char *rule_write_signoz(const struct rule *r)
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
