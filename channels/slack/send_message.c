// Messages, their changes, and reactions.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "channels/slack/lane.h"
#include "channels/slack/message.h"
#include "common/clock.h"
#include "common/log.h"

#define EVENT_TYPE "sre_channels"

static void on_posted(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    if (a->verdict != API_OK) {
        lane_unsuccessful(l, a, "chat.postMessage");
        return;
    }
    const char *ts = json_str(a->json, "ts"), *channel = json_str(a->json, "channel");
    if (channel)
        snprintf(l->channel, sizeof l->channel, "%s", channel);
    if (l->row.thread_ts[0] && !json_str(json_obj(a->json, "message"), "thread_ts"))
        log_warn("slack: the thread is gone, the message stands by itself", "row",
                 log_int(l->row.id));
    lane_sent(l, ts ? ts : "");
}

static int render(struct lane *l, struct message *m)
{
    int r = message_render(l->x->store, &l->row, clock_wall_ms(), m);
    if (r == 0)
        buf_add(&l->text, m->text.data, m->text.len);
    if (r == -ECANCELED)
        lane_pointless(l);
    else if (r < 0) {
        log_error("slack: a message could not be made", "row", log_int(l->row.id), "error",
                  strerror(-r));
        lane_back_off(l, 1000);
        lane_again(l);
    }
    return r;
}

void lane_post(struct lane *l)
{
    struct message m;
    if (render(l, &m) == 0 && lane_attempt(l)) {
        struct buf form = BUF_INIT(LANE_MAX_FORM), metadata = BUF_INIT(1024);
        buf_addf(&metadata, "{\"event_type\":\"%s\",\"event_payload\":{\"id\":\"%s\"}}", EVENT_TYPE,
                 l->row.key);
        http_form_add(&form, "channel", str_of(l->channel[0] ? l->channel : l->row.user));
        http_form_add(&form, "text", buf_str(&m.text));
        if (m.blocks.len)
            http_form_add(&form, "blocks", buf_str(&m.blocks));
        if (l->row.thread_ts[0])
            http_form_add(&form, "thread_ts", str_of(l->row.thread_ts));
        if (l->row.thread_ts[0] && m.broadcast)
            http_form_add(&form, "reply_broadcast", str_of("true"));
        http_form_add(&form, "metadata", buf_str(&metadata));
        http_form_add(&form, "client_msg_id", str_of(l->row.key));
        http_form_add(&form, "unfurl_links", str_of("false"));
        http_form_add(&form, "unfurl_media", str_of("false"));
        buf_done(&metadata);
        if (lane_call(l, "chat.postMessage", &form, 0, on_posted) < 0)
            lane_requeue(l, l->row.plain);
    }
    message_done(&m);
}

// ---- changing and reacting ----

static void on_changed(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    if (a->verdict == API_OK || strcmp(a->error, "already_reacted") == 0)
        lane_sent(l, l->row.target_ts);
    else
        lane_unsuccessful(l, a, l->row.op == OUT_UPDATE ? "chat.update" : "reactions.add");
}

void lane_update(struct lane *l)
{
    struct message m = {.text = BUF_INIT(1)};
    struct outbox_place place;
    if (!l->row.target_ts[0]) {
        int r = outbox_shown(l->x->store, l->row.ref, l->row.ref_id, l->row.user, &place);
        if (r <= 0) {
            lane_pointless(l);
            return;
        }
        snprintf(l->row.target_ts, sizeof l->row.target_ts, "%s", place.ts);
    }
    if (render(l, &m) == 0 && lane_attempt(l)) {
        struct buf form = BUF_INIT(LANE_MAX_FORM);
        http_form_add(&form, "channel", str_of(l->channel));
        http_form_add(&form, "ts", str_of(l->row.target_ts));
        http_form_add(&form, "text", buf_str(&m.text));
        if (m.blocks.len)
            http_form_add(&form, "blocks", buf_str(&m.blocks));
        if (lane_call(l, "chat.update", &form, API_REPEATABLE, on_changed) < 0)
            lane_requeue(l, l->row.plain);
    }
    message_done(&m);
}

void lane_react(struct lane *l)
{
    struct buf form = BUF_INIT(LANE_MAX_FORM);
    if (!lane_attempt(l))
        return;
    http_form_add(&form, "channel", str_of(l->channel));
    http_form_add(&form, "timestamp", str_of(l->row.target_ts));
    http_form_add(&form, "name", str_of(l->row.body));
    if (lane_call(l, "reactions.add", &form, API_REPEATABLE, on_changed) < 0)
        lane_requeue(l, false);
}
