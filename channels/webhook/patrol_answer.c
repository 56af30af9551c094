#include "channels/webhook/patrol_answer.h"

#include <errno.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/text.h"

#define MAX_WORDS 300 // of the server's own error

static void scan(struct json_scan *s, struct str text)
{
    json_scan_init(s, text, JSON_MAX_DEPTH);
}

// The value of one member of an object; {NULL, 0} without.
static struct str member_of(struct str object, const char *name)
{
    struct json_scan s;
    struct str key, value, found = {NULL, 0};
    scan(&s, object);
    if (json_scan_peek(&s) != '{' || json_scan_enter(&s, '{') < 0)
        return found;
    while (json_scan_member(&s, &key, &value) > 0)
        if (!found.n && str_is(key, name))
            found = value;
    return found;
}

static int refuse(struct buf *why, const char *text)
{
    buf_adds(why, text);
    return -EINVAL;
}

int patrol_answer_open(struct patrol_answer *a, struct str body, size_t max_points,
                       struct buf *ret_why)
{
    struct json_scan s;
    struct str key, value, data = {NULL, 0}, error = {NULL, 0}, warnings = {NULL, 0};
    struct str type = {NULL, 0}, result = {NULL, 0};
    *a = (struct patrol_answer){.max_points = max_points};
    scan(&s, body);
    int r = json_scan_peek(&s) == '{' ? json_scan_enter(&s, '{') : -EINVAL;
    while (r >= 0 && (r = json_scan_member(&s, &key, &value)) > 0) {
        if (str_is(key, "data"))
            data = value;
        else if (str_is(key, "error"))
            error = value;
        else if (str_is(key, "warnings"))
            warnings = value;
    }
    if (r < 0 || json_scan_end(&s) < 0)
        return refuse(ret_why, "the answer is not a JSON object");
    if (error.n > 2 && error.p[0] == '"') {
        text_clean(ret_why, (struct str){error.p + 1, error.n - 2}, MAX_WORDS, TEXT_ONE_LINE);
        return -EINVAL;
    }
    scan(&s, data); // grammar was checked
    r = data.n && data.p[0] == '{' ? json_scan_enter(&s, '{') : 0;
    while (r >= 0 && data.n && data.p[0] == '{' && (r = json_scan_member(&s, &key, &value)) > 0) {
        if (str_is(key, "resultType"))
            type = value;
        else if (str_is(key, "result"))
            result = value;
    }
    if (!str_is(type, "\"matrix\"") || !result.n || result.p[0] != '[')
        return refuse(ret_why, "the answer is no matrix");
    a->partial = warnings.n > 2 && warnings.p[0] == '[';
    a->points = malloc(max_points * sizeof *a->points);
    if (!a->points)
        return -ENOMEM;
    scan(&a->cursor, result);
    return json_scan_enter(&a->cursor, '[');
}

// A number, or a string of one ("0.5", "NaN", "+Inf"). What follows it ends it.
static double number_of(struct str v)
{
    return strtod(v.n && v.p[0] == '"' ? v.p + 1 : v.p, NULL);
}

static void read_points(struct patrol_answer *a, struct str values)
{
    struct json_scan s, pair;
    struct str item, t, v;
    scan(&s, values);
    a->n_points = 0;
    if (values.n == 0 || values.p[0] != '[' || json_scan_enter(&s, '[') < 0)
        return;
    while (a->n_points < a->max_points && json_scan_element(&s, &item) > 0) {
        scan(&pair, item);
        if (item.p[0] == '[' && json_scan_enter(&pair, '[') == 0 &&
            json_scan_element(&pair, &t) > 0 && json_scan_element(&pair, &v) > 0)
            a->points[a->n_points++] = (struct trend_point){number_of(t), number_of(v)};
    }
}

int patrol_answer_next(struct patrol_answer *a)
{
    struct str series;
    int r = json_scan_element(&a->cursor, &series);
    if (r <= 0)
        return r;
    arena_reset(&a->arena);
    a->labels = (struct alert_pairs){.items = a->items};
    alert_json_pairs(&a->arena, member_of(series, "metric"), &a->labels);
    read_points(a, member_of(series, "values"));
    return a->arena.failed ? -ENOMEM : 1;
}

void patrol_answer_done(struct patrol_answer *a)
{
    free(a->points);
    arena_done(&a->arena);
    a->points = NULL;
}

struct str patrol_answer_label(const struct patrol_answer *a, const char *name)
{
    for (size_t i = 0; i < a->labels.n; i++)
        if (str_is(a->labels.items[i].name, name))
            return a->labels.items[i].value;
    return (struct str){NULL, 0};
}
