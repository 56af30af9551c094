#include "channels/webhook/proposal_render.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/proposal_rule.h"
#include "common/clock.h"

#define MAX_BODY (16 * 1024)
#define MAX_TITLE 1024

// ---- distributions ----

struct spread {
    size_t known;
    double min, p50, p90, max;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double duration_of(const struct tuning_firing *f)
{
    return f->duration_ms >= 0 ? (double)f->duration_ms / 1000 : NAN;
}

static double value_of(const struct tuning_firing *f)
{
    return f->value;
}

// Of the noise: what is to be kept away.
static int spread_of(const struct tuning_unit *u, double (*get)(const struct tuning_firing *),
                     struct spread *ret)
{
    double *v = calloc(u->n ? u->n : 1, sizeof *v);
    size_t n = 0;
    if (!v)
        return -ENOMEM;
    for (size_t i = 0; i < u->n; i++)
        if (firing_is_noise(u->firings[i]) && !isnan(get(u->firings[i])))
            v[n++] = get(u->firings[i]);
    qsort(v, n, sizeof *v, by_value);
    *ret = (struct spread){.known = n};
    if (n)
        *ret = (struct spread){n, v[0], v[(n - 1) / 2], v[(n - 1) * 9 / 10], v[n - 1]};
    free(v);
    return 0;
}

static void spread_json(struct jw *w, const char *key, const struct spread *s, const char *unit)
{
    jw_key(w, key);
    if (!s->known) {
        jw_null(w);
        return;
    }
    jw_object(w);
    jw_kint(w, "known", (int64_t)s->known);
    jw_key(w, "min");
    proposal_number_json(w, s->min);
    jw_key(w, "p50");
    proposal_number_json(w, s->p50);
    jw_key(w, "p90");
    proposal_number_json(w, s->p90);
    jw_key(w, "max");
    proposal_number_json(w, s->max);
    if (unit)
        jw_kstr(w, "unit", unit);
    jw_object_end(w);
}

static const char *unit_of_values(const struct tuning_unit *u)
{
    for (size_t i = u->n; i-- > 0;)
        if (!isnan(u->firings[i]->value))
            return u->firings[i]->unit;
    return "";
}

// ---- the change in words ----

static void change_words(const struct tuning_unit *u, const struct proposal_change *c,
                         struct buf *out)
{
    switch (c->kind) {
    case PROPOSAL_KNOWN_NOISE:
        buf_adds(out, "dismiss as known noise, which in prod needs the owner's yes");
        break;
    case PROPOSAL_FOR:
        buf_adds(out, "fire ");
        proposal_duration(c->seconds, out);
        buf_adds(out, " later (longer `for`)");
        break;
    case PROPOSAL_THRESHOLD:
        buf_addf(out, "fire only %s ", c->below ? "below" : "above");
        proposal_number(c->threshold, out);
        buf_addf(out, "%s%s", strchr(" %", unit_of_values(u)[0]) ? "" : " ", unit_of_values(u));
        break;
    case PROPOSAL_KEEP_FIRING:
        buf_adds(out, "keep firing for ");
        proposal_duration(c->seconds, out);
        buf_adds(out, ", it flaps");
        break;
    case PROPOSAL_GROUP:
        buf_adds(out, "one alert for the cluster, not one for each service: they fire together");
        break;
    case PROPOSAL_INHIBIT:
        buf_addf(out, "inhibit it while %s fires, which it never comes without", c->other);
        break;
    case PROPOSAL_DROP:
        buf_adds(out, "drop it, it watches a test");
        break;
    case PROPOSAL_ANOMALY:
        buf_addf(out, "expect it from %02d:00 to %02d:00 UTC, as every day", c->hour,
                 (c->hour + c->hours) % 24);
        break;
    }
}

static void effect_words(const struct proposal_change *c, struct buf *out)
{
    buf_addf(out, "would have removed %zu of %zu firings, %zu of %zu real", c->removed, c->of,
             c->real_removed, c->real);
    if (c->other_removed)
        buf_addf(out, ", and %zu that nobody has decided on", c->other_removed);
}

static void parameters_json(const struct proposal_change *c, struct jw *w)
{
    jw_key(w, "parameters");
    jw_object(w);
    if (c->kind == PROPOSAL_FOR)
        jw_kint(w, "add_seconds", c->seconds);
    if (c->kind == PROPOSAL_KEEP_FIRING)
        jw_kint(w, "seconds", c->seconds);
    if (c->kind == PROPOSAL_THRESHOLD) {
        jw_key(w, c->below ? "below" : "above");
        proposal_number_json(w, c->threshold);
    }
    if (c->kind == PROPOSAL_INHIBIT)
        jw_kstr(w, "while", c->other);
    if (c->kind == PROPOSAL_ANOMALY) {
        jw_kint(w, "from_hour_utc", c->hour);
        jw_kint(w, "hours", c->hours);
    }
    jw_object_end(w);
}

static void effect_json(const struct proposal_change *c, struct jw *w)
{
    struct buf words = BUF_INIT(512);
    effect_words(c, &words);
    jw_kint(w, "firings", (int64_t)c->of);
    jw_kint(w, "removed", (int64_t)c->removed);
    jw_kint(w, "kept", (int64_t)(c->of - c->removed));
    jw_kint(w, "noise_removed", (int64_t)c->noise_removed);
    jw_kint(w, "real_removed", (int64_t)c->real_removed);
    jw_kint(w, "real", (int64_t)c->real);
    jw_kint(w, "undecided_removed", (int64_t)c->other_removed);
    jw_kstr(w, "summary", buf_cstr(&words));
    buf_done(&words);
}

// ---- evidence ----

static void unit_json(const struct proposal *p, struct jw *w)
{
    const struct tuning_unit *u = &p->unit;
    struct buf service = BUF_INIT(1024);
    tuning_unit_service(u, &service);
    jw_kstr(w, "kind", proposal_kind_names[p->chosen.kind]);
    jw_kstr(w, "alertname", u->alertname);
    jw_kstr(w, "service", buf_cstr(&service));
    jw_kstr(w, "cluster", u->cluster);
    jw_kstr(w, "namespace", u->namespace);
    jw_kstr(w, "environment", u->prod ? "prod" : "dev");
    jw_kstr(w, "severity", severity_name((enum alert_severity)u->severity));
    buf_done(&service);
}

static void evidence_json(const struct proposal *p, int64_t days, const struct spread *lasted,
                          const struct spread *values, struct jw *w)
{
    const struct tuning_unit *u = &p->unit;
    jw_key(w, "evidence");
    jw_object(w);
    jw_kint(w, "days", days);
    jw_kint(w, "firings", (int64_t)u->n);
    jw_kint(w, "noise", (int64_t)u->noise);
    jw_kint(w, "noise_by_memory", (int64_t)u->folded);
    jw_kint(w, "real", (int64_t)u->real);
    jw_kint(w, "unsure", (int64_t)u->unsure);
    jw_kint(w, "undecided", (int64_t)(u->other - u->unsure));
    jw_kint(w, "flaps", (int64_t)u->flaps);
    jw_kint(w, "services", (int64_t)u->services);
    jw_key(w, "firings_per_week");
    jw_num(w, (double)(int64_t)(u->per_week * 10 + 0.5) / 10);
    jw_ktime(w, "first_at", u->n ? u->firings[0]->opened_at : 0);
    jw_ktime(w, "last_at", u->n ? u->firings[u->n - 1]->opened_at : 0);
    jw_kint(w, "newest_incident_id", u->n ? u->firings[u->n - 1]->id : 0);
    spread_json(w, "seconds_of_noise", lasted, NULL);
    spread_json(w, "values_of_noise", values, unit_of_values(u));
    jw_object_end(w);
}

static void alternatives_json(const struct proposal *p, struct jw *w)
{
    jw_key(w, "alternatives");
    jw_array(w);
    for (size_t i = 1; i < p->changes.n; i++) {
        struct buf words = BUF_INIT(1024);
        change_words(&p->unit, &p->changes.items[i], &words);
        jw_object(w);
        jw_kstr(w, "kind", proposal_kind_names[p->changes.items[i].kind]);
        jw_kstr(w, "change", buf_cstr(&words));
        parameters_json(&p->changes.items[i], w);
        effect_json(&p->changes.items[i], w);
        jw_object_end(w);
        buf_done(&words);
    }
    jw_array_end(w);
}

static void how_long(double seconds, struct buf *out)
{
    char text[DURATION_SIZE];
    if (seconds < 120)
        buf_addf(out, "%.0f s", seconds);
    else
        buf_adds(out, duration_format((int64_t)(seconds * 1000), text));
}

static void evidence_words(const struct proposal *p, int64_t days, const struct spread *lasted,
                           const struct spread *values, struct buf *out)
{
    const struct tuning_unit *u = &p->unit;
    buf_addf(
        out,
        "  %zu firings in %lld days (%.1f a week): %zu noise, %zu real, %zu undecided or unsure",
        u->n, (long long)days, u->per_week, u->noise, u->real, u->other);
    if (u->folded)
        buf_addf(out, "; %zu of the noise by the memory's own word", u->folded);
    if (u->flaps)
        buf_addf(out, "; %zu flaps", u->flaps);
    if (lasted->known) {
        buf_adds(out, "\n  the noise lasted ");
        how_long(lasted->min, out);
        buf_adds(out, " to ");
        how_long(lasted->max, out);
        buf_adds(out, ", half of it up to ");
        how_long(lasted->p50, out);
    }
    if (values->known) {
        buf_adds(out, "\n  at values from ");
        proposal_number(values->min, out);
        buf_adds(out, " to ");
        proposal_number(values->max, out);
        buf_addf(out, "%s%s", unit_of_values(u)[0] ? " " : "", unit_of_values(u));
    }
    buf_addc(out, '\n');
}

static void indented(struct buf *out, struct str text)
{
    while (text.n) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        buf_adds(out, "    ");
        buf_add(out, text.p, n);
        buf_addc(out, '\n');
        n += end != NULL;
        text = (struct str){text.p + n, text.n - n};
    }
}

