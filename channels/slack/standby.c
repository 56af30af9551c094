#include "channels/slack/standby.h"

#include <signal.h>

#include "channels/slack/engine.h"
#include "channels/slack/missing.h"
#include "common/log.h"

struct standby {
    uv_loop_t loop;
    uv_signal_t signals[2];
    struct engine *engine;
};

static void on_closed(void *data)
{
    (void)data;
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct standby *y = signal->data;
    log_info("slack: ending", "signal", number == SIGINT ? "SIGINT" : "SIGTERM");
    for (size_t i = 0; i < ARRAY_LEN(y->signals); i++)
        uv_close((uv_handle_t *)&y->signals[i], NULL);
    engine_close(y->engine, on_closed, y);
}

// Whatever changes is in the store: there is nobody to tell.
static void on_change(void *data)
{
    (void)data;
}

// Not an end: the service would be started again and again until somebody configures Slack.
static void say_what_is_missing(const struct config *config)
{
    struct buf missing = BUF_INIT(1024);
    slack_config_missing(config, &missing);
    log_warn("slack: not configured, nothing to stand by for; restart it when it is", "missing",
             buf_cstr(&missing));
    buf_done(&missing);
}

int standby_run(const struct config *config, struct store *s)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    struct engine_handler handler = {.on_change = on_change};
    struct standby y = {0};
    uv_loop_init(&y.loop);
    int r = engine_new(&y.loop, s, config, TURN_STANDBY, &handler, &y.engine);
    if (r < 0) {
        log_error("slack: cannot start", "why", uv_strerror(r));
        return 1;
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        uv_signal_init(&y.loop, &y.signals[i]);
        y.signals[i].data = &y;
        uv_signal_start(&y.signals[i], on_signal, numbers[i]);
    }
    if (!config_slack_lacks(config, 0))
        log_info("slack: standing by", "version", SRE_VERSION);
    else
        say_what_is_missing(config);
    engine_start(y.engine);
    uv_run(&y.loop, UV_RUN_DEFAULT);
    uv_loop_close(&y.loop);
    return 0;
}
