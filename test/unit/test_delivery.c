#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/lease.h"
#include "test/support/delivery_bench.h"
#include "test/support/log_capture.h"

#define SECOND 1000ll
#define MINUTE (60 * SECOND)

static struct delivery_bench b;

static int setup(void **state)
{
    (void)state;
    delivery_bench_open(&b);
    b.t.config.events_per_min = 1000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    delivery_bench_close(&b);
    next_event(NULL);
    return 0;
}

static struct alert alert_n(int n)
{
    static const char *const names[] = {"Zero", "One", "Two", "Three", "Four", "Five"};
    return alert_made(names[n], names[n]);
}

static void expect(int64_t id, const char *kind, const char *delivery)
{
    char number[24];
    const cJSON *e = next_event(&b);
    snprintf(number, sizeof number, "%lld", (long long)id);
    assert_string_equal(meta_value(e, "kind"), kind);
    assert_string_equal(meta_value(e, "incident_id"), number);
    assert_string_equal(meta_value(e, "delivery"), delivery);
}

static void expect_nothing(void)
{
    if (events_waiting(&b))
        fail_msg("came unasked: %.300s", buf_cstr(&b.mcp.lines));
}

// ---- the start of a session ----

static void test_nothing_before_the_session(void **state)
{
    (void)state;
    arrive(&b, alert_n(0));
    begin(&b);
    pass(&b, 30 * SECOND);
    arrive(&b, alert_n(1));
    assert_false(delivery_attached(b.delivery));
    expect_nothing();
}

static void test_time_of_the_first_push(void **state)
{
    (void)state;
    arrive(&b, alert_n(0));
    begin(&b);
    pass(&b, 5 * SECOND);
    delivery_session_ready(b.delivery);
    arrive(&b, alert_n(1));
    pass(&b, 200); // the client has not registered its listener yet
    arrive(&b, alert_n(2));
    expect_nothing();
    pass(&b, 1800);
    assert_true(events_waiting(&b) > 0);
}

static void test_nothing_waits(void **state)
{
    (void)state;
    attach(&b);
    pass(&b, MINUTE);
    expect_nothing();
}

static void test_what_waits_is_one_digest(void **state)
{
    (void)state;
    struct alert press = alert_n(5);
    press.test = true;
    int64_t fresh = arrive(&b, alert_n(0)), taken = arrive(&b, alert_n(1)),
            decided = arrive(&b, alert_n(2)), over = arrive(&b, alert_n(3));
    arrive(&b, press);
    assert_int_equal(incident_taken(b.t.store, &b.t.config, taken, clock_wall_ms()), 0);
    decide(&b.t, decided, VERDICT_REAL, clock_wall_ms());
    take_end(&b.t, clock_wall_ms(), alert_n(2)); // nobody was there to be told
    take_end(&b.t, clock_wall_ms(), alert_n(3)); // over, and yet undecided
    pass(&b, SECOND);
    attach(&b);
    const cJSON *e = next_event(&b);
    assert_string_equal(meta_value(e, "kind"), "digest");
    assert_string_equal(meta_value(e, "incidents"), "3");
    assert_non_null(strstr(content_of(e), "Zero"));
    assert_non_null(strstr(content_of(e), "One"));
    assert_non_null(strstr(content_of(e), "Three"));
    assert_null(strstr(content_of(e), "Two"));
    assert_int_equal(STATE_OF(&b, fresh), STATE_PUSHED);
    assert_int_equal(STATE_OF(&b, taken), STATE_PUSHED); // by a session that is gone
    assert_int_equal(STATE_OF(&b, over), STATE_PUSHED);
    assert_int_equal(STATE_OF(&b, decided), STATE_DECIDED);
    assert_int_equal(DELIVERIES_OF(&b, fresh), 1);
    assert_int_equal(DELIVERIES_OF(&b, decided), 0);
    next_event(&b); // the test, which always shows
    expect_nothing();

    pass(&b, 297 * SECOND);
    expect_nothing(); // nothing twice within SRE_TAKE_SECONDS
    pass(&b, 5 * SECOND);
    assert_int_equal(events_waiting(&b), 3);
    expect(fresh, "alert", "2"); // the digest was the first
    next_event(&b);
    next_event(&b);
}

