#include "channels/webhook/patrol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/incident.h"
#include "channels/webhook/notification.h"
#include "channels/webhook/patrol_finding.h"
#include "channels/webhook/terms.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/http_client.h"
#include "common/log.h"
#include "common/text.h"

#define TICK_MS 1000
#define TIMEOUT_MS 20000
#define COMMIT_PATIENCE_MS 5000
#define MAX_ANSWER (8u << 20)
#define MAX_SERIES 1000 // of one query; the rest is not looked at, and that is said
#define TURN_NS 5000000 // of the loop: then it is others' turn
#define MAX_OPEN 500    // findings that fire at once, of all queries
#define MAX_FOUND 100   // of one query in one round
#define MAX_BODY (1u << 20)
#define CLEAR_ROUNDS 3    // so often it must not head there before it is over
#define CLEAR_HORIZON 1.5 // and it must be farther off than this times the horizon

// A finding that fires, as the store has it.
struct open_finding {
    char identity[PATROL_ID_SIZE];
    char alertname[96];
    int clear; // rounds in a row, kept from round to round
    bool ahead, listed;
};

struct patrol {
    uv_timer_t timer;
    uv_loop_t *loop;
    struct store *store;
    struct group_commit *commit;
    const struct config *config;
    struct patrol_hooks hooks;
    struct patrol_queries *queries;   // owned
    struct http_client *http;         // owned; made when first needed
    int64_t next_at;                  // boot ms
    size_t query;                     // at hand
    bool failing[PATROL_MAX_QUERIES]; // said so already
    struct open_finding open[MAX_OPEN];
    size_t n_open;
    // The answer at hand.
    struct buf body;
    struct patrol_answer answer;
    double asked_at; // s
    int series, found;
    struct buf alerts; // what is to be stored, as a notification
    struct jw w;
    // The notification at hand.
    struct commit_job job;
    struct id_set named;
    bool stopping;
};

static void ask_next(struct patrol *p);

static struct patrol_query *query_of(struct patrol *p)
{
    return &p->queries->q[p->query];
}

// Said once until it works again; counted each time.
static void failed(struct patrol *p, const char *why)
{
    counter_add("sre_patrol_queries_total{result=\"failed\"}", 1);
    if (p->query >= p->queries->n) // between the queries
        return;
    if (!p->failing[p->query])
        log_warn("patrol query failed", "query", query_of(p)->name, "why", why);
    p->failing[p->query] = true;
}

// ---- what fires already ----

static struct open_finding *open_named(struct patrol *p, const char *identity)
{
    for (size_t i = 0; i < p->n_open; i++)
        if (strcmp(p->open[i].identity, identity) == 0)
            return &p->open[i];
    return NULL;
}

// Takes over what the store says; what it no longer has is forgotten.
static int read_open(struct patrol *p)
{
    struct stmt *q = store_sql(
        p->store, "SELECT a.fingerprint, p.alertname FROM alert a JOIN incident i ON i.id = "
                  "a.incident_id JOIN problem p ON p.id = i.problem_id"
                  " WHERE a.source = '" PATROL_SOURCE "' AND a.status = 0 AND i.status = 0");
    int r;
    for (size_t i = 0; i < p->n_open; i++)
        p->open[i].listed = p->open[i].ahead = false;
    while ((r = stmt_step(q)) > 0) {
        struct open_finding *f = open_named(p, col_text(q, 0));
        if (!f && p->n_open < MAX_OPEN && strlen(col_text(q, 0)) < PATROL_ID_SIZE) {
            f = &p->open[p->n_open++];
            *f = (struct open_finding){.clear = 0};
            snprintf(f->identity, sizeof f->identity, "%s", col_text(q, 0));
            snprintf(f->alertname, sizeof f->alertname, "%s", col_text(q, 1));
        }
        if (f)
            f->listed = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < p->n_open; i++)
        if (p->open[i].listed)
            p->open[kept++] = p->open[i];
    p->n_open = kept;
    return r;
}

static bool is_of_query(const struct open_finding *f, const struct patrol_query *q)
{
    size_t n = strlen(PATROL_ALERT);
    return strncmp(f->alertname, PATROL_ALERT, n) == 0 && strcmp(f->alertname + n, q->name) == 0;
}

