#include "channels/slack/people.h"

#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/inbox.h"
#include "common/backoff.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/text.h"

enum { REFUSED_MS = 10 * 60 * 1000, MAX_TRIES = 3 };

const char *const slack_scopes[] = {"chat:write",     "im:write",    "im:history",
                                    "im:read",        "users:read",  "reactions:write",
                                    "reactions:read", "files:write", NULL};

struct people {
    struct store *store;
    struct slack_api *api;
    struct access *access;
    struct people_handler handler;
    uv_timer_t timer;
    void (*on_timer)(struct people *p);
    struct backoff backoff;
    size_t user; // whose conversation or name is asked for
    unsigned tries;
    char missing[192];
};

static void ask_identity(struct people *p);
static void ask_conversation(struct people *p);
static void ask_name(struct people *p);

int slack_scopes_missing(struct buf *out, const char *granted)
{
    for (size_t i = 0; slack_scopes[i]; i++) {
        size_t n = strlen(slack_scopes[i]);
        bool found = false;
        for (const char *s = granted; *s && !found;) {
            size_t len = strcspn(s, ", ");
            found = len == n && memcmp(s, slack_scopes[i], n) == 0;
            s += len;
            s += strspn(s, ", ");
        }
        if (!found)
            buf_addf(out, "%s%s", out->len ? ", " : "", slack_scopes[i]);
    }
    return out->error;
}

static void on_timer(uv_timer_t *t)
{
    struct people *p = t->data;
    p->on_timer(p);
}

static void later(struct people *p, int64_t retry_ms, void (*what)(struct people *p))
{
    uint32_t random;
    random_bytes(&random, sizeof random);
    p->on_timer = what;
    uv_timer_start(&p->timer, on_timer, backoff_next(&p->backoff, random, retry_ms), 0);
}

static void call(struct people *p, const char *method, const char *key, const char *value,
                 api_fn done, void (*again)(struct people *p))
{
    struct buf form = BUF_INIT(4096);
    int64_t blocked = slack_api_blocked(p->api, method);
    int r = key ? http_form_add(&form, key, str_of(value)) : 0;
    if (r == 0 && !blocked)
        r = slack_api_call(p->api, method, buf_str(&form), API_REPEATABLE, done, p);
    buf_done(&form);
    if (r < 0 || blocked)
        later(p, blocked, again);
}

// ---- names, when there is time ----

static void on_name(const struct api_answer *a, void *data)
{
    struct people *p = data;
    const cJSON *user = json_obj(a->json, "user");
    const char *name = json_str(json_obj(user, "profile"), "real_name");
    if (!name || !name[0])
        name = json_str(user, "real_name");
    if (!name || !name[0])
        name = json_str(user, "name");
    if (a->verdict == API_OK && name) {
        struct buf clean = BUF_INIT(512);
        if (text_clean(&clean, str_of(name), 96, TEXT_ONE_LINE) == 0 &&
            person_set_name(p->store, p->access->users[p->user], buf_cstr(&clean)) < 0)
            log_debug("slack: a name was not noted");
        buf_done(&clean);
    } else if ((a->verdict == API_RATE || a->verdict == API_RETRY) && ++p->tries < MAX_TRIES) {
        later(p, a->retry_ms, ask_name);
        return;
    }
    p->tries = 0;
    p->user++;
    ask_name(p);
}

static void ask_name(struct people *p)
{
    struct person person;
    for (; p->user < p->access->n_users; p->user++) {
        const char *user = p->access->users[p->user];
        bool known = person_read(p->store, user, &person) == 0 && strcmp(person.name, user) != 0;
        if (known)
            continue;
        call(p, "users.info", "user", user, on_name, ask_name);
        return;
    }
}

// ---- conversations ----

static void next_conversation(struct people *p)
{
    p->tries = 0;
    p->user++;
    ask_conversation(p);
}

static void on_conversation(const struct api_answer *a, void *data)
{
    struct people *p = data;
    const char *id = json_str(json_obj(a->json, "channel"), "id");
    const char *user = p->access->users[p->user];
    if (a->verdict == API_OK && id) {
        if (person_set_channel(p->store, user, id) < 0)
            log_debug("slack: a conversation was not noted");
    } else if ((a->verdict == API_RATE || a->verdict == API_RETRY) && ++p->tries < MAX_TRIES) {
        later(p, a->retry_ms, ask_conversation);
        return;
    } else {
        log_warn("slack: no direct messages with this user", "user", user, "error", a->error,
                 "needs", a->needed[0] ? a->needed : NULL);
    }
    next_conversation(p);
}

static void ask_conversation(struct people *p)
{
    struct person person;
    for (; p->user < p->access->n_users; p->user++) {
        const char *user = p->access->users[p->user];
        if (person_read(p->store, user, &person) == 0 && person.channel[0])
            continue;
        call(p, "conversations.open", "users", user, on_conversation, ask_conversation);
        return;
    }
    p->user = 0;
    p->handler.on_known(p->handler.data);
    ask_name(p);
}

// ---- ourselves ----

static void take(char *out, size_t size, const cJSON *json, const char *key)
{
    const char *v = json_str(json, key);
    snprintf(out, size, "%s", v ? v : "");
}

static void on_identity(const struct api_answer *a, void *data)
{
    struct people *p = data;
    struct access *x = p->access;
    if (a->verdict != API_OK) {
        char why[160];
        bool refused = a->verdict == API_STOP || a->verdict == API_REFUSED;
        snprintf(why, sizeof why, "auth.test: %.120s", a->error);
        later(p, refused ? REFUSED_MS : a->retry_ms, ask_identity);
        p->handler.on_failed(why, refused, p->handler.data);
        return;
    }
    take(x->team, sizeof x->team, a->json, "team_id");
    take(x->bot_user, sizeof x->bot_user, a->json, "user_id");
    take(x->bot_id, sizeof x->bot_id, a->json, "bot_id");
    backoff_reset(&p->backoff);
    struct buf missing = BUF_INIT(sizeof p->missing - 1);
    if (a->scopes[0])
        slack_scopes_missing(&missing, a->scopes);
    snprintf(p->missing, sizeof p->missing, "%s", buf_cstr(&missing));
    buf_done(&missing);
    if (p->missing[0])
        log_warn("slack: the bot token lacks scopes; add them and install the app again", "missing",
                 p->missing);
    p->user = 0;
    ask_conversation(p);
}

static void ask_identity(struct people *p)
{
    call(p, "auth.test", NULL, NULL, on_identity, ask_identity);
}

const char *people_missing_scopes(const struct people *p)
{
    return p->missing;
}

struct people *people_new(uv_loop_t *loop, struct store *s, struct slack_api *api,
                          struct access *access, const struct people_handler *handler)
{
    struct people *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->store = s;
    p->api = api;
    p->access = access;
    p->handler = *handler;
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    return p;
}

void people_start(struct people *p)
{
    ask_identity(p);
}

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

void people_close(struct people *p)
{
    if (p)
        uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}
