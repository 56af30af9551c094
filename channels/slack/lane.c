#include "channels/slack/lane.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "channels/slack/inbox.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"

enum {
    STOPPED_MS = 60 * 1000,      // between attempts when only a person can help
    REFUSED_MS = 10 * 60 * 1000, // likewise, when it is the token
    LOOK_AFTER_MS = 1000,        // what was cut off may still be on its way into the history
};

void lane_end(struct lane *l)
{
    outbox_row_done(&l->row);
    buf_done(&l->text);
    l->busy = false;
}

void lane_wait(struct lane *l, int64_t ms)
{
    int64_t until = clock_boot_ms() + ms;
    if (until > l->not_before)
        l->not_before = until;
}

void lane_back_off(struct lane *l, int64_t at_least)
{
    uint32_t random;
    random_bytes(&random, sizeof random);
    lane_wait(l, backoff_next(&l->backoff, random, at_least));
}

void lane_again(struct lane *l)
{
    struct sender *x = l->x;
    lane_end(l);
    sender_kick(x);
}

// Marks the row and lets the owner of ref know, in one transaction.
static int mark_sent(struct lane *l, const char *ts)
{
    struct store *s = l->x->store;
    int r = store_begin(s);
    if (r < 0)
        return r;
    r = outbox_sent(s, l->row.id, l->channel, ts, clock_wall_ms());
    if (r == 0 && l->channel[0] == 'D')
        r = person_set_channel(s, l->row.user, l->channel);
    if (r == 0)
        r = l->x->handler.on_sent(&l->row, l->channel, ts, l->x->handler.data);
    if (r == 0)
        return store_commit(s);
    store_rollback(s);
    return r;
}

static void remove_file(struct lane *l)
{
    char path[4096];
    if (l->row.op == OUT_UPLOAD &&
        (size_t)snprintf(path, sizeof path, "%s/%s", l->x->files, l->row.key) < sizeof path)
        unlink(path);
}

void lane_sent(struct lane *l, const char *ts)
{
    struct sender *x = l->x;
    int64_t id = l->row.id;
    if (mark_sent(l, ts) < 0) { // it stays attempted: found again by reading back
        lane_back_off(l, 0);
        lane_again(l);
        return;
    }
    remove_file(l);
    x->stopped[0] = '\0';
    x->stopped_until = 0;
    backoff_reset(&l->backoff);
    lane_end(l);
    x->handler.on_done(id, x->handler.data);
    sender_kick(x);
}

static int mark_failed(struct lane *l, const char *error, bool refused)
{
    struct store *s = l->x->store;
    int r = store_begin(s);
    if (r < 0)
        return r;
    r = outbox_failed(s, l->row.id, error, clock_wall_ms());
    if (r == 0 && refused)
        r = l->x->handler.on_failed(&l->row, error, l->x->handler.data);
    if (r == 0)
        return store_commit(s);
    store_rollback(s);
    return r;
}

static void end_failed(struct lane *l, const char *error, bool refused)
{
    struct sender *x = l->x;
    int64_t id = l->row.id;
    if (mark_failed(l, error, refused) < 0)
        lane_back_off(l, 0);
    else
        remove_file(l);
    lane_end(l);
    x->handler.on_done(id, x->handler.data);
    sender_kick(x);
}

void lane_failed(struct lane *l, const char *error)
{
    log_warn("slack: refused for good", "error", error, "row", log_int(l->row.id));
    end_failed(l, error, true);
}

void lane_pointless(struct lane *l)
{
    end_failed(l, "no longer needed", false);
}

void lane_requeue(struct lane *l, bool plain)
{
    if (outbox_requeue(l->x->store, l->row.id, plain) < 0)
        lane_back_off(l, 0);
    lane_again(l);
}

static void stop(struct lane *l, const struct api_answer *a, const char *method)
{
    struct sender *x = l->x;
    char why[sizeof x->stopped];
    snprintf(why, sizeof why, "%s: %.80s%s%.60s", method, a->error, a->needed[0] ? ", needs " : "",
             a->needed);
    if (strcmp(why, x->stopped) != 0)
        log_error("slack: nothing can be sent until this is mended; it is kept", "why", why);
    memcpy(x->stopped, why, sizeof why);
    x->stopped_until =
        clock_boot_ms() + (slack_api_is_token_error(a->error) ? REFUSED_MS : STOPPED_MS);
    lane_requeue(l, l->row.plain);
}

static bool is_about_blocks(const char *error)
{
    return strncmp(error, "invalid_blocks", 14) == 0 || strcmp(error, "msg_blocks_too_long") == 0;
}

// What every call's answer but success leads to.
void lane_unsuccessful(struct lane *l, const struct api_answer *a, const char *method)
{
    bool side = l->row.op == OUT_REACT || l->row.op == OUT_UPLOAD;
    log_debug("slack: not sent", "method", method, "error", a->error, "row", log_int(l->row.id));
    switch (a->verdict) {
    case API_RATE:
        lane_wait(l, a->retry_ms);
        lane_requeue(l, l->row.plain);
        break;
    case API_OK: // without what it should hold
    case API_RETRY:
        lane_back_off(l, a->retry_ms);
        lane_requeue(l, l->row.plain);
        break;
    case API_AMBIGUOUS: // stays attempted
        lane_back_off(l, a->retry_ms > LOOK_AFTER_MS ? a->retry_ms : LOOK_AFTER_MS);
        lane_again(l);
        break;
    case API_STOP:
        if (side && strcmp(a->error, "missing_scope") == 0)
            lane_failed(l, a->error);
        else
            stop(l, a, method);
        break;
    case API_REFUSED:
        if (l->row.op == OUT_POST && is_about_blocks(a->error) && !l->row.plain) {
            log_warn("slack: blocks refused, sending plain text", "error", a->error);
            lane_requeue(l, true);
        } else {
            lane_failed(l, a->error);
        }
        break;
    }
}

int lane_call(struct lane *l, const char *method, struct buf *form, unsigned flags, api_fn done)
{
    int64_t blocked = slack_api_blocked(l->x->api, method);
    int r = form->error;
    if (r == 0 && !blocked)
        r = slack_api_call(l->x->api, method, buf_str(form), flags, done, l);
    buf_done(form);
    if (r == 0 && !blocked)
        return 0;
    if (blocked)
        lane_wait(l, blocked);
    else
        lane_back_off(l, 1000);
    return -EAGAIN;
}

bool lane_attempt(struct lane *l)
{
    if (outbox_attempt(l->x->store, l->row.id, clock_wall_ms()) == 0)
        return true;
    lane_back_off(l, 1000);
    lane_again(l);
    return false;
}