// ---- storing ----

static void begin_alerts(struct patrol *p)
{
    buf_clear(&p->alerts);
    p->w = JW(&p->alerts);
    jw_object(&p->w);
    jw_key(&p->w, "alerts");
    jw_array(&p->w);
    p->found = 0;
}

static int take_all(struct patrol *p, struct store *s, struct notification *n)
{
    const char *why = NULL;
    struct alert alert;
    struct incident_intake in = {
        .store = s, .config = p->config, .now = clock_wall_ms(), .named = &p->named};
    int r;
    alert_init(&alert);
    while ((r = notification_next(n, &alert, &why)) > 0 || r == -EINVAL)
        if (r > 0 && (r = incident_take(&in, &alert)) < 0)
            break;
    alert_done(&alert);
    return r < 0 ? r : incident_take_end(&in);
}

static int apply(struct commit_job *job, struct store *s)
{
    struct patrol *p = CONTAINER_OF(job, struct patrol, job);
    struct notification n;
    const char *why = NULL;
    struct notification_hints hints = {.source = str_of(PATROL_SOURCE), .now_ms = clock_wall_ms()};
    id_set_truncate(&p->named, 0);
    int r = notification_open(&n, buf_str(&p->alerts), &hints, &why);
    if (r == 0)
        r = take_all(p, s, &n);
    notification_close(&n);
    return r;
}

static void stored(struct commit_job *job, int error)
{
    struct patrol *p = CONTAINER_OF(job, struct patrol, job);
    if (p->stopping)
        return;
    if (error < 0) // the next round finds it again
        log_warn("patrol findings not stored", "why", store_error(p->store));
    p->query++;
    ask_next(p);
}

// ---- one answer ----

static void end_answer(struct patrol *p)
{
    patrol_answer_done(&p->answer);
    buf_done(&p->body);
}

// What fired and no longer heads there, or is gone, is over after some rounds.
static void resolve_open(struct patrol *p, const struct patrol_query *q)
{
    for (size_t i = 0; i < p->n_open; i++) {
        struct open_finding *f = &p->open[i];
        if (!is_of_query(f, q))
            continue;
        f->clear = f->ahead ? 0 : f->clear + 1;
        if (f->clear < CLEAR_ROUNDS)
            continue;
        patrol_resolved(&p->w, f->alertname, f->identity);
        p->found++;
    }
}

static void store_alerts(struct patrol *p)
{
    jw_array_end(&p->w);
    jw_object_end(&p->w);
    if (p->found == 0 || p->alerts.error) {
        if (p->alerts.error)
            failed(p, "too many findings");
        p->query++;
        ask_next(p);
        return;
    }
    p->job = (struct commit_job){.apply = apply, .done = stored};
    group_commit_submit(p->commit, &p->job, COMMIT_PATIENCE_MS);
}

// Once told, it stays until it is clearly over: neither a wide interval nor the threshold itself
// ends it.
static bool still_ahead(enum trend_result r)
{
    return r == TREND_REACHES || r == TREND_OVER || r == TREND_NOISY || r == TREND_SHORT;
}

static int look_at_series(struct patrol *p)
{
    const struct patrol_query *q = query_of(p);
    char identity[PATROL_ID_SIZE];
    struct trend t;
    patrol_identity(q, &p->answer, identity);
    struct open_finding *f = open_named(p, identity);
    struct trend_question question = {.threshold = q->threshold,
                                      .down = q->down,
                                      .now = p->asked_at,
                                      .step = (double)q->step,
                                      .horizon = (double)q->horizon * (f ? CLEAR_HORIZON : 1),
                                      .min_history = (double)q->minimum};
    int r = trend_of(&question, p->answer.points, p->answer.n_points, &t);
    if (r < 0)
        return r;
    if (log_is_on(LOG_DEBUG))
        log_debug("patrol", "query", q->name, "series", identity, "result",
                  trend_result_name(t.result));
    if (f)
        f->ahead = still_ahead(t.result);
    if ((f ? !f->ahead : t.result != TREND_REACHES) || p->found >= MAX_FOUND)
        return 0;
    p->found++;
    if (!f)
        counter_add("sre_patrol_findings_total", 1);
    patrol_firing(&p->w, q, &p->answer, &t, identity, p->config->patrol_cluster, p->asked_at);
    return 0;
}

