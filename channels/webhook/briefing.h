#pragma once

// What a new session must know first: the window in numbers, the noise worth tuning
// away, what was real, what nobody has acknowledged, what waits. Below 6 KB for any history.

#include "channels/webhook/recurring.h"
#include "channels/webhook/stats.h"
#include "channels/webhook/tally.h"

#define BRIEFING_BYTES 6000 // of the text form
#define BRIEFING_NOISE_MAX 10
#define BRIEFING_REAL_MAX 8
#define BRIEFING_ESCALATIONS_MAX 8
#define BRIEFING_WAITING_MAX 10

struct briefing_incident {
    int64_t id, severity, verdict, opened_at;
    bool prod;
    char alertname[80], service[64], namespace[64], cluster[48];
    char summary[128]; // of its last verdict
    char ticket[32];   // its key; "" for none
};

struct briefing_escalation {
    int64_t id, at, incident_id; // 0 = of none
    char title[128], body[96], severity[16];
};

struct briefing {
    int64_t days, since, now; // wall ms
    struct tally counts;
    struct stats stats;
    struct recurring_line noise[RECURRING_MAX];
    struct rule_stats rules[RULE_STATS_MAX];
    struct briefing_incident real[BRIEFING_REAL_MAX], waiting[BRIEFING_WAITING_MAX];
    struct briefing_escalation escalations[BRIEFING_ESCALATIONS_MAX];
    int n_noise, n_rules, n_real, n_waiting, n_escalations;
    int64_t waiting_total, escalations_total;
};

// All of it as of one moment. 0, or a store error.
int briefing_read(struct store *s, int64_t days, int64_t now,
                  struct briefing *ret_briefing) MUST_CHECK;

// The text form; dates in the time zone of the process. Reads nothing else. 0, or buf's error.
int briefing_text(const struct briefing *b, struct buf *out) MUST_CHECK;
// The members of one JSON object, without braces.
void briefing_json(const struct briefing *b, struct jw *w);
