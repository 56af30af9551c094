#include "channels/slack/web_api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

enum {
    MAX_BLOCKED = 32,
    UPLOAD_TIMEOUT_MS = 120 * 1000,
    STANDARD_WAIT_MS = 30 * 1000, // a 429 without Retry-After
};

struct slack_api {
    struct http_client *http;
    char *base, *bot_auth, *app_auth; // the two are Authorization headers
    bool plain;
    struct call *calls; // under way
    struct {
        char method[48];
        int64_t until; // boot ms
    } blocked[MAX_BLOCKED];
};

struct call {
    struct slack_api *api;
    struct call *next, **self; // `self` points at what points here
    struct http_call *http;
    api_fn done;
    void *data;
    bool repeatable, raw;
    char method[48];
};

static const char *const rate_errors[] = {"ratelimited", "rate_limited", NULL};
// "It's possible some aspect of the operation succeeded before the error was raised."
static const char *const ambiguous_errors[] = {"fatal_error",       "internal_error",
                                               "request_timeout",   "service_unavailable",
                                               "team_added_to_org", NULL};
static const char *const stop_errors[] = {"invalid_auth",
                                          "not_authed",
                                          "token_revoked",
                                          "token_expired",
                                          "account_inactive",
                                          "not_allowed_token_type",
                                          "missing_scope",
                                          "org_login_required",
                                          "ekm_access_denied",
                                          "access_denied",
                                          "accesslimited",
                                          "user_removed_from_team",
                                          "team_disabled",
                                          "two_factor_setup_required",
                                          "deprecated_endpoint",
                                          "method_deprecated",
                                          "no_permission",
                                          "messages_tab_disabled",
                                          "message_limit_exceeded",
                                          "forbidden_team",
                                          "insecure_request",
                                          "app_missing_action_url",
                                          NULL};

static const char *const token_errors[] = {"invalid_auth",
                                           "not_authed",
                                           "token_revoked",
                                           "token_expired",
                                           "account_inactive",
                                           "user_removed_from_team",
                                           "team_disabled",
                                           "not_allowed_token_type",
                                           NULL};

static bool is_one_of(const char *error, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(error, *list) == 0)
            return true;
    return false;
}

enum api_verdict slack_api_judge(const struct api_facts *f)
{
    enum api_verdict unclear = f->repeatable ? API_RETRY : API_AMBIGUOUS;
    if (f->outcome == HTTP_NOT_SENT)
        return API_RETRY;
    if (f->outcome == HTTP_UNKNOWN)
        return unclear;
    if (f->status == 429)
        return API_RATE;
    if (f->status >= 500 || f->status == 408 || !f->is_json)
        return unclear;
    if (f->ok)
        return API_OK;
    if (is_one_of(f->error, rate_errors))
        return API_RATE;
    if (is_one_of(f->error, ambiguous_errors))
        return unclear;
    return is_one_of(f->error, stop_errors) ? API_STOP : API_REFUSED;
}

bool slack_api_is_token_error(const char *error)
{
    return is_one_of(error, token_errors);
}

static char *auth_header(const char *token)
{
    char *out = NULL;
    return asprintf(&out, "Authorization: Bearer %s", token) < 0 ? NULL : out;
}

int slack_api_new(uv_loop_t *loop, const char *base, const char *bot_token, const char *app_token,
                  struct slack_api **ret_api)
{
    struct slack_api *a = calloc(1, sizeof *a);
    if (!a)
        return -ENOMEM;
    size_t n = strlen(base);
    int r = asprintf(&a->base, "%s%s", base, n && base[n - 1] == '/' ? "" : "/") < 0 ? -ENOMEM : 0;
    a->bot_auth = auth_header(bot_token);
    a->app_auth = auth_header(app_token);
    a->plain = strncmp(base, "http://", 7) == 0; // config allows it for loopback only
    if (!a->bot_auth || !a->app_auth)
        r = -ENOMEM;
    if (r == 0)
        r = http_client_new(loop, &a->http);
    if (r < 0) {
        slack_api_close(a);
        return r;
    }
    *ret_api = a;
    return 0;
}

static void unlink_call(struct call *c)
{
    *c->self = c->next;
    if (c->next)
        c->next->self = c->self;
}

void slack_api_abort(struct slack_api *a)
{
    while (a->calls) {
        struct call *c = a->calls;
        unlink_call(c);
        http_call_cancel(c->http);
        struct api_answer answer = {.verdict = c->repeatable ? API_RETRY : API_AMBIGUOUS,
                                    .error = "shutting down",
                                    .needed = "",
                                    .scopes = ""};
        c->done(&answer, c->data);
        free(c);
    }
}

void slack_api_close(struct slack_api *a)
{
    if (!a)
        return;
    while (a->calls) {
        struct call *c = a->calls;
        unlink_call(c);
        free(c);
    }
    http_client_close(a->http);
    free(a->base);
    free(a->bot_auth);
    free(a->app_auth);
    free(a);
}

