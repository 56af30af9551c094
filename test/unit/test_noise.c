// The brakes of known noise, one by one, and what it does to an incident that comes in.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "channels/webhook/noise.h"
#include "channels/webhook/proposal_store.h"
#include "channels/webhook/view.h"
#include "common/clock.h"
#include "test/support/temp_store.h"

#include "test/support/alert_maker.h"

#define T0 1700000000000 // wall ms
#define HOUR (3600 * 1000ll)
#define DAY (24 * HOUR)

static struct temp_store t;
static int64_t now; // of the next firing: an hour after the last

static int setup(void **state)
{
    (void)state;
    temp_store_open(&t);
    now = T0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_store_close(&t);
    return 0;
}

static struct alert noisy(void)
{
    struct alert a = alert_made("High Latency", "f1");
    a.cluster = "dev-eu";
    return a;
}

static struct alert in_prod(void)
{
    struct alert a = noisy();
    a.cluster = "platform-prod";
    return a;
}

// Fires and ends; the incident's id.
static int64_t fire(struct alert a)
{
    now += HOUR;
    int64_t id = take_alert(&t, now, a);
    take_end(&t, now + 60000, a);
    return id;
}

static int64_t fire_and_decide(struct alert a, enum verdict verdict)
{
    int64_t id = fire(a);
    decide(&t, id, verdict, now + 120000);
    return id;
}

static void make_noise(struct alert a, int n)
{
    for (int i = 0; i < n; i++)
        fire_and_decide(a, VERDICT_NOISE);
}

static bool is_folded(int64_t id)
{
    bool folded = ask_int_with(t.store, "SELECT folded FROM incident WHERE id = ?", id) == 1;
    bool decided =
        ask_int_with(
            t.store,
            "SELECT state = 3 AND verdict IS 1 AND due_at IS NULL FROM incident WHERE id = ?",
            id) == 1;
    bool by_memory =
        ask_int_with(t.store,
                     "SELECT count(*) FROM verdict WHERE incident_id = ? AND by = 'memory'",
                     id) > 0;
    bool waits = ask_int_with(t.store, "SELECT state = 0 AND due_at = 0 FROM incident WHERE id = ?",
                              id) == 1;
    assert_true(folded == decided);
    assert_true(!folded || by_memory);
    assert_true(folded || waits);
    return folded;
}

static void test_three_noise_verdicts(void **state)
{
    (void)state;
    for (int i = 0; i < NOISE_MIN_VERDICTS; i++) {
        int64_t id = fire(noisy());
        assert_false(is_folded(id));
        decide(&t, id, VERDICT_NOISE, now);
    }
    int64_t id = fire(noisy());
    assert_true(is_folded(id));
    assert_int_equal(ask_int_with(t.store,
                                  "SELECT count(*) FROM trail WHERE incident_id = ? AND actor = "
                                  "'memory' AND action = 'verdict'",
                                  id),
                     1);
}

static void test_many_verdicts_on_one_incident_are_one(void **state)
{
    (void)state;
    int64_t id = fire(noisy());
    for (int i = 0; i < 5; i++)
        decide(&t, id, VERDICT_NOISE, now);
    assert_false(is_folded(fire(noisy())));
}

static void test_undecided_is_no_evidence(void **state)
{
    (void)state;
    make_noise(noisy(), 2);
    fire(noisy());
    assert_false(is_folded(fire(noisy())));
}

static void test_tests_are_no_evidence(void **state)
{
    (void)state;
    struct alert a = noisy();
    a.test = true;
    make_noise(noisy(), 2);
    make_noise(a, 3);
    assert_false(is_folded(fire(noisy())));
}

static void test_anything_else_ends_it(void **state)
{
    (void)state;
    for (int v = VERDICT_AUTO_FIXED; v <= VERDICT_UNSURE; v++) {
        struct alert a = noisy();
        char service[16];
        snprintf(service, sizeof service, "s%d", v);
        a.service = a.fingerprint = service;
        make_noise(a, 3);
        fire_and_decide(a, (enum verdict)v);
        assert_false(is_folded(fire(a)));
        make_noise(a, 3); // not even after as many again
        assert_false(is_folded(fire(a)));
    }
}

static void test_the_last_verdict_counts(void **state)
{
    (void)state;
    make_noise(noisy(), 3);
    int64_t id = fire(noisy());
    assert_true(is_folded(id));
    decide(&t, id, VERDICT_REAL, now);
    assert_false(is_folded(fire(noisy())));
    decide(&t, id, VERDICT_NOISE, now);
    assert_true(is_folded(fire(noisy())));
}

static void test_another_problem_is_another(void **state)
{
    (void)state;
    struct alert a[4] = {noisy(), noisy(), noisy(), noisy()};
    make_noise(noisy(), 3);
    a[0].alertname = "Other";
    a[1].cluster = "dev-us";
    a[2].namespace = "other";
    a[3].service = "other";
    for (size_t i = 0; i < ARRAY_LEN(a); i++) {
        a[i].fingerprint = "another";
        assert_false(is_folded(fire(a[i])));
    }
}

