#include "channels/webhook/tools_tuning.h"

#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/proposal_list.h"
#include "channels/webhook/tools.h"
#include "common/clock.h"
#include "common/redact.h"
#include "common/text.h"

#define MAX_TEXT (64 * 1024)
#define MAX_PROPOSALS_BYTES                                                                        \
    (34 * 1024) // text and JSON together, before they are quoted into the line
#define MAX_NOTE 2000
#define DEFAULT_DAYS 30
#define TOOL_PATIENCE_MS 5000

const struct mcp_param tuning_proposals_params[1] = {
    {.name = "days",
     .description = "the window, default 30",
     .type = MCP_INTEGER,
     .min = 1,
     .max = 3650},
};

const struct mcp_param decide_proposal_params[3] = {
    {.name = "proposal_id",
     .description = "its number",
     .type = MCP_INTEGER,
     .required = true,
     .min = 1,
     .max = 9007199254740991.0},
    {.name = "decision",
     .description = "what a person said: accepted (of known_noise: dismiss it), rejected, or "
                    "applied: the rule is changed, measure it from now on",
     .type = MCP_STRING,
     .required = true,
     .one_of = proposal_decision_names},
    {.name = "note",
     .description = "who said it, in their words",
     .type = MCP_STRING,
     .max = MAX_NOTE},
};

static const char *commit_failed(int error)
{
    return error == -ENOSPC  ? "disk full"
           : error == -EBUSY ? "locked by another process"
                             : "see the log";
}

// ---- tuning_proposals ----

struct list_job {
    struct commit_job job;
    struct mcp_call *call;
    struct store *store;
    struct proposal_list list; // owned
};

static int list_apply(struct commit_job *job, struct store *s)
{
    return proposal_list_save(s, &CONTAINER_OF(job, struct list_job, job)->list);
}

static void list_done(struct commit_job *job, int error)
{
    struct list_job *l = CONTAINER_OF(job, struct list_job, job);
    struct buf json = BUF_INIT(MAX_TEXT), text = BUF_INIT(MAX_TEXT);
    if (error == 0)
        error = proposal_list_write(l->store, &l->list, MAX_PROPOSALS_BYTES, &json, &text);
    if (error == 0)
        mcp_call_finish(l->call, buf_str(&text), buf_str(&json));
    else
        mcp_call_error(l->call, "the proposals could not be remembered, call again: %s",
                       commit_failed(error));
    proposal_list_done(&l->list);
    buf_done(&json);
    buf_done(&text);
    free(l);
}

void tool_tuning_proposals(struct mcp_call *call, const cJSON *args, void *data)
{
    struct webhook_tools *t = data;
    struct list_job *l = calloc(1, sizeof *l);
    int r = l ? proposal_list_make(t->store, json_int(args, "days", DEFAULT_DAYS), clock_wall_ms(),
                                   &l->list)
              : -ENOMEM;
    if (r < 0) {
        mcp_call_error(call, "the store cannot be read: %s",
                       r == -ENOMEM ? "out of memory" : store_error(t->store));
        free(l);
        return;
    }
    l->job = (struct commit_job){.apply = list_apply, .done = list_done};
    l->call = call;
    l->store = t->store;
    group_commit_submit(t->commit, &l->job, TOOL_PATIENCE_MS);
}

// ---- decide_proposal ----

struct decide_job {
    struct commit_job job;
    struct mcp_call *call;
    int64_t id, now;
    enum proposal_decision decision;
    struct buf note; // owned
};

static int decide_apply(struct commit_job *job, struct store *s)
{
    struct decide_job *d = CONTAINER_OF(job, struct decide_job, job);
    return proposal_decide(s, d->id, d->decision, "agent", buf_cstr(&d->note), d->now);
}

static void decide_answer(struct decide_job *d)
{
    struct buf json = BUF_INIT(4096), text = BUF_INIT(1024);
    struct jw w = JW(&json);
    jw_object(&w);
    jw_kint(&w, "proposal_id", d->id);
    jw_kstr(&w, "decision", proposal_decision_name(d->decision));
    jw_ktime(&w, "decided_at", d->now);
    jw_object_end(&w);
    buf_addf(&text, "proposal #%lld is %s%s", (long long)d->id, proposal_decision_name(d->decision),
             d->decision == DECISION_APPLIED ? ": firings before and after are compared from now on"
             : d->decision == DECISION_REJECTED
                 ? ": it stays away until there is as much noise again"
                 : "");
    mcp_call_finish(d->call, buf_str(&text), buf_str(&json));
    buf_done(&json);
    buf_done(&text);
}

static void decide_done(struct commit_job *job, int error)
{
    struct decide_job *d = CONTAINER_OF(job, struct decide_job, job);
    if (error == 0)
        decide_answer(d);
    else if (error == -ENOENT)
        mcp_call_error(d->call, "proposal_id: there is no proposal %lld", (long long)d->id);
    else if (error == -EINVAL)
        mcp_call_error(d->call,
                       "decision: known noise is accepted or rejected, there is no rule to apply");
    else
        mcp_call_error(d->call, "nothing was recorded, call again: the store could not commit (%s)",
                       commit_failed(error));
    buf_done(&d->note);
    free(d);
}

void tool_decide_proposal(struct mcp_call *call, const cJSON *args, void *data)
{
    struct webhook_tools *t = data;
    struct decide_job *d = calloc(1, sizeof *d);
    const char *note = json_str(args, "note");
    if (!d) {
        mcp_call_error(call, "out of memory");
        return;
    }
    *d = (struct decide_job){.job = {.apply = decide_apply, .done = decide_done},
                             .call = call,
                             .id = json_int(args, "proposal_id", 0),
                             .now = clock_wall_ms(),
                             .decision = proposal_decision_named(json_str(args, "decision")),
                             .note = BUF_INIT(4 * MAX_NOTE + 256)};
    struct buf masked = BUF_INIT(8 * MAX_NOTE);
    if (redact(&masked, str_of(note ? note : "")) < 0)
        buf_clear(&masked);
    text_clean(&d->note, buf_str(&masked), MAX_NOTE, TEXT_ONE_LINE);
    buf_done(&masked);
    group_commit_submit(t->commit, &d->job, TOOL_PATIENCE_MS);
}
