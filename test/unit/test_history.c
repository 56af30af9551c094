#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/webhook/history.h"
#include "test/support/temp_store.h"

#include "test/support/alert_maker.h"

#define T0 1700000000000
#define DAY (86400ll * 1000)

static struct temp_store t;

static int setup(void **state)
{
    (void)state;
    temp_store_open(&t);
    t.config.flap_s = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_store_close(&t);
    return 0;
}

// One episode that is over.
static int64_t episode(int64_t at, enum verdict verdict, const char *cluster)
{
    struct alert a = alert_made("Slow", cluster);
    a.cluster = cluster;
    int64_t id = take_alert(&t, at, a);
    if (verdict)
        decide(&t, id, verdict, at + 1);
    take_end(&t, at + 2, a);
    return id;
}

static struct history read_of(int64_t but_id, int64_t since)
{
    struct history h;
    assert_int_equal(history_read(t.store, 1, but_id, since, &h), 0);
    return h;
}

static const char *line_of(const struct history *h)
{
    static char text[1024];
    struct buf b = BUF_INIT(sizeof text);
    assert_int_equal(history_line(t.store, h, &b), 0);
    snprintf(text, sizeof text, "%s", buf_cstr(&b));
    buf_done(&b);
    return text;
}

static void test_first_time(void **state)
{
    (void)state;
    int64_t id = episode(T0, VERDICT_REAL, "a");
    struct history h = read_of(id, T0 - 7 * DAY);
    assert_int_equal(h.seen + h.noise + h.real + h.last_id, 0);
    assert_int_equal(h.last_verdict, VERDICT_NONE);
    assert_string_equal(line_of(&h), "first time in 7 days");
}

static void test_counts(void **state)
{
    (void)state;
    struct alert press = alert_made("Slow", "a");
    press.cluster = "a";
    press.test = true;
    episode(T0 - 20 * DAY, VERDICT_REAL, "a"); // before the window
    episode(T0 - 3 * DAY, VERDICT_NOISE, "a");
    episode(T0 - 2 * DAY, VERDICT_NONE, "a");
    int64_t last = episode(T0 - DAY, VERDICT_AUTO_FIXED, "a");
    decide(&t, take_alert(&t, T0, press), VERDICT_ESCALATED, T0);
    int64_t id = episode(T0, VERDICT_NOISE, "a");
    struct history h = read_of(id, T0 - 7 * DAY);
    assert_int_equal(h.seen, 3);
    assert_int_equal(h.noise, 1);
    assert_int_equal(h.real, 1);
    assert_int_equal(h.last_verdict, VERDICT_AUTO_FIXED);
    assert_int_equal(h.last_id, last);
    assert_memory_equal(line_of(&h), "3x in 7 days, 1 noise, 1 real", 29);
    assert_non_null(strstr(line_of(&h), "; last: auto_fixed, said so"));

    h = read_of(last, T0 - 7 * DAY); // another one at hand: this one counts
    assert_int_equal(h.seen, 3);
    assert_int_equal(h.noise, 2);
    assert_int_equal(h.real, 0);
    assert_int_equal(h.last_verdict, VERDICT_NOISE);
}

static void test_the_last_verdict_may_be_old(void **state)
{
    (void)state;
    episode(T0 - 300 * DAY, VERDICT_ESCALATED, "a");
    int64_t id = episode(T0, VERDICT_NONE, "a");
    struct history h = read_of(id, T0 - 7 * DAY);
    assert_int_equal(h.seen, 0);
    assert_int_equal(h.last_verdict, VERDICT_ESCALATED);
    assert_string_equal(line_of(&h), "first time in 7 days; last: escalated, said so");
}

static void test_a_verdict_that_changed(void **state)
{
    (void)state;
    int64_t old = episode(T0 - DAY, VERDICT_NOISE, "a"), id = episode(T0, VERDICT_NONE, "a");
    assert_non_null(
        strstr(line_of(&(struct history){.seen = 1, .noise = 1, .problem_id = 1}), "always noise"));
    decide(&t, old, VERDICT_REAL, T0);
    struct history h = read_of(id, T0 - 7 * DAY);
    assert_int_equal(h.noise, 0);
    assert_int_equal(h.real, 1);
    assert_int_equal(h.last_verdict, VERDICT_REAL);
}

static void test_elsewhere(void **state)
{
    (void)state;
    struct similar s[4];
    int n = -1;
    int64_t id = episode(T0, VERDICT_NONE, "a");
    episode(T0 - 2 * DAY, VERDICT_NOISE, "b");
    int64_t youngest = episode(T0 - DAY, VERDICT_REAL, "c");
    episode(T0 - 30 * DAY, VERDICT_REAL, "d"); // before the window
    assert_int_equal(history_similar(t.store, 1, T0 - 7 * DAY, 4, s, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(s[0].last_id, youngest); // the latest first
    assert_int_equal(s[0].seen, 1);
    assert_int_equal(s[0].last_verdict, VERDICT_REAL);
    assert_int_equal(s[1].noise, 1);
    assert_int_equal(history_similar(t.store, 1, T0 - 7 * DAY, 1, s, &n), 0);
    assert_int_equal(n, 1);
    struct history h = read_of(id, T0 - 7 * DAY);
    assert_int_equal(h.seen, 0); // they are other problems
    assert_non_null(strstr(line_of(&h), "also on c"));
}

static void test_hostile_summary(void **state)
{
    (void)state;
    char words[1000];
    memset(words, 'w', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    memcpy(words, "a\nb\x1b[1m", 7);
    struct verdict_note note = {.verdict = VERDICT_REAL,
                                .summary = words,
                                .root_cause = "",
                                .action = "",
                                .by = "agent",
                                .confidence = -1};
    int64_t old = episode(T0 - DAY, VERDICT_NONE, "a");
    assert_int_equal(incident_decide(t.store, old, &note, T0), 0);
    struct history h = read_of(episode(T0, VERDICT_NONE, "a"), T0 - 7 * DAY);
    const char *line = line_of(&h);
    assert_null(strchr(line, '\n'));
    assert_null(strchr(line, '\x1b'));
    assert_true(strlen(line) < 300);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_first_time),
        T(test_counts),
        T(test_the_last_verdict_may_be_old),
        T(test_a_verdict_that_changed),
        T(test_elsewhere),
        T(test_hostile_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
