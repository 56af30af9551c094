// What people do in Slack, in every order in which Slack may tell us.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channels/slack/inbound.h"
#include "channels/slack/inbox.h"
#include "channels/slack/message.h"
#include "channels/slack/outbox.h"
#include "channels/slack/permission.h"
#include "common/lease.h"
#include "test/support/temp_store.h"

static const struct escalation_people people = {.owner = "U1", .second = "U2", .nag_ms = 600000};
static const struct moment now = {1800000000000, 5000000};

static struct temp_store t;
static struct access allowed;
static struct inbound in;

static int setup(void **state)
{
    (void)state;
    temp_store_open(&t);
    access_set_users(&allowed, "U1,U2");
    in = (struct inbound){.store = t.store, .access = &allowed, .people = &people};
    assert_int_equal(person_set_channel(t.store, "U1", "D1"), 0);
    assert_int_equal(person_set_channel(t.store, "U2", "D2"), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_store_close(&t);
    return 0;
}

// By the owner, in the direct messages.
static struct slack_event event_of(enum event_type type)
{
    return (struct slack_event){.type = type,
                                .event_id = "",
                                .team = "",
                                .user = "U1",
                                .channel = "D1",
                                .channel_type = "im",
                                .ts = "",
                                .thread_ts = "",
                                .text = "",
                                .subtype = "",
                                .client_msg_id = "",
                                .bot_id = "",
                                .author_app = "",
                                .reaction = "",
                                .action = "",
                                .value = "",
                                .old_text = "",
                                .edited_ts = "",
                                .command = ""};
}

static struct slack_event said(const char *ts, const char *thread_ts, const char *text)
{
    struct slack_event e = event_of(EVENT_MESSAGE);
    e.ts = ts;
    e.thread_ts = thread_ts;
    e.text = text;
    return e;
}

static struct slack_event pressed(const char *ts, const char *action, const char *value)
{
    struct slack_event e = event_of(EVENT_BUTTON);
    e.ts = ts;
    e.action = action;
    e.value = value;
    return e;
}

static int64_t escalate(void)
{
    int64_t id = 0;
    struct escalation_new n = {
        .title = "Disk full", .body = "b", .severity = "error", .action = "", .by = "agent"};
    assert_int_equal(escalation_add(t.store, &n, &people, now, &id), 0);
    return id;
}

// Its message is out, and Slack has told us its ts.
static void posted(int64_t id, const char *ts)
{
    struct outbox_row row;
    assert_int_equal(outbox_head(t.store, 0, &row), 1);
    assert_int_equal(outbox_attempt(t.store, row.id, now.wall), 0);
    assert_int_equal(outbox_sent(t.store, row.id, "D1", ts, now.wall), 0);
    assert_int_equal(escalation_posted(t.store, id, "D1", ts, &people, now.wall, now), 0);
    outbox_row_done(&row);
}

static int64_t state_of(int64_t id)
{
    return ask_int_with(t.store, "SELECT state FROM slack_escalation WHERE id = ?", id);
}

static const char *last_inbox(void)
{
    return ask_text(t.store, "SELECT text FROM slack_inbox ORDER BY id DESC LIMIT 1");
}

// ---- slash commands ----

static void test_a_command_is_what_was_typed(void **state)
{
    (void)state;
    struct slack_event e = event_of(EVENT_COMMAND);
    e.command = "/sre";
    e.text = "status of &lt;a&gt;";
    assert_int_equal(inbound_event(&in, &e, "envelope-1", now), 1);
    assert_string_equal(last_inbox(), "/sre status of <a>");
    assert_int_equal(ask_int(t.store, "SELECT kind FROM slack_inbox"), INBOX_COMMAND);
    assert_int_equal(inbound_event(&in, &e, "envelope-1", now), 0); // Slack repeats itself
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM slack_inbox"), 1);
    e.user = "U9";
    assert_int_equal(inbound_event(&in, &e, "envelope-2", now), 0);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM slack_inbox"), 1);
}

static void test_what_is_nothing_does_nothing(void **state)
{
    (void)state;
    struct slack_event e = event_of(EVENT_NONE);
    assert_int_equal(inbound_event(&in, &e, "envelope-1", now), 0);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM slack_seen"), 0);
}

// ---- an answer that comes before Slack's answer to the post ----

static void test_a_reaction_before_the_ts_is_known(void **state)
{
    (void)state;
    int64_t id = escalate();
    struct slack_event e = event_of(EVENT_REACTION);
    e.ts = "17.000001";
    e.reaction = "eyes";
    assert_int_equal(inbound_event(&in, &e, "event-1", now), 0);
    assert_int_equal(state_of(id), ESCALATION_OPEN);
    posted(id, "17.000001");
    assert_int_equal(inbound_posted(&in, id, "D1", "17.000001", now), 0);
    assert_int_equal(state_of(id), ESCALATION_ACKNOWLEDGED);
    assert_string_equal(last_inbox(), "U1 acknowledged (by a reaction) escalation #1 (Disk full)");
    assert_int_equal(inbound_posted(&in, id, "D1", "17.000001", now), 0);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM slack_inbox"), 1); // once
}

static void test_a_word_before_the_ts_is_known(void **state)
{
    (void)state;
    int64_t id = escalate();
    struct slack_event e = said("17.000002", "17.000001", "what is on it?");
    e.user = "U2";
    assert_int_equal(inbound_event(&in, &e, "event-1", now), 1);
    assert_int_equal(ask_int(t.store, "SELECT escalation_id FROM slack_inbox"), -1);
    posted(id, "17.000001");
    assert_int_equal(inbound_posted(&in, id, "D1", "17.000001", now), 1);
    assert_int_equal(state_of(id), ESCALATION_ACKNOWLEDGED);
    assert_string_equal(ask_text(t.store, "SELECT changed_by FROM slack_escalation"), "U2");
    assert_int_equal(ask_int(t.store, "SELECT escalation_id FROM slack_inbox"), id);
}

static void test_nobody_answered_before(void **state)
{
    (void)state;
    int64_t id = escalate();
    posted(id, "17.000001");
    assert_int_equal(inbound_posted(&in, id, "D1", "17.000001", now), 0);
    assert_int_equal(state_of(id), ESCALATION_OPEN);
    // A reaction in a conversation that is nobody's.
    assert_int_equal(inbox_first(t.store, "r", "D9", "17.000009", now.wall), 1);
    assert_int_equal(inbound_posted(&in, id, "D9", "17.000009", now), 0);
    assert_int_equal(state_of(id), ESCALATION_OPEN);
}

// ---- words ----

static void test_a_word_at_top_level_is_for_what_was_told(void **state)
{
    (void)state;
    int64_t told = escalate();
    posted(told, "17.000001");
    int64_t untold = escalate();
    struct slack_event e = said("17.000005", "", "on it!");
    assert_int_equal(inbound_event(&in, &e, "event-1", now), 1);
    assert_int_equal(state_of(told), ESCALATION_ACKNOWLEDGED);
    assert_int_equal(state_of(untold), ESCALATION_OPEN);
    assert_int_equal(ask_int(t.store, "SELECT escalation_id FROM slack_inbox"), told);
}

// A second word starts the hour of silence anew.
static void test_each_word_in_the_thread_is_heard(void **state)
{
    (void)state;
    int64_t id = escalate();
    posted(id, "17.000001");
    struct slack_event first = said("17.000002", "17.000001", "looking"),
                       second = said("17.000003", "17.000001", "still looking");
    assert_int_equal(inbound_event(&in, &first, "event-1", now), 1);
    struct moment later = moment_after(now, 1800 * 1000);
    assert_int_equal(inbound_event(&in, &second, "event-2", later), 1);
    assert_int_equal(escalation_wait(t.store, later), ESCALATION_SILENCE_MS);
}

// ---- buttons ----

static void test_buttons_of_something_else(void **state)
{
    (void)state;
    int64_t id = escalate();
    posted(id, "17.000001");
    struct slack_event wrong[] = {
        pressed("17.000001", ACTION_RESOLVE, "7"), // of another escalation
        pressed("17.000001", ACTION_RESOLVE, "nonsense"),
        pressed("17.000001", "permission:perhaps", "x"), // no such button
        pressed("17.000001", ACTION_ALLOW, "no such prompt"),
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(inbound_event(&in, &wrong[i], "", now), 0);
    assert_int_equal(state_of(id), ESCALATION_OPEN);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM slack_inbox"), 0);
}

// A client that had not redrawn: the message is shown as it is now, and nothing else happens.
static void test_a_button_pressed_twice(void **state)
{
    (void)state;
    int64_t id = escalate();
    posted(id, "17.000001");
    struct slack_event e = pressed("17.000001", ACTION_ACKNOWLEDGE, "1");
    assert_int_equal(inbound_event(&in, &e, "envelope-1", now), 1);
    run_sql(t.store, "UPDATE slack_outbox SET state = 2");
    assert_int_equal(inbound_event(&in, &e, "envelope-2", now), 1);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM slack_inbox"), 1);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM slack_outbox WHERE op = 1 AND state = "
                                      "0"),
                     1);
}

