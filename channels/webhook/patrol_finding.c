#include "channels/webhook/patrol_finding.h"

#include <math.h>
#include <stdio.h>

#include "common/clock.h"

#define MAX_TEXT 2048

// Labels of the series that the alert has from the query.
static bool is_taken(struct str name)
{
    static const char *const taken[] = {"alertname",        "rulename",           "severity",
                                        "threshold.name",   "priority",           "level",
                                        "cluster",          "namespace",          "service",
                                        "service.name",     "service_name",       "ruleId",
                                        "ruleSource",       "k8s.namespace.name", "testalert",
                                        "k8s.cluster.name", "__name__",           "prometheus"};
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        if (str_is(name, taken[i]))
            return true;
    return false;
}

void patrol_identity(const struct patrol_query *q, struct patrol_answer *a,
                     char out[PATROL_ID_SIZE])
{
    struct alert_pair items[ALERT_JSON_PAIRS + 1];
    struct alert_pairs all = {.items = items};
    for (size_t i = 0; i < a->labels.n && all.n < ALERT_JSON_PAIRS; i++)
        items[all.n++] = a->labels.items[i];
    items[all.n++] = (struct alert_pair){str_of("\x01query"), str_of(q->name)};
    snprintf(out, PATROL_ID_SIZE, "%016llx", (unsigned long long)alert_fingerprint(&all));
}

static struct str label_of(const struct patrol_label *l, const struct patrol_answer *a)
{
    for (size_t i = 0; i < l->n; i++) {
        char name[129];
        size_t n = strlen(l->from[i]);
        snprintf(name, sizeof name, "%.*s", l->owner ? (int)n - 7 : (int)n,
                 l->from[i] + (l->owner ? 6 : 0));
        struct str v = patrol_answer_label(a, name);
        if (v.n)
            return l->owner ? alert_pod_owner(v) : v;
    }
    return (struct str){NULL, 0};
}

// ---- for people ----

static const struct {
    double seconds, from; // the unit, and the least that is told in it
    const char *name;
} time_units[] = {{86400, 2 * 86400, "d"}, {3600, 2 * 3600, "h"}, {60, 120, "min"}, {1, 0, "s"}};

void patrol_time_text(struct buf *out, double seconds, double low, double high)
{
    size_t u = 0;
    while (seconds < time_units[u].from)
        u++;
    double unit = time_units[u].seconds;
    int digits = unit > 1 && seconds < 10 * unit ? 1 : 0;
    buf_addf(out, "%.*f %s (%.*f to %.*f %s)", digits, seconds / unit, time_units[u].name, digits,
             low / unit, digits, high / unit, time_units[u].name);
}

