#include "channels/webhook/tools_tickets.h"

#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/listing.h"
#include "channels/webhook/ticket_api.h"
#include "channels/webhook/ticket_store.h"
#include "channels/webhook/tools.h"
#include "common/clock.h"
#include "common/redact.h"
#include "common/text.h"

#define MAX_TITLE 200 // bytes; Jira and GitLab take 255 characters
#define MAX_BODY (16 * 1024)
#define MAX_LABEL 64
#define MAX_LABELS 10
#define MAX_LINKS 10
#define MAX_LINK 1000
#define NAMED_INCIDENTS 10
#define WAIT_MS 8000
#define LOOK_MS 100
#define PATIENCE_MS 5000

struct ticket_wait {
    uv_timer_t timer;
    struct webhook_tools *tools;
    struct mcp_call *call;
    int64_t ticket, row, incident, until; // until: boot
    bool is_new;
    struct ticket_wait *next;
};

const struct mcp_param create_ticket_params[6] = {
    {.name = "title",
     .description = "one line: what is to be changed, where",
     .type = MCP_STRING,
     .required = true,
     .min = 1,
     .max = 1000},
    {.name = "body",
     .description = "the pattern, the evidence, what to do; paragraphs, \"- \" lists, ``` fences. "
                    "For a problem that has a ticket: what is new",
     .type = MCP_STRING,
     .required = true,
     .min = 1,
     .max = MAX_BODY},
    {.name = "incident_ids",
     .description = "the incidents that it is about",
     .type = MCP_INTEGERS,
     .required = true,
     .min = 1,
     .max = 9007199254740991.0,
     .max_items = TICKET_MAX_INCIDENTS},
    {.name = "labels",
     .description = "words to find it by",
     .type = MCP_STRINGS,
     .min = 1,
     .max = MAX_LABEL,
     .max_items = MAX_LABELS},
    {.name = "assignee",
     .description = "Jira Cloud: account id; Jira Server and GitLab: user name",
     .type = MCP_STRING,
     .max = 128},
    {.name = "links",
     .description = "https addresses: dashboards, merge requests, proposals",
     .type = MCP_STRINGS,
     .min = 1,
     .max = MAX_LINK,
     .max_items = MAX_LINKS},
};

// ---- the texts ----

static void add_safe(struct buf *out, const char *text, size_t max, unsigned flags)
{
    struct buf masked = BUF_INIT(8 * MAX_BODY);
    if (redact(&masked, str_of(text ? text : "")) < 0)
        buf_clear(&masked);
    text_clean(out, buf_str(&masked), max, flags);
    buf_done(&masked);
}

static void add_links(struct buf *out, const cJSON *links)
{
    const cJSON *l;
    if (cJSON_GetArraySize(links) > 0)
        buf_adds(out, "\n\nLinks:\n");
    cJSON_ArrayForEach(l, links)
    {
        buf_adds(out, "- ");
        add_safe(out, l->valuestring, MAX_LINK, TEXT_ONE_LINE);
        buf_addc(out, '\n');
    }
}

static int add_incidents(struct buf *out, struct store *s, const struct ticket_new *t)
{
    int r = 0;
    buf_adds(out, "\n\nIncidents:\n");
    for (int i = 0; r == 0 && i < t->n && i < NAMED_INCIDENTS; i++) {
        struct incident_view v;
        r = incident_view_load(s, t->ids[i], &v);
        if (r < 0)
            break;
        buf_adds(out, "- ");
        listing_line(&v, clock_wall_ms(), out);
        buf_addc(out, '\n');
        incident_view_done(&v);
    }
    if (t->n > NAMED_INCIDENTS)
        buf_addf(out, "- and %d more\n", t->n - NAMED_INCIDENTS);
    return r == -ENOENT ? 0 : r; // said by ticket_queue
}

static void add_labels(struct buf *out, const cJSON *labels)
{
    struct jw w = JW(out);
    const cJSON *l;
    jw_array(&w);
    cJSON_ArrayForEach(l, labels)
    {
        struct buf one = BUF_INIT(1024);
        add_safe(&one, l->valuestring, MAX_LABEL, TEXT_ONE_LINE);
        for (size_t i = 0; i < one.len; i++)
            if (one.data[i] == ',') // GitLab takes a list of them
                one.data[i] = ' ';
        jw_strn(&w, buf_str(&one));
        buf_done(&one);
    }
    jw_array_end(&w);
}

