// Each function that writes to the store, with each of its writes failing in turn: it says so. What
// it would write is found by looking: triggers count the writes of a run, then one of them refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "channels/slack/inbound.h"
#include "channels/slack/inbox.h"
#include "channels/slack/lookout.h"
#include "channels/slack/outbox.h"
#include "channels/slack/pages.h"
#include "channels/slack/permission.h"
#include "channels/slack/rounds.h"
#include "channels/webhook/canary.h"
#include "channels/webhook/noise.h"
#include "channels/webhook/pager.h"
#include "channels/webhook/ticket_store.h"
#include "channels/webhook/watchdog.h"
#include "common/lease.h"
#include "common/page.h"
#include "test/support/temp_store.h"

#include "test/support/alert_maker.h"

#define NOW 1800000000000
#define HOUR (3600 * 1000ll)

static const struct escalation_people people = {.owner = "U1", .second = "U2", .nag_ms = 600000};
static const struct moment now = {NOW, 5000000};
static struct access allowed;
static struct temp_store t;

// What has to be so first. A write of it that is refused is no failure of the deed's own.
static int arrange(const char *sql)
{
    return stmt_run(store_sql(t.store, sql));
}

// ---- Slack ----

static void sent_to(int64_t id, const char *channel, const char *ts)
{
    assert_int_equal(outbox_sent(t.store, id, channel, ts, NOW), 0);
}

// Escalation 1, about incident 1 and shown to both, and prompt 1, shown to the owner; a page and an
// escalation that nobody has seen yet.
static void slack_begin(void)
{
    int64_t id;
    struct escalation_new e = {
        .title = "t", .body = "b", .severity = "error", .action = "", .by = "agent"};
    struct prompt_new p = {
        .request_id = "abcde", .tool = "Bash", .description = "d", .preview = "ls"};
    e.incident_id = take_alert(&t, NOW, alert_made("A", "f"));
    assert_int_equal(person_set_channel(t.store, "U1", "D1"), 0);
    assert_int_equal(person_set_channel(t.store, "U2", "D2"), 0);
    assert_int_equal(escalation_add(t.store, &e, &people, now, &id), 0);
    assert_int_equal(escalation_posted(t.store, id, "D1", "17.000001", &people, NOW, now), 0);
    sent_to(1, "D1", "17.000001");
    assert_int_equal(
        outbox_add(
            t.store,
            &(struct outbox_new){.op = OUT_POST, .ref = REF_ESCALATION, .ref_id = 1, .user = "U2"},
            &id),
        0);
    sent_to(id, "D2", "17.000002");
    assert_int_equal(prompt_add(t.store, &p, lease_self(), &people, now, &id), 0);
    assert_int_equal(prompt_posted(t.store, id, "D1", "17.000003", now), 0);
    sent_to(3, "D1", "17.000003");
    assert_int_equal(page_add(t.store, &(struct page){.severity = "error", .text = "x"}, NOW, NULL),
                     0);
    e.incident_id = 0;
    assert_int_equal(escalation_add(t.store, &e, &people, now, &id), 0);
}

static int happens(enum event_type type, const char *ts, const char *thread_ts, const char *text,
                   const char *action, const char *value)
{
    struct inbound in = {.store = t.store, .access = &allowed, .people = &people, .batch = true};
    struct slack_event e = {.type = type,
                            .event_id = "e",
                            .team = "",
                            .user = "U1",
                            .channel = "D1",
                            .channel_type = "im",
                            .ts = ts,
                            .thread_ts = thread_ts,
                            .text = text,
                            .subtype = "",
                            .client_msg_id = "c",
                            .bot_id = "",
                            .author_app = "",
                            .reaction = "eyes",
                            .action = action,
                            .value = value,
                            .old_text = "",
                            .edited_ts = "1.0",
                            .command = "/sre"};
    return inbound_event(&in, &e, "envelope", now);
}

static int a_word_in_the_thread(void)
{
    return happens(EVENT_MESSAGE, "18.000001", "17.000001", "on it", "", "");
}

static int a_word_at_top_level(void)
{
    return happens(EVENT_MESSAGE, "18.000001", "", "ack", "", "");
}

static int a_decision_in_words(void)
{
    return happens(EVENT_MESSAGE, "18.000001", "", "yes abcde", "", "");
}