// ---- prompts ----

static int64_t ask(void)
{
    int64_t id = 0;
    struct prompt_new n = {
        .request_id = "abcde", .tool = "Bash", .description = "", .preview = "ls"};
    assert_int_equal(prompt_add(t.store, &n, lease_self(), &people, now, &id), 0);
    struct outbox_row row;
    assert_int_equal(outbox_head(t.store, 0, &row), 1);
    assert_int_equal(outbox_sent(t.store, row.id, "D1", "17.000001", now.wall), 0);
    assert_int_equal(prompt_posted(t.store, id, "D1", "17.000001", now), 0);
    outbox_row_done(&row);
    return id;
}

static const char *shown_now(void)
{
    static char text[4096];
    struct outbox_row row;
    struct message m;
    assert_int_equal(outbox_head(t.store, 0, &row), 1);
    assert_int_equal(message_render(t.store, &row, now.wall, &m), 0);
    snprintf(text, sizeof text, "%s|%s", buf_cstr(&m.text), buf_cstr(&m.blocks));
    message_done(&m);
    outbox_row_done(&row);
    return text;
}

// A decision that the store cannot be asked about is not taken for one that nobody waits for: the
// caller must not acknowledge it.
static void test_a_decision_that_cannot_be_looked_up(void **state)
{
    (void)state;
    int64_t id = ask();
    struct slack_event word = said("17.000002", "", "yes abcde"),
                       button = pressed("17.000001", ACTION_ALLOW, "n");
    run_sql(t.store, "ALTER TABLE slack_prompt RENAME TO gone");
    assert_true(inbound_event(&in, &word, "event-1", now) < 0);
    assert_true(inbound_event(&in, &button, "event-2", now) < 0);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM slack_inbox"), 0);
    run_sql(t.store, "ALTER TABLE gone RENAME TO slack_prompt");
    assert_int_equal(inbound_event(&in, &word, "event-1", now), 1); // as held and tried again
    assert_int_equal(ask_int_with(t.store, "SELECT state FROM slack_prompt WHERE id = ?", id),
                     PROMPT_ALLOWED);
}

