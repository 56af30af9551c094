#include "channels/webhook/report_cases.h"

#include <stdio.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/html.h"
#include "channels/webhook/terms.h"

static void text(struct buf *out, const char *s)
{
    html_text(out, s, 4096);
}

static void time_element(struct buf *out, int64_t ms)
{
    char iso[HTML_DATE_SIZE], shown[HTML_DATE_SIZE];
    buf_addf(out, "<time datetime=\"%s\">%s</time>", html_date(ms, HTML_DATE_ISO, iso),
             html_date(ms, HTML_DATE_MINUTE, shown));
}

// ---- noise and what would help ----

static void effect(const struct report_proposal *p, struct buf *out)
{
    buf_adds(out, "saves ");
    html_number(out, p->removed);
    buf_adds(out, " of ");
    html_number(out, p->of);
    if (p->real)
        buf_addf(out, ", %lld of them real", (long long)p->real);
}

static void noise_row(const struct report *r, const struct recurring_line *l, struct buf *out)
{
    const struct report_proposal *p = report_proposal_for(r, l);
    int64_t most = r->noise[0].count > 0 ? r->noise[0].count : 1;
    buf_adds(out, "<tr><th scope=\"row\">");
    text(out, l->alertname);
    if (l->where[0]) {
        buf_adds(out, " <span class=\"dim\">on</span> ");
        text(out, l->where);
    }
    buf_adds(out, "</th><td class=\"n\">");
    html_number(out, l->count);
    buf_addf(
        out,
        "</td><td class=\"bar\"><svg width=\"100%%\" height=\"10\" aria-hidden=\"true\">"
        "<rect class=\"noise\" width=\"%lld%%\" height=\"10\"></rect></svg></td><td class=\"any\">",
        (long long)(l->count * 100 / most));
    if (p) {
        buf_addf(out, "<a href=\"#proposal-%d\">", (int)(p - r->proposals));
        text(out, p->change);
        buf_adds(out, "</a>: ");
        effect(p, out);
    } else {
        buf_adds(out, "<span class=\"dim\">nothing yet</span>");
    }
    buf_adds(out, "</td></tr>\n");
}

static void noise_table(const struct report *r, struct buf *out)
{
    int n = r->n_noise < REPORT_NOISE_MAX ? r->n_noise : REPORT_NOISE_MAX;
    buf_adds(out,
             "<table><thead><tr><th scope=\"col\">Alert</th><th scope=\"col\" class=\"n\">Noise"
             "</th><td class=\"bar\"></td><th scope=\"col\">What would help</th></tr></thead>"
             "<tbody>\n");
    for (int i = 0; i < n; i++)
        noise_row(r, &r->noise[i], out);
    buf_adds(out, "</tbody></table>\n");
    if (r->n_noise > n)
        buf_addf(out, "<p class=\"dim\">and %d more</p>\n", r->n_noise - n);
}

static void proposals_table(const struct report *r, struct buf *out)
{
    buf_addf(out,
             "<h3>Proposals</h3>\n<table><caption>Counted over the last %lld days</caption><thead>"
             "<tr><th scope=\"col\" class=\"id\">No.</th><th scope=\"col\">Change</th><th "
             "scope=\"col\">Would "
             "have</th></tr></thead><tbody>\n",
             (long long)r->proposal_days);
    for (int i = 0; i < r->n_proposals; i++) {
        const struct report_proposal *p = &r->proposals[i];
        buf_addf(out, "<tr id=\"proposal-%d\"><td class=\"id\">", i);
        if (p->id)
            buf_addf(out, "#%lld", (long long)p->id);
        buf_adds(out, "</td><th scope=\"row\">");
        text(out, p->title);
        buf_adds(out, "</th><td>removed ");
        html_number(out, p->removed);
        buf_adds(out, " of ");
        html_number(out, p->of);
        buf_addf(out, " firings, %lld real", (long long)p->real);
        if (p->undecided)
            buf_addf(out, ", %lld undecided", (long long)p->undecided);
        buf_adds(out, "</td></tr>\n");
    }
    buf_adds(out, "</tbody></table>\n");
    if (r->proposals_total > r->n_proposals)
        buf_addf(out, "<p class=\"dim\">and %lld more: webhook-channel proposals</p>\n",
                 (long long)(r->proposals_total - r->n_proposals));
}

void report_noise_section(const struct report *r, struct buf *out)
{
    buf_adds(out, "<section class=\"long\"><h2>Noise league</h2>\n");
    if (r->n_noise)
        noise_table(r, out);
    else
        buf_adds(out, "<p>No noise came twice.</p>\n");
    if (r->n_proposals)
        proposals_table(r, out);
    buf_adds(out, "</section>\n");
}

// ---- what was real ----

