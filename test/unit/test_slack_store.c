// The parts of the Slack channel that live in the store, with the time passed in.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channels/slack/inbound.h"
#include "channels/slack/inbox.h"
#include "channels/slack/message.h"
#include "channels/slack/outbox.h"
#include "channels/slack/pages.h"
#include "channels/slack/permission.h"
#include "channels/slack/rounds.h"
#include "common/lease.h"
#include "common/page.h"

#define HOUR (3600 * 1000ll)
static const struct escalation_people people = {.owner = "U1", .second = "U2", .nag_ms = 600000};
static const struct moment start = {1800000000000, 5000000};

static struct moment at(int64_t ms)
{
    return moment_after(start, ms);
}

static int open_store(void **state)
{
    char dir[] = "/tmp/slack-store-XXXXXX";
    struct store *s;
    if (!mkdtemp(dir) || store_open(dir, true, &s) < 0)
        return -1;
    *state = s;
    return 0;
}

static int close_store(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    char dir[256], path[300];
    snprintf(dir, sizeof dir, "%s", store_path(*state));
    store_close(*state);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        snprintf(path, sizeof path, "%s%s", dir, suffixes[i]);
        unlink(path);
    }
    *strrchr(dir, '/') = '\0';
    return rmdir(dir);
}

// Sends everything that waits, as the sender would. Returns how many rows.
static int send_all(struct store *s, struct moment now)
{
    struct outbox_row row;
    int n = 0, r;
    while ((r = outbox_head(s, 0, &row)) > 0) {
        char ts[32];
        struct message m;
        snprintf(ts, sizeof ts, "1800000000.%06d", (int)row.id);
        r = message_render(s, &row, now.wall, &m);
        message_done(&m);
        if (r == -ECANCELED) {
            assert_int_equal(outbox_failed(s, row.id, "no longer needed", now.wall), 0);
            outbox_row_done(&row);
            continue;
        }
        assert_int_equal(r, 0);
        assert_int_equal(outbox_attempt(s, row.id, now.wall), 0);
        assert_int_equal(outbox_sent(s, row.id, row.user[1] == '1' ? "D1" : "D2",
                                     row.op == OUT_POST ? ts : "", now.wall),
                         0);
        if (row.op == OUT_POST && row.ref == REF_ESCALATION && row.user[1] == '1')
            assert_int_equal(escalation_posted(s, row.ref_id, "D1", ts, &people, now.wall, now), 0);
        if (row.op == OUT_POST && row.ref == REF_NAG && row.user[1] == '1')
            assert_int_equal(escalation_nagged(s, row.ref_id, &people, now), 0);
        if (row.op == OUT_POST && row.ref == REF_PROMPT)
            assert_int_equal(prompt_posted(s, row.ref_id, "D1", ts, now), 0);
        outbox_row_done(&row);
        n++;
    }
    assert_int_equal(r, 0);
    return n;
}

static int64_t escalate(struct store *s, struct moment now)
{
    int64_t id = 0;
    struct escalation_new n = {
        .title = "Disk full", .body = "b", .severity = "error", .action = "", .by = "agent"};
    assert_int_equal(escalation_add(s, &n, &people, now, &id), 0);
    return id;
}

static int64_t nags_of(struct store *s, int64_t id)
{
    struct escalation e;
    assert_int_equal(escalation_read(s, id, &e), 1);
    int64_t n = e.nags;
    escalation_done(&e);
    return n;
}

static enum escalation_state state_of(struct store *s, int64_t id)
{
    struct escalation e;
    assert_int_equal(escalation_read(s, id, &e), 1);
    enum escalation_state state = e.state;
    escalation_done(&e);
    return state;
}

