#pragma once

// How well the team and the agent do: how fast, how much noise, how often a verdict had to be taken
// back. Means over the incidents that opened in the window, tests left out; what the memory decided
// by itself has no pace.

#include "channels/webhook/tally_edge.h"
#include "common/json.h"

struct stats {
    // n = of how many incidents, ms = the mean; n 0 = not known
    struct pace {
        int64_t n, ms;
    } taken,     // MTTA: opened -> named by a tool call
        verdict, // time to the first verdict
        mended; // MTTR: opened -> resolved, of those whose verdict is real, auto_fixed or escalated
    int64_t
        reversed; // verdicts that a later one contradicted: noise that was none, or the other way
};

// What the table pace counts, as stored (common/schema.c).
enum pace_kind { PACE_TAKEN, PACE_VERDICT, PACE_MENDED, PACE_REVERSED };

int stats_read(struct store *s, int64_t since, struct stats *ret_stats) MUST_CHECK;

// One rule (alertname) in the window.
struct rule_stats {
    char alertname[96];
    int64_t incidents, noise, real;
};
#define RULE_STATS_MAX 20
// The busiest rules since w, whose edge is `edge`; *ret_n of them. 0, or a store error.
int stats_rules(struct store *s, const struct tally_window *w, const struct tally_edge *edge,
                struct rule_stats rules[RULE_STATS_MAX], int *ret_n) MUST_CHECK;

// Cleans text for one line of people and models and cuts it to the size of `out`, on a character
// boundary, with "..." where it was cut.
void text_fit(const char *text, size_t size, char *out);
