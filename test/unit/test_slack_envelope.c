#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "channels/slack/access.h"
#include "channels/slack/envelope.h"
#include "channels/slack/inbound.h"
#include "channels/slack/people.h"
#include "channels/slack/permission.h"
#include "channels/slack/web_api.h"

#define MESSAGE                                                                                    \
    "{\"envelope_id\":\"e-1\",\"type\":\"events_api\",\"accepts_response_payload\":false,"         \
    "\"retry_attempt\":2,\"retry_reason\":\"timeout\",\"payload\":{\"team_id\":\"T1\","            \
    "\"event_id\":\"Ev1\",\"type\":\"event_callback\",\"event\":{\"type\":\"message\","            \
    "\"user\":\"U1\",\"text\":\"a &lt; \\u00e9\",\"ts\":\"17.000100\",\"channel\":\"D1\","         \
    "\"channel_type\":\"im\",\"client_msg_id\":\"c1\",\"thread_ts\":\"16.000001\"}}}"

static void test_message(void **state)
{
    (void)state;
    struct envelope e;
    assert_int_equal(envelope_read(str_of(MESSAGE), &e), 0);
    assert_int_equal(e.type, ENVELOPE_EVENTS);
    assert_string_equal(e.id, "e-1");
    assert_int_equal(e.retry_attempt, 2);
    assert_int_equal(e.event.type, EVENT_MESSAGE);
    assert_string_equal(e.event.event_id, "Ev1");
    assert_string_equal(e.event.text, "a &lt; \xc3\xa9");
    assert_string_equal(e.event.thread_ts, "16.000001");
    envelope_done(&e);
}

static void test_every_prefix(void **state)
{
    (void)state;
    struct envelope e;
    for (size_t n = 0; n < sizeof MESSAGE - 1; n++)
        assert_int_equal(envelope_read((struct str){MESSAGE, n}, &e), -EINVAL);
    static const char *const odd[] = {"[]", "null", "\"x\"", "{}", "{\"type\":1}"};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        assert_int_equal(envelope_read(str_of(odd[i]), &e), -EINVAL);
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum envelope_type type;
        enum event_type event;
    } rows[] = {
        {"{\"type\":\"hello\"}", ENVELOPE_HELLO, EVENT_NONE},
        {"{\"type\":\"disconnect\",\"reason\":\"warning\"}", ENVELOPE_DISCONNECT, EVENT_NONE},
        {"{\"type\":\"new\",\"envelope_id\":\"x\"}", ENVELOPE_OTHER, EVENT_NONE},
        {"{\"type\":\"events_api\",\"payload\":{\"type\":\"app_rate_limited\"}}", ENVELOPE_EVENTS,
         EVENT_NONE},
        {"{\"type\":\"events_api\",\"payload\":{\"event\":{\"type\":\"message\",\"subtype\":"
         "\"message_deleted\"}}}",
         ENVELOPE_EVENTS, EVENT_NONE},
        {"{\"type\":\"events_api\",\"payload\":{\"event\":{\"type\":\"message\",\"subtype\":"
         "\"message_changed\",\"message\":{\"text\":\"b\",\"edited\":{\"ts\":\"1.0\"}},"
         "\"previous_message\":{\"text\":\"a\"}}}}",
         ENVELOPE_EVENTS, EVENT_EDIT},
        {"{\"type\":\"events_api\",\"payload\":{\"event\":{\"type\":\"message\",\"subtype\":"
         "\"message_changed\",\"message\":{\"text\":\"a\",\"edited\":{\"ts\":\"1.0\"}},"
         "\"previous_message\":{\"text\":\"a\"}}}}",
         ENVELOPE_EVENTS, EVENT_NONE},
        {"{\"type\":\"events_api\",\"payload\":{\"event\":{\"type\":\"reaction_added\"}}}",
         ENVELOPE_EVENTS, EVENT_REACTION},
        {"{\"type\":\"interactive\",\"payload\":{\"type\":\"block_actions\",\"actions\":[{}]}}",
         ENVELOPE_INTERACTIVE, EVENT_BUTTON},
        {"{\"type\":\"interactive\",\"payload\":{\"type\":\"block_actions\",\"actions\":[]}}",
         ENVELOPE_INTERACTIVE, EVENT_NONE},
        {"{\"type\":\"interactive\",\"payload\":{\"type\":\"view_submission\"}}",
         ENVELOPE_INTERACTIVE, EVENT_NONE},
        {"{\"type\":\"slash_commands\",\"payload\":{\"command\":\"/x\"}}", ENVELOPE_COMMAND,
         EVENT_COMMAND},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct envelope e;
        assert_int_equal(envelope_read(str_of(rows[i].json), &e), 0);
        assert_int_equal(e.type, rows[i].type);
        assert_int_equal(e.event.type, rows[i].event);
        envelope_done(&e);
    }
}

