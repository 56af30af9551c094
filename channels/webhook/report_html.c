// The report as one page that needs nothing else.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/chart.h"
#include "channels/webhook/html.h"
#include "channels/webhook/report_cases.h"
#include "channels/webhook/report_style.h"
#include "channels/webhook/terms.h"

#define DAY_MS (24ll * 3600 * 1000)
#define MINUTE_MS (60ll * 1000)
#define BYTES_PER_TOKEN 4

// ---- the head and the tiles ----

static void head(const struct report *r, struct buf *out)
{
    char from[HTML_DATE_SIZE], to[HTML_DATE_SIZE];
    buf_adds(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"");
    report_policy(out, false);
    buf_addf(
        out,
        "\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<meta name=\"referrer\" content=\"no-referrer\"><meta name=\"robots\" "
        "content=\"noindex\"><link rel=\"icon\" href=\"data:,\"><title>Alerts of %lld day%s to "
        "%s</title><style>",
        (long long)r->days, r->days == 1 ? "" : "s", html_date(r->now, HTML_DATE_DAY, to));
    report_style(out);
    buf_addf(out,
             "</style></head>\n<body><header><h1>Alerts of the last %lld day%s</h1>"
             "<p class=\"dim\">%s to %s, all times UTC</p></header>\n<main>\n",
             (long long)r->days, r->days == 1 ? "" : "s", html_date(r->since, HTML_DATE_FULL, from),
             html_date(r->now, HTML_DATE_FULL, to));
}

static void tile_begin(struct buf *out, const char *name)
{
    buf_addf(out, "<div class=\"tile\"><dt>%s</dt><dd><div class=\"big\">", name);
}

static void tile_rest(struct buf *out)
{
    buf_adds(out, "</div><div class=\"small\">");
}

static void tile_end(struct buf *out)
{
    buf_adds(out, "</div></dd></div>\n");
}

static void tile_count(struct buf *out, const char *name, int64_t n, int64_t before, bool known)
{
    tile_begin(out, name);
    html_number(out, n);
    tile_rest(out);
    if (known) {
        buf_adds(out, "before: ");
        html_number(out, before);
    }
    tile_end(out);
}

static void tile_pace(struct buf *out, const char *name, const struct pace *p,
                      const struct pace *before, bool known, const char *what)
{
    tile_begin(out, name);
    if (p->n > 0)
        html_duration(out, p->ms);
    else
        buf_adds(out, "\xe2\x80\x93");
    tile_rest(out);
    buf_adds(out, what);
    if (known && before->n > 0) {
        buf_adds(out, "; before: ");
        html_duration(out, before->ms);
    }
    tile_end(out);
}

static void tiles(const struct report *r, struct buf *out)
{
    int64_t total = tally_total(&r->counts), before = tally_total(&r->before);
    bool known = r->before_known && before > 0;
    buf_adds(out, "<dl class=\"tiles\">\n");
    tile_count(out, "Alerts", total, before, known);
    tile_begin(out, "Noise");
    buf_addf(out, "%lld %%", total ? (long long)(r->counts.noise * 100 / total) : 0);
    tile_rest(out);
    html_number(out, r->counts.noise);
    buf_adds(out, " alerts");
    if (known)
        buf_addf(out, "; before: %lld %%", (long long)(r->before.noise * 100 / before));
    tile_end(out);
    tile_count(out, "Real", tally_true(&r->counts), tally_true(&r->before), known);
    tile_count(out, "Undecided", tally_undecided(&r->counts), tally_undecided(&r->before), known);
    tile_pace(out, "<abbr title=\"mean time to acknowledge\">MTTA</abbr>", &r->stats.taken,
              &r->taken_before, known, "until the agent took it");
    tile_pace(out, "<abbr title=\"mean time to resolve\">MTTR</abbr>", &r->stats.mended,
              &r->mended_before, known, "until a real one was over");
    tile_begin(out, "Checking saved");
    html_duration(out, r->spared * REPORT_CHECK_MIN * MINUTE_MS);
    tile_rest(out);
    buf_addf(out, "%d minutes for each of ", REPORT_CHECK_MIN);
    html_number(out, r->spared);
    tile_end(out);
    tile_begin(out, "Pushed to the agent");
    html_bytes(out, r->bytes);
    tile_rest(out);
    html_number(out, r->events);
    buf_addf(out, " event%s", r->events == 1 ? "" : "s");
    tile_end(out);
    buf_adds(out, "</dl>\n");
}

