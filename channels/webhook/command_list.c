// `incidents` and `export`: what the store holds, for people and programs.

#include <errno.h>
#include <stdio.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/commands.h"
#include "channels/webhook/incident_json.h"
#include "channels/webhook/listing.h"
#include "common/clock.h"
#include "common/options.h"
#include "common/output.h"
#include "common/store.h"

#define MAX_LINE (64u << 20) // one incident of an export, with all its alerts
#define PATIENCE_MS 5000
#define DAY_MS (24ll * 3600 * 1000)

int command_usage(const char *name, struct buf *why)
{
    fprintf(stderr, "%s: %s\ntry: webhook-channel --help\n", name, buf_cstr(why));
    buf_done(why);
    return 2;
}

static int open_store(const struct config *c, struct store **ret)
{
    int r = store_open(c->state_dir, false, ret);
    if (r == 0)
        store_busy_timeout(*ret, PATIENCE_MS);
    return r;
}

static int print_one(struct store *s, int64_t id, bool json, bool whole, struct buf *out)
{
    struct incident_view v;
    struct jw w = JW(out);
    int r = incident_view_load(s, id, &v);
    if (r < 0)
        return r == -ENOENT ? 0 : r; // pruned since it was listed
    if (whole) {
        r = incident_json(&w, s, &v, false, MAX_LINE);
    } else if (json) {
        jw_object(&w);
        r = incident_json_scalars(&w, s, &v);
        jw_object_end(&w);
    } else {
        listing_line(&v, clock_wall_ms(), out);
    }
    incident_view_done(&v);
    return r < 0 ? r : out->error;
}

static int report(struct store *s, const char *name, int r)
{
    if (r < 0 && r != -EPIPE)
        fprintf(stderr, "%s: %s\n", name, store_error(s)[0] ? store_error(s) : strerror(-r));
    store_close(s);
    return r < 0;
}

static int list(struct store *s, struct listing *l, int64_t limit, bool json, struct buf *out)
{
    int r = 0;
    bool more = true;
    int64_t shown = 0;
    if (json)
        buf_adds(out, "{\"incidents\":[");
    while (r == 0 && more && shown < limit) {
        int64_t ids[LISTING_MAX];
        int n = 0;
        l->limit = limit - shown < LISTING_MAX ? (int)(limit - shown) : LISTING_MAX;
        r = listing_ids(s, l, ids, &n, &more);
        for (int i = 0; r == 0 && i < n; i++, shown++) {
            if (json && shown)
                buf_addc(out, ',');
            r = print_one(s, ids[i], json, false, out);
            if (!json)
                buf_addc(out, '\n');
            l->before = ids[i];
        }
        if (r == 0)
            r = output_flush(out);
    }
    if (r == 0 && json)
        r = output(str_of("]}\n"));
    else if (r == 0 && !shown)
        r = output(str_of("no incidents\n"));
    return r;
}

int command_incidents(const struct config *c, int argc, char **argv)
{
    struct option options[] = {
        {.name = "--state", .kind = OPTION_TEXT, .text = "undecided"},
        {.name = "--limit", .kind = OPTION_NUMBER, .min = 1, .max = 1000000, .number = 50},
        {.name = "--json", .kind = OPTION_FLAG}};
    struct buf why = BUF_INIT(512), out = BUF_INIT(MAX_LINE);
    struct listing l = {.severity = -1};
    struct store *s;
    int words;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), NULL, 0, &words, &why) < 0)
        return command_usage("incidents", &why);
    if (listing_state_named(options[0].text, &l.state) < 0) {
        buf_adds(&why, "--state must be undecided, open or all");
        return command_usage("incidents", &why);
    }
    l.tests = l.state == LIST_ALL;
    if (open_store(c, &s) < 0)
        return 1;
    int r = list(s, &l, options[1].number, options[2].number, &out);
    buf_done(&out);
    return report(s, "incidents", r);
}

// In pages, so that no long read keeps the WAL from being reused while servers write.
static int export_all(struct store *s, int64_t since, struct buf *out)
{
    int64_t after = 0;
    int r = 0, n = 1;
    while (r == 0 && n > 0) {
        int64_t ids[LISTING_MAX];
        struct stmt *q = store_sql(
            s, "SELECT id FROM incident WHERE id > ? AND opened_at >= ? ORDER BY id LIMIT 100");
        bind_int(q, 1, after);
        bind_int(q, 2, since);
        for (n = 0; (r = stmt_step(q)) > 0;)
            ids[n++] = col_int(q, 0);
        for (int i = 0; r == 0 && i < n; i++) {
            r = print_one(s, ids[i], true, true, out);
            buf_addc(out, '\n');
            if (r == 0)
                r = output_flush(out);
            after = ids[i];
        }
    }
    return r;
}

int command_export(const struct config *c, int argc, char **argv)
{
    struct option options[] = {{.name = "--days", .kind = OPTION_NUMBER, .min = 1, .max = 100000}};
    struct buf why = BUF_INIT(512), out = BUF_INIT(MAX_LINE);
    struct store *s;
    int words;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), NULL, 0, &words, &why) < 0)
        return command_usage("export", &why);
    if (open_store(c, &s) < 0)
        return 1;
    int64_t since = options[0].number ? clock_wall_ms() - options[0].number * DAY_MS : 0;
    int r = export_all(s, since, &out);
    buf_done(&out);
    return report(s, "export", r);
}
