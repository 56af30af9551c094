#include "channels/slack/catch_up.h"

#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/envelope.h"
#include "channels/slack/inbox.h"
#include "common/clock.h"
#include "common/log.h"

enum {
    FIRST_LOOK_MS = 5 * 60 * 1000, // the very first time: what was said just before
    OVERLAP_S = 2,
    PAGE = 200,
    MAX_PAGES = 20,
    THREAD_PAGES = 2,
    MAX_THREADS = 24,
    THREAD_MS = 2 * 24 * 3600 * 1000, // age of the messages under which replies are looked for
    RETRY_MS = 2000,
    MAX_RETRIES = 8,
    STORE_RETRY_MS = 300,
    MAX_STORE_RETRIES = 100,
};

// A run reads everybody's history and threads, or looks at one user's and at one thread.
struct scope {
    char user[24]; // "": everybody
    char thread[32];
};

struct catch_up {
    struct store *store;
    struct slack_api *api;
    const struct access *access;
    struct catch_up_handler handler;
    uv_timer_t timer;
    bool running, again, complete;
    bool storing;             // what was read waits for the store
    bool complained;          // that history cannot be read
    struct scope scope, next; // of this run, and of the one after it when `again`
    unsigned retries;
    size_t user, thread, n_threads; // where it is
    struct person person;
    char newest[32];
    int64_t newest_us;                 // of all users of this run
    char looked[ACCESS_MAX_USERS][32]; // how far the quick looks have come since the last full run
    char threads[MAX_THREADS][32];
    char cursor[256];
    unsigned pages;
    cJSON *held[MAX_PAGES]; // history comes newest first: pages wait until the oldest is there
};

static void next_user(struct catch_up *c);
static void ask(struct catch_up *c);
static void begin(struct catch_up *c, const struct scope *scope);

static bool is_look(const struct catch_up *c)
{
    return c->scope.user[0] != '\0';
}

static void drop_pages(struct catch_up *c)
{
    for (size_t i = 0; i < MAX_PAGES; i++) {
        cJSON_Delete(c->held[i]);
        c->held[i] = NULL;
    }
    c->pages = 0;
    c->cursor[0] = '\0';
}

static void end(struct catch_up *c)
{
    drop_pages(c);
    c->running = false;
    c->handler.on_end(c->complete, c->newest_us, c->again, c->handler.data);
    if (c->again)
        begin(c, &c->next);
}

static void on_timer(uv_timer_t *t)
{
    ask(t->data);
}

static void retry(struct catch_up *c, int64_t ms)
{
    if (++c->retries > MAX_RETRIES) {
        log_warn("slack: catching up was given up for now");
        c->complete = false;
        end(c);
        return;
    }
    uv_timer_start(&c->timer, on_timer, (uint64_t)(ms > RETRY_MS ? ms : RETRY_MS), 0);
}

static int compare_ts(const char *a, const char *b)
{
    int64_t x = slack_ts_us(a), y = slack_ts_us(b);
    return x < y ? -1 : x > y;
}

static void add_thread(struct catch_up *c, const char *ts)
{
    for (size_t i = 0; i < c->n_threads; i++)
        if (strcmp(c->threads[i], ts) == 0)
            return;
    if (c->n_threads < MAX_THREADS)
        snprintf(c->threads[c->n_threads++], sizeof c->threads[0], "%s", ts);
}

// What was said since then may be new. Replies are not counted by the looks, so they start earlier.
static int64_t oldest_us(const struct catch_up *c)
{
    int64_t us = slack_ts_us(c->person.synced_ts), looked = slack_ts_us(c->looked[c->user]);
    if (is_look(c) && !c->thread && looked > us)
        us = looked;
    return us - (int64_t)OVERLAP_S * 1000000;
}

// A message tells what reactions it has, not when they came.
static int reactions(struct catch_up *c, const cJSON *m, const struct slack_event *message)
{
    const cJSON *reaction, *user;
    int r = 0;
    cJSON_ArrayForEach(reaction, json_arr(m, "reactions"))
    {
        cJSON_ArrayForEach(user, json_arr(reaction, "users"))
        {
            struct slack_event e = *message;
            const char *name = json_str(reaction, "name");
            e.type = EVENT_REACTION;
            e.user = cJSON_IsString(user) ? user->valuestring : "";
            e.reaction = name ? name : "";
            e.text = e.subtype = e.client_msg_id = e.bot_id = e.author_app = "";
            if (r >= 0 && access_allows(c->access, e.user))
                r = c->handler.on_message(&e, c->handler.data);
        }
    }
    return r;
}

