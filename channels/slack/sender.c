#include "channels/slack/sender.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channels/slack/envelope.h"
#include "channels/slack/inbox.h"
#include "channels/slack/message.h"
#include "channels/slack/mrkdwn.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"

enum {
    STOPPED_MS = 60 * 1000,       // between attempts when only a person can help
    REFUSED_MS = 10 * 60 * 1000,  // likewise, when it is the token
    LOOK_AFTER_MS = 1000,         // what was cut off may still be on its way into the history
    LOOK_BACK_MS = 5 * 60 * 1000, // before the attempt, by a clock that may differ from Slack's
    LOOK_PAGES = 5,
    LOOK_PAGE = 200,
    MAX_FORM = 1 << 20,
    MAX_NAME = 255,
};

#define EVENT_TYPE "sre_channels"

// One person's row under way, or the wait before its next attempt.
struct lane {
    struct sender *x;
    char user[24];
    bool busy;
    int64_t not_before; // boot ms
    struct backoff backoff;
    struct outbox_row row;
    char channel[24]; // of the direct messages; "" while unknown
    char cursor[256];
    bool looked_in_thread; // of the two places to look, the thread is done
    int pages;
    struct buf text; // what was rendered, to be recognised
};

struct sender {
    struct store *store;
    struct slack_api *api;
    const struct access *access;
    const char *files;
    struct sender_handler handler;
    uv_timer_t timer;
    struct lane lanes[ACCESS_MAX_USERS];
    char stopped[192];
    int64_t stopped_until;
    bool draining;
};

static void step(struct lane *l);

// ---- the end of an attempt ----

static void end_row(struct lane *l)
{
    outbox_row_done(&l->row);
    buf_done(&l->text);
    l->busy = false;
}

static void wait_for(struct lane *l, int64_t ms)
{
    int64_t until = clock_boot_ms() + ms;
    if (until > l->not_before)
        l->not_before = until;
}

static void back_off(struct lane *l, int64_t at_least)
{
    uint32_t random;
    random_bytes(&random, sizeof random);
    wait_for(l, backoff_next(&l->backoff, random, at_least));
}