static void write_text(const struct proposal *p, int64_t days, const struct spread *lasted,
                       const struct spread *values, const char *title, struct str rule,
                       struct buf *out)
{
    buf_addf(out, "%s\n", title);
    evidence_words(p, days, lasted, values, out);
    buf_adds(out, "  ");
    effect_words(&p->chosen, out);
    buf_addc(out, '\n');
    indented(out, rule);
}

static void write_body(const struct proposal *p, int64_t days, const struct spread *lasted,
                       const struct spread *values, const char *title, struct str rule,
                       const char *format, struct buf *out)
{
    struct jw w = JW(out);
    struct buf words = BUF_INIT(1024);
    change_words(&p->unit, &p->chosen, &words);
    jw_object(&w);
    jw_kstr(&w, "title", title);
    unit_json(p, &w);
    evidence_json(p, days, lasted, values, &w);
    jw_key(&w, "effect");
    jw_object(&w);
    effect_json(&p->chosen, &w);
    jw_object_end(&w);
    jw_key(&w, "change");
    jw_object(&w);
    jw_kstr(&w, "what", buf_cstr(&words));
    parameters_json(&p->chosen, &w);
    jw_kstr(&w, "format", format);
    jw_key(&w, "text");
    jw_strn(&w, rule);
    jw_object_end(&w);
    alternatives_json(p, &w);
    jw_object_end(&w);
    buf_done(&words);
}