static int a_late_decision(void)
{
    int r = prompt_decide(t.store, 1, false, "U2", now);
    return r < 0 ? r : happens(EVENT_MESSAGE, "18.000001", "", "yes abcde", "", "");
}

static int an_edit(void)
{
    return happens(EVENT_EDIT, "17.000009", "", "changed", "", "");
}

static int a_reaction(void)
{
    return happens(EVENT_REACTION, "17.000001", "", "", "", "");
}

static int a_command(void)
{
    return happens(EVENT_COMMAND, "", "", "status", "", "");
}

static int a_button_to_acknowledge(void)
{
    return happens(EVENT_BUTTON, "17.000001", "", "", "escalation:acknowledge", "1");
}

static int a_button_to_snooze(void)
{
    return happens(EVENT_BUTTON, "17.000001", "", "", "escalation:snooze", "1");
}

static int a_button_to_resolve(void)
{
    return happens(EVENT_BUTTON, "17.000001", "", "", "escalation:resolve", "1");
}

static int an_answer_before_its_post(void)
{
    struct inbound in = {.store = t.store, .access = &allowed, .people = &people, .batch = true};
    int r = happens(EVENT_REACTION, "19.000001", "", "", "", "");
    return r < 0 ? r : inbound_posted(&in, 2, "D1", "19.000001", now);
}

static int an_escalation(void)
{
    int64_t id;
    struct escalation_new e = {
        .title = "t", .body = "b", .severity = "error", .action = "", .by = "agent"};
    return escalation_add(t.store, &e, &people, now, &id);
}

static int a_resolved_incident(void)
{
    if (arrange("UPDATE incident SET status = 1") < 0)
        return -1;
    return escalation_check_incidents(t.store, &people, now);
}

static int a_nag(void)
{
    return escalation_run_due(t.store, &people, moment_after(now, HOUR));
}

static int a_nag_to_both(void)
{
    if (arrange("UPDATE slack_escalation SET nags = 2") < 0)
        return -1;
    return escalation_run_due(t.store, &people, moment_after(now, HOUR));
}

static int a_snooze_that_ends(void)
{
    int r = escalation_snooze(t.store, 1, "U1", now);
    return r < 0 ? r : escalation_run_due(t.store, &people, moment_after(now, 2 * HOUR));
}

static int a_silence(void)
{
    int r = escalation_acknowledge(t.store, 1, "U1", now);
    return r < 0 ? r : escalation_run_due(t.store, &people, moment_after(now, 2 * HOUR));
}

static int a_prompt(void)
{
    int64_t id;
    struct prompt_new p = {
        .request_id = "fghij", .tool = "Bash", .description = "d", .preview = "ls"};
    return prompt_add(t.store, &p, lease_self(), &people, now, &id);
}

static int a_prompt_passed(void)
{
    return prompt_passed(t.store, lease_self(), NOW + 1);
}

static int a_prompt_of_a_dead_session(void)
{
    if (arrange("UPDATE slack_prompt SET session = '999999999 1 x'") < 0)
        return -1;
    return prompt_check_sessions(t.store, now);
}

static int a_prompt_nag(void)
{
    return prompt_run_due(t.store, &people, moment_after(now, HOUR));
}

static int pages(void)
{
    return pages_queue(t.store, &people, now);
}

static int a_boot(void)
{
    if (arrange("DELETE FROM slack_meta") < 0)
        return -1;
    return moment_rebase(t.store, now, 600000);
}

static int pruning(void)
{
    if (arrange("UPDATE slack_seen SET at = 1") < 0)
        return -1;
    if (arrange("UPDATE slack_outbox SET at = 1, state = 2") < 0)
        return -1;
    int r = inbox_prune(t.store, NOW);
    return r < 0 ? r : outbox_prune(t.store, NOW);
}

static int the_rounds(void)
{
    return rounds_run(t.store, &people, moment_after(now, HOUR));
}

static int the_lookout(void)
{
    return lookout_run(t.store, 60000, moment_after(now, HOUR));
}

// ---- the webhook channel ----

static struct alert fired(const char *fingerprint)
{
    return alert_made("Disk", fingerprint);
}

