#include "channels/webhook/delivery.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/budget.h"
#include "channels/webhook/canary.h"
#include "channels/webhook/census.h"
#include "channels/webhook/event_digest.h"
#include "channels/webhook/incident.h"
#include "channels/webhook/noise.h"
#include "channels/webhook/pager.h"
#include "channels/webhook/ping.h"
#include "channels/webhook/tickets.h"
#include "channels/webhook/trail.h"
#include "channels/webhook/watchdog.h"
#include "common/checkpoint.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/lease.h"
#include "common/log.h"

#define TICK_MS 500
#define BATCH 32 // events in one transaction
#define MAX_DELIVERY 3
#define PART_MS 5 // between the parts of a digest that are recorded
#define SWEEP_MS 60000
#define PAGER_MS 1000
#define BUSY_MS 1500
#define FLUSH_MS 2000
#define STORM_TICK_MS 1000 // between looks at a long queue
#define UNRECORDED_MAX 256
#define BATCHES_A_TICK 16
#define DIGEST_MIN_BYTES 512
#define DIGEST_GATHER_MS 2000            // from the first that is held back to the digest
#define NOISE_DIGEST_MS (10 * 60 * 1000) // known noise alone wakes the session no more often

enum phase { WAITING_FOR_SESSION, WAITING_FOR_LEASE, SETTLING, ATTACHED };

struct delivery {
    uv_timer_t timer;
    struct store *store;
    struct group_commit *commit;
    struct checkpoint *checkpoint; // owned
    const struct config *config;
    struct mcp_server *mcp;
    struct playbooks *playbooks; // owned
    struct ping *ping;           // owned
    struct tickets *tickets;     // owned
    struct canary canary;
    struct budget budget;
    enum phase phase;
    bool told_unwritable;
    bool writable;      // the lease was renewed at the last heartbeat, and by us
    bool told_back;     // the owner knows that the agent is back
    bool took_turns;    // another session held the lease since this one began
    int64_t started_at; // wall: what was asked before belongs into the first digest
    int64_t begun_at;   // boot: we listen since then
    int64_t push_from;  // boot: nothing may be sent before
    int64_t beat_at, sweep_at, page_at, flush_at, held_back_until; // boot
    int64_t busy_since;                 // boot; 0 = nothing more is coming in
    int64_t over_budget_since;          // boot; 0 = within
    int64_t noise_since, noise_told_at; // boot; 0 = none waits, never
    // Pushed while the store could not be written: not sent again, recorded as soon as it can be.
    struct id_set unrecorded;
    struct digest_note digest; // the last one
    bool recording;            // it was pushed; parts of it are still to be recorded
};

static struct event_source source_of(const struct delivery *d)
{
    return (struct event_source){
        .store = d->store, .config = d->config, .playbooks = d->playbooks, .now = clock_wall_ms()};
}

// ---- what is due ----

struct due {
    int64_t id;
    bool critical; // and in prod
    bool resolved; // tell its resolution
};

// Resolutions come last: they can wait, a critical alert cannot.
static int read_due(struct delivery *d, int64_t now, struct due *due, int most, int *ret_n)
{
    int n = 0, r;
    struct stmt *q = store_sql(
        d->store, "SELECT id, environment = 1 AND severity = 4 AS critical FROM incident WHERE "
                  "due_at <= ?"
                  " ORDER BY critical DESC, kind = 1 DESC, severity DESC, asked_at, id LIMIT 32");
    bind_int(q, 1, now);
    while ((r = stmt_step(q)) > 0)
        if (n < most)
            due[n++] = (struct due){.id = col_int(q, 0), .critical = col_int(q, 1) != 0};
    if (r < 0)
        return r;
    q = store_sql(d->store, "SELECT id FROM incident WHERE tell_resolved = 1 ORDER BY id LIMIT 32");
    while ((r = stmt_step(q)) > 0)
        if (n < most)
            due[n++] = (struct due){.id = col_int(q, 0), .resolved = true};
    *ret_n = n;
    return r;
}

// ---- recording ----

