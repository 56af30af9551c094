#include "channels/webhook/tickets.h"

#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/ticket_api.h"
#include "channels/webhook/ticket_store.h"
#include "common/clock.h"
#include "common/http_client.h"
#include "common/log.h"

#define TIMEOUT_MS (20 * 1000)
#define WAIT_MS 1000         // before the second attempt, doubling
#define UNSURE_MS (5 * 1000) // until a search knows what was created
#define MAX_WAIT_MS (3600 * 1000ll)

struct tickets {
    uv_loop_t *loop;
    struct store *store;
    const struct config *config;
    struct http_client *http; // NULL until it is needed
    enum ticket_system system;
    bool under_way;
    struct ticket_row row; // while under_way
    enum ticket_step step;
};

static struct ticket_words words_of(const struct ticket_row *row)
{
    return (struct ticket_words){.title = row->title,
                                 .body = row->body,
                                 .mark = row->mark,
                                 .note = row->note,
                                 .key = row->key,
                                 .labels = row->labels,
                                 .assignee = row->assignee};
}

// The attempt is over. What could not be recorded is claimed again, and looked for first.
static void finish(struct tickets *t, int r)
{
    if (r < 0 && r != -EBUSY)
        log_error("a ticket's end cannot be recorded", "why", store_error(t->store));
    ticket_row_done(&t->row);
    t->under_way = false;
}

static void later(struct tickets *t, const struct ticket_answer *a, int64_t retry_after_s)
{
    int64_t now = clock_wall_ms(), wait = WAIT_MS;
    for (int64_t i = 1; i < t->row.attempts && wait < MAX_WAIT_MS; i++)
        wait *= 2;
    if (a->verdict == TICKET_UNSURE && wait < UNSURE_MS)
        wait = UNSURE_MS;
    if (retry_after_s > 0 && retry_after_s <= MAX_WAIT_MS / 1000 && wait < retry_after_s * 1000)
        wait = retry_after_s * 1000;
    if (retry_after_s > MAX_WAIT_MS / 1000 || wait > MAX_WAIT_MS)
        wait = MAX_WAIT_MS;
    log_warn("a ticket could not be written, it is tried again", "why", a->why, "attempt",
             log_int(t->row.attempts));
    finish(t, t->row.attempts >= TICKETS_ATTEMPTS
                  ? ticket_given_up(t->store, &t->row, a->why, now)
                  : ticket_later(t->store, &t->row, now + wait, a->why));
}

static void ask(struct tickets *t, enum ticket_step step);

static void begin(struct tickets *t)
{
    if (t->system == TICKET_JIRA_UNKNOWN)
        ask(t, TICKET_DETECT);
    else if (t->row.op == TICKET_OP_COMMENT)
        ask(t, TICKET_STATUS);
    else
        ask(t, t->row.attempts > 1 ? TICKET_SEARCH : TICKET_CREATE);
}

static void advance(struct tickets *t, const struct ticket_answer *a)
{
    int64_t now = clock_wall_ms();
    bool ok = a->verdict == TICKET_OK;
    switch (t->step) {
    case TICKET_DETECT:
        t->system = a->system;
        begin(t);
        return;
    case TICKET_SEARCH:
        if (!ok) {
            ask(t, TICKET_CREATE);
            return;
        }
        // fall through
    case TICKET_CREATE:
        log_info("ticket", "key", a->key);
        finish(t, ticket_created(t->store, &t->row, a->key, a->url, now));
        return;
    case TICKET_STATUS:
        if (ok)
            ask(t, t->row.attempts > 1 ? TICKET_LOOK : TICKET_COMMENT);
        else
            finish(t, ticket_renew(t->store, &t->row, now));
        return;
    case TICKET_LOOK:
        if (!ok) {
            ask(t, TICKET_COMMENT);
            return;
        }
        // fall through
    case TICKET_COMMENT:
        finish(t, ticket_commented(t->store, &t->row, now));
        return;
    }
}

static void take(struct tickets *t, const struct ticket_answer *a, int64_t retry_after_s)
{
    switch (a->verdict) {
    case TICKET_OK:
    case TICKET_ABSENT:
        advance(t, a);
        return;
    case TICKET_WAIT:
    case TICKET_UNSURE:
        later(t, a, retry_after_s);
        return;
    case TICKET_BAD_ASSIGNEE:
        if (t->row.assignee[0]) {
            log_warn("a ticket goes without its assignee", "why", a->why);
            finish(t, ticket_without_assignee(t->store, &t->row));
            return;
        }
        // fall through
    case TICKET_REFUSED:
        log_error("a ticket is refused", "why", a->why);
        finish(t, ticket_given_up(t->store, &t->row, a->why, clock_wall_ms()));
        return;
    }
}

static void on_done(const struct http_call_response *r, void *data)
{
    struct tickets *t = data;
    struct ticket_words words = words_of(&t->row);
    struct ticket_answer a;
    ticket_answer_read(&a, t->config, t->system, t->step, &words,
                       r->outcome == HTTP_ANSWERED ? r->status : 0, r->outcome == HTTP_UNKNOWN,
                       r->error_text, r->body);
    take(t, &a, r->retry_after_s);
}

static void ask(struct tickets *t, enum ticket_step step)
{
    struct ticket_words words = words_of(&t->row);
    struct ticket_request q;
    t->step = step;
    int r = ticket_request_write(&q, t->config, t->system, step, &words);
    const char *headers[] = {buf_cstr(&q.auth), "Accept: application/json", NULL};
    struct http_call_request request = {.method = q.method,
                                        .url = buf_cstr(&q.url),
                                        .headers = headers,
                                        .content_type = q.body.len ? "application/json" : NULL,
                                        .body = q.body.len ? buf_str(&q.body) : (struct str){0},
                                        .timeout_ms = TIMEOUT_MS,
                                        .repeatable = strcmp(q.method, "GET") == 0,
                                        .allow_plain_loopback = true};
    if (r == 0)
        r = http_client_call(t->http, &request, on_done, t, NULL);
    ticket_request_done(&q);
    if (r < 0) {
        struct ticket_answer a = {.verdict = TICKET_WAIT};
        snprintf(a.why, sizeof a.why, "%s", strerror(-r));
        later(t, &a, 0);
    }
}

void tickets_run(struct tickets *t, int64_t wall)
{
    if (t->under_way || t->system == TICKET_NONE)
        return;
    int r = ticket_claim(t->store, wall, &t->row);
    if (r < 0 && r != -EBUSY)
        log_error("the tickets cannot be read", "why", store_error(t->store));
    if (r <= 0)
        return;
    t->under_way = true;
    if (!t->http && (r = http_client_new(t->loop, &t->http)) < 0) {
        struct ticket_answer a = {.verdict = TICKET_WAIT};
        snprintf(a.why, sizeof a.why, "%s", strerror(-r));
        later(t, &a, 0);
        return;
    }
    begin(t);
}

int tickets_new(uv_loop_t *loop, struct store *s, const struct config *c,
                struct tickets **ret_tickets)
{
    struct buf missing = BUF_INIT(1024);
    struct tickets *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->loop = loop;
    t->store = s;
    t->config = c;
    t->system = ticket_system_of(c, &missing);
    buf_done(&missing);
    *ret_tickets = t;
    return 0;
}

void tickets_close(struct tickets *t)
{
    if (!t)
        return;
    http_client_close(t->http);
    ticket_row_done(&t->row);
    free(t);
}
