#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/checkpoint.h"
#include "test/support/temp_store.h"

static struct temp_store t;
static uv_loop_t loop;
static struct checkpoint *c;

static int setup(void **state)
{
    (void)state;
    temp_store_open(&t);
    run_sql(t.store, "CREATE TABLE note(text TEXT)");
    uv_loop_init(&loop);
    assert_int_equal(checkpoint_new(&loop, t.store, &c), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    checkpoint_close(c);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    temp_store_close(&t);
    return 0;
}

static void add_pages(int n)
{
    assert_int_equal(store_begin(t.store), 0);
    for (int i = 0; i < n; i++)
        run_sql(t.store, "INSERT INTO note VALUES(hex(randomblob(1900)))");
    assert_int_equal(store_commit(t.store), 0);
}

static int64_t file_pages(void)
{
    char path[TEMP_DIR_SIZE + 16];
    struct stat st;
    snprintf(path, sizeof path, "%s/incidents.db", t.dir);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size / 4096;
}

static void test_a_long_log_is_moved_and_begins_anew(void **state)
{
    (void)state;
    add_pages(1800);
    int64_t before = file_pages();
    checkpoint_look(c);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(file_pages(), before); // not long enough
    add_pages(300);
    checkpoint_look(c);
    checkpoint_look(c); // one at a time
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(file_pages() >= before + 2100);
    add_pages(1);
    assert_true(store_wal_pages(t.store) < 10);
}

static void test_commits_go_on_meanwhile(void **state)
{
    (void)state;
    add_pages(2100);
    checkpoint_look(c);
    for (int i = 0; i < 40; i++)
        add_pages(20);
    uv_run(&loop, UV_RUN_DEFAULT);
    add_pages(1);
    checkpoint_look(c); // what came in meanwhile
    uv_run(&loop, UV_RUN_DEFAULT);
    add_pages(1);
    assert_true(store_wal_pages(t.store) < 10);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM note"), 2902);
}

static void test_one_who_reads_keeps_the_log(void **state)
{
    (void)state;
    struct store *other;
    assert_int_equal(store_open(t.dir, false, &other), 0);
    run_sql(other, "BEGIN");
    assert_int_equal(ask_int(other, "SELECT count(*) FROM note"), 0);
    add_pages(4200);
    checkpoint_look(c);
    uv_run(&loop, UV_RUN_DEFAULT);
    add_pages(1);
    checkpoint_look(c); // not at every commit
    assert_int_equal(uv_loop_alive(&loop), 0);
    run_sql(other, "COMMIT");
    store_close(other);
    add_pages(2000);
    checkpoint_look(c);
    uv_run(&loop, UV_RUN_DEFAULT);
    add_pages(1);
    assert_true(store_wal_pages(t.store) < 10);
}

static void test_closed_while_it_works(void **state)
{
    (void)state;
    add_pages(2100);
    checkpoint_look(c);
    checkpoint_close(c);
    c = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(store_check(t.store, 60000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_long_log_is_moved_and_begins_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commits_go_on_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_who_reads_keeps_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_while_it_works, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
