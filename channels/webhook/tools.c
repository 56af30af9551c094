#include "channels/webhook/tools.h"

#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/incident_json.h"
#include "channels/webhook/incident_state.h"
#include "channels/webhook/listing.h"
#include "channels/webhook/pager.h"
#include "channels/webhook/tools_memory.h"
#include "channels/webhook/tools_tickets.h"
#include "channels/webhook/tools_tuning.h"
#include "channels/webhook/trail.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/log.h"
#include "common/redact.h"
#include "common/text.h"

#define MAX_TEXT (16 * 1024)
#define MAX_JSON (64 * 1024) // the layer below refuses what is over its own cap
#define MAX_ALERTS_JSON (28 * 1024)
#define MAX_IDS 100
#define MAX_NOTE 4000
#define MAX_CALLED 1000 // of the arguments in the trail
#define TOOL_PATIENCE_MS 5000

// ---- taking ----

struct take_job {
    struct commit_job job;
    const struct config *config;
    int64_t id;
    const char *tool; // of the tool table
    int64_t after_ms; // from the push; -1 = it was taken before
};

static int take_apply(struct commit_job *job, struct store *s)
{
    struct take_job *t = CONTAINER_OF(job, struct take_job, job);
    struct stmt *q =
        store_sql(s, "SELECT pushed_at FROM incident WHERE id = ? AND state < 2 AND kind <> 1");
    bind_int(q, 1, t->id);
    int r = stmt_step(q);
    t->after_ms = r > 0 && !col_is_null(q, 0) ? clock_wall_ms() - col_int(q, 0) : -1;
    stmt_reset(q);
    if (r >= 0)
        r = incident_taken(s, t->config, t->id, clock_wall_ms());
    if (r == 0 && store_changes(s) > 0) {
        r = trail_add(s, t->id, "agent", "taken", t->tool, clock_wall_ms());
        if (r == 0)
            r = pager_agent_hears(s, clock_wall_ms());
    }
    return r;
}

static void take_done(struct commit_job *job, int error)
{
    struct take_job *t = CONTAINER_OF(job, struct take_job, job);
    if (error == 0 && t->after_ms >= 0) // else it counts as not taken and comes again
        counter_observe("sre_take_seconds", t->after_ms);
    free(t);
}

void tools_take(struct webhook_tools *t, int64_t id, const char *tool)
{
    struct take_job *job = calloc(1, sizeof *job);
    if (!job)
        return;
    *job = (struct take_job){.job = {.apply = take_apply, .done = take_done},
                             .config = t->config,
                             .id = id,
                             .tool = tool};
    group_commit_submit(t->commit, &job->job, TOOL_PATIENCE_MS);
}

// ---- the trail ----

struct called_job {
    struct commit_job job;
    struct buf detail; // tool and arguments, secrets masked
};

static int called_apply(struct commit_job *job, struct store *s)
{
    return trail_add(s, 0, "agent", "called",
                     buf_cstr(&CONTAINER_OF(job, struct called_job, job)->detail), clock_wall_ms());
}

static void called_done(struct commit_job *job, int error)
{
    struct called_job *c = CONTAINER_OF(job, struct called_job, job);
    if (error < 0)
        log_warn("a tool call is not in the audit trail", "call", buf_cstr(&c->detail));
    buf_done(&c->detail);
    free(c);
}

void webhook_tool_called(const char *tool, const cJSON *args, void *data)
{
    struct webhook_tools *t = data;
    struct called_job *c = calloc(1, sizeof *c);
    if (!c)
        return;
    struct buf json = BUF_INIT(MAX_JSON), masked = BUF_INIT(2 * MAX_JSON);
    struct jw w = JW(&json);
    jw_cjson(&w, args);
    *c = (struct called_job){.job = {.apply = called_apply, .done = called_done},
                             .detail = BUF_INIT(MAX_CALLED + 256)};
    buf_addf(&c->detail, "%s ", tool);
    if (!json.error && redact(&masked, buf_str(&json)) >= 0)
        text_clean(&c->detail, buf_str(&masked), MAX_CALLED, TEXT_ONE_LINE);
    buf_done(&json);
    buf_done(&masked);
    group_commit_submit(t->commit, &c->job, TOOL_PATIENCE_MS);
}

