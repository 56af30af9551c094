#include "channels/webhook/weekly.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "channels/webhook/helper.h"
#include "channels/webhook/report.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/page.h"

#define EVERY_MS 1000
#define AGAIN_MS (60 * 1000) // after a try, whatever became of it
#define PATIENCE_MS (60 * 1000)
#define DAYS 7
#define HOUR 9
#define DAY_MS (24ll * 3600 * 1000)
#define MAX_PAGE 3000 // of Slack's message, with the escapes that it may need

struct weekly {
    uv_timer_t timer;
    uv_loop_t *loop;
    struct store *store;
    struct helper *helper; // NULL: none is at work
    int64_t not_before;    // boot ms
};

// ---- when ----

int64_t weekly_monday(int64_t now)
{
    time_t t = (time_t)(now / 1000);
    struct tm tm;
    if (!localtime_r(&t, &tm))
        return 0;
    for (int back = (tm.tm_wday + 6) % 7;; back = 7) { // days since Monday
        tm = (struct tm){.tm_year = tm.tm_year,
                         .tm_mon = tm.tm_mon,
                         .tm_mday = tm.tm_mday - back,
                         .tm_hour = HOUR,
                         .tm_isdst = -1};
        int64_t monday = (int64_t)mktime(&tm) * 1000; // it also brings tm into form
        if (monday <= now)
            return monday;
    }
}

int weekly_is_due(struct store *s, int64_t now)
{
    struct stmt *q = store_sql(s, "SELECT told_at FROM weekly WHERE id = 1");
    int r = stmt_step(q);
    int64_t told_at = r > 0 ? col_int(q, 0) : now;
    stmt_reset(q);
    if (r < 0)
        return r;
    if (told_at > now + DAY_MS) { // noted while the clock was wrong: it would be silent until then
        q = store_sql(s, "UPDATE weekly SET told_at = ? WHERE id = 1");
        bind_int(q, 1, now);
        r = stmt_run(q);
        return r < 0 ? r : 0;
    }
    return told_at < weekly_monday(now);
}

// ---- what ----

static void write_where(const struct config *c, struct buf *out)
{
    const char *port = strrchr(c->listen, ':');
    char host[256] = "";
    bool any = strncmp(c->listen, "0.0.0.0:", 8) == 0 || strncmp(c->listen, "[::]:", 5) == 0;
    if (any && gethostname(host, sizeof host - 1) < 0)
        host[0] = '\0';
    buf_adds(out, "`webhook-channel report --html FILE`");
    if (!port || strcmp(port, ":0") == 0)
        return;
    if (any && host[0])
        buf_addf(out, ", or `http://%s%s/report`", host, port);
    else
        buf_addf(out, ", or `http://%s/report`", c->listen);
}

// In a transaction: 1 = it was ours to note.
static int note(struct store *s, int64_t now)
{
    struct stmt *q = store_sql(s, "UPDATE weekly SET told_at = ?1 WHERE id = 1 AND told_at < ?2");
    bind_int(q, 1, now);
    bind_int(q, 2, weekly_monday(now));
    int r = stmt_run(q);
    return r < 0 ? r : store_changes(s) > 0;
}

int weekly_tell(struct store *s, const struct config *c, int64_t now)
{
    struct buf text = BUF_INIT(4 * MAX_PAGE), where = BUF_INIT(512);
    struct report *report = malloc(sizeof *report);
    bool any = false;
    int r = report ? weekly_is_due(s, now) : -ENOMEM;
    if (r > 0) {
        r = report_read(s, DAYS, now, report);
        any = r == 0 && tally_total(&report->counts) > 0;
        write_where(c, &where);
        if (any)
            r = report_text(report, buf_cstr(&where), &text);
        if (r == 0)
            r = store_begin(s);
        if (r == 0) {
            r = note(s, now);
            if (r > 0 && any)
                r = page_add(s, &(struct page){.severity = "info", .text = buf_cstr(&text)}, now,
                             NULL);
            else
                any = false;
            if (r >= 0)
                r = store_commit(s);
            else
                store_rollback(s);
        }
    }
    free(report);
    buf_done(&text);
    buf_done(&where);
    return r < 0 ? r : any;
}

// ---- in time ----

static void on_told(int status, struct str out, void *data)
{
    struct weekly *w = data;
    (void)out;
    w->helper = NULL;
    if (status != 0)
        log_warn("the week's summary could not be written", "status", log_int(status));
}

static void on_timer(uv_timer_t *timer)
{
    static char *words[] = {"webhook-channel", "report", "--weekly", NULL};
    struct weekly *w = timer->data;
    int64_t now = clock_boot_ms();
    if (w->helper || now < w->not_before || weekly_is_due(w->store, clock_wall_ms()) <= 0)
        return;
    w->not_before = now + AGAIN_MS;
    struct helper_run run = {
        .words = words, .max_output = 4096, .patience_ms = PATIENCE_MS, .done = on_told, .data = w};
    int r = helper_start(w->loop, &run, &w->helper);
    if (r < 0)
        log_warn("the week's summary cannot be begun", "why", uv_strerror(r));
}

int weekly_start(uv_loop_t *loop, struct store *s, struct weekly **ret)
{
    struct weekly *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->loop = loop;
    w->store = s;
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_timer, EVERY_MS, EVERY_MS);
    *ret = w;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

void weekly_stop(struct weekly *w)
{
    if (!w)
        return;
    helper_stop(w->helper);
    uv_close((uv_handle_t *)&w->timer, on_closed);
}
