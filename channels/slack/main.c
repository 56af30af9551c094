// The Slack channel: wiring only. Without a subcommand it is an MCP server on stdio.

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "channels/slack/doctor.h"
#include "channels/slack/page.h"
#include "channels/slack/standby.h"
#include "channels/slack/tools.h"
#include "common/log.h"
#include "common/output.h"
#include "mcp/stdio.h"

enum {
    BUSY_MS = 100,  // the longest that a statement waits for another process; tools wait longer
    FLUSH_MS = 500, // of stdout at the end
};

struct app {
    uv_loop_t loop;
    struct config config;
    struct store *store;
    struct engine *engine;
    struct session *session;
    struct mcp_stdio *io;
    struct mcp_server *server;
    struct tool_context context;
    uv_signal_t signals[2];
    bool ending;
    char folder[PATH_MAX];
};

// The server's data is what the tools get: it lies within the app.
static struct app *app_of(void *context)
{
    return CONTAINER_OF(context, struct app, context);
}

static void on_initialized(void *data)
{
    struct app *a = app_of(data);
    session_initialized(a->session);
}

static void on_notification(const char *method, const cJSON *params, void *data)
{
    struct app *a = app_of(data);
    session_notification(a->session, method, params);
}

static const struct mcp_server_info server_info = {
    .name = "slack",
    .title = "Slack channel",
    .version = SRE_VERSION,
    .instructions = slack_instructions,
    .capabilities = MCP_CHANNEL | MCP_CHANNEL_PERMISSION,
    .tools = slack_tools,
    .on_initialized = on_initialized,
    .on_notification = on_notification,
};

// ---- the end ----

static void on_engine_closed(void *data)
{
    struct app *a = data;
    a->engine = NULL;
}

static void end(struct app *a)
{
    if (a->ending)
        return;
    a->ending = true;
    for (size_t i = 0; i < ARRAY_LEN(a->signals); i++)
        uv_close((uv_handle_t *)&a->signals[i], NULL);
    session_close(a->session);
    engine_close(a->engine, on_engine_closed, a);
    mcp_stdio_stop(a->io, FLUSH_MS);
}

static void on_signal(uv_signal_t *s, int number)
{
    (void)number;
    end(s->data);
}

static void on_stdio_end(int reason, void *data)
{
    if (reason < 0)
        log_debug("slack: nobody reads any more", "why", strerror(-reason));
    end(data);
}

static void on_change(void *data)
{
    struct app *a = data;
    if (a->session && !a->ending)
        session_pump(a->session);
}

// ---- the beginning ----

static int start(struct app *a, struct mcp_server_info *info)
{
    struct engine_handler handler = {.on_change = on_change, .data = a};
    int r = engine_new(&a->loop, a->store, &a->config, TURN_SESSION, &handler, &a->engine);
    if (r == 0)
        r = mcp_stdio_start(&a->loop, on_stdio_end, a, &a->io);
    if (r < 0)
        return r;
    *info = server_info;
    info->n_tools = slack_n_tools;
    info->data = &a->context;
    a->server = mcp_server_new(info, mcp_stdio_sink(a->io));
    struct session_parts parts = {.loop = &a->loop,
                                  .store = a->store,
                                  .config = &a->config,
                                  .engine = a->engine,
                                  .server = a->server,
                                  .folder = a->folder};
    r = a->server ? session_new(&parts, &a->session) : -ENOMEM;
    return r;
}

static int serve(struct app *a)
{
    struct mcp_server_info info;
    uv_loop_init(&a->loop);
    int r = start(a, &info);
    if (r < 0) {
        log_error("slack: cannot start", "why", strerror(-r));
        return 1;
    }
    a->context.session = a->session;
    const int numbers[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        uv_signal_init(&a->loop, &a->signals[i]);
        a->signals[i].data = a;
        uv_signal_start(&a->signals[i], on_signal, numbers[i]);
    }
    mcp_stdio_attach(a->io, a->server);
    uv_run(&a->loop, UV_RUN_DEFAULT);
    mcp_server_free(a->server);
    if (uv_loop_close(&a->loop) != 0)
        log_debug("slack: a handle was left open");
    return 0;
}

static int open_all(struct app *a, bool check)
{
    struct buf why = BUF_INIT(4096);
    if (config_load(&a->config, &why) < 0) {
        log_error("configuration", "why", buf_cstr(&why));
        buf_done(&why);
        return -EINVAL;
    }
    buf_done(&why);
    log_set_level(a->config.log);
    if (!getcwd(a->folder, sizeof a->folder))
        a->folder[0] = '\0';
    int r = store_open(a->config.state_dir, check, &a->store);
    if (r == 0)
        store_busy_timeout(a->store, BUSY_MS);
    return r;
}

static const char usage_text[] =
    "usage: slack-channel                             MCP server on stdio\n"
    "       slack-channel page [--severity S] TEXT    one page to the owner, now or as soon as it "
    "can be\n"
    "       slack-channel standby                     holds the connection, nags and pages while "
    "no "
    "session runs\n"
    "       slack-channel doctor [--json] [--send]    checks everything a new installation gets "
    "wrong\n"
    "       slack-channel --version | --help\n";

static int print(const char *text)
{
    return output(str_of(text)) < 0 ? 1 : 0;
}

static int bad_usage(void)
{
    fputs(usage_text, stderr);
    return 2;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "--help") == 0)
        return print(usage_text);
    if (strcmp(command, "--version") == 0)
        return print("slack-channel " SRE_VERSION "\n");
    struct page_options page;
    struct doctor_options doctor;
    bool is_page = strcmp(command, "page") == 0, is_doctor = strcmp(command, "doctor") == 0;
    bool is_standby = strcmp(command, "standby") == 0 && argc == 2;
    if ((argc > 1 && !is_page && !is_doctor && !is_standby) ||
        (is_page && page_options_read(argc - 2, argv + 2, &page) < 0) ||
        (is_doctor && doctor_options_read(argc - 2, argv + 2, &doctor) < 0))
        return bad_usage();
    static struct app app;
    int r = open_all(&app, argc == 1 || is_standby);
    if (r < 0)
        r = 1;
    else if (is_page)
        r = page_run(&app.config, app.store, &page);
    else if (is_doctor)
        r = doctor_run(&app.config, app.store, &doctor);
    else if (is_standby)
        r = standby_run(&app.config, app.store);
    else
        r = serve(&app);
    store_close(app.store);
    config_done(&app.config);
    return r;
}