// ---- the draft ----

static char *copy(const char *s, int *r)
{
    char *c = strdup(s);
    if (!c)
        *r = -ENOMEM;
    return c;
}

// The members alone: the row's own come before them.
static char *members(struct buf *object, int *r)
{
    if (object->error || object->len < 2) {
        *r = object->error ? object->error : -EIO;
        return NULL;
    }
    buf_truncate(object, object->len - 1);
    return copy(object->data + 1, r);
}

int proposal_render(struct store *s, const struct proposal *p, int64_t days,
                    struct proposal_draft *ret_draft)
{
    struct buf title = BUF_INIT(MAX_TITLE), unit = BUF_INIT(4096), rule = BUF_INIT(MAX_BODY),
               body = BUF_INIT(2 * MAX_BODY), text = BUF_INIT(2 * MAX_BODY);
    struct proposal_draft d = {.kind = p->chosen.kind,
                               .scope = p->unit.scope,
                               .problem_id = p->unit.problem_id,
                               .noise = (int64_t)p->unit.noise};
    struct spread lasted, values;
    const char *format;
    tuning_unit_title(&p->unit, &title);
    buf_adds(&title, ": ");
    change_words(&p->unit, &p->chosen, &title);
    tuning_unit_key(&p->unit, &unit);
    int r = spread_of(&p->unit, duration_of, &lasted);
    if (r == 0)
        r = spread_of(&p->unit, value_of, &values);
    if (r == 0)
        r = proposal_rule_write(s, &p->unit, &p->chosen, &rule, &format);
    if (r == 0) {
        write_text(p, days, &lasted, &values, buf_cstr(&title), buf_str(&rule), &text);
        write_body(p, days, &lasted, &values, buf_cstr(&title), buf_str(&rule), format, &body);
        r = title.error ? title.error : unit.error ? unit.error : text.error;
        d.unit = copy(buf_cstr(&unit), &r);
        d.title = copy(buf_cstr(&title), &r);
        d.text = copy(buf_cstr(&text), &r);
        d.body = members(&body, &r);
        d.alertname = copy(p->unit.alertname, &r);
        d.cluster = copy(p->unit.cluster, &r);
        d.family = copy(p->unit.family, &r);
    }
    buf_done(&title);
    buf_done(&unit);
    buf_done(&rule);
    buf_done(&body);
    buf_done(&text);
    if (r < 0)
        proposal_draft_done(&d);
    else
        *ret_draft = d;
    return r;
}

void proposal_draft_done(struct proposal_draft *d)
{
    free(d->unit);
    free(d->title);
    free(d->body);
    free(d->text);
    free(d->alertname);
    free(d->cluster);
    free(d->family);
    *d = (struct proposal_draft){.id = 0};
}
