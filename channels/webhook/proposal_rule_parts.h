#pragma once

// What the writers of changes share: the alert that names its rule, quoting, matchers. Private to
// proposal_rule.c and the writer of each sender.

#include "channels/webhook/proposal_rule.h"

enum rule_sender { SENDER_PROMETHEUS, SENDER_SIGNOZ, SENDER_GRAFANA };

struct rule {
    const struct tuning_unit *unit;
    const struct proposal_change *change;
    struct buf *out;
    enum rule_sender sender;
    cJSON *labels;      // owned
    struct buf rule_id; // of SigNoz and Grafana; may be empty
    struct buf expr;    // of Prometheus, from the alert's own link; may be empty
};

// Fills in what the unit's newest alert says. 0, or a store error.
int rule_read(struct store *s, struct rule *r) MUST_CHECK;

void rule_quoted(struct buf *out,
                 const char *s); // as JSON; YAML's double quotes and PromQL's take the same
void rule_single_quoted(struct buf *out, struct str s); // as YAML has it
bool rule_is_plain_label(const char *s);                // needs no quotes in PromQL

// The label that holds the value: senders name the same thing differently.
const char *rule_label_of(const struct rule *r, const char *value, const char *fallback);
const char *rule_service_label(const struct rule *r);
// "=" and the service, or "=~" and a pattern for its family; empty for a whole rule.
void rule_service_value(const struct rule *r, const char **op, struct buf *value);

// An added line of an Alertmanager list of matchers; those that pick the unit's alerts.
void rule_matcher_item(struct buf *out, const char *indent, const char *label, const char *op,
                       const char *value);
void rule_unit_matchers(const struct rule *r, const char *indent);

// An added line of a rule that holds the change's seconds. adds: they come on top of what it has.
void rule_duration_line(const struct rule *r, const char *key, bool adds);

// Each returns the name of the format.
const char *rule_write_prometheus(const struct rule *r);
const char *rule_write_signoz(const struct rule *r);
const char *rule_write_grafana(const struct rule *r);
