#include "channels/slack/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/inbox.h"
#include "channels/slack/permission.h"
#include "channels/slack/web_api.h"
#include "common/lease.h"
#include "common/log.h"

enum {
    RETRY_MS = 500,   // the client reads slowly, or the store is busy
    PASSED_MS = 1000, // a call so soon after a prompt may have been under way before it
    MAX_HELD = 16,    // prompts that could not be stored yet
    MAX_TRIES = 600,  // of one, before it is left to the terminal
};

struct held_prompt {
    char request_id[8];
    char *tool, *description, *preview;
    unsigned tries;
};

struct session {
    struct session_parts parts;
    struct slack_api *api;
    uv_timer_t first, retry;
    int open_handles;
    bool attached; // the client listens
    char id[96];
    struct receipts receipts;
    struct held_prompt held[MAX_HELD];
    size_t n_held;
};

// ---- what people said ----

static const char *kind_name(enum inbox_kind kind)
{
    return kind == INBOX_MESSAGE ? "message" : kind == INBOX_COMMAND ? "command" : "interaction";
}

static int push(struct session *s, const struct inbox_row *row)
{
    char escalation[24] = "", delivery[24] = "";
    if (row->escalation_id)
        snprintf(escalation, sizeof escalation, "%lld", (long long)row->escalation_id);
    if (row->pushes)
        snprintf(delivery, sizeof delivery, "%lld", (long long)row->pushes + 1);
    const struct channel_meta meta[] = {
        {"kind", kind_name(row->kind)}, {"chat_id", row->channel}, {"message_ts", row->ts},
        {"thread_ts", row->thread_ts},  {"user_id", row->user},    {"user", row->user_name},
        {"escalation_id", escalation},  {"delivery", delivery},
    };
    int64_t id = row->id;
    struct str text = row->text[0] ? str_of(row->text) : str_of("(an empty message)");
    int r = channel_event(s->parts.server, text, meta, ARRAY_LEN(meta));
    if (r < 0)
        return r;
    return inbox_pushed(s->parts.store, id, s->id, clock_wall_ms());
}

static void on_retry(uv_timer_t *t)
{
    session_pump(t->data);
}

static void try_later(struct session *s)
{
    if (!uv_is_active((uv_handle_t *)&s->retry))
        uv_timer_start(&s->retry, on_retry, RETRY_MS, 0);
}

static void deliver(struct session *s)
{
    struct inbox_row row;
    int r = 0;
    if (!s->attached || !engine_holds(s->parts.engine))
        return;
    int64_t horizon_us = engine_horizon(s->parts.engine);
    while (horizon_us >= 0 &&
           (r = inbox_next(s->parts.store, s->id, clock_wall_ms(), horizon_us, &row)) > 0) {
        r = push(s, &row);
        if (r < 0)
            break;
    }
    if ((r < 0 && r != -EPIPE) || horizon_us != INT64_MAX)
        try_later(s);
}

// ---- permission prompts ----

static void answer_prompts(struct session *s)
{
    int64_t id;
    char request_id[8];
    bool allow;
    int r;
    while ((r = prompt_untold(s->parts.store, s->id, &id, request_id, &allow)) > 0) {
        // Told before it is sent would lose it, sent before it is told at worst repeats it, which
        // the client ignores.
        r = channel_permission_answer(s->parts.server, request_id, allow);
        if (r >= 0)
            r = prompt_told(s->parts.store, id);
        if (r < 0)
            break;
        log_info("slack: permission answered", "request", request_id, "answer",
                 allow ? "allow" : "deny");
    }
    if (r < 0 && r != -EPIPE)
        try_later(s);
}

static int store_prompt(struct session *s, const struct held_prompt *p)
{
    struct store *store = s->parts.store;
    int64_t id;
    int r = store_begin(store);
    if (r < 0)
        return r;
    r = prompt_add(store,
                   &(struct prompt_new){.request_id = p->request_id,
                                        .tool = p->tool,
                                        .description = p->description,
                                        .preview = p->preview},
                   s->id, engine_people(s->parts.engine), moment_now(), &id);
    if (r < 0) {
        store_rollback(store);
        return r;
    }
    return store_commit(store);
}

