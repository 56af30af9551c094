#include "channels/webhook/patrol_query.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_FILE (64 * 1024)
#define MAX_EXPR 4096
#define MAX_DURATION (400ll * 86400)

static int wrong(struct buf *why, const char *field, const char *rule)
{
    buf_addf(why, "%s: %s", field, rule);
    return -EINVAL;
}

// ---- one field each ----

static int read_text(const cJSON *json, const char *field, size_t max, const char **ret,
                     struct buf *why)
{
    const char *v = json_str(json, field);
    if (!v || !*v || strlen(v) > max)
        return wrong(why, field, "must be a text, neither empty nor endless");
    *ret = v;
    return 0;
}

static bool is_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n > 0 && n <= 64 && !s[n];
}

static int read_name(const cJSON *json, const char *field, bool needed, const char **ret,
                     struct buf *why)
{
    const char *v = json_str(json, field);
    *ret = v;
    if (v ? is_name(v) : !needed && !json_get(json, field))
        return 0;
    return wrong(why, field, "must be a name of lower-case letters, digits and dashes");
}

// "90s", "15m", "36h", "7d".
static int read_duration(const cJSON *json, const char *field, int64_t *ret, struct buf *why)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const char *v = json_str(json, field);
    char *end = NULL;
    long long n = v ? strtoll(v, &end, 10) : 0;
    for (size_t i = 0; v && n > 0 && i < ARRAY_LEN(units); i++)
        if (end[0] == units[i].letter && !end[1] && n <= MAX_DURATION / units[i].seconds) {
            *ret = n * units[i].seconds;
            return 0;
        }
    return wrong(why, field, "must be a duration such as 90s, 15m, 36h or 7d");
}

static int read_word(const cJSON *json, const char *field, const char *const words[],
                     const char *rule, int *ret, struct buf *why)
{
    const char *v = json_str(json, field);
    for (int i = 0; words[i]; i++)
        if (v ? strcmp(v, words[i]) == 0 : !json_get(json, field)) { // absent: the first
            *ret = i;
            return 0;
        }
    return wrong(why, field, rule);
}

static int add_label(struct patrol_label *l, const char *v)
{
    size_t n = strlen(v);
    if (!n || n > 128 || l->n == ARRAY_LEN(l->from))
        return -EINVAL;
    if (n > 7 && strncmp(v, "owner(", 6) == 0 && v[n - 1] == ')')
        l->owner = true;
    l->from[l->n++] = v;
    return 0;
}

static int read_label(const cJSON *labels, const char *field, struct patrol_label *l,
                      struct buf *why)
{
    const cJSON *v = json_get(labels, field), *item;
    int r = 0;
    if (cJSON_IsString(v))
        r = add_label(l, v->valuestring);
    else if (cJSON_IsArray(v))
        cJSON_ArrayForEach(item, v) r |=
            cJSON_IsString(item) ? add_label(l, item->valuestring) : -EINVAL;
    else if (v)
        r = -EINVAL;
    if (l->owner && l->n > 1)
        r = -EINVAL;
    if (r == 0)
        return 0;
    buf_adds(why, "labels.");
    return wrong(why, field, "must be a label of the series, up to four of them, or owner(LABEL)");
}

// ---- the rules between them ----

static int check_keys(const cJSON *json, const char *const known[], const char *prefix,
                      struct buf *why)
{
    for (const cJSON *c = json ? json->child : NULL; c; c = c->next) {
        bool found = false;
        for (int i = 0; known[i]; i++)
            found |= strcmp(c->string, known[i]) == 0;
        if (!found) {
            buf_adds(why, prefix);
            return wrong(why, c->string, "no such field");
        }
    }
    return 0;
}

static int check_times(const struct patrol_query *q, struct buf *why)
{
    if (q->history / q->step > PATROL_MAX_POINTS)
        return wrong(why, "step", "too small for the history: at most 2000 points");
    if (q->minimum > q->history)
        return wrong(why, "minimum_history", "must not be longer than history");
    if (q->minimum / q->step < 12)
        return wrong(why, "minimum_history", "must be at least 12 steps");
    return 0;
}

static int read_numbers(struct patrol_query *q, struct buf *why)
{
    static const char *const directions[] = {"up", "down", NULL};
    static const char *const units[] = {"", "percent", "bytes", "seconds", NULL};
    const cJSON *threshold = json_get(q->json, "threshold");
    int down, unit;
    if (!cJSON_IsNumber(threshold) || !isfinite(threshold->valuedouble))
        return wrong(why, "threshold", "must be a number");
    q->threshold = threshold->valuedouble;
    int r = read_word(q->json, "direction", directions, "must be up or down", &down, why);
    if (r == 0)
        r = read_word(q->json, "unit", units, "must be percent, bytes or seconds", &unit, why);
    if (r == 0)
        r = read_duration(q->json, "horizon", &q->horizon, why);
    if (r == 0)
        r = read_duration(q->json, "history", &q->history, why);
    if (r == 0)
        r = read_duration(q->json, "minimum_history", &q->minimum, why);
    if (r == 0)
        r = read_duration(q->json, "step", &q->step, why);
    if (r < 0)
        return r;
    q->down = down != 0;
    q->unit = (enum patrol_unit)unit;
    return check_times(q, why);
}