static int one_message(struct catch_up *c, const cJSON *m)
{
    struct slack_event e;
    event_from_history(m, c->person.channel, &e);
    const char *reply = json_str(m, "latest_reply");
    if (c->thread == 0) {
        if (compare_ts(e.ts, c->newest) > 0)
            snprintf(c->newest, sizeof c->newest, "%s", e.ts);
        if (reply && compare_ts(reply, c->person.synced_ts) > 0)
            add_thread(c, e.ts);
    }
    // Older ones are read for their threads and reactions only.
    int r = reactions(c, m, &e);
    if (r < 0 || slack_ts_us(e.ts) <= oldest_us(c))
        return r;
    return c->handler.on_message(&e, c->handler.data);
}

// History is newest first within and across pages, replies oldest first.
static int pass_on(struct catch_up *c)
{
    int r = c->handler.on_begin(c->handler.data);
    bool backwards = c->thread == 0;
    if (r < 0)
        return r;
    for (unsigned i = 0; r >= 0 && i < c->pages; i++) {
        const cJSON *page = c->held[backwards ? c->pages - 1 - i : i];
        const cJSON *list = json_arr(page, "messages");
        int n = cJSON_GetArraySize(list);
        for (int k = 0; r >= 0 && k < n; k++)
            r = one_message(c, cJSON_GetArrayItem(list, backwards ? n - 1 - k : k));
    }
    int done = c->handler.on_commit(r >= 0, c->handler.data);
    return done < 0 ? done : r;
}

// The escalations that are alive, however old their message is.
static void load_threads(struct catch_up *c)
{
    struct stmt *q = store_sql(
        c->store, "SELECT o.ts FROM slack_outbox AS o JOIN slack_escalation AS e ON e.id = "
                  "o.ref_id WHERE o.ref = 1 AND o.op = 0 AND o.state = 2 AND o.channel = ?1 AND "
                  "e.state < 3 ORDER BY o.id DESC LIMIT 64");
    bind_text(q, 1, c->person.channel);
    while (stmt_step(q) > 0)
        add_thread(c, col_text(q, 0));
    stmt_reset(q);
}

static void next_place(struct catch_up *c);

static void on_store_timer(uv_timer_t *t)
{
    next_place(t->data);
}

static void next_place(struct catch_up *c)
{
    int r = pass_on(c);
    c->storing = r < 0 && ++c->retries <= MAX_STORE_RETRIES;
    if (c->storing) { // another process holds the store
        uv_timer_start(&c->timer, on_store_timer, STORE_RETRY_MS, 0);
        return;
    }
    c->retries = 0;
    drop_pages(c);
    if (r < 0) {
        c->complete = false;
        end(c);
        return;
    }
    if (c->thread == 0 && !is_look(c))
        load_threads(c);
    else if (c->thread == 0 && c->scope.thread[0])
        add_thread(c, c->scope.thread);
    if (c->thread < c->n_threads) {
        c->thread++;
        ask(c);
        return;
    }
    int64_t us = slack_ts_us(c->newest);
    c->newest_us = us > c->newest_us ? us : c->newest_us;
    if (is_look(c))
        memcpy(c->looked[c->user], c->newest, sizeof c->newest);
    else if (person_set_synced(c->store, c->person.user, c->newest) < 0)
        log_debug("slack: how far it was read could not be noted");
    c->user++;
    next_user(c);
}

// Pages that only hold what was read before are worth it for the sake of threads, but not many.
static bool wants_more(const struct catch_up *c, const cJSON *page)
{
    if (c->thread || c->pages < THREAD_PAGES)
        return true;
    const cJSON *list = json_arr(page, "messages");
    const char *ts = json_str(cJSON_GetArrayItem(list, cJSON_GetArraySize(list) - 1), "ts");
    return ts && slack_ts_us(ts) > oldest_us(c);
}

static void on_page(const struct api_answer *a, void *data)
{
    struct catch_up *c = data;
    if (a->verdict == API_STOP || a->verdict == API_REFUSED) {
        if (strcmp(a->error, "thread_not_found") != 0 && !c->complained) {
            c->complained = true;
            log_warn("slack: history cannot be read, so what is said while the connection is down "
                     "is lost",
                     "error", a->error, "needs", a->needed[0] ? a->needed : NULL);
        }
        next_place(c);
        return;
    }
    if (a->verdict != API_OK) {
        retry(c, a->retry_ms);
        return;
    }
    c->retries = 0;
    c->held[c->pages++] = cJSON_Duplicate(a->json, 1);
    const char *next = json_str(json_obj(a->json, "response_metadata"), "next_cursor");
    if (next && next[0] && wants_more(c, a->json) && c->pages < MAX_PAGES &&
        strlen(next) < sizeof c->cursor) {
        snprintf(c->cursor, sizeof c->cursor, "%s", next);
        ask(c);
        return;
    }
    next_place(c);
}

