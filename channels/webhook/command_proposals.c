// `proposals`: which alert rules to change, for people and programs.

#include <stdio.h>

#include "channels/webhook/commands.h"
#include "channels/webhook/proposal_list.h"
#include "common/clock.h"
#include "common/options.h"
#include "common/output.h"

#define MAX_OUTPUT (16u << 20)
#define PATIENCE_MS 5000

static int remember(struct store *s, struct proposal_list *l)
{
    int r = store_begin(s);
    if (r < 0)
        return r;
    r = proposal_list_save(s, l);
    if (r == 0)
        return store_commit(s);
    store_rollback(s);
    return r;
}

static int print(struct store *s, int64_t days, bool as_json)
{
    struct proposal_list l = {.n = 0};
    struct buf json = BUF_INIT(MAX_OUTPUT), text = BUF_INIT(MAX_OUTPUT);
    int r = proposal_list_make(s, days, clock_wall_ms(), &l);
    if (r == 0)
        r = remember(s, &l);
    if (r == 0)
        r = proposal_list_write(s, &l, MAX_OUTPUT, &json, &text);
    buf_addc(&json, '\n');
    if (r == 0)
        r = output(buf_str(as_json ? &json : &text));
    proposal_list_done(&l);
    buf_done(&json);
    buf_done(&text);
    return r;
}

int command_proposals(const struct config *c, int argc, char **argv)
{
    struct option options[] = {
        {.name = "--days", .kind = OPTION_NUMBER, .min = 1, .max = 3650, .number = 30},
        {.name = "--json", .kind = OPTION_FLAG}};
    struct buf why = BUF_INIT(512);
    struct store *s;
    int words;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), NULL, 0, &words, &why) < 0)
        return command_usage("proposals", &why);
    int r = store_open(c->state_dir, false, &s);
    if (r < 0) {
        fprintf(stderr, "proposals: the store cannot be opened: %s\n", strerror(-r));
        return 1;
    }
    store_busy_timeout(s, PATIENCE_MS);
    r = print(s, options[0].number, options[1].number != 0);
    if (r < 0)
        fprintf(stderr, "proposals: %s\n", store_error(s)[0] ? store_error(s) : strerror(-r));
    store_close(s);
    return r < 0;
}
