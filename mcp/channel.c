#include "mcp/channel.h"

#include <errno.h>

static bool is_name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static bool is_meta_key(const char *key)
{
    size_t i = 0;
    while (key[i] && is_name_char(key[i], i == 0))
        i++;
    return i > 0 && !key[i];
}

static int send_object(struct mcp_server *s, const char *method, struct buf *params, bool is_event)
{
    int r = params->error ? params->error : mcp_notify(s, method, buf_str(params), is_event);
    buf_done(params);
    return r;
}

int channel_event(struct mcp_server *s, struct str content, const struct channel_meta *meta,
                  size_t n_meta)
{
    struct buf params = BUF_INIT(MCP_MAX_NOTIFICATION);
    struct jw w = JW(&params);
    jw_object(&w);
    jw_key(&w, "content");
    jw_strn(&w, content);
    jw_key(&w, "meta");
    jw_object(&w);
    for (size_t i = 0; i < n_meta; i++) {
        if (meta[i].value && meta[i].value[0] && is_meta_key(meta[i].key))
            jw_kstr(&w, meta[i].key, meta[i].value);
    }
    jw_object_end(&w);
    jw_object_end(&w);
    return send_object(s, "notifications/claude/channel", &params, true);
}

static bool is_request_id(const char *id)
{
    size_t i = 0;
    while (id[i] >= 'a' && id[i] <= 'z')
        i++;
    return i == 5 && !id[i];
}

static const char *text_of(const cJSON *params, const char *key)
{
    const char *s = json_str(params, key);
    return s ? s : "";
}

int channel_permission_read(const cJSON *params, struct channel_permission *ret_request)
{
    const char *id = text_of(params, "request_id");
    if (!is_request_id(id))
        return -EINVAL;
    *ret_request = (struct channel_permission){
        .request_id = id,
        .tool_name = text_of(params, "tool_name"),
        .description = text_of(params, "description"),
        .input_preview = text_of(params, "input_preview"),
    };
    return 0;
}

int channel_permission_answer(struct mcp_server *s, const char *request_id, bool allow)
{
    struct buf params = BUF_INIT(1024);
    struct jw w = JW(&params);
    if (!is_request_id(request_id))
        return -EINVAL;
    jw_object(&w);
    jw_kstr(&w, "request_id", request_id);
    jw_kstr(&w, "behavior", allow ? "allow" : "deny");
    jw_object_end(&w);
    return send_object(s, "notifications/claude/channel/permission", &params, false);
}
