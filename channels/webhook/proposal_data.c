#include "channels/webhook/proposal_data.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/json.h"

#define MAX_STRINGS 4096
#define STARTED_BEFORE_MS                                                                          \
    (15 * 60 * 1000) // a start longer before the notification is of another episode

// ---- loading ----

static int read_firings(struct store *s, struct tuning_data *d, int64_t **ret_problem_ids)
{
    int64_t *ids = calloc(TUNING_MAX_FIRINGS, sizeof *ids);
    d->firings = calloc(TUNING_MAX_FIRINGS, sizeof *d->firings);
    if (!ids || !d->firings) {
        free(ids);
        return -ENOMEM;
    }
    struct stmt *q =
        store_sql(s, "SELECT id, problem_id, opened_at, closed_at, verdict, flaps, severity, "
                     "environment, folded FROM incident"
                     " WHERE opened_at >= ? AND kind = 0 ORDER BY opened_at DESC LIMIT ?");
    bind_int(q, 1, d->since);
    bind_int(q, 2, TUNING_MAX_FIRINGS + 1);
    int r;
    while ((r = stmt_step(q)) > 0) {
        if (d->n_firings == TUNING_MAX_FIRINGS) {
            d->cut = true;
            stmt_reset(q);
            break;
        }
        ids[d->n_firings] = col_int(q, 1);
        d->firings[d->n_firings++] =
            (struct tuning_firing){.id = col_int(q, 0),
                                   .problem = (size_t)col_int(q, 1), // its id until it has an index
                                   .opened_at = col_int(q, 2),
                                   .closed_at = col_int(q, 3),
                                   .verdict = (int)col_int(q, 4),
                                   .flaps = (int)col_int(q, 5),
                                   .severity = (int)col_int(q, 6),
                                   .prod = col_int(q, 7) != 0,
                                   .folded = col_int(q, 8) != 0,
                                   .duration_ms = -1,
                                   .value = NAN,
                                   .threshold = NAN};
    }
    *ret_problem_ids = ids;
    return r < 0 ? r : 0;
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int compare_problems(const void *a, const void *b)
{
    const struct tuning_problem *x = a, *y = b;
    int r = strcmp(x->alertname, y->alertname);
    r = r ? r : strcmp(x->cluster, y->cluster);
    r = r ? r : strcmp(x->family, y->family);
    r = r ? r : strcmp(x->service, y->service);
    return r ? r : x->id < y->id ? -1 : x->id > y->id;
}

static int compare_firings(const void *a, const void *b)
{
    const struct tuning_firing *x = a, *y = b;
    if (x->problem != y->problem)
        return x->problem < y->problem ? -1 : 1;
    if (x->opened_at != y->opened_at)
        return x->opened_at < y->opened_at ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int read_problem(struct store *s, int64_t id, struct tuning_problem *p)
{
    struct stmt *q = store_sql(
        s, "SELECT alertname, cluster, namespace, service, family FROM problem WHERE id = ?");
    bind_int(q, 1, id);
    int r = stmt_step(q);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    const char **fields[] = {&p->alertname, &p->cluster, &p->namespace, &p->service, &p->family};
    size_t at[ARRAY_LEN(fields)];
    struct buf all = BUF_INIT(MAX_STRINGS);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        at[i] = all.len;
        buf_adds(&all, col_text(q, (int)i));
        buf_addc(&all, '\0');
    }
    stmt_reset(q);
    p->id = id;
    r = all.error;
    p->strings = buf_take(&all);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(fields); i++)
        *fields[i] = p->strings + at[i];
    return r;
}

static int read_problems(struct store *s, struct tuning_data *d, int64_t *ids)
{
    size_t n = 0;
    qsort(ids, d->n_firings, sizeof *ids, compare_ids);
    for (size_t i = 0; i < d->n_firings; i++)
        if (i == 0 || ids[i] != ids[i - 1])
            ids[n++] = ids[i];
    d->problems = calloc(n ? n : 1, sizeof *d->problems);
    if (!d->problems)
        return -ENOMEM;
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++, d->n_problems++)
        r = read_problem(s, ids[i], &d->problems[i]);
    if (r < 0)
        return r;
    qsort(d->problems, n, sizeof *d->problems, compare_problems);
    return 0;
}

struct place {
    int64_t id;
    size_t index;
};

static int compare_places(const void *a, const void *b)
{
    return compare_ids(&((const struct place *)a)->id, &((const struct place *)b)->id);
}

// From problem ids to indices, then both in order.
static int join(struct tuning_data *d)
{
    struct place *places = calloc(d->n_problems ? d->n_problems : 1, sizeof *places);
    if (!places)
        return -ENOMEM;
    for (size_t i = 0; i < d->n_problems; i++)
        places[i] = (struct place){d->problems[i].id, i};
    qsort(places, d->n_problems, sizeof *places, compare_places);
    for (size_t i = 0; i < d->n_firings; i++) {
        struct place key = {(int64_t)d->firings[i].problem, 0};
        const struct place *found =
            bsearch(&key, places, d->n_problems, sizeof *places, compare_places);
        d->firings[i].problem = found->index;
    }
    free(places);
    qsort(d->firings, d->n_firings, sizeof *d->firings, compare_firings);
    for (size_t i = 0; i < d->n_firings; i++) {
        struct tuning_problem *p = &d->problems[d->firings[i].problem];
        if (p->n++ == 0)
            p->first = i;
    }
    return 0;
}