static void test_every_session_gets_its_digest(void **state)
{
    (void)state;
    int64_t id = arrive(&b, alert_n(0));
    pass(&b, SECOND);
    for (int session = 0; session < 3; session++) {
        attach(&b);
        assert_string_equal(meta_value(next_event(&b), "kind"), "digest");
        pass(&b, 300 * SECOND);
        expect(id, "alert", "2");
        pass(&b, 301 * SECOND);
        expect(id, "alert", "3");
        pass(&b, 320 * SECOND);
        expect_nothing();
        detach(&b);
        pass(&b, SECOND);
    }
}

static void test_digest_after_the_clock_was_set_back(void **state)
{
    (void)state;
    int64_t id = arrive(&b, alert_n(0));
    attach(&b);
    next_event(&b);
    pass(&b, 601 * SECOND); // it was pushed three times: nothing is due
    detach(&b);
    buf_clear(&b.mcp.lines);
    assert_int_equal(DUE_OF(&b, id), -1);
    fake_wall_shift_ms = -3600 * SECOND;
    pass(&b, SECOND);
    attach(&b);
    assert_int_equal(events_waiting(&b), 1);
    assert_string_equal(meta_value(next_event(&b), "kind"), "digest");
}

static void test_what_comes_during_the_start_is_pushed_as_usual(void **state)
{
    (void)state;
    int64_t old = arrive(&b, alert_n(0));
    pass(&b, SECOND);
    begin(&b);
    pass(&b, 100);
    int64_t young = arrive(&b, alert_n(1));
    delivery_session_ready(b.delivery);
    pass(&b, 2 * SECOND);
    const cJSON *e = next_event(&b);
    assert_string_equal(meta_value(e, "kind"), "digest");
    assert_string_equal(meta_value(e, "incidents"), "1");
    assert_non_null(strstr(content_of(e), "Zero"));
    expect(young, "alert", "1");
    expect_nothing();
    assert_int_equal(STATE_OF(&b, old), STATE_PUSHED);
}

// ---- the life of one incident ----

static void test_pushed_at_once(void **state)
{
    (void)state;
    attach(&b);
    int64_t id = arrive(&b, alert_n(0));
    expect(id, "alert", "1");
    expect_nothing();
    assert_int_equal(STATE_OF(&b, id), STATE_PUSHED);
    assert_int_equal(DELIVERIES_OF(&b, id), 1);
    assert_int_equal(incident_int(&b, "SELECT pushed_at FROM incident WHERE id = ?", id),
                     clock_wall_ms());
    assert_string_equal(
        ask_text(b.t.store, "SELECT actor || ' ' || action || ' ' || detail FROM trail"),
        "channel pushed delivery 1");
}

// Without a wake, by its own timer: another process of this store may have taken the alert in.
static void test_found_within_two_seconds(void **state)
{
    (void)state;
    attach(&b);
    int64_t id = take_alert(&b.t, clock_wall_ms(), alert_n(0));
    pass(&b, 2 * SECOND);
    expect(id, "alert", "1");
}

static void test_redelivery(void **state)
{
    (void)state;
    attach(&b);
    int64_t id = arrive(&b, alert_n(0));
    expect(id, "alert", "1");
    pass(&b, 299 * SECOND);
    for (int i = 0; i < 10; i++)
        delivery_wake(b.delivery);
    expect_nothing();
    pass(&b, 3 * SECOND);
    expect(id, "alert", "2");
    pass(&b, 297 * SECOND);
    expect_nothing();
    pass(&b, 5 * SECOND);
    expect(id, "alert", "3");
    pass(&b, 700 * SECOND);
    expect_nothing(); // the owner hears of it now
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM page"), 1);
    assert_int_equal(DELIVERIES_OF(&b, id), 3);
    assert_int_equal(STATE_OF(&b, id), STATE_PUSHED);
}

static void test_redelivery_is_off(void **state)
{
    (void)state;
    b.t.config.take_s = 0;
    attach(&b);
    expect(arrive(&b, alert_n(0)), "alert", "1");
    pass(&b, 800 * SECOND);
    expect_nothing();
}

