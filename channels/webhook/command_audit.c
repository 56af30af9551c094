// `audit`: who did what when.

#include <stdio.h>

#include "channels/webhook/commands.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/options.h"
#include "common/output.h"
#include "common/store.h"

#define DAY_MS (24ll * 3600 * 1000)
#define MAX_ROW (256 * 1024)

static void print_row(struct stmt *q, bool json, bool first, struct buf *out)
{
    char at[RFC3339_SIZE];
    rfc3339_format(col_int(q, 0), at);
    if (!json) {
        buf_addf(out, "%s  %-8s %-12s", at, col_text(q, 2), col_text(q, 3));
        if (!col_is_null(q, 1))
            buf_addf(out, " #%lld", (long long)col_int(q, 1));
        buf_addf(out, " %s\n", col_text(q, 4));
        return;
    }
    struct jw w = JW(out);
    if (!first)
        buf_addc(out, ',');
    jw_object(&w);
    jw_kstr(&w, "at", at);
    jw_key(&w, "incident_id");
    if (col_is_null(q, 1))
        jw_null(&w);
    else
        jw_int(&w, col_int(q, 1));
    jw_kstr(&w, "actor", col_text(q, 2));
    jw_kstr(&w, "action", col_text(q, 3));
    jw_kstr(&w, "detail", col_text(q, 4));
    jw_object_end(&w);
}

static int print_all(struct store *s, int64_t since, int64_t incident_id, bool json,
                     struct buf *out)
{
    struct stmt *q = incident_id
                         ? store_sql(s, "SELECT at, incident_id, actor, action, detail FROM trail "
                                        "WHERE incident_id = ?2 AND at >= ?1 ORDER BY id")
                         : store_sql(s, "SELECT at, incident_id, actor, action, detail FROM trail "
                                        "WHERE at >= ?1 ORDER BY at, id");
    bind_int(q, 1, since);
    if (incident_id)
        bind_int(q, 2, incident_id);
    int r = json ? output(str_of("{\"trail\":[")) : 0, step = 0;
    for (bool first = true; r == 0 && (step = stmt_step(q)) > 0; first = false) {
        print_row(q, json, first, out);
        r = output_flush(out);
    }
    stmt_reset(q);
    if (r == 0 && step == 0 && json)
        r = output(str_of("]}\n"));
    return r < 0 ? r : step;
}

int command_audit(const struct config *c, int argc, char **argv)
{
    struct option options[] = {
        {.name = "--days", .kind = OPTION_NUMBER, .min = 1, .max = 100000, .number = 7},
        {.name = "--incident", .kind = OPTION_NUMBER, .min = 1, .max = INT64_MAX},
        {.name = "--json", .kind = OPTION_FLAG}};
    struct buf why = BUF_INIT(256), out = BUF_INIT(MAX_ROW);
    struct store *s;
    int words;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), NULL, 0, &words, &why) < 0)
        return command_usage("audit", &why);
    if (store_open(c->state_dir, false, &s) < 0)
        return 1;
    int r = print_all(s, clock_wall_ms() - options[0].number * DAY_MS, options[1].number,
                      options[2].number, &out);
    if (r < 0)
        fprintf(stderr, "audit: %s\n", store_error(s));
    buf_done(&out);
    store_close(s);
    return r < 0;
}