static void value_text(struct buf *out, enum patrol_unit unit, double v)
{
    static const char *const sizes[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t size = 0;
    double days = v / 86400;
    switch (unit) {
    case PATROL_PERCENT:
        buf_addf(out, "%.3g %%", v * 100);
        break;
    case PATROL_BYTES:
        for (; fabs(v) >= 1024 && size + 1 < ARRAY_LEN(sizes); size++)
            v /= 1024;
        buf_addf(out, "%.3g %s", v, sizes[size]);
        break;
    case PATROL_SECONDS:
        buf_addf(out, fabs(days) >= 2 ? "%.3g d" : "%.3g h", fabs(days) >= 2 ? days : days * 24);
        break;
    default:
        buf_addf(out, fabs(v) < 1000 ? "%.3g" : "%.0f", v);
    }
}

// "PVC {persistentvolumeclaim} reaches 90 %" with the series' own labels.
static void fill_in(struct buf *out, const char *text, const struct patrol_answer *a)
{
    while (*text) {
        size_t n = strcspn(text, "{"), end = strcspn(text + n, "}");
        buf_add(out, text, n);
        text += n;
        if (!*text)
            break;
        if (!text[end]) {
            buf_adds(out, text);
            break;
        }
        char name[129];
        snprintf(name, sizeof name, "%.*s", (int)(end - 1), text + 1);
        struct str v = patrol_answer_label(a, name);
        if (v.n)
            buf_add(out, v.p, v.n);
        else
            buf_adds(out, "?");
        text += end + 1;
    }
}

static void when_text(struct buf *out, double t)
{
    char at[RFC3339_SIZE];
    buf_adds(out, rfc3339_format((int64_t)t / 60 * 60 * 1000, at));
}

static void description(struct buf *out, const struct patrol_query *q, const struct trend *t,
                        double now)
{
    char span[DURATION_SIZE];
    buf_adds(out, "now ");
    value_text(out, q->unit, t->value);
    buf_adds(out, t->slope < 0 ? ", -" : ", +");
    value_text(out, q->unit, fabs(t->slope) * 3600);
    buf_addf(out, " an hour over the last %s; ",
             duration_format((int64_t)((now - t->since) * 1000), span));
    value_text(out, q->unit, q->threshold);
    buf_adds(out, " about ");
    when_text(out, now + t->seconds);
    buf_adds(out, ", between ");
    when_text(out, now + t->low);
    buf_adds(out, " and ");
    when_text(out, now + t->high);
}

// ---- the alert ----

static void key_str(struct jw *w, const char *key, struct str v)
{
    if (!v.n)
        return;
    jw_key(w, key);
    jw_strn(w, v);
}

static void labels(struct jw *w, const struct patrol_query *q, const struct patrol_answer *a,
                   const char *cluster)
{
    struct str own = label_of(&q->cluster, a);
    char name[96];
    snprintf(name, sizeof name, PATROL_ALERT "%s", q->name);
    jw_key(w, "labels");
    jw_object(w);
    jw_kstr(w, "alertname", name);
    jw_kstr(w, "severity", severity_name(q->severity));
    key_str(w, "cluster", own.n ? own : str_of(cluster));
    key_str(w, "namespace", label_of(&q->namespace, a));
    key_str(w, "service", label_of(&q->service, a));
    for (size_t i = 0; i < a->labels.n; i++)
        if (!is_taken(a->labels.items[i].name)) {
            jw_keyn(w, a->labels.items[i].name);
            jw_strn(w, a->labels.items[i].value);
        }
    jw_object_end(w);
}

static void annotations(struct jw *w, const struct patrol_query *q, const struct patrol_answer *a,
                        const struct trend *t, double now)
{
    struct buf text = BUF_INIT(MAX_TEXT);
    fill_in(&text, q->text, a);
    buf_adds(&text, " in ");
    patrol_time_text(&text, t->seconds, t->low, t->high);
    jw_key(w, "annotations");
    jw_object(w);
    key_str(w, "summary", buf_str(&text));
    buf_clear(&text);
    description(&text, q, t, now);
    key_str(w, "description", buf_str(&text));
    buf_clear(&text);
    if (q->playbook)
        buf_addf(&text, "playbooks/%s.md", q->playbook);
    key_str(w, "runbook_url", buf_str(&text));
    key_str(w, "query", str_of(q->expr));
    jw_object_end(w);
    buf_done(&text);
}

void patrol_firing(struct jw *w, const struct patrol_query *q, const struct patrol_answer *a,
                   const struct trend *t, const char *identity, const char *cluster, double now)
{
    jw_object(w);
    jw_kstr(w, "status", "firing");
    jw_kstr(w, "fingerprint", identity);
    labels(w, q, a, cluster);
    annotations(w, q, a, t, now);
    jw_object_end(w);
}

void patrol_resolved(struct jw *w, const char *alertname, const char *identity)
{
    jw_object(w);
    jw_kstr(w, "status", "resolved");
    jw_kstr(w, "fingerprint", identity);
    jw_key(w, "labels");
    jw_object(w);
    jw_kstr(w, "alertname", alertname);
    jw_object_end(w);
    jw_object_end(w);
}