static int taken(struct alert a)
{
    struct id_set named = {0};
    struct incident_intake in = {
        .store = t.store, .config = &t.config, .now = NOW + 60000, .named = &named};
    int r = incident_take(&in, &a);
    if (r >= 0)
        r = incident_take_end(&in);
    id_set_done(&named);
    return r;
}

// Incident 1 fires, undecided; a problem with three noise verdicts; a ticket that waits.
static void webhook_begin(void)
{
    take_alert(&t, NOW, fired("one"));
    t.config.flap_s = 0;
    for (int i = 0; i < 3; i++) {
        struct alert a = alert_made("Noisy", "n");
        a.cluster = "dev-eu";
        int64_t id = take_alert(&t, NOW - 5 * HOUR + i * HOUR, a);
        decide(&t, id, VERDICT_NOISE, NOW - 5 * HOUR + i * HOUR + 1000);
        take_end(&t, NOW - 5 * HOUR + i * HOUR + 2000, a);
    }
    t.config.flap_s = 600;
    struct ticket_new n = {
        .title = "t", .body = "b", .labels = "[]", .assignee = "ana", .ids = {1}, .n = 1};
    int64_t ticket, row;
    assert_int_equal(store_begin(t.store), 0);
    assert_int_equal(ticket_queue(t.store, &n, NOW, &ticket, &row), 0);
    assert_int_equal(store_commit(t.store), 0);
}

static int a_new_incident(void)
{
    return taken(alert_made("New", "x"));
}

static int a_member_more(void)
{
    return taken(fired("two"));
}

static int a_worse_member(void)
{
    struct alert a = fired("two");
    a.severity = SEVERITY_CRITICAL;
    return taken(a);
}

static int a_member_after_the_verdict(void)
{
    struct verdict_note note = {.verdict = VERDICT_REAL,
                                .summary = "s",
                                .root_cause = "",
                                .action = "",
                                .by = "agent",
                                .confidence = -1};
    int r = incident_decide(t.store, 1, &note, NOW + 1);
    return r < 0 ? r : taken(fired("two"));
}

static int a_resolution(void)
{
    struct alert a = fired("one");
    a.resolved = true;
    return taken(a);
}

static int a_flap(void)
{
    struct alert a = fired("one");
    a.resolved = true;
    int r = taken(a);
    return r < 0 ? r : taken(fired("one"));
}

static int known_noise(void)
{
    struct alert a = alert_made("Noisy", "n");
    a.cluster = "dev-eu";
    return taken(a);
}

static int known_noise_that_gets_worse(void)
{
    int r = known_noise();
    struct alert a = alert_made("Noisy", "n2");
    a.cluster = "dev-eu";
    a.severity = SEVERITY_CRITICAL;
    return r < 0 ? r : taken(a);
}

static int pages_to_the_owner(void)
{
    return pager_run(t.store, &t.config, NOW + HOUR, HOUR);
}

static int an_agent_that_fails(void)
{
    return pager_agent_failed(t.store, "quota", NOW);
}

static int an_agent_that_works_again(void)
{
    int r = pager_agent_failed(t.store, "quota", NOW);
    return r < 0 ? r : pager_agent_works(t.store, NOW + 1);
}

static int a_canary(void)
{
    struct canary k;
    if (arrange("UPDATE incident SET state = 3") < 0) // else the session is asked anyway
        return -1;
    t.config.canary_s = 60;
    canary_begin(&k, t.store, &t.config, NOW, 0);
    return canary_run(&k, t.store, &t.config, NOW, HOUR);
}

static int a_silence_of_the_watchdog(void)
{
    t.config.watchdog_s = 60;
    if (arrange("INSERT OR REPLACE INTO watchdog(cluster, seen_at, seen_boot, silent) VALUES('c', "
                "1, 1, "
                "0)") < 0)
        return -1;
    return watchdog_run(t.store, &t.config, NOW, 2 * HOUR, HOUR);
}

static struct ticket_row row;

static int claimed(void)
{
    int r = ticket_claim(t.store, NOW + 1, &row);
    return r < 0 ? r : 0;
}

static int a_ticket_made(void)
{
    int r = claimed();
    r = r < 0 ? r : ticket_created(t.store, &row, "OPS-1", "https://x", NOW + 2);
    ticket_row_done(&row);
    return r;
}