static void test_ts(void **state)
{
    (void)state;
    assert_true(slack_ts_us("1503435956.000247") == 1503435956000247);
    assert_true(slack_ts_us("1503435956") == 1503435956000000);
    assert_true(slack_ts_us("1.5") == 1500000);
    static const char *const bad[] = {"", "x", "-1.0", "1.0000001", "1.0x", " 1.0", "1e5", ".5"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(slack_ts_us(bad[i]) == 0);
}

static struct slack_event said(const char *user, const char *channel, const char *bot_id,
                               const char *subtype, const char *team)
{
    return (struct slack_event){.type = EVENT_MESSAGE,
                                .user = user,
                                .channel = channel,
                                .bot_id = bot_id,
                                .subtype = subtype,
                                .team = team,
                                .author_app = ""};
}

static void test_access(void **state)
{
    (void)state;
    struct access a = {.team = "T1", .bot_user = "UBOT", .bot_id = "B1", .app = "A1"};
    access_set_users(&a, "U1, U2,,U3 ");
    assert_int_equal(a.n_users, 3);
    assert_string_equal(access_owner(&a), "U1");
    const struct {
        struct slack_event e;
        enum access_verdict want;
    } rows[] = {
        {said("U1", "D1", "", "", "T1"), ACCESS_OK},
        {said("U3", "D1", "", "file_share", ""), ACCESS_OK},
        {said("U2", "D1", "", "thread_broadcast", "T1"), ACCESS_OK},
        {said("U2", "D1", "", "channel_join", "T1"), ACCESS_OTHER},
        {said("U1", "C1", "", "", "T1"), ACCESS_NOT_DM},
        {said("U9", "D1", "", "", "T1"), ACCESS_STRANGER},
        {said("U1", "D1", "", "", "T2"), ACCESS_TEAM},
        {said("UBOT", "D1", "", "", "T1"), ACCESS_OWN},
        {said("U1", "D1", "B1", "", "T1"), ACCESS_OWN},
        {said("U1", "D1", "B2", "", "T1"), ACCESS_BOT},
        {said("", "D1", "", "bot_message", "T1"), ACCESS_BOT},
        {said("", "D1", "", "", "T1"), ACCESS_OTHER},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(access_check(&a, &rows[i].e), rows[i].want);
    struct access nobody = {.n_users = 0};
    access_set_users(&nobody, " , ");
    assert_int_equal(access_check(&nobody, &rows[0].e), ACCESS_STRANGER);
}

static void test_permission_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int found;
        bool allow;
    } rows[] = {
        {"yes abcde", 1, true},   {"Y ABCDE", 1, true},           {" no\tabcde \n", 1, false},
        {"n abcde", 1, false},    {"N abcde.", 1, false},         {"yes", 0, false},
        {"yes abcd", 0, false},   {"yes abcdef", 0, false},       {"yes abcde now", 0, false},
        {"yess abcde", 0, false}, {"abcde yes", 0, false},        {"yes abcd1", 0, false},
        {"", 0, false},           {"yes abcd\xc3\xa9", 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char id[8] = "";
        bool allow = false;
        assert_int_equal(permission_parse(str_of(rows[i].text), &allow, id), rows[i].found);
        if (rows[i].found) {
            assert_int_equal(allow, rows[i].allow);
            assert_string_equal(id, "abcde");
        }
    }
    assert_true(inbound_is_acknowledgement(str_of("On it!")));
    assert_true(inbound_is_acknowledgement(str_of("ack")));
    assert_false(inbound_is_acknowledgement(str_of("ok, what is it?")));
    assert_false(inbound_is_acknowledgement(str_of("")));
}

static void test_judge(void **state)
{
    (void)state;
    const struct {
        struct api_facts f;
        enum api_verdict want;
    } rows[] = {
        {{HTTP_NOT_SENT, 0, false, false, "", false}, API_RETRY},
        {{HTTP_UNKNOWN, 0, false, false, "", false}, API_AMBIGUOUS},
        {{HTTP_UNKNOWN, 0, false, false, "", true}, API_RETRY},
        {{HTTP_UNKNOWN, 200, false, false, "", false}, API_AMBIGUOUS},
        {{HTTP_ANSWERED, 200, true, true, "", false}, API_OK},
        {{HTTP_ANSWERED, 429, true, false, "ratelimited", false}, API_RATE},
        {{HTTP_ANSWERED, 200, true, false, "rate_limited", false}, API_RATE},
        {{HTTP_ANSWERED, 503, false, false, "", false}, API_AMBIGUOUS},
        {{HTTP_ANSWERED, 503, false, false, "", true}, API_RETRY},
        {{HTTP_ANSWERED, 200, false, false, "", false}, API_AMBIGUOUS},
        {{HTTP_ANSWERED, 200, true, false, "internal_error", false}, API_AMBIGUOUS},
        {{HTTP_ANSWERED, 200, true, false, "token_revoked", false}, API_STOP},
        {{HTTP_ANSWERED, 200, true, false, "messages_tab_disabled", false}, API_STOP},
        {{HTTP_ANSWERED, 200, true, false, "channel_not_found", false}, API_REFUSED},
        {{HTTP_ANSWERED, 200, true, false, "", false}, API_REFUSED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(slack_api_judge(&rows[i].f), rows[i].want);
}

static void test_scopes(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(1024);
    slack_scopes_missing(&b, "chat:write,im:write, im:history,im:read,users:read,reactions:write,"
                             "reactions:read,files:write:user");
    assert_string_equal(buf_cstr(&b), "files:write");
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message), cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_kinds),   cmocka_unit_test(test_ts),
        cmocka_unit_test(test_access),  cmocka_unit_test(test_permission_words),
        cmocka_unit_test(test_judge),   cmocka_unit_test(test_scopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
