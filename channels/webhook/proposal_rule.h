#pragma once

// A proposed change as the sender of the alert takes it: a diff of a Prometheus rule, an
// Alertmanager route or inhibition, fields of a SigNoz rule (its API takes the whole rule: read it
// first), a Grafana rule or notification policy. Names that strangers chose are quoted for where
// they stand.

#include "channels/webhook/proposal_change.h"
#include "common/json.h"

// Appends the text; *ret_format says what it is: "prometheus", "alertmanager", "signoz", "grafana",
// "memory". Labels and rule ids come from the unit's newest alert. 0, or a store error.
int proposal_rule_write(struct store *s, const struct tuning_unit *u,
                        const struct proposal_change *c, struct buf *out,
                        const char **ret_format) MUST_CHECK;

// Seconds as rules have them: "90s", "10m", "2h".
void proposal_duration(int64_t seconds, struct buf *out);
// A number to 6 digits, without the dust of binary fractions.
void proposal_number(double v, struct buf *out);
void proposal_number_json(struct jw *w, double v);