static void again(struct lane *l)
{
    struct sender *x = l->x;
    end_row(l);
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

static void row_sent(struct lane *l, const char *ts)
{
    struct sender *x = l->x;
    int64_t id = l->row.id;
    if (mark_sent(l, ts) < 0) { // it stays attempted: found again by reading back
        back_off(l, 0);
        again(l);
        return;
    }
    remove_file(l);
    x->stopped[0] = '\0';
    x->stopped_until = 0;
    backoff_reset(&l->backoff);
    end_row(l);
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
        back_off(l, 0);
    else
        remove_file(l);
    end_row(l);
    x->handler.on_done(id, x->handler.data);
    sender_kick(x);
}

static void row_failed(struct lane *l, const char *error)
{
    log_warn("slack: refused for good", "error", error, "row", log_int(l->row.id));
    end_failed(l, error, true);
}

static void row_pointless(struct lane *l)
{
    end_failed(l, "no longer needed", false);
}

static void requeue(struct lane *l, bool plain)
{
    if (outbox_requeue(l->x->store, l->row.id, plain) < 0)
        back_off(l, 0);
    again(l);
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
    requeue(l, l->row.plain);
}

static bool is_about_blocks(const char *error)
{
    return strncmp(error, "invalid_blocks", 14) == 0 || strcmp(error, "msg_blocks_too_long") == 0;
}

// What every call's answer but success leads to.
static void unsuccessful(struct lane *l, const struct api_answer *a, const char *method)
{
    bool side = l->row.op == OUT_REACT || l->row.op == OUT_UPLOAD;
    log_debug("slack: not sent", "method", method, "error", a->error, "row", log_int(l->row.id));
    switch (a->verdict) {
    case API_OK:
    case API_RATE:
        wait_for(l, a->retry_ms);
        requeue(l, l->row.plain);
        break;
    case API_RETRY:
        back_off(l, a->retry_ms);
        requeue(l, l->row.plain);
        break;
    case API_AMBIGUOUS: // stays attempted
        back_off(l, a->retry_ms > LOOK_AFTER_MS ? a->retry_ms : LOOK_AFTER_MS);
        again(l);
        break;
    case API_STOP:
        if (side && strcmp(a->error, "missing_scope") == 0)
            row_failed(l, a->error);
        else
            stop(l, a, method);
        break;
    case API_REFUSED:
        if (l->row.op == OUT_POST && is_about_blocks(a->error) && !l->row.plain) {
            log_warn("slack: blocks refused, sending plain text", "error", a->error);
            requeue(l, true);
        } else {
            row_failed(l, a->error);
        }
        break;
    }
}

static int call(struct lane *l, const char *method, struct buf *form, unsigned flags, api_fn done)
{
    int64_t blocked = slack_api_blocked(l->x->api, method);
    int r = form->error;
    if (r == 0 && !blocked)
        r = slack_api_call(l->x->api, method, buf_str(form), flags, done, l);
    buf_done(form);
    if (r == 0 && !blocked)
        return 0;
    if (blocked)
        wait_for(l, blocked);
    else
        back_off(l, 1000);
    return -EAGAIN;
}

// ---- looking for what may have been sent ----

static void look(struct lane *l);

static bool is_ours(const struct lane *l, const cJSON *m)
{
    if (l->row.op == OUT_UPLOAD) {
        const cJSON *file;
        cJSON_ArrayForEach(file, json_arr(m, "files"))
        {
            const char *id = json_str(file, "id");
            if (id && l->row.file_id[0] && strcmp(id, l->row.file_id) == 0)
                return true;
        }
        return false;
    }
    const cJSON *metadata = json_obj(m, "metadata");
    const char *id = json_str(json_obj(metadata, "event_payload"), "id");
    if (id)
        return strcmp(id, l->row.key) == 0;
    // Slack may keep the metadata to itself: then by what was said.
    const char *user = json_str(m, "user"), *text = json_str(m, "text");
    return !metadata && user && text && l->text.len && strcmp(user, l->x->access->bot_user) == 0 &&
           strcmp(text, buf_cstr(&l->text)) == 0;
}

static void on_look(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    if (a->verdict != API_OK) {
        // A thread whose parent is gone has no replies to look through.
        bool gone = a->verdict == API_REFUSED && !l->looked_in_thread && l->row.thread_ts[0];
        if (!gone) {
            if (a->verdict == API_REFUSED)
                row_failed(l, a->error);
            else if (a->verdict == API_STOP)
                requeue(l, l->row.plain); // nobody can look: rather twice than never
            else {
                back_off(l, a->retry_ms);
                again(l);
            }
            return;
        }
        l->looked_in_thread = true;
        l->cursor[0] = '\0';
        look(l);
        return;
    }
    const cJSON *m;
    cJSON_ArrayForEach(m, json_arr(a->json, "messages"))
    {
        const char *ts = json_str(m, "ts");
        if (ts && is_ours(l, m)) {
            row_sent(l, ts);
            return;
        }
    }
    const char *next = json_str(json_obj(a->json, "response_metadata"), "next_cursor");
    if (next && next[0] && ++l->pages < LOOK_PAGES && strlen(next) < sizeof l->cursor) {
        snprintf(l->cursor, sizeof l->cursor, "%s", next);
        look(l);
        return;
    }
    if (l->row.thread_ts[0] && !l->looked_in_thread) {
        l->looked_in_thread = true; // Slack may have posted it at top level
        l->cursor[0] = '\0';
        look(l);
        return;
    }
    requeue(l, l->row.plain); // it never arrived
}

static void look(struct lane *l)
{
    bool thread = l->row.thread_ts[0] && !l->looked_in_thread;
    const char *method = thread ? "conversations.replies" : "conversations.history";
    struct buf form = BUF_INIT(MAX_FORM);
    char oldest[32], limit[16];
    snprintf(oldest, sizeof oldest, "%lld.000000",
             (long long)((l->row.attempted_at - LOOK_BACK_MS) / 1000));
    snprintf(limit, sizeof limit, "%d", LOOK_PAGE);
    http_form_add(&form, "channel", str_of(l->channel));
    if (thread)
        http_form_add(&form, "ts", str_of(l->row.thread_ts));
    http_form_add(&form, "oldest", str_of(oldest));
    http_form_add(&form, "limit", str_of(limit));
    http_form_add(&form, "include_all_metadata", str_of("true"));
    if (l->cursor[0])
        http_form_add(&form, "cursor", str_of(l->cursor));
    if (call(l, method, &form, API_REPEATABLE, on_look) < 0)
        again(l);
}

// ---- posting ----

static void on_posted(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    if (a->verdict != API_OK) {
        unsuccessful(l, a, "chat.postMessage");
        return;
    }
    const char *ts = json_str(a->json, "ts"), *channel = json_str(a->json, "channel");
    if (channel)
        snprintf(l->channel, sizeof l->channel, "%s", channel);
    if (l->row.thread_ts[0] && !json_str(json_obj(a->json, "message"), "thread_ts"))
        log_warn("slack: the thread is gone, the message stands by itself", "row",
                 log_int(l->row.id));
    row_sent(l, ts ? ts : "");
}

static int render(struct lane *l, struct message *m)
{
    int r = message_render(l->x->store, &l->row, clock_wall_ms(), m);
    if (r == 0)
        buf_add(&l->text, m->text.data, m->text.len);
    if (r == -ECANCELED)
        row_pointless(l);
    else if (r < 0) {
        log_error("slack: a message could not be made", "row", log_int(l->row.id), "error",
                  strerror(-r));
        back_off(l, 1000);
        again(l);
    }
    return r;
}

static bool attempt(struct lane *l)
{
    if (outbox_attempt(l->x->store, l->row.id, clock_wall_ms()) == 0)
        return true;
    back_off(l, 1000);
    again(l);
    return false;
}

static void post(struct lane *l)
{
    struct message m;
    if (render(l, &m) == 0 && attempt(l)) {
        struct buf form = BUF_INIT(MAX_FORM), metadata = BUF_INIT(1024);
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
        if (call(l, "chat.postMessage", &form, 0, on_posted) < 0)
            requeue(l, l->row.plain);
    }
    message_done(&m);
}

// ---- changing and reacting ----

static void on_changed(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    if (a->verdict == API_OK || strcmp(a->error, "already_reacted") == 0)
        row_sent(l, l->row.target_ts);
    else
        unsuccessful(l, a, l->row.op == OUT_UPDATE ? "chat.update" : "reactions.add");
}

static void update(struct lane *l)
{
    struct message m = {.text = BUF_INIT(1)};
    struct outbox_place place;
    if (!l->row.target_ts[0]) {
        int r = outbox_shown(l->x->store, l->row.ref, l->row.ref_id, l->row.user, &place);
        if (r <= 0) {
            row_pointless(l);
            return;
        }
        snprintf(l->row.target_ts, sizeof l->row.target_ts, "%s", place.ts);
    }
    if (render(l, &m) == 0 && attempt(l)) {
        struct buf form = BUF_INIT(MAX_FORM);
        http_form_add(&form, "channel", str_of(l->channel));
        http_form_add(&form, "ts", str_of(l->row.target_ts));
        http_form_add(&form, "text", buf_str(&m.text));
        if (m.blocks.len)
            http_form_add(&form, "blocks", buf_str(&m.blocks));
        if (call(l, "chat.update", &form, API_REPEATABLE, on_changed) < 0)
            requeue(l, l->row.plain);
    }
    message_done(&m);
}

static void react(struct lane *l)
{
    struct buf form = BUF_INIT(MAX_FORM);
    if (!attempt(l))
        return;
    http_form_add(&form, "channel", str_of(l->channel));
    http_form_add(&form, "timestamp", str_of(l->row.target_ts));
    http_form_add(&form, "name", str_of(l->row.body));
    if (call(l, "reactions.add", &form, API_REPEATABLE, on_changed) < 0)
        requeue(l, false);
}

// ---- files: a URL, the bytes, then the message ----

static int open_file(struct lane *l, struct stat *st)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", l->x->files, l->row.key) >= sizeof path)
        return -ENAMETOOLONG;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (fstat(fd, st) == 0)
        return fd;
    int r = -errno;
    close(fd);
    return r;
}

