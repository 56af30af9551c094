#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "channels/webhook/view.h"
#include "test/support/temp_store.h"

#include "test/support/alert_maker.h"

#define T0 1700000000000

static void test_load(void **state)
{
    (void)state;
    struct temp_store t;
    struct incident_view v = {.id = 77};
    temp_store_open(&t);
    assert_int_equal(incident_view_load(t.store, 1, &v), -ENOENT);
    assert_int_equal(v.id, 77); // written only on success
    int64_t id = take_alert(&t, T0, alert_made("A", "a"));
    run_sql(
        t.store,
        "UPDATE incident SET kind = 2, severity = 3, status = 1, state = 2, verdict = 4, opened_at "
        "= 5, last_seen_at = 6,"
        " closed_at = 7, members = 8, flaps = 9, notifications = 10, deliveries = 11, delivery = "
        "12, truncated = 13,"
        " pushed_at = 14, taken_at = 15, decided_at = 16, environment = 0, text = 't', ask = 'q'");
    assert_int_equal(incident_view_load(t.store, id, &v), 0);
    assert_int_equal(v.id, id);
    assert_int_equal(v.problem_id, 1);
    const int64_t got[] = {v.kind,          v.severity,     v.status,    v.state,     v.verdict,
                           v.opened_at,     v.last_seen_at, v.closed_at, v.members,   v.flaps,
                           v.notifications, v.deliveries,   v.delivery,  v.truncated, v.pushed_at,
                           v.taken_at,      v.decided_at};
    const int64_t want[] = {2, 3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(got[i], want[i]);
    assert_false(v.prod);
    assert_string_equal(v.alertname, "A");
    assert_string_equal(v.cluster, "platform");
    assert_string_equal(v.namespace, "payments");
    assert_string_equal(v.service, "checkout");
    assert_string_equal(v.source, "alertmanager");
    assert_string_equal(v.text, "t");
    assert_string_equal(v.ask, "q");
    incident_view_done(&v);
    incident_view_done(&v);

    run_sql(t.store, "UPDATE incident SET ask = NULL, verdict = NULL, closed_at = NULL, pushed_at "
                     "= NULL, environment = 1");
    assert_int_equal(incident_view_load(t.store, id, &v), 0);
    assert_string_equal(v.ask, "");
    assert_int_equal(v.verdict + v.closed_at + v.pushed_at, 0);
    assert_true(v.prod);
    incident_view_done(&v);
    temp_store_close(&t);
}

static void test_title(void **state)
{
    (void)state;
    static const struct {
        const char *service, *cluster, *namespace, *want;
    } cases[] = {
        {"checkout", "prod", "pay", "A on checkout (prod / pay)"},
        {"", "prod", "pay", "A (prod / pay)"},
        {"checkout", "", "", "A on checkout"},
        {"", "prod", "", "A (prod)"},
        {"", "", "pay", "A (pay)"},
        {"", "", "", "A"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = BUF_INIT(256);
        struct incident_view v = {.alertname = "A",
                                  .service = cases[i].service,
                                  .cluster = cases[i].cluster,
                                  .namespace = cases[i].namespace};
        incident_view_title(&v, &b);
        assert_string_equal(buf_cstr(&b), cases[i].want);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_title),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
