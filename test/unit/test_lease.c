#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/lease.h"
#include "test/support/store_fixture.h"

// A process that does what it is told, one letter a time: b beat, r release, l listen; answers with
// one byte: the result, or 'e'.
struct other {
    pid_t pid;
    int to, from;
};

static char obey(struct store *s, char what)
{
    int r = 0;
    if (what == 'b')
        r = lease_beat(s, "webhook");
    else if (what == 'r')
        lease_release(s, "webhook");
    else if (what == 'l')
        r = listener_add(s, "127.0.0.1:1");
    return (char)(r < 0 ? 'e' : '0' + r);
}

static struct other other_start(void)
{
    int to[2], from[2];
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *s = NULL;
        char c;
        close(to[1]);
        close(from[0]);
        if (store_open(t.dir, false, &s) < 0)
            _exit(1);
        while (read(to[0], &c, 1) == 1) {
            c = obey(s, c);
            if (write(from[1], &c, 1) != 1)
                break;
        }
        store_close(s);
        _exit(0);
    }
    close(to[0]);
    close(from[1]);
    return (struct other){pid, to[1], from[0]};
}

static int tell(const struct other *o, char what)
{
    char c = 'x';
    assert_int_equal(write(o->to, &what, 1), 1);
    assert_int_equal(read(o->from, &c, 1), 1);
    return c == 'e' ? -1 : c - '0';
}

static void other_end(const struct other *o, int signal_number)
{
    if (signal_number)
        kill(o->pid, signal_number);
    close(o->to);
    close(o->from);
    waitpid(o->pid, NULL, 0);
}

static void age_lease(int64_t ms)
{
    struct stmt *q = store_sql(t.store, "UPDATE lease SET beat_at = beat_at - ?");
    bind_int(q, 1, ms);
    assert_int_equal(stmt_run(q), 0);
}

static void test_taken_renewed_released(void **state)
{
    (void)state;
    struct lease_info info = {.pid = 7};
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_false(info.fresh);
    assert_int_equal(info.pid, 0);

    int64_t before = clock_wall_ms();
    assert_int_equal(lease_beat(t.store, "webhook"), 1);
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_true(info.fresh);
    assert_int_equal(info.pid, getpid());
    assert_true(info.age_ms >= 0 && info.age_ms < 5000);
    assert_true(info.since >= before && info.since <= clock_wall_ms());
    int64_t since = info.since;

    age_lease(3000);
    run_sql(t.store, "UPDATE lease SET since = since - 3000");
    assert_int_equal(lease_beat(t.store, "webhook"), 1);
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_true(info.age_ms < 3000);
    assert_int_equal(info.since, since - 3000); // renewed, not taken again

    // Each channel has its own.
    assert_int_equal(lease_read(t.store, "slack", &info), 0);
    assert_false(info.fresh);
    assert_int_equal(lease_beat(t.store, "slack"), 1);

    lease_release(t.store, "webhook");
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_false(info.fresh);
    assert_int_equal(lease_read(t.store, "slack", &info), 0);
    assert_true(info.fresh);
    assert_int_equal(ask_int(t.store, "PRAGMA synchronous"), 2); // alerts still wait for the disk
}

static void test_the_holder_keeps_it(void **state)
{
    (void)state;
    struct lease_info info;
    struct other o = other_start();
    assert_int_equal(tell(&o, 'b'), 1);
    assert_int_equal(lease_beat(t.store, "webhook"), 0);
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_true(info.fresh);
    assert_int_equal(info.pid, o.pid);
    lease_release(t.store, "webhook"); // not ours to give
    assert_int_equal(lease_beat(t.store, "webhook"), 0);
    assert_int_equal(tell(&o, 'b'), 1);

    assert_int_equal(tell(&o, 'r'), 0);
    assert_int_equal(lease_beat(t.store, "webhook"), 1);
    assert_int_equal(tell(&o, 'b'), 0);
    other_end(&o, 0);
}

static void test_gone_at_once(void **state)
{
    (void)state;
    struct lease_info info;
    struct other o = other_start();
    assert_int_equal(tell(&o, 'b'), 1);
    other_end(&o, SIGKILL); // leaves its row behind, which is fresh by its age
    assert_true(ask_int(t.store, "SELECT count(*) FROM lease") == 1);
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_false(info.fresh);
    assert_int_equal(lease_beat(t.store, "webhook"), 1);
}

static void test_stale_while_stopped(void **state)
{
    (void)state;
    struct lease_info info;
    struct other o = other_start();
    assert_int_equal(tell(&o, 'b'), 1);
    kill(o.pid, SIGSTOP);
    int status;
    assert_int_equal(waitpid(o.pid, &status, WUNTRACED), o.pid);
    age_lease(LEASE_STALE_MS - 1500);
    assert_int_equal(lease_beat(t.store, "webhook"), 0); // not yet
    age_lease(1500);
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_false(info.fresh);
    assert_int_equal(lease_beat(t.store, "webhook"), 1);
    kill(o.pid, SIGCONT);
    assert_int_equal(tell(&o, 'b'), 0); // it learns that it lost it
    assert_int_equal(tell(&o, 'r'), 0); // and cannot take ours away
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_int_equal(info.pid, getpid());
    assert_true(info.fresh);
    other_end(&o, 0);
}

