#include "channels/webhook/intake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channels/webhook/auth.h"
#include "channels/webhook/metrics.h"
#include "channels/webhook/notify.h"
#include "channels/webhook/reply.h"
#include "channels/webhook/report_get.h"
#include "common/clock.h"
#include "common/lease.h"
#include "common/log.h"
#include "common/text.h"

#define PROBE_AGAIN_MS 50
#define PROBE_PATIENCE_MS 2500 // more than the other may wait for the store
#define MAX_METRICS (256 * 1024)
#define UNAUTHORIZED "WWW-Authenticate: Bearer\r\n"
#define ASK_PASSWORD "WWW-Authenticate: Basic realm=\"sre-channels, any name\"\r\n" UNAUTHORIZED
#define PROMETHEUS_PATH "/api/v2/alerts"

struct intake {
    struct http_server *server;
    struct store *store;
    const struct config *config;
    struct notify_desk desk;
    struct intake_hooks hooks;
    struct report_desk reports;
};

enum route { ROUTE_NONE, ROUTE_ALERTS, ROUTE_HEALTH, ROUTE_READY, ROUTE_METRICS, ROUTE_REPORT };

// What is known of a request under way; owned by the request (http_user) until it is answered or
// aborted.
struct context {
    char source[SENDER_SIZE]; // from the path, "" when it does not name one
    bool prometheus_api;      // Prometheus's own path and form
    bool signature_pending;   // the body decides whether the sender may
    struct notify_job *job;   // once submitted
    struct oversized_job *oversized;
    struct report_get *report; // once begun
    bool wants_report;
    int64_t days; // of the report
};

// ---- routes ----

static bool starts_with(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

static enum route route_of(struct str path, char source[SENDER_SIZE])
{
    source[0] = '\0';
    if (str_is(path, "/") || str_is(path, "/webhook") || str_is(path, "/webhook/"))
        return ROUTE_ALERTS;
    if (str_is(path, PROMETHEUS_PATH))
        return ROUTE_ALERTS;
    if (starts_with(path, "/webhook/")) {
        struct str name = {path.p + 9, path.n - 9};
        notify_clean_sender(name, source);
        return name.n == strlen(source) ? ROUTE_ALERTS : ROUTE_NONE;
    }
    if (str_is(path, "/healthz"))
        return ROUTE_HEALTH;
    if (str_is(path, "/metrics"))
        return ROUTE_METRICS;
    if (str_is(path, "/report"))
        return ROUTE_REPORT;
    return str_is(path, "/readyz") ? ROUTE_READY : ROUTE_NONE;
}

static struct auth_headers auth_headers_of(const struct http_request *r)
{
    return (struct auth_headers){.authorization = http_header(r, "Authorization"),
                                 .signature = http_header(r, "X-Grafana-Alerting-Signature"),
                                 .timestamp = http_header(r, "X-Grafana-Alerting-Timestamp")};
}

static void get_ready(const struct intake *in, struct http_request *r)
{
    int e = listener_beat(in->store, http_server_address(in->server));
    if (e < 0)
        reply_json(r, 503, str_of("{\"status\":\"the store is not writable\"}"), NULL);
    else if (!in->hooks.session_ready(in->hooks.data))
        reply_json(r, 503, str_of("{\"status\":\"no session attached and no standby\"}"), NULL);
    else
        reply_json(r, 200, str_of("{\"status\":\"ready\"}"), NULL);
}

// Of a GET: there is no body to wait for.
static bool may_read(const struct intake *in, const struct http_request *r)
{
    struct auth_headers h = auth_headers_of(r);
    enum auth_result auth = auth_headers_check(&h, in->config->token, in->config->hmac_secret);
    return auth == AUTH_OK ||
           (auth == AUTH_NEEDS_BODY &&
            auth_signature(&h, in->config->hmac_secret, (struct str){0}, clock_wall_ms() / 1000));
}

static void get_metrics(const struct intake *in, struct http_request *r)
{
    struct buf text = BUF_INIT(MAX_METRICS);
    if (!may_read(in, r))
        reply_error(r, 401, "the token or signature is missing or wrong", UNAUTHORIZED);
    else if (metrics_write(in->store, &text) < 0)
        reply_error(r, 503, "the store cannot be read", NULL);
    else
        http_respond(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&text), NULL);
    buf_done(&text);
}

// ---- the report ----

// A page of another name that resolves to this machine (DNS rebinding) is another's: where no token
// protects the report, only this machine's own names and addresses read it.
static bool is_our_host(struct str host)
{
    const char *colon = host.n && host.p[0] != '[' ? memchr(host.p, ':', host.n) : NULL;
    if (colon)
        host.n = (size_t)(colon - host.p);
    for (size_t i = 0; i < host.n; i++)
        if (!strchr("0123456789.", host.p[i]) && host.p[0] != '[')
            return text_equal_nocase(host, "localhost");
    return true;
}

