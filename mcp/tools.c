#include "mcp/tools.h"

#include <errno.h>
#include <math.h> // isfinite: a macro, libm is not linked

#include "common/text.h"

#define MAX_SAFE_INTEGER 9007199254740991.0 // 2^53 - 1: beyond it JSON readers disagree
#define SHOWN 64                            // bytes of the client's text in an error

static bool is_list(enum mcp_type type)
{
    return type == MCP_INTEGERS || type == MCP_STRINGS;
}

static enum mcp_type item_type(enum mcp_type type)
{
    return type == MCP_INTEGERS ? MCP_INTEGER : type == MCP_STRINGS ? MCP_STRING : type;
}

static const char *type_name(enum mcp_type type)
{
    switch (type) {
    case MCP_STRING:
        return "string";
    case MCP_INTEGER:
        return "integer";
    case MCP_NUMBER:
        return "number";
    case MCP_BOOLEAN:
        return "boolean";
    case MCP_INTEGERS:
    case MCP_STRINGS:
        break;
    }
    return "array";
}

static bool is_whole(double v)
{
    return v >= -MAX_SAFE_INTEGER && v <= MAX_SAFE_INTEGER && v == (double)(int64_t)v;
}

static void write_bound(struct jw *w, const char *key, double bound)
{
    jw_key(w, key);
    if (is_whole(bound))
        jw_int(w, (int64_t)bound);
    else
        jw_num(w, bound);
}

// The members of a schema that describe one value: a parameter's, or an item's of a list.
static void write_value_schema(struct jw *w, const struct mcp_param *p)
{
    enum mcp_type type = item_type(p->type);
    bool is_number = type == MCP_INTEGER || type == MCP_NUMBER;
    jw_kstr(w, "type", type_name(type));
    if (p->one_of) {
        jw_key(w, "enum");
        jw_array(w);
        for (const char *const *word = p->one_of; *word; word++)
            jw_str(w, *word);
        jw_array_end(w);
    }
    if (p->max != 0 && type != MCP_BOOLEAN) {
        if (is_number || p->min != 0)
            write_bound(w, is_number ? "minimum" : "minLength", p->min);
        write_bound(w, is_number ? "maximum" : "maxLength", p->max);
    }
}

static void write_param(struct jw *w, const struct mcp_param *p)
{
    jw_key(w, p->name);
    jw_object(w);
    if (is_list(p->type)) {
        jw_kstr(w, "type", "array");
        jw_key(w, "items");
        jw_object(w);
        write_value_schema(w, p);
        jw_object_end(w);
        jw_kint(w, "minItems", 1);
        if (p->max_items)
            jw_kint(w, "maxItems", (int64_t)p->max_items);
    } else {
        write_value_schema(w, p);
    }
    if (p->description)
        jw_kstr(w, "description", p->description);
    jw_object_end(w);
}

static void write_input_schema(struct jw *w, const struct mcp_tool *tool)
{
    size_t n_required = 0;
    jw_object(w);
    jw_kstr(w, "type", "object");
    jw_key(w, "properties");
    jw_object(w);
    for (size_t i = 0; i < tool->n_params; i++) {
        write_param(w, &tool->params[i]);
        n_required += tool->params[i].required;
    }
    jw_object_end(w);
    if (n_required > 0) {
        jw_key(w, "required");
        jw_array(w);
        for (size_t i = 0; i < tool->n_params; i++) {
            if (tool->params[i].required)
                jw_str(w, tool->params[i].name);
        }
        jw_array_end(w);
    }
    jw_kbool(w, "additionalProperties", false);
    jw_object_end(w);
}

// All four hints are written: the specification's defaults are the alarming ones.
static void write_annotations(struct jw *w, const struct mcp_tool *tool)
{
    jw_object(w);
    if (tool->title)
        jw_kstr(w, "title", tool->title);
    jw_kbool(w, "readOnlyHint", tool->flags & MCP_READ_ONLY);
    jw_kbool(w, "destructiveHint", tool->flags & MCP_DESTRUCTIVE);
    jw_kbool(w, "idempotentHint", tool->flags & MCP_IDEMPOTENT);
    jw_kbool(w, "openWorldHint", tool->flags & MCP_OPEN_WORLD);
    jw_object_end(w);
}

static void write_tool(struct jw *w, const struct mcp_tool *tool)
{
    jw_object(w);
    jw_kstr(w, "name", tool->name);
    if (tool->title)
        jw_kstr(w, "title", tool->title);
    jw_kstr(w, "description", tool->description);
    jw_key(w, "inputSchema");
    write_input_schema(w, tool);
    jw_key(w, "annotations");
    write_annotations(w, tool);
    if (tool->flags & MCP_ALWAYS_LOAD) {
        jw_key(w, "_meta");
        jw_object(w);
        jw_kbool(w, "anthropic/alwaysLoad", true);
        jw_object_end(w);
    }
    jw_object_end(w);
}

void mcp_tools_write(struct jw *w, const struct mcp_tool *tools, size_t n)
{
    jw_array(w);
    for (size_t i = 0; i < n; i++)
        write_tool(w, &tools[i]);
    jw_array_end(w);
}

const struct mcp_tool *mcp_tool_find(const struct mcp_tool *tools, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(tools[i].name, name) == 0)
            return &tools[i];
    }
    return NULL;
}

