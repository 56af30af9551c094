// Looks for a message that may have been sent: in the thread, then in the conversation, by the
// row's key in the metadata (Slack documents no idempotent post).

#include <stdio.h>

#include "channels/slack/lane.h"
#include "common/log.h"

enum {
    LOOK_BACK_MS = 5 * 60 * 1000, // before the attempt, by a clock that may differ from Slack's
    LOOK_PAGES = 5,
    LOOK_PAGE = 200,
};

static bool is_ours(const struct lane *l, const cJSON *m)
{
    if (l->row.op == OUT_UPLOAD) {
        const cJSON *file;
        cJSON_ArrayForEach(file, json_arr(m, "files"))
        {
            const char *id = json_str(file, "id");
            if (id && l->row.file_id[0] && strcmp(id, l->row.file_id) == 0)
                return true;
        }
        return false;
    }
    const cJSON *metadata = json_obj(m, "metadata");
    const char *id = json_str(json_obj(metadata, "event_payload"), "id");
    if (id)
        return strcmp(id, l->row.key) == 0;
    // Slack may keep the metadata to itself: then by what was said.
    const char *user = json_str(m, "user"), *text = json_str(m, "text");
    return !metadata && user && text && l->text.len && strcmp(user, l->x->access->bot_user) == 0 &&
           strcmp(text, buf_cstr(&l->text)) == 0;
}

static void on_look(const struct api_answer *a, void *data)
{
    struct lane *l = data;
    if (a->verdict != API_OK) {
        // A thread whose parent is gone has no replies to look through.
        bool gone = a->verdict == API_REFUSED && !l->looked_in_thread && l->row.thread_ts[0];
        if (!gone) {
            if (a->verdict == API_REFUSED)
                lane_failed(l, a->error);
            else if (a->verdict == API_STOP)
                lane_requeue(l, l->row.plain); // nobody can look: rather twice than never
            else {
                lane_back_off(l, a->retry_ms);
                lane_again(l);
            }
            return;
        }
        l->looked_in_thread = true;
        l->cursor[0] = '\0';
        lane_look(l);
        return;
    }
    const cJSON *m;
    cJSON_ArrayForEach(m, json_arr(a->json, "messages"))
    {
        const char *ts = json_str(m, "ts");
        if (ts && is_ours(l, m)) {
            lane_sent(l, ts);
            return;
        }
    }
    const char *next = json_str(json_obj(a->json, "response_metadata"), "next_cursor");
    if (next && next[0] && ++l->pages < LOOK_PAGES && strlen(next) < sizeof l->cursor) {
        snprintf(l->cursor, sizeof l->cursor, "%s", next);
        lane_look(l);
        return;
    }
    if (l->row.thread_ts[0] && !l->looked_in_thread) {
        l->looked_in_thread = true; // Slack may have posted it at top level
        l->cursor[0] = '\0';
        lane_look(l);
        return;
    }
    lane_requeue(l, l->row.plain); // it never arrived
}

void lane_look(struct lane *l)
{
    bool thread = l->row.thread_ts[0] && !l->looked_in_thread;
    const char *method = thread ? "conversations.replies" : "conversations.history";
    struct buf form = BUF_INIT(LANE_MAX_FORM);
    char oldest[32], limit[16];
    snprintf(oldest, sizeof oldest, "%lld.000000",
             (long long)((l->row.attempted_at - LOOK_BACK_MS) / 1000));
    snprintf(limit, sizeof limit, "%d", LOOK_PAGE);
    http_form_add(&form, "channel", str_of(l->channel));
    if (thread)
        http_form_add(&form, "ts", str_of(l->row.thread_ts));
    http_form_add(&form, "oldest", str_of(oldest));
    http_form_add(&form, "limit", str_of(limit));
    http_form_add(&form, "include_all_metadata", str_of("true"));
    if (l->cursor[0])
        http_form_add(&form, "cursor", str_of(l->cursor));
    if (lane_call(l, method, &form, API_REPEATABLE, on_look) < 0)
        lane_again(l);
}
