#include "channels/webhook/report_get.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/report.h"
#include "channels/webhook/report_style.h"
#include "common/log.h"

#define PATIENCE_MS 20000
#define DEFAULT_DAYS 7

struct report_get {
    struct report_desk *desk;
    struct http_request *request;
    struct helper *helper;
    void (*done)(struct report_get *g, int error, struct str page);
};

void report_desk_init(struct report_desk *d, uv_loop_t *loop)
{
    *d = (struct report_desk){.loop = loop};
}

int report_get_days(struct str query, int64_t *ret_days)
{
    int64_t days = 0;
    if (!query.n) {
        *ret_days = DEFAULT_DAYS;
        return 0;
    }
    if (query.n < 6 || query.n > 9 || memcmp(query.p, "days=", 5) != 0)
        return -EINVAL;
    for (size_t i = 5; i < query.n; i++) {
        if (query.p[i] < '0' || query.p[i] > '9')
            return -EINVAL;
        days = days * 10 + (query.p[i] - '0');
    }
    if (days < 1 || days > REPORT_DAYS_MAX)
        return -EINVAL;
    *ret_days = days;
    return 0;
}

static void on_done(int status, struct str out, void *data)
{
    struct report_get *g = data;
    bool whole = status == 0 && out.n > 0;
    if (!whole)
        log_warn("the report could not be made", "status", log_int(status));
    g->desk->n--;
    g->done(g, whole ? 0 : -EIO, out);
    free(g);
}

int report_get_start(struct report_desk *d, struct http_request *r, int64_t days,
                     void (*done)(struct report_get *g, int error, struct str page),
                     struct report_get **ret)
{
    char program[] = "webhook-channel", report[] = "report", html[] = "--html", out[] = "-";
    char days_word[] = "--days", n[24];
    char *words[] = {program, report, days_word, n, html, out, NULL};
    snprintf(n, sizeof n, "%lld", (long long)days);
    if (d->n >= REPORT_GETS_MAX)
        return -EBUSY;
    struct report_get *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    *g = (struct report_get){.desk = d, .request = r, .done = done};
    struct helper_run run = {.words = words,
                             .max_output = REPORT_HTML_MAX,
                             .patience_ms = PATIENCE_MS,
                             .done = on_done,
                             .data = g};
    int e = helper_start(d->loop, &run, &g->helper);
    if (e < 0) {
        log_warn("the report cannot be begun", "why", uv_strerror(e));
        free(g);
        return e;
    }
    d->n++;
    *ret = g;
    return 0;
}

void report_get_cancel(struct report_get *g)
{
    g->desk->n--;
    helper_stop(g->helper);
    free(g);
}

struct http_request *report_get_request(const struct report_get *g)
{
    return g->request;
}

void report_get_headers(struct buf *out)
{
    buf_adds(out, "Content-Security-Policy: ");
    report_policy(out, true);
    buf_adds(out, "\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
                  "Cache-Control: no-store\r\n");
}
