#include "channels/slack/read_thread.h"

#include <stdio.h>
#include <stdlib.h>

#include "channels/slack/envelope.h"
#include "channels/slack/mrkdwn.h"
#include "channels/slack/web_api.h"
#include "common/text.h"

enum {
    MAX_TEXT = 2000,                  // bytes of one message
    ROOM = MCP_MAX_RESULT / 2 - 4096, // of the text and of the JSON each
    PAGE = 999,
};

struct reading {
    struct mcp_call *call;
    struct session *s;
    struct person chat;
    int limit;
};

static void add_message(struct reading *r, const cJSON *m, struct jw *w, struct buf *text)
{
    struct slack_event e;
    struct buf raw = BUF_INIT(1 << 20), clean = BUF_INIT(2 * MAX_TEXT);
    struct person p = {.name = ""};
    event_from_history(m, r->chat.channel, &e);
    mrkdwn_unescape(&raw, str_of(e.text));
    int failed = text_clean(&clean, buf_str(&raw), MAX_TEXT, 0);
    bool own = e.bot_id[0] != '\0';
    if (!own && person_read(session_parts(r->s)->store, e.user, &p) < 0)
        snprintf(p.name, sizeof p.name, "%.100s", e.user);
    if (own)
        snprintf(p.name, sizeof p.name, "you");
    if (failed == 0) {
        jw_object(w);
        jw_kstr(w, "message_ts", e.ts);
        jw_kstr(w, "user_id", e.user);
        jw_kstr(w, "user", p.name);
        jw_key(w, "text");
        jw_strn(w, buf_str(&clean));
        jw_object_end(w);
        buf_addf(text, "[%s] %s: %s\n", e.ts, p.name, buf_cstr(&clean));
    }
    buf_done(&raw);
    buf_done(&clean);
}

static void finish(struct reading *r, const cJSON *json)
{
    const cJSON *list = json_arr(json, "messages");
    int n = cJSON_GetArraySize(list), from = n > r->limit ? n - r->limit : 0;
    struct buf text = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    // The newest that fit: what is measured is what they will take.
    size_t room = ROOM;
    int first = n;
    while (first > from) {
        const char *t = json_str(cJSON_GetArrayItem(list, first - 1), "text");
        size_t size = t ? strlen(t) : 0;
        size = (size < MAX_TEXT ? size : MAX_TEXT) * 2 + 200;
        if (size > room)
            break;
        room -= size;
        first--;
    }
    struct jw w = JW(&out);
    jw_object(&w);
    jw_kstr(&w, "chat_id", r->chat.channel);
    jw_key(&w, "messages");
    jw_array(&w);
    for (int i = first; i < n; i++)
        add_message(r, cJSON_GetArrayItem(list, i), &w, &text);
    jw_array_end(&w);
    if (first)
        jw_kint(&w, "left_out", first);
    jw_object_end(&w);
    mcp_call_finish(r->call, buf_str(&text), buf_str(&out));
    buf_done(&text);
    buf_done(&out);
}

static void on_answer(const struct api_answer *a, void *data)
{
    struct reading *r = data;
    if (a->verdict == API_OK)
        finish(r, a->json);
    else if (a->verdict == API_RATE)
        mcp_call_error(r->call, "Slack asks to wait %lld s", (long long)(a->retry_ms + 999) / 1000);
    else
        mcp_call_error(r->call, "Slack: %s%s%s", a->error, a->needed[0] ? ", needs " : "",
                       a->needed);
    free(r);
}

void read_thread(struct mcp_call *call, struct session *s, const struct person *chat,
                 const char *thread_ts, int limit)
{
    struct slack_api *api = session_api(s);
    struct reading *r = calloc(1, sizeof *r);
    struct buf form = BUF_INIT(4096);
    char page[16];
    snprintf(page, sizeof page, "%d", PAGE);
    int error = api && r ? 0 : -1;
    int64_t blocked = api ? slack_api_blocked(api, "conversations.replies") : 0;
    if (error == 0) {
        *r = (struct reading){.call = call, .s = s, .chat = *chat, .limit = limit};
        http_form_add(&form, "channel", str_of(chat->channel));
        http_form_add(&form, "ts", str_of(thread_ts));
        error = http_form_add(&form, "limit", str_of(page));
    }
    if (error == 0 && blocked) {
        mcp_call_error(call, "Slack asks to wait %lld s", (long long)(blocked + 999) / 1000);
        free(r);
        buf_done(&form);
        return;
    }
    if (error == 0)
        error = slack_api_call(api, "conversations.replies", buf_str(&form), API_REPEATABLE,
                               on_answer, r);
    buf_done(&form);
    if (error < 0) {
        free(r);
        mcp_call_error(call, "out of memory");
    }
}