static void on_completed(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    if (a->verdict == API_OK)
        row_sent(l, "");
    else
        unsuccessful(l, a, "files.completeUploadExternal");
}

static void complete(struct lane *l)
{
    struct buf form = BUF_INIT(MAX_FORM), files = BUF_INIT(4096);
    struct jw w = JW(&files);
    if (!attempt(l))
        return;
    jw_array(&w);
    jw_object(&w);
    jw_kstr(&w, "id", l->row.file_id);
    jw_kstr(&w, "title", l->row.body);
    jw_object_end(&w);
    jw_array_end(&w);
    http_form_add(&form, "files", buf_str(&files));
    http_form_add(&form, "channel_id", str_of(l->channel));
    if (l->row.thread_ts[0])
        http_form_add(&form, "thread_ts", str_of(l->row.thread_ts));
    buf_done(&files);
    if (call(l, "files.completeUploadExternal", &form, 0, on_completed) < 0)
        requeue(l, false);
}

static void on_uploaded(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    if (a->verdict == API_OK)
        complete(l);
    else if (a->verdict == API_REFUSED) // the URL may have run out: a new one
        unsuccessful(l, &(struct api_answer){.verdict = API_RETRY, .error = a->error, .needed = ""},
                     "upload");
    else
        unsuccessful(l, a, "upload");
}

