#include "channels/slack/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/app_lock.h"
#include "channels/slack/inbound.h"
#include "channels/slack/inbox.h"
#include "channels/slack/listener.h"
#include "channels/slack/lookout.h"
#include "channels/slack/outcome.h"
#include "channels/slack/people.h"
#include "channels/slack/rounds.h"
#include "channels/slack/sender.h"
#include "channels/slack/socket_mode.h"
#include "common/log.h"

enum {
    FLUSH_MS = 1500,
    LOCK_LOOKS = 6, // before it is said that the lock is in use: a predecessor may be closing yet
    PRUNE_MS = 3600 * 1000,
    UNATTENDED_MS = 2000, // between looks at what waits
    OUTBOX_DAYS = 30,
};

struct engine {
    uv_loop_t *loop;
    struct store *store;
    const struct config *config;
    struct engine_handler handler;
    enum turn_role role;
    bool running, closing;
    bool leaving;    // the connection is being given up
    bool flushed;    // of that: nothing is under way any more
    int leave_parts; // of that: what has not ended yet
    bool told;       // that another process holds it
    int lock_looks;
    bool known; // auth.test has succeeded
    uv_timer_t tick, due, soon;
    int open_handles;
    struct access access;
    struct escalation_people people;
    struct slack_api *api;
    struct people *identity;
    struct sender *sender;
    struct socket_mode *socket;
    struct listener *listener;
    struct app_lock *lock;
    struct turn turn;
    char *files;
    char trouble[192]; // of identity or lock
    bool refused;      // it is one that only a person can mend
    int64_t version, pruned_at, unattended_at;
    int64_t flush_until; // boot ms
    void (*closed)(void *data);
    void *closed_data;
};

static void process(struct engine *e);

// ---- what others are told ----

static void notify(struct engine *e)
{
    if (!e->closing)
        e->handler.on_change(e->handler.data);
}

static void on_soon(uv_timer_t *t)
{
    notify(t->data);
}

// After the present callback, and once for many changes.
static void notify_soon(struct engine *e)
{
    if (!e->closing)
        uv_timer_start(&e->soon, on_soon, 1, 0);
}

static struct inbound inbound_of(const struct engine *e)
{
    return (struct inbound){.store = e->store, .access = &e->access, .people = &e->people};
}

// ---- the connection ----

static void on_up(const char *app_id, int64_t connections, int ours, void *data)
{
    struct engine *e = data;
    snprintf(e->access.app, sizeof e->access.app, "%s", app_id);
    log_info("slack: connected", "connections", log_int(connections));
    if (connections > ours)
        log_warn(
            "slack: Slack counts more connections of this app than there are; what it sends to "
            "the others is lost or late, so the history is read more often",
            "counted", log_int(connections), "ours", log_int(ours));
    listener_connected(e->listener, connections > ours);
    sender_hurry(e->sender);
}

static void on_envelope(struct envelope *env, void *data)
{
    struct engine *e = data;
    listener_envelope(e->listener, env);
}

static void acknowledge(const char *envelope_id, void *data)
{
    struct engine *e = data;
    socket_mode_ack(e->socket, envelope_id);
}

static void on_socket_state(enum socket_state state, const char *why, void *data)
{
    (void)data;
    if (state == SOCKET_DISABLED || state == SOCKET_REFUSED)
        log_error("slack: not connected until a person acts", "why", why);
    else if (state == SOCKET_TRYING)
        log_info("slack: connecting", "why", why);
}

static void on_known(void *data)
{
    struct engine *e = data;
    e->trouble[0] = '\0';
    e->refused = false;
    e->known = true;
    if (e->socket)
        socket_mode_start(e->socket);
    process(e);
}

static void on_unknown(const char *why, bool refused, void *data)
{
    struct engine *e = data;
    snprintf(e->trouble, sizeof e->trouble, "%s", why);
    e->refused = refused;
    if (refused)
        log_error("slack: not started until a person acts", "why", why);
    else
        log_warn("slack: not reached", "why", why);
    notify_soon(e);
}

// ---- what goes out ----

static int on_sent(const struct outbox_row *row, const char *channel, const char *ts, void *data)
{
    struct inbound in = inbound_of(data);
    return outcome_sent(&in, row, channel, ts, moment_now());
}