void tools_fail(struct mcp_call *call, const struct webhook_tools *t, int error)
{
    mcp_call_error(call, "the store cannot be read: %s",
                   error == -ENOMEM ? "out of memory" : store_error(t->store));
}

// ---- get_incident ----

static void get_incident(struct mcp_call *call, const cJSON *args, void *data)
{
    struct webhook_tools *t = data;
    int64_t id = json_int(args, "incident_id", 0);
    struct incident_view v = {0};
    struct buf json = BUF_INIT(MAX_JSON), text = BUF_INIT(MAX_TEXT);
    int r = incident_view_load(t->store, id, &v);
    if (r == 0) {
        struct jw w = JW(&json);
        r = incident_json(&w, t->store, &v, true, MAX_ALERTS_JSON);
        listing_line(&v, clock_wall_ms(), &text);
    }
    if (r == -ENOENT) {
        mcp_call_error(call, "incident_id: there is no incident %lld", (long long)id);
    } else if (r < 0) {
        tools_fail(call, t, r);
    } else {
        mcp_call_finish(call, buf_str(&text), buf_str(&json));
        tools_take(t, id, "get_incident");
    }
    incident_view_done(&v);
    buf_done(&json);
    buf_done(&text);
}

// ---- list_incidents ----

static int list_one(const struct webhook_tools *t, int64_t id, struct jw *w, struct buf *text)
{
    struct incident_view v;
    int r = incident_view_load(t->store, id, &v);
    if (r < 0)
        return r;
    jw_object(w);
    r = incident_json_scalars(w, t->store, &v);
    jw_object_end(w);
    listing_line(&v, clock_wall_ms(), text);
    buf_addc(text, '\n');
    incident_view_done(&v);
    return r;
}

static int list_all(const struct webhook_tools *t, const struct listing *l, struct buf *json,
                    struct buf *text)
{
    int64_t ids[LISTING_MAX], total = 0;
    int n = 0, shown = 0;
    bool more = false;
    int r = listing_count(t->store, l, &total);
    if (r == 0 && total > 0) // else it would look through all that waits for nothing
        r = listing_ids(t->store, l, ids, &n, &more);
    struct jw w = JW(json);
    jw_object(&w);
    jw_key(&w, "incidents");
    jw_array(&w);
    // A page ends early rather than grow beyond what a result may be.
    for (; r == 0 && shown < n && json->len + text->len < MCP_MAX_RESULT / 2 - 2048; shown++)
        r = list_one(t, ids[shown], &w, text);
    jw_array_end(&w);
    jw_kint(&w, "total", total);
    if (shown && (more || shown < n)) {
        char cursor[24];
        snprintf(cursor, sizeof cursor, "%lld", (long long)ids[shown - 1]);
        jw_kstr(&w, "next_cursor", cursor);
        buf_addf(text, "%lld in all; next page: cursor \"%s\"\n", (long long)total, cursor);
    } else {
        jw_kstr(&w, "next_cursor", NULL);
        buf_addf(text, "%lld in all\n", (long long)total);
    }
    jw_object_end(&w);
    return r < 0 ? r : json->error ? json->error : text->error;
}

static int parse_cursor(const char *text, int64_t *ret_before)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || *end || end == text || v <= 0)
        return -EINVAL;
    *ret_before = v;
    return 0;
}

