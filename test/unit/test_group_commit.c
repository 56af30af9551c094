#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "common/clock.h"
#include "common/group_commit.h"
#include "test/support/temp_store.h"

#define DEADLINE_MS 20000

static struct temp_store t;
static struct store *other; // another process's, as far as locks go
static uv_loop_t loop;
static struct group_commit *group;
static unsigned commits; // that changed something
static char order[64];   // the names of the jobs in the order they ended

struct job {
    struct commit_job base; // first
    char name;
    int parts; // applied in so many
    int fails; // what apply returns instead, 0 = does not fail
    unsigned applied, rolled_back, done;
    int result;
    bool locks_after; // when it ends, another process takes the lock
};

static int apply(struct commit_job *base, struct store *s)
{
    struct job *job = (struct job *)base;
    char row[2] = {job->name, 0};
    job->rolled_back += base->rolled_back;
    job->applied++;
    struct stmt *q = store_sql(s, "INSERT INTO note VALUES(?)");
    bind_text(q, 1, row);
    int r = stmt_run(q);
    if (r < 0 || job->fails)
        return r < 0 ? r : job->fails;
    q = store_sql(s, "SELECT count(*) FROM note WHERE text = ?");
    bind_text(q, 1, row);
    r = stmt_step(q);
    bool more = r > 0 && col_int(q, 0) < job->parts;
    stmt_reset(q);
    return r < 0 ? r : more;
}

static void done(struct commit_job *base, int error)
{
    struct job *job = (struct job *)base;
    job->done++;
    job->result = error;
    size_t n = strlen(order);
    if (n + 1 < sizeof order)
        order[n] = job->name;
    if (job->locks_after)
        assert_int_equal(store_begin(other), 0);
}

#define JOB(letter)                                                                                \
    ((struct job){.base = {.apply = apply, .done = done}, .name = (letter), .parts = 1})

static void on_commit(void *data)
{
    (*(unsigned *)data)++;
}

static int setup(void **state)
{
    (void)state;
    temp_store_open(&t);
    run_sql(t.store, "CREATE TABLE note(text TEXT)");
    assert_int_equal(store_open(t.dir, false, &other), 0);
    store_busy_timeout(t.store, 0);
    store_busy_timeout(other, 0);
    uv_loop_init(&loop);
    assert_int_equal(group_commit_new(&loop, t.store, &group), 0);
    commits = 0;
    memset(order, 0, sizeof order);
    group_commit_on_commit(group, on_commit, &commits);
    return 0;
}

static void close_group(void)
{
    group_commit_close(group);
    group = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
}

static int teardown(void **state)
{
    (void)state;
    close_group();
    group_commit_close(NULL);
    assert_int_equal(uv_loop_close(&loop), 0);
    store_close(other);
    temp_store_close(&t);
    return 0;
}

static void submit(struct job *job, int64_t patience_ms)
{
    group_commit_submit(group, &job->base, patience_ms);
}

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("it never came");
}

static void run_until_done(const struct job *job)
{
    uv_timer_t deadline;
    uv_timer_init(&loop, &deadline);
    uv_timer_start(&deadline, on_deadline, DEADLINE_MS, 0);
    while (!job->done)
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
}

static int64_t notes(void)
{
    return ask_int(other, "SELECT count(*) FROM note");
}

static void test_one_commit_for_all_that_came(void **state)
{
    (void)state;
    struct job a = JOB('a'), b = JOB('b'), c = JOB('c');
    assert_true(group_commit_idle(group));
    submit(&a, 1000);
    assert_false(group_commit_idle(group));
    submit(&b, 1000);
    submit(&c, 1000);
    assert_int_equal(a.applied + a.done, 0); // never from within submit
    int64_t version = store_data_version(other);
    run_until_done(&c);
    assert_string_equal(order, "abc");
    assert_int_equal(a.result + b.result + c.result, 0);
    assert_int_equal(commits, 1);
    assert_true(store_data_version(other) != version);
    assert_int_equal(notes(), 3);
    assert_true(group_commit_idle(group));
}

// An idle group keeps no loop alive and does not spin.
static void test_idle(void **state)
{
    (void)state;
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    struct job a = JOB('a');
    submit(&a, 1000);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0); // returns, so nothing is left active
    assert_int_equal(a.done, 1);
}

static void test_a_bad_job_fails_alone(void **state)
{
    (void)state;
    struct job a = JOB('a'), bad = JOB('x'), c = JOB('c');
    bad.fails = -EILSEQ;
    submit(&a, 1000);
    submit(&bad, 1000);
    submit(&c, 1000);
    run_until_done(&c);
    assert_string_equal(order, "axc");
    assert_int_equal(a.result, 0);
    assert_int_equal(bad.result, -EILSEQ);
    assert_int_equal(c.result, 0);
    assert_string_equal(ask_text(other, "SELECT group_concat(text, '') FROM note"), "ac");
    assert_int_equal(a.applied, 2);
    assert_int_equal(a.rolled_back, 1); // it knew that its first call was for nothing
    assert_int_equal(c.rolled_back, 0); // never called before

    struct job alone = JOB('y');
    alone.fails = -EIO;
    submit(&alone, 1000);
    run_until_done(&alone);
    assert_int_equal(alone.result, -EIO);
    assert_int_equal(alone.applied, 1);
    assert_int_equal(notes(), 2);
}

