// `agent-failed`: the StopFailure hook. A turn of the session ended in an error of the model's
// service: quota, sign-in, overload.

#include <stdio.h>
#include <unistd.h>

#include "channels/webhook/commands.h"
#include "channels/webhook/pager.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/options.h"
#include "common/redact.h"
#include "common/store.h"
#include "common/text.h"

#define MAX_INPUT (1u << 20)
#define MAX_REASON 120
#define PATIENCE_MS 3000

static int read_input(struct buf *in)
{
    char part[4096];
    for (ssize_t n; (n = read(STDIN_FILENO, part, sizeof part)) > 0;)
        if (buf_add(in, part, (size_t)n) < 0)
            return in->error;
    return 0;
}

// The hook's word for it, such as "rate_limit"; it goes to the owner.
static void reason_of(const cJSON *hook, struct buf *out)
{
    const char *error = json_str(hook, "error");
    struct buf masked = BUF_INIT(4096);
    if (redact(&masked, str_of(error && *error ? error : "unknown error")) < 0)
        buf_clear(&masked);
    text_clean(out, buf_str(&masked), MAX_REASON, TEXT_ONE_LINE);
    buf_done(&masked);
}

int command_agent_failed(const struct config *c, int argc, char **argv)
{
    struct buf why = BUF_INIT(256), in = BUF_INIT(MAX_INPUT), reason = BUF_INIT(512);
    struct store *s = NULL;
    const char *parse_error = NULL;
    int words;
    if (options_parse(argc, argv, NULL, 0, NULL, 0, &words, &why) < 0)
        return command_usage("agent-failed", &why);
    cJSON *hook = read_input(&in) < 0 ? NULL : json_parse(buf_str(&in), &parse_error);
    reason_of(hook, &reason);
    int r = store_open(c->state_dir, false, &s);
    if (r == 0) {
        store_busy_timeout(s, PATIENCE_MS);
        r = pager_agent_failed(s, buf_cstr(&reason), clock_wall_ms());
        if (r < 0)
            fprintf(stderr, "agent-failed: %s\n", store_error(s));
    }
    store_close(s);
    cJSON_Delete(hook);
    buf_done(&in);
    buf_done(&reason);
    return r < 0;
}