static void test_redelivery_does_not_mind_the_wall_clock(void **state)
{
    (void)state;
    attach(&b);
    int64_t id = arrive(&b, alert_n(0));
    expect(id, "alert", "1");
    fake_wall_shift_ms = -3600 * SECOND;
    pass(&b, 298 * SECOND);
    expect_nothing();
    pass(&b, 4 * SECOND);
    expect(id, "alert", "2");
    fake_wall_shift_ms = 3600 * SECOND;
    pass(&b, 290 * SECOND);
    expect_nothing();
}

static void test_taken_then_reminded_once(void **state)
{
    (void)state;
    attach(&b);
    int64_t id = arrive(&b, alert_n(0));
    expect(id, "alert", "1");
    assert_int_equal(incident_taken(b.t.store, &b.t.config, id, clock_wall_ms()), 0);
    pass(&b, 898 * SECOND);
    expect_nothing();
    pass(&b, 4 * SECOND);
    expect(id, "reminder", "1");
    assert_int_equal(STATE_OF(&b, id), STATE_TAKEN);
    assert_int_equal(DELIVERIES_OF(&b, id), 2);
    pass(&b, 890 * SECOND);
    expect_nothing();
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM page"), 0);
    pass(&b, 20 * SECOND);
    expect_nothing();
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM page"), 1); // at twice that
}

static void test_decided_is_quiet(void **state)
{
    (void)state;
    attach(&b);
    int64_t id = arrive(&b, alert_n(0));
    expect(id, "alert", "1");
    decide(&b.t, id, VERDICT_NOISE, clock_wall_ms());
    arrive(&b, alert_n(0));
    take_end(&b.t, clock_wall_ms(), alert_n(0));
    pass(&b, 1000 * SECOND);
    expect_nothing();
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM page"), 0);
}

static void test_resolution_is_told_once(void **state)
{
    (void)state;
    attach(&b);
    int64_t id = arrive(&b, alert_n(0));
    expect(id, "alert", "1");
    decide(&b.t, id, VERDICT_REAL, clock_wall_ms());
    take_end(&b.t, clock_wall_ms(), alert_n(0));
    delivery_wake(b.delivery);
    const cJSON *e = next_event(&b);
    assert_string_equal(meta_value(e, "kind"), "resolved");
    assert_string_equal(meta_value(e, "status"), "resolved");
    assert_string_equal(meta_value(e, "last_verdict"), "real");
    pass(&b, 1000 * SECOND);
    expect_nothing();
    assert_int_equal(STATE_OF(&b, id), STATE_DECIDED);
}

static void test_button_shows_once(void **state)
{
    (void)state;
    struct alert press = alert_n(0);
    press.test = true;
    attach(&b);
    int64_t one = arrive(&b, press), two = arrive(&b, press);
    expect(one, "test", "1");
    expect(two, "test", "1");
    pass(&b, 1000 * SECOND);
    expect_nothing();
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM page"), 0);
}

static void test_asks_again(void **state)
{
    (void)state;
    struct alert worse = alert_n(0);
    worse.fingerprint = "worse";
    worse.severity = SEVERITY_CRITICAL;
    attach(&b);
    int64_t id = arrive(&b, alert_n(0));
    expect(id, "alert", "1");
    arrive(&b, worse);
    const cJSON *e = next_event(&b);
    assert_string_equal(meta_value(e, "delivery"), "1"); // another question
    assert_string_equal(meta_value(e, "severity"), "critical");
    assert_non_null(strstr(content_of(e), "severity rose to critical"));
    assert_int_equal(DELIVERIES_OF(&b, id), 2);
}

// ---- what goes wrong ----

