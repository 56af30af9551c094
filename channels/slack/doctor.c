#include "channels/slack/doctor.h"

#include <errno.h>
#include <stdio.h>

#include "channels/slack/access.h"
#include "channels/slack/engine.h"
#include "channels/slack/people.h"
#include "channels/slack/socket_mode.h"
#include "common/lease.h"
#include "common/options.h"
#include "common/output.h"

enum { SOCKET_MS = 15 * 1000, MAX_REPORT = 256 * 1024 };

struct doctor {
    const struct config *config;
    const struct doctor_options *options;
    struct store *store;
    uv_loop_t loop;
    uv_timer_t timer;
    struct slack_api *api;
    struct access access;
    struct buf out;
    struct jw w;
    unsigned failed;
    // of the call under way
    enum api_verdict verdict;
    char error[160], needed[64], scopes[1024], id[32], team[96];
    // of the socket
    struct socket_mode *socket;
    bool up;
    char why[192];
};

int doctor_options_read(int argc, char **argv, struct doctor_options *ret)
{
    struct option options[] = {{.name = "--json", .kind = OPTION_FLAG},
                               {.name = "--send", .kind = OPTION_FLAG}};
    struct buf why = BUF_INIT(512);
    int words;
    int r = options_parse(argc, argv, options, ARRAY_LEN(options), NULL, 0, &words, &why);
    if (r < 0)
        fprintf(stderr, "doctor: %s\n", buf_cstr(&why));
    buf_done(&why);
    *ret = (struct doctor_options){.json = options[0].number, .send = options[1].number};
    return r;
}

// status: "ok", "failed", "skipped". fix: what to do, "" when nothing.
static void report(struct doctor *d, const char *check, const char *status, const char *detail,
                   const char *fix)
{
    d->failed += strcmp(status, "failed") == 0;
    if (d->options->json) {
        jw_object(&d->w);
        jw_kstr(&d->w, "check", check);
        jw_kstr(&d->w, "status", status);
        jw_kstr(&d->w, "detail", detail);
        jw_kstr(&d->w, "fix", fix[0] ? fix : NULL);
        jw_object_end(&d->w);
        return;
    }
    buf_addf(&d->out, "%-7s %-14s %s\n", status, check, detail);
    if (fix[0])
        buf_addf(&d->out, "%22s -> %s\n", "", fix);
}

static bool verdict(struct doctor *d, const char *check, bool ok, const char *detail,
                    const char *fix)
{
    report(d, check, ok ? "ok" : "failed", detail, ok ? "" : fix);
    return ok;
}

// ---- configuration ----

static bool check_config(struct doctor *d)
{
    const struct config *c = d->config;
    access_set_users(&d->access, c->slack_users);
    bool bot =
        verdict(d, "bot token", c->slack_bot_token[0],
                c->slack_bot_token[0] ? "SLACK_BOT_TOKEN is set" : "SLACK_BOT_TOKEN is missing",
                "api.slack.com/apps > your app > OAuth & Permissions > Bot User OAuth Token");
    bool app =
        verdict(d, "app token", c->slack_app_token[0],
                c->slack_app_token[0] ? "SLACK_APP_TOKEN is set" : "SLACK_APP_TOKEN is missing",
                "Basic Information > App-Level Tokens > one with the scope connections:write");
    verdict(
        d, "allowed users", d->access.n_users,
        d->access.n_users ? access_owner(&d->access) : "SLACK_ALLOWED_USERS is empty",
        "your own member id (U...): Slack > your profile > ... > Copy member ID; the first is the "
        "owner");
    return bot && app;
}

// ---- calls ----

