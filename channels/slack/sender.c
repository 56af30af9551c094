#include "channels/slack/sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/inbox.h"
#include "channels/slack/lane.h"
#include "channels/slack/message.h"
#include "common/clock.h"
#include "common/log.h"

enum { SETTLE_MS = 1000 }; // after an attempt that was cut off, before it is looked for

static void step(struct lane *l);

// ---- one row ----

static void on_conversation(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    const char *id = json_str(json_obj(a->json, "channel"), "id");
    if (a->verdict == API_OK && id) {
        snprintf(l->channel, sizeof l->channel, "%s", id);
        if (person_set_channel(l->x->store, l->row.user, id) < 0)
            log_debug("slack: a conversation was not noted");
        step(l);
    } else if (a->verdict == API_STOP && strcmp(a->error, "missing_scope") == 0 &&
               l->row.op == OUT_POST && l->row.state == OUT_QUEUED) {
        lane_post(
            l); // chat.postMessage takes the person's id too, and answers with the conversation
    } else {
        lane_unsuccessful(l, a, "conversations.open");
    }
}

static void open_conversation(struct lane *l)
{
    struct buf form = BUF_INIT(LANE_MAX_FORM);
    http_form_add(&form, "users", str_of(l->row.user));
    if (lane_call(l, "conversations.open", &form, API_REPEATABLE, on_conversation) < 0)
        lane_again(l);
}

static void step(struct lane *l)
{
    if (!l->channel[0]) {
        open_conversation(l);
        return;
    }
    if (l->row.state == OUT_ATTEMPTED && l->row.op == OUT_POST) {
        struct message m;
        if (message_render(l->x->store, &l->row, clock_wall_ms(), &m) == 0)
            buf_add(&l->text, m.text.data, m.text.len);
        message_done(&m);
        lane_look(l);
        return;
    }
    if (l->row.state == OUT_ATTEMPTED && l->row.op == OUT_UPLOAD && l->row.file_id[0]) {
        lane_look(l);
        return;
    }
    switch (l->row.op) {
    case OUT_POST:
        lane_post(l);
        break;
    case OUT_UPDATE:
        lane_update(l);
        break;
    case OUT_REACT:
        lane_react(l);
        break;
    case OUT_UPLOAD:
        lane_upload(l);
        break;
    }
}

static struct lane *lane_of(struct sender *x, const char *user)
{
    struct lane *free_lane = NULL;
    for (size_t i = 0; i < ARRAY_LEN(x->lanes); i++) {
        struct lane *l = &x->lanes[i];
        if (strcmp(l->user, user) == 0)
            return l;
        if (!l->busy && (!free_lane || !l->user[0]))
            free_lane = l;
    }
    if (free_lane) {
        *free_lane = (struct lane){.x = x};
        snprintf(free_lane->user, sizeof free_lane->user, "%s", user);
    }
    return free_lane;
}

static void start_row(struct lane *l, struct outbox_row *row)
{
    struct person p;
    l->busy = true;
    l->row = *row;
    l->text = BUF_INIT(1 << 20);
    l->channel[0] = l->cursor[0] = '\0';
    l->looked_in_thread = false;
    l->pages = 0;
    if (person_read(l->x->store, row->user, &p) == 0)
        memcpy(l->channel, p.channel, sizeof l->channel);
    int64_t age = clock_wall_ms() - row->attempted_at;
    if (row->state == OUT_ATTEMPTED && age >= 0 && age < SETTLE_MS) { // killed a moment ago
        lane_wait(l, SETTLE_MS - age);
        lane_again(l);
        return;
    }
    step(l);
}

static void on_timer(uv_timer_t *t)
{
    struct sender *x = t->data;
    int64_t now = clock_boot_ms(), after = 0, next = -1;
    if (x->draining)
        return;
    if (x->stopped_until > now) {
        uv_timer_start(&x->timer, on_timer, (uint64_t)(x->stopped_until - now), 0);
        return;
    }
    struct outbox_row row;
    int r;
    while ((r = outbox_head(x->store, after, &row)) > 0) {
        after = row.id;
        struct lane *l = lane_of(x, row.user);
        if (!l || l->busy || l->not_before > now) {
            int64_t wait = !l ? 1000 : l->busy ? -1 : l->not_before - now;
            if (wait >= 0 && (next < 0 || wait < next))
                next = wait;
            outbox_row_done(&row);
            continue;
        }
        start_row(l, &row);
    }
    if (r < 0)
        next = 1000;
    if (next >= 0 && !uv_is_active((uv_handle_t *)&x->timer))
        uv_timer_start(&x->timer, on_timer, (uint64_t)next, 0);
}

void sender_kick(struct sender *x)
{
    uv_timer_start(&x->timer, on_timer, 0, 0);
}

void sender_hurry(struct sender *x)
{
    for (size_t i = 0; i < ARRAY_LEN(x->lanes); i++)
        if (x->lanes[i].backoff.failures) {
            backoff_reset(&x->lanes[i].backoff);
            x->lanes[i].not_before = 0;
        }
    sender_kick(x);
}

const char *sender_stopped(const struct sender *x)
{
    return x->stopped;
}

void sender_drain(struct sender *x)
{
    x->draining = true;
}

bool sender_escalates(const struct sender *x)
{
    for (size_t i = 0; i < ARRAY_LEN(x->lanes); i++) {
        const struct lane *l = &x->lanes[i];
        if (l->busy && l->row.op == OUT_POST &&
            (l->row.ref == REF_ESCALATION || l->row.ref == REF_NAG))
            return true;
    }
    return false;
}

bool sender_idle(const struct sender *x)
{
    for (size_t i = 0; i < ARRAY_LEN(x->lanes); i++)
        if (x->lanes[i].busy)
            return false;
    return true;
}

int sender_new(uv_loop_t *loop, struct store *s, struct slack_api *api, const struct access *access,
               const char *files, const struct sender_handler *handler, struct sender **ret_sender)
{
    struct sender *x = calloc(1, sizeof *x);
    if (!x)
        return -ENOMEM;
    x->store = s;
    x->api = api;
    x->access = access;
    x->files = files;
    x->handler = *handler;
    uv_timer_init(loop, &x->timer);
    x->timer.data = x;
    *ret_sender = x;
    return 0;
}

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

void sender_close(struct sender *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < ARRAY_LEN(x->lanes); i++)
        if (x->lanes[i].busy)
            lane_end(&x->lanes[i]);
    uv_close((uv_handle_t *)&x->timer, on_timer_closed);
}
