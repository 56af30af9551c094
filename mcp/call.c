#include "mcp/call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/text.h"
#include "mcp/rpc.h"

struct mcp_call {
    struct mcp_calls *owner; // NULL once the server is gone
    struct mcp_call *prev, *next;
    const char *tool;
    bool cancelled;
    size_t id_len;
    char id[];
};

struct mcp_call *mcp_call_new(struct mcp_calls *calls, struct str id, const char *tool)
{
    struct mcp_call *call = calloc(1, sizeof *call + id.n);
    if (!call)
        return NULL;
    call->owner = calls;
    call->tool = tool;
    call->id_len = id.n;
    memcpy(call->id, id.p, id.n);
    call->next = calls->head;
    if (call->next)
        call->next->prev = call;
    calls->head = call;
    calls->n++;
    return call;
}

static void call_free(struct mcp_call *call)
{
    if (call->owner) {
        if (call->prev)
            call->prev->next = call->next;
        else
            call->owner->head = call->next;
        if (call->next)
            call->next->prev = call->prev;
        call->owner->n--;
    }
    free(call);
}

struct mcp_call *mcp_calls_find(const struct mcp_calls *calls, struct str id)
{
    for (struct mcp_call *call = calls->head; call; call = call->next) {
        if (call->id_len == id.n && memcmp(call->id, id.p, id.n) == 0)
            return call;
    }
    return NULL;
}

void mcp_calls_orphan(struct mcp_calls *calls)
{
    for (struct mcp_call *call = calls->head; call; call = call->next)
        call->owner = NULL;
    calls->head = NULL;
    calls->n = 0;
}

void mcp_call_cancel(struct mcp_call *call)
{
    call->cancelled = true;
}

bool mcp_call_cancelled(const struct mcp_call *call)
{
    return call->cancelled;
}

const char *mcp_call_tool(const struct mcp_call *call)
{
    return call->tool;
}

static void write_result(struct buf *out, const struct mcp_call *call, struct str text,
                         struct str structured, bool is_error)
{
    struct jw w = rpc_open_result(out, (struct str){call->id, call->id_len});
    jw_object(&w);
    jw_key(&w, "content");
    jw_array(&w);
    jw_object(&w);
    jw_kstr(&w, "type", "text");
    jw_key(&w, "text");
    jw_strn(&w, text);
    jw_object_end(&w);
    jw_array_end(&w);
    if (structured.p) {
        jw_key(&w, "structuredContent");
        jw_raw(&w, structured);
    }
    if (is_error)
        jw_kbool(&w, "isError", true);
    jw_object_end(&w);
    rpc_close_result(&w);
}

static bool is_silent(const struct mcp_call *call)
{
    return !call->owner || call->cancelled;
}

// Takes the call off the list first: what is called back may free the server.
static void send_and_free(struct mcp_call *call, struct buf *line)
{
    struct mcp_calls *owner = call->owner;
    bool silent = is_silent(call);
    char id[RPC_MAX_ID];
    size_t id_len = call->id_len;
    memcpy(id, call->id, id_len);
    call_free(call);
    if (!silent)
        owner->send(owner->data, (struct str){id, id_len},
                    line->error ? (struct str){NULL, 0} : buf_str(line));
    buf_done(line);
}

void mcp_call_finish(struct mcp_call *call, struct str text, struct str structured_json)
{
    struct buf line = BUF_INIT(MCP_MAX_RESULT - 1);
    if (structured_json.p && !rpc_is_clean_object(structured_json)) {
        mcp_call_error(call, "%s made a malformed result; this is a defect of the server",
                       call->tool);
        return;
    }
    if (!is_silent(call))
        write_result(&line, call, text, structured_json, false);
    if (line.error == -E2BIG) {
        buf_done(&line);
        mcp_call_error(call,
                       "the result is over %d KB; ask for less (a limit, or a narrower filter)",
                       MCP_MAX_RESULT / 1024);
        return;
    }
    send_and_free(call, &line);
}

void mcp_call_error(struct mcp_call *call, const char *format, ...)
{
    char message[MCP_MAX_ERROR + 8]; // more than a character: the cut is never at its end
    va_list args;
    va_start(args, format);
    int n = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    struct str text = str_of(n < 0 ? "the call failed" : message);
    text.n = utf8_prefix(text, MCP_MAX_ERROR);

    struct buf line =
        BUF_INIT(MCP_MAX_RESULT - 1); // escaping makes the text at most 6 times longer
    if (!is_silent(call))
        write_result(&line, call, text, (struct str){NULL, 0}, true);
    send_and_free(call, &line);
}