static void test_client_that_reads_too_slowly(void **state)
{
    (void)state;
    attach(&b);
    int64_t decided = arrive(&b, alert_n(1)), taken = arrive(&b, alert_n(2));
    expect(decided, "alert", "1");
    expect(taken, "alert", "1");
    decide(&b.t, decided, VERDICT_REAL, clock_wall_ms());
    assert_int_equal(incident_taken(b.t.store, &b.t.config, taken, clock_wall_ms()), 0);
    pass(&b, 899 * SECOND);
    b.mcp.sink_error = -ENOBUFS;
    int64_t id = arrive(&b, alert_n(0));
    pass(&b, 2 * SECOND);
    take_end(&b.t, clock_wall_ms(), alert_n(1));
    pass(&b, 20 * SECOND);
    expect_nothing();
    b.mcp.sink_error = 0;
    pass(&b, 3 * SECOND);
    assert_int_equal(events_waiting(&b), 3);
    int seen = 0;
    for (int i = 0; i < 3; i++) {
        const cJSON *e = next_event(&b);
        const char *kind = meta_value(e, "kind");
        seen |= strcmp(kind, "resolved") == 0 ? 1 : strcmp(kind, "reminder") == 0 ? 2 : 4;
        assert_string_equal(meta_value(e, "delivery"), "1"); // none of them counted before
    }
    assert_int_equal(seen, 7);
    assert_int_equal(DELIVERIES_OF(&b, id), 1);
    assert_int_equal(DELIVERIES_OF(&b, decided), 2);
    assert_int_equal(DELIVERIES_OF(&b, taken), 2);
    assert_int_equal(STATE_OF(&b, decided), STATE_DECIDED); // its question is not open again
    assert_int_equal(STATE_OF(&b, taken), STATE_TAKEN);
    decide(&b.t, id, VERDICT_NOISE, clock_wall_ms());
    decide(&b.t, taken, VERDICT_NOISE, clock_wall_ms());
    pass(&b, 1000 * SECOND);
    expect_nothing();
}

static void test_slow_client_at_the_start(void **state)
{
    (void)state;
    int64_t id = arrive(&b, alert_n(0));
    run_sql(b.t.store, "UPDATE incident SET paged_at = 1");
    pass(&b, SECOND);
    b.mcp.sink_error = -ENOBUFS;
    attach(&b);
    b.mcp.sink_error = 0;
    pass(&b, 3 * SECOND);
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM page"),
                     1); // "the agent is back", once
    assert_string_equal(meta_value(next_event(&b), "kind"), "digest");
    pass(&b, 290 * SECOND);
    expect_nothing();
    pass(&b, 12 * SECOND);
    expect(id, "alert", "2");
}

static rlim_t file_limit(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    rlim_t old = limit.rlim_cur;
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    return old;
}

// What is committed must reach the session though the disk is full now, and only once.
static void test_store_that_cannot_be_written(void **state)
{
    (void)state;
    struct stat wal;
    signal(SIGXFSZ, SIG_IGN);
    attach(&b);
    int64_t id = take_alert(&b.t, clock_wall_ms(), alert_n(0));
    assert_int_equal(stat(temp_path(b.t.dir, "incidents.db-wal"), &wal), 0);
    log_capture_begin();
    rlim_t old = file_limit((rlim_t)wal.st_size);
    delivery_wake(b.delivery);
    size_t first = events_waiting(&b);
    pass(&b, 30 * SECOND);
    file_limit(old);
    log_capture_end();
    assert_int_equal(first, 1);
    expect(id, "alert", "1");
    expect_nothing();
    assert_int_equal(DELIVERIES_OF(&b, id), 0); // nobody could note it
    pass(&b, 10 * SECOND);
    expect_nothing();
    assert_int_equal(DELIVERIES_OF(&b, id), 1);
    assert_int_equal(STATE_OF(&b, id), STATE_PUSHED);
    pass(&b, 302 * SECOND);
    expect(id, "alert", "2");
}

// Another process's lock passes: nothing is sent that was not noted.
static void test_locked_store(void **state)
{
    (void)state;
    struct store *other = NULL;
    attach(&b);
    assert_int_equal(store_open(b.t.dir, false, &other), 0);
    int64_t id = take_alert(&b.t, clock_wall_ms(), alert_n(0));
    assert_int_equal(store_begin(other), 0);
    delivery_wake(b.delivery);
    pass(&b, 5 * SECOND);
    expect_nothing();
    store_rollback(other);
    store_close(other);
    pass(&b, 2 * SECOND);
    expect(id, "alert", "1");
}

static int never_ends(struct commit_job *job, struct store *s)
{
    (void)job, (void)s;
    return 1;
}

static void ended(struct commit_job *job, int error)
{
    (void)job, (void)error;
}

// A notification is told whole; but a load that never ends keeps nothing from the session.
static void test_more_is_coming_in(void **state)
{
    (void)state;
    static struct commit_job job = {.apply = never_ends, .done = ended};
    attach(&b);
    group_commit_submit(b.commit, &job, 60 * MINUTE);
    int64_t id = arrive(&b, alert_n(0));
    pass(&b, 500);
    expect_nothing();
    pass(&b, 3 * SECOND);
    expect(id, "alert", "1");
}