// ---- charts ----

static void labels_of(const struct report *r, struct chart *c)
{
    char shown[HTML_DATE_SIZE];
    c->n = r->n_bars;
    for (int i = 0; i < r->n_bars; i++)
        snprintf(c->labels[i], sizeof c->labels[i], "%.15s",
                 html_date(r->bars[i].day * DAY_MS,
                           r->days > 310 ? HTML_DATE_SHORT_YEAR : HTML_DATE_SHORT, shown));
}

static const char *const verdict_columns[] = {"noise", "auto-fixed", "escalated", "real",
                                              "undecided"};
static const char *const verdict_classes[] = {"noise", "fixed", "escalated", "real", "open"};

static void counts_of(const struct tally *t, int64_t out[5])
{
    const int64_t n[] = {t->noise, t->auto_fixed, t->escalated, t->real, tally_undecided(t)};
    memcpy(out, n, sizeof n);
}

static void table_begin(struct buf *out, const char *caption, const char *first)
{
    buf_addf(out,
             "<details><summary>The numbers as a table</summary><table><caption>%s</caption>"
             "<thead><tr><th scope=\"col\">%s</th>",
             caption, first);
}

static void counts_table(const struct report *r, const struct chart *c, const char *per,
                         struct buf *out)
{
    table_begin(out, "Alerts by the verdict they have now", per);
    for (size_t k = 0; k < ARRAY_LEN(verdict_columns); k++)
        buf_addf(out, "<th scope=\"col\" class=\"n\">%s</th>", verdict_columns[k]);
    buf_adds(out, "</tr></thead><tbody>");
    for (int i = r->n_bars - 1; i >= 0; i--) {
        buf_addf(out, "<tr><th scope=\"row\">%s</th>", c->labels[i]);
        for (int k = 0; k < c->n_series; k++) {
            buf_adds(out, "<td class=\"n\">");
            html_number(out, c->values[k][i]);
            buf_adds(out, "</td>");
        }
        buf_adds(out, "</tr>");
    }
    buf_adds(out, "</tbody></table></details>\n");
}

static void per_words(const struct report *r, char out[40])
{
    if (r->bar_days == 1)
        snprintf(out, 40, "day");
    else if (r->bar_days == 7)
        snprintf(out, 40, "week");
    else
        snprintf(out, 40, "%lld days", (long long)r->bar_days);
}

static void alerts_section(const struct report *r, struct chart *c, struct buf *out)
{
    char per[40], title[80], what[160];
    int64_t n[5];
    per_words(r, per);
    snprintf(title, sizeof title, "Alerts per %s", per);
    snprintf(what, sizeof what,
             "Stacked columns, one for each %s, by verdict. The table below has the numbers.", per);
    *c = (struct chart){.id = "alerts", .title = title, .what = what, .n_series = 5};
    labels_of(r, c);
    counts_of(&r->counts, n);
    for (int i = 0; i < r->n_bars; i++) {
        int64_t v[5];
        counts_of(&r->bars[i].counts, v);
        for (int k = 0; k < 5; k++)
            c->values[k][i] = v[k];
    }
    buf_addf(out, "<section><h2>%s</h2>\n<ul class=\"legend\">", title);
    for (int k = 0; k < 5; k++) {
        c->names[k] = verdict_columns[k];
        c->classes[k] = verdict_classes[k];
        buf_addf(out, "<li><i class=\"%s\"></i>%s ", verdict_classes[k], verdict_columns[k]);
        html_number(out, n[k]);
        buf_adds(out, "</li>");
    }
    buf_adds(out, "</ul>\n");
    chart_columns(c, out);
    counts_table(r, c, r->bar_days == 1 ? "day" : "from", out);
    buf_adds(out, "</section>\n");
}

