#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "channels/webhook/patrol_finding.h"
#include "test/support/temp_dir.h"

#define QUERY(more)                                                                                \
    "{\"name\": \"pvc\", \"text\": \"PVC {pvc} of {missing}\", \"expr\": \"x\", "                  \
    "\"threshold\": 0.9, "                                                                         \
    "\"unit\": \"percent\", \"horizon\": \"36h\", \"history\": \"7d\", "                           \
    "\"minimum_history\": \"6h\", "                                                                \
    "\"step\": \"20m\", \"labels\": {\"cluster\": [\"a\", \"b\"], \"service\": \"owner(pod)\"}, "  \
    "\"severity\": \"warning\"" more "}"

static char why[512];

static int read_query(const char *text, struct patrol_query *q)
{
    struct buf b = BUF_INIT(sizeof why);
    int r = patrol_query_read(str_of(text), q, &b);
    snprintf(why, sizeof why, "%s", buf_cstr(&b));
    buf_done(&b);
    return r;
}

static void test_a_query(void **state)
{
    (void)state;
    struct patrol_query q;
    assert_int_equal(read_query(QUERY(""), &q), 0);
    assert_string_equal(q.name, "pvc");
    assert_int_equal(q.horizon, 36 * 3600);
    assert_int_equal(q.history, 7 * 86400);
    assert_int_equal(q.cluster.n, 2);
    assert_true(q.service.owner && !q.down && q.unit == PATROL_PERCENT);
    patrol_query_done(&q);
}

static void refused(const char *text, const char *says)
{
    struct patrol_query q;
    assert_int_equal(read_query(text, &q), -EINVAL);
    if (!strstr(why, says))
        fail_msg("\"%s\" does not say \"%s\"", why, says);
}

static void test_what_is_wrong_is_named(void **state)
{
    (void)state;
    refused("", "file: ");
    refused("[]", "file: must hold one JSON object");
    refused("{}", "name: must be a name");
    refused(QUERY(", \"tresh\": 1"), "tresh: no such field");
    refused(QUERY(", \"direction\": \"left\""), "direction: must be up or down");
    refused(QUERY(", \"playbook\": \"../x\""), "playbook: must be a name");
    refused("{\"name\": \"a\", \"expr\": \"x\", \"text\": \"x\", \"threshold\": \"9\"}",
            "threshold: must be a number");
    refused("{\"name\": \"a\", \"expr\": \"x\", \"text\": \"x\", \"threshold\": 9, \"horizon\": "
            "\"1w\"}",
            "horizon: must be a duration");
}

// One field of a query that is otherwise right.
static void field_refused(const char *field, const char *value, const char *says)
{
    char text[1024] = QUERY(""), changed[1024];
    char *at = strstr(text, field), *from = at ? strchr(at, ':') + 2 : NULL;
    assert_non_null(from);
    size_t n = *from == '{'   ? strcspn(from, "}") + 1
               : *from == '"' ? strcspn(from + 1, "\"") + 2
                              : strcspn(from, ",}");
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(from - text), text, value, from + n);
    refused(changed, says);
}

static void test_each_field_has_its_rule(void **state)
{
    (void)state;
    field_refused("\"text\"", "\"\"", "text: must be a text");
    field_refused("\"expr\"", "7", "expr: must be a text");
    field_refused("\"step\"", "\"1m\"", "step: too small for the history: at most 2000 points");
    field_refused("\"minimum_history\"", "\"8d\"", "must not be longer than history");
    field_refused("\"minimum_history\"", "\"1h\"", "must be at least 12 steps");
    field_refused("\"severity\"", "\"loud\"", "severity: must be critical, error, warning or info");
    field_refused("\"labels\"", "7", "labels: must be an object");
    field_refused("\"labels\"", "{\"x\": \"y\"}", "labels.x: no such field");
    field_refused("\"labels\"", "{\"service\": 7}", "labels.service: must be a label");
    field_refused("\"labels\"", "{\"service\": \"\"}", "labels.service: must be a label");
    field_refused("\"labels\"", "{\"service\": [\"a\", 7]}", "labels.service: must be a label");
    field_refused("\"labels\"", "{\"service\": [\"a\", \"b\", \"c\", \"d\", \"e\"]}",
                  "labels.service: must be a label");
    field_refused("\"labels\"", "{\"service\": [\"a\", \"owner(pod)\"]}",
                  "labels.service: must be a label");
}

static int open_answer(struct patrol_answer *a, const char *text)
{
    struct buf b = BUF_INIT(sizeof why);
    int r = patrol_answer_open(a, str_of(text), 8, &b);
    snprintf(why, sizeof why, "%s", buf_cstr(&b));
    buf_done(&b);
    return r;
}