// What is being checked, for the message: "name" or "name[3]".
struct subject {
    const struct mcp_param *param;
    long item; // -1: the value itself
    struct buf *why;
};

static void say_subject(const struct subject *s)
{
    buf_adds(s->why, s->param->name);
    if (s->item >= 0)
        buf_addf(s->why, "[%ld]", s->item);
    buf_adds(s->why, " must be ");
}

static int fail(const struct subject *s, const char *rule)
{
    say_subject(s);
    buf_adds(s->why, rule);
    return -EINVAL;
}

static int check_number(const struct subject *s, const cJSON *value, bool whole)
{
    const struct mcp_param *p = s->param;
    double v = value->valuedouble;
    if (!cJSON_IsNumber(value) || !isfinite(v) || (whole && !is_whole(v)))
        return fail(s, whole ? "a whole number" : "a number");
    if (p->max != 0 && (v < p->min || v > p->max)) {
        say_subject(s);
        buf_addf(s->why, "from %.15g to %.15g", p->min, p->max);
        return -EINVAL;
    }
    return 0;
}

static int check_word(const struct subject *s, const char *value)
{
    const char *const *word = s->param->one_of;
    while (*word && strcmp(*word, value) != 0)
        word++;
    if (*word)
        return 0;
    say_subject(s);
    buf_adds(s->why, "one of ");
    for (word = s->param->one_of; *word; word++)
        buf_addf(s->why, "%s%s", word == s->param->one_of ? "" : ", ", *word);
    return -EINVAL;
}

static int check_string(const struct subject *s, const cJSON *value)
{
    const struct mcp_param *p = s->param;
    if (!cJSON_IsString(value))
        return fail(s, "a string");
    if (p->one_of)
        return check_word(s, value->valuestring);
    if (p->max == 0)
        return 0;
    size_t n = utf8_count(str_of(value->valuestring));
    if ((double)n >= p->min && (double)n <= p->max)
        return 0;
    say_subject(s);
    if ((double)n > p->max)
        buf_addf(s->why, "at most %.15g characters long; it has %zu", p->max, n);
    else if (p->min == 1)
        buf_adds(s->why, "a string that is not empty");
    else
        buf_addf(s->why, "at least %.15g characters long; it has %zu", p->min, n);
    return -EINVAL;
}

static int check_scalar(const struct subject *s, const cJSON *value)
{
    switch (item_type(s->param->type)) {
    case MCP_INTEGER:
        return check_number(s, value, true);
    case MCP_NUMBER:
        return check_number(s, value, false);
    case MCP_BOOLEAN:
        return cJSON_IsBool(value) ? 0 : fail(s, "true or false");
    case MCP_STRING:
    case MCP_INTEGERS:
    case MCP_STRINGS:
        break;
    }
    return check_string(s, value);
}

static int check_list(struct subject *s, const cJSON *list)
{
    const struct mcp_param *p = s->param;
    const cJSON *item;
    size_t n = 0;
    if (!cJSON_IsArray(list))
        return fail(s, p->type == MCP_INTEGERS ? "a list of whole numbers" : "a list of strings");
    cJSON_ArrayForEach(item, list) n++;
    if (n == 0)
        return fail(s, "a list of at least one item");
    if (p->max_items && n > p->max_items) {
        say_subject(s);
        buf_addf(s->why, "a list of at most %zu items; it has %zu", p->max_items, n);
        return -EINVAL;
    }
    cJSON_ArrayForEach(item, list)
    {
        s->item++;
        int r = check_scalar(s, item);
        if (r < 0)
            return r;
    }
    return 0;
}

static size_t param_index(const struct mcp_tool *tool, const char *name)
{
    size_t i = 0;
    while (i < tool->n_params && strcmp(tool->params[i].name, name) != 0)
        i++;
    return i;
}

static int fail_unknown(const struct mcp_tool *tool, const char *name, struct buf *why)
{
    text_clean(why, str_of(name), SHOWN, TEXT_ONE_LINE);
    buf_addf(why, " is not an argument of %s", tool->name);
    for (size_t i = 0; i < tool->n_params; i++)
        buf_addf(why, "%s%s", i == 0 ? "; it takes " : ", ", tool->params[i].name);
    return -EINVAL;
}

int mcp_tool_check(const struct mcp_tool *tool, const cJSON *args, struct buf *ret_why)
{
    uint64_t seen = 0;
    const cJSON *value;
    cJSON_ArrayForEach(value, args)
    {
        size_t i = param_index(tool, value->string);
        if (i == tool->n_params || i >= MCP_MAX_PARAMS)
            return fail_unknown(tool, value->string, ret_why);
        struct subject s = {&tool->params[i], -1, ret_why};
        if (seen & (UINT64_C(1) << i))
            return fail(&s, "given once");
        seen |= UINT64_C(1) << i;
        int r = is_list(s.param->type) ? check_list(&s, value) : check_scalar(&s, value);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < tool->n_params; i++) {
        if (tool->params[i].required && !(seen & (UINT64_C(1) << i))) {
            buf_addf(ret_why, "%s is required", tool->params[i].name);
            return -EINVAL;
        }
    }
    return 0;
}