static void on_upload_url(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    const char *url = json_str(a->json, "upload_url"), *id = json_str(a->json, "file_id");
    if (a->verdict != API_OK || !url || !id) {
        unsuccessful(l, a, "files.getUploadURLExternal");
        return;
    }
    snprintf(l->row.file_id, sizeof l->row.file_id, "%s", id);
    struct stat st;
    int r = outbox_set_file(l->x->store, l->row.id, id);
    int fd = r == 0 ? open_file(l, &st) : r;
    r = fd < 0 ? fd : slack_api_upload(l->x->api, url, fd, (uint64_t)st.st_size, on_uploaded, l);
    if (fd >= 0)
        close(fd);
    if (r < 0) {
        back_off(l, 1000);
        requeue(l, false);
    }
}

static void upload(struct lane *l)
{
    struct stat st;
    int fd = open_file(l, &st);
    if (fd < 0) {
        row_failed(l, "the file is gone");
        return;
    }
    close(fd);
    struct buf form = BUF_INIT(MAX_FORM);
    char size[24];
    snprintf(size, sizeof size, "%lld", (long long)st.st_size);
    http_form_add(&form, "filename", str_of(l->row.body));
    http_form_add(&form, "length", str_of(size));
    if (call(l, "files.getUploadURLExternal", &form, API_REPEATABLE, on_upload_url) < 0)
        again(l);
}

// ---- one row ----

static void on_conversation(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    const char *id = json_str(json_obj(a->json, "channel"), "id");
    if (a->verdict == API_OK && id) {
        snprintf(l->channel, sizeof l->channel, "%s", id);
        if (person_set_channel(l->x->store, l->row.user, id) < 0)
            log_debug("slack: a conversation was not noted");
        step(l);
    } else if (a->verdict == API_STOP && strcmp(a->error, "missing_scope") == 0 &&
               l->row.op == OUT_POST && l->row.state == OUT_QUEUED) {
        post(l); // chat.postMessage takes the person's id too, and answers with the conversation
    } else {
        unsuccessful(l, a, "conversations.open");
    }
}

static void open_conversation(struct lane *l)
{
    struct buf form = BUF_INIT(MAX_FORM);
    http_form_add(&form, "users", str_of(l->row.user));
    if (call(l, "conversations.open", &form, API_REPEATABLE, on_conversation) < 0)
        again(l);
}

static void step(struct lane *l)
{
    if (!l->channel[0]) {
        open_conversation(l);
        return;
    }
    if (l->row.state == OUT_ATTEMPTED && l->row.op == OUT_POST) {
        struct message m;
        if (message_render(l->x->store, &l->row, clock_wall_ms(), &m) == 0)
            buf_add(&l->text, m.text.data, m.text.len);
        message_done(&m);
        look(l);
        return;
    }
    if (l->row.state == OUT_ATTEMPTED && l->row.op == OUT_UPLOAD && l->row.file_id[0]) {
        look(l);
        return;
    }
    switch (l->row.op) {
    case OUT_POST:
        post(l);
        break;
    case OUT_UPDATE:
        update(l);
        break;
    case OUT_REACT:
        react(l);
        break;
    case OUT_UPLOAD:
        upload(l);
        break;
    }
}

