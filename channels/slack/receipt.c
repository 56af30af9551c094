#include "channels/slack/receipt.h"

#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/inbox.h"
#include "channels/slack/outbox.h"

struct receipt {
    struct receipts *all;
    struct receipt *next;
    struct mcp_call *call;
    uv_timer_t timer;
    char user[24];
    size_t n;
    int64_t rows[RECEIPT_MAX_ROWS];
};

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

static void drop(struct receipt *r)
{
    for (struct receipt **p = &r->all->head; *p; p = &(*p)->next)
        if (*p == r) {
            *p = r->next;
            break;
        }
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

static const char *explain(const char *error)
{
    if (strcmp(error, "cant_update_message") == 0)
        return " (only our own messages can be changed)";
    if (strcmp(error, "message_not_found") == 0)
        return " (message_ts names no message of that chat)";
    if (strcmp(error, "invalid_name") == 0)
        return " (emoji: no such name)";
    if (strcmp(error, "missing_scope") == 0)
        return " (the app needs another scope: run slack-channel doctor)";
    return "";
}

static void finish(struct receipt *r, bool sent, const char *channel, char ts[][32], size_t n)
{
    struct buf text = BUF_INIT(8192), json = BUF_INIT(16384), status = BUF_INIT(1024);
    struct jw j = JW(&json);
    jw_object(&j);
    jw_kstr(&j, "status", sent ? "sent" : "queued");
    jw_kstr(&j, "chat_id", channel);
    if (n)
        jw_kstr(&j, "message_ts", ts[0]);
    jw_key(&j, "messages");
    jw_array(&j);
    for (size_t i = 0; i < n; i++) {
        jw_object(&j);
        jw_kstr(&j, "message_ts", ts[i]);
        jw_object_end(&j);
    }
    jw_array_end(&j);
    bool well = engine_status(r->all->engine, &status) > 0;
    if (!sent)
        jw_kstr(&j, "slack", buf_cstr(&status));
    jw_object_end(&j);
    if (sent)
        buf_addf(&text, "Sent to %s%s%s.", channel, n ? ", message_ts " : "", n ? ts[0] : "");
    else
        buf_addf(&text,
                 "Stored, not sent yet (%s). It will be sent once, as soon as it can be: do not "
                 "repeat it.",
                 well ? "Slack takes its time" : buf_cstr(&status));
    mcp_call_finish(r->call, buf_str(&text), buf_str(&json));
    buf_done(&text);
    buf_done(&json);
    buf_done(&status);
}

// True: the call was answered.
static bool try_answer(struct receipt *r, bool late)
{
    struct outbox_place place;
    struct person person;
    char ts[RECEIPT_MAX_ROWS][32];
    size_t n = 0, done = 0;
    char channel[24] = "";
    if (person_read(r->all->store, r->user, &person) == 0)
        memcpy(channel, person.channel, sizeof channel);
    for (size_t i = 0; i < r->n; i++) {
        if (outbox_read(r->all->store, r->rows[i], &place) <= 0)
            continue;
        if (place.state == OUT_FAILED) {
            mcp_call_error(r->call, "Slack refused: %s%s", place.error, explain(place.error));
            return true;
        }
        if (place.state != OUT_SENT)
            continue;
        done++;
        if (place.ts[0])
            memcpy(ts[n++], place.ts, sizeof ts[0]);
        if (place.channel[0])
            memcpy(channel, place.channel, sizeof channel);
    }
    if (done < r->n && !late)
        return false;
    finish(r, done == r->n, channel[0] ? channel : r->user, ts, n);
    return true;
}

static void on_late(uv_timer_t *t)
{
    struct receipt *r = t->data;
    try_answer(r, true);
    drop(r);
}

void receipts_look(struct receipts *all)
{
    for (struct receipt *r = all->head, *next; r; r = next) {
        next = r->next;
        if (try_answer(r, false))
            drop(r);
    }
}

void receipt_wait(struct receipts *all, struct mcp_call *call, const int64_t *rows, size_t n,
                  const char *user)
{
    struct receipt *r = calloc(1, sizeof *r);
    if (!r) {
        mcp_call_error(call, "out of memory; what was said is stored and will be sent");
        return;
    }
    r->all = all;
    r->call = call;
    r->n = n;
    memcpy(r->rows, rows, n * sizeof rows[0]);
    snprintf(r->user, sizeof r->user, "%s", user);
    uv_timer_init(all->loop, &r->timer);
    r->timer.data = r;
    r->next = all->head;
    all->head = r;
    uv_timer_start(&r->timer, on_late, RECEIPT_WAIT_MS, 0);
}

void receipts_end(struct receipts *all)
{
    while (all->head) {
        try_answer(all->head, true);
        drop(all->head);
    }
}
