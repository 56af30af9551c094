#include "channels/webhook/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/incident.h"
#include "channels/webhook/notification.h"
#include "channels/webhook/reply.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/json.h"
#include "common/log.h"

// Of one notification in one transaction, whichever comes first. More is faster, since alerts share
// the pages that they touch, but everybody else waits for the loop meanwhile.
#define ALERTS_A_PART 512
#define PART_MS 25
#define COMMIT_PATIENCE_MS 700
#define MAX_REJECTED 100 // named in the answer
#define MAX_ANSWER (16u << 20)

static const char *why_not_committed(const struct store *s, int error)
{
    switch (error) {
    case -EBUSY:
        return "the store is locked by another process, send it again";
    case -ENOSPC:
        return "the disk is full, send it again";
    case -EROFS:
        return "the store is not writable, send it again";
    case -ECANCELED:
        return "shutting down, send it again";
    default:
        log_error("cannot commit", "why", store_error(s));
        return "the store cannot commit, send it again";
    }
}

// A name fit for a key: what else a path or User-Agent may hold is dropped.
void notify_clean_sender(struct str raw, char out[SENDER_SIZE])
{
    size_t n = 0;
    for (size_t i = 0; i < raw.n && n < SENDER_SIZE - 1; i++) {
        char c = raw.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    strchr("-_.", c);
        if (c && good)
            out[n++] = c;
    }
    out[n] = '\0';
}

// ---- a notification ----

struct notify_job {
    struct commit_job job;
    struct notify_desk *desk;
    struct http_request *request; // NULL once the peer went away
    struct notification notification;
    struct notification_place part; // where the part at hand began: a rollback goes back to it
    struct id_set named;
    size_t named_before;
    int64_t accepted, accepted_before;
    struct buf rejected; // JSON objects, comma-separated
    size_t rejected_before;
    int n_rejected, n_rejected_before;
};

static void job_free(struct notify_job *j)
{
    id_set_done(&j->named);
    buf_done(&j->rejected);
    notification_close(&j->notification);
    free(j);
}

static void reject(struct notify_job *j, const char *why)
{
    if (++j->n_rejected > MAX_REJECTED)
        return;
    struct jw w = JW(&j->rejected);
    if (j->rejected.len)
        buf_addc(&j->rejected, ',');
    jw_object(&w);
    jw_kint(&w, "index", (int64_t)j->notification.index - 1);
    jw_kstr(&w, "error", why);
    jw_object_end(&w);
}

static void begin_part(struct notify_job *j)
{
    if (j->job.rolled_back) {
        notification_seek(&j->notification, j->part);
        id_set_truncate(&j->named, j->named_before);
        buf_truncate(&j->rejected, j->rejected_before);
        j->accepted = j->accepted_before;
        j->n_rejected = j->n_rejected_before;
    }
    j->part = notification_tell(&j->notification);
    j->named_before = j->named.n;
    j->rejected_before = j->rejected.len;
    j->accepted_before = j->accepted;
    j->n_rejected_before = j->n_rejected;
}

static int notify_apply(struct commit_job *job, struct store *s)
{
    struct notify_job *j = CONTAINER_OF(job, struct notify_job, job);
    if (!j->request) // nobody waits for the answer: it was never promised
        return 0;
    begin_part(j);
    struct alert *alert = &j->desk->alert;
    struct incident_intake in = {.store = s,
                                 .config = j->desk->config,
                                 .now = clock_wall_ms(),
                                 .truncated = j->notification.truncated,
                                 .named = &j->named};
    int64_t end = clock_boot_ms() + PART_MS;
    for (int i = 0; i < ALERTS_A_PART && (i % 16 || clock_boot_ms() < end); i++) {
        const char *why = NULL;
        int r = notification_next(&j->notification, alert, &why);
        if (r == 0)
            return incident_take_end(&in);
        if (r == -EINVAL) {
            reject(j, why);
            continue;
        }
        if (r > 0)
            r = incident_take(&in, alert);
        if (r < 0)
            return r;
        j->accepted++;
    }
    int r = incident_take_end(&in);
    return r < 0 ? r : 1;
}

static void answer_accepted(struct notify_job *j)
{
    struct buf json = BUF_INIT(MAX_ANSWER);
    struct jw w = JW(&json);
    jw_object(&w);
    jw_kint(&w, "accepted", j->accepted);
    jw_key(&w, "incidents");
    jw_array(&w);
    for (size_t i = 0; i < j->named.n; i++)
        jw_int(&w, j->named.ids[i]);
    jw_array_end(&w);
    if (j->n_rejected) {
        jw_key(&w, "rejected");
        jw_array(&w);
        jw_raw(&w, buf_str(&j->rejected));
        jw_array_end(&w);
    }
    jw_object_end(&w);
    counter_add("sre_notifications_total", 1);
    counter_add("sre_alerts_total", j->accepted);
    log_debug("accepted", "alerts", log_int(j->accepted), "rejected",
              j->n_rejected ? log_int(j->n_rejected) : NULL);
    reply_json(j->request, 200, buf_str(&json), NULL);
    buf_done(&json);
}