static int record_push(struct delivery *d, const struct incident_view *v, const char *kind,
                       int64_t now)
{
    bool reminder = strcmp(kind, "reminder") == 0;
    bool last =
        v->delivery >= MAX_DELIVERY || v->kind == KIND_TEST || reminder || d->config->take_s == 0;
    struct stmt *q =
        store_sql(d->store, "UPDATE incident SET deliveries = deliveries + 1, delivery = ?2, "
                            "due_at = ?3, pushed_at = ?4,"
                            " state = CASE WHEN ?5 THEN state ELSE 1 END WHERE id = ?1");
    bind_int(q, 1, v->id);
    bind_int(q, 2, v->delivery);
    if (!last)
        bind_int(q, 3, now + d->config->take_s * 1000);
    bind_int(q, 4, clock_wall_ms());
    bind_int(q, 5, reminder);
    int r = stmt_run(q);
    if (r < 0)
        return r;
    char detail[32];
    snprintf(detail, sizeof detail, reminder ? "reminder" : "delivery %lld",
             (long long)v->delivery);
    return trail_add(d->store, v->id, "channel", "pushed", detail, clock_wall_ms());
}

static int record_resolution(struct delivery *d, int64_t id)
{
    struct stmt *q = store_sql(
        d->store,
        "UPDATE incident SET tell_resolved = 0, deliveries = deliveries + 1 WHERE id = ?");
    bind_int(q, 1, id);
    int r = stmt_run(q);
    return r < 0 ? r : trail_add(d->store, id, "channel", "pushed", "resolved", clock_wall_ms());
}

// ---- one event ----

static const char *kind_of(const struct incident_view *v, bool resolved)
{
    if (resolved)
        return "resolved";
    if (v->kind == KIND_TEST)
        return "test";
    if (v->state == STATE_TAKEN)
        return "reminder";
    return strcmp(v->source, PATROL_SOURCE) == 0 ? "patrol" : "alert";
}

struct outgoing {
    struct event event;
    struct incident_view view;
    int64_t id;
    const char *kind;
    bool critical, resolved, send;
};

static void outgoing_done(struct outgoing *o)
{
    event_done(&o->event);
    incident_view_done(&o->view);
}

// Renders and records one. 1 = send it, 0 = not now (budget), <0 error.
static int prepare(struct delivery *d, const struct due *due, int64_t now, struct outgoing *o)
{
    *o = (struct outgoing){.id = due->id, .critical = due->critical, .resolved = due->resolved};
    event_init(&o->event, d->config);
    int r = incident_view_load(d->store, due->id, &o->view);
    if (r < 0)
        return r;
    const char *kind = o->kind = kind_of(&o->view, due->resolved);
    if (!due->resolved && strcmp(kind, "reminder") != 0)
        o->view.delivery++;
    struct event_source from = source_of(d);
    bool canary = o->view.kind == KIND_TEST && strcmp(o->view.source, CANARY_SOURCE) == 0;
    r = canary ? event_of_canary(&o->event, &o->view)
               : event_of_incident(&o->event, &from, &o->view, kind);
    if (r < 0)
        return r;
    int64_t digest_room = d->config->events_per_min > 1 ? d->config->event_bytes : 0;
    if (!budget_allows(&d->budget, now, due->critical, (int64_t)event_bytes(&o->event),
                       digest_room))
        return 0;
    r = due->resolved ? record_resolution(d, due->id) : record_push(d, &o->view, kind, now);
    if (r < 0)
        return r;
    budget_spend(&d->budget, now, due->critical, false, (int64_t)event_bytes(&o->event));
    return 1;
}

static void count_event(const char *kind, int bytes)
{
    static const struct {
        const char *kind, *name;
    } names[] = {{"alert", "sre_events_total{kind=\"alert\"}"},
                 {"patrol", "sre_events_total{kind=\"patrol\"}"},
                 {"digest", "sre_events_total{kind=\"digest\"}"},
                 {"resolved", "sre_events_total{kind=\"resolved\"}"},
                 {"reminder", "sre_events_total{kind=\"reminder\"}"},
                 {"test", "sre_events_total{kind=\"test\"}"}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i].kind, kind) == 0)
            counter_add(names[i].name, 1);
    counter_add("sre_pushed_bytes_total", bytes);
}

static bool was_sent_unrecorded(const struct delivery *d, int64_t id)
{
    for (size_t i = 0; i < d->unrecorded.n; i++)
        if (d->unrecorded.ids[i] == id)
            return true;
    return false;
}