static void test_nags(void **state)
{
    struct store *s = *state;
    int64_t id = escalate(s, at(0));
    assert_true(escalation_wait(s, at(0)) == 600000);
    assert_int_equal(send_all(s, at(1000)), 1);
    assert_true(escalation_wait(s, at(1000)) == 600000); // from when it was sent
    assert_int_equal(escalation_run_due(s, &people, at(600999)), 0);
    assert_int_equal(escalation_run_due(s, &people, at(601000)), 1);
    assert_int_equal(escalation_run_due(s, &people, at(601000)), 0);
    assert_int_equal(send_all(s, at(601000)), 1);
    // A long sleep is one nag.
    assert_int_equal(escalation_run_due(s, &people, at(10 * HOUR)), 1);
    assert_int_equal(escalation_run_due(s, &people, at(10 * HOUR)), 0);
    assert_true(nags_of(s, id) == 2);
    // While one waits to be sent no other is made.
    assert_int_equal(escalation_run_due(s, &people, at(11 * HOUR)), 1);
    assert_true(nags_of(s, id) == 2);
    assert_int_equal(send_all(s, at(11 * HOUR)), 1);
    // The third brings the second person in, once.
    assert_int_equal(escalation_run_due(s, &people, at(12 * HOUR)), 1);
    assert_int_equal(send_all(s, at(12 * HOUR)), 2);
    assert_int_equal(escalation_run_due(s, &people, at(13 * HOUR)), 1);
    assert_int_equal(send_all(s, at(13 * HOUR)), 2); // a nag in each thread
    assert_int_equal(escalation_acknowledge(s, id, "U2", at(13 * HOUR + 1)), 1);
    assert_int_equal(escalation_acknowledge(s, id, "U1", at(13 * HOUR + 2)), 0);
    assert_int_equal(send_all(s, at(13 * HOUR)), 2); // both messages show it
    assert_int_equal(escalation_run_due(s, &people, at(13 * HOUR + 1000)), 0);
    // No incident: after the silent hour nothing is asked.
    assert_int_equal(escalation_run_due(s, &people, at(15 * HOUR)), 1);
    assert_int_equal(send_all(s, at(15 * HOUR)), 0);
    assert_true(escalation_wait(s, at(15 * HOUR)) == -1);
}

static void test_acknowledge_drops_a_waiting_nag(void **state)
{
    struct store *s = *state;
    int64_t id = escalate(s, at(0));
    send_all(s, at(0));
    assert_int_equal(escalation_run_due(s, &people, at(HOUR)), 1);
    assert_int_equal(escalation_acknowledge(s, id, "U1", at(HOUR)), 1);
    assert_int_equal(send_all(s, at(HOUR)), 1); // the update only
}

static void test_before_it_was_sent(void **state)
{
    struct store *s = *state;
    int64_t id = escalate(s, at(0));
    for (int i = 1; i < 10; i++) // Slack is down
        assert_int_equal(escalation_run_due(s, &people, at(i * HOUR)), 1);
    assert_true(nags_of(s, id) == 0);
    assert_int_equal(send_all(s, at(10 * HOUR)), 1);
    assert_true(escalation_wait(s, at(10 * HOUR)) == 600000);
    assert_int_equal(escalation_resolve(s, id, "U1", "", &people, at(10 * HOUR)), 1);
    assert_int_equal(send_all(s, at(10 * HOUR)), 2); // the note and the update
    assert_int_equal(escalation_acknowledge(s, id, "U1", at(11 * HOUR)), 0);
    assert_int_equal(state_of(s, id), ESCALATION_RESOLVED);
}

static void test_snooze(void **state)
{
    struct store *s = *state;
    int64_t id = escalate(s, at(0));
    send_all(s, at(0));
    assert_int_equal(escalation_snooze(s, id, "U1", at(1000)), 1);
    assert_true(escalation_wait(s, at(1000)) == HOUR);
    send_all(s, at(1000));
    assert_int_equal(escalation_run_due(s, &people, at(1000 + HOUR)), 1);
    assert_int_equal(state_of(s, id), ESCALATION_OPEN);
    assert_int_equal(send_all(s, at(1000 + HOUR)), 2); // the message is open again, and a nag
}

static void test_clock_jumps(void **state)
{
    struct store *s = *state;
    int64_t id = escalate(s, at(0));
    send_all(s, at(0));
    // Set back by a day: boot time tells.
    struct moment back = {start.wall - 24 * HOUR, start.boot + 600000};
    assert_int_equal(escalation_run_due(s, &people, back), 1);
    send_all(s, back);
    // Set ahead by a day: one nag, not 144.
    struct moment ahead = {start.wall + 24 * HOUR, start.boot + 700000};
    assert_int_equal(escalation_run_due(s, &people, ahead), 1);
    assert_int_equal(escalation_run_due(s, &people, ahead), 0);
    assert_true(nags_of(s, id) == 2);
    // A boot: the stored boot time means nothing, and a wall clock that was wrong is capped.
    struct moment boot = {start.wall, 1000};
    assert_int_equal(moment_rebase(s, boot, people.nag_ms), 0);
    assert_true(escalation_wait(s, boot) == 600000);
    assert_int_equal(moment_rebase(s, at(HOUR), people.nag_ms), 0); // once a boot
    assert_true(escalation_wait(s, boot) == 600000);
}

