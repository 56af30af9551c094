// `console`: a stand-in session for a person at a terminal. Shows each event as Claude Code would
// hand it to the model, and lets the person call the tools.

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "channels/webhook/commands.h"
#include "channels/webhook/console_peer.h"
#include "common/clock.h"
#include "common/options.h"
#include "common/output.h"

#define MAX_SCREEN (8u << 20)

static const char keys[] = "keys: s sample alert, e its end, n/a/r log the last incident as "
                           "noise/auto_fixed/real, g show it,\n"
                           "      l what waits, :TOOL {JSON} any tool, q quit\n";

struct console {
    struct console_peer peer;
    const struct config *config;
    struct buf screen;
    struct buf typed; // what follows ':' on a terminal, or a line of a pipe
    bool typing;      // behind ':'
    bool terminal;
    int64_t last; // incident of the last event
    int samples;
    bool quit;
};

static struct termios saved_terminal;
static bool is_raw;

static void restore_terminal(void)
{
    if (is_raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved_terminal);
}

static void on_interrupt(int number)
{
    (void)number;
    restore_terminal();
    _exit(0); // the child ends with its stdin
}

// Keys act at once, without Enter.
static bool raw_keys(void)
{
    struct termios t;
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved_terminal) < 0)
        return false;
    t = saved_terminal;
    t.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    is_raw = true;
    tcsetattr(STDIN_FILENO, TCSANOW, &t);
    return true;
}

// ---- what the channel says ----

static void add_attribute(struct buf *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '"')
            buf_adds(out, "&quot;");
        else if (*value == '<')
            buf_adds(out, "&lt;");
        else
            buf_addc(out, *value);
    }
}

static void show_event(struct console *k, const cJSON *params)
{
    const cJSON *meta = json_obj(params, "meta");
    buf_adds(&k->screen, "\n<channel source=\"webhook\"");
    for (const cJSON *m = meta ? meta->child : NULL; m; m = m->next) {
        if (!cJSON_IsString(m))
            continue;
        buf_addf(&k->screen, " %s=\"", m->string);
        add_attribute(&k->screen, m->valuestring);
        buf_addc(&k->screen, '"');
        if (strcmp(m->string, "incident_id") == 0)
            k->last = strtoll(m->valuestring, NULL, 10);
    }
    const char *content = json_str(params, "content");
    buf_addf(&k->screen, ">\n%s\n</channel>\n", content ? content : "");
}

static void show_result(struct console *k, const cJSON *message)
{
    const cJSON *result = json_obj(message, "result"), *error = json_obj(message, "error");
    if (error)
        buf_addf(&k->screen, "error: %s\n",
                 json_str(error, "message") ? json_str(error, "message") : "?");
    const cJSON *block;
    cJSON_ArrayForEach(block, json_arr(result, "content"))
    {
        const char *text = json_str(block, "text");
        buf_addf(&k->screen, "%s%s\n", json_bool(result, "isError", false) ? "tool error: " : "",
                 text ? text : "");
    }
}

static void show_messages(struct console *k)
{
    for (cJSON *m; (m = console_peer_next(&k->peer)); cJSON_Delete(m)) {
        const char *method = json_str(m, "method");
        if (method && strcmp(method, "notifications/claude/channel") == 0)
            show_event(k, json_obj(m, "params"));
        else if (!method && json_int(m, "id", 0) != 0)
            show_result(k, m);
    }
}

// ---- what the person does ----

static void sample_body(struct buf *out, int n, bool resolved, int64_t now)
{
    char at[RFC3339_SIZE];
    rfc3339_format(now / 1000 * 1000, at);
    const char *status = resolved ? "resolved" : "firing";
    buf_addf(
        out,
        "{\"receiver\":\"sre\",\"status\":\"%s\",\"alerts\":[{\"status\":\"%s\",\"labels\":{"
        "\"alertname\":\"High Error Rate\","
        "\"severity\":\"critical\",\"service.name\":\"checkout\",\"k8s.cluster.name\":\"platform-"
        "prod\",\"k8s.namespace.name\":\"payments\","
        "\"k8s.pod.name\":\"checkout-7d9f8b6c5-%02d\",\"ruleId\":\"019ef5e1-2027-7be3-a458-"
        "88b6a8707d8f\","
        "\"ruleSource\":\"https://signoz.example.com/alerts/"
        "overview?ruleId=019ef5e1-2027-7be3-a458-88b6a8707d8f\",\"threshold.name\":\"critical\"},"
        "\"annotations\":{\"summary\":\"5xx ratio of checkout is 7.2 %% (threshold 5 "
        "%%)\",\"description\":\"sample alert of the console\"},"
        "\"startsAt\":\"%s\",\"endsAt\":\"0001-01-01T00:00:00Z\",\"generatorURL\":\"https://"
        "signoz.example.com/alerts/overview\"}],"
        "\"groupLabels\":{\"ruleId\":\"019ef5e1-2027-7be3-a458-88b6a8707d8f\"},\"commonLabels\":{},"
        "\"commonAnnotations\":{},"
        "\"externalURL\":\"http://localhost:8080\",\"version\":\"4\","
        "\"groupKey\":\"{__receiver__=\\\"sre\\\"}:{ruleId=\\\"019ef5e1-2027-7be3-a458-"
        "88b6a8707d8f\\\"}\",\"truncatedAlerts\":0}\n",
        status, status, n, at);
}

