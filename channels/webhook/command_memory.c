// `briefing` and `history`: what the memory knows, for people and programs.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/briefing.h"
#include "channels/webhook/commands.h"
#include "channels/webhook/recall.h"
#include "common/clock.h"
#include "common/options.h"
#include "common/output.h"

#define MAX_OUTPUT (16u << 20)
#define PATIENCE_MS 2000 // the session's start waits for the briefing

static int finish(struct store *s, const char *name, struct buf *out, int r)
{
    if (r == 0)
        r = out->error ? out->error : output_flush(out);
    if (r < 0 && r != -EPIPE)
        fprintf(stderr, "%s: %s\n", name, s && store_error(s)[0] ? store_error(s) : strerror(-r));
    buf_done(out);
    store_close(s);
    return r < 0;
}

static int print_briefing(const struct briefing *b, bool json, struct buf *out)
{
    struct jw w = JW(out);
    if (!json)
        return briefing_text(b, out);
    jw_object(&w);
    briefing_json(b, &w);
    jw_object_end(&w);
    return buf_addc(out, '\n');
}

int command_briefing(const struct config *c, int argc, char **argv)
{
    struct option options[] = {
        {.name = "--days", .kind = OPTION_NUMBER, .min = 1, .max = 100000, .number = 7},
        {.name = "--json", .kind = OPTION_FLAG}};
    struct buf why = BUF_INIT(512), out = BUF_INIT(MAX_OUTPUT);
    struct store *s = NULL;
    int words;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), NULL, 0, &words, &why) < 0)
        return command_usage("briefing", &why);
    if (store_open(c->state_dir, false, &s) < 0)
        return 1;
    store_busy_timeout(s, PATIENCE_MS);
    struct briefing *b = malloc(sizeof *b);
    int r = b ? briefing_read(s, options[0].number, clock_wall_ms(), b) : -ENOMEM;
    if (r == 0)
        r = print_briefing(b, options[1].number != 0, &out);
    free(b);
    return finish(s, "briefing", &out, r);
}

static int print_history(struct store *s, const struct recall *r, bool json, struct buf *out)
{
    struct jw w = JW(out);
    if (!json)
        return recall_text(s, r, out);
    jw_object(&w);
    int e = recall_json(s, r, MAX_OUTPUT / 2, &w);
    jw_object_end(&w);
    return e < 0 ? e : buf_addc(out, '\n');
}

int command_history(const struct config *c, int argc, char **argv)
{
    struct option options[] = {
        {.name = "--alertname", .kind = OPTION_TEXT},
        {.name = "--service", .kind = OPTION_TEXT},
        {.name = "--cluster", .kind = OPTION_TEXT},
        {.name = "--namespace", .kind = OPTION_TEXT},
        {.name = "--days", .kind = OPTION_NUMBER, .min = 1, .max = 100000, .number = 30},
        {.name = "--limit",
         .kind = OPTION_NUMBER,
         .min = 1,
         .max = RECALL_INCIDENTS_MAX,
         .number = 20},
        {.name = "--json", .kind = OPTION_FLAG}};
    struct buf why = BUF_INIT(512), out = BUF_INIT(MAX_OUTPUT);
    struct store *s = NULL;
    int words;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), NULL, 0, &words, &why) < 0)
        return command_usage("history", &why);
    if (store_open(c->state_dir, false, &s) < 0)
        return 1;
    store_busy_timeout(s, PATIENCE_MS);
    struct recall_query query = {.alertname = options[0].text,
                                 .service = options[1].text,
                                 .cluster = options[2].text,
                                 .namespace = options[3].text,
                                 .days = options[4].number,
                                 .now = clock_wall_ms(),
                                 .limit = (int)options[5].number};
    struct recall *found = malloc(sizeof *found);
    int r = found ? recall_read(s, &query, found) : -ENOMEM;
    if (r == 0)
        r = print_history(s, found, options[6].number != 0, &out);
    free(found);
    return finish(s, "history", &out, r);
}