static void test_never_critical(void **state)
{
    (void)state;
    struct alert a = noisy();
    make_noise(a, 3);
    a.severity = SEVERITY_CRITICAL;
    assert_false(is_folded(fire(a)));
    a.severity = SEVERITY_ERROR;
    assert_true(is_folded(fire(a)));
}

static void test_expires(void **state)
{
    (void)state;
    make_noise(noisy(), 3); // the first at T0 + 1 h
    now = T0 + HOUR + NOISE_DAYS * DAY - HOUR - 60000;
    assert_true(is_folded(fire(noisy()))); // the last minute
    now += HOUR;
    assert_false(is_folded(fire(noisy())));
}

// 13 days later the memory itself has said noise often enough, which is nothing; and so is a yes to
// what it said.
static void test_memory_is_no_evidence(void **state)
{
    (void)state;
    make_noise(noisy(), 3);
    now = T0 + 13 * DAY;
    for (int i = 0; i < 5; i++) {
        int64_t id = fire(noisy());
        assert_true(is_folded(id));
        if (i % 2)
            decide(&t, id, VERDICT_NOISE, now);
    }
    now = T0 + 15 * DAY;
    assert_false(is_folded(fire(noisy())));
}

static void test_a_real_look_is_evidence(void **state)
{
    (void)state;
    make_noise(noisy(), 3);
    for (int i = 1; i <= 30; i++) {
        int64_t id = fire(noisy());
        assert_int_equal(is_folded(id), i % NOISE_LOOK_EVERY != 0);
        if (i % NOISE_LOOK_EVERY == 0) {
            assert_string_equal(
                ask_text(t.store, "SELECT ask FROM incident ORDER BY id DESC LIMIT 1"),
                "a real look is due: the last 9 were dismissed unseen as known noise");
            decide(&t, id, VERDICT_NOISE, now);
        }
    }
    run_sql(t.store, "UPDATE incident SET decided_at = decided_at - 1296000000 WHERE id <= 3");
    assert_true(is_folded(fire(noisy())));
}

// ---- prod ----

static int64_t propose(int64_t problem_id)
{
    char unit[] = "u", title[] = "t", body[] = "\"a\":1", text[] = "t\n", name[] = "High Latency",
         cluster[] = "platform-prod", family[] = "";
    struct proposal_draft d = {.kind = PROPOSAL_KNOWN_NOISE,
                               .scope = SCOPE_PROBLEM,
                               .problem_id = problem_id,
                               .noise = 3,
                               .unit = unit,
                               .title = title,
                               .body = body,
                               .text = text,
                               .alertname = name,
                               .cluster = cluster,
                               .family = family};
    assert_int_equal(proposal_save(t.store, &d, now), 0);
    return d.id;
}

static void answer(int64_t id, enum proposal_decision decision)
{
    assert_int_equal(proposal_decide(t.store, id, decision, "agent", "Ana said so", now), 0);
}

static void test_prod_needs_the_owner(void **state)
{
    (void)state;
    make_noise(in_prod(), 4);
    assert_false(is_folded(fire(in_prod())));
    int64_t problem = ask_int(t.store, "SELECT id FROM problem"), id = propose(problem);
    assert_false(is_folded(fire(in_prod())));
    answer(id, DECISION_ACCEPTED);
    assert_true(is_folded(fire(in_prod())));
    answer(id, DECISION_REJECTED); // a word taken back
    assert_false(is_folded(fire(in_prod())));
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM trail WHERE action = 'proposal' AND "
                                      "actor = 'agent' AND detail LIKE '%Ana said so'"),
                     2);
}

static void test_a_yes_is_for_one_problem(void **state)
{
    (void)state;
    struct alert other = in_prod();
    other.service = other.fingerprint = "other";
    make_noise(in_prod(), 3);
    make_noise(other, 3);
    answer(propose(ask_int(t.store, "SELECT min(id) FROM problem")), DECISION_ACCEPTED);
    assert_true(is_folded(fire(in_prod())));
    assert_false(is_folded(fire(other)));
}

static void test_a_yes_expires(void **state)
{
    (void)state;
    make_noise(in_prod(), 3);
    answer(propose(ask_int(t.store, "SELECT id FROM problem")), DECISION_ACCEPTED);
    run_sql(t.store, "UPDATE proposal SET decided_at = decided_at - 1296000000");
    assert_false(is_folded(fire(in_prod())));
}

static void test_known_noise_is_not_applied(void **state)
{
    (void)state;
    make_noise(in_prod(), 3);
    int64_t id = propose(ask_int(t.store, "SELECT id FROM problem"));
    assert_int_equal(proposal_decide(t.store, id, DECISION_APPLIED, "agent", "", now), -EINVAL);
    assert_int_equal(proposal_decide(t.store, id + 1, DECISION_ACCEPTED, "agent", "", now),
                     -ENOENT);
}

