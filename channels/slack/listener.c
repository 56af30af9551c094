#include "channels/slack/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/catch_up.h"
#include "channels/slack/inbound.h"
#include "common/log.h"

enum {
    MAX_HELD = 256, // envelopes that could not be stored yet
    HELD_RETRY_MS = 200,
    SETTLE_MS = 10 * 1000,     // the longest that catching up holds events back
    LOOK_MS = 1500,            // between looks at the history: 40 a minute, Slack grants 50
    LOOK_AGAIN_MS = 60 * 1000, // while events may be lost, or history could not be read
};

struct listener {
    struct store *store;
    const struct access *access;
    const struct escalation_people *people;
    struct listener_handler handler;
    uv_loop_t *loop;
    uv_timer_t held_retry, look;
    int open_handles;
    struct catch_up *catch_up; // NULL: not started
    bool lossy;                // events may be lost
    bool incomplete;           // the last catching up was given up
    bool batch_changed;
    bool look_pending;                   // a look at the history is due
    char look_user[24], look_thread[32]; // "" for everybody
    // What was said is handed over when a look at the history has covered it. Times are boot ms,
    // the others Slack's, in microseconds.
    int64_t looked_at, run_since, uncovered_since;
    int64_t horizon_us, live_us,
        run_live_us; // complete until; newest heard; that, as the run began
    struct envelope held[MAX_HELD];
    size_t n_held;
};

// ---- events ----

static struct inbound inbound_of(const struct listener *l)
{
    return (struct inbound){.store = l->store, .access = l->access, .people = l->people};
}

// Stored, then acknowledged: an envelope that cannot be stored is not.
static bool take_envelope(struct listener *l, const struct envelope *env)
{
    struct inbound in = inbound_of(l);
    const char *id = env->event.event_id[0] ? env->event.event_id : env->id;
    int r = inbound_event(&in, &env->event, id, moment_now());
    if (r > 0)
        l->handler.on_stored(l->handler.data);
    if (r >= 0 && env->id[0])
        l->handler.ack(env->id, l->handler.data);
    return r >= 0;
}

static void on_held_retry(uv_timer_t *t)
{
    struct listener *l = t->data;
    size_t done = 0;
    while (done < l->n_held && take_envelope(l, &l->held[done]))
        envelope_done(&l->held[done++]);
    memmove(l->held, l->held + done, (l->n_held - done) * sizeof l->held[0]);
    l->n_held -= done;
    if (l->n_held)
        uv_timer_start(&l->held_retry, on_held_retry, HELD_RETRY_MS, 0);
}

static void hold(struct listener *l, struct envelope *env)
{
    if (l->n_held == MAX_HELD) {
        log_error("slack: too many events wait for the store; Slack will repeat this one");
        return;
    }
    if (!l->n_held)
        log_warn("slack: an event could not be stored, tried again until it is", "why",
                 store_error(l->store));
    l->held[l->n_held++] = *env;
    env->root = NULL;
    uv_timer_start(&l->held_retry, on_held_retry, HELD_RETRY_MS, 0);
}

// ---- looks at the history ----

static void run_begins(struct listener *l)
{
    l->run_since = clock_boot_ms();
    l->run_live_us = l->live_us;
}

// Reads everybody's history now.
static void start_catch_up(struct listener *l)
{
    l->look_pending = false;
    l->looked_at = clock_boot_ms();
    uv_timer_stop(&l->look);
    if (catch_up_running(l->catch_up)) // which may have read it before what was said last
        l->run_since = l->looked_at;
    else
        run_begins(l);
    catch_up_start(l->catch_up);
}

static void on_look(uv_timer_t *t)
{
    struct listener *l = t->data;
    l->look_pending = false;
    l->looked_at = clock_boot_ms();
    if (!l->catch_up)
        return;
    if (!catch_up_running(l->catch_up))
        run_begins(l);
    if (l->look_user[0])
        catch_up_look(l->catch_up, l->look_user, l->look_thread);
    else
        catch_up_start(l->catch_up);
}

// Somebody said something: what they said just before it may have gone to a connection that Slack
// only believes in. One look at the history tells, before anything is handed over.
static void look_soon(struct listener *l, const char *user, const char *thread_ts)
{
    int64_t now = clock_boot_ms(), wait = l->looked_at + LOOK_MS - now;
    bool same = !l->look_pending ||
                (strcmp(l->look_user, user) == 0 && strcmp(l->look_thread, thread_ts) == 0);
    l->look_pending = true;
    snprintf(l->look_user, sizeof l->look_user, "%s", same ? user : "");
    snprintf(l->look_thread, sizeof l->look_thread, "%s", same ? thread_ts : "");
    uv_timer_start(&l->look, on_look, wait > 0 ? (uint64_t)wait : 0, 0);
}