#define MATRIX(result)                                                                             \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":" result "}}"

static void test_an_answer(void **state)
{
    (void)state;
    struct patrol_answer a;
    assert_int_equal(
        open_answer(&a,
                    MATRIX("[{\"metric\":{\"pvc\":\"d\\u00e9\",\"pod\":\"web-7d9c5b6f4-x2x9k\"},"
                           "\"values\":[[1.5,\"0.25\"],[2,\"NaN\"],[3,\"+Inf\"],{},[4]]},{},7]")),
        0);
    assert_int_equal(patrol_answer_next(&a), 1);
    assert_true(str_is(patrol_answer_label(&a, "pvc"), "d\xc3\xa9"));
    assert_int_equal(a.n_points, 3);
    assert_true(a.points[0].t > 1.49 && a.points[0].v > 0.24 && a.points[1].v != a.points[1].v);
    assert_int_equal(patrol_answer_next(&a), 1); // nothing in it
    assert_int_equal(a.n_points, 0);
    assert_int_equal(patrol_answer_next(&a), 1); // no series at all
    assert_int_equal(patrol_answer_next(&a), 0);
    patrol_answer_done(&a);
    static const struct {
        const char *text, *says;
    } bad[] = {{"", "not a JSON object"},
               {"<html>", "not a JSON object"},
               {"{}", "no matrix"},
               {"{\"data\":{\"resultType\":\"vector\",\"result\":[]}}", "no matrix"},
               {"{\"status\":\"error\",\"error\":\"parse error\"}", "parse error"}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(open_answer(&a, bad[i].text), -EINVAL);
        assert_non_null(strstr(why, bad[i].says));
        patrol_answer_done(&a);
    }
}

static void says(double seconds, double low, double high, const char *want)
{
    struct buf b = BUF_INIT(128);
    patrol_time_text(&b, seconds, low, high);
    assert_string_equal(buf_cstr(&b), want);
    buf_done(&b);
}

static void test_times(void **state)
{
    (void)state;
    says(19 * 3600, 17 * 3600, 23 * 3600, "19 h (17 to 23 h)");
    says(3.2 * 86400, 2.5 * 86400, 5 * 86400, "3.2 d (2.5 to 5.0 d)");
    says(3 * 3600, 2.5 * 3600, 4 * 3600, "3.0 h (2.5 to 4.0 h)");
    says(90, 60, 100, "90 s (60 to 100 s)");
}

static void test_a_finding(void **state)
{
    (void)state;
    struct patrol_query q;
    struct patrol_answer a;
    struct trend t = {.value = 0.7,
                      .slope = 0.01 / 3600,
                      .seconds = 72000,
                      .low = 70000,
                      .high = 80000,
                      .since = 1790000000 - 86400};
    char identity[PATROL_ID_SIZE], other[PATROL_ID_SIZE];
    assert_int_equal(read_query(QUERY(", \"playbook\": \"full\""), &q), 0);
    assert_int_equal(
        open_answer(&a, MATRIX("[{\"metric\":{\"pvc\":\"data-3\",\"pod\":\"web-7d9c5b6f4-x2x9k\","
                               "\"b\":\"eu\",\"severity\":\"info\",\"rulename\":\"x\"}}]")),
        0);
    assert_int_equal(patrol_answer_next(&a), 1);
    patrol_identity(&q, &a, identity);
    struct buf out = BUF_INIT(8192);
    struct jw w = JW(&out);
    patrol_firing(&w, &q, &a, &t, identity, "home", 1790000000);
    const char *const parts[] = {"\"alertname\":\"Patrol pvc\"",
                                 "\"severity\":\"warning\"",
                                 "\"cluster\":\"eu\"",
                                 "\"service\":\"web\"",
                                 "\"pvc\":\"data-3\"",
                                 "PVC data-3 of ? in 20 h (19 to 22 h)",
                                 "now 70 %, +1 % an hour",
                                 "\"runbook_url\":\"playbooks/full.md\"",
                                 identity};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!strstr(buf_cstr(&out), parts[i]))
            fail_msg("no %s in %s", parts[i], buf_cstr(&out));
    assert_null(strstr(buf_cstr(&out), "rulename")); // it would rename the alert
    q.name = "other";
    patrol_identity(&q, &a, other);
    assert_string_not_equal(identity, other);
    buf_done(&out);
    patrol_answer_done(&a);
    patrol_query_done(&q);
}