static void held_done(struct held_prompt *p)
{
    free(p->tool);
    free(p->description);
    free(p->preview);
}

static void store_prompts(struct session *s)
{
    size_t done = 0, stored = 0;
    for (; done < s->n_held; done++) {
        struct held_prompt *p = &s->held[done];
        int r = store_prompt(s, p);
        if (r < 0 && ++p->tries < MAX_TRIES)
            break;
        if (r < 0)
            log_error("slack: a permission prompt could not be stored: answer it in the terminal",
                      "request", p->request_id, "why", store_error(s->parts.store));
        stored += r == 0;
        held_done(p);
    }
    memmove(s->held, s->held + done, (s->n_held - done) * sizeof s->held[0]);
    s->n_held -= done;
    if (s->n_held)
        try_later(s);
    if (stored)
        engine_changed(s->parts.engine);
}

static void on_permission(struct session *s, const cJSON *params)
{
    struct channel_permission p;
    if (channel_permission_read(params, &p) < 0) {
        log_warn("slack: a permission prompt without a usable request_id was ignored");
        return;
    }
    if (config_slack_lacks(s->parts.config, 0) || s->n_held == MAX_HELD)
        return;
    struct held_prompt *h = &s->held[s->n_held++];
    h->tries = 0;
    snprintf(h->request_id, sizeof h->request_id, "%s", p.request_id);
    h->tool = strdup(p.tool_name);
    h->description = strdup(p.description);
    h->preview = strdup(p.input_preview);
    if (!h->tool || !h->description || !h->preview) {
        held_done(h);
        s->n_held--;
        return;
    }
    store_prompts(s);
}

void session_notification(struct session *s, const char *method, const cJSON *params)
{
    if (strcmp(method, CHANNEL_PERMISSION_REQUEST) == 0)
        on_permission(s, params);
}

// ---- tools ----

void session_called(struct session *s)
{
    int64_t now = clock_wall_ms();
    if (inbox_taken(s->parts.store, s->id, now) < 0)
        log_debug("slack: a sign of life was not noted");
    if (store_begin(s->parts.store) < 0)
        return;
    int r = prompt_passed(s->parts.store, s->id, now - PASSED_MS);
    if (r > 0 && store_commit(s->parts.store) == 0)
        engine_changed(s->parts.engine);
    else
        store_rollback(s->parts.store);
}

// ---- life ----

void session_pump(struct session *s)
{
    store_prompts(s);
    answer_prompts(s);
    receipts_look(&s->receipts);
    deliver(s);
}

static void on_first(uv_timer_t *t)
{
    struct session *s = t->data;
    s->attached = true;
    session_pump(s);
}

void session_initialized(struct session *s)
{
    engine_start(s->parts.engine);
    uv_timer_start(&s->first, on_first, CHANNEL_FIRST_PUSH_MS, 0);
}

const struct session_parts *session_parts(const struct session *s)
{
    return &s->parts;
}

struct receipts *session_receipts(struct session *s)
{
    return &s->receipts;
}

struct slack_api *session_api(struct session *s)
{
    const struct config *c = s->parts.config;
    if (!s->api && slack_api_new(s->parts.loop, c->slack_api_url, c->slack_bot_token,
                                 c->slack_app_token, &s->api) < 0)
        return NULL;
    return s->api;
}

int session_new(const struct session_parts *parts, struct session **ret_session)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->parts = *parts;
    s->receipts = (struct receipts){parts->loop, parts->store, parts->engine, NULL};
    snprintf(s->id, sizeof s->id, "%s", lease_self());
    uv_timer_init(parts->loop, &s->first);
    uv_timer_init(parts->loop, &s->retry);
    s->first.data = s->retry.data = s;
    s->open_handles = 2;
    *ret_session = s;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    struct session *s = h->data;
    if (--s->open_handles == 0)
        free(s);
}

void session_close(struct session *s)
{
    if (s->api)
        slack_api_abort(s->api);
    slack_api_close(s->api);
    s->api = NULL;
    receipts_end(&s->receipts);
    for (size_t i = 0; i < s->n_held; i++)
        held_done(&s->held[i]);
    uv_close((uv_handle_t *)&s->first, on_closed);
    uv_close((uv_handle_t *)&s->retry, on_closed);
}
