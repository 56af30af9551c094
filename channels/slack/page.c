#include "channels/slack/page.h"

#include <errno.h>
#include <stdio.h>

#include "channels/slack/engine.h"
#include "channels/slack/missing.h"
#include "channels/slack/outbox.h"
#include "common/clock.h"
#include "common/options.h"
#include "common/output.h"
#include "common/page.h"
#include "common/redact.h"
#include "common/text.h"

enum {
    WAIT_MS = 30 * 1000, // for it to be sent
    CHECK_MS = 200,
    MAX_TEXT = 3000, // bytes
};

struct paging {
    uv_loop_t loop;
    uv_timer_t timer;
    struct store *store;
    struct engine *engine;
    int64_t page_id, until;
    struct outbox_place place;
    bool over;
    struct buf status; // why it was given up
};

int page_options_read(int argc, char **argv, struct page_options *ret)
{
    static const char *const severities[] = {"critical", "error", "warning", "info"};
    struct option severity = {.name = "--severity", .kind = OPTION_TEXT, .text = "error"};
    struct buf why = BUF_INIT(512);
    const char *text;
    int words;
    int r = options_parse(argc, argv, &severity, 1, &text, 1, &words, &why);
    if (r < 0)
        fprintf(stderr, "page: %s\n", buf_cstr(&why));
    buf_done(&why);
    if (r < 0 || words != 1 || !text[0])
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_LEN(severities); i++)
        if (strcmp(severity.text, severities[i]) == 0) {
            *ret = (struct page_options){.severity = severity.text, .text = text};
            return 0;
        }
    fprintf(stderr, "page: --severity must be critical, error, warning or info\n");
    return -EINVAL;
}

static enum outbox_state outcome(struct paging *p)
{
    struct stmt *q =
        store_sql(p->store, "SELECT id FROM slack_outbox WHERE ref = ? AND ref_id = ?");
    bind_int(q, 1, REF_PAGE);
    bind_int(q, 2, p->page_id);
    int64_t row = stmt_step(q) > 0 ? col_int(q, 0) : 0;
    stmt_reset(q);
    if (!row || outbox_read(p->store, row, &p->place) <= 0)
        p->place.state = OUT_QUEUED;
    return p->place.state;
}

static void on_closed(void *data)
{
    (void)data;
}

static void check(struct paging *p)
{
    enum outbox_state state = outcome(p);
    bool done = state == OUT_SENT || state == OUT_FAILED || engine_refused(p->engine) ||
                clock_boot_ms() >= p->until;
    if (p->over || !done)
        return;
    p->over = true;
    engine_status(p->engine, &p->status);
    uv_close((uv_handle_t *)&p->timer, NULL);
    engine_close(p->engine, on_closed, p);
}

static void on_timer(uv_timer_t *t)
{
    check(t->data);
}

static void on_change(void *data)
{
    check(data);
}

static int store_page(struct paging *p, const struct page_options *o)
{
    struct buf safe = BUF_INIT(1 << 20), text = BUF_INIT(2 * MAX_TEXT);
    int r = redact(&safe, str_of(o->text));
    if (r >= 0)
        r = text_clean(&text, buf_str(&safe), MAX_TEXT, 0);
    if (r == 0)
        r = page_add(p->store, &(struct page){.severity = o->severity, .text = buf_cstr(&text)},
                     clock_wall_ms(), &p->page_id);
    buf_done(&safe);
    buf_done(&text);
    return r;
}

static void wait_for_it(struct paging *p, const struct config *config)
{
    struct engine_handler handler = {.on_change = on_change, .data = p};
    uv_loop_init(&p->loop);
    uv_timer_init(&p->loop, &p->timer);
    p->timer.data = p;
    p->until = clock_boot_ms() + WAIT_MS;
    if (engine_new(&p->loop, p->store, config, TURN_PAGE, &handler, &p->engine) < 0)
        return;
    uv_timer_start(&p->timer, on_timer, CHECK_MS, CHECK_MS);
    engine_start(p->engine);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    uv_loop_close(&p->loop);
}

int page_run(const struct config *config, struct store *s, const struct page_options *o)
{
    struct paging p = {.store = s, .status = BUF_INIT(1024)};
    struct buf missing = BUF_INIT(1024);
    slack_config_missing(config, &missing);
    if (missing.len) {
        fprintf(stderr, "not sent: Slack is not configured, missing: %s\n", buf_cstr(&missing));
        buf_done(&missing);
        return 1;
    }
    if (store_page(&p, o) < 0) {
        fprintf(stderr, "not sent: it could not be stored: %s\n", store_error(s));
        return 1;
    }
    wait_for_it(&p, config);
    if (p.place.state == OUT_SENT) {
        buf_done(&p.status);
        return output(str_of("sent\n")) < 0 ? 1 : 0;
    }
    if (p.place.state == OUT_FAILED)
        fprintf(stderr, "not sent: Slack refused it: %s\n", p.place.error);
    else
        fprintf(stderr,
                "not sent yet: it is stored and goes out as soon as Slack can be reached and "
                "a channel runs (now: %s)\n",
                buf_cstr(&p.status));
    buf_done(&p.status);
    return 1;
}