static void on_answer(const struct api_answer *a, void *data)
{
    struct doctor *d = data;
    const char *id = json_str(json_obj(a->json, "channel"), "id"),
               *team = json_str(a->json, "team");
    d->verdict = a->verdict;
    snprintf(d->error, sizeof d->error, "%s", a->error);
    snprintf(d->needed, sizeof d->needed, "%s", a->needed);
    snprintf(d->scopes, sizeof d->scopes, "%s", a->scopes);
    snprintf(d->id, sizeof d->id, "%s", id ? id : "");
    snprintf(d->team, sizeof d->team, "%s", team ? team : "");
    uv_stop(&d->loop);
}

static bool ask(struct doctor *d, const char *method, const char *form)
{
    d->verdict = API_RETRY;
    snprintf(d->error, sizeof d->error, "out of memory");
    if (slack_api_call(d->api, method, str_of(form), API_REPEATABLE, on_answer, d) == 0)
        uv_run(&d->loop, UV_RUN_DEFAULT);
    return d->verdict == API_OK;
}

static const char *how_to_mend(const struct doctor *d)
{
    if (strcmp(d->error, "missing_scope") == 0)
        return "add the scope under OAuth & Permissions, then install the app again";
    if (strcmp(d->error, "messages_tab_disabled") == 0)
        return "App Home > Show Tabs > Messages Tab on, and \"Allow users to send messages\"";
    if (slack_api_is_token_error(d->error))
        return "make a new token and set it; it may have been revoked, or be of another kind";
    if (strcmp(d->error, "user_not_found") == 0)
        return "SLACK_ALLOWED_USERS: member ids of this workspace (U...), not names";
    if (d->verdict == API_RETRY || d->verdict == API_AMBIGUOUS)
        return "the network: DNS, proxy (https_proxy), TLS certificates (SSL_CERT_FILE), firewall";
    return "see the error's name in the method's page on docs.slack.dev";
}

static void check_scopes(struct doctor *d)
{
    struct buf missing = BUF_INIT(1024);
    slack_scopes_missing(&missing, d->scopes);
    if (!d->scopes[0])
        report(d, "scopes", "skipped", "Slack did not list them", "");
    for (size_t i = 0; d->scopes[0] && slack_scopes[i]; i++) {
        char check[48];
        snprintf(check, sizeof check, "scope");
        bool absent = missing.len && strstr(buf_cstr(&missing), slack_scopes[i]);
        verdict(d, check, !absent, slack_scopes[i],
                "OAuth & Permissions > Bot Token Scopes > add it, then install the app again");
    }
    buf_done(&missing);
}

static void check_conversation(struct doctor *d, const char *user)
{
    char form[64], detail[256];
    snprintf(form, sizeof form, "users=%.40s", user);
    bool ok = ask(d, "conversations.open", form);
    snprintf(detail, sizeof detail, "with %s: %.150s", user, ok ? d->id : d->error);
    verdict(d, "direct message", ok, detail, how_to_mend(d));
}

static void check_message(struct doctor *d)
{
    char form[256];
    if (!d->options->send || !d->id[0]) {
        report(d, "messages tab", "skipped", "only a message shows it: slack-channel doctor --send",
               "");
        return;
    }
    snprintf(form, sizeof form, "channel=%.31s&text=%s", d->id,
             "slack-channel+doctor:+a+test+message.+Answer+it+to+see+that+you+can.");
    bool ok = ask(d, "chat.postMessage", form);
    verdict(d, "messages tab", ok, ok ? "a test message was sent to the owner" : d->error,
            how_to_mend(d));
}

// ---- the socket ----

static void on_up(const char *app_id, int64_t connections, int ours, void *data)
{
    struct doctor *d = data;
    (void)app_id;
    d->up = true;
    snprintf(d->why, sizeof d->why, "hello; Slack counts %lld connection%s", (long long)connections,
             connections == 1 ? "" : "s");
    if (connections > ours)
        snprintf(d->why, sizeof d->why,
                 "hello, but Slack counts %lld connections: another process uses this app, or old "
                 "ones have not been forgotten yet",
                 (long long)connections);
    uv_stop(&d->loop);
}