int tuning_data_load(struct store *s, int64_t since, int64_t now, struct tuning_data *ret_data)
{
    struct tuning_data d = {.since = since, .now = now};
    int64_t *ids = NULL;
    int r = read_firings(s, &d, &ids);
    if (r == 0)
        r = read_problems(s, &d, ids);
    if (r == 0)
        r = join(&d);
    free(ids);
    if (r < 0)
        tuning_data_done(&d);
    else
        *ret_data = d;
    return r;
}

void tuning_data_done(struct tuning_data *d)
{
    for (size_t i = 0; d->problems && i < d->n_problems; i++)
        free(d->problems[i].strings);
    free(d->problems);
    free(d->firings);
    *d = (struct tuning_data){0};
}

// ---- detail ----

// How many seconds one of it is; 0 when it is no unit of time.
static double seconds_in(const char *unit)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"\xc2\xb5s", 1e-6}, {"ms", 1e-3},
                 {"s", 1},     {"sec", 1},   {"min", 60},         {"h", 3600}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (strcmp(unit, units[i].name) == 0)
            return units[i].seconds;
    return 0;
}

double tuning_value(const char *text, char unit[8])
{
    const char *p = text;
    unit[0] = '\0';
    const char *equals = strchr(p, '=');
    if (equals)
        p = equals + 1;
    p += strspn(p, " \t\"'");
    // No hexadecimal, no "inf", no "nan".
    if (!*p || !strchr("+-.0123456789", *p) || (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')))
        return NAN;
    char *end;
    double v = strtod(p, &end);
    if (end == p || !isfinite(v))
        return NAN;
    end += strspn(end, " ");
    size_t n = strcspn(end, " ,;)]}\"'\t\r\n");
    while (n && end[n - 1] == '.')
        n--;
    if (n >= 8)
        return v;
    memcpy(unit, end, n);
    unit[n] = '\0';
    return v;
}

// SigNoz's own words: "... (current value: 3.41 s) crosses the threshold (2 s)".
static double value_after(const char *text, const char *words, char unit[8])
{
    const char *p = strstr(text, words);
    if (!p)
        return NAN;
    p += strlen(words);
    p += strspn(p, " :=(");
    return tuning_value(p, unit);
}

static void read_texts(const cJSON *annotations, struct tuning_firing *f, char unit[8])
{
    static const char *const keys[] = {"description", "summary", "message"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *text = json_str(annotations, keys[i]);
        if (!text)
            continue;
        if (isnan(f->value))
            f->value = value_after(text, "current value", f->unit);
        if (isnan(f->value))
            f->value = value_after(text, "value:", f->unit);
        if (isnan(f->threshold))
            f->threshold = value_after(text, "threshold", unit);
        f->below |= strstr(text, " below ") || strstr(text, "less than");
    }
}

// The threshold in the unit of the value, which may be written in another.
static void align(struct tuning_firing *f, const char *unit)
{
    if (!unit[0] || !f->unit[0] || strcmp(unit, f->unit) == 0)
        return;
    double from = seconds_in(unit), to = seconds_in(f->unit);
    f->threshold = from > 0 && to > 0 ? f->threshold * from / to : NAN;
}

static void read_annotations(const char *json, struct tuning_firing *f)
{
    const char *why, *text;
    char unit[8] = ""; // of the threshold
    cJSON *a = json_parse(str_of(json), &why);
    if ((text = json_str(a, "value")))
        f->value = tuning_value(text, f->unit);
    if ((text = json_str(a, "threshold.value")) || (text = json_str(a, "threshold")))
        f->threshold = tuning_value(text, unit);
    if ((text = json_str(a, "compare_op")))
        f->below = strstr(text, "below") || strcmp(text, "<") == 0 || strcmp(text, "<=") == 0;
    read_texts(a, f, unit);
    align(f, unit);
    cJSON_Delete(a);
}

void tuning_same_unit(struct tuning_firing *const *firings, size_t n)
{
    const char *first = NULL;
    bool differ = false;
    for (size_t i = 0; i < n; i++) {
        if (isnan(firings[i]->value))
            continue;
        if (seconds_in(firings[i]->unit) == 0)
            return;
        differ |= first && strcmp(first, firings[i]->unit) != 0;
        first = firings[i]->unit;
    }
    for (size_t i = 0; differ && i < n; i++) {
        double scale = seconds_in(firings[i]->unit);
        if (isnan(firings[i]->value))
            continue;
        firings[i]->value *= scale;
        firings[i]->threshold *= scale;
        memcpy(firings[i]->unit, "s", 2);
    }
}

int tuning_firing_detail(struct store *s, struct tuning_firing *f)
{
    f->value = f->threshold = NAN;
    struct stmt *q = store_sql(s, "SELECT annotations, generator_url, (SELECT min(starts_at) FROM "
                                  "alert WHERE incident_id = ?1),"
                                  " (SELECT max(ends_at) FROM alert WHERE incident_id = ?1) FROM "
                                  "alert WHERE incident_id = ?1 ORDER BY id LIMIT 1");
    bind_int(q, 1, f->id);
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    read_annotations(col_text(q, 0), f);
    const char *expr = strstr(col_text(q, 1), "g0.expr=");
    if (expr && strstr(expr, "%3C") && !strstr(expr, "%3E"))
        f->below = true; // Prometheus: the rule's own expression
    int64_t starts = col_int(q, 2), ends = col_int(q, 3);
    stmt_reset(q);
    if (!f->closed_at || f->flaps)
        return 0; // how long each of its firings lasted is not known
    f->duration_ms = f->closed_at - f->opened_at;
    if (starts > f->opened_at - STARTED_BEFORE_MS && starts <= f->opened_at && ends >= starts &&
        ends <= f->closed_at)
        f->duration_ms = ends - starts;
    return 0;
}