static void list_incidents(struct mcp_call *call, const cJSON *args, void *data)
{
    struct webhook_tools *t = data;
    struct listing l = {.severity = -1,
                        .cluster = json_str(args, "cluster"),
                        .limit = (int)json_int(args, "limit", 20)};
    const char *state = json_str(args, "state"), *severity = json_str(args, "severity"),
               *cursor = json_str(args, "cursor");
    struct buf json = BUF_INIT(MAX_JSON), text = BUF_INIT(MAX_JSON);
    if (state && listing_state_named(state, &l.state) < 0)
        l.state = LIST_UNDECIDED; // cannot be: the schema has the words
    if (severity)
        l.severity = (int64_t)severity_parse(str_of(severity));
    l.tests = l.state == LIST_ALL;
    if (cursor && parse_cursor(cursor, &l.before) < 0) {
        mcp_call_error(call, "cursor: use the next_cursor of the page before");
        return;
    }
    int r = list_all(t, &l, &json, &text);
    if (r < 0)
        tools_fail(call, t, r);
    else
        mcp_call_finish(call, buf_str(&text), buf_str(&json));
    buf_done(&json);
    buf_done(&text);
}

// ---- log_incident ----

struct log_job {
    struct commit_job job;
    struct mcp_call *call;
    int64_t ids[MAX_IDS], waited_ms[MAX_IDS]; // from the question to this verdict; -1: a test
    int n;
    int64_t unknown; // the first id that does not exist
    struct verdict_note note;
    struct buf strings; // owns what note points to
};

static const char *keep_text(struct log_job *l, const char *text)
{
    struct buf masked = BUF_INIT(4 * MAX_NOTE);
    size_t at = l->strings.len;
    if (redact(&masked, str_of(text ? text : "")) < 0)
        buf_clear(&masked);
    text_clean(&l->strings, buf_str(&masked), MAX_NOTE, 0);
    buf_addc(&l->strings, '\0');
    buf_done(&masked);
    return l->strings.error ? "" : l->strings.data + at;
}

static int log_apply(struct commit_job *job, struct store *s)
{
    struct log_job *l = CONTAINER_OF(job, struct log_job, job);
    int64_t now = clock_wall_ms();
    for (int i = 0; i < l->n; i++) {
        struct stmt *q = store_sql(s, "SELECT asked_at, kind FROM incident WHERE id = ?");
        bind_int(q, 1, l->ids[i]);
        int r = stmt_step(q);
        int64_t waited = r > 0 && now > col_int(q, 0) ? now - col_int(q, 0) : 0;
        l->waited_ms[i] = r > 0 && col_int(q, 1) == KIND_TEST ? -1 : waited;
        stmt_reset(q);
        if (r >= 0)
            r = incident_decide(s, l->ids[i], &l->note, now);
        if (r == -ENOENT)
            l->unknown = l->ids[i];
        if (r == 0)
            r = trail_add(s, l->ids[i], l->note.by, "verdict", verdict_name(l->note.verdict), now);
        if (r < 0)
            return r;
    }
    return pager_agent_works(s, now);
}

static void log_answer(struct log_job *l)
{
    struct buf json = BUF_INIT(MAX_JSON), text = BUF_INIT(MAX_TEXT);
    struct jw w = JW(&json);
    jw_object(&w);
    jw_kstr(&w, "verdict", verdict_name(l->note.verdict));
    jw_key(&w, "incident_ids");
    jw_array(&w);
    buf_addf(&text, "logged %s for", verdict_name(l->note.verdict));
    for (int i = 0; i < l->n; i++) {
        jw_int(&w, l->ids[i]);
        buf_addf(&text, "%s #%lld", i ? "," : "", (long long)l->ids[i]);
    }
    jw_array_end(&w);
    jw_object_end(&w);
    mcp_call_finish(l->call, buf_str(&text), buf_str(&json));
    buf_done(&json);
    buf_done(&text);
}

