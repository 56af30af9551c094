// The week in a few lines, for Slack.

#include "channels/webhook/html.h"
#include "channels/webhook/markdown_text.h"
#include "channels/webhook/report.h"

#define NOISE_LINES 5
#define PROPOSAL_LINES 3

static void numbers(const struct report *r, struct buf *out)
{
    int64_t total = tally_total(&r->counts);
    buf_addf(out, "Alerts of the last %lld days\n\n**%lld alerts**", (long long)r->days,
             (long long)total);
    if (r->before_known)
        buf_addf(out, " (%lld in as long a time before)", (long long)tally_total(&r->before));
    buf_addf(out, ": %lld noise (%lld %%), %lld real, %lld undecided.", (long long)r->counts.noise,
             total ? (long long)(r->counts.noise * 100 / total) : 0,
             (long long)tally_true(&r->counts), (long long)tally_undecided(&r->counts));
    if (r->stats.taken.n > 0) {
        buf_adds(out, " Taken after ");
        html_duration(out, r->stats.taken.ms);
    }
    if (r->stats.mended.n > 0) {
        buf_adds(out, r->stats.taken.n > 0 ? ", real ones over after " : " Real ones over after ");
        html_duration(out, r->stats.mended.ms);
    }
    if (r->stats.taken.n > 0 || r->stats.mended.n > 0)
        buf_adds(out, " (means).");
    if (r->escalations_total) {
        buf_addf(out, " %lld escalation%s, %lld answered", (long long)r->escalations_total,
                 r->escalations_total == 1 ? "" : "s", (long long)r->answered);
        if (r->answered) {
            buf_adds(out, ", half within ");
            html_duration(out, r->answer_ms);
        }
        buf_addc(out, '.');
    }
    if (r->spared > 0) {
        buf_adds(out, " Checking saved: ");
        html_duration(out, r->spared * REPORT_CHECK_MIN * 60000);
        buf_addf(out, " (%d minutes for each of %lld).", REPORT_CHECK_MIN, (long long)r->spared);
    }
    buf_addc(out, '\n');
}

static void noise(const struct report *r, struct buf *out)
{
    for (int i = 0; i < r->n_noise && i < NOISE_LINES; i++) {
        const struct recurring_line *l = &r->noise[i];
        buf_adds(out, i ? "- " : "\n**Top noise**\n- ");
        markdown_inline(out, l->alertname, sizeof l->alertname);
        if (l->where[0]) {
            buf_adds(out, " on ");
            markdown_inline(out, l->where, sizeof l->where);
        }
        buf_addf(out, ", %lldx\n", (long long)l->count);
    }
}

static void proposals(const struct report *r, struct buf *out)
{
    for (int i = 0; i < r->n_proposals && i < PROPOSAL_LINES; i++) {
        const struct report_proposal *p = &r->proposals[i];
        buf_adds(out, i ? "- " : "\n**Proposals**\n- ");
        if (p->id)
            buf_addf(out, "\\#%lld ", (long long)p->id);
        markdown_inline(out, p->title, sizeof p->title);
        buf_addf(out, ", would have removed %lld of %lld firings\n", (long long)p->removed,
                 (long long)p->of);
    }
}

int report_text(const struct report *r, const char *where, struct buf *out)
{
    numbers(r, out);
    noise(r, out);
    proposals(r, out);
    buf_adds(out, "\nThe whole report: ");
    buf_adds(out, where);
    return out->error;
}