// The client reads too slowly: what was recorded but not written is due again.
static void take_back(struct delivery *d, const struct outgoing *o)
{
    struct stmt *q =
        o->resolved
            ? store_sql(d->store, "UPDATE incident SET tell_resolved = 1, deliveries = deliveries "
                                  "- 1 WHERE id = ?1")
            : store_sql(d->store,
                        "UPDATE incident SET due_at = 0, deliveries = deliveries - 1,"
                        " delivery = max(delivery - (state <> 2), 0) WHERE id = ?1"); // a reminder
                                                                                      // is none
    bind_int(q, 1, o->id);
    if (stmt_run(q) < 0)
        log_warn("an event could not be taken back", "incident", log_int(o->id), "why",
                 store_error(d->store));
}

static void send_one(struct delivery *d, struct outgoing *o, int64_t now)
{
    if (was_sent_unrecorded(d, o->id) && !o->resolved)
        return;
    int r = channel_event(d->mcp, buf_str(&o->event.content), o->event.meta, o->event.n_meta);
    if (r >= 0) {
        count_event(o->kind, r);
        if (o->view.delivery > 1 && !o->resolved)
            counter_add("sre_redeliveries_total", 1);
        log_debug("pushed", "incident", log_int(o->id), "delivery", log_int(o->view.delivery));
        return;
    }
    d->held_back_until = now + STORM_TICK_MS;
    take_back(d, o);
}

// ---- a digest ----

static bool resolutions_wait(struct delivery *d)
{
    struct stmt *q = store_sql(d->store, "SELECT 1 FROM incident WHERE tell_resolved = 1 LIMIT 1");
    bool wait = stmt_step(q) > 0;
    stmt_reset(q);
    return wait;
}

// Resolutions that the budget held back are in the digest, too.
static int record_resolutions(struct delivery *d, int64_t wall)
{
    struct stmt *q = store_sql(d->store, "INSERT INTO trail(at, incident_id, actor, action, detail)"
                                         " SELECT ?1, id, 'channel', 'pushed', 'resolved, in a "
                                         "digest' FROM incident WHERE tell_resolved = 1");
    bind_int(q, 1, wall);
    int r = stmt_run(q);
    if (r < 0)
        return r;
    return stmt_run(store_sql(d->store, "UPDATE incident SET tell_resolved = 0, deliveries = "
                                        "deliveries + 1 WHERE tell_resolved = 1"));
}

static int take_back_resolutions(struct delivery *d, int64_t wall)
{
    struct stmt *q =
        store_sql(d->store, "UPDATE incident SET tell_resolved = 1, deliveries = deliveries - 1"
                            " WHERE id IN (SELECT incident_id FROM trail WHERE at = ? AND detail = "
                            "'resolved, in a digest')");
    bind_int(q, 1, wall);
    return stmt_run(q);
}

// As for one event: what this digest took along is due again, and nothing else.
static void take_back_digest(struct delivery *d)
{
    d->recording = false;
    if (digest_take_back(d->store, &d->digest) < 0 || take_back_resolutions(d, d->digest.wall) < 0)
        log_warn("a digest could not be taken back", "why", store_error(d->store));
}

// In a transaction: chosen, rendered, and the first part of it recorded. 1 = tell it, 0 = nothing
// waits.
static int fold(struct delivery *d, struct event *e, int64_t now, int64_t asked_before, size_t room)
{
    struct event_source from = source_of(d);
    struct digest_totals totals = {0};
    int r = asked_before ? digest_choose_waiting(d->store, asked_before, d->digest.wall)
                         : digest_choose_due(d->store, now);
    if (r == 0)
        r = digest_total(d->store, &totals);
    if (r < 0 || (!totals.incidents && !resolutions_wait(d)))
        return r;
    r = event_of_digest(e, &from, &totals,
                        asked_before ? "wait for a verdict"
                                     : "came faster than the push budget allows or still wait for "
                                       "a verdict",
                        room);
    if (r == 0 && asked_before && !d->told_back)
        r = pager_agent_back(d->store, totals.incidents, totals.paged, d->digest.wall);
    if (r == 0)
        r = digest_record(d->store, &d->digest);
    d->recording = r > 0;
    if (r >= 0)
        r = record_resolutions(d, d->digest.wall);
    return r < 0 ? r : 1;
}

static int send_digest(struct delivery *d, const struct event *e, int64_t now)
{
    int r = channel_event(d->mcp, buf_str(&e->content), e->meta, e->n_meta);
    if (r < 0) {
        take_back_digest(d);
        d->held_back_until = now + STORM_TICK_MS;
        return -EBUSY; // tried again like what is locked
    }
    budget_spend(&d->budget, now, false, true, (int64_t)event_bytes(e));
    count_event("digest", r);
    return noise_told(d->store, INT64_MAX); // if that fails, it is told twice
}