static void answer_all_rejected(struct notify_job *j)
{
    struct buf json = BUF_INIT(MAX_ANSWER);
    struct jw w = JW(&json);
    jw_object(&w);
    jw_kstr(&w, "error", "no alert of it can be read");
    jw_key(&w, "rejected");
    jw_array(&w);
    jw_raw(&w, buf_str(&j->rejected));
    jw_array_end(&w);
    jw_object_end(&w);
    reply_count_refusal(400);
    log_warn("request refused", "status", "400", "why", "no alert of it can be read", "peer",
             http_peer(j->request));
    reply_json(j->request, 400, buf_str(&json), NULL);
    buf_done(&json);
}

static void notify_done(struct commit_job *job, int error)
{
    struct notify_job *j = CONTAINER_OF(job, struct notify_job, job);
    if (j->request && error < 0)
        reply_error(j->request, 503, why_not_committed(j->desk->store, error), NULL);
    else if (j->request && j->accepted == 0 && j->n_rejected)
        answer_all_rejected(j);
    else if (j->request)
        answer_accepted(j);
    job_free(j);
}

struct notify_job *notify_submit(struct notify_desk *desk, struct http_request *r,
                                 const char *source, bool prometheus_api)
{
    struct notify_job *j = calloc(1, sizeof *j);
    const char *why = NULL;
    if (!j) {
        reply_error(r, 503, "out of memory, send it again", NULL);
        return NULL;
    }
    struct notification_hints hints = {.source = str_of(source),
                                       .user_agent = http_header(r, "User-Agent"),
                                       .prometheus_api = prometheus_api,
                                       .now_ms = clock_wall_ms()};
    j->job = (struct commit_job){.apply = notify_apply, .done = notify_done};
    j->rejected = BUF_INIT(MAX_REJECTED * 512);
    j->desk = desk;
    int e = notification_open(&j->notification, http_body(r), &hints, &why);
    if (e < 0) {
        reply_error(r, e == -ENOMEM ? 503 : 400,
                    e == -ENOMEM ? "out of memory, send it again" : why, NULL);
        job_free(j);
        return NULL;
    }
    j->request = r;
    group_commit_submit(desk->commit, &j->job, COMMIT_PATIENCE_MS);
    return j;
}

void notify_forget(struct notify_job *j)
{
    j->request = NULL;
}

// ---- an oversized one ----

struct oversized_job {
    struct commit_job job;
    struct notify_desk *desk;
    struct http_request *request; // NULL once the peer went away
    struct id_set named;
    char sender[SENDER_SIZE], peer[64];
    uint64_t bytes;
};

static void sender_of(const struct http_request *r, const char *source, char out[SENDER_SIZE])
{
    struct str agent = http_header(r, "User-Agent");
    const char *slash = agent.p ? memchr(agent.p, '/', agent.n) : NULL;
    if (slash)
        agent.n = (size_t)(slash - agent.p);
    if (source[0])
        notify_clean_sender(str_of(source), out);
    else
        notify_clean_sender(agent, out);
    if (!out[0])
        memcpy(out, "unknown", sizeof "unknown");
}

static int oversized_apply(struct commit_job *job, struct store *s)
{
    struct oversized_job *j = CONTAINER_OF(job, struct oversized_job, job);
    struct incident_intake in = {
        .store = s, .config = j->desk->config, .now = clock_wall_ms(), .named = &j->named};
    id_set_truncate(&j->named, 0);
    return incident_oversized(&in, j->sender, j->peer, j->bytes);
}

static void oversized_done(struct commit_job *job, int error)
{
    struct oversized_job *j = CONTAINER_OF(job, struct oversized_job, job);
    char why[96];
    snprintf(why, sizeof why, "the body is over the limit of %" PRId64 " bytes (WEBHOOK_MAX_BODY)",
             j->desk->config->max_body);
    if (j->request && error < 0)
        reply_error(j->request, 503, why_not_committed(j->desk->store, error), NULL);
    else if (j->request)
        reply_error(j->request, 413, why, NULL);
    id_set_done(&j->named);
    free(j);
}

struct oversized_job *notify_oversized(struct notify_desk *desk, struct http_request *r,
                                       const char *source, uint64_t bytes)
{
    struct oversized_job *j = calloc(1, sizeof *j);
    if (!j) {
        reply_error(r, 413, "the body is over the limit", NULL);
        return NULL;
    }
    j->job = (struct commit_job){.apply = oversized_apply, .done = oversized_done};
    j->desk = desk;
    j->request = r;
    j->bytes = bytes;
    sender_of(r, source, j->sender);
    snprintf(j->peer, sizeof j->peer, "%s", http_peer(r));
    group_commit_submit(desk->commit, &j->job, COMMIT_PATIENCE_MS);
    return j;
}

void notify_forget_oversized(struct oversized_job *j)
{
    j->request = NULL;
}
