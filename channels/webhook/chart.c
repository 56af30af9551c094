#include "channels/webhook/chart.h"

#include "channels/webhook/html.h"

#define TOP 10     // px above the scale
#define HEIGHT 160 // px of the scale
#define TOTAL 196  // with the labels below
#define LINES 4
#define LABELS 7       // below the columns
#define LABELS_PHONE 4 // where there is little room

int64_t chart_step(int64_t max, bool durations)
{
    static const int64_t seconds[] = {1,   2,    5,    10,   15,    30,    60,    120,   300,   600,
                                      900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800};
    if (durations) {
        for (size_t i = 0; i < ARRAY_LEN(seconds); i++)
            if (seconds[i] * 1000 * LINES >= max)
                return seconds[i] * 1000;
        int64_t days = 5ll * 86400 * 1000, n = max / LINES / days + 1;
        return n * days;
    }
    int64_t least = max / LINES + (max % LINES > 0);
    for (int64_t step = 1;; step *= 10) {
        if (step >= least)
            return step;
        if (2 * step >= least)
            return 2 * step;
        if (5 * step >= least)
            return 5 * step;
    }
}

static void value(struct buf *out, int64_t v, bool durations)
{
    if (durations)
        html_duration(out, v);
    else
        html_number(out, v);
}

// "30 s", "5 min", "1.5 h", "2 d": short, for the scale.
static void mark(struct buf *out, int64_t v, bool durations)
{
    double s = (double)v / 1000;
    if (!durations)
        html_number(out, v);
    else if (s < 60)
        buf_addf(out, "%.3g s", s);
    else if (s < 3600)
        buf_addf(out, "%.3g min", s / 60);
    else if (s < 2 * 86400)
        buf_addf(out, "%.3g h", s / 3600);
    else
        buf_addf(out, "%.4g d", s / 86400);
}

struct scale {
    int64_t step, top;
};

static struct scale scale_of(int64_t max, bool durations)
{
    int64_t step = chart_step(max, durations);
    int64_t lines = (max + step - 1) / step;
    return (struct scale){.step = step, .top = step * (lines ? lines : 1)};
}

static double y_of(const struct scale *s, int64_t v)
{
    return TOP + HEIGHT - (double)v * HEIGHT / (double)s->top;
}

// The scale's own picture stands beside the plot: its width is fixed, the plot's is not.
static void begin(const struct chart *c, const struct scale *s, struct buf *out)
{
    buf_addf(out,
             "<div class=\"chart\"><svg class=\"scale\" width=\"52\" height=\"%d\" "
             "aria-hidden=\"true\">",
             TOTAL);
    for (int64_t v = 0; v <= s->top; v += s->step) {
        buf_addf(out, "<text x=\"46\" y=\"%.1f\" text-anchor=\"end\">", y_of(s, v) + 4);
        mark(out, v, c->durations);
        buf_adds(out, "</text>");
    }
    buf_addf(
        out,
        "</svg><svg class=\"plot\" width=\"100%%\" height=\"%d\" role=\"img\" "
        "aria-labelledby=\"%s-t %s-d\"><title id=\"%s-t\">%s</title><desc id=\"%s-d\">%s</desc>",
        TOTAL, c->id, c->id, c->id, c->title, c->id, c->what);
    for (int64_t v = 0; v <= s->top; v += s->step)
        buf_addf(out, "<line class=\"%s\" x1=\"0\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"></line>",
                 v ? "grid" : "base", y_of(s, v), y_of(s, v));
}

static double middle(const struct chart *c, int i)
{
    return (i + 0.5) * 100 / c->n;
}

// Every some columns, counted from the newest; fewer of them on a phone.
static void labels(const struct chart *c, struct buf *out)
{
    int every = (c->n + LABELS - 1) / LABELS, phone = (c->n + LABELS_PHONE - 1) / LABELS_PHONE;
    phone = (phone + every - 1) / every * every;
    for (int i = c->n - 1 - (c->n > 8 ? every / 2 : 0); i >= 0; i -= every) {
        int from_end = c->n - 1 - (c->n > 8 ? every / 2 : 0) - i;
        buf_addf(out, "<text x=\"%.2f%%\" y=\"%d\" text-anchor=\"middle\"%s>%s</text>",
                 middle(c, i), TOP + HEIGHT + 18, from_end % phone ? " class=\"wide\"" : "",
                 c->labels[i]);
    }
}

static void end(const struct chart *c, struct buf *out)
{
    labels(c, out);
    buf_adds(out, "</svg></div>\n");
}

int chart_columns(const struct chart *c, struct buf *out)
{
    int64_t max = 1;
    for (int i = 0; i < c->n; i++) {
        int64_t sum = 0;
        for (int k = 0; k < c->n_series; k++)
            sum += c->values[k][i];
        max = sum > max ? sum : max;
    }
    struct scale s = scale_of(max, c->durations);
    begin(c, &s, out);
    double width = 100.0 / c->n, bar = width * (c->n > 31 ? 0.8 : 0.62);
    for (int i = 0; i < c->n; i++) {
        int64_t below = 0;
        for (int k = 0; k < c->n_series; k++) {
            int64_t v = c->values[k][i];
            if (v <= 0)
                continue;
            buf_addf(out,
                     "<rect class=\"%s\" x=\"%.2f%%\" y=\"%.2f\" width=\"%.2f%%\" "
                     "height=\"%.2f\"><title>%s: ",
                     c->classes[k], i * width + (width - bar) / 2, y_of(&s, below + v), bar,
                     y_of(&s, below) - y_of(&s, below + v), c->labels[i]);
            value(out, v, c->durations);
            buf_addf(out, " %s</title></rect>", c->names[k]);
            below += v;
        }
    }
    end(c, out);
    return out->error;
}

int chart_line(const struct chart *c, struct buf *out)
{
    int64_t max = 1;
    for (int i = 0; i < c->n; i++)
        max = c->values[0][i] > max ? c->values[0][i] : max;
    struct scale s = scale_of(max, c->durations);
    begin(c, &s, out);
    for (int i = 1; i < c->n; i++)
        if (c->values[0][i] >= 0 && c->values[0][i - 1] >= 0)
            buf_addf(out,
                     "<line class=\"line %s\" x1=\"%.2f%%\" y1=\"%.2f\" x2=\"%.2f%%\" "
                     "y2=\"%.2f\"></line>",
                     c->classes[0], middle(c, i - 1), y_of(&s, c->values[0][i - 1]), middle(c, i),
                     y_of(&s, c->values[0][i]));
    for (int i = 0; i < c->n; i++) {
        if (c->values[0][i] < 0)
            continue;
        buf_addf(out, "<circle class=\"%s\" cx=\"%.2f%%\" cy=\"%.2f\" r=\"%s\"><title>%s: ",
                 c->classes[0], middle(c, i), y_of(&s, c->values[0][i]), c->n > 31 ? "2.5" : "4",
                 c->labels[i]);
        value(out, c->values[0][i], c->durations);
        buf_adds(out, "</title></circle>");
    }
    end(c, out);
    return out->error;
}