// Folds what waits into one event; asked_before: what waits since before the session began (wall
// ms), 0 = what is due. 0, or an error (then nothing happened).
static int push_digest(struct delivery *d, int64_t now, int64_t asked_before)
{
    struct event event;
    int64_t left = budget_bytes_left(&d->budget, now), room = left - 256;
    if (!asked_before && room < DIGEST_MIN_BYTES && left < d->budget.max_bytes)
        return 0; // the next minute has room for it
    d->digest =
        (struct digest_note){.session_start = asked_before != 0,
                             .wall = clock_wall_ms(),
                             .due_at = d->config->take_s > 0 ? now + d->config->take_s * 1000 : 0};
    event_init(&event, d->config);
    int r = store_begin(d->store), any = 0;
    if (r == 0)
        r = any = fold(d, &event, now, asked_before,
                       room > DIGEST_MIN_BYTES ? (size_t)room : DIGEST_MIN_BYTES);
    // What was folded before the session is told only with what waits for it.
    if (r == 0 && asked_before)
        r = noise_told(d->store, asked_before);
    if (r >= 0)
        r = store_commit(d->store);
    else
        store_rollback(d->store);
    d->recording &= r == 0;
    d->told_back |=
        r == 0 && asked_before; // once a session, however often the digest must be tried
    if (r == 0 && any)
        r = send_digest(d, &event, now);
    event_done(&event);
    return r;
}

// The next part of the digest that was pushed.
static int record_part(struct delivery *d)
{
    int r = store_begin(d->store);
    if (r < 0)
        return r;
    int more = digest_record(d->store, &d->digest);
    r = more < 0 ? more : store_commit(d->store);
    if (r < 0)
        store_rollback(d->store);
    else
        d->recording = more > 0;
    return r;
}

// What the memory dismissed: a first one soon, then gathered.
static int push_noise(struct delivery *d, int64_t now)
{
    if (!noise_waits(d->store)) {
        d->noise_since = 0;
        return 0;
    }
    if (!d->noise_since)
        d->noise_since = now;
    if (now - d->noise_since < DIGEST_GATHER_MS ||
        (d->noise_told_at && now - d->noise_told_at < NOISE_DIGEST_MS) ||
        !budget_allows_digest(&d->budget, now))
        return 0;
    struct event event;
    event_init(&event, d->config);
    struct event_source from = source_of(d);
    int r = event_of_noise(&event, &from);
    if (r == 0 && budget_allows(&d->budget, now, false, (int64_t)event_bytes(&event), 0)) {
        r = channel_event(d->mcp, buf_str(&event.content), event.meta, event.n_meta);
        d->noise_told_at = now;
        if (r >= 0) {
            budget_spend(&d->budget, now, false, true, (int64_t)event_bytes(&event));
            r = noise_told(d->store, INT64_MAX); // if that fails, it is told twice
        }
    }
    event_done(&event);
    return r;
}

// ---- the tick ----

static void remember_unrecorded(struct delivery *d, int64_t id)
{
    if (d->unrecorded.n >= UNRECORDED_MAX || id_set_add(&d->unrecorded, id) < 0)
        log_warn("pushed but not recorded, may come twice", "incident", log_int(id));
}

// Pushes up to BATCH events that the budget allows; *ret_n is how many were due. Returns how many
// were held back, or an error.
static int push_batch(struct delivery *d, int64_t now, int *ret_n)
{
    struct due due[BATCH];
    struct outgoing out[BATCH];
    int n = 0, prepared = 0, held_back = 0;
    int r = read_due(d, now, due, BATCH, &n);
    *ret_n = n;
    if (r < 0 || n == 0)
        return r;
    r = store_begin(d->store);
    bool writable = r == 0;
    for (int i = 0; r == 0 && i < n; i++, prepared++) {
        r = prepare(d, &due[i], now, &out[i]);
        out[i].send = r > 0;
        held_back += r == 0;
        r = r > 0 ? 0 : r;
    }
    if (r == 0)
        r = store_commit(d->store);
    else if (writable)
        store_rollback(d->store);
    // A store that cannot be written (disk full) must not keep the alert from the session; a lock
    // passes.
    bool unrecorded = r < 0 && r != -EBUSY && prepared > 0;
    for (int i = 0; i < prepared; i++) {
        if (out[i].send && (r == 0 || unrecorded))
            send_one(d, &out[i], now);
        if (out[i].send && unrecorded)
            remember_unrecorded(d, out[i].id);
        outgoing_done(&out[i]);
    }
    if (r == 0)
        id_set_truncate(&d->unrecorded, 0);
    return r < 0 ? r : held_back;
}