static void test_incident(void **state)
{
    struct store *s = *state;
    assert_int_equal(stmt_run(store_sql(s, "INSERT INTO problem(id, alertname, cluster, namespace, "
                                           "service) VALUES(1, 'a', 'c', 'n', 's')")),
                     0);
    assert_int_equal(
        stmt_run(store_sql(
            s, "INSERT INTO incident(id, problem_id, environment, "
               "source, severity, opened_at, last_seen_at, asked_at, since_at, since_boot) "
               "VALUES(5, 1, 1, 'x', 4, 0, 0, 0, 0, 0)")),
        0);
    int64_t id;
    struct escalation_new n = {.title = "t",
                               .body = "b",
                               .severity = "error",
                               .action = "",
                               .incident_id = 5,
                               .by = "agent"};
    assert_int_equal(escalation_add(s, &n, &people, at(0), &id), 0);
    send_all(s, at(0));
    assert_int_equal(escalation_acknowledge(s, id, "U1", at(0)), 1);
    send_all(s, at(0));
    // A word in the thread makes the hour begin anew; then it asks once.
    assert_int_equal(escalation_heard(s, id, at(HOUR - 1)), 0);
    assert_int_equal(escalation_run_due(s, &people, at(HOUR)), 0);
    assert_int_equal(escalation_run_due(s, &people, at(2 * HOUR)), 1);
    assert_int_equal(send_all(s, at(2 * HOUR)), 1);
    assert_int_equal(escalation_run_due(s, &people, at(9 * HOUR)), 0);
    assert_int_equal(escalation_check_incidents(s, &people, at(9 * HOUR)), 0);
    assert_int_equal(stmt_run(store_sql(s, "UPDATE incident SET status = 1")), 0);
    assert_int_equal(escalation_check_incidents(s, &people, at(9 * HOUR)), 1);
    assert_int_equal(escalation_check_incidents(s, &people, at(9 * HOUR)), 0);
    assert_int_equal(send_all(s, at(9 * HOUR)), 2);
}

static void test_prompt(void **state)
{
    struct store *s = *state;
    int64_t id, untold;
    char request[8];
    bool allow;
    struct prompt_new n = {
        .request_id = "abcde", .tool = "Bash", .description = "", .preview = "ls"};
    assert_int_equal(prompt_add(s, &n, lease_self(), &people, at(0), &id), 0);
    assert_int_equal(send_all(s, at(0)), 1);
    assert_true(prompt_wait(s, at(0)) == PROMPT_REMIND_MS);
    assert_int_equal(prompt_run_due(s, &people, at(PROMPT_REMIND_MS)), 1);
    assert_int_equal(send_all(s, at(PROMPT_REMIND_MS)), 1);
    assert_true(prompt_by_request(s, "abcde") == id);
    assert_true(prompt_by_request(s, "zzzzz") == 0);
    assert_int_equal(prompt_untold(s, lease_self(), &untold, request, &allow), 0);
    assert_int_equal(prompt_decide(s, id, false, "U1", at(200000)), 1);
    assert_int_equal(prompt_decide(s, id, true, "U2", at(200001)), 0); // the first decision wins
    assert_int_equal(prompt_untold(s, lease_self(), &untold, request, &allow), 1);
    assert_false(allow);
    assert_string_equal(request, "abcde");
    assert_int_equal(prompt_told(s, untold), 0);
    assert_int_equal(prompt_untold(s, lease_self(), &untold, request, &allow), 0);
    assert_int_equal(prompt_decide(s, 99, true, "U1", at(0)), -ENOENT);
    // Of a process that has gone.
    assert_int_equal(prompt_add(s, &n, "999999999 1 x", &people, at(0), &id), 0);
    send_all(s, at(0));
    assert_int_equal(prompt_decide(s, id, true, "U1", at(1)), 0);
    assert_int_equal(prompt_check_sessions(s, at(1)), 0);
    assert_int_equal(prompt_add(s, &n, "999999999 1 x", &people, at(0), &id), 0);
    assert_int_equal(prompt_check_sessions(s, at(1)), 1);
    assert_int_equal(prompt_run_due(s, &people, at(9 * HOUR)), 0);
}

