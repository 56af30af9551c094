#include "channels/webhook/tools_memory.h"

#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/briefing.h"
#include "channels/webhook/recall.h"
#include "channels/webhook/tools.h"
#include "common/clock.h"

// Together below what a result may be, whatever was written into the verdicts.
#define MAX_TEXT (7 * 1024)
#define MAX_JSON (64 * 1024) // the layer below refuses what is over its own cap
#define MAX_INCIDENTS_JSON (27 * 1024)
#define MAX_NAME 512
#define MAX_DAYS 100000

const struct mcp_param check_history_params[7] = {
    {.name = "incident_id",
     .description = "of this incident's problem, without itself; instead of names",
     .type = MCP_INTEGER,
     .min = 1,
     .max = 9007199254740991.0},
    {.name = "alertname",
     .description = "its exact name; any of the four names may be left out",
     .type = MCP_STRING,
     .max = MAX_NAME},
    {.name = "service", .description = "its exact name", .type = MCP_STRING, .max = MAX_NAME},
    {.name = "cluster", .description = "its exact name", .type = MCP_STRING, .max = MAX_NAME},
    {.name = "namespace", .description = "its exact name", .type = MCP_STRING, .max = MAX_NAME},
    {.name = "days",
     .description = "how far back, default 30",
     .type = MCP_INTEGER,
     .min = 1,
     .max = MAX_DAYS},
    {.name = "limit",
     .description = "incidents shown, default 10",
     .type = MCP_INTEGER,
     .min = 1,
     .max = RECALL_INCIDENTS_MAX},
};

const struct mcp_param briefing_params[1] = {
    {.name = "days",
     .description = "how far back, default 7",
     .type = MCP_INTEGER,
     .min = 1,
     .max = MAX_DAYS},
};

// ---- check_history ----

// An incident or names, never both: which would win?
static const char *name_beside_id(const cJSON *args)
{
    static const char *const names[] = {"alertname", "service", "cluster", "namespace"};
    for (size_t i = 0; json_get(args, "incident_id") && i < ARRAY_LEN(names); i++)
        if (json_get(args, names[i]))
            return names[i];
    return NULL;
}

static int answer_history(struct mcp_call *call, struct store *s, const struct recall *r)
{
    struct buf json = BUF_INIT(MAX_JSON), text = BUF_INIT(MAX_TEXT);
    struct jw w = JW(&json);
    jw_object(&w);
    int e = recall_json(s, r, MAX_INCIDENTS_JSON, &w);
    jw_object_end(&w);
    if (e == 0)
        e = recall_text(s, r, &text);
    if (e == 0)
        mcp_call_finish(call, buf_str(&text), buf_str(&json));
    buf_done(&json);
    buf_done(&text);
    return e;
}

void tool_check_history(struct mcp_call *call, const cJSON *args, void *data)
{
    struct webhook_tools *t = data;
    struct recall_query query = {.incident_id = json_int(args, "incident_id", 0),
                                 .alertname = json_str(args, "alertname"),
                                 .service = json_str(args, "service"),
                                 .cluster = json_str(args, "cluster"),
                                 .namespace = json_str(args, "namespace"),
                                 .days = json_int(args, "days", 30),
                                 .now = clock_wall_ms(),
                                 .limit = (int)json_int(args, "limit", 10)};
    const char *both = name_beside_id(args);
    if (both) {
        mcp_call_error(call, "%s: leave it out beside incident_id, which names the whole problem",
                       both);
        return;
    }
    struct recall *r = malloc(sizeof *r);
    int e = r ? recall_read(t->store, &query, r) : -ENOMEM;
    if (e == 0)
        e = answer_history(call, t->store, r);
    if (e == -ENOENT)
        mcp_call_error(call, "incident_id: there is no incident %lld",
                       (long long)query.incident_id);
    else if (e < 0)
        tools_fail(call, t, e);
    else if (query.incident_id)
        tools_take(t, query.incident_id, "check_history");
    free(r);
}

// ---- briefing ----

void tool_briefing(struct mcp_call *call, const cJSON *args, void *data)
{
    struct webhook_tools *t = data;
    struct buf json = BUF_INIT(MAX_JSON), text = BUF_INIT(MAX_TEXT);
    struct briefing *b = malloc(sizeof *b);
    int r = b ? briefing_read(t->store, json_int(args, "days", 7), clock_wall_ms(), b) : -ENOMEM;
    if (r == 0)
        r = briefing_text(b, &text);
    if (r == 0) {
        struct jw w = JW(&json);
        jw_object(&w);
        briefing_json(b, &w);
        jw_object_end(&w);
        r = json.error;
    }
    if (r == 0)
        mcp_call_finish(call, buf_str(&text), buf_str(&json));
    else
        tools_fail(call, t, r);
    free(b);
    buf_done(&json);
    buf_done(&text);
}