static int a_ticket_commented(void)
{
    int r = claimed();
    r = r < 0 ? r : ticket_commented(t.store, &row, NOW + 2);
    ticket_row_done(&row);
    return r;
}

static int a_ticket_renewed(void)
{
    int r = claimed();
    r = r < 0 ? r : ticket_renew(t.store, &row, NOW + 2);
    ticket_row_done(&row);
    return r;
}

static int a_ticket_without_assignee(void)
{
    int r = claimed();
    r = r < 0 ? r : ticket_without_assignee(t.store, &row);
    ticket_row_done(&row);
    return r;
}

static int a_ticket_later(void)
{
    int r = claimed();
    r = r < 0 ? r : ticket_later(t.store, &row, NOW + 2, "why");
    ticket_row_done(&row);
    return r;
}

static int a_ticket_given_up(void)
{
    int r = claimed();
    r = r < 0 ? r : ticket_given_up(t.store, &row, "why", NOW + 2);
    ticket_row_done(&row);
    return r;
}

// ---- each of them ----

static const struct deed {
    const char *name;
    void (*begin)(void);
    int (*run)(void);
    bool commits; // in a transaction of its own
} deeds[] = {
#define SLACK(f)                                                                                   \
    {                                                                                              \
#f, slack_begin, f, false                                                                  \
    }
    SLACK(a_word_in_the_thread),
    SLACK(a_word_at_top_level),
    SLACK(a_decision_in_words),
    SLACK(a_late_decision),
    SLACK(an_edit),
    SLACK(a_reaction),
    SLACK(a_command),
    SLACK(a_button_to_acknowledge),
    SLACK(a_button_to_snooze),
    SLACK(a_button_to_resolve),
    SLACK(an_answer_before_its_post),
    SLACK(an_escalation),
    SLACK(a_resolved_incident),
    SLACK(a_nag),
    SLACK(a_nag_to_both),
    SLACK(a_snooze_that_ends),
    SLACK(a_silence),
    SLACK(a_prompt),
    SLACK(a_prompt_passed),
    SLACK(a_prompt_of_a_dead_session),
    SLACK(a_prompt_nag),
    SLACK(pages),
    SLACK(a_boot),
    SLACK(pruning),
    {"the_rounds", slack_begin, the_rounds, true},
    {"the_lookout", slack_begin, the_lookout, true},
#define WEBHOOK(f)                                                                                 \
    {                                                                                              \
#f, webhook_begin, f, false                                                                \
    }
    WEBHOOK(a_new_incident),
    WEBHOOK(a_member_more),
    WEBHOOK(a_worse_member),
    WEBHOOK(a_member_after_the_verdict),
    WEBHOOK(a_resolution),
    WEBHOOK(a_flap),
    WEBHOOK(known_noise),
    WEBHOOK(known_noise_that_gets_worse),
#define COMMITS(f)                                                                                 \
    {                                                                                              \
#f, webhook_begin, f, true                                                                 \
    }
    COMMITS(pages_to_the_owner),
    COMMITS(an_agent_that_fails),
    COMMITS(an_agent_that_works_again),
    COMMITS(a_canary),
    COMMITS(a_silence_of_the_watchdog),
    COMMITS(a_ticket_made),
    COMMITS(a_ticket_commented),
    COMMITS(a_ticket_renewed),
    COMMITS(a_ticket_without_assignee),
    COMMITS(a_ticket_later),
    COMMITS(a_ticket_given_up),
};

// Tables that a deed writes to itself. What triggers of the schema keep is their business.
static const char *const tables[] = {
    "slack_escalation", "slack_outbox",   "slack_inbox", "slack_prompt", "slack_person",
    "slack_seen",       "slack_meta",     "page",        "incident",     "alert",
    "problem",          "verdict",        "trail",       "ticket",       "ticket_outbox",
    "ticket_incident",  "ticket_problem", "noise_fold",  "watchdog",     "agent_failure",
    "counter"};
static const char *const ops[] = {"INSERT", "UPDATE", "DELETE"};
enum { WRITES = ARRAY_LEN(tables) * ARRAY_LEN(ops) };

// store_sql keeps its statements by the address of their text: these must stay.
static char counting[WRITES][256], refusing[WRITES][256], asking[WRITES][64];