// ---- more alerts of a folded incident ----

static int64_t fold_one(void)
{
    make_noise(noisy(), 3);
    now += HOUR;
    int64_t id = take_alert(&t, now, noisy());
    assert_true(is_folded(id));
    return id;
}

static struct alert member(const char *fingerprint)
{
    struct alert a = noisy();
    a.fingerprint = fingerprint;
    return a;
}

static void test_members_join_silently(void **state)
{
    (void)state;
    int64_t id = fold_one();
    assert_int_equal(take_alert(&t, now, member("f2")), id);
    assert_int_equal(take_alert(&t, now, member("f3")), id);
    assert_true(is_folded(id));
    assert_int_equal(ask_int(t.store, "SELECT folds FROM problem"),
                     1); // one firing, however many alerts
}

static void test_a_worse_member_asks(void **state)
{
    (void)state;
    int64_t id = fold_one();
    struct alert worse = member("f2");
    worse.severity = SEVERITY_ERROR;
    assert_int_equal(take_alert(&t, now, worse), id);
    assert_false(is_folded(id));
    assert_int_equal(ask_int_with(t.store, "SELECT verdict IS NULL FROM incident WHERE id = ?", id),
                     1);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM noise_fold"), 0);
}

static void test_a_member_after_the_end_of_it_asks(void **state)
{
    (void)state;
    int64_t id = fold_one();
    run_sql(
        t.store,
        "UPDATE incident SET verdict = 4 WHERE id = 1"); // somebody looked again at an earlier one
    assert_int_equal(take_alert(&t, now, member("f2")), id);
    assert_false(is_folded(id));
}

static void test_flaps_count(void **state)
{
    (void)state;
    int64_t id = fold_one();
    for (int i = 2; i <= NOISE_LOOK_EVERY; i++) {
        take_end(&t, now += 1000, noisy());
        assert_int_equal(take_alert(&t, now += 1000, noisy()), id);
        assert_int_equal(is_folded(id), i < NOISE_LOOK_EVERY);
    }
}

// ---- the digest ----

static void test_lines(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(8192);
    int64_t n = -1;
    assert_int_equal(noise_lines(t.store, &out, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(out.len, 0);
    assert_false(noise_waits(t.store));
    struct alert other = noisy();
    other.service = other.fingerprint = "other";
    make_noise(noisy(), 3);
    make_noise(other, 3);
    fire(other);
    for (int i = 0; i < 3; i++)
        fire(noisy());
    assert_true(noise_waits(t.store));
    assert_int_equal(noise_lines(t.store, &out, &n), 0);
    assert_int_equal(n, 4);
    assert_string_equal(buf_cstr(&out),
                        "4 known-noise incidents folded: 3x High Latency on checkout (dev-eu) #10, "
                        "1x High Latency on other (dev-eu) #7\n"
                        "the memory has logged them as noise: nothing to do or to log, unless one "
                        "looks real to you");
    assert_int_equal(noise_told(t.store, now), 0); // all but the last
    buf_clear(&out);
    assert_int_equal(noise_lines(t.store, &out, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(noise_told(t.store, INT64_MAX), 0);
    assert_false(noise_waits(t.store));
    buf_done(&out);
}

// However long the history, each question walks one range of an index.
static void test_index(void **state)
{
    (void)state;
    static const char *const plans[] = {
        "EXPLAIN QUERY PLAN SELECT 1 FROM incident WHERE problem_id = ? AND verdict IN (2, 3, 4, "
        "5) AND folded IN (0, 1)"
        " AND decided_at >= ? AND kind = 0 LIMIT 1",
        "EXPLAIN QUERY PLAN SELECT 1 FROM incident WHERE problem_id = ? AND verdict = 1 AND folded "
        "= 0 AND decided_at >= ?"
        " AND kind = 0 AND id <> ? LIMIT 1 OFFSET ?"};
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        struct stmt *q = store_sql(t.store, plans[i]);
        assert_int_equal(stmt_step(q), 1);
        assert_non_null(strstr(col_text(q, 3), "incident_evidence"));
        assert_non_null(strstr(col_text(q, 3), "decided_at>?"));
        stmt_reset(q);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_three_noise_verdicts),
        T(test_many_verdicts_on_one_incident_are_one),
        T(test_undecided_is_no_evidence),
        T(test_tests_are_no_evidence),
        T(test_anything_else_ends_it),
        T(test_the_last_verdict_counts),
        T(test_another_problem_is_another),
        T(test_never_critical),
        T(test_expires),
        T(test_memory_is_no_evidence),
        T(test_a_real_look_is_evidence),
        T(test_prod_needs_the_owner),
        T(test_a_yes_is_for_one_problem),
        T(test_a_yes_expires),
        T(test_known_noise_is_not_applied),
        T(test_members_join_silently),
        T(test_a_worse_member_asks),
        T(test_a_member_after_the_end_of_it_asks),
        T(test_flaps_count),
        T(test_lines),
        T(test_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
