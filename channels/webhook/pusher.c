#include "channels/webhook/pusher.h"

#include <errno.h>
#include <stdio.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/canary.h"
#include "channels/webhook/census.h"
#include "channels/webhook/event_digest.h"
#include "channels/webhook/noise.h"
#include "channels/webhook/pager.h"
#include "channels/webhook/trail.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/log.h"
#include "mcp/channel.h"

#define BATCH 32 // events in one transaction
#define BATCHES_A_RUN 16
#define MAX_DELIVERY 3
#define BUSY_MS 1500
#define STORM_TICK_MS 1000 // between looks at a long queue
#define UNRECORDED_MAX 256
#define DIGEST_MIN_BYTES 512
#define DIGEST_GATHER_MS 2000            // from the first that is held back to the digest
#define NOISE_DIGEST_MS (10 * 60 * 1000) // known noise alone wakes the session no more often

static struct event_source source_of(const struct pusher *p)
{
    return (struct event_source){
        .store = p->store, .config = p->config, .playbooks = p->playbooks, .now = clock_wall_ms()};
}

// ---- what is due ----

struct due {
    int64_t id;
    bool critical; // and in prod
    bool resolved; // tell its resolution
};

// Resolutions come last: they can wait, a critical alert cannot.
static int read_due(struct pusher *p, int64_t now, struct due *due, int most, int *ret_n)
{
    int n = 0, r;
    struct stmt *q = store_sql(
        p->store, "SELECT id, environment = 1 AND severity = 4 AS critical FROM incident WHERE "
                  "due_at <= ?"
                  " ORDER BY critical DESC, kind = 1 DESC, severity DESC, asked_at, id LIMIT 32");
    bind_int(q, 1, now);
    while ((r = stmt_step(q)) > 0)
        if (n < most)
            due[n++] = (struct due){.id = col_int(q, 0), .critical = col_int(q, 1) != 0};
    if (r < 0)
        return r;
    q = store_sql(p->store, "SELECT id FROM incident WHERE tell_resolved = 1 ORDER BY id LIMIT 32");
    while ((r = stmt_step(q)) > 0)
        if (n < most)
            due[n++] = (struct due){.id = col_int(q, 0), .resolved = true};
    *ret_n = n;
    return r;
}

// ---- recording ----

static int record_push(struct pusher *p, const struct incident_view *v, const char *kind,
                       int64_t now)
{
    bool reminder = strcmp(kind, "reminder") == 0;
    bool last =
        v->delivery >= MAX_DELIVERY || v->kind == KIND_TEST || reminder || p->config->take_s == 0;
    struct stmt *q =
        store_sql(p->store, "UPDATE incident SET deliveries = deliveries + 1, delivery = ?2, "
                            "due_at = ?3, pushed_at = ?4,"
                            " state = CASE WHEN ?5 THEN state ELSE 1 END WHERE id = ?1");
    bind_int(q, 1, v->id);
    bind_int(q, 2, v->delivery);
    if (!last)
        bind_int(q, 3, now + p->config->take_s * 1000);
    bind_int(q, 4, clock_wall_ms());
    bind_int(q, 5, reminder);
    int r = stmt_run(q);
    if (r < 0)
        return r;
    char detail[32];
    snprintf(detail, sizeof detail, reminder ? "reminder" : "delivery %lld",
             (long long)v->delivery);
    return trail_add(p->store, v->id, "channel", "pushed", detail, clock_wall_ms());
}