static void test_parts(void **state)
{
    (void)state;
    struct job big = JOB('b'), small = JOB('s');
    big.parts = 3;
    submit(&big, 1000);
    submit(&small, 1000);
    run_until_done(&big);
    assert_string_equal(order, "sb"); // who comes with little does not wait for all of it
    assert_int_equal(big.result, 0);
    assert_int_equal(big.applied, 3);
    assert_int_equal(big.rolled_back, 0);
    assert_int_equal(notes(), 4);
    assert_int_equal(commits, 3);
}

// A part that is rolled back with the bad job beside it is applied again, those before it are not.
static void test_part_is_repeated_after_a_rollback(void **state)
{
    (void)state;
    struct job big = JOB('b'), bad = JOB('x');
    big.parts = 3;
    bad.fails = -EIO;
    submit(&big, 1000);
    while (big.applied < 1)
        uv_run(&loop, UV_RUN_ONCE);
    submit(&bad, 1000);
    run_until_done(&big);
    assert_int_equal(bad.result, -EIO);
    assert_int_equal(big.result, 0);
    assert_int_equal(big.applied, 4);
    assert_int_equal(big.rolled_back, 1);
    assert_int_equal(notes(), 3);
}

// As long as the lock is held.
static void run_a_while(void)
{
    for (int i = 0; i < 8; i++)
        uv_run(&loop, UV_RUN_ONCE);
}

static void test_a_lock_is_waited_for(void **state)
{
    (void)state;
    struct job a = JOB('a'), late = JOB('l');
    assert_int_equal(store_begin(other), 0);
    submit(&a, DEADLINE_MS);
    run_a_while();
    submit(&late, DEADLINE_MS);
    run_a_while();
    assert_int_equal(a.done + late.done, 0);
    store_rollback(other);
    run_until_done(&late);
    assert_string_equal(order, "al"); // in their order
    assert_int_equal(a.result, 0);
    assert_int_equal(a.applied, 1);
    assert_int_equal(notes(), 2);
}

static void test_patience_ends(void **state)
{
    (void)state;
    struct job a = JOB('a'), patient = JOB('p');
    assert_int_equal(store_begin(other), 0);
    int64_t begun = clock_boot_ms();
    submit(&patient, DEADLINE_MS);
    submit(&a, 50);
    run_until_done(&a);
    assert_int_equal(a.result, -EBUSY);
    assert_true(clock_boot_ms() - begun >= 50);
    assert_int_equal(a.applied, 0);
    assert_int_equal(patient.done, 0);
    assert_int_equal(commits, 0);
    store_rollback(other);
    run_until_done(&patient);
    assert_int_equal(patient.result, 0);
}

// Also where each job has a transaction of its own, because one of them was bad.
static void test_patience_beside_a_bad_job(void **state)
{
    (void)state;
    struct job bad = JOB('x'), a = JOB('a'), b = JOB('b');
    bad.fails = -EIO;
    bad.locks_after = true;
    submit(&bad, DEADLINE_MS);
    submit(&a, DEADLINE_MS);
    submit(&b, DEADLINE_MS);
    run_until_done(&bad);
    run_a_while();
    assert_int_equal(a.done + b.done, 0);
    store_rollback(other);
    run_until_done(&b);
    assert_string_equal(order, "xab");
    assert_int_equal(bad.result, -EIO);
    assert_int_equal(a.result, 0);
    assert_int_equal(b.result, 0);
    assert_int_equal(notes(), 2);
}

static void test_more_than_a_group(void **state)
{
    (void)state;
    static struct job many[1100];
    assert_int_equal(store_begin(other), 0); // and none is lost while they wait for a lock
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        many[i] = JOB('m');
        submit(&many[i], DEADLINE_MS);
    }
    run_a_while();
    store_rollback(other);
    run_until_done(&many[ARRAY_LEN(many) - 1]);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        assert_true(many[i].done == 1 && many[i].result == 0 && many[i].applied == 1);
    assert_int_equal(notes(), ARRAY_LEN(many));
    assert_true(commits < 10);
}

static void test_close_commits_what_waits(void **state)
{
    (void)state;
    struct job a = JOB('a'), parts = JOB('p');
    parts.parts = 2;
    submit(&a, 1000);
    submit(&parts, 1000);
    close_group();
    assert_int_equal(a.done, 1);
    assert_int_equal(a.result, 0);
    assert_int_equal(parts.done, 1);
    assert_int_equal(parts.result, -ECANCELED); // its first part is in the store, it is not done
    assert_int_equal(notes(), 2);
}

static void test_close_while_locked(void **state)
{
    (void)state;
    struct job a = JOB('a'), b = JOB('b');
    assert_int_equal(store_begin(other), 0);
    submit(&a, DEADLINE_MS);
    uv_run(&loop, UV_RUN_ONCE);
    submit(&b, DEADLINE_MS);
    close_group();
    assert_int_equal(a.result, -ECANCELED);
    assert_int_equal(b.result, -ECANCELED);
    assert_int_equal(a.done + b.done, 2);
    store_rollback(other);
    assert_int_equal(notes(), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_one_commit_for_all_that_came),
        T(test_idle),
        T(test_a_bad_job_fails_alone),
        T(test_parts),
        T(test_part_is_repeated_after_a_rollback),
        T(test_a_lock_is_waited_for),
        T(test_patience_ends),
        T(test_patience_beside_a_bad_job),
        T(test_more_than_a_group),
        T(test_close_commits_what_waits),
        T(test_close_while_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
