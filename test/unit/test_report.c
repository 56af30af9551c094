#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "channels/webhook/chart.h"
#include "channels/webhook/html.h"
#include "channels/webhook/markdown_text.h"
#include "channels/webhook/proposal_store.h"
#include "channels/webhook/report.h"
#include "channels/webhook/report_get.h"
#include "channels/webhook/report_style.h"
#include "channels/webhook/terms.h"
#include "channels/webhook/weekly.h"
#include "common/clock.h"
#include "test/support/temp_store.h"

#include "test/support/past.h"

#define MINUTE (60ll * 1000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static void expect_html(const char *in, size_t max, const char *want)
{
    struct buf out = BUF_INIT(4096);
    assert_int_equal(html_text(&out, in, max), 0);
    assert_string_equal(buf_cstr(&out), want);
    buf_done(&out);
}

static void test_html_text_acts_nowhere(void **state)
{
    (void)state;
    expect_html("", 100, "");
    expect_html("a<b>&\"'", 100, "a&lt;b&gt;&amp;&quot;&#39;");
    expect_html("&lt;", 100, "&amp;lt;");
    expect_html("\" onmouseover=alert(1) x=\"", 100, "&quot; onmouseover=alert(1) x=&quot;");
    expect_html("a\xff"
                "b\x01\x1b[31mred\nline",
                100,
                "a\xef\xbf\xbd"
                "bred line");
    expect_html("\xe2\x80\xaeright to left", 100, "right to left");
    expect_html("0123456789", 4, "0123... (6 bytes left out)");
    struct buf small = BUF_INIT(6);
    assert_int_equal(html_text(&small, "<<<<", 100), -E2BIG);
    buf_done(&small);
}

static void test_numbers_for_people(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(4096);
    const int64_t numbers[] = {0, 7, 999, 1000, 1234567, -1234, INT64_MIN};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++, buf_addc(&out, ' '))
        html_number(&out, numbers[i]);
    assert_string_equal(buf_cstr(&out), "0 7 999 1,000 1,234,567 \xe2\x88\x92"
                                        "1,234 \xe2\x88\x92"
                                        "9,223,372,036,854,775,808 ");
    buf_clear(&out);
    const int64_t bytes[] = {-1, 0, 999, 1000, 43210, 999400, 999600, 17000000, INT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(bytes); i++, buf_addc(&out, ' '))
        html_bytes(&out, bytes[i]);
    assert_string_equal(buf_cstr(&out),
                        "0 B 0 B 999 B 1.0 KB 43 KB 999 KB 1.0 MB 17 MB 9223372 TB ");
    buf_clear(&out);
    const int64_t spans[] = {-5, 0, 42999, 60000, 125 * MINUTE, 73 * HOUR};
    for (size_t i = 0; i < ARRAY_LEN(spans); i++, buf_addc(&out, ';'))
        html_duration(&out, spans[i]);
    assert_string_equal(buf_cstr(&out), "0 s;0 s;42 s;1 min;2 h 5 min;3 d 1 h;");
    buf_done(&out);
}

static void test_a_scale_has_few_round_lines(void **state)
{
    (void)state;
    assert_int_equal(chart_step(0, false), 1);
    assert_int_equal(chart_step(4, false), 1);
    assert_int_equal(chart_step(5, false), 2);
    assert_int_equal(chart_step(20, false), 5);
    assert_int_equal(chart_step(21, false), 10);
    assert_int_equal(chart_step(0, true), 1000);
    assert_int_equal(chart_step(90 * MINUTE, true), 30 * MINUTE);
    for (int64_t max = 1; max > 0 && max < INT64_MAX / 16; max = max * 3 + 1) {
        for (int durations = 0; durations <= 1; durations++) {
            int64_t step = chart_step(max, durations != 0);
            assert_true(step > 0);
            assert_true(step >= max / 4);
        }
    }
    assert_true(chart_step(INT64_MAX, false) > 0);
    assert_true(chart_step(INT64_MAX, true) > 0);
}

static void expect_markdown(int (*write)(struct buf *, const char *, size_t), const char *in,
                            const char *want)
{
    struct buf out = BUF_INIT(4096);
    assert_int_equal(write(&out, in, 1000), 0);
    assert_string_equal(buf_cstr(&out), want);
    buf_done(&out);
}