static void ask(struct catch_up *c)
{
    const char *method = c->thread ? "conversations.replies" : "conversations.history";
    int64_t blocked = slack_api_blocked(c->api, method);
    if (blocked) {
        uv_timer_start(&c->timer, on_timer, (uint64_t)blocked, 0);
        return;
    }
    struct buf form = BUF_INIT(8192);
    char oldest[32], limit[16];
    int64_t us = oldest_us(c), threads = (clock_wall_ms() - THREAD_MS) * 1000;
    if (!c->thread && !is_look(c) && threads < us)
        us = threads;
    snprintf(oldest, sizeof oldest, "%lld.%06lld", (long long)(us / 1000000),
             (long long)(us % 1000000));
    snprintf(limit, sizeof limit, "%d", PAGE);
    http_form_add(&form, "channel", str_of(c->person.channel));
    if (c->thread)
        http_form_add(&form, "ts", str_of(c->threads[c->thread - 1]));
    http_form_add(&form, "oldest", str_of(oldest));
    http_form_add(&form, "limit", str_of(limit));
    if (c->cursor[0])
        http_form_add(&form, "cursor", str_of(c->cursor));
    int r = form.error;
    if (r == 0)
        r = slack_api_call(c->api, method, buf_str(&form), API_REPEATABLE, on_page, c);
    buf_done(&form);
    if (r < 0)
        retry(c, 0);
}

static void next_user(struct catch_up *c)
{
    for (; c->user < c->access->n_users; c->user++) {
        const char *user = c->access->users[c->user];
        if (is_look(c) && strcmp(c->scope.user, user) != 0)
            continue;
        if (person_read(c->store, user, &c->person) < 0 || !c->person.channel[0])
            continue;
        if (!c->person.synced_ts[0])
            snprintf(c->person.synced_ts, sizeof c->person.synced_ts, "%lld.000000",
                     (long long)((clock_wall_ms() - FIRST_LOOK_MS) / 1000));
        bool further = is_look(c) && compare_ts(c->looked[c->user], c->person.synced_ts) > 0;
        memcpy(c->newest, further ? c->looked[c->user] : c->person.synced_ts, sizeof c->newest);
        c->thread = c->n_threads = 0;
        ask(c);
        return;
    }
    end(c);
}

static void begin(struct catch_up *c, const struct scope *scope)
{
    c->scope = *scope;
    c->running = c->complete = true;
    c->again = false;
    c->newest_us = 0;
    c->user = 0;
    c->retries = 0;
    next_user(c);
}

static void begin_or_queue(struct catch_up *c, const struct scope *scope)
{
    if (!c->running) {
        begin(c, scope);
        return;
    }
    bool same = !c->again || (strcmp(c->next.user, scope->user) == 0 &&
                              strcmp(c->next.thread, scope->thread) == 0);
    c->next = same ? *scope : (struct scope){.user = ""};
    c->again = true;
    if (uv_is_active((uv_handle_t *)&c->timer) &&
        !c->storing) { // waiting to try again: now is better
        uv_timer_stop(&c->timer);
        c->retries = 0;
        ask(c);
    }
}

void catch_up_start(struct catch_up *c)
{
    begin_or_queue(c, &(struct scope){.user = ""});
}

void catch_up_look(struct catch_up *c, const char *user, const char *thread_ts)
{
    struct scope scope;
    snprintf(scope.user, sizeof scope.user, "%s", user);
    snprintf(scope.thread, sizeof scope.thread, "%s", thread_ts);
    begin_or_queue(c, &scope);
}

bool catch_up_running(const struct catch_up *c)
{
    return c->running;
}

struct catch_up *catch_up_new(uv_loop_t *loop, struct store *s, struct slack_api *api,
                              const struct access *access, const struct catch_up_handler *handler)
{
    struct catch_up *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->store = s;
    c->api = api;
    c->access = access;
    c->handler = *handler;
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    return c;
}

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

void catch_up_close(struct catch_up *c)
{
    if (!c)
        return;
    drop_pages(c);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
