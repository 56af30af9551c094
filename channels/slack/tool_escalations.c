// The tools of the escalation timer.

#include "channels/slack/tool.h"
#include "common/text.h"

static void escalation_json(struct jw *w, const struct escalation *e)
{
    jw_object(w);
    jw_kint(w, "escalation_id", e->id);
    jw_kstr(w, "title", e->title);
    jw_kstr(w, "severity", e->severity);
    jw_kstr(w, "state", escalation_state_name(e->state));
    jw_key(w, "incident_id");
    if (e->incident_id)
        jw_int(w, e->incident_id);
    else
        jw_null(w);
    jw_kstr(w, "recommended_action", e->action[0] ? e->action : NULL);
    jw_ktime(w, "created_at", e->created_at);
    jw_kint(w, "nags", e->nags);
    jw_kstr(w, "changed_by", e->changed_by[0] ? e->changed_by : NULL);
    jw_ktime(w, "changed_at", e->changed_at);
    jw_ktime(w, "next_at", e->due_at);
    jw_kstr(w, "chat_id", e->channel[0] ? e->channel : NULL);
    jw_kstr(w, "thread_ts", e->ts[0] ? e->ts : NULL);
    jw_kstr(w, "note", e->note[0] ? e->note : NULL);
    jw_object_end(w);
}

static int add_escalation(struct session *s, const cJSON *args, int64_t *ret_id)
{
    const struct session_parts *p = session_parts(s);
    struct buf title = BUF_INIT(8192), body = BUF_INIT(TOOL_MAX_RENDERED), action = BUF_INIT(65536),
               line = BUF_INIT(8192);
    int r = tool_masked(&title, json_str(args, "title"));
    if (r == 0)
        r = text_clean(&line, buf_str(&title), 4096, TEXT_ONE_LINE);
    if (r == 0)
        r = tool_masked(&body, json_str(args, "body"));
    if (r == 0)
        r = tool_masked(&action, json_str(args, "recommended_action"));
    if (r == 0)
        r = tool_begin(p->store);
    if (r == 0)
        r = escalation_add(
            p->store,
            &(struct escalation_new){.title = buf_cstr(&line),
                                     .body = buf_cstr(&body),
                                     .severity = json_str(args, "severity"),
                                     .action = buf_cstr(&action),
                                     .by = "agent",
                                     .incident_id = json_int(args, "incident_id", 0)},
            engine_people(p->engine), moment_now(), ret_id);
    if (r == 0)
        r = store_commit(p->store);
    buf_done(&title);
    buf_done(&body);
    buf_done(&action);
    buf_done(&line);
    return r;
}

void tool_escalate(struct mcp_call *call, const cJSON *args, void *data)
{
    struct session *s = tool_session(data);
    if (!tool_ready(call, s))
        return;
    const struct session_parts *p = session_parts(s);
    int64_t id;
    if (add_escalation(s, args, &id) < 0) {
        tool_store_failed(call, p->store);
        return;
    }
    struct buf text = BUF_INIT(4096), json = BUF_INIT(4096), status = BUF_INIT(1024);
    bool well = engine_status(p->engine, &status) > 0;
    struct jw w = JW(&json);
    jw_object(&w);
    jw_kint(&w, "escalation_id", id);
    jw_kstr(&w, "state", "open");
    jw_kstr(&w, "slack", buf_cstr(&status));
    jw_object_end(&w);
    buf_addf(&text, "Escalation #%lld is stored", (long long)id);
    if (well)
        buf_adds(&text, " and on its way to the owner.");
    else
        buf_addf(&text, "; it will be sent as soon as Slack can be reached (%s).",
                 buf_cstr(&status));
    int64_t nag_s = p->config->slack_nag_s;
    if (nag_s)
        buf_addf(&text, " It nags every %lld s until somebody answers: do not repeat it.",
                 (long long)nag_s);
    mcp_call_finish(call, buf_str(&text), buf_str(&json));
    buf_done(&text);
    buf_done(&json);
    buf_done(&status);
    engine_changed(p->engine);
}