static void make_triggers(void)
{
    for (size_t i = 0; i < WRITES; i++) {
        const char *table = tables[i / ARRAY_LEN(ops)], *op = ops[i % ARRAY_LEN(ops)];
        snprintf(counting[i], sizeof counting[i],
                 "CREATE TEMP TRIGGER look_%zu AFTER %s ON main.%s BEGIN INSERT INTO hits "
                 "VALUES(%zu); END",
                 i, op, table, i);
        snprintf(refusing[i], sizeof refusing[i],
                 "CREATE TEMP TRIGGER refuse_%zu BEFORE %s ON main.%s BEGIN SELECT RAISE(ABORT, "
                 "'no'); END",
                 i, op, table);
        snprintf(asking[i], sizeof asking[i], "SELECT count(*) FROM hits WHERE n = %zu", i);
    }
}

// The store as begin() leaves it: made once, then copied.
static struct copy {
    void (*begin)(void);
    struct buf bytes;
} copies[] = {{.begin = slack_begin}, {.begin = webhook_begin}};

static void make_copy(struct copy *c)
{
    char part[65536];
    c->bytes = BUF_INIT(8 << 20);
    temp_store_open(&t);
    c->begin();
    store_close(t.store);
    FILE *f = fopen(temp_path(t.dir, "incidents.db"), "r");
    assert_non_null(f);
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        assert_int_equal(buf_add(&c->bytes, part, n), 0);
    fclose(f);
    temp_dir_remove(t.dir);
}

static void begin(const struct deed *d)
{
    const struct copy *c = &copies[d->begin == webhook_begin];
    temp_dir_make(t.dir);
    temp_write(temp_path(t.dir, "incidents.db"), (struct str){c->bytes.data, c->bytes.len}, 0600);
    assert_int_equal(store_open(t.dir, false, &t.store), 0);
}

static int run(const struct deed *d)
{
    if (d->commits)
        return d->run();
    assert_int_equal(store_begin(t.store), 0);
    int r = d->run();
    store_rollback(t.store);
    return r;
}

// Which of the writes it does.
static size_t writes_of(const struct deed *d, bool out[static WRITES])
{
    size_t n = 0;
    begin(d);
    run_sql(t.store, "CREATE TEMP TABLE hits(n)");
    for (size_t i = 0; i < WRITES; i++)
        run_sql(t.store, counting[i]);
    if (!d->commits)
        assert_int_equal(store_begin(t.store), 0);
    int r = d->run();
    if (r < 0)
        fail_msg("%s: %d, %s", d->name, r, store_error(t.store));
    for (size_t i = 0; i < WRITES; i++)
        n += out[i] = ask_int(t.store, asking[i]) > 0;
    if (!d->commits)
        store_rollback(t.store);
    temp_store_close(&t);
    return n;
}

// 0 = it said that it could not do this write.
static size_t refuse(const struct deed *d, size_t i)
{
    begin(d);
    run_sql(t.store, refusing[i]);
    int r = run(d);
    if (r >= 0)
        print_error("%s: %d, though it could not %s %s\n", d->name, r, ops[i % ARRAY_LEN(ops)],
                    tables[i / ARRAY_LEN(ops)]);
    // What failed is not half there: the store takes the next transaction.
    assert_int_equal(store_begin(t.store), 0);
    store_rollback(t.store);
    temp_store_close(&t);
    return r >= 0;
}

static void test_each_failed_write_is_told(void **state)
{
    (void)state;
    size_t silent = 0, tried = 0;
    make_triggers();
    access_set_users(&allowed, "U1,U2");
    for (size_t i = 0; i < ARRAY_LEN(copies); i++)
        make_copy(&copies[i]);
    for (size_t k = 0; k < ARRAY_LEN(deeds); k++) {
        bool writes[WRITES];
        if (!writes_of(&deeds[k], writes))
            fail_msg("%s writes nothing", deeds[k].name);
        for (size_t i = 0; i < WRITES; i++) {
            silent += writes[i] && refuse(&deeds[k], i);
            tried += writes[i];
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(copies); i++)
        buf_done(&copies[i].bytes);
    assert_true(tried > 2 * ARRAY_LEN(deeds));
    assert_int_equal(silent, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_failed_write_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