// What both systems take for a user, and no quick action can be made of.
static bool is_user(const char *s)
{
    static const char chars[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:._-@";
    return strspn(s, chars) == strlen(s);
}

// ---- the wait ----

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

static void wait_end(struct ticket_wait *w)
{
    struct ticket_wait **at = &w->tools->waits;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    uv_close((uv_handle_t *)&w->timer, on_closed);
}

static void answer(struct mcp_call *call, const char *state, const char *key, const char *url,
                   const char *why)
{
    struct buf text = BUF_INIT(4096), json = BUF_INIT(4096);
    struct jw w = JW(&json);
    jw_object(&w);
    jw_kstr(&w, "ticket", key[0] ? key : NULL);
    jw_kstr(&w, "url", url[0] ? url : NULL);
    jw_kstr(&w, "state", state);
    jw_object_end(&w);
    if (key[0])
        buf_addf(&text, "ticket %s %s", key, state);
    else
        buf_adds(&text,
                 "stored; the ticket is made as soon as it can be, get_incident then names it");
    if (url[0])
        buf_addf(&text, "\n%s", url);
    if (why[0])
        buf_addf(&text, "\nnot yet: %s", why);
    mcp_call_finish(call, buf_str(&text), buf_str(&json));
    buf_done(&text);
    buf_done(&json);
}

static void on_look(uv_timer_t *timer)
{
    struct ticket_wait *w = timer->data;
    struct ticket_state state;
    char key[64] = "", url[512] = "";
    struct store *s = w->tools->store;
    int r = ticket_state_read(s, w->row, &state);
    if (r == 0)
        r = ticket_of_incident(s, w->incident, key, url);
    bool over = clock_boot_ms() >= w->until;
    if (!over && (r < 0 || state.waits))
        return;
    if (r < 0) // stored it is, whatever the store says now
        answer(w->call, "queued", "", "", "the store cannot be read");
    else if (state.waits)
        answer(w->call, "queued", key, url, state.why);
    else if (key[0])
        answer(w->call, w->is_new ? "created" : "commented", key, url, "");
    else
        mcp_call_error(w->call, "the ticket was refused: the audit trail of #%lld has the reason",
                       (long long)w->incident);
    wait_end(w);
}

void tools_tickets_stop(struct webhook_tools *t)
{
    while (t->waits) {
        mcp_call_error(t->waits->call, "the channel ends; the ticket is stored");
        wait_end(t->waits);
    }
}

// ---- the call ----

struct ticket_job {
    struct commit_job job;
    struct ticket_new new;
    struct ticket_wait *wait;
    struct buf title, body, labels;
    char assignee[129];
};

static int ticket_apply(struct commit_job *job, struct store *s)
{
    struct ticket_job *j = CONTAINER_OF(job, struct ticket_job, job);
    j->new.title = buf_cstr(&j->title);
    j->new.body = buf_cstr(&j->body);
    j->new.labels = buf_cstr(&j->labels);
    j->new.assignee = j->assignee;
    j->new.unknown = 0;
    return ticket_queue(s, &j->new, clock_wall_ms(), &j->wait->ticket, &j->wait->row);
}

static void ticket_done(struct commit_job *job, int error)
{
    struct ticket_job *j = CONTAINER_OF(job, struct ticket_job, job);
    struct ticket_wait *w = j->wait;
    struct webhook_tools *t = w->tools;
    if (error == 0 && t->stopped)
        error = -ECANCELED;
    if (error == 0) {
        char url[512];
        char key[64] = "";
        w->is_new = ticket_of_incident(t->store, w->incident, key, url) == 0;
        w->until = clock_boot_ms() + WAIT_MS;
        w->next = t->waits;
        t->waits = w;
        uv_timer_init(t->loop, &w->timer);
        w->timer.data = w;
        uv_timer_start(&w->timer, on_look, LOOK_MS, LOOK_MS);
    } else {
        if (j->new.unknown)
            mcp_call_error(w->call, "incident_ids: there is no incident %lld; no ticket was made",
                           (long long)j->new.unknown);
        else if (error == -ENOBUFS)
            mcp_call_error(w->call,
                           "%d tickets wait to be written already: Jira or GitLab does "
                           "not take them, see the log",
                           TICKET_MAX_OPEN);
        else
            mcp_call_error(w->call, "no ticket was stored, call again: the store could not commit");
        free(w);
    }
    buf_done(&j->title);
    buf_done(&j->body);
    buf_done(&j->labels);
    free(j);
}

static int fill(struct ticket_job *j, const struct webhook_tools *t, const cJSON *args)
{
    const cJSON *id;
    cJSON_ArrayForEach(id, json_arr(args, "incident_ids"))
    {
        if (j->new.n < TICKET_MAX_INCIDENTS)
            j->new.ids[j->new.n++] = (int64_t)id->valuedouble;
    }
    const char *assignee = json_str(args, "assignee");
    snprintf(j->assignee, sizeof j->assignee, "%s", assignee ? assignee : "");
    add_safe(&j->title, json_str(args, "title"), MAX_TITLE, TEXT_ONE_LINE);
    add_safe(&j->body, json_str(args, "body"), MAX_BODY, 0);
    add_links(&j->body, json_arr(args, "links"));
    add_labels(&j->labels, json_arr(args, "labels"));
    int r = add_incidents(&j->body, t->store, &j->new);
    return r < 0 ? r : j->title.error ? j->title.error : j->body.error;
}

void tool_create_ticket(struct mcp_call *call, const cJSON *args, void *data)
{
    struct webhook_tools *t = data;
    struct buf missing = BUF_INIT(1024);
    const char *assignee = json_str(args, "assignee");
    if (ticket_system_of(t->config, &missing) == TICKET_NONE) {
        mcp_call_error(call, "no ticket system is configured; missing: %s", buf_cstr(&missing));
        buf_done(&missing);
        return;
    }
    buf_done(&missing);
    if (assignee && !is_user(assignee)) {
        mcp_call_error(call, "assignee: an account id or a user name, without spaces");
        return;
    }
    struct ticket_job *j = calloc(1, sizeof *j);
    struct ticket_wait *w = calloc(1, sizeof *w);
    if (!j || !w) {
        free(j);
        free(w);
        mcp_call_error(call, "out of memory");
        return;
    }
    *j = (struct ticket_job){.job = {.apply = ticket_apply, .done = ticket_done},
                             .wait = w,
                             .title = BUF_INIT(4096),
                             .body = BUF_INIT(128 * 1024),
                             .labels = BUF_INIT(8192)};
    *w = (struct ticket_wait){.tools = t, .call = call};
    int r = fill(j, t, args);
    w->incident = j->new.n ? j->new.ids[0] : 0;
    if (r < 0) {
        ticket_done(&j->job, r);
        return;
    }
    group_commit_submit(t->commit, &j->job, PATIENCE_MS);
}