// 1 answered, 0 go on: it is begun once the whole request is in.
static int check_report(const struct intake *in, struct http_request *r)
{
    int64_t days;
    if (!may_read(in, r)) {
        reply_error(r, 401, "the token or signature is missing or wrong", ASK_PASSWORD);
        return 1;
    }
    if (!in->config->token[0] && !in->config->hmac_secret[0] &&
        !is_our_host(http_header(r, "Host"))) {
        reply_error(r, 403, "without a token the report is read by address or as localhost", NULL);
        return 1;
    }
    if (report_get_days(http_query(r), &days) < 0) {
        reply_error(r, 400, "days: a whole number from 1 to 3650", NULL);
        return 1;
    }
    struct context *c = calloc(1, sizeof *c);
    if (!c) {
        reply_error(r, 503, "out of memory, try again", NULL);
        return 1;
    }
    c->wants_report = true;
    c->days = days;
    http_set_user(r, c);
    return 0;
}

static void on_report(struct report_get *g, int error, struct str page)
{
    struct http_request *r = report_get_request(g);
    struct buf headers = BUF_INIT(1024);
    free(http_user(r));
    http_set_user(r, NULL);
    report_get_headers(&headers);
    if (error < 0)
        reply_error(r, 503, "the report could not be made, see the log", NULL);
    else
        http_respond(r, 200, "text/html; charset=utf-8", page, buf_cstr(&headers));
    buf_done(&headers);
}

static void begin_report(struct intake *in, struct http_request *r, struct context *c)
{
    int e = report_get_start(&in->reports, r, c->days, on_report, &c->report);
    if (e == -EBUSY)
        reply_error(r, 503, "other reports are being made, try again", "Retry-After: 2\r\n");
    else if (e < 0)
        reply_error(r, 503, "the report cannot be begun, try again", "Retry-After: 2\r\n");
}

static bool is_json_type(struct str type)
{
    const char *semicolon = type.p ? memchr(type.p, ';', type.n) : NULL;
    if (semicolon)
        type.n = (size_t)(semicolon - type.p);
    while (type.n && type.p[type.n - 1] == ' ')
        type.n--;
    if (!type.n || text_equal_nocase(type, "application/json") ||
        text_equal_nocase(type, "text/json"))
        return true;
    return type.n > 5 && text_equal_nocase((struct str){type.p + type.n - 5, 5}, "+json");
}

// Refuses by the headers of a POST, or lets the body come: 1 answered, 0 go on.
static int check_post(const struct intake *in, struct http_request *r, const char *source)
{
    struct auth_headers h = auth_headers_of(r);
    enum auth_result auth = auth_headers_check(&h, in->config->token, in->config->hmac_secret);
    struct str encoding = http_header(r, "Content-Encoding");
    if (auth == AUTH_FAILED) {
        reply_error(r, 401, "the token or signature is missing or wrong", UNAUTHORIZED);
        return 1;
    }
    if (!http_has_length(r)) {
        reply_error(r, 411, "Content-Length or chunked encoding is required", NULL);
        return 1;
    }
    if (!is_json_type(http_header(r, "Content-Type"))) {
        reply_error(r, 415, "Content-Type: expected application/json", NULL);
        return 1;
    }
    if (encoding.n && !text_equal_nocase(encoding, "identity")) {
        reply_error(r, 415, "Content-Encoding: expected none", NULL);
        return 1;
    }
    struct context *c = calloc(1, sizeof *c);
    if (!c) {
        reply_error(r, 503, "out of memory, send it again", NULL);
        return 1;
    }
    snprintf(c->source, sizeof c->source, "%s", source);
    c->prometheus_api = str_is(http_path(r), PROMETHEUS_PATH);
    c->signature_pending = auth == AUTH_NEEDS_BODY;
    http_set_user(r, c);
    return 0;
}

static int on_headers(struct http_request *r, void *data)
{
    struct intake *in = data;
    char source[SENDER_SIZE];
    struct str method = http_method(r);
    enum route route = route_of(http_path(r), source);
    bool get = str_is(method, "GET") || str_is(method, "HEAD");
    bool post = str_is(method, "POST") || str_is(method, "PUT");
    if (route == ROUTE_ALERTS && post)
        return check_post(in, r, source);
    if (route == ROUTE_NONE)
        reply_error(r, 404, "no such path: alerts go to /, /webhook or /webhook/SOURCE", NULL);
    else if (route == ROUTE_ALERTS)
        reply_error(r, 405, "alerts are sent with POST or PUT", "Allow: POST, PUT\r\n");
    else if (!get)
        reply_error(r, 405, "this path is read with GET", "Allow: GET, HEAD\r\n");
    else if (route == ROUTE_METRICS)
        get_metrics(in, r);
    else if (route == ROUTE_REPORT)
        return check_report(in, r);
    else if (route == ROUTE_HEALTH)
        reply_json(r, 200, str_of("{\"status\":\"ok\"}"), NULL);
    else
        get_ready(in, r);
    return 1;
}

static void begin_notification(struct intake *in, struct http_request *r, struct context *c)
{
    struct notify_job *job = notify_submit(&in->desk, r, c->source, c->prometheus_api);
    if (job) // otherwise it is answered, and the context gone
        c->job = job;
}