static int on_failed(const struct outbox_row *row, const char *error, void *data)
{
    struct inbound in = inbound_of(data);
    return outcome_failed(&in, row, error, moment_now());
}

static void finish_flush(struct engine *e);

static void on_row_done(int64_t id, void *data)
{
    struct engine *e = data;
    (void)id;
    if (e->leaving) {
        finish_flush(e);
        return;
    }
    process(e);
    notify_soon(e);
}

// ---- timers ----

static void on_due(uv_timer_t *t)
{
    process(t->data);
}

// Sets the timer for the next thing that is due; -1 never.
static void arm(struct engine *e)
{
    struct moment now = moment_now();
    int64_t wait = rounds_wait(e->store, now);
    if (wait < 0)
        uv_timer_stop(&e->due);
    else
        uv_timer_start(&e->due, on_due, (uint64_t)wait + 1, 0);
}

// The holder's round: whatever is due, then the outbox.
static void process(struct engine *e)
{
    if (!e->running || e->leaving)
        return;
    struct moment now = moment_now();
    if (rounds_due(e->store, now) && rounds_run(e->store, &e->people, now) < 0) {
        log_warn("slack: the timers could not be run, again soon", "why", store_error(e->store));
        uv_timer_start(&e->due, on_due, 500, 0);
    } else {
        arm(e);
    }
    if (e->known)
        sender_kick(e->sender);
}

void engine_changed(struct engine *e)
{
    process(e);
    notify_soon(e);
}

static void on_stored(void *data)
{
    engine_changed(data);
}

static void on_caught_up(void *data)
{
    notify_soon(data);
}

// ---- who holds the connection ----

static int start_running(struct engine *e)
{
    const struct config *c = e->config;
    struct people_handler ph = {.on_known = on_known, .on_failed = on_unknown, .data = e};
    struct sender_handler sh = {
        .on_sent = on_sent, .on_failed = on_failed, .on_done = on_row_done, .data = e};
    struct socket_handler so = {
        .on_up = on_up, .on_state = on_socket_state, .on_envelope = on_envelope, .data = e};
    bool plain = strncmp(c->slack_api_url, "http://", 7) == 0;
    e->refused = false;
    int r = moment_rebase(e->store, moment_now(), e->people.nag_ms ? e->people.nag_ms : 1);
    if (r == 0)
        r = slack_api_new(e->loop, c->slack_api_url, c->slack_bot_token, c->slack_app_token,
                          &e->api);
    if (r == 0)
        r = sender_new(e->loop, e->store, e->api, &e->access, e->files, &sh, &e->sender);
    if (r == 0 && e->role != TURN_PAGE)
        r = socket_mode_new(e->loop, e->api, &so, plain, &e->socket);
    if (r == 0 && !(e->identity = people_new(e->loop, e->store, e->api, &e->access, &ph)))
        r = -ENOMEM;
    if (r == 0)
        r = listener_start(e->listener, e->api);
    if (r < 0)
        return r;
    e->running = true;
    snprintf(e->trouble, sizeof e->trouble, "connecting");
    people_start(e->identity);
    return 0;
}

static void close_handles(struct engine *e);

static void part_left(void *engine)
{
    struct engine *e = engine;
    if (--e->leave_parts)
        return;
    app_lock_release(e->lock);
    e->lock = NULL;
    turn_release(e->store, &e->turn);
    e->leaving = false;
    if (e->closing)
        close_handles(e);
}

static void stop_parts(struct engine *e)
{
    e->running = e->known = false;
    slack_api_close(e->api); // first: no answer comes any more
    people_close(e->identity);
    sender_close(e->sender);
    listener_stop(e->listener);
    e->api = NULL;
    e->identity = NULL;
    e->sender = NULL;
}

static void on_flush_end(uv_timer_t *t)
{
    struct engine *e = t->data;
    uv_timer_stop(t);
    if (e->flushed)
        return;
    e->flushed = true;
    stop_parts(e);
    part_left(e);
}

// What is under way may end, so that its outcome is known.
static void finish_flush(struct engine *e)
{
    bool idle = !e->running || sender_idle(e->sender);
    int64_t left = e->flush_until - clock_boot_ms();
    uv_timer_start(&e->due, on_flush_end, idle || left < 0 ? 0 : (uint64_t)left, 0);
}

