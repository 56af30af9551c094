#include "channels/webhook/ping.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/http_client.h"
#include "common/lease.h"
#include "common/log.h"

#define TIMEOUT_MS (20 * 1000)

struct ping {
    uv_loop_t *loop;
    struct store *store;
    const struct config *config;
    struct http_client *http; // NULL until it is needed
    int64_t next_at;          // boot
    bool under_way;
    const char *trouble; // said last; a literal
    bool failing;        // said, too
};

// ---- well ----

static bool any(struct stmt *q)
{
    int r = stmt_step(q);
    stmt_reset(q);
    return r != 0; // what cannot be read is no good sign
}

static bool owner_is_stuck(struct store *s, int64_t before)
{
    struct stmt *q = store_sql(s, "SELECT 1 FROM page WHERE queued = 0 AND at < ? LIMIT 1");
    bind_int(q, 1, before);
    if (any(q))
        return true;
    q = store_sql(s, "SELECT 1 FROM slack_outbox WHERE state < 2 AND at < ? LIMIT 1");
    bind_int(q, 1, before);
    return any(q);
}

const char *ping_trouble(struct store *s, const struct config *c, enum ping_by by, int64_t wall)
{
    struct lease_info slack;
    bool has_slack = !config_slack_lacks(c, 0);
    if (c->watchdog_s > 0 && any(store_sql(s, "SELECT 1 FROM watchdog WHERE silent = 1 LIMIT 1")))
        return "the monitoring of a cluster is silent";
    if (has_slack && owner_is_stuck(s, wall - PING_STUCK_MS))
        return "what the owner must hear does not reach Slack";
    if (by == PING_BY_SESSION)
        return any(store_sql(s, "SELECT 1 FROM agent_failure")) ? "the agent cannot work" : NULL;
    if (!has_slack)
        return "no session, and Slack is not configured: nobody would see an alert";
    if (lease_read(s, LEASE_SLACK, &slack) < 0 || !slack.fresh)
        return "no session, and no Slack channel runs: nobody would see an alert";
    return NULL;
}

// ---- the request ----

static void failed(struct ping *p, const char *why)
{
    if (!p->failing)
        log_warn("the dead man's switch could not be pinged", "why", why);
    p->failing = true;
}

static void on_done(const struct http_call_response *r, void *data)
{
    struct ping *p = data;
    char status[32];
    snprintf(status, sizeof status, "HTTP status %d", r->status);
    p->under_way = false;
    if (r->outcome != HTTP_ANSWERED) {
        failed(p, r->error_text);
    } else if (r->status < 200 || r->status > 299) {
        failed(p, status);
    } else {
        if (p->failing)
            log_info("the dead man's switch is pinged again");
        p->failing = false;
    }
}

static void send_ping(struct ping *p)
{
    struct http_call_request request = {.method = "GET",
                                        .url = p->config->ping_url,
                                        .timeout_ms = TIMEOUT_MS,
                                        .max_response = 64 * 1024,
                                        .repeatable = true,
                                        .allow_plain = true};
    int r = p->http ? 0 : http_client_new(p->loop, &p->http);
    if (r == 0)
        r = http_client_call(p->http, &request, on_done, p, NULL);
    if (r < 0)
        failed(p, strerror(-r));
    p->under_way = r == 0;
}

void ping_run(struct ping *p, enum ping_by by, int64_t now, int64_t wall)
{
    if (!p->config->ping_url[0] || by == PING_BY_NOBODY || now < p->next_at || p->under_way)
        return;
    p->next_at = now + PING_EVERY_MS;
    const char *trouble = ping_trouble(p->store, p->config, by, wall);
    if (trouble && trouble != p->trouble)
        log_warn("the dead man's switch is not pinged", "why", trouble);
    p->trouble = trouble;
    if (!trouble)
        send_ping(p);
}

int ping_new(uv_loop_t *loop, struct store *s, const struct config *c, struct ping **ret_ping)
{
    struct ping *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->loop = loop;
    p->store = s;
    p->config = c;
    *ret_ping = p;
    return 0;
}

void ping_close(struct ping *p)
{
    if (!p)
        return;
    http_client_close(p->http);
    free(p);
}
