#include "channels/webhook/proposal_rule_parts.h"

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

int proposal_rule_write(struct store *s, const struct tuning_unit *u,
                        const struct proposal_change *c, struct buf *out, const char **ret_format)
{
    struct rule rule = {
        .unit = u, .change = c, .out = out, .rule_id = BUF_INIT(512), .expr = BUF_INIT(4096)};
    int r = rule_read(s, &rule);
    if (c->kind == PROPOSAL_KNOWN_NOISE) {
        buf_adds(out, "decide_proposal accepted: dismissed as known noise for 14 days; every 10th "
                      "is looked at, any other verdict ends it\n");
        *ret_format = "memory";
    } else if (rule.sender == SENDER_SIGNOZ) {
        *ret_format = rule_write_signoz(&rule);
    } else {
        *ret_format = rule.sender == SENDER_GRAFANA ? rule_write_grafana(&rule)
                                                    : rule_write_prometheus(&rule);
    }
    cJSON_Delete(rule.labels);
    buf_done(&rule.rule_id);
    buf_done(&rule.expr);
    return r < 0 ? r : out->error;
}