static void test_our_own_stale_lease_is_taken_anew(void **state)
{
    (void)state;
    struct lease_info info;
    assert_int_equal(lease_beat(t.store, "webhook"), 1);
    age_lease(LEASE_STALE_MS);
    run_sql(t.store, "UPDATE lease SET since = 5");
    assert_int_equal(lease_beat(t.store, "webhook"), 1);
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_true(info.since > 5); // for a while nobody held it
}

// A pid that was given to another process, and a row of another boot, are nobody.
static void test_rows_of_another_life(void **state)
{
    (void)state;
    struct lease_info info;
    struct other o = other_start();
    assert_int_equal(tell(&o, 'b'), 1);
    run_sql(t.store, "UPDATE lease SET started = started - 1");
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_false(info.fresh);
    run_sql(t.store, "UPDATE lease SET started = started + 1");
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_true(info.fresh);
    run_sql(t.store, "UPDATE lease SET boot_id = 'another'");
    assert_int_equal(lease_beat(t.store, "webhook"), 1);
    other_end(&o, 0);
}

// Two containers of one machine share the store: each sees the other's pid as nobody's or somebody
// else's.
static void test_holder_in_another_container(void **state)
{
    (void)state;
    struct lease_info info;
    assert_int_equal(lease_beat(t.store, "webhook"), 1);
    run_sql(
        t.store,
        "UPDATE lease SET pid = 1, started = 1, boot_id = substr(boot_id, 1, 36) || ' pid:[1]'");
    assert_int_equal(lease_read(t.store, "webhook", &info), 0);
    assert_true(info.fresh);
    assert_int_equal(lease_beat(t.store, "webhook"), 0);
    age_lease(LEASE_STALE_MS);
    assert_int_equal(lease_beat(t.store, "webhook"), 1);
}

static void test_busy_store(void **state)
{
    (void)state;
    struct store *other = NULL;
    assert_int_equal(store_open(t.dir, false, &other), 0);
    store_busy_timeout(t.store, 0);
    assert_int_equal(store_begin(other), 0);
    assert_int_equal(lease_beat(t.store, "webhook"), -EBUSY);
    store_rollback(other);
    assert_int_equal(lease_beat(t.store, "webhook"), 1);
    store_close(other);
}

static void test_listeners(void **state)
{
    (void)state;
    assert_int_equal(listener_shared(t.store, "127.0.0.1:1"), 0);
    assert_int_equal(listener_add(t.store, "127.0.0.1:1"), 0);
    assert_int_equal(listener_shared(t.store, "127.0.0.1:1"), 0); // we are no other
    assert_int_equal(listener_add(t.store, "127.0.0.1:1"), 0);
    struct other o = other_start();
    assert_int_equal(tell(&o, 'l'), 1); // there we are
    assert_int_equal(listener_shared(t.store, "127.0.0.1:1"), 1);
    assert_int_equal(listener_shared(t.store, "127.0.0.1:2"), 0);
    listener_remove(t.store); // ours only
    assert_int_equal(listener_shared(t.store, "127.0.0.1:1"), 1);
    other_end(&o, SIGKILL);
    assert_int_equal(listener_shared(t.store, "127.0.0.1:1"), 0); // the dead listen no more
}

static void test_process_as_text(void **state)
{
    (void)state;
    char mine[128];
    snprintf(mine, sizeof mine, "%s", lease_self());
    assert_true(lease_alive(mine));
    assert_false(lease_alive(""));
    assert_false(lease_alive("1"));
    assert_false(lease_alive("1 1"));
    char other[160];
    snprintf(other, sizeof other, "%sx", mine);
    assert_false(lease_alive(other));
    char *space = strchr(mine, ' ');
    snprintf(other, sizeof other, "%d0%s", (int)getpid(), space);
    assert_false(lease_alive(other));

    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        const char *self = lease_self(); // the child is not its parent
        ssize_t n = write(out[1], self, strlen(self) + 1);
        pause();
        _exit(n > 0);
    }
    char its[128] = "";
    assert_true(read(out[0], its, sizeof its) > 0);
    assert_string_not_equal(its, mine);
    assert_true(lease_alive(its));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_false(lease_alive(its));
    close(out[0]);
    close(out[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_taken_renewed_released),
        T(test_the_holder_keeps_it),
        T(test_gone_at_once),
        T(test_stale_while_stopped),
        T(test_our_own_stale_lease_is_taken_anew),
        T(test_rows_of_another_life),
        T(test_holder_in_another_container),
        T(test_busy_store),
        T(test_listeners),
        T(test_process_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
