#include "mcp/rpc.h"

#include <stdio.h>

#include "common/json_scan.h"
#include "common/text.h"

const struct str rpc_no_id = {"null", 4};

// `raw` is a key as it stands between its quotes, so the quoted text is there on both sides.
static bool key_is(struct str raw, const char *key)
{
    if (!memchr(raw.p, '\\', raw.n))
        return str_is(raw, key);
    const char *why;
    cJSON *decoded = json_parse((struct str){raw.p - 1, raw.n + 2}, &why);
    bool same = cJSON_IsString(decoded) && strcmp(decoded->valuestring, key) == 0;
    cJSON_Delete(decoded);
    return same;
}

bool rpc_member(struct str object, const char *key, struct str *ret_value)
{
    struct json_scan scan;
    struct str name, value, found = {NULL, 0};
    json_scan_init(&scan, object, JSON_MAX_DEPTH);
    if (json_scan_enter(&scan, '{') < 0)
        return false;
    while (json_scan_member(&scan, &name, &value) > 0) {
        if (key_is(name, key))
            found = value;
    }
    if (!found.p || scan.why)
        return false;
    *ret_value = found;
    return true;
}

// The id goes back as it is: it must stay one line of valid UTF-8.
static bool id_is_valid(struct str id)
{
    if (id.n == 0 || id.n > RPC_MAX_ID ||
        !(id.p[0] == '"' || id.p[0] == '-' || (id.p[0] >= '0' && id.p[0] <= '9')))
        return false;
    for (size_t i = 0; i < id.n; i++) {
        if ((unsigned char)id.p[i] < 0x20)
            return false;
    }
    return utf8_valid(id);
}

static bool read_method(struct str value, char out[RPC_MAX_METHOD])
{
    const char *why;
    cJSON *decoded = value.p[0] == '"' ? json_parse(value, &why) : NULL;
    if (!cJSON_IsString(decoded)) {
        cJSON_Delete(decoded);
        return false;
    }
    struct str method = str_of(decoded->valuestring);
    method.n = utf8_prefix(method, RPC_MAX_METHOD - 1);
    memcpy(out, method.p, method.n);
    out[method.n] = '\0';
    cJSON_Delete(decoded);
    return true;
}

static void invalid(struct rpc_msg *m, int code, const char *why)
{
    m->kind = RPC_INVALID;
    m->code = code;
    m->why = why;
}

enum { JSONRPC, ID, METHOD, PARAMS, RESULT, ERROR, N_MEMBERS };
static const char *const member_names[N_MEMBERS] = {"jsonrpc", "id",     "method",
                                                    "params",  "result", "error"};

// Slices of the members that JSON-RPC knows; others are passed over. False when one is there twice:
// readers differ in which of the two they take.
static bool read_members(struct str object, struct str members[N_MEMBERS])
{
    struct json_scan scan;
    struct str name, value;
    json_scan_init(&scan, object, JSON_MAX_DEPTH);
    if (json_scan_enter(&scan, '{') < 0)
        return false;
    while (json_scan_member(&scan, &name, &value) > 0) {
        for (size_t i = 0; i < N_MEMBERS; i++) {
            if (!key_is(name, member_names[i]))
                continue;
            if (members[i].p)
                return false;
            members[i] = value;
        }
    }
    return !scan.why;
}

static void read_object(struct str object, struct rpc_msg *m)
{
    struct str got[N_MEMBERS] = {{NULL, 0}};
    if (!read_members(object, got)) {
        invalid(m, RPC_INVALID_REQUEST, "a member is named twice");
        return;
    }
    bool has_id = got[ID].p != NULL, good_id = has_id && id_is_valid(got[ID]);
    if (good_id)
        m->id = got[ID];
    if (got[PARAMS].p && !str_is(got[PARAMS], "null"))
        m->params = got[PARAMS];

    if (!got[JSONRPC].p || !str_is(got[JSONRPC], "\"2.0\""))
        invalid(m, RPC_INVALID_REQUEST, "jsonrpc must be \"2.0\"");
    else if (!got[METHOD].p && (got[RESULT].p || got[ERROR].p))
        m->kind = RPC_RESPONSE;
    else if (has_id && !good_id)
        invalid(m, RPC_INVALID_REQUEST, "id must be a string or a number, of at most 1024 bytes");
    else if (!got[METHOD].p || !read_method(got[METHOD], m->method))
        invalid(m, RPC_INVALID_REQUEST, "method must be a string");
    else
        m->kind = has_id ? RPC_REQUEST : RPC_NOTIFICATION;
}

void rpc_read(struct str line, struct rpc_msg *ret_msg)
{
    struct json_scan scan;
    struct str value;
    *ret_msg = (struct rpc_msg){.id = rpc_no_id};
    json_scan_init(&scan, line, JSON_MAX_DEPTH);
    if (json_scan_value(&scan, &value) < 0 || json_scan_end(&scan) < 0)
        invalid(ret_msg, RPC_PARSE_ERROR, scan.why ? scan.why : "not JSON");
    else if (value.p[0] == '[')
        invalid(ret_msg, RPC_INVALID_REQUEST, "batches are not part of MCP");
    else if (value.p[0] != '{')
        invalid(ret_msg, RPC_INVALID_REQUEST, "a message is an object");
    else
        read_object(value, ret_msg);
}

bool rpc_is_clean_object(struct str json)
{
    struct json_scan scan;
    struct str value;
    for (size_t i = 0; i < json.n; i++) {
        if ((unsigned char)json.p[i] < 0x20)
            return false;
    }
    json_scan_init(&scan, json, JSON_MAX_DEPTH);
    return json_scan_value(&scan, &value) == 0 && value.p[0] == '{' && json_scan_end(&scan) == 0 &&
           utf8_valid(json);
}

static void open_message(struct jw *w)
{
    jw_object(w);
    jw_kstr(w, "jsonrpc", "2.0");
}

static void close_message(struct jw *w)
{
    jw_object_end(w);
    buf_addc(w->out, '\n');
}

struct jw rpc_open_result(struct buf *out, struct str id)
{
    struct jw w = JW(out);
    open_message(&w);
    jw_key(&w, "id");
    jw_raw(&w, id);
    jw_key(&w, "result");
    return w;
}

void rpc_close_result(struct jw *w)
{
    close_message(w);
}

void rpc_write_error(struct buf *out, struct str id, int code, const char *message)
{
    struct jw w = JW(out);
    open_message(&w);
    jw_key(&w, "id");
    jw_raw(&w, id);
    jw_key(&w, "error");
    jw_object(&w);
    jw_kint(&w, "code", code);
    jw_kstr(&w, "message", message);
    jw_object_end(&w);
    close_message(&w);
}

struct str rpc_no_memory(char line[RPC_NO_MEMORY], struct str id)
{
    int n = snprintf(line, RPC_NO_MEMORY,
                     "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"error\":{\"code\":%d,\"message\":"
                     "\"out of memory\"}}\n",
                     (int)id.n, id.p, RPC_INTERNAL_ERROR);
    return (struct str){line, (size_t)n};
}

void rpc_write_notification(struct buf *out, const char *method, struct str params_json)
{
    struct jw w = JW(out);
    open_message(&w);
    jw_kstr(&w, "method", method);
    if (params_json.p) {
        jw_key(&w, "params");
        jw_raw(&w, params_json);
    }
    close_message(&w);
}