static void count_verdicts(const struct log_job *l)
{
    static const char *const names[] = {
        [VERDICT_NOISE] = "sre_verdicts_total{verdict=\"noise\"}",
        [VERDICT_AUTO_FIXED] = "sre_verdicts_total{verdict=\"auto_fixed\"}",
        [VERDICT_ESCALATED] = "sre_verdicts_total{verdict=\"escalated\"}",
        [VERDICT_REAL] = "sre_verdicts_total{verdict=\"real\"}",
        [VERDICT_UNSURE] = "sre_verdicts_total{verdict=\"unsure\"}"};
    for (int i = 0; i < l->n; i++) {
        if (l->waited_ms[i] < 0)
            continue;
        counter_add(names[l->note.verdict], 1);
        counter_observe("sre_verdict_seconds", l->waited_ms[i]);
    }
}

static void log_done(struct commit_job *job, int error)
{
    struct log_job *l = CONTAINER_OF(job, struct log_job, job);
    if (error == 0) {
        count_verdicts(l);
        log_answer(l);
    } else if (error == -ENOENT) {
        mcp_call_error(l->call, "incident_ids: there is no incident %lld; nothing was logged",
                       (long long)l->unknown);
    } else {
        mcp_call_error(l->call, "nothing was logged, call again: the store could not commit (%s)",
                       error == -ENOSPC  ? "disk full"
                       : error == -EBUSY ? "locked by another process"
                                         : "see the log");
    }
    buf_done(&l->strings);
    free(l);
}

static void log_incident(struct mcp_call *call, const cJSON *args, void *data)
{
    struct webhook_tools *t = data;
    struct log_job *l = calloc(1, sizeof *l);
    if (!l) {
        mcp_call_error(call, "out of memory");
        return;
    }
    l->job = (struct commit_job){.apply = log_apply, .done = log_done};
    l->call = call;
    l->strings = BUF_INIT(4 * (MAX_NOTE + 128));
    const cJSON *id;
    cJSON_ArrayForEach(id, json_arr(args, "incident_ids"))
    {
        if (l->n < MAX_IDS)
            l->ids[l->n++] = (int64_t)id->valuedouble;
    }
    const cJSON *confidence = json_get(args, "confidence");
    if (buf_reserve(&l->strings, 3 * (MAX_NOTE + 64)) < 0) { // pointers into it are kept
        mcp_call_error(call, "out of memory");
        free(l);
        return;
    }
    l->note = (struct verdict_note){.verdict = verdict_named(json_str(args, "verdict")),
                                    .by = "agent",
                                    .confidence = confidence ? confidence->valuedouble : -1};
    l->note.summary = keep_text(l, json_str(args, "summary"));
    l->note.root_cause = keep_text(l, json_str(args, "root_cause"));
    l->note.action = keep_text(l, json_str(args, "action"));
    group_commit_submit(t->commit, &l->job, TOOL_PATIENCE_MS);
}

// ---- the table ----

static const struct mcp_param log_incident_params[] = {
    {.name = "incident_ids",
     .description = "the incidents that this verdict is for",
     .type = MCP_INTEGERS,
     .required = true,
     .min = 1,
     .max = 9007199254740991.0,
     .max_items = MAX_IDS},
    {.name = "verdict",
     .description =
         "noise: nothing was wrong; auto_fixed: a safe action mended it; escalated: a person was "
         "told; real: a true problem, handled; unsure: cannot tell (escalate)",
     .type = MCP_STRING,
     .required = true,
     .one_of = verdict_names},
    {.name = "summary",
     .description = "one sentence: what it was",
     .type = MCP_STRING,
     .required = true,
     .min = 1,
     .max = MAX_NOTE},
    {.name = "root_cause", .description = "why it happened", .type = MCP_STRING, .max = MAX_NOTE},
    {.name = "action", .description = "what was done", .type = MCP_STRING, .max = MAX_NOTE},
    {.name = "confidence", .description = "0 to 1", .type = MCP_NUMBER, .min = 0, .max = 1},
};