// "I cannot tell" is neither "there is none" nor "never".
static void test_store_fails(void **state)
{
    struct store *s = *state;
    assert_int_equal(stmt_run(store_sql(s, "ALTER TABLE slack_prompt RENAME TO gone")), 0);
    assert_true(prompt_by_nonce(s, "n") < 0);
    assert_true(prompt_by_request(s, "abcde") < 0);
    assert_true(prompt_wait(s, at(0)) == MOMENT_AGAIN_MS);
    assert_true(rounds_due(s, at(0)));
    assert_true(rounds_run(s, &people, at(0)) < 0);
    assert_int_equal(stmt_run(store_sql(s, "ALTER TABLE slack_escalation RENAME TO gone2")), 0);
    assert_true(escalation_wait(s, at(0)) == MOMENT_AGAIN_MS);
}

static void test_prompt_parts(void **state)
{
    struct store *s = *state;
    int64_t id;
    size_t size = 3 * PROMPT_PART_CHARS;
    char *preview = malloc(size + 1);
    memset(preview, 'x', size);
    for (size_t n = PROMPT_PART_CHARS - 1; n <= size; n += PROMPT_PART_CHARS / 2) {
        preview[n] = '\0';
        struct prompt_new p = {
            .request_id = "abcde", .tool = "Bash", .description = "", .preview = preview};
        assert_int_equal(prompt_add(s, &p, lease_self(), &people, at(0), &id), 0);
        struct outbox_row row;
        size_t seen = 0;
        while (outbox_head(s, 0, &row) > 0) {
            struct message m;
            assert_int_equal(message_render(s, &row, at(0).wall, &m), 0);
            for (const char *q = buf_cstr(&m.blocks); (q = strstr(q, "xxxx")); q += strspn(q, "x"))
                seen += strspn(q, "x");
            message_done(&m);
            assert_int_equal(outbox_sent(s, row.id, "D1", "1.0", 0), 0);
            outbox_row_done(&row);
        }
        assert_int_equal(seen, n);
        preview[n] = 'x';
    }
    free(preview);
}

// Whatever a client sends can be stored and posted.
static void test_prompt_hostile(void **state)
{
    struct store *s = *state;
    int64_t id;
    size_t size = 3 << 20;
    char *preview = malloc(size + 1);
    memset(preview, '\x01', size);
    preview[size] = '\0';
    struct prompt_new n = {.request_id = "abcde",
                           .tool = "Bash",
                           .description = "a\n\xe2\x80\xae"
                                          "b",
                           .preview = preview};
    assert_int_equal(prompt_add(s, &n, lease_self(), &people, at(0), &id), 0);
    struct prompt p;
    assert_int_equal(prompt_read(s, id, &p), 1);
    assert_string_equal(p.description, "a b");
    assert_non_null(strstr(p.preview, "bytes are NOT shown here"));
    prompt_done(&p);
    assert_true(send_all(s, at(0)) > 1);
    free(preview);
}

static void test_outbox_order(void **state)
{
    struct store *s = *state;
    struct outbox_row row;
    int64_t ids[4];
    const char *const users[] = {"U1", "U2", "U1", "U2"};
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            outbox_add(s, &(struct outbox_new){.user = users[i], .body = "x"}, &ids[i]), 0);
    assert_int_equal(outbox_head(s, 0, &row), 1);
    assert_true(row.id == ids[0]);
    outbox_row_done(&row);
    assert_int_equal(outbox_head(s, ids[0], &row), 1);
    assert_true(row.id == ids[1]);
    outbox_row_done(&row);
    assert_int_equal(outbox_head(s, ids[1], &row), 0); // the others wait for theirs
    assert_int_equal(outbox_attempt(s, ids[0], 5), 0);
    assert_int_equal(outbox_head(s, 0, &row), 1);
    assert_int_equal(row.state, OUT_ATTEMPTED);
    assert_true(row.attempted_at == 5);
    outbox_row_done(&row);
    assert_int_equal(outbox_failed(s, ids[0], "x", 6), 0);
    assert_int_equal(outbox_attempt(s, ids[0], 5), -ENOENT);
    assert_int_equal(outbox_head(s, ids[1], &row), 1);
    assert_true(row.id == ids[2]);
    outbox_row_done(&row);
}

static void say(struct store *s, const char *ts, const char *text)
{
    assert_int_equal(inbox_add(s,
                               &(struct inbox_new){.kind = INBOX_MESSAGE,
                                                   .channel = "D1",
                                                   .ts = ts,
                                                   .user = "U1",
                                                   .text = str_of(text)},
                               start.wall),
                     0);
}