static struct lane *lane_of(struct sender *x, const char *user)
{
    struct lane *free_lane = NULL;
    for (size_t i = 0; i < ARRAY_LEN(x->lanes); i++) {
        struct lane *l = &x->lanes[i];
        if (strcmp(l->user, user) == 0)
            return l;
        if (!l->busy && (!free_lane || !l->user[0]))
            free_lane = l;
    }
    if (free_lane) {
        *free_lane = (struct lane){.x = x};
        snprintf(free_lane->user, sizeof free_lane->user, "%s", user);
    }
    return free_lane;
}

static void start_row(struct lane *l, struct outbox_row *row)
{
    struct person p;
    l->busy = true;
    l->row = *row;
    l->text = BUF_INIT(1 << 20);
    l->channel[0] = l->cursor[0] = '\0';
    l->looked_in_thread = false;
    l->pages = 0;
    if (person_read(l->x->store, row->user, &p) == 0)
        memcpy(l->channel, p.channel, sizeof l->channel);
    int64_t age = clock_wall_ms() - row->attempted_at;
    if (row->state == OUT_ATTEMPTED && age >= 0 && age < LOOK_AFTER_MS) { // killed a moment ago
        wait_for(l, LOOK_AFTER_MS - age);
        again(l);
        return;
    }
    step(l);
}

static void on_timer(uv_timer_t *t)
{
    struct sender *x = t->data;
    int64_t now = clock_boot_ms(), after = 0, next = -1;
    if (x->draining)
        return;
    if (x->stopped_until > now) {
        uv_timer_start(&x->timer, on_timer, (uint64_t)(x->stopped_until - now), 0);
        return;
    }
    struct outbox_row row;
    int r;
    while ((r = outbox_head(x->store, after, &row)) > 0) {
        after = row.id;
        struct lane *l = lane_of(x, row.user);
        if (!l || l->busy || l->not_before > now) {
            int64_t wait = !l ? 1000 : l->busy ? -1 : l->not_before - now;
            if (wait >= 0 && (next < 0 || wait < next))
                next = wait;
            outbox_row_done(&row);
            continue;
        }
        start_row(l, &row);
    }
    if (r < 0)
        next = 1000;
    if (next >= 0 && !uv_is_active((uv_handle_t *)&x->timer))
        uv_timer_start(&x->timer, on_timer, (uint64_t)next, 0);
}

void sender_kick(struct sender *x)
{
    uv_timer_start(&x->timer, on_timer, 0, 0);
}

void sender_hurry(struct sender *x)
{
    for (size_t i = 0; i < ARRAY_LEN(x->lanes); i++)
        if (x->lanes[i].backoff.failures) {
            backoff_reset(&x->lanes[i].backoff);
            x->lanes[i].not_before = 0;
        }
    sender_kick(x);
}

const char *sender_stopped(const struct sender *x)
{
    return x->stopped;
}

void sender_drain(struct sender *x)
{
    x->draining = true;
}

bool sender_escalates(const struct sender *x)
{
    for (size_t i = 0; i < ARRAY_LEN(x->lanes); i++) {
        const struct lane *l = &x->lanes[i];
        if (l->busy && l->row.op == OUT_POST &&
            (l->row.ref == REF_ESCALATION || l->row.ref == REF_NAG))
            return true;
    }
    return false;
}

bool sender_idle(const struct sender *x)
{
    for (size_t i = 0; i < ARRAY_LEN(x->lanes); i++)
        if (x->lanes[i].busy)
            return false;
    return true;
}

int sender_new(uv_loop_t *loop, struct store *s, struct slack_api *api, const struct access *access,
               const char *files, const struct sender_handler *handler, struct sender **ret_sender)
{
    struct sender *x = calloc(1, sizeof *x);
    if (!x)
        return -ENOMEM;
    x->store = s;
    x->api = api;
    x->access = access;
    x->files = files;
    x->handler = *handler;
    uv_timer_init(loop, &x->timer);
    x->timer.data = x;
    *ret_sender = x;
    return 0;
}

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

void sender_close(struct sender *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < ARRAY_LEN(x->lanes); i++)
        if (x->lanes[i].busy)
            end_row(&x->lanes[i]);
    uv_close((uv_handle_t *)&x->timer, on_timer_closed);
}