static void pace_figure(const struct report *r, struct chart *c, bool mended, struct buf *out)
{
    *c = (struct chart){
        .id = mended ? "mttr" : "mtta",
        .title = mended ? "Mean time to resolve" : "Mean time to acknowledge",
        .what = "A line over the days on which the alerts fired. The table below has the numbers.",
        .n_series = 1,
        .names = {""},
        .classes = {"line"},
        .durations = true};
    labels_of(r, c);
    for (int i = 0; i < r->n_bars; i++) {
        const struct pace *p = mended ? &r->bars[i].mended : &r->bars[i].taken;
        c->values[0][i] = p->n > 0 ? p->ms : -1;
    }
    buf_addf(out, "<figure><figcaption>%s</figcaption>\n",
             mended ? "MTTR: from the alert until a real one was over"
                    : "MTTA: from the alert until the agent took it");
    chart_line(c, out);
    buf_adds(out, "</figure>\n");
}

static void pace_cell(const struct pace *p, struct buf *out)
{
    buf_adds(out, "<td class=\"n\">");
    if (p->n > 0)
        html_duration(out, p->ms);
    else
        buf_adds(out, "\xe2\x80\x93");
    buf_adds(out, "</td>");
}

static void pace_section(const struct report *r, struct chart *c, struct buf *out)
{
    buf_adds(out, "<section><h2>How fast</h2>\n");
    if (r->stats.taken.n == 0 && r->stats.mended.n == 0) {
        buf_adds(out, "<p>Nothing was taken or resolved in this time.</p></section>\n");
        return;
    }
    buf_adds(out, "<div class=\"pair\">");
    pace_figure(r, c, false, out);
    pace_figure(r, c, true, out);
    buf_adds(out, "</div>\n");
    table_begin(out, "Means over the alerts that fired then", r->bar_days == 1 ? "day" : "from");
    buf_adds(out, "<th scope=\"col\" class=\"n\">MTTA</th><th scope=\"col\" class=\"n\">MTTR</th>"
                  "</tr></thead><tbody>");
    for (int i = r->n_bars - 1; i >= 0; i--) {
        buf_addf(out, "<tr><th scope=\"row\">%s</th>", c->labels[i]);
        pace_cell(&r->bars[i].taken, out);
        pace_cell(&r->bars[i].mended, out);
        buf_adds(out, "</tr>");
    }
    buf_adds(out, "</tbody></table></details>\n<p class=\"dim\">The first verdict came after ");
    html_duration(out, r->stats.verdict.ms);
    buf_addf(out, " in the mean; %lld verdict%s later taken back.</p></section>\n",
             (long long)r->stats.reversed, r->stats.reversed == 1 ? " was" : "s were");
}

// ---- saved and spent ----

static void effort_section(const struct report *r, struct buf *out)
{
    buf_adds(out, "<section><h2>Saved and spent</h2>\n<p>");
    html_number(out, r->spared);
    buf_adds(out, " alerts were noise or fixed by the agent, and nobody was paged or asked for "
                  "them. Assuming that a person needs ");
    buf_addf(out, "%d minutes to check one, that is ", REPORT_CHECK_MIN);
    html_duration(out, r->spared * REPORT_CHECK_MIN * MINUTE_MS);
    buf_adds(out, " of checking saved.</p>\n<p>The agent was sent ");
    html_bytes(out, r->bytes);
    buf_adds(out, " in ");
    html_number(out, r->events);
    buf_adds(out, " events, about ");
    html_number(out, r->bytes / BYTES_PER_TOKEN);
    buf_addf(out,
             " tokens at %d bytes each; what it read beyond that is not counted here.</p>"
             "</section>\n",
             BYTES_PER_TOKEN);
}

static void foot(struct buf *out)
{
    buf_adds(
        out,
        "</main>\n<footer><p>An alert here is an incident: one episode of one problem, however "
        "many notifications named it. Tests are left out. Noise, real and the rest are the "
        "verdicts as they are now; undecided: none yet, or unsure. Before: in as long a time "
        "before. Days are UTC; the oldest one shows only what lies in the window, in the charts of "
        "times from its full hour on. The text of alerts was written by "
        "strangers.</p></footer></body>"
        "</html>\n");
}

int report_html(const struct report *r, struct buf *out)
{
    struct chart *c = malloc(sizeof *c);
    if (!c)
        return -ENOMEM;
    head(r, out);
    tiles(r, out);
    alerts_section(r, c, out);
    pace_section(r, c, out);
    report_noise_section(r, out);
    report_real_section(r, out);
    report_escalation_section(r, out);
    effort_section(r, out);
    foot(out);
    free(c);
    return out->error;
}