// Nothing is begun any more. Only when the connection is closed and the last answer is in may the
// next process begin: the lock, then the lease.
static void leave(struct engine *e)
{
    if (e->leaving)
        return;
    e->leaving = true;
    e->flushed = false;
    e->leave_parts = 1;
    listener_pause(e->listener);
    e->flush_until = clock_boot_ms() + FLUSH_MS;
    struct socket_mode *socket = e->socket;
    e->socket = NULL;
    if (socket) { // first: a connection that Slack does not know to be closed is sent to in vain
        e->leave_parts++;
        socket_mode_close(socket, part_left, e);
    }
    if (e->sender)
        sender_drain(e->sender);
    finish_flush(e);
}

static void on_unused_closed(void *data)
{
    (void)data;
}

static void become_holder(struct engine *e)
{
    if (e->running)
        return;
    int r = e->lock ? 0 : app_lock_take(e->config->slack_app_token, &e->lock);
    if (r < 0) {
        if (++e->lock_looks == LOCK_LOOKS)
            log_warn("slack: the app token is in use by another process, or cannot be locked",
                     "why", strerror(-r));
        snprintf(e->trouble, sizeof e->trouble, "%s",
                 r == -EBUSY ? "another process with another state folder uses this app token"
                             : "the app token's lock cannot be taken");
        return;
    }
    e->lock_looks = 0;
    r = start_running(e);
    if (r == 0)
        return;
    struct socket_mode *socket = e->socket; // connects to nothing yet
    e->socket = NULL;
    if (socket)
        socket_mode_close(socket, on_unused_closed, e);
    stop_parts(e);
    char why[sizeof e->trouble];
    snprintf(why, sizeof why, "cannot start: %s", strerror(-r));
    if (strcmp(why, e->trouble) != 0)
        log_error("slack: cannot start", "why", strerror(-r));
    memcpy(e->trouble, why, sizeof why);
}

static void prune(struct engine *e)
{
    int64_t now = clock_wall_ms();
    if (clock_boot_ms() - e->pruned_at < PRUNE_MS && e->pruned_at)
        return;
    e->pruned_at = clock_boot_ms();
    if (inbox_prune(e->store, now) < 0 ||
        outbox_prune(e->store, now - (int64_t)OUTBOX_DAYS * 24 * 3600 * 1000) < 0)
        log_debug("slack: pruning was put off");
}

// False when the store cannot tell whose turn it is, or the connection is being given up.
static bool take_turn(struct engine *e)
{
    if (e->leaving)
        return false;
    switch (turn_look(e->store, &e->turn, clock_boot_ms())) {
    case TURN_UNKNOWN:
        log_debug("slack: heartbeat not written", "why", store_error(e->store));
        return false;
    case TURN_OURS:
        e->told = false;
        become_holder(e);
        break;
    case TURN_YIELD:
        log_info("slack: a session is there, it takes over the connection");
        leave(e);
        break;
    case TURN_OTHERS:
        if (e->running) {
            log_warn("slack: another process took over");
            leave(e);
        } else if (!e->told) {
            log_info("slack: another process holds the connection and sends what is written here");
        }
        e->told = true;
        break;
    }
    return !e->leaving;
}

static void look_for_unattended(struct engine *e)
{
    int64_t now = clock_boot_ms();
    if (e->role != TURN_STANDBY || now - e->unattended_at < UNATTENDED_MS)
        return;
    e->unattended_at = now;
    if (lookout_run(e->store, e->config->unattended_s * 1000, moment_now()) < 0)
        log_debug("slack: the incidents could not be looked at", "why", store_error(e->store));
}

static void on_tick(uv_timer_t *t)
{
    struct engine *e = t->data;
    if (!take_turn(e))
        return;
    if (e->running) {
        prune(e);
        look_for_unattended(e);
    }
    store_checkpoint(e->store);
    int64_t version = store_data_version(e->store);
    listener_tick(e->listener);
    bool due = e->running && rounds_due(e->store, moment_now());
    bool changed = version != e->version;
    e->version = version;
    if (changed || due)
        process(e);
    if (changed)
        notify(e);
}

// ---- life ----

