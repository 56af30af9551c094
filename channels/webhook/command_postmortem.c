// `postmortem`: a draft for a person to finish.

#include <errno.h>
#include <stdio.h>

#include "channels/webhook/commands.h"
#include "channels/webhook/postmortem.h"
#include "common/clock.h"
#include "common/options.h"
#include "common/output.h"

#define PATIENCE_MS 5000

// 1 to 2^63 - 1, or 0.
static int64_t read_id(const char *word)
{
    int64_t id = 0;
    size_t n = strlen(word);
    if (n == 0 || n > 18)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (word[i] < '0' || word[i] > '9')
            return 0;
        id = id * 10 + (word[i] - '0');
    }
    return id;
}

static int print(struct store *s, int64_t id)
{
    struct incident_view v = {0};
    struct buf out = BUF_INIT(POSTMORTEM_MAX);
    int r = incident_view_load(s, id, &v);
    if (r == -ENOENT)
        fprintf(stderr, "postmortem: there is no incident %lld\n", (long long)id);
    if (r == 0)
        r = postmortem_write(s, &v, clock_wall_ms(), &out);
    if (r == 0)
        r = output(buf_str(&out));
    if (r < 0 && r != -ENOENT && r != -EPIPE)
        fprintf(stderr, "postmortem: %s\n", store_error(s)[0] ? store_error(s) : strerror(-r));
    incident_view_done(&v);
    buf_done(&out);
    return r;
}

int command_postmortem(const struct config *c, int argc, char **argv)
{
    struct buf why = BUF_INIT(512);
    const char *word[1] = {""};
    struct store *s;
    int words = 0;
    if (options_parse(argc, argv, NULL, 0, word, 1, &words, &why) < 0)
        return command_usage("postmortem", &why);
    int64_t id = read_id(word[0]);
    if (words != 1 || id == 0) {
        buf_adds(&why, "the number of an incident is needed");
        return command_usage("postmortem", &why);
    }
    if (store_open(c->state_dir, false, &s) < 0)
        return 1;
    store_busy_timeout(s, PATIENCE_MS);
    int r = print(s, id);
    store_close(s);
    return r < 0;
}