static int read_query(struct patrol_query *q, struct buf *why)
{
    static const char *const known[] = {"name",      "expr",      "text",
                                        "threshold", "direction", "unit",
                                        "horizon",   "history",   "minimum_history",
                                        "step",      "labels",    "severity",
                                        "playbook",  NULL};
    static const char *const label_keys[] = {"cluster", "namespace", "service", NULL};
    const cJSON *labels = json_obj(q->json, "labels");
    if (!cJSON_IsObject(q->json))
        return wrong(why, "file", "must hold one JSON object");
    int r = check_keys(q->json, known, "", why);
    if (r == 0)
        r = read_name(q->json, "name", true, &q->name, why);
    if (r == 0)
        r = read_text(q->json, "expr", MAX_EXPR, &q->expr, why);
    if (r == 0)
        r = read_text(q->json, "text", 200, &q->text, why);
    if (r == 0)
        r = read_numbers(q, why);
    if (r == 0 && !labels)
        r = wrong(why, "labels", "must be an object of cluster, namespace, service");
    if (r == 0)
        r = check_keys(labels, label_keys, "labels.", why);
    if (r == 0)
        r = read_label(labels, "cluster", &q->cluster, why);
    if (r == 0)
        r = read_label(labels, "namespace", &q->namespace, why);
    if (r == 0)
        r = read_label(labels, "service", &q->service, why);
    if (r == 0)
        r = read_name(q->json, "playbook", false, &q->playbook, why);
    q->severity = severity_parse(str_of(json_str(q->json, "severity")));
    if (r == 0 && q->severity == SEVERITY_UNKNOWN)
        r = wrong(why, "severity", "must be critical, error, warning or info");
    return r;
}

int patrol_query_read(struct str text, struct patrol_query *ret_query, struct buf *ret_why)
{
    const char *broken;
    struct patrol_query q = {.json = json_parse(text, &broken)};
    if (!q.json)
        return wrong(ret_why, "file", broken);
    int r = read_query(&q, ret_why);
    if (r < 0)
        patrol_query_done(&q);
    else
        *ret_query = q;
    return r;
}

void patrol_query_done(struct patrol_query *q)
{
    cJSON_Delete(q->json);
    q->json = NULL;
}

// ---- the folder ----

static int read_file(const char *folder, const char *file, struct buf *out)
{
    struct buf path = BUF_INIT(8192);
    buf_addf(&path, "%s/%s", folder, file);
    int fd = path.error ? -1 : open(buf_cstr(&path), O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : buf_reserve(out, MAX_FILE);
    buf_done(&path);
    while (r == 0 && out->len < MAX_FILE) {
        ssize_t n = read(fd, out->data + out->len, MAX_FILE - out->len);
        if (n <= 0) {
            r = n < 0 ? -errno : 0;
            break;
        }
        out->len += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    return r;
}

static int add_file(struct patrol_queries *p, const char *folder, const char *file, struct buf *why)
{
    struct buf text = BUF_INIT(MAX_FILE + 1);
    struct patrol_query q = {0};
    size_t before = why->len;
    buf_addf(why, "%s: ", file);
    int r = read_file(folder, file, &text);
    if (r < 0)
        buf_adds(why, strerror(-r));
    else
        r = patrol_query_read(buf_str(&text), &q, why);
    for (size_t i = 0; r == 0 && i < p->n; i++)
        if (strcmp(p->q[i].name, q.name) == 0)
            r = wrong(why, "name", "another file has it already");
    if (r == 0 && p->n == PATROL_MAX_QUERIES)
        r = wrong(why, "file", "one more than 64");
    if (r == 0) {
        p->q[p->n++] = q;
        buf_truncate(why, before);
    } else {
        patrol_query_done(&q);
        buf_addc(why, '\n');
    }
    buf_done(&text);
    return r == -ENOMEM ? r : 0;
}

static int is_query(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 5 && e->d_name[0] != '.' && strcmp(e->d_name + n - 5, ".json") == 0;
}

int patrol_queries_load(const char *folder, struct patrol_queries **ret_queries,
                        struct buf *ret_why)
{
    struct dirent **files = NULL;
    int n = scandir(folder, &files, is_query, alphasort), r = n < 0 ? -errno : 0;
    struct patrol_queries *p = r == 0 ? calloc(1, sizeof *p) : NULL;
    if (r == 0 && !p)
        r = -ENOMEM;
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = add_file(p, folder, files[i]->d_name, ret_why);
        free(files[i]);
    }
    free(files);
    if (r < 0)
        patrol_queries_free(p);
    else
        *ret_queries = p;
    return r;
}

void patrol_queries_free(struct patrol_queries *p)
{
    for (size_t i = 0; p && i < p->n; i++)
        patrol_query_done(&p->q[i]);
    free(p);
}