static const struct mcp_param get_incident_params[] = {
    {.name = "incident_id",
     .description = "its number",
     .type = MCP_INTEGER,
     .required = true,
     .min = 1,
     .max = 9007199254740991.0},
};

static const struct mcp_param list_incidents_params[] = {
    {.name = "state",
     .description = "undecided (default): waits for a verdict; open: firing now; all",
     .type = MCP_STRING,
     .one_of = listing_states},
    {.name = "severity",
     .description = "only this one",
     .type = MCP_STRING,
     .one_of = severity_words},
    {.name = "cluster",
     .description = "only this one, its exact name",
     .type = MCP_STRING,
     .max = 512},
    {.name = "limit",
     .description = "incidents a page, default 20",
     .type = MCP_INTEGER,
     .min = 1,
     .max = LISTING_MAX},
    {.name = "cursor",
     .description = "next_cursor of the page before",
     .type = MCP_STRING,
     .max = 64},
};

#define PARAMS(p) .params = p, .n_params = ARRAY_LEN(p)

const struct mcp_tool webhook_tool_table[] = {
    {.name = "log_incident",
     .title = "Log a verdict",
     .description = "Record the verdict on one or many incidents. Every incident needs one; until "
                    "then it comes again. "
                    "Logging again adds to the trail, the last verdict counts.",
     PARAMS(log_incident_params),
     .flags = MCP_ALWAYS_LOAD,
     .call = log_incident},
    {.name = "get_incident",
     .title = "One incident, whole",
     .description = "Everything about one incident: its alerts with labels and annotations, "
                    "verdicts, timeline. Marks it as taken.",
     PARAMS(get_incident_params),
     .flags = MCP_READ_ONLY | MCP_IDEMPOTENT,
     .call = get_incident},
    {.name = "list_incidents",
     .title = "List incidents",
     .description =
         "Incidents, newest first, page by page; by default those that wait for a verdict.",
     PARAMS(list_incidents_params),
     .flags = MCP_READ_ONLY | MCP_IDEMPOTENT,
     .call = list_incidents},
    {.name = "tuning_proposals",
     .title = "Better alert rules",
     .description = "Which alert rules to change so that their noise stays away, computed from the "
                    "verdicts: evidence, what would have been "
                    "kept and lost, the change ready to apply. Also those accepted, and whether "
                    "those applied helped.",
     PARAMS(tuning_proposals_params),
     .call = tool_tuning_proposals},
    {.name = "decide_proposal",
     .title = "Record a decision",
     .description = "Records what the owner said to a proposal. Never decide for them. A rejected "
                    "one stays away until its evidence doubles.",
     PARAMS(decide_proposal_params),
     .flags = MCP_IDEMPOTENT,
     .call = tool_decide_proposal},
    {.name = "create_ticket",
     .title = "Make a ticket",
     .description = "One ticket for each problem, in Jira or GitLab: for what came three times in "
                    "14 days, or a proposal that the owner accepted. A problem that has an open "
                    "one gets a comment with what is new.",
     PARAMS(create_ticket_params),
     .flags = MCP_OPEN_WORLD,
     .call = tool_create_ticket},
    {.name = "check_history",
     .title = "What the memory knows",
     .description = "Has this fired before, how often, with which verdicts, what was done, and "
                    "where else? By incident_id (marks it as "
                    "taken) or by names.",
     PARAMS(check_history_params),
     .flags = MCP_READ_ONLY | MCP_IDEMPOTENT | MCP_ALWAYS_LOAD,
     .call = tool_check_history},
    {.name = "briefing",
     .title = "Briefing",
     .description = "The last days in numbers: noise that comes again, what was real, escalations "
                    "that nobody acknowledged, what waits "
                    "for a verdict, how fast it went.",
     PARAMS(briefing_params),
     .flags = MCP_READ_ONLY | MCP_IDEMPOTENT,
     .call = tool_briefing},
};
const size_t webhook_tool_count = ARRAY_LEN(webhook_tool_table);
