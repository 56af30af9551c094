#include "channels/slack/envelope.h"

#include <errno.h>
#include <stdlib.h>

static const char *text_of(const cJSON *o, const char *key)
{
    const char *s = json_str(o, key);
    return s ? s : "";
}

static struct slack_event no_event(void)
{
    return (struct slack_event){.type = EVENT_NONE,
                                .event_id = "",
                                .team = "",
                                .user = "",
                                .channel = "",
                                .channel_type = "",
                                .ts = "",
                                .thread_ts = "",
                                .text = "",
                                .subtype = "",
                                .client_msg_id = "",
                                .bot_id = "",
                                .author_app = "",
                                .reaction = "",
                                .action = "",
                                .value = "",
                                .old_text = "",
                                .edited_ts = "",
                                .command = ""};
}

static void read_author(const cJSON *m, struct slack_event *e)
{
    e->user = text_of(m, "user");
    e->bot_id = text_of(m, "bot_id");
    e->author_app = text_of(m, "app_id");
    e->ts = text_of(m, "ts");
    e->text = text_of(m, "text");
    e->thread_ts = text_of(m, "thread_ts");
    if (strcmp(e->thread_ts, e->ts) == 0) // a parent names itself once it has replies
        e->thread_ts = "";
    e->client_msg_id = text_of(m, "client_msg_id");
    e->files = json_arr(m, "files");
}

static void read_edit(const cJSON *event, struct slack_event *e)
{
    const cJSON *message = json_obj(event, "message");
    read_author(message, e);
    e->type = EVENT_EDIT;
    e->subtype = "";
    e->old_text = text_of(json_obj(event, "previous_message"), "text");
    e->edited_ts = text_of(json_obj(message, "edited"), "ts");
    if (!e->edited_ts[0] || strcmp(e->old_text, e->text) == 0) // a link that unfolded
        e->type = EVENT_NONE;
}

static void read_message(const cJSON *event, struct slack_event *e)
{
    e->channel = text_of(event, "channel");
    e->channel_type = text_of(event, "channel_type");
    e->subtype = text_of(event, "subtype");
    if (strcmp(e->subtype, "message_changed") == 0) {
        read_edit(event, e);
        return;
    }
    if (strcmp(e->subtype, "message_deleted") == 0)
        return;
    e->type = EVENT_MESSAGE;
    read_author(event, e);
}

static void read_reaction(const cJSON *event, struct slack_event *e)
{
    const cJSON *item = json_obj(event, "item");
    e->type = EVENT_REACTION;
    e->user = text_of(event, "user");
    e->reaction = text_of(event, "reaction");
    e->channel = text_of(item, "channel");
    e->ts = text_of(item, "ts");
}

static void read_callback(const cJSON *payload, struct slack_event *e)
{
    const cJSON *event = json_obj(payload, "event"); // app_rate_limited has none
    const char *type = text_of(event, "type");
    e->event_id = text_of(payload, "event_id");
    e->team = text_of(payload, "team_id");
    if (strcmp(type, "message") == 0)
        read_message(event, e);
    else if (strcmp(type, "reaction_added") == 0)
        read_reaction(event, e);
}

static void read_block_actions(const cJSON *payload, struct slack_event *e)
{
    const cJSON *user = json_obj(payload, "user"), *container = json_obj(payload, "container");
    const cJSON *action = cJSON_GetArrayItem(json_arr(payload, "actions"), 0);
    if (strcmp(text_of(payload, "type"), "block_actions") != 0 || !action)
        return;
    e->type = EVENT_BUTTON;
    e->user = text_of(user, "id");
    e->team = text_of(user, "team_id");
    if (!e->team[0])
        e->team = text_of(json_obj(payload, "team"), "id");
    e->channel = text_of(container, "channel_id");
    e->ts = text_of(container, "message_ts");
    e->thread_ts = text_of(container, "thread_ts");
    e->action = text_of(action, "action_id");
    e->value = text_of(action, "value");
}

static void read_command(const cJSON *payload, struct slack_event *e)
{
    e->type = EVENT_COMMAND;
    e->user = text_of(payload, "user_id");
    e->team = text_of(payload, "team_id");
    e->channel = text_of(payload, "channel_id");
    e->command = text_of(payload, "command");
    e->text = text_of(payload, "text");
}

int envelope_read(struct str text, struct envelope *ret_envelope)
{
    const char *why;
    struct envelope e = {.root = json_parse(text, &why), .event = no_event()};
    const char *type = json_str(e.root, "type");
    if (!type) {
        cJSON_Delete(e.root);
        return -EINVAL;
    }
    const cJSON *payload = json_obj(e.root, "payload");
    e.type = ENVELOPE_OTHER;
    e.id = text_of(e.root, "envelope_id");
    e.reason = text_of(e.root, "reason");
    e.app_id = text_of(json_obj(e.root, "connection_info"), "app_id");
    e.connections = json_int(e.root, "num_connections", 0);
    e.retry_attempt = json_int(e.root, "retry_attempt", 0);
    e.accepts_payload = json_bool(e.root, "accepts_response_payload", false);
    if (strcmp(type, "hello") == 0) {
        e.type = ENVELOPE_HELLO;
    } else if (strcmp(type, "disconnect") == 0) {
        e.type = ENVELOPE_DISCONNECT;
    } else if (strcmp(type, "events_api") == 0) {
        e.type = ENVELOPE_EVENTS;
        read_callback(payload, &e.event);
    } else if (strcmp(type, "interactive") == 0) {
        e.type = ENVELOPE_INTERACTIVE;
        read_block_actions(payload, &e.event);
    } else if (strcmp(type, "slash_commands") == 0) {
        e.type = ENVELOPE_COMMAND;
        read_command(payload, &e.event);
    }
    *ret_envelope = e;
    return 0;
}

void envelope_done(struct envelope *e)
{
    cJSON_Delete(e->root);
    e->root = NULL;
}

void event_from_history(const cJSON *message, const char *channel, struct slack_event *ret_event)
{
    struct slack_event e = no_event();
    e.type = EVENT_MESSAGE;
    e.subtype = text_of(message, "subtype");
    read_author(message, &e);
    e.channel = channel;
    *ret_event = e;
}

int64_t slack_ts_us(const char *ts)
{
    char *end;
    errno = 0;
    long long seconds = strtoll(ts, &end, 10);
    if (errno || end == ts || seconds < 0 || seconds > 100000000000ll || ts[0] == ' ')
        return 0;
    long long micro = 0;
    int digits = 0;
    if (*end == '.')
        for (end++; digits < 6 && *end >= '0' && *end <= '9'; end++, digits++)
            micro = micro * 10 + (*end - '0');
    for (; digits < 6; digits++)
        micro *= 10;
    return *end ? 0 : seconds * 1000000 + micro;
}