static void on_turn(uv_timer_t *timer)
{
    struct patrol *p = timer->data;
    uint64_t begun = uv_hrtime();
    int r = 1;
    while (r > 0 && p->series < MAX_SERIES && uv_hrtime() - begun < TURN_NS) {
        r = patrol_answer_next(&p->answer);
        if (r > 0 && ++p->series && look_at_series(p) < 0)
            r = -ENOMEM;
    }
    if (r > 0 && p->series < MAX_SERIES) {
        uv_timer_start(timer, on_turn, 1, 0);
        return;
    }
    bool all = r == 0 && !p->answer.partial;
    if (r > 0)
        log_warn("patrol query has more series than are looked at", "query", query_of(p)->name,
                 "limit", log_int(MAX_SERIES));
    end_answer(p);
    if (r < 0) {
        failed(p, r == -ENOMEM ? "out of memory" : "the answer is damaged");
    } else {
        counter_add("sre_patrol_queries_total{result=\"ok\"}", 1);
        if (p->failing[p->query])
            log_info("patrol query works again", "query", query_of(p)->name);
        p->failing[p->query] = false;
    }
    if (all) // of what was left out nobody knows where it heads
        resolve_open(p, query_of(p));
    store_alerts(p);
}

static int take_answer(struct patrol *p, struct str body, struct buf *why)
{
    const struct patrol_query *q = query_of(p);
    p->body = BUF_INIT(MAX_ANSWER + 1);
    p->series = 0;
    begin_alerts(p);
    int r = buf_add(&p->body, body.p, body.n);
    if (r == 0)
        r = patrol_answer_open(&p->answer, buf_str(&p->body), (size_t)(q->history / q->step) + 2,
                               why);
    if (r < 0)
        end_answer(p);
    return r;
}

static void on_answer(const struct http_call_response *response, void *data)
{
    struct patrol *p = data;
    struct buf why = BUF_INIT(1024);
    int r = response->error;
    if (r < 0)
        buf_adds(&why, response->error_text);
    else if ((r = take_answer(p, response->body, &why)) == 0 && response->status != 200)
        buf_addf(&why, "status %d", response->status);
    if (r == 0 && response->status == 200) {
        uv_timer_start(&p->timer, on_turn, 1, 0);
    } else {
        if (r == 0)
            end_answer(p);
        else if (response->status && response->status != 200)
            buf_addf(&why, " (status %d)", response->status);
        failed(p, buf_cstr(&why));
        // A server that cannot be reached is not asked the rest of the round.
        p->query = response->outcome == HTTP_NOT_SENT ? p->queries->n : p->query + 1;
        ask_next(p);
    }
    buf_done(&why);
}

// ---- asking ----

static int build_url(const struct patrol *p, const struct patrol_query *q, struct buf *url)
{
    const char *base = p->config->patrol_url;
    size_t n = strlen(base);
    int64_t now = (int64_t)p->asked_at;
    char number[24];
    struct buf form = BUF_INIT(32 * 1024);
    while (n && base[n - 1] == '/')
        n--;
    int r = http_form_add(&form, "query", str_of(q->expr));
    const struct {
        const char *name;
        int64_t value;
    } rest[] = {{"start", now - q->history}, {"end", now}, {"step", q->step}};
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(rest); i++) {
        snprintf(number, sizeof number, "%lld", (long long)rest[i].value);
        r = http_form_add(&form, rest[i].name, str_of(number));
    }
    buf_add(url, base, n);
    buf_addf(url, "/api/v1/query_range?%s", buf_cstr(&form));
    buf_done(&form);
    return r < 0 ? r : url->error;
}

