#include "channels/webhook/delivery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/canary.h"
#include "channels/webhook/incident_state.h"
#include "channels/webhook/pager.h"
#include "channels/webhook/ping.h"
#include "channels/webhook/pusher.h"
#include "channels/webhook/tickets.h"
#include "channels/webhook/watchdog.h"
#include "common/checkpoint.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/lease.h"
#include "common/log.h"
#include "mcp/channel.h"

#define TICK_MS 500
#define SWEEP_MS 60000
#define PAGER_MS 1000
#define FLUSH_MS 2000

enum phase { WAITING_FOR_SESSION, WAITING_FOR_LEASE, SETTLING, ATTACHED };

struct delivery {
    uv_timer_t timer;
    struct store *store;
    struct checkpoint *checkpoint; // owned
    const struct config *config;
    struct mcp_server *mcp;
    struct playbooks *playbooks; // owned
    struct ping *ping;           // owned
    struct tickets *tickets;     // owned
    struct canary canary;
    struct pusher pusher;
    enum phase phase;
    bool writable;      // the lease was renewed at the last heartbeat, and by us
    bool took_turns;    // another session held the lease since this one began
    int64_t started_at; // wall: what was asked before belongs into the first digest
    int64_t begun_at;   // boot: we listen since then
    int64_t push_from;  // boot: nothing may be sent before
    int64_t beat_at, sweep_at, page_at, flush_at; // boot
};

static void begin_session(struct delivery *d, int64_t now)
{
    int r = pusher_begin(&d->pusher, now, d->started_at);
    if (r == 0) {
        d->phase = ATTACHED;
        canary_begin(&d->canary, d->store, d->config, clock_wall_ms(), now);
    } else if (r != -EBUSY) {
        pusher_tell_unwritable(&d->pusher);
    }
}

static void on_timer(uv_timer_t *t);

static void push(struct delivery *d, int64_t now)
{
    if (pusher_run(&d->pusher, now))
        uv_timer_start(&d->timer, on_timer, PUSHER_PART_MS, TICK_MS);
}

// Where nothing can be written nobody can renew a lease: then it is ours unless another's still
// holds.
static int beat_or_read(struct delivery *d)
{
    struct lease_info holder;
    int r = lease_beat(d->store, LEASE_SESSION);
    if (r < 0 && r != -EBUSY && d->phase == WAITING_FOR_LEASE &&
        lease_read(d->store, LEASE_SESSION, &holder) == 0 && !holder.fresh)
        return 1;
    return r;
}

static void beat(struct delivery *d, int64_t now)
{
    if (now < d->beat_at)
        return;
    int r = beat_or_read(d);
    d->writable = r == 1;
    d->beat_at = now + (r == -EBUSY ? TICK_MS : LEASE_BEAT_MS);
    if (r == 1 && d->phase == WAITING_FOR_LEASE) {
        pusher_take_turn(&d->pusher);
        if (d->took_turns) // all that the holder before us left, however new, then goes into the
                           // digest
            d->started_at = clock_wall_ms();
        d->phase = SETTLING;
    }
    if (r == 0 && d->phase != WAITING_FOR_LEASE) {
        log_warn("another session took over the delivery: this one only serves tools");
        d->phase = WAITING_FOR_LEASE;
    }
    d->took_turns |= r == 0;
}

// Says that somebody watches; which of several standbys is of no matter.
static void beat_standby(struct delivery *d, int64_t now)
{
    if (now < d->beat_at)
        return;
    d->beat_at = now + LEASE_BEAT_MS;
    int r = lease_beat(d->store, LEASE_STANDBY);
    d->writable = r == 1;
    if (r < 0)
        log_debug("no heartbeat", "why", store_error(d->store));
}

static void sweep(struct delivery *d, int64_t now)
{
    if (now < d->sweep_at)
        return;
    d->sweep_at = now + SWEEP_MS;
    int r = store_begin(d->store);
    if (r == 0)
        r = incident_sweep(d->store, d->config, clock_wall_ms());
    if (r >= 0)
        r = store_commit(d->store);
    else
        store_rollback(d->store);
    if (r < 0 && r != -EBUSY)
        log_error("cannot close stale incidents", "why", store_error(d->store));
    checkpoint_look(d->checkpoint);
}

// Whoever runs pages the owner, with a session or without.
static void page(struct delivery *d, int64_t now)
{
    if (now < d->page_at)
        return;
    d->page_at = now + PAGER_MS;
    int r = pager_run(d->store, d->config, clock_wall_ms(), now);
    if (r >= 0)
        r = watchdog_run(d->store, d->config, clock_wall_ms(), now, now - d->begun_at);
    if (r < 0 && r != -EBUSY) {
        d->page_at = now + SWEEP_MS;
        log_error("cannot page the owner", "why", store_error(d->store));
    }
}

