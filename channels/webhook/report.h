#pragma once

// What a window of days was like (issue 8): the numbers of the report page and of the week's
// summary, each list bounded whatever the history.

#include "channels/webhook/proposal.h"
#include "channels/webhook/recurring.h"
#include "channels/webhook/stats.h"
#include "channels/webhook/tally.h"

#define REPORT_DAYS_MAX 3650
#define REPORT_BARS_MAX 64
#define REPORT_NOISE_MAX 15
#define REPORT_PROPOSALS_MAX 12
#define REPORT_REAL_MAX 40
#define REPORT_ESCALATIONS_MAX 30
#define REPORT_CHECK_MIN 5 // minutes that a person would need to look at one alert: an assumption

struct report_bar {
    int64_t day; // the first UTC day of it, since 1970
    struct tally counts;
    struct pace taken, mended; // of the incidents that opened then
};

struct report_proposal {
    int64_t id; // 0 = it could not be remembered
    enum proposal_scope scope;
    char alertname[80], service[64], family[64]; // what it is about
    char title[240];
    char change[160];        // the part of the title that says what to do
    int64_t of, removed;     // firings of the last proposal_days days
    int64_t real, undecided; // of the removed
};

struct report_incident {
    int64_t id, verdict, severity, opened_at, closed_at; // closed_at 0 = open
    bool prod;
    char alertname[96], service[80], namespace[64], cluster[64];
    char summary[400], root_cause[400], action[400]; // of its last verdict
};

struct report_escalation {
    int64_t id, state, created_at, answered_at, nags, incident_id; // 0 = not, none
    char title[160], severity[16], by[64];                         // by: who answered
};

struct report {
    int64_t days, since, now;    // wall ms
    struct tally counts, before; // of the window, and of as long a time before it
    struct stats stats;
    struct pace taken_before, mended_before;
    bool before_known; // the memory goes back as far as that

    int64_t bar_days; // days in a bar
    struct report_bar bars[REPORT_BARS_MAX];
    int n_bars;

    struct recurring_line noise[RECURRING_MAX];
    int n_noise;

    int64_t proposal_days;
    struct report_proposal proposals[REPORT_PROPOSALS_MAX]; // most noise first
    int n_proposals;
    int64_t proposals_total;

    struct report_incident real[REPORT_REAL_MAX]; // newest first
    int n_real;

    struct report_escalation escalations[REPORT_ESCALATIONS_MAX]; // unanswered first
    int n_escalations;
    int64_t escalations_total, answered, unanswered; // unanswered: and not over by itself
    int64_t answer_ms, answer_worst_ms;              // median and longest, of those answered
    int64_t paged; // incidents that went to the owner without the agent

    int64_t spared;        // noise or fixed by itself, and nobody was paged or asked
    int64_t events, bytes; // pushed into sessions
};

// Reads all of it as of one moment, and remembers the proposals as `tuning_proposals` does, where
// the store can be written. 0, -ENOMEM, or a store error. Takes a tenth of a second for a million
// incidents: not for the loop.
int report_read(struct store *s, int64_t days, int64_t now, struct report *ret_report) MUST_CHECK;

// Its proposals; part of report_read.
int report_read_proposals(struct store *s, struct report *r) MUST_CHECK;
// The first one that speaks for this line of noise, or NULL. Pure.
const struct report_proposal *report_proposal_for(const struct report *r,
                                                  const struct recurring_line *line);

// The whole page, at most REPORT_HTML_MAX bytes. Pure. 0 or buf's error.
#define REPORT_HTML_MAX (2u << 20)
int report_html(const struct report *r, struct buf *out) MUST_CHECK;

// The week in a few lines of Markdown, for Slack; where: where the whole report is. Pure.
int report_text(const struct report *r, const char *where, struct buf *out) MUST_CHECK;
