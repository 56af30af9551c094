// The clients through TLS and through a proxy, against the fake Slack in a process of its own
// (Node): what a loopback server in plain text cannot show, above all bytes that TLS holds back and
// writes that it wants repeated.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/http_client.h"
#include "common/ws_client.h"
#include "test/support/loopback.h"

// --- the fake Slack ---

static struct {
    pid_t pid;
    FILE *to, *from;
    char ca_file[256], other_ca_file[256], proxy[128], api_url[128], app_token[64];
    int port;
} slack;

static cJSON *read_line(void)
{
    static char line[1 << 20];
    assert_non_null(fgets(line, sizeof line, slack.from));
    cJSON *json = cJSON_Parse(line);
    assert_non_null(json);
    return json;
}

static void copy(char *to, size_t size, const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(json, name);
    assert_true(cJSON_IsString(item));
    snprintf(to, size, "%s", item->valuestring);
}

// A command's result; the caller deletes it.
static cJSON *command(const char *text)
{
    fprintf(slack.to, "%s\n", text);
    fflush(slack.to);
    cJSON *answer = read_line();
    if (!cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok")))
        fail_msg("%s: %s", text, cJSON_GetObjectItem(answer, "error")->valuestring);
    cJSON *result = cJSON_DetachItemFromObject(answer, "result");
    cJSON_Delete(answer);
    return result;
}

static void tell(const char *text)
{
    cJSON_Delete(command(text));
}

static int start_slack(void **state)
{
    (void)state;
    int in[2], out[2];
    assert_int_equal(pipe(in) + pipe(out), 0);
    slack.pid = fork();
    assert_true(slack.pid >= 0);
    if (slack.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int fd = 3; fd < 32; fd++)
            close(fd);
        execlp("node", "node", SOURCE_DIR "/test/support/fake_slack/main.mjs", "--tls", "--options",
               "{\"proxy\":{\"auth\":\"user:pass\"}}", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    slack.to = fdopen(in[1], "w");
    slack.from = fdopen(out[0], "r");
    cJSON *about = read_line();
    copy(slack.ca_file, sizeof slack.ca_file, about, "ca_file");
    copy(slack.other_ca_file, sizeof slack.other_ca_file, about, "other_ca_file");
    copy(slack.proxy, sizeof slack.proxy, about, "proxy");
    copy(slack.api_url, sizeof slack.api_url, about, "api_url");
    copy(slack.app_token, sizeof slack.app_token, cJSON_GetObjectItem(about, "env"),
         "SLACK_APP_TOKEN");
    slack.port = cJSON_GetObjectItem(about, "port")->valueint;
    cJSON_Delete(about);
    return 0;
}

static int stop_slack(void **state)
{
    (void)state;
    fclose(slack.to); // the end of its stdin
    fclose(slack.from);
    int status;
    assert_int_equal(waitpid(slack.pid, &status, 0), slack.pid);
    return 0;
}

// --- the client ---

struct fixture {
    uv_loop_t loop;
    struct http_client *http;
    struct ws *ws;
    bool answered, opened, closed, got_messages;
    enum http_outcome outcome;
    int error, status;
    char body[4096], error_text[256];
    unsigned messages, want_messages, activities;
    size_t message_bytes;
    char first[256], last[256];
    struct ws_closed how;
};

static void on_answer(const struct http_call_response *r, void *data)
{
    struct fixture *f = data;
    f->answered = true;
    f->outcome = r->outcome;
    f->error = r->error;
    f->status = r->status;
    snprintf(f->body, sizeof f->body, "%s", r->body.p);
    snprintf(f->error_text, sizeof f->error_text, "%s", r->error_text);
}

static void on_open(struct ws *w, void *data)
{
    (void)w;
    struct fixture *f = data;
    f->opened = true;
}

static void on_message(struct ws *w, struct str m, void *data)
{
    (void)w;
    struct fixture *f = data;
    if (f->messages++ == 0)
        snprintf(f->first, sizeof f->first, "%.*s", m.n < 250 ? (int)m.n : 250, m.p);
    snprintf(f->last, sizeof f->last, "%.*s", m.n < 250 ? (int)m.n : 250, m.p);
    f->message_bytes += m.n;
    f->got_messages = f->messages >= f->want_messages;
}

static void on_activity(struct ws *w, void *data)
{
    (void)w;
    struct fixture *f = data;
    f->activities++;
}

static void on_closed(struct ws *w, const struct ws_closed *how, void *data)
{
    (void)w;
    struct fixture *f = data;
    f->closed = true;
    f->how = *how;
    snprintf(f->error_text, sizeof f->error_text, "%s", how->error_text);
    f->ws = NULL;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(http_client_new(&f->loop, &f->http), 0);
    setenv("SSL_CERT_FILE", slack.ca_file, 1);
    unsetenv("https_proxy");
    f->want_messages = 1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    ws_abandon(f->ws);
    http_client_close(f->http);
    loopback_finish(&f->loop);
    free(f);
    return 0;
}

static void post(struct fixture *f, const char *host, const char *method)
{
    char url[256], authorization[128];
    snprintf(url, sizeof url, "https://%s:%d/api/%s", host, slack.port, method);
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", slack.app_token);
    struct http_call_request r = {
        .method = "POST",
        .url = url,
        .headers = (const char *const[]){authorization, NULL},
        .timeout_ms = 3000,
    };
    f->answered = false;
    assert_int_equal(http_client_call(f->http, &r, on_answer, f, NULL), 0);
    assert_true(loopback_wait(&f->loop, &f->answered, 5000));
}

// A socket as Slack hands them out: a fresh URL, then the upgrade.
static void start_ws(struct fixture *f, const char *host)
{
    static const struct ws_handler handler = {on_open, on_message, on_activity, on_closed};
    post(f, host, "apps.connections.open");
    assert_int_equal(f->outcome, HTTP_ANSWERED);
    assert_int_equal(f->status, 200);
    cJSON *json = cJSON_Parse(f->body);
    char given[512], url[640];
    copy(given, sizeof given, json, "url");
    cJSON_Delete(json);
    snprintf(url, sizeof url, "wss://%s:%d/%s", host, slack.port, strstr(given, "link/"));
    struct ws_options options = {.url = url, .open_ms = 3000, .max_queue = 2u << 20};
    assert_int_equal(ws_open(&f->loop, &options, &handler, f, &f->ws), 0);
}

static void wait_for(struct fixture *f, const bool *flag)
{
    assert_true(loopback_wait(&f->loop, flag, 10000));
}

static unsigned violations(const char *containing)
{
    cJSON *list = command("violations");
    unsigned n = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, list) n +=
        strstr(cJSON_GetObjectItem(v, "what")->valuestring, containing) != NULL;
    cJSON_Delete(list);
    return n;
}

static void test_hello_event_and_ack(void **state)
{
    struct fixture *f = *state;
    start_ws(f, "127.0.0.1");
    wait_for(f, &f->got_messages);
    assert_non_null(strstr(f->first, "\"hello\""));
    f->want_messages = 2;
    f->got_messages = false;
    tell("say good morning");
    wait_for(f, &f->got_messages);
    cJSON *event = cJSON_Parse(f->last); // cut, so only its beginning is looked at
    cJSON_Delete(event);
    char id[64], ack[128];
    assert_int_equal(
        sscanf(strstr(f->last, "\"envelope_id\":\""), "\"envelope_id\":\"%40[^\"]", id), 1);
    snprintf(ack, sizeof ack, "{\"envelope_id\":\"%s\"}", id);
    assert_int_equal(ws_send(f->ws, str_of(ack)), 0);
    assert_int_equal(ws_ping(f->ws, str_of("alive?")), 0);
    snprintf(ack, sizeof ack, "waitAcked [\"%s\"]", id);
    tell(ack);
    ws_close(f->ws, 1000, str_of("bye"));
    wait_for(f, &f->closed);
    assert_int_equal(f->how.end, WS_END_BY_US);
    assert_int_equal(f->how.code, 1000);
    assert_int_equal(violations(""), 0);
}

// Everything in one TLS record: no event of the socket's tells of what TLS has decrypted but nobody
// has read.
static void test_hello_and_a_burst_in_one_record(void **state)
{
    struct fixture *f = *state;
    struct buf next = BUF_INIT(1 << 20);
    buf_adds(&next, "next [{\"coalesceHello\":true,\"textAfter\":[");
    for (int i = 0; i < 300; i++)
        buf_addf(&next, "%s\"message %d\"", i ? "," : "", i);
    buf_adds(&next, "]}]");
    tell(next.data);
    buf_done(&next);
    f->want_messages = 301;
    start_ws(f, "127.0.0.1");
    wait_for(f, &f->got_messages);
    assert_string_equal(f->last, "message 299");
}

// A message beyond a turn's budget: the rest of it waits within TLS, and the turn must go on by
// itself.
static void test_large_messages_in(void **state)
{
    struct fixture *f = *state;
    start_ws(f, "127.0.0.1");
    wait_for(f, &f->got_messages);
    struct buf text = BUF_INIT(2 << 20);
    buf_adds(&text, "sendText ");
    for (int i = 0; i < 300 * 1024; i++)
        buf_addc(&text, 'b');
    for (int i = 0; i < 5; i++) {
        f->want_messages = f->messages + 1;
        f->got_messages = false;
        tell(text.data);
        wait_for(f, &f->got_messages);
    }
    assert_true(f->message_bytes > 5 * 300 * 1024);
    buf_done(&text);
}

// What a turn's budget leaves within TLS after the last byte has left the socket.
static void test_rest_of_a_record_behind_the_budget(void **state)
{
    struct fixture *f = *state;
    struct buf next = BUF_INIT(1 << 20);
    buf_adds(&next, "next [{\"coalesceHello\":true,\"textAfter\":[\"");
    for (int i = 0; i < 75000; i++)
        buf_addc(&next, 'b');
    buf_adds(&next, "\"]}]");
    for (int i = 0; i < 10; i++) {
        tell(next.data);
        f->messages = 0;
        f->got_messages = false;
        f->want_messages = 2;
        start_ws(f, "127.0.0.1");
        assert_true(loopback_wait(&f->loop, &f->got_messages, 3000));
        ws_abandon(f->ws);
        f->ws = NULL;
    }
    buf_done(&next);
}

static void test_single_bytes_and_fragments(void **state)
{
    struct fixture *f = *state;
    tell("next [{\"coalesceHello\":true,\"dribble\":1,\"fragment\":7}]");
    start_ws(f, "127.0.0.1");
    wait_for(f, &f->got_messages);
    f->want_messages = 2;
    f->got_messages = false;
    tell("sendText a text that arrives in fragments with a ping between them");
    wait_for(f, &f->got_messages);
    assert_string_equal(f->last, "a text that arrives in fragments with a ping between them");
    assert_int_equal(violations(""), 0);
}

// TLS wants a write that was not taken repeated as it was: same bytes, same place. Seen when the
// peer stops reading for a while.
static void test_peer_stops_reading_and_resumes(void **state)
{
    struct fixture *f = *state;
    start_ws(f, "127.0.0.1");
    wait_for(f, &f->got_messages);
    loopback_pause(&f->loop, 50);
    tell("hang");
    static char chunk[20000];
    memset(chunk, 'c', sizeof chunk);
    memcpy(chunk, "{\"envelope_id\":\"", 16);
    memcpy(chunk + sizeof chunk - 2, "\"}", 2);
    unsigned before = violations("never sent"), sent = 0;
    int r;
    while ((r = ws_send(f->ws, (struct str){chunk, sizeof chunk})) == 0) {
        sent++;
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(r, -ENOBUFS);
    assert_true(sent > 100);
    loopback_pause(&f->loop, 100);
    tell("resume");
    for (int i = 0; i < 100 && !f->closed && ws_queued(f->ws) > 0; i++)
        loopback_pause(&f->loop, 50);
    assert_false(f->closed);
    assert_int_equal(ws_queued(f->ws), 0);
    for (int i = 0; i < 100 && violations("never sent") < before + sent; i++)
        loopback_pause(&f->loop, 50);
    assert_int_equal(violations("never sent"), before + sent);
    assert_int_equal(violations("refused"), 0);
    assert_true(ws_is_open(f->ws));
}

static void expect_lost(struct fixture *f, const char *how)
{
    f->messages = f->opened = f->closed = f->got_messages = 0;
    start_ws(f, "127.0.0.1");
    wait_for(f, &f->got_messages);
    loopback_pause(&f->loop, 20);
    tell(how);
    wait_for(f, &f->closed);
    assert_int_equal(f->how.end, WS_END_LOST);
    assert_int_equal(f->how.code, 1006);
    assert_int_equal(f->how.error, -ECONNRESET);
}

static void test_connection_lost(void **state)
{
    struct fixture *f = *state;
    expect_lost(f, "reset");
    expect_lost(f, "end");
}

static void test_closed_by_slack_which_leaves_tcp_open(void **state)
{
    struct fixture *f = *state;
    start_ws(f, "127.0.0.1");
    wait_for(f, &f->got_messages);
    loopback_pause(&f->loop, 20);
    tell("close [1001,\"going away\"]");
    wait_for(f, &f->closed);
    assert_int_equal(f->how.end, WS_END_BY_PEER);
    assert_int_equal(f->how.code, 1001);
}

static void expect_refused(struct fixture *f, const char *next, int error, int status)
{
    tell(next);
    f->closed = false;
    start_ws(f, "127.0.0.1");
    wait_for(f, &f->closed);
    assert_int_equal(f->how.end, WS_END_NOT_OPENED);
    assert_int_equal(f->how.error, error);
    assert_int_equal(f->how.http_status, status);
    assert_false(f->opened);
}

static void test_refused_upgrades(void **state)
{
    struct fixture *f = *state;
    expect_refused(f, "next [{\"status\":503}]", -ECONNREFUSED, 503);
    expect_refused(f, "next [{\"badAccept\":true}]", -EPROTO, 101);
    expect_refused(f, "next [{\"refuse\":true}]", -ECONNRESET, 0);
}

static void expect_not_sent(struct fixture *f, const char *host)
{
    post(f, host, "apps.connections.open");
    assert_int_equal(f->outcome, HTTP_NOT_SENT);
    assert_int_equal(f->error, -EIO);
    assert_int_equal(f->status, 0);
    assert_true(f->error_text[0] != '\0');

    static const struct ws_handler handler = {on_open, on_message, on_activity, on_closed};
    char url[256];
    snprintf(url, sizeof url, "wss://%s:%d/link/?ticket=secret", host, slack.port);
    struct ws_options options = {.url = url, .open_ms = 3000};
    f->closed = false;
    assert_int_equal(ws_open(&f->loop, &options, &handler, f, &f->ws), 0);
    wait_for(f, &f->closed);
    assert_int_equal(f->how.end, WS_END_NOT_OPENED);
    assert_int_equal(f->how.error, -EIO);
    assert_null(strstr(f->error_text, "secret"));
}

static void test_certificates_are_verified(void **state)
{
    struct fixture *f = *state;
    cJSON *before = command("requests");
    setenv("SSL_CERT_FILE", slack.other_ca_file, 1);
    expect_not_sent(f, "127.0.0.1");
    unsetenv("SSL_CERT_FILE"); // the system's authorities know nothing of it either
    expect_not_sent(f, "127.0.0.1");
    setenv("SSL_CERT_FILE", "/nonexistent", 1);
    expect_not_sent(f, "127.0.0.1");
    // The right authority, another name.
    setenv("SSL_CERT_FILE", slack.ca_file, 1);
    setenv("https_proxy", slack.proxy, 1);
    expect_not_sent(f, "slack.evil");
    cJSON *after = command("requests");
    assert_int_equal(cJSON_GetArraySize(after), cJSON_GetArraySize(before));
    cJSON_Delete(before);
    cJSON_Delete(after);
}

static void test_proxy(void **state)
{
    struct fixture *f = *state;
    setenv("https_proxy", slack.proxy, 1);
    start_ws(f, "slack.test"); // a name that only the proxy knows
    wait_for(f, &f->got_messages);
    assert_non_null(strstr(f->first, "\"hello\""));
    ws_close(f->ws, 1000, str_of(""));
    wait_for(f, &f->closed);
    assert_int_equal(f->how.code, 1000);
}

static void test_proxy_that_refuses(void **state)
{
    struct fixture *f = *state;
    char proxy[128];
    snprintf(proxy, sizeof proxy, "http://%s", strchr(slack.proxy, '@') + 1); // no password: 407
    setenv("https_proxy", proxy, 1);
    expect_not_sent(f, "slack.test");
    setenv("https_proxy", "http://127.0.0.1:1", 1); // nobody there
    expect_not_sent(f, "slack.test");
}

static void test_lost_answer_is_unknown(void **state)
{
    struct fixture *f = *state;
    tell("fault [\"apps.connections.open\",{\"lose\":true}]");
    post(f, "127.0.0.1", "apps.connections.open");
    assert_int_equal(f->outcome, HTTP_UNKNOWN);
    tell("fault [\"apps.connections.open\",{\"cutBody\":true}]");
    post(f, "127.0.0.1", "apps.connections.open");
    assert_int_equal(f->outcome, HTTP_UNKNOWN);
    assert_int_equal(f->status, 200);
}

static bool is_installed(const char *program)
{
    for (const char *p = getenv("PATH"); p && *p;) {
        size_t n = strcspn(p, ":");
        char path[512];
        snprintf(path, sizeof path, "%.*s/%s", (int)n, p, program);
        if (access(path, X_OK) == 0)
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

#define IT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    if (!is_installed("node") || !is_installed("openssl")) {
        puts("skipped: needs node and openssl");
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    unset_proxies();
    const struct CMUnitTest tests[] = {
        IT(test_hello_event_and_ack),
        IT(test_hello_and_a_burst_in_one_record),
        IT(test_large_messages_in),
        IT(test_rest_of_a_record_behind_the_budget),
        IT(test_single_bytes_and_fragments),
        IT(test_connection_lost),
        IT(test_closed_by_slack_which_leaves_tcp_open),
        IT(test_refused_upgrades),
        IT(test_certificates_are_verified),
        IT(test_proxy),
        IT(test_proxy_that_refuses),
        IT(test_lost_answer_is_unknown),
        IT(test_peer_stops_reading_and_resumes),
    };
    return cmocka_run_group_tests(tests, start_slack, stop_slack);
}