// ---- whose turn it is ----

// Another process that holds the lease, until it is killed.
static pid_t holder(void)
{
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *s = NULL;
        if (store_open(b.t.dir, false, &s) < 0 || lease_beat(s, LEASE_SESSION) != 1 ||
            write(ready[1], "r", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

static void test_second_session_only_serves_tools(void **state)
{
    (void)state;
    pid_t other = holder();
    begin(&b);
    delivery_session_ready(b.delivery);
    int64_t id = arrive(&b, alert_n(0));
    pass(&b, 4 * SECOND);
    assert_false(delivery_attached(b.delivery));
    expect_nothing();
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    pass(&b, 4 * SECOND);
    assert_true(delivery_attached(b.delivery));
    assert_string_equal(meta_value(next_event(&b), "kind"), "digest"); // all that the holder left
    expect_nothing();
    assert_int_equal(STATE_OF(&b, id), STATE_PUSHED);
}

static void test_lease_is_kept_and_given_back(void **state)
{
    (void)state;
    struct lease_info info;
    attach(&b);
    for (int i = 0; i < 10; i++) {
        pass(&b, 3 * SECOND);
        assert_int_equal(lease_read(b.t.store, LEASE_SESSION, &info), 0);
        assert_true(info.fresh && info.age_ms <= LEASE_BEAT_MS + 1000);
    }
    detach(&b);
    assert_int_equal(lease_read(b.t.store, LEASE_SESSION, &info), 0);
    assert_false(info.fresh);
}

static void test_standby_watches_and_never_pushes(void **state)
{
    (void)state;
    struct lease_info info;
    assert_int_equal(delivery_new(&b.loop, b.t.store, b.commit, &b.t.config, NULL, &b.delivery), 0);
    arrive(&b, alert_n(0));
    pass(&b, 903 * SECOND);
    assert_false(delivery_attached(b.delivery));
    assert_int_equal(ask_int(b.t.store, "SELECT count(*) FROM page"), 1);
    assert_int_equal(lease_read(b.t.store, LEASE_STANDBY, &info), 0);
    assert_true(info.fresh);
    assert_int_equal(lease_read(b.t.store, LEASE_SESSION, &info), 0);
    assert_false(info.fresh);
    delivery_close(b.delivery);
    b.delivery = NULL;
    assert_int_equal(lease_read(b.t.store, LEASE_STANDBY, &info), 0);
    assert_false(info.fresh);
}

static void test_stale_is_swept(void **state)
{
    (void)state;
    attach(&b);
    int64_t id = arrive(&b, alert_n(0));
    run_sql(b.t.store, "UPDATE incident SET last_seen_at = last_seen_at - 604800001, state = 3, "
                       "verdict = 4, due_at = NULL");
    next_event(&b);
    pass(&b, 62 * SECOND);
    assert_int_equal(incident_int(&b, "SELECT status FROM incident WHERE id = ?", id),
                     STATUS_STALE);
    expect_nothing();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_nothing_before_the_session),
        T(test_time_of_the_first_push),
        T(test_nothing_waits),
        T(test_what_waits_is_one_digest),
        T(test_every_session_gets_its_digest),
        T(test_digest_after_the_clock_was_set_back),
        T(test_what_comes_during_the_start_is_pushed_as_usual),
        T(test_pushed_at_once),
        T(test_found_within_two_seconds),
        T(test_redelivery),
        T(test_redelivery_is_off),
        T(test_redelivery_does_not_mind_the_wall_clock),
        T(test_taken_then_reminded_once),
        T(test_decided_is_quiet),
        T(test_resolution_is_told_once),
        T(test_button_shows_once),
        T(test_asks_again),
        T(test_client_that_reads_too_slowly),
        T(test_slow_client_at_the_start),
        T(test_store_that_cannot_be_written),
        T(test_locked_store),
        T(test_more_is_coming_in),
        T(test_second_session_only_serves_tools),
        T(test_lease_is_kept_and_given_back),
        T(test_standby_watches_and_never_pushes),
        T(test_stale_is_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