int engine_new(uv_loop_t *loop, struct store *s, const struct config *config, enum turn_role role,
               const struct engine_handler *handler, struct engine **ret_engine)
{
    struct engine *e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    e->loop = loop;
    e->store = s;
    e->config = config;
    e->handler = *handler;
    e->role = role;
    turn_init(&e->turn, role);
    access_set_users(&e->access, config->slack_users);
    e->people =
        (struct escalation_people){.owner = access_owner(&e->access),
                                   .second = e->access.n_users > 1 ? e->access.users[1] : "",
                                   .nag_ms = config->slack_nag_s * 1000};
    struct listener_handler lh = {
        .on_stored = on_stored, .on_caught_up = on_caught_up, .ack = acknowledge, .data = e};
    if (asprintf(&e->files, "%s/slack-files", config->state_dir) < 0) {
        free(e);
        return -ENOMEM;
    }
    e->listener = listener_new(loop, s, &e->access, &e->people, &lh);
    if (!e->listener) {
        free(e->files);
        free(e);
        return -ENOMEM;
    }
    uv_timer_t *timers[] = {&e->tick, &e->due, &e->soon};
    for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
        uv_timer_init(loop, timers[i]);
        timers[i]->data = e;
    }
    e->open_handles = (int)ARRAY_LEN(timers);
    *ret_engine = e;
    return 0;
}

void engine_start(struct engine *e)
{
    e->unattended_at = clock_boot_ms() + LOOKOUT_PATIENCE_MS;
    if (!config_slack_lacks(e->config, 0))
        uv_timer_start(&e->tick, on_tick, 0, TURN_LOOK_MS);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct engine *e = h->data;
    if (--e->open_handles)
        return;
    void (*closed)(void *data) = e->closed;
    void *data = e->closed_data;
    free(e->files);
    free(e);
    closed(data);
}

static void close_handles(struct engine *e)
{
    listener_close(e->listener);
    uv_timer_t *timers[] = {&e->tick, &e->due, &e->soon};
    for (size_t i = 0; i < ARRAY_LEN(timers); i++)
        uv_close((uv_handle_t *)timers[i], on_handle_closed);
}

void engine_close(struct engine *e, void (*closed)(void *data), void *data)
{
    if (e->closing)
        return;
    e->closing = true;
    e->closed = closed;
    e->closed_data = data;
    uv_timer_stop(&e->tick);
    leave(e);
}

// ---- what others ask ----

bool engine_holds(const struct engine *e)
{
    return e->turn.holds;
}

int64_t engine_horizon(const struct engine *e)
{
    if (!e->running)
        return INT64_MAX;
    if (sender_escalates(e->sender)) // its thread is not known yet
        return -1;
    return listener_horizon(e->listener);
}

const struct access *engine_access(const struct engine *e)
{
    return &e->access;
}

const struct escalation_people *engine_people(const struct engine *e)
{
    return &e->people;
}

const char *engine_files(const struct engine *e)
{
    return e->files;
}

static void status_of_others(const struct engine *e, struct buf *out)
{
    struct lease_info info;
    if (lease_read(e->store, LEASE_SLACK, &info) == 0 && info.fresh)
        buf_addf(out,
                 "another process (%lld) holds the connection and sends what is "
                 "written here",
                 (long long)info.pid);
    else
        buf_adds(out, "starting");
}

bool engine_refused(const struct engine *e)
{
    return e->refused || (e->running && sender_stopped(e->sender)[0]);
}

int engine_status(const struct engine *e, struct buf *out)
{
    if (!e->turn.holds) {
        status_of_others(e, out);
        return 1;
    }
    if (e->trouble[0] || !e->running) {
        buf_addf(out, "not connected: %s", e->trouble);
        return 0;
    }
    if (sender_stopped(e->sender)[0]) {
        buf_addf(out, "nothing can be sent: %s", sender_stopped(e->sender));
        return 0;
    }
    if (e->socket && socket_mode_state(e->socket) != SOCKET_UP) {
        buf_addf(out, "not connected: %s", socket_mode_why(e->socket));
        return 0;
    }
    buf_adds(out, "connected");
    if (people_missing_scopes(e->identity)[0])
        buf_addf(out, ", but the bot token lacks the scopes %s",
                 people_missing_scopes(e->identity));
    return 1;
}