static void flush_counters(struct delivery *d, int64_t now)
{
    if (now < d->flush_at)
        return;
    d->flush_at = now + FLUSH_MS;
    if (counters_flush(d->store) < 0)
        log_debug("counters not written", "why", store_error(d->store));
}

static enum ping_by duty(const struct delivery *d)
{
    struct lease_info session;
    if (d->mcp)
        return d->phase == ATTACHED ? PING_BY_SESSION : PING_BY_NOBODY;
    bool is_alone =
        d->writable && lease_read(d->store, LEASE_SESSION, &session) == 0 && !session.fresh;
    return is_alone ? PING_BY_STANDBY : PING_BY_NOBODY;
}

bool delivery_on_duty(const struct delivery *d)
{
    return duty(d) != PING_BY_NOBODY;
}

static void send_out(struct delivery *d, int64_t now)
{
    if (!d->writable)
        return;
    enum ping_by by = duty(d);
    ping_run(d->ping, by, now, clock_wall_ms());
    if (by != PING_BY_NOBODY)
        tickets_run(d->tickets, clock_wall_ms());
}

static void ask_canary(struct delivery *d, int64_t now)
{
    int r = canary_run(&d->canary, d->store, d->config, clock_wall_ms(), now);
    if (r < 0 && r != -EBUSY)
        log_error("no canary", "why", store_error(d->store));
}

static void tick(struct delivery *d)
{
    int64_t now = clock_boot_ms();
    sweep(d, now);
    page(d, now);
    flush_counters(d, now);
    if (!d->mcp)
        beat_standby(d, now);
    else if (d->phase != WAITING_FOR_SESSION)
        beat(d, now);
    send_out(d, now);
    if (d->phase == WAITING_FOR_SESSION)
        return;
    if (now < d->push_from)
        return;
    if (d->phase == SETTLING)
        begin_session(d, now);
    if (d->phase != ATTACHED)
        return;
    ask_canary(d, now);
    push(d, now);
}

static void on_timer(uv_timer_t *t)
{
    tick(t->data);
}

void delivery_wake(struct delivery *d)
{
    int64_t now = clock_boot_ms();
    if (d->phase == ATTACHED)
        beat(d, now); // a process that was stopped for a while may no longer hold it
    if (d->phase == ATTACHED)
        push(d, now);
    checkpoint_look(d->checkpoint);
}

void delivery_session_ready(struct delivery *d)
{
    int64_t now = clock_boot_ms();
    d->push_from = now + CHANNEL_FIRST_PUSH_MS;
    d->phase = WAITING_FOR_LEASE;
    tick(d);
    // The first push has its own time; afterwards the timer has its rhythm.
    uv_timer_start(&d->timer, on_timer, CHANNEL_FIRST_PUSH_MS, TICK_MS);
}

bool delivery_attached(const struct delivery *d)
{
    return d->phase == ATTACHED || d->phase == SETTLING;
}

int delivery_new(uv_loop_t *loop, struct store *s, struct group_commit *commit,
                 const struct config *c, struct mcp_server *mcp, struct delivery **ret)
{
    struct delivery *d = calloc(1, sizeof *d);
    if (!d)
        return -ENOMEM;
    d->store = s;
    d->config = c;
    d->mcp = mcp;
    d->started_at = clock_wall_ms();
    d->begun_at = clock_boot_ms();
    d->sweep_at = d->begun_at + SWEEP_MS;
    int r = playbooks_load(c->playbooks, &d->playbooks);
    if (r >= 0)
        r = ping_new(loop, s, c, &d->ping);
    if (r >= 0)
        r = tickets_new(loop, s, c, &d->tickets);
    if (r >= 0)
        r = checkpoint_new(loop, s, &d->checkpoint);
    if (r < 0) {
        ping_close(d->ping);
        tickets_close(d->tickets);
        playbooks_free(d->playbooks);
        free(d);
        return -ENOMEM;
    }
    pusher_init(&d->pusher, s, commit, c, mcp, d->playbooks);
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    uv_timer_start(&d->timer, on_timer, TICK_MS, TICK_MS);
    *ret = d;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    struct delivery *d = h->data;
    playbooks_free(d->playbooks);
    pusher_done(&d->pusher);
    free(d);
}

void delivery_close(struct delivery *d)
{
    if (!d)
        return;
    if (!d->mcp)
        lease_release(d->store, LEASE_STANDBY);
    else if (d->phase != WAITING_FOR_SESSION)
        lease_release(d->store, LEASE_SESSION);
    checkpoint_close(d->checkpoint);
    ping_close(d->ping);
    tickets_close(d->tickets);
    uv_close((uv_handle_t *)&d->timer, on_closed);
}