static void tag(struct buf *out, int64_t verdict)
{
    static const char *const words[] = {[VERDICT_AUTO_FIXED] = "auto-fixed",
                                        [VERDICT_ESCALATED] = "escalated",
                                        [VERDICT_REAL] = "real"};
    static const char *const classes[] = {
        [VERDICT_AUTO_FIXED] = "fixed", [VERDICT_ESCALATED] = "escalated", [VERDICT_REAL] = "real"};
    if (verdict >= VERDICT_AUTO_FIXED && verdict <= VERDICT_REAL)
        buf_addf(out, "<span class=\"tag %s\">%s</span>", classes[verdict], words[verdict]);
}

static void row(struct buf *out, const char *name, const char *value)
{
    if (!value[0])
        return;
    buf_addf(out, "<dt>%s</dt><dd>", name);
    text(out, value);
    buf_adds(out, "</dd>");
}

static void incident(const struct report_incident *i, struct buf *out)
{
    const char *where = i->service[0] ? i->service : i->namespace[0] ? i->namespace : i->cluster;
    buf_adds(out, "<article><h3>");
    text(out, i->alertname);
    if (where[0]) {
        buf_adds(out, " on ");
        text(out, where);
    }
    buf_adds(out, "</h3><p class=\"dim\">");
    tag(out, i->verdict);
    buf_addf(out, " #%lld, ", (long long)i->id);
    time_element(out, i->opened_at);
    if (i->closed_at) {
        buf_adds(out, ", lasted ");
        html_duration(out, i->closed_at - i->opened_at);
    } else {
        buf_adds(out, ", still firing");
    }
    buf_addf(out, ", %s, %s", severity_name((enum alert_severity)i->severity),
             i->prod ? "prod" : "dev");
    if (i->cluster[0] && where != i->cluster) {
        buf_adds(out, ", ");
        text(out, i->cluster);
    }
    buf_adds(out, "</p><dl>");
    row(out, "Summary", i->summary);
    row(out, "Root cause", i->root_cause);
    row(out, "Action", i->action);
    buf_adds(out, "</dl></article>\n");
}

void report_real_section(const struct report *r, struct buf *out)
{
    int64_t total = tally_true(&r->counts);
    buf_adds(out, "<section class=\"long\"><h2>Real incidents</h2>\n");
    if (!r->n_real)
        buf_adds(out, "<p>None.</p>\n");
    for (int i = 0; i < r->n_real; i++)
        incident(&r->real[i], out);
    if (total > r->n_real) {
        buf_adds(out, "<p class=\"dim\">The newest of ");
        html_number(out, total);
        buf_adds(out, ".</p>\n");
    }
    buf_adds(out, "</section>\n");
}

// ---- escalations ----

static void escalation(const struct report_escalation *e, struct buf *out)
{
    buf_adds(out, "<tr><th scope=\"row\">");
    text(out, e->title);
    buf_adds(out, "<br><span class=\"dim\">");
    text(out, e->severity);
    if (e->incident_id)
        buf_addf(out, ", incident #%lld", (long long)e->incident_id);
    buf_adds(out, "</span></th><td>");
    time_element(out, e->created_at);
    buf_adds(out, "</td><td>");
    if (e->answered_at) {
        buf_adds(out, "after ");
        html_duration(out, e->answered_at - e->created_at);
        if (e->by[0]) {
            buf_adds(out, " by ");
            text(out, e->by);
        }
    } else if (e->state < 3) {
        buf_adds(out, "<span class=\"tag real\">not yet</span>");
    } else {
        buf_adds(out, "over before anybody did");
    }
    if (e->nags)
        buf_addf(out, "<br><span class=\"dim\">%lld reminder%s</span>", (long long)e->nags,
                 e->nags == 1 ? "" : "s");
    buf_adds(out, "</td></tr>\n");
}

void report_escalation_section(const struct report *r, struct buf *out)
{
    buf_adds(out, "<section class=\"long\"><h2>Escalations</h2>\n<p>");
    html_number(out, r->escalations_total);
    buf_addf(out, " asked, ");
    html_number(out, r->answered);
    buf_adds(out, " answered");
    if (r->answered) {
        buf_adds(out, ": half of them within ");
        html_duration(out, r->answer_ms);
        buf_adds(out, ", the slowest after ");
        html_duration(out, r->answer_worst_ms);
    }
    buf_adds(out, ". ");
    html_number(out, r->unanswered);
    buf_adds(out, " wait for an answer. ");
    html_number(out, r->paged);
    buf_addf(out, " incident%s went to the owner without the agent.</p>\n",
             r->paged == 1 ? "" : "s");
    if (r->n_escalations) {
        buf_adds(out, "<table><thead><tr><th scope=\"col\">What</th><th scope=\"col\">Asked</th>"
                      "<th scope=\"col\">Answered</th></tr></thead><tbody>\n");
        for (int i = 0; i < r->n_escalations; i++)
            escalation(&r->escalations[i], out);
        buf_adds(out, "</tbody></table>\n");
    }
    buf_adds(out, "</section>\n");
}
