#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/webhook/trail.h"
#include "test/support/temp_store.h"

static void test_trail(void **state)
{
    (void)state;
    struct temp_store t;
    temp_store_open(&t);
    assert_int_equal(trail_add(t.store, 7, "agent", "taken", "get_incident", 5), 0);
    assert_string_equal(ask_text(t.store, "SELECT at || ' ' || incident_id || ' ' || actor || ' ' "
                                          "|| action || ' ' || detail FROM trail"),
                        "5 7 agent taken get_incident");
    assert_int_equal(trail_add(t.store, 0, "guard", "denied", "", 6), 0); // of no incident
    assert_int_equal(ask_int(t.store, "SELECT incident_id IS NULL FROM trail WHERE at = 6"), 1);

    assert_int_equal(store_begin(t.store), 0); // part of what it is about
    assert_int_equal(trail_add(t.store, 8, "agent", "taken", "", 7), 0);
    store_rollback(t.store);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM trail"), 2);
    run_sql(t.store, "DROP TABLE trail");
    assert_true(trail_add(t.store, 7, "agent", "taken", "", 5) < 0);
    temp_store_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_trail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