// While a notification is still coming in, an event would tell only a part of it. Bounded: a load
// that never ends waits no longer.
static bool more_is_coming(struct delivery *d, int64_t now)
{
    if (group_commit_idle(d->commit)) {
        d->busy_since = 0;
        return false;
    }
    if (!d->busy_since)
        d->busy_since = now;
    return now - d->busy_since < BUSY_MS;
}

static void on_timer(uv_timer_t *t);

// What the digest told is not due, though the store does not say so yet: nothing else is pushed
// meanwhile. 1 = it still goes on, 0, or an error.
static int finish_digest(struct delivery *d)
{
    int r = d->recording ? record_part(d) : 0;
    if (r == 0 && d->recording)
        uv_timer_start(&d->timer, on_timer, PART_MS, TICK_MS);
    return r < 0 ? r : d->recording;
}

static void push_due(struct delivery *d, int64_t now)
{
    if (now < d->held_back_until || more_is_coming(d, now))
        return;
    int r = finish_digest(d), n = BATCH;
    if (r > 0)
        return;
    for (int i = 0; r == 0 && n == BATCH && i < BATCHES_A_TICK && now >= d->held_back_until; i++)
        r = push_batch(d, now, &n);
    if (r > 0) { // no look at the queue at every alert of a storm
        d->held_back_until = now + STORM_TICK_MS;
        if (!d->over_budget_since)
            d->over_budget_since = now;
        if (now - d->over_budget_since >= DIGEST_GATHER_MS && budget_allows_digest(&d->budget, now))
            r = push_digest(d, now, 0);
    } else {
        d->over_budget_since = 0;
        if (r == 0)
            r = push_noise(d, now);
    }
    if (r < 0 && r != -EBUSY) {
        d->held_back_until = now + 5 * STORM_TICK_MS;
        log_error("cannot push", "why", store_error(d->store));
    }
}

// The store can be read but not written: nothing can be marked as pushed, so the session hears once
// how many wait.
static void tell_unwritable(struct delivery *d)
{
    int64_t n = 0;
    if (d->told_unwritable || census_waiting(d->store, &n) < 0)
        return;
    struct buf text = BUF_INIT(512);
    buf_addf(&text,
             "The incident store cannot be written (%s): new alerts are refused until it can, "
             "their senders try again.\n"
             "%lld %s for a verdict: list_incidents names %s.",
             store_error(d->store), (long long)n, n == 1 ? "incident waits" : "incidents wait",
             n == 1 ? "it" : "them");
    log_error("cannot begin the session", "why", store_error(d->store));
    struct channel_meta meta[] = {{"kind", "digest"}, {"severity", "critical"}};
    d->told_unwritable = channel_event(d->mcp, buf_str(&text), meta, ARRAY_LEN(meta)) >= 0;
    buf_done(&text);
}

// The first push: what waited before this session began, as one digest that counts as delivery 1.
static void begin_session(struct delivery *d, int64_t now)
{
    int r = stmt_run(
        store_sql(d->store, "UPDATE incident SET tell_resolved = 0 WHERE tell_resolved = 1"));
    if (r == 0)
        r = push_digest(d, now, d->started_at);
    if (r == 0) {
        d->phase = ATTACHED;
        canary_begin(&d->canary, d->store, d->config, clock_wall_ms(), now);
    } else if (r != -EBUSY) {
        tell_unwritable(d);
    }
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
        d->told_back = false;
        if (d->took_turns) // all that the holder before us left, however new, then goes into the
                           // digest
            d->started_at = clock_wall_ms();
        d->phase = SETTLING;
        d->held_back_until = 0;
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
    push_due(d, now);
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
        push_due(d, now);
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
    d->commit = commit;
    d->config = c;
    d->mcp = mcp;
    d->started_at = clock_wall_ms();
    d->begun_at = clock_boot_ms();
    d->sweep_at = d->begun_at + SWEEP_MS;
    budget_init(&d->budget, c->events_per_min, c->event_bytes);
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
    id_set_done(&d->unrecorded);
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