static void post_sample(struct console *k, bool resolved)
{
    struct buf body = BUF_INIT(8192), answer = BUF_INIT(8192);
    sample_body(&body, k->samples, resolved, clock_wall_ms());
    int status = console_peer_post(&k->peer, k->config, "/webhook/signoz", buf_str(&body), &answer);
    if (status < 0)
        buf_addf(&k->screen, "the sample could not be sent: %s\n", strerror(-status));
    else
        buf_addf(&k->screen, "POST /webhook/signoz -> %d %s\n", status, buf_cstr(&answer));
    buf_done(&body);
    buf_done(&answer);
}

static void log_last(struct console *k, const char *verdict)
{
    char args[160];
    if (!k->last) {
        buf_adds(&k->screen, "no incident yet: press s for a sample\n");
        return;
    }
    snprintf(args, sizeof args,
             "{\"incident_ids\":[%lld],\"verdict\":\"%s\",\"summary\":\"from the console\"}",
             (long long)k->last, verdict);
    console_peer_call(&k->peer, "log_incident", args);
}

static void show_last(struct console *k)
{
    char args[64];
    snprintf(args, sizeof args, "{\"incident_id\":%lld}", (long long)k->last);
    console_peer_call(&k->peer, "get_incident", args);
}

static void call_typed(struct console *k)
{
    const char *line = buf_cstr(&k->typed);
    size_t n = strcspn(line, " \t");
    char tool[64];
    const char *why, *args = line + n + strspn(line + n, " \t");
    cJSON *checked = json_parse(str_of(*args ? args : "{}"), &why);
    if (!checked || n == 0 || n >= sizeof tool) {
        buf_adds(&k->screen,
                 "type a tool and its arguments, as in :get_incident {\"incident_id\":1}\n");
    } else {
        memcpy(tool, line, n);
        tool[n] = '\0';
        console_peer_call(&k->peer, tool, *args ? args : "{}");
    }
    cJSON_Delete(checked);
}

static void on_key(struct console *k, char key)
{
    switch (key) {
    case 's':
        k->samples++;
        post_sample(k, false);
        break;
    case 'e':
        post_sample(k, true);
        break;
    case 'n':
        log_last(k, "noise");
        break;
    case 'a':
        log_last(k, "auto_fixed");
        break;
    case 'r':
        log_last(k, "real");
        break;
    case 'g':
        show_last(k);
        break;
    case 'l':
        console_peer_call(&k->peer, "list_incidents", "{}");
        break;
    case 'q':
        k->quit = true;
        break;
    case ':':
        k->typing = true;
        buf_clear(&k->typed);
        break;
    case '\n':
    case '\r':
        break;
    default:
        buf_adds(&k->screen, keys);
    }
}

static void on_char(struct console *k, char c)
{
    if (!k->typing) {
        on_key(k, c);
        if (k->typing && k->terminal)
            buf_addc(&k->screen, ':');
        return;
    }
    if (c == '\n' || c == '\r') {
        k->typing = false;
        if (k->terminal)
            buf_addc(&k->screen, '\n');
        call_typed(k);
    } else if (c == 127 || c == 8) {
        if (k->typed.len) {
            buf_truncate(&k->typed, k->typed.len - 1);
            buf_adds(&k->screen, "\b \b");
        }
    } else {
        buf_addc(&k->typed, c);
        if (k->terminal)
            buf_addc(&k->screen, c);
    }
}

static int on_input(struct console *k)
{
    char part[512];
    ssize_t n = read(STDIN_FILENO, part, sizeof part);
    if (n <= 0)
        k->quit = true;
    for (ssize_t i = 0; i < n && !k->quit; i++)
        on_char(k, part[i]);
    return 0;
}

static int run(struct console *k)
{
    int r = 1;
    while (r > 0 && !k->quit) {
        struct pollfd fds[] = {{.fd = k->peer.from, .events = POLLIN},
                               {.fd = STDIN_FILENO, .events = POLLIN}};
        if (output_flush(&k->screen) < 0 || (poll(fds, 2, -1) < 0 && errno != EINTR))
            return 1;
        if (fds[0].revents && (r = console_peer_read(&k->peer)) > 0)
            show_messages(k);
        if (r > 0 && fds[1].revents)
            on_input(k);
    }
    return k->quit ? 0 : 1; // the channel ended by itself: its log says why
}

int command_console(const struct config *c, int argc, char **argv)
{
    struct buf why = BUF_INIT(256);
    struct console k = {.config = c, .screen = BUF_INIT(MAX_SCREEN), .typed = BUF_INIT(65536)};
    int words;
    if (options_parse(argc, argv, NULL, 0, NULL, 0, &words, &why) < 0)
        return command_usage("console", &why);
    int r = console_peer_start(&k.peer);
    if (r < 0) {
        fprintf(stderr, "console: %s\n", strerror(-r));
        return 1;
    }
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    k.terminal = raw_keys();
    buf_addf(&k.screen, "webhook-channel console: a stand-in session; alerts go to http://%s/\n%s",
             c->listen, keys);
    int status = run(&k);
    if (output_flush(&k.screen) < 0)
        status = 1;
    restore_terminal();
    console_peer_stop(&k.peer);
    buf_done(&k.screen);
    buf_done(&k.typed);
    return status;
}