static void on_state(enum socket_state state, const char *why, void *data)
{
    struct doctor *d = data;
    snprintf(d->why, sizeof d->why, "%s", why);
    if (state == SOCKET_DISABLED || state == SOCKET_REFUSED) {
        d->up = false;
        uv_stop(&d->loop);
    }
}

static void on_envelope(struct envelope *e, void *data)
{
    (void)e, (void)data; // not acknowledged: Slack repeats it for whoever is there next
}

static void on_late(uv_timer_t *t)
{
    uv_stop(&((struct doctor *)t->data)->loop);
}

static void on_socket_closed(void *data)
{
    uv_stop(&((struct doctor *)data)->loop);
}

static void check_socket(struct doctor *d)
{
    struct lease_info lease;
    char detail[256];
    if (lease_read(d->store, LEASE_SLACK, &lease) == 0 && lease.fresh) {
        snprintf(detail, sizeof detail, "held by the running channel (process %lld)",
                 (long long)lease.pid);
        report(d, "socket", "ok", detail, "");
        return;
    }
    struct socket_handler handler = {
        .on_up = on_up, .on_state = on_state, .on_envelope = on_envelope, .data = d};
    bool plain = strncmp(d->config->slack_api_url, "http://", 7) == 0;
    if (socket_mode_new(&d->loop, d->api, &handler, plain, &d->socket) < 0)
        return;
    uv_timer_init(&d->loop, &d->timer);
    d->timer.data = d;
    uv_timer_start(&d->timer, on_late, SOCKET_MS, 0);
    socket_mode_start(d->socket);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    // link_disabled follows hello at once.
    uv_timer_start(&d->timer, on_late, 300, 0);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&d->timer, NULL);
    verdict(d, "socket", d->up, d->why,
            "Socket Mode > Enable Socket Mode; the app token needs connections:write; outgoing "
            "WebSockets to *.slack.com must be allowed");
}

// ---- all ----

static void check_slack(struct doctor *d)
{
    const struct config *c = d->config;
    char detail[256];
    int r =
        slack_api_new(&d->loop, c->slack_api_url, c->slack_bot_token, c->slack_app_token, &d->api);
    if (r < 0) {
        verdict(d, "requests", false, strerror(-r),
                r == -ELIBACC ? "install libcurl4" : "end what uses up the memory");
        return;
    }
    bool ok = ask(d, "auth.test", "");
    snprintf(detail, sizeof detail, "%.90s%.150s", ok ? "workspace " : "", ok ? d->team : d->error);
    verdict(d, "auth.test", ok, detail, how_to_mend(d));
    if (ok) {
        check_scopes(d);
        for (size_t i = d->access.n_users; i-- > 0;) // the owner last: for the message
            check_conversation(d, d->access.users[i]);
        check_message(d);
    }
    check_socket(d);
    slack_api_close(d->api);
    if (d->socket)
        socket_mode_close(d->socket, on_socket_closed, d);
    uv_run(&d->loop, UV_RUN_DEFAULT);
}

int doctor_run(const struct config *config, struct store *s, const struct doctor_options *o)
{
    struct doctor d = {.config = config, .options = o, .store = s, .out = BUF_INIT(MAX_REPORT)};
    d.w = JW(&d.out);
    uv_loop_init(&d.loop);
    if (o->json) {
        jw_object(&d.w);
        jw_key(&d.w, "checks");
        jw_array(&d.w);
    }
    if (check_config(&d))
        check_slack(&d);
    if (o->json) {
        jw_array_end(&d.w);
        jw_kbool(&d.w, "ok", d.failed == 0);
        jw_object_end(&d.w);
        buf_addc(&d.out, '\n');
    } else {
        d.failed ? buf_addf(&d.out, "%u failed\n", d.failed) : buf_adds(&d.out, "all is well\n");
    }
    if (output_flush(&d.out) < 0)
        d.failed++;
    buf_done(&d.out);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    uv_loop_close(&d.loop);
    return d.failed ? 1 : 0;
}