static void on_request(struct http_request *r, void *data)
{
    struct intake *in = data;
    struct context *c = http_user(r);
    struct auth_headers h = auth_headers_of(r);
    if (c->wants_report)
        begin_report(in, r, c);
    else if (c->signature_pending &&
             !auth_signature(&h, in->config->hmac_secret, http_body(r), clock_wall_ms() / 1000))
        reply_error(r, 401, "the signature is wrong or its timestamp too old", NULL);
    else if (!http_body(r).n)
        reply_error(r, 400, "the body is empty: expected a JSON notification", NULL);
    else
        begin_notification(in, r, c);
}

static void on_too_large(struct http_request *r, uint64_t bytes, void *data)
{
    struct intake *in = data;
    struct context *c = http_user(r);
    if (!c || c->signature_pending) { // not known to be from one of ours: it may not make incidents
        reply_error(r, 413, "the body is over the limit", NULL);
        return;
    }
    struct oversized_job *job = notify_oversized(&in->desk, r, c->source, bytes);
    if (job)
        c->oversized = job;
}

static void on_refused(int status, const char *reason, void *data)
{
    (void)data;
    reply_count_refusal(status);
    log_warn("request refused", "status", log_int(status), "why", reason);
}

static void on_abort(struct http_request *r, void *data)
{
    (void)data;
    struct context *c = http_user(r);
    if (c && c->job)
        notify_forget(c->job);
    if (c && c->oversized)
        notify_forget_oversized(c->oversized);
    if (c && c->report)
        report_get_cancel(c->report);
    free(c);
}

static const struct http_handler handler = {.on_headers = on_headers,
                                            .on_request = on_request,
                                            .on_too_large = on_too_large,
                                            .on_abort = on_abort,
                                            .on_refused = on_refused};

// ---- listening ----

// Does somebody listen there? SO_REUSEPORT alone would let any process of this user share the port.
static int probe(const char *address)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int one = 1, r = http_address_resolve(address, &sa, &len);
    int fd = r < 0 ? -1 : socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return r < 0 ? r : -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one); // what is in TIME_WAIT is nobody
    r = bind(fd, (struct sockaddr *)&sa, len) < 0 ? -errno : 0;
    close(fd);
    return r;
}

// Only processes of the same store may share the port: with any other, half of the alerts would go
// astray.
static int listen_on(uv_loop_t *loop, struct intake *in, const struct http_limits *limits,
                     struct buf *why)
{
    const char *address = in->config->listen;
    int shared, r, waited = 0;
    do { // taken by one that started in this moment and is about to say so?
        if (waited)
            uv_sleep(PROBE_AGAIN_MS);
        shared = listener_shared(in->store, address);
        r = shared == 0 ? probe(address) : shared < 0 ? shared : 0;
        if (r == 0) // may meet another's probe
            r = http_server_start(loop, address, true, limits, &handler, in, &in->server);
        waited += PROBE_AGAIN_MS;
    } while (r == -EADDRINUSE && waited <= PROBE_PATIENCE_MS);
    if (r == -EADDRINUSE)
        buf_addf(why, "%s is taken by another program: end it, or set WEBHOOK_LISTEN", address);
    else if (r == -EACCES)
        buf_addf(why, "%s: this user may not listen there, set WEBHOOK_LISTEN", address);
    else if (r < 0)
        buf_addf(why, "cannot listen on %s: %s", address,
                 shared < 0 ? store_error(in->store) : strerror(-r));
    return r;
}

int intake_start(uv_loop_t *loop, struct store *s, struct group_commit *commit,
                 const struct config *c, struct intake_hooks hooks, struct intake **ret_intake,
                 struct buf *ret_why)
{
    if (!http_address_is_loopback(c->listen) && !c->token[0] && !c->hmac_secret[0]) {
        buf_addf(ret_why,
                 "WEBHOOK_LISTEN is %s, beyond loopback: set WEBHOOK_TOKEN (or "
                 "WEBHOOK_HMAC_SECRET) first",
                 c->listen);
        return -EACCES;
    }
    struct intake *in = calloc(1, sizeof *in);
    if (!in)
        return -ENOMEM;
    *in = (struct intake){.store = s,
                          .config = c,
                          .hooks = hooks,
                          .desk = {.store = s, .commit = commit, .config = c}};
    alert_init(&in->desk.alert);
    report_desk_init(&in->reports, loop);
    struct http_limits limits = http_default_limits;
    limits.max_body = (size_t)c->max_body;
    int r = listen_on(loop, in, &limits, ret_why);
    if (r < 0) {
        free(in);
        return r;
    }
    *ret_intake = in;
    return 0;
}

const char *intake_address(const struct intake *in)
{
    return http_server_address(in->server);
}

static void on_closed(void *data)
{
    struct intake *in = data;
    alert_done(&in->desk.alert);
    free(in);
}

void intake_stop(struct intake *in, unsigned grace_ms)
{
    if (in)
        http_server_stop(in->server, grace_ms, on_closed, in);
}