static void test_inbox(void **state)
{
    struct store *s = *state;
    struct inbox_row row;
    assert_int_equal(inbox_first(s, "m", "D1", "1.0", 1), 1);
    assert_int_equal(inbox_first(s, "m", "D1", "1.0", 1), 0);
    assert_int_equal(inbox_first(s, "m", "D1", "2.0", 1), 1);
    assert_int_equal(inbox_first(s, "e", "", "", 1), 1); // no name, never seen
    assert_int_equal(inbox_first(s, "e", "", "", 1), 1);
    say(s, "20.000000", "second");
    say(s, "10.000000", "first");
    assert_int_equal(inbox_next(s, "a", start.wall, 9999999, &row), 0); // older ones may come
    assert_int_equal(inbox_next(s, "a", start.wall, 10000000, &row), 1);
    assert_string_equal(row.text, "first");
    assert_int_equal(inbox_pushed(s, row.id, "a", start.wall), 0);
    assert_int_equal(inbox_next(s, "a", start.wall, INT64_MAX, &row), 1);
    assert_string_equal(row.text, "second");
    assert_int_equal(inbox_pushed(s, row.id, "a", start.wall), 0);
    assert_int_equal(inbox_next(s, "a", start.wall, INT64_MAX, &row), 0);
    // Another session gets what the first gave no sign of having read, thrice in all.
    assert_int_equal(inbox_next(s, "b", start.wall, INT64_MAX, &row), 1);
    assert_int_equal(row.pushes, 1);
    assert_int_equal(inbox_pushed(s, row.id, "b", start.wall), 0);
    assert_int_equal(inbox_taken(s, "a", start.wall + 1), 0);
    assert_int_equal(inbox_next(s, "c", start.wall, INT64_MAX, &row), 1);
    assert_string_equal(row.text, "first");
    assert_int_equal(inbox_pushed(s, row.id, "c", start.wall), 0);
    assert_int_equal(inbox_next(s, "d", start.wall, INT64_MAX, &row), 0);
}

static void test_pages(void **state)
{
    struct store *s = *state;
    int64_t id;
    assert_int_equal(
        page_add(s, &(struct page){.severity = "critical", .text = "all is lost"}, start.wall, &id),
        0);
    assert_int_equal(pages_queue(s, &people, start), 1);
    assert_int_equal(pages_queue(s, &people, start), 0);
    struct outbox_row row;
    struct message m;
    assert_int_equal(outbox_head(s, 0, &row), 1);
    assert_int_equal(message_render(s, &row, start.wall, &m), 0);
    assert_non_null(strstr(buf_cstr(&m.text), "<@U1> *[CRITICAL]* all is lost"));
    message_done(&m);
    outbox_row_done(&row);
}

static void test_page_escalates(void **state)
{
    struct store *s = *state;
    assert_int_equal(
        stmt_run(store_sql(s, "INSERT INTO page(at, severity, text, escalate) VALUES(1, "
                              "'critical', 'last heard at noon', 'Watchdog is silent')")),
        0);
    assert_int_equal(pages_queue(s, &people, start), 1);
    assert_int_equal(pages_queue(s, &people, start), 0);
    struct escalation e;
    assert_int_equal(escalation_next(s, ESCALATION_OPEN, 0, &e), 1);
    assert_string_equal(e.title, "Watchdog is silent");
    assert_string_equal(e.body, "last heard at noon");
    assert_string_equal(e.severity, "critical");
    assert_int_equal(e.due_at, start.wall + people.nag_ms);
    int64_t id = e.id;
    escalation_done(&e);
    assert_int_equal(escalation_next(s, ESCALATION_OPEN, id, &e), 0);
    assert_int_equal(send_all(s, start), 1);
    struct stmt *q = store_sql(s, "SELECT actor FROM trail WHERE action = 'escalated'");
    assert_int_equal(stmt_step(q), 1);
    assert_string_equal(col_text(q, 0), "channel");
    stmt_reset(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_store, close_store)
        T(test_nags),
        T(test_page_escalates),
        T(test_acknowledge_drops_a_waiting_nag),
        T(test_before_it_was_sent),
        T(test_snooze),
        T(test_clock_jumps),
        T(test_incident),
        T(test_prompt),
        T(test_store_fails),
        T(test_prompt_parts),
        T(test_prompt_hostile),
        T(test_outbox_order),
        T(test_inbox),
        T(test_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