static int state_number(const char *name)
{
    for (int i = 0; name && tool_states[i]; i++)
        if (strcmp(tool_states[i], name) == 0)
            return i == 4 ? -2 : i;
    return -1;
}

void tool_list_escalations(struct mcp_call *call, const cJSON *args, void *data)
{
    enum { ROOM = MCP_MAX_RESULT / 2 - 4096 }; // of text and of JSON
    struct session *s = tool_session(data);
    if (!tool_ready(call, s))
        return;
    struct store *store = session_parts(s)->store;
    struct buf text = BUF_INIT(TOOL_MAX_RENDERED), json = BUF_INIT(TOOL_MAX_RENDERED);
    struct jw w = JW(&json);
    struct escalation e;
    int state = state_number(json_str(args, "state")), r;
    int64_t after = 0, n = 0, left_out = 0;
    jw_object(&w);
    jw_key(&w, "escalations");
    jw_array(&w);
    while ((r = escalation_next(store, state, after, &e)) > 0) {
        after = e.id;
        if (json.len + strlen(e.title) + strlen(e.action) * 2 + strlen(e.note) * 2 > ROOM) {
            left_out++;
        } else {
            n++;
            escalation_json(&w, &e);
            buf_addf(&text, "#%lld [%s] %s, %s, %lld nags\n", (long long)e.id, e.severity, e.title,
                     escalation_state_name(e.state), (long long)e.nags);
        }
        escalation_done(&e);
    }
    jw_array_end(&w);
    if (left_out)
        jw_kint(&w, "left_out", left_out);
    jw_object_end(&w);
    if (!n)
        buf_adds(&text, "None.");
    if (left_out)
        buf_addf(&text, "... and %lld more", (long long)left_out);
    if (r < 0)
        mcp_call_error(call, "the store cannot be read: %s", store_error(store));
    else
        mcp_call_finish(call, buf_str(&text), buf_str(&json));
    buf_done(&text);
    buf_done(&json);
}

static int resolve(struct store *s, int64_t id, const char *note,
                   const struct escalation_people *people)
{
    int r = tool_begin(s);
    if (r == 0)
        r = escalation_resolve(s, id, "the agent", note, people, moment_now());
    if (r < 0)
        return r;
    int done = store_commit(s);
    return done < 0 ? done : r;
}

void tool_resolve_escalation(struct mcp_call *call, const cJSON *args, void *data)
{
    struct session *s = tool_session(data);
    if (!tool_ready(call, s))
        return;
    const struct session_parts *p = session_parts(s);
    int64_t id = json_int(args, "escalation_id", 0);
    struct escalation e;
    int r = escalation_read(p->store, id, &e);
    if (r <= 0) {
        mcp_call_error(call, "escalation_id: there is no escalation %lld", (long long)id);
        return;
    }
    escalation_done(&e);
    struct buf note = BUF_INIT(65536), json = BUF_INIT(1024), text = BUF_INIT(256);
    r = tool_masked(&note, json_str(args, "note"));
    if (r == 0)
        r = resolve(p->store, id, buf_cstr(&note), engine_people(p->engine));
    struct jw w = JW(&json);
    jw_object(&w);
    jw_kint(&w, "escalation_id", id);
    jw_kstr(&w, "state", "resolved");
    jw_object_end(&w);
    buf_addf(&text, "Escalation #%lld %s; its thread says so and the timer is stopped.",
             (long long)id, r > 0 ? "is resolved" : "was resolved already");
    if (r < 0)
        tool_store_failed(call, p->store);
    else
        mcp_call_finish(call, buf_str(&text), buf_str(&json));
    buf_done(&note);
    buf_done(&json);
    buf_done(&text);
    if (r > 0)
        engine_changed(p->engine);
}