static void test_markdown_of_strangers_is_text(void **state)
{
    (void)state;
    expect_markdown(markdown_inline, "plain tenant-test-7 (a / b), 12.5 %",
                    "plain tenant-test-7 (a / b), 12.5 %");
    expect_markdown(markdown_inline, "![x](http://e.example) <b> | `c` **d** \\",
                    "\\!\\[x\\](http\\://e.example) \\<b\\> \\| \\`c\\` \\*\\*d\\*\\* \\\\");
    expect_markdown(markdown_inline, "one\n# two\r\n---", "one \\# two ---");
    expect_markdown(markdown_inline, "www.e.example WWW.e a@b.c #1 !2 $x$",
                    "www\\.e.example WWW\\.e a\\@b.c \\#1 \\!2 \\$x\\$");
    expect_markdown(markdown_inline, "password=hunter22222", "password=\\[redacted\\:password\\]");
    expect_markdown(markdown_lines, "# a\n- b\n12. c\n    code\n===\n---\n+ d\n12 is a number",
                    "\\# a\n\\- b\n12\\. c\ncode\n\\===\n\\---\n\\+ d\n12 is a number\n");
    expect_markdown(markdown_code, "a\n```\n</pre>", "    a\n    ```\n    </pre>\n");
}

static void test_the_query_of_the_page(void **state)
{
    (void)state;
    int64_t days = 0;
    assert_int_equal(report_get_days(str_of(""), &days), 0);
    assert_int_equal(days, 7);
    assert_int_equal(report_get_days(str_of("days=3650"), &days), 0);
    assert_int_equal(days, 3650);
    static const char *const bad[] = {"days=",      "days=0",     "days=3651", "days=1x", "day=1",
                                      "days=99999", "days=1&a=b", "x",         "days=-1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(report_get_days(str_of(bad[i]), &days), -EINVAL);
}

// ---- the week's summary ----

static void set_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

static int64_t at(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(rfc3339_parse(str_of(text), &ms), 0);
    return ms;
}

static void test_monday_is_local(void **state)
{
    (void)state;
    set_zone("UTC");
    assert_int_equal(weekly_monday(at("2026-11-23T09:00:00Z")), at("2026-11-23T09:00:00Z"));
    assert_int_equal(weekly_monday(at("2026-11-23T08:59:59.999Z")), at("2026-11-16T09:00:00Z"));
    assert_int_equal(weekly_monday(at("2026-11-22T23:00:00Z")), at("2026-11-16T09:00:00Z"));
    assert_int_equal(weekly_monday(at("2027-01-03T12:00:00Z")), at("2026-12-28T09:00:00Z"));
    set_zone("Europe/Berlin"); // summer time ends on Sunday, 25 October
    assert_int_equal(weekly_monday(at("2026-10-26T07:59:59Z")), at("2026-10-19T07:00:00Z"));
    assert_int_equal(weekly_monday(at("2026-10-26T08:00:00Z")), at("2026-10-26T08:00:00Z"));
    set_zone("UTC");
}

static void test_a_week_is_told_once(void **state)
{
    (void)state;
    struct temp_store t;
    int64_t monday = at("2026-11-23T09:00:00Z");
    set_zone("UTC");
    temp_store_open(&t);
    static char listen[] = "0.0.0.0:8788";
    t.config.listen = listen;
    run_sql(t.store, "UPDATE weekly SET told_at = 1795338000000"); // 2026-11-22
    assert_int_equal(weekly_is_due(t.store, monday - 1), 0);
    assert_int_equal(weekly_is_due(t.store, monday), 1);
    // Nothing happened: nothing is told, now or later in the week.
    assert_int_equal(weekly_tell(t.store, &t.config, monday), 0);
    assert_int_equal(weekly_is_due(t.store, monday + DAY), 0);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM page"), 0);
    // Asleep for three weeks: one.
    int64_t later = monday + 23 * DAY;
    past_fire(t.store, (struct past){.alertname = "Slow [x](http://e.example)",
                                     .service = "<!channel>",
                                     .at = later - HOUR,
                                     .verdict = VERDICT_NOISE});
    past_fire(t.store, (struct past){.alertname = "Slow [x](http://e.example)",
                                     .service = "<!channel>",
                                     .at = later - 2 * HOUR,
                                     .verdict = VERDICT_NOISE});
    assert_int_equal(weekly_tell(t.store, &t.config, later), 1);
    assert_int_equal(weekly_tell(t.store, &t.config, later), 0);
    assert_int_equal(weekly_tell(t.store, &t.config, later + DAY), 0);
    assert_int_equal(ask_int(t.store, "SELECT count(*) FROM page WHERE severity = 'info'"), 1);
    const char *text = ask_text(t.store, "SELECT text FROM page");
    assert_non_null(strstr(text, "**2 alerts**: 2 noise (100 %), 0 real, 0 undecided."));
    assert_non_null(strstr(text, "Slow \\[x\\](http\\://e.example) on \\<\\!channel\\>, 2x"));
    assert_non_null(strstr(text, ":8788/report`"));
    // Told while the clock was years ahead: not silent until then.
    run_sql(t.store, "UPDATE weekly SET told_at = 4102444800000"); // 2100
    assert_int_equal(weekly_is_due(t.store, later), 0);
    assert_int_equal(weekly_is_due(t.store, later + 7 * DAY), 1);
    temp_store_close(&t);
}

// ---- the numbers ----

static void test_bars_cover_the_window(void **state)
{
    (void)state;
    struct temp_store t;
    int64_t now = at("2026-11-24T15:00:00Z");
    struct report *r = malloc(sizeof *r);
    assert_non_null(r);
    temp_store_open(&t);
    for (int i = 0; i < 20; i++)
        past_fire(t.store, (struct past){.alertname = "A",
                                         .service = "s",
                                         .at = now - i * DAY - HOUR,
                                         .verdict = i % 2 ? VERDICT_REAL : VERDICT_NOISE});
    static const int64_t windows[] = {1, 2, 7, 45, 46, 310, 311, 1800, 1801, REPORT_DAYS_MAX};
    for (size_t k = 0; k < ARRAY_LEN(windows); k++) {
        int64_t sum = 0;
        struct buf page = BUF_INIT(REPORT_HTML_MAX);
        assert_int_equal(report_read(t.store, windows[k], now, r), 0);
        assert_in_range(r->n_bars, 2, REPORT_BARS_MAX);
        for (int i = 0; i < r->n_bars; i++)
            sum += tally_total(&r->bars[i].counts);
        assert_int_equal(sum, windows[k] < 20 ? windows[k] : 20);
        assert_int_equal(sum, tally_total(&r->counts));
        assert_true(r->bars[0].day <= r->since / DAY);
        assert_int_equal(report_html(r, &page), 0);
        buf_done(&page);
    }
    assert_int_equal(report_read(t.store, 7, now, r), 0);
    assert_int_equal(tally_total(&r->before), 7);
    assert_int_equal(r->spared, r->counts.noise);
    free(r);
    temp_store_close(&t);
}

// What opened in the hour that the window cuts counts only if it opened inside; and the counts of
// whole hours, kept by triggers, agree with looking at each.
static void test_paces_are_exact(void **state)
{
    (void)state;
    struct temp_store t;
    struct stats stats;
    int64_t now = at("2026-11-24T15:30:00Z");
    temp_store_open(&t);
    for (int i = 0; i < 6; i++) { // at 12:40, 13:00, 13:20 and so on
        int64_t id = past_fire(t.store, (struct past){.alertname = "A",
                                                      .at = now - 170 * MINUTE + i * 20 * MINUTE,
                                                      .lasted = (i + 1) * MINUTE});
        struct stmt *q = store_sql(t.store, "UPDATE incident SET state = 2, taken_at = opened_at + "
                                            "?2 WHERE id = ?1");
        bind_int(q, 1, id);
        bind_int(q, 2, (i + 1) * 10000);
        assert_int_equal(stmt_run(q), 0);
        for (int k = 0; k < 2; k++) { // noise, then real after all
            q = store_sql(t.store, "INSERT INTO verdict(incident_id, at, verdict, summary, "
                                   "root_cause, action, by) SELECT id, opened_at + ?2, ?3, 'x', "
                                   "'', '', 'agent' FROM incident WHERE id = ?1");
            bind_int(q, 1, id);
            bind_int(q, 2, (i + 1) * 20000);
            bind_int(q, 3, k ? VERDICT_REAL : VERDICT_NOISE);
            assert_int_equal(stmt_run(q), 0);
        }
        q = store_sql(t.store, "UPDATE incident SET state = 3, verdict = 4 WHERE id = ?");
        bind_int(q, 1, id);
        assert_int_equal(stmt_run(q), 0);
    }
    for (int first = 0; first < 6; first++) {
        int64_t since = now - 170 * MINUTE + first * 20 * MINUTE, n = 6 - first;
        int64_t mean = (first + 1 + 6) * 1000ll / 2; // of first + 1 to 6, in thousandths
        for (int64_t before = 0; before < 20 * MINUTE; before += 7 * MINUTE) {
            assert_int_equal(stats_read(t.store, since - before, &stats), 0);
            assert_int_equal(stats.taken.n, n);
            assert_int_equal(stats.taken.ms, mean * 10);
            assert_int_equal(stats.verdict.n, n);
            assert_int_equal(stats.verdict.ms, mean * 20);
            assert_int_equal(stats.mended.n, n);
            assert_int_equal(stats.mended.ms, mean * 60);
            assert_int_equal(stats.reversed, n);
        }
    }
    temp_store_close(&t);
}

// The longest words everywhere stay far below the cap.
static void test_the_page_is_bounded(void **state)
{
    (void)state;
    struct report *r = calloc(1, sizeof *r);
    struct buf page = BUF_INIT(REPORT_HTML_MAX);
    assert_non_null(r);
    *r = (struct report){.days = REPORT_DAYS_MAX,
                         .now = INT64_MAX / 2000,
                         .bar_days = 90,
                         .n_bars = REPORT_BARS_MAX,
                         .n_noise = RECURRING_MAX,
                         .n_proposals = REPORT_PROPOSALS_MAX,
                         .n_real = REPORT_REAL_MAX,
                         .n_escalations = REPORT_ESCALATIONS_MAX};
    r->stats.taken.n = 1;
#define FULL(field) memset(field, '"', sizeof(field) - 1)
    for (int i = 0; i < REPORT_BARS_MAX; i++)
        r->bars[i] = (struct report_bar){.counts = {INT64_MAX / 100000, INT64_MAX / 100000, 1000000,
                                                    1000000, 1000000, 1000000, 0},
                                         .taken = {1, INT64_MAX / 2},
                                         .mended = {1, INT64_MAX / 2}};
    for (int i = 0; i < REPORT_REAL_MAX; i++) {
        FULL(r->real[i].alertname);
        FULL(r->real[i].service);
        FULL(r->real[i].summary);
        FULL(r->real[i].root_cause);
        FULL(r->real[i].action);
    }
    for (int i = 0; i < RECURRING_MAX; i++) {
        r->noise[i].count = INT64_MAX / 200;
        FULL(r->noise[i].alertname);
        FULL(r->noise[i].where);
    }
    for (int i = 0; i < REPORT_PROPOSALS_MAX; i++)
        FULL(r->proposals[i].title);
    for (int i = 0; i < REPORT_ESCALATIONS_MAX; i++)
        FULL(r->escalations[i].title);
    assert_int_equal(report_html(r, &page), 0);
    assert_true(page.len < REPORT_HTML_MAX / 4);
    buf_done(&page);
    free(r);
}

static struct report *report_of_a_week(void)
{
    struct report *r = calloc(1, sizeof *r);
    assert_non_null(r);
    *r = (struct report){.days = 7,
                         .counts = {.noise = 6, .real = 50},
                         .now = at("2026-11-24T15:00:00Z"),
                         .bar_days = 1,
                         .n_bars = 2,
                         .proposal_days = 30};
    return r;
}

static void text_has(const struct report *r, const char *want)
{
    struct buf out = BUF_INIT(65536);
    assert_int_equal(report_text(r, "there", &out), 0);
    if (!strstr(buf_cstr(&out), want))
        fail_msg("no \"%s\" in:\n%s", want, buf_cstr(&out));
    buf_done(&out);
}

static void test_the_week_in_a_few_lines(void **state)
{
    (void)state;
    struct report *r = report_of_a_week();
    text_has(r, "**56 alerts**: 6 noise (10 %), 50 real, 0 undecided.\n\nThe whole report: there");
    r->escalations_total = r->unanswered = 1;
    text_has(r, "undecided. 1 escalation, 0 answered.\n");
    r->escalations_total = 3;
    r->answered = 2;
    r->answer_ms = 4 * MINUTE;
    text_has(r, " 3 escalations, 2 answered, half within 4 min.\n");
    r->spared = 6;
    text_has(r, " Checking saved: 30 min (5 minutes for each of 6).\n");
    r->n_proposals = 4;
    for (int i = 0; i < 4; i++)
        r->proposals[i] =
            (struct report_proposal){.id = i, .title = "Disk *full*", .of = 9, .removed = 8};
    text_has(r, "\n**Proposals**\n- Disk \\*full\\*, would have removed 8 of 9 firings\n"
                "- \\#1 Disk \\*full\\*, would have removed 8 of 9 firings\n"
                "- \\#2 Disk \\*full\\*, would have removed 8 of 9 firings\n\nThe whole");
    free(r);
}

static void page_has(const struct report *r, const char *want)
{
    struct buf out = BUF_INIT(REPORT_HTML_MAX);
    assert_int_equal(report_html(r, &out), 0);
    if (!strstr(buf_cstr(&out), want))
        fail_msg("no \"%s\" on the page", want);
    buf_done(&out);
}

static void test_what_the_page_leaves_out_is_counted(void **state)
{
    (void)state;
    struct report *r = report_of_a_week();
    r->n_real = 1;
    r->real[0] = (struct report_incident){.verdict = VERDICT_REAL, .alertname = "A"};
    page_has(r, "The newest of 50.");
    r->n_proposals = 1;
    r->proposals_total = 4;
    r->proposals[0] = (struct report_proposal){.id = 3,
                                               .title = "T",
                                               .alertname = "A",
                                               .scope = SCOPE_RULE,
                                               .of = 9,
                                               .removed = 8,
                                               .real = 2,
                                               .undecided = 1};
    page_has(r, "<td>removed 8 of 9 firings, 2 real, 1 undecided</td>");
    page_has(r, "and 3 more: webhook-channel proposals");
    r->n_noise = 1;
    r->noise[0] = (struct recurring_line){.alertname = "A", .where = "x", .count = 9};
    page_has(r, "saves 8 of 9, 2 of them real");
    free(r);
}

static void test_which_proposal_speaks_for_a_line(void **state)
{
    (void)state;
    struct report *r = report_of_a_week();
    struct recurring_line line = {.alertname = "A", .where = "tenant-test-*"};
    r->n_proposals = 1;
    struct report_proposal *p = &r->proposals[0];
    *p = (struct report_proposal){.alertname = "B", .scope = SCOPE_RULE};
    assert_null(report_proposal_for(r, &line));
    *p = (struct report_proposal){.alertname = "A", .scope = SCOPE_PROBLEM, .service = "checkout"};
    assert_null(report_proposal_for(r, &line));
    *p = (struct report_proposal){.alertname = "A", .scope = SCOPE_RULE};
    assert_ptr_equal(report_proposal_for(r, &line), p);
    *p = (struct report_proposal){
        .alertname = "A", .scope = SCOPE_FAMILY, .service = "tenant-*", .family = "tenant-"};
    assert_ptr_equal(report_proposal_for(r, &line), p);
    *p = (struct report_proposal){
        .alertname = "A", .scope = SCOPE_FAMILY, .service = "shop-*", .family = "shop-"};
    assert_null(report_proposal_for(r, &line));
    free(r);
}

// A rejected proposal is not in the report; a store that cannot be written leaves out the numbers.
static void test_proposals_of_the_report(void **state)
{
    (void)state;
    struct temp_store t;
    int64_t now = at("2026-11-24T15:00:00Z");
    struct report *r = malloc(sizeof *r);
    assert_non_null(r);
    temp_store_open(&t);
    for (int i = 0; i < 20; i++)
        past_fire(t.store, (struct past){.alertname = "A",
                                         .at = now - i * 19 * HOUR - HOUR,
                                         .lasted = MINUTE,
                                         .verdict = VERDICT_NOISE});
    assert_int_equal(report_read(t.store, 7, now, r), 0);
    assert_int_equal(r->n_proposals, 1);
    assert_int_equal(r->proposals[0].id, 1);
    run_sql(t.store, "ALTER TABLE proposal RENAME TO away");
    run_sql(t.store, "CREATE VIEW proposal AS SELECT * FROM away"); // it can be read, not written
    run_sql(t.store, "DELETE FROM away");
    assert_int_equal(report_read(t.store, 7, now, r), 0);
    assert_int_equal(r->n_proposals, 1);
    assert_int_equal(r->proposals[0].id, 0);
    run_sql(t.store, "DROP VIEW proposal");
    run_sql(t.store, "ALTER TABLE away RENAME TO proposal");
    assert_int_equal(report_read(t.store, 7, now, r), 0);
    assert_int_equal(
        proposal_decide(t.store, r->proposals[0].id, DECISION_REJECTED, "agent", "", now), 0);
    assert_int_equal(report_read(t.store, 7, now, r), 0);
    assert_int_equal(r->n_proposals, 0);
    free(r);
    temp_store_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_html_text_acts_nowhere),
        cmocka_unit_test(test_numbers_for_people),
        cmocka_unit_test(test_a_scale_has_few_round_lines),
        cmocka_unit_test(test_markdown_of_strangers_is_text),
        cmocka_unit_test(test_the_query_of_the_page),
        cmocka_unit_test(test_monday_is_local),
        cmocka_unit_test(test_a_week_is_told_once),
        cmocka_unit_test(test_bars_cover_the_window),
        cmocka_unit_test(test_paces_are_exact),
        cmocka_unit_test(test_the_page_is_bounded),
        cmocka_unit_test(test_the_week_in_a_few_lines),
        cmocka_unit_test(test_what_the_page_leaves_out_is_counted),
        cmocka_unit_test(test_which_proposal_speaks_for_a_line),
        cmocka_unit_test(test_proposals_of_the_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