int64_t slack_api_blocked(const struct slack_api *a, const char *method)
{
    for (size_t i = 0; i < MAX_BLOCKED; i++)
        if (strcmp(a->blocked[i].method, method) == 0) {
            int64_t left = a->blocked[i].until - clock_boot_ms();
            return left > 0 ? left : 0;
        }
    return 0;
}

static void block(struct slack_api *a, const char *method, int64_t ms)
{
    size_t slot = 0;
    for (size_t i = 0; i < MAX_BLOCKED; i++) {
        if (!a->blocked[i].method[0] || strcmp(a->blocked[i].method, method) == 0) {
            slot = i;
            break;
        }
        if (a->blocked[i].until < a->blocked[slot].until)
            slot = i;
    }
    snprintf(a->blocked[slot].method, sizeof a->blocked[slot].method, "%s", method);
    a->blocked[slot].until = clock_boot_ms() + ms;
}

static void finish(struct call *c, const struct http_call_response *r, const cJSON *json)
{
    const char *code = json_str(json, "error");
    struct api_facts facts = {.outcome = r->outcome,
                              .status = r->status,
                              .is_json = c->raw ? r->status == 200 : json != NULL,
                              .ok = c->raw ? r->status == 200 : json_bool(json, "ok", false),
                              .error = code ? code : "",
                              .repeatable = c->repeatable};
    char status[48];
    snprintf(status, sizeof status, "HTTP status %d", r->status);
    struct api_answer a = {.verdict = slack_api_judge(&facts),
                           .json = json,
                           .error = "",
                           .needed = json_str(json, "needed"),
                           .scopes = r->call ? http_call_header(r->call, "x-oauth-scopes") : ""};
    if (a.verdict != API_OK)
        a.error = code ? code : r->error_text && r->error_text[0] ? r->error_text : status;
    if (!a.needed)
        a.needed = "";
    if (r->retry_after_s > 0)
        a.retry_ms = r->retry_after_s * 1000;
    if (a.verdict == API_RATE) {
        a.retry_ms = a.retry_ms ? a.retry_ms : STANDARD_WAIT_MS;
        a.retry_ms += 50; // never sooner by a rounding
        block(c->api, c->method, a.retry_ms);
    }
    c->done(&a, c->data);
}

static void on_done(const struct http_call_response *r, void *data)
{
    struct call *c = data;
    const char *why;
    unlink_call(c);
    cJSON *json = r->outcome == HTTP_ANSWERED && !c->raw ? json_parse(r->body, &why) : NULL;
    if (json && !cJSON_IsObject(json)) {
        cJSON_Delete(json);
        json = NULL;
    }
    finish(c, r, json);
    cJSON_Delete(json);
    free(c);
}

static struct call *call_new(struct slack_api *a, const char *method, api_fn done, void *data)
{
    struct call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->api = a;
    c->done = done;
    c->data = data;
    snprintf(c->method, sizeof c->method, "%s", method);
    return c;
}

static int start(struct call *c, const struct http_call_request *request)
{
    int r = http_client_call(c->api->http, request, on_done, c, &c->http);
    if (r < 0) {
        free(c);
        return r;
    }
    c->next = c->api->calls;
    c->self = &c->api->calls;
    if (c->next)
        c->next->self = &c->next;
    c->api->calls = c;
    return 0;
}

int slack_api_call(struct slack_api *a, const char *method, struct str form, unsigned flags,
                   api_fn done, void *data)
{
    struct buf url = BUF_INIT(4096);
    struct call *c = call_new(a, method, done, data);
    if (!c)
        return -ENOMEM;
    c->repeatable = (flags & API_REPEATABLE) != 0;
    buf_adds(&url, a->base);
    buf_adds(&url, method);
    const char *headers[] = {flags & API_APP_TOKEN ? a->app_auth : a->bot_auth, NULL};
    struct http_call_request request = {.method = "POST",
                                        .url = buf_cstr(&url),
                                        .headers = headers,
                                        .content_type = "application/x-www-form-urlencoded",
                                        .body = form.p ? form : str_of(""),
                                        .repeatable = c->repeatable,
                                        .max_response = 8u << 20,
                                        .allow_plain_loopback = a->plain};
    int r = start(c, &request);
    buf_done(&url);
    return r;
}

int slack_api_upload(struct slack_api *a, const char *url, int fd, uint64_t size, api_fn done,
                     void *data)
{
    struct call *c = call_new(a, "upload", done, data);
    if (!c)
        return -ENOMEM;
    c->repeatable = c->raw = true;
    struct http_call_request request = {.method = "POST",
                                        .url = url,
                                        .content_type = "application/octet-stream",
                                        .body_fd = fd,
                                        .body_size = size,
                                        .timeout_ms = UPLOAD_TIMEOUT_MS,
                                        .allow_plain_loopback = a->plain};
    return start(c, &request);
}