static void says_of_its_value(const char *unit, double value, const char *text, const char *want)
{
    struct patrol_query q;
    struct patrol_answer a;
    struct trend t = {.value = value,
                      .slope = value / 36000,
                      .seconds = 7200,
                      .low = 7000,
                      .high = 8000,
                      .since = 1790000000 - 86400};
    char identity[PATROL_ID_SIZE];
    assert_int_equal(read_query(QUERY(""), &q), 0);
    q.unit = unit[0] == 'b' ? PATROL_BYTES : unit[0] == 's' ? PATROL_SECONDS : PATROL_PLAIN;
    q.text = text;
    assert_int_equal(open_answer(&a, MATRIX("[{\"metric\":{\"pvc\":\"d\"}}]")), 0);
    assert_int_equal(patrol_answer_next(&a), 1);
    patrol_identity(&q, &a, identity);
    struct buf out = BUF_INIT(8192);
    struct jw w = JW(&out);
    patrol_firing(&w, &q, &a, &t, identity, "home", 1790000000);
    if (!strstr(buf_cstr(&out), want))
        fail_msg("no %s in %s", want, buf_cstr(&out));
    buf_done(&out);
    patrol_answer_done(&a);
    patrol_query_done(&q);
}

static void test_values_in_their_unit(void **state)
{
    (void)state;
    says_of_its_value("bytes", 512, "x", "now 512 B, +51.2 B an hour");
    says_of_its_value("bytes", 3.5 * 1073741824, "x", "now 3.5 GiB, +358 MiB an hour");
    says_of_its_value("bytes", 1e19, "x", "TiB");
    says_of_its_value("seconds", 36000, "x", "now 10 h, +1 h an hour");
    says_of_its_value("seconds", 30 * 86400, "x", "now 30 d, +3 d an hour");
    says_of_its_value("number", 12345, "x", "now 12345, +1234 an hour");
    says_of_its_value("number", 9.87, "{pvc} {pvc", "d {pvc in 2.0 h"); // a brace without its end
}

static void write_query(const char *dir, const char *file, const char *name)
{
    char text[1024] = QUERY(""), named[1200];
    char *at = strstr(text, "pvc\"");
    snprintf(named, sizeof named, "%.*s%s%s", (int)(at - text), text, name, at + 3);
    temp_write(temp_path(dir, file), str_of(named), 0600);
}

// What is wrong with one file is said, and the others are used.
static void test_a_folder(void **state)
{
    (void)state;
    char dir[TEMP_DIR_SIZE], file[32], name[32];
    struct patrol_queries *p;
    struct buf b = BUF_INIT(65536);
    temp_dir_make(dir);
    write_query(dir, "a.json", "one");
    write_query(dir, "b.json", "one");
    write_query(dir, ".hidden.json", "hidden");
    write_query(dir, "c.txt", "text");
    temp_write(temp_path(dir, "broken.json"), str_of("{"), 0600);
    assert_int_equal(mkdir(temp_path(dir, "folder.json"), 0700), 0);
    assert_int_equal(patrol_queries_load(dir, &p, &b), 0);
    assert_int_equal(p->n, 1);
    assert_non_null(strstr(buf_cstr(&b), "b.json: name: another file has it already\n"));
    assert_non_null(strstr(buf_cstr(&b), "broken.json: file: "));
    assert_non_null(strstr(buf_cstr(&b), "folder.json: Is a directory\n"));
    patrol_queries_free(p);
    for (int i = 0; i < PATROL_MAX_QUERIES; i++) {
        snprintf(file, sizeof file, "many-%02d.json", i);
        snprintf(name, sizeof name, "q-%d", i);
        write_query(dir, file, name);
    }
    buf_clear(&b);
    assert_int_equal(patrol_queries_load(dir, &p, &b), 0);
    assert_int_equal(p->n, PATROL_MAX_QUERIES);
    assert_non_null(strstr(buf_cstr(&b), "many-63.json: file: one more than 64\n"));
    patrol_queries_free(p);
    buf_done(&b);
    temp_dir_remove(dir);
}

static void test_the_shipped_ones(void **state)
{
    (void)state;
    struct patrol_queries *p;
    struct buf b = BUF_INIT(4096);
    assert_int_equal(patrol_queries_load(SOURCE_DIR "/deploy/patrol", &p, &b), 0);
    assert_string_equal(buf_cstr(&b), "");
    assert_true(p->n >= 6);
    patrol_queries_free(p);
    assert_int_equal(patrol_queries_load(SOURCE_DIR "/no-such-folder", &p, &b), -ENOENT);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_query),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_an_answer),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_a_finding),
        cmocka_unit_test(test_the_shipped_ones),
        cmocka_unit_test(test_each_field_has_its_rule),
        cmocka_unit_test(test_values_in_their_unit),
        cmocka_unit_test(test_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