// The session called a tool meanwhile: it says so and asks no more, but an answer still counts.
static void test_the_session_went_on(void **state)
{
    (void)state;
    int64_t id = ask(), untold;
    char request[8];
    bool allow = false;
    assert_int_equal(prompt_passed(t.store, lease_self(), now.wall), 0); // asked just now
    assert_int_equal(prompt_passed(t.store, "another session", now.wall + 1), 0);
    assert_int_equal(prompt_passed(t.store, lease_self(), now.wall + 1), 1);
    assert_int_equal(prompt_passed(t.store, lease_self(), now.wall + 1), 0);
    assert_int_equal(prompt_run_due(t.store, &people, moment_after(now, 86400000)), 0);
    const char *text = shown_now();
    assert_non_null(strstr(text, "*The session went on*: it may have been answered"));
    assert_non_null(strstr(text, "yes abcde"));
    assert_null(strstr(text, "permission:allow"));
    struct slack_event e = said("17.000002", "", "yes abcde");
    assert_int_equal(inbound_event(&in, &e, "event-1", now), 1);
    assert_int_equal(prompt_untold(t.store, lease_self(), &untold, request, &allow), 1);
    assert_int_equal(untold, id);
    assert_true(allow);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM slack_inbox"), 0); // not for the model
}

static void test_a_prompt_decided_already_says_how(void **state)
{
    (void)state;
    ask();
    struct slack_event e = said("17.000002", "", "no abcde");
    assert_int_equal(inbound_event(&in, &e, "event-1", now), 1);
    run_sql(t.store, "UPDATE slack_outbox SET state = 2");
    e = said("17.000003", "", "yes abcde");
    assert_int_equal(inbound_event(&in, &e, "event-2", now), 1);
    assert_string_equal(
        ask_text(t.store, "SELECT body FROM slack_outbox WHERE op = 0 AND state = 0"),
        "`abcde` is not waiting any more: it was denied already.");
    run_sql(t.store, "UPDATE slack_prompt SET state = 1");
    run_sql(t.store, "UPDATE slack_outbox SET state = 2");
    e = said("17.000004", "", "n abcde");
    assert_int_equal(inbound_event(&in, &e, "event-3", now), 1);
    assert_string_equal(
        ask_text(t.store, "SELECT body FROM slack_outbox WHERE op = 0 AND state = 0"),
        "`abcde` is not waiting any more: it was allowed already.");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_command_is_what_was_typed),
        T(test_what_is_nothing_does_nothing),
        T(test_a_reaction_before_the_ts_is_known),
        T(test_a_word_before_the_ts_is_known),
        T(test_nobody_answered_before),
        T(test_a_word_at_top_level_is_for_what_was_told),
        T(test_each_word_in_the_thread_is_heard),
        T(test_buttons_of_something_else),
        T(test_a_button_pressed_twice),
        T(test_a_decision_that_cannot_be_looked_up),
        T(test_the_session_went_on),
        T(test_a_prompt_decided_already_says_how),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