static int ask(struct patrol *p)
{
    const char *token = p->config->patrol_token;
    struct buf url = BUF_INIT(40 * 1024), bearer = BUF_INIT(8192), key = BUF_INIT(8192);
    p->asked_at = (double)(clock_wall_ms() / 1000);
    buf_addf(&bearer, "Authorization: Bearer %s", token);
    buf_addf(&key, "SIGNOZ-API-KEY: %s", token); // where SigNoz looks for it
    const char *headers[] = {buf_cstr(&bearer), buf_cstr(&key), NULL};
    int r = bearer.error ? bearer.error : build_url(p, query_of(p), &url);
    if (r == 0 && !p->http)
        r = http_client_new(p->loop, &p->http);
    struct http_call_request request = {.method = "GET",
                                        .url = buf_cstr(&url),
                                        .headers = token[0] ? headers : NULL,
                                        .timeout_ms = TIMEOUT_MS,
                                        .max_response = MAX_ANSWER,
                                        .repeatable = true,
                                        .allow_plain_loopback = true};
    if (r == 0)
        r = http_client_call(p->http, &request, on_answer, p, NULL);
    buf_done(&url);
    buf_done(&bearer);
    buf_done(&key);
    return r;
}

static void on_tick(uv_timer_t *timer);

static void ask_next(struct patrol *p)
{
    for (; p->query < p->queries->n && p->hooks.may_run(p->hooks.data); p->query++) {
        int r = ask(p);
        if (r == 0)
            return; // on_answer goes on
        failed(p, r == -ELIBACC ? "libcurl is not installed" : strerror(r < 0 ? -r : r));
    }
    uv_timer_start(&p->timer, on_tick, TICK_MS, TICK_MS); // the round is over
}

// A query that was taken away leaves nothing behind.
static void resolve_orphans(struct patrol *p)
{
    begin_alerts(p);
    for (size_t i = 0; i < p->n_open; i++) {
        bool known = false;
        for (size_t k = 0; k < p->queries->n; k++)
            known |= is_of_query(&p->open[i], &p->queries->q[k]);
        if (!known && strncmp(p->open[i].alertname, PATROL_ALERT, strlen(PATROL_ALERT)) == 0) {
            patrol_resolved(&p->w, p->open[i].alertname, p->open[i].identity);
            p->found++;
        }
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct patrol *p = timer->data;
    int64_t now = clock_boot_ms();
    if (now < p->next_at || !p->hooks.may_run(p->hooks.data))
        return;
    if (read_open(p) < 0) { // the next tick tries again
        log_debug("patrol cannot read the store", "why", store_error(p->store));
        return;
    }
    p->next_at = now + p->config->patrol_s * 1000;
    uv_timer_stop(timer);
    p->query = (size_t)-1; // before the first: store_alerts goes on with it
    resolve_orphans(p);
    store_alerts(p);
}

// ---- life ----

int patrol_start(uv_loop_t *loop, struct store *s, struct group_commit *commit,
                 const struct config *c, struct patrol_hooks hooks, struct patrol **ret)
{
    *ret = NULL;
    if (!c->patrol_url[0] || c->patrol_s == 0)
        return 0;
    struct buf why = BUF_INIT(16 * 1024);
    struct patrol *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    int r = patrol_queries_load(c->patrol_queries, &p->queries, &why);
    struct str rest = buf_str(&why);
    while (rest.n) {
        char line[512];
        struct str l = text_next_line(&rest);
        snprintf(line, sizeof line, "%.*s", (int)l.n, l.p);
        log_error("patrol query left out", "why", line);
    }
    buf_done(&why);
    if (r < 0) {
        log_error("no patrol: cannot read its queries", "folder", c->patrol_queries, "why",
                  strerror(-r));
        free(p);
        return r == -ENOMEM ? r : 0;
    }
    p->loop = loop;
    p->store = s;
    p->commit = commit;
    p->config = c;
    p->hooks = hooks;
    p->alerts = BUF_INIT(MAX_BODY);
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    uv_timer_start(&p->timer, on_tick, TICK_MS, TICK_MS);
    log_info("patrol", "queries", log_int((int64_t)p->queries->n), "seconds", log_int(c->patrol_s));
    *ret = p;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    struct patrol *p = h->data;
    end_answer(p);
    buf_done(&p->alerts);
    id_set_done(&p->named);
    patrol_queries_free(p->queries);
    free(p);
}

void patrol_stop(struct patrol *p)
{
    if (!p)
        return;
    p->stopping = true;
    http_client_close(p->http);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}