static int record_resolution(struct pusher *p, int64_t id)
{
    struct stmt *q = store_sql(
        p->store,
        "UPDATE incident SET tell_resolved = 0, deliveries = deliveries + 1 WHERE id = ?");
    bind_int(q, 1, id);
    int r = stmt_run(q);
    return r < 0 ? r : trail_add(p->store, id, "channel", "pushed", "resolved", clock_wall_ms());
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
static int prepare(struct pusher *p, const struct due *due, int64_t now, struct outgoing *o)
{
    *o = (struct outgoing){.id = due->id, .critical = due->critical, .resolved = due->resolved};
    event_init(&o->event, p->config);
    int r = incident_view_load(p->store, due->id, &o->view);
    if (r < 0)
        return r;
    const char *kind = o->kind = kind_of(&o->view, due->resolved);
    if (!due->resolved && strcmp(kind, "reminder") != 0)
        o->view.delivery++;
    struct event_source from = source_of(p);
    bool canary = o->view.kind == KIND_TEST && strcmp(o->view.source, CANARY_SOURCE) == 0;
    r = canary ? event_of_canary(&o->event, &o->view)
               : event_of_incident(&o->event, &from, &o->view, kind);
    if (r < 0)
        return r;
    int64_t digest_room = p->config->events_per_min > 1 ? p->config->event_bytes : 0;
    if (!budget_allows(&p->budget, now, due->critical, (int64_t)event_bytes(&o->event),
                       digest_room))
        return 0;
    r = due->resolved ? record_resolution(p, due->id) : record_push(p, &o->view, kind, now);
    if (r < 0)
        return r;
    budget_spend(&p->budget, now, due->critical, false, (int64_t)event_bytes(&o->event));
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

static bool was_sent_unrecorded(const struct pusher *p, int64_t id)
{
    for (size_t i = 0; i < p->unrecorded.n; i++)
        if (p->unrecorded.ids[i] == id)
            return true;
    return false;
}

// The client reads too slowly: what was recorded but not written is due again.
static void take_back(struct pusher *p, const struct outgoing *o)
{
    struct stmt *q =
        o->resolved
            ? store_sql(p->store, "UPDATE incident SET tell_resolved = 1, deliveries = deliveries "
                                  "- 1 WHERE id = ?1")
            : store_sql(p->store,
                        "UPDATE incident SET due_at = 0, deliveries = deliveries - 1,"
                        " delivery = max(delivery - (state <> 2), 0) WHERE id = ?1"); // a reminder
                                                                                      // is none
    bind_int(q, 1, o->id);
    if (stmt_run(q) < 0)
        log_warn("an event could not be taken back", "incident", log_int(o->id), "why",
                 store_error(p->store));
}

static void send_one(struct pusher *p, struct outgoing *o, int64_t now)
{
    if (was_sent_unrecorded(p, o->id) && !o->resolved)
        return;
    int r = channel_event(p->mcp, buf_str(&o->event.content), o->event.meta, o->event.n_meta);
    if (r >= 0) {
        count_event(o->kind, r);
        if (o->view.delivery > 1 && !o->resolved)
            counter_add("sre_redeliveries_total", 1);
        log_debug("pushed", "incident", log_int(o->id), "delivery", log_int(o->view.delivery));
        return;
    }
    p->held_back_until = now + STORM_TICK_MS;
    take_back(p, o);
}

// ---- a digest ----

static bool resolutions_wait(struct pusher *p)
{
    struct stmt *q = store_sql(p->store, "SELECT 1 FROM incident WHERE tell_resolved = 1 LIMIT 1");
    bool wait = stmt_step(q) > 0;
    stmt_reset(q);
    return wait;
}

// Resolutions that the budget held back are in the digest, too.
static int record_resolutions(struct pusher *p, int64_t wall)
{
    struct stmt *q = store_sql(p->store, "INSERT INTO trail(at, incident_id, actor, action, detail)"
                                         " SELECT ?1, id, 'channel', 'pushed', 'resolved, in a "
                                         "digest' FROM incident WHERE tell_resolved = 1");
    bind_int(q, 1, wall);
    int r = stmt_run(q);
    if (r < 0)
        return r;
    return stmt_run(store_sql(p->store, "UPDATE incident SET tell_resolved = 0, deliveries = "
                                        "deliveries + 1 WHERE tell_resolved = 1"));
}

static int take_back_resolutions(struct pusher *p, int64_t wall)
{
    struct stmt *q =
        store_sql(p->store, "UPDATE incident SET tell_resolved = 1, deliveries = deliveries - 1"
                            " WHERE id IN (SELECT incident_id FROM trail WHERE at = ? AND detail = "
                            "'resolved, in a digest')");
    bind_int(q, 1, wall);
    return stmt_run(q);
}

// As for one event: what this digest took along is due again, and nothing else.
static void take_back_digest(struct pusher *p)
{
    p->recording = false;
    if (digest_take_back(p->store, &p->digest) < 0 || take_back_resolutions(p, p->digest.wall) < 0)
        log_warn("a digest could not be taken back", "why", store_error(p->store));
}

// In a transaction: chosen, rendered, and the first part of it recorded. 1 = tell it, 0 = nothing
// waits.
static int fold(struct pusher *p, struct event *e, int64_t now, int64_t asked_before, size_t room)
{
    struct event_source from = source_of(p);
    struct digest_totals totals = {0};
    int r = asked_before ? digest_choose_waiting(p->store, asked_before, p->digest.wall)
                         : digest_choose_due(p->store, now);
    if (r == 0)
        r = digest_total(p->store, &totals);
    if (r < 0 || (!totals.incidents && !resolutions_wait(p)))
        return r;
    r = event_of_digest(e, &from, &totals,
                        asked_before ? "wait for a verdict"
                                     : "came faster than the push budget allows or still wait for "
                                       "a verdict",
                        room);
    if (r == 0 && asked_before && !p->told_back)
        r = pager_agent_back(p->store, totals.incidents, totals.paged, p->digest.wall);
    if (r == 0)
        r = digest_record(p->store, &p->digest);
    p->recording = r > 0;
    if (r >= 0)
        r = record_resolutions(p, p->digest.wall);
    return r < 0 ? r : 1;
}

static int send_digest(struct pusher *p, const struct event *e, int64_t now)
{
    int r = channel_event(p->mcp, buf_str(&e->content), e->meta, e->n_meta);
    if (r < 0) {
        take_back_digest(p);
        p->held_back_until = now + STORM_TICK_MS;
        return -EBUSY; // tried again like what is locked
    }
    budget_spend(&p->budget, now, false, true, (int64_t)event_bytes(e));
    count_event("digest", r);
    return noise_told(p->store, INT64_MAX); // if that fails, it is told twice
}

// Folds what waits into one event; asked_before: what waits since before the session began (wall
// ms), 0 = what is due. 0, or an error (then nothing happened).
static int push_digest(struct pusher *p, int64_t now, int64_t asked_before)
{
    struct event event;
    int64_t left = budget_bytes_left(&p->budget, now), room = left - 256;
    if (!asked_before && room < DIGEST_MIN_BYTES && left < p->budget.max_bytes)
        return 0; // the next minute has room for it
    p->digest =
        (struct digest_note){.session_start = asked_before != 0,
                             .wall = clock_wall_ms(),
                             .due_at = p->config->take_s > 0 ? now + p->config->take_s * 1000 : 0};
    event_init(&event, p->config);
    int r = store_begin(p->store), any = 0;
    if (r == 0)
        r = any = fold(p, &event, now, asked_before,
                       room > DIGEST_MIN_BYTES ? (size_t)room : DIGEST_MIN_BYTES);
    // What was folded before the session is told only with what waits for it.
    if (r == 0 && asked_before)
        r = noise_told(p->store, asked_before);
    if (r >= 0)
        r = store_commit(p->store);
    else
        store_rollback(p->store);
    p->recording &= r == 0;
    p->told_back |=
        r == 0 && asked_before; // once a session, however often the digest must be tried
    if (r == 0 && any)
        r = send_digest(p, &event, now);
    event_done(&event);
    return r;
}

// The next part of the digest that was pushed.
static int record_part(struct pusher *p)
{
    int r = store_begin(p->store);
    if (r < 0)
        return r;
    int more = digest_record(p->store, &p->digest);
    r = more < 0 ? more : store_commit(p->store);
    if (r < 0)
        store_rollback(p->store);
    else
        p->recording = more > 0;
    return r;
}

// What the memory dismissed: a first one soon, then gathered.
static int push_noise(struct pusher *p, int64_t now)
{
    if (!noise_waits(p->store)) {
        p->noise_since = 0;
        return 0;
    }
    if (!p->noise_since)
        p->noise_since = now;
    if (now - p->noise_since < DIGEST_GATHER_MS ||
        (p->noise_told_at && now - p->noise_told_at < NOISE_DIGEST_MS) ||
        !budget_allows_digest(&p->budget, now))
        return 0;
    struct event event;
    event_init(&event, p->config);
    struct event_source from = source_of(p);
    int r = event_of_noise(&event, &from);
    if (r == 0 && budget_allows(&p->budget, now, false, (int64_t)event_bytes(&event), 0)) {
        r = channel_event(p->mcp, buf_str(&event.content), event.meta, event.n_meta);
        p->noise_told_at = now;
        if (r >= 0) {
            budget_spend(&p->budget, now, false, true, (int64_t)event_bytes(&event));
            r = noise_told(p->store, INT64_MAX); // if that fails, it is told twice
        }
    }
    event_done(&event);
    return r;
}

// ---- what is due, many at once ----

static void remember_unrecorded(struct pusher *p, int64_t id)
{
    if (p->unrecorded.n >= UNRECORDED_MAX || id_set_add(&p->unrecorded, id) < 0)
        log_warn("pushed but not recorded, may come twice", "incident", log_int(id));
}

// Pushes up to BATCH events that the budget allows; *ret_n is how many were due. Returns how many
// were held back, or an error.
static int push_batch(struct pusher *p, int64_t now, int *ret_n)
{
    struct due due[BATCH];
    struct outgoing out[BATCH];
    int n = 0, prepared = 0, held_back = 0;
    int r = read_due(p, now, due, BATCH, &n);
    *ret_n = n;
    if (r < 0 || n == 0)
        return r;
    r = store_begin(p->store);
    bool writable = r == 0;
    for (int i = 0; r == 0 && i < n; i++, prepared++) {
        r = prepare(p, &due[i], now, &out[i]);
        out[i].send = r > 0;
        held_back += r == 0;
        r = r > 0 ? 0 : r;
    }
    if (r == 0)
        r = store_commit(p->store);
    else if (writable)
        store_rollback(p->store);
    // A store that cannot be written (disk full) must not keep the alert from the session; a lock
    // passes.
    bool unrecorded = r < 0 && r != -EBUSY && prepared > 0;
    for (int i = 0; i < prepared; i++) {
        if (out[i].send && (r == 0 || unrecorded))
            send_one(p, &out[i], now);
        if (out[i].send && unrecorded)
            remember_unrecorded(p, out[i].id);
        outgoing_done(&out[i]);
    }
    if (r == 0)
        id_set_truncate(&p->unrecorded, 0);
    return r < 0 ? r : held_back;
}

// While a notification is still coming in, an event would tell only a part of it. Bounded: a load
// that never ends waits no longer.
static bool more_is_coming(struct pusher *p, int64_t now)
{
    if (group_commit_idle(p->commit)) {
        p->busy_since = 0;
        return false;
    }
    if (!p->busy_since)
        p->busy_since = now;
    return now - p->busy_since < BUSY_MS;
}

// What the digest told is not due, though the store does not say so yet: nothing else is pushed
// meanwhile. 1 = it still goes on, 0, or an error.
static int finish_digest(struct pusher *p)
{
    int r = p->recording ? record_part(p) : 0;
    return r < 0 ? r : p->recording;
}

bool pusher_run(struct pusher *p, int64_t now)
{
    if (now < p->held_back_until || more_is_coming(p, now))
        return false;
    int r = finish_digest(p), n = BATCH;
    if (r > 0)
        return true;
    for (int i = 0; r == 0 && n == BATCH && i < BATCHES_A_RUN && now >= p->held_back_until; i++)
        r = push_batch(p, now, &n);
    if (r > 0) { // no look at the queue at every alert of a storm
        p->held_back_until = now + STORM_TICK_MS;
        if (!p->over_budget_since)
            p->over_budget_since = now;
        if (now - p->over_budget_since >= DIGEST_GATHER_MS && budget_allows_digest(&p->budget, now))
            r = push_digest(p, now, 0);
    } else {
        p->over_budget_since = 0;
        if (r == 0)
            r = push_noise(p, now);
    }
    if (r < 0 && r != -EBUSY) {
        p->held_back_until = now + 5 * STORM_TICK_MS;
        log_error("cannot push", "why", store_error(p->store));
    }
    return p->recording;
}

// ---- a session ----

void pusher_take_turn(struct pusher *p)
{
    p->told_back = false;
    p->held_back_until = 0;
}

int pusher_begin(struct pusher *p, int64_t now, int64_t asked_before)
{
    if (now < p->held_back_until)
        return -EBUSY;
    // The ends of what it never heard of.
    int r = stmt_run(
        store_sql(p->store, "UPDATE incident SET tell_resolved = 0 WHERE tell_resolved = 1"));
    return r < 0 ? r : push_digest(p, now, asked_before);
}

// The store can be read but not written: nothing can be marked as pushed, so the session hears once
// how many wait.
void pusher_tell_unwritable(struct pusher *p)
{
    int64_t n = 0;
    if (p->told_unwritable || census_waiting(p->store, &n) < 0)
        return;
    struct buf text = BUF_INIT(512);
    buf_addf(&text,
             "The incident store cannot be written (%s): new alerts are refused until it can, "
             "their senders try again.\n"
             "%lld %s for a verdict: list_incidents names %s.",
             store_error(p->store), (long long)n, n == 1 ? "incident waits" : "incidents wait",
             n == 1 ? "it" : "them");
    log_error("cannot begin the session", "why", store_error(p->store));
    struct channel_meta meta[] = {{"kind", "digest"}, {"severity", "critical"}};
    p->told_unwritable = channel_event(p->mcp, buf_str(&text), meta, ARRAY_LEN(meta)) >= 0;
    buf_done(&text);
}

void pusher_init(struct pusher *p, struct store *s, const struct group_commit *commit,
                 const struct config *c, struct mcp_server *mcp, const struct playbooks *books)
{
    *p = (struct pusher){.store = s, .commit = commit, .config = c, .mcp = mcp, .playbooks = books};
    budget_init(&p->budget, c->events_per_min, c->event_bytes);
}

void pusher_done(struct pusher *p)
{
    id_set_done(&p->unrecorded);
}