void listener_envelope(struct listener *l, struct envelope *env)
{
    const struct slack_event *event = &env->event;
    if (event->type == EVENT_MESSAGE && access_check(l->access, event) == ACCESS_OK) {
        int64_t us = slack_ts_us(event->ts);
        l->live_us = us > l->live_us ? us : l->live_us;
        if (!l->uncovered_since)
            l->uncovered_since = clock_boot_ms();
        look_soon(l, event->user, event->thread_ts);
    }
    if (l->n_held || !take_envelope(l, env))
        hold(l, env);
}

// ---- what the history has ----

static int on_batch_begin(void *data)
{
    struct listener *l = data;
    l->batch_changed = false;
    return store_begin(l->store);
}

static int on_history(const struct slack_event *event, void *data)
{
    struct listener *l = data;
    struct inbound in = inbound_of(l);
    in.batch = true;
    int r = inbound_event(&in, event, "", moment_now());
    l->batch_changed |= r > 0;
    return r;
}

static int on_batch_commit(bool keep, void *data)
{
    struct listener *l = data;
    if (!keep) {
        store_rollback(l->store);
        return 0;
    }
    int r = store_commit(l->store);
    if (r == 0 && l->batch_changed)
        l->handler.on_stored(l->handler.data);
    return r;
}

static void on_caught_up(bool complete, int64_t newest_us, bool more, void *data)
{
    struct listener *l = data;
    l->incomplete = !complete;
    if (l->run_live_us > l->horizon_us)
        l->horizon_us = l->run_live_us;
    if (newest_us > l->horizon_us)
        l->horizon_us = newest_us;
    l->uncovered_since = l->live_us > l->horizon_us ? clock_boot_ms() : 0;
    if (more)
        run_begins(l);
    l->handler.on_caught_up(l->handler.data);
}

// ---- what the engine calls ----

void listener_connected(struct listener *l, bool lossy)
{
    l->lossy = lossy;
    start_catch_up(l);
}

void listener_tick(struct listener *l)
{
    bool unsure = l->lossy || l->incomplete;
    if (l->catch_up && unsure && clock_boot_ms() - l->looked_at > LOOK_AGAIN_MS)
        start_catch_up(l);
}

int64_t listener_horizon(const struct listener *l)
{
    int64_t now = clock_boot_ms();
    bool waits = l->uncovered_since && now - l->uncovered_since < SETTLE_MS;
    bool runs = catch_up_running(l->catch_up) && now - l->run_since < SETTLE_MS;
    return waits || runs ? l->horizon_us : INT64_MAX;
}

int listener_start(struct listener *l, struct slack_api *api)
{
    struct catch_up_handler handler = {.on_begin = on_batch_begin,
                                       .on_commit = on_batch_commit,
                                       .on_message = on_history,
                                       .on_end = on_caught_up,
                                       .data = l};
    l->lossy = l->incomplete = false;
    l->uncovered_since = 0;
    l->catch_up = catch_up_new(l->loop, l->store, api, l->access, &handler);
    return l->catch_up ? 0 : -ENOMEM;
}

void listener_pause(struct listener *l)
{
    uv_timer_stop(&l->held_retry);
    uv_timer_stop(&l->look);
    l->look_pending = false;
}

void listener_stop(struct listener *l)
{
    catch_up_close(l->catch_up);
    l->catch_up = NULL;
    for (size_t i = 0; i < l->n_held; i++)
        envelope_done(&l->held[i]);
    l->n_held = 0;
}

struct listener *listener_new(uv_loop_t *loop, struct store *s, const struct access *access,
                              const struct escalation_people *people,
                              const struct listener_handler *handler)
{
    struct listener *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->loop = loop;
    l->store = s;
    l->access = access;
    l->people = people;
    l->handler = *handler;
    uv_timer_init(loop, &l->held_retry);
    uv_timer_init(loop, &l->look);
    l->held_retry.data = l->look.data = l;
    l->open_handles = 2;
    return l;
}

static void on_handle_closed(uv_handle_t *h)
{
    struct listener *l = h->data;
    if (--l->open_handles == 0)
        free(l);
}

void listener_close(struct listener *l)
{
    uv_close((uv_handle_t *)&l->held_retry, on_handle_closed);
    uv_close((uv_handle_t *)&l->look, on_handle_closed);
}
