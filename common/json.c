#include "common/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/bytes8.h"
#include "common/clock.h"
#include "common/json_scan.h"
#include "common/text.h"

#define REPLACEMENT "\xef\xbf\xbd" // U+FFFD
// cJSON reads a number through a buffer of 64 bytes and gives up on a longer one.
#define NUMBER_MAX 60
#define NUMBER_READ 512
#define MAX_SAFE 9007199254740992.0 // 2^53

static _Thread_local char why_text[96];

// The mending walks over text whose grammar json_scan has checked: escapes are whole, strings end.

static size_t mend_escape(struct buf *out, const char *p, size_t n)
{
    if (p[1] != 'u') {
        buf_add(out, p, 2);
        return 2;
    }
    unsigned u = json_scan_hex4(p + 2);
    if (u >= 0xd800 && u <= 0xdfff) {
        unsigned low =
            u < 0xdc00 && n >= 12 && p[6] == '\\' && p[7] == 'u' ? json_scan_hex4(p + 8) : 0;
        if (low >= 0xdc00 && low <= 0xdfff) {
            buf_add(out, p, 12);
            return 12;
        }
        buf_adds(out, REPLACEMENT);
    } else if (u) {
        buf_add(out, p, 6);
    }
    return 6;
}

static size_t mend_string(struct buf *out, const char *p, size_t n)
{
    size_t i = 1;
    buf_addc(out, '"');
    while (p[i] != '"') {
        size_t len = utf8_char_len(p + i, n - i);
        if (p[i] == '\\') {
            i += mend_escape(out, p + i, n - i);
        } else if (!len) {
            buf_adds(out, REPLACEMENT);
            i++;
        } else {
            buf_add(out, p + i, p[i] ? len : 0);
            i += len;
        }
    }
    buf_addc(out, '"');
    return i + 1;
}

static size_t mend_number(struct buf *out, const char *p, size_t n)
{
    size_t len = 0;
    while (len < n && p[len] && strchr("+-.eE0123456789", p[len]))
        len++;
    char digits[NUMBER_READ];
    if (len <= NUMBER_MAX) {
        buf_add(out, p, len);
    } else if (len < sizeof digits) {
        memcpy(digits, p, len);
        digits[len] = '\0';
        double v = strtod(digits, NULL);
        buf_addf(out, isfinite(v) ? "%.17g" : "null", v);
    } else {
        buf_adds(out, "null");
    }
    return len;
}

static int mend(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n && !out->error;) {
        const char *p = text.p + i;
        if (*p == '"') {
            i += mend_string(out, p, text.n - i);
        } else if (*p == '-' || (*p >= '0' && *p <= '9')) {
            i += mend_number(out, p, text.n - i);
        } else {
            buf_addc(out, *p);
            i++;
        }
    }
    return out->error;
}

static cJSON *parse_mended(struct str text)
{
    // An invalid byte grows to three.
    struct buf mended = BUF_INIT(text.n * 3 + 64);
    cJSON *tree = NULL;
    if (mend(&mended, text) == 0)
        tree = cJSON_ParseWithLengthOpts(mended.data, mended.len, NULL, false);
    buf_done(&mended);
    return tree;
}

cJSON *json_parse(struct str text, const char **ret_why)
{
    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        text = (struct str){text.p + 3, text.n - 3}; // a byte order mark
    struct json_scan s;
    struct str value;
    json_scan_init(&s, text, JSON_MAX_DEPTH);
    if (json_scan_value(&s, &value) < 0 || json_scan_end(&s) < 0) {
        snprintf(why_text, sizeof why_text, "not JSON at byte %zu: %s", json_scan_offset(&s),
                 s.why);
        *ret_why = why_text;
        return NULL;
    }
    cJSON *tree = NULL;
    bool whole = utf8_valid(value) && !memchr(value.p, 0, value.n) &&
                 !memmem(value.p, value.n, "\\u0000", 6);
    if (whole)
        tree = cJSON_ParseWithLengthOpts(value.p, value.n, NULL, false);
    if (!tree)
        tree = parse_mended(value);
    if (!tree)
        *ret_why = "out of memory while reading JSON";
    return tree;
}

const cJSON *json_get(const cJSON *obj, const char *key)
{
    return cJSON_IsObject(obj) ? cJSON_GetObjectItemCaseSensitive(obj, key) : NULL;
}

const char *json_str(const cJSON *obj, const char *key)
{
    return cJSON_GetStringValue(json_get(obj, key));
}

const cJSON *json_obj(const cJSON *obj, const char *key)
{
    const cJSON *v = json_get(obj, key);
    return cJSON_IsObject(v) ? v : NULL;
}

const cJSON *json_arr(const cJSON *obj, const char *key)
{
    const cJSON *v = json_get(obj, key);
    return cJSON_IsArray(v) ? v : NULL;
}

static bool is_whole(double v)
{
    return v >= -MAX_SAFE && v <= MAX_SAFE && v == (double)(int64_t)v;
}

int64_t json_int(const cJSON *obj, const char *key, int64_t fallback)
{
    const cJSON *v = json_get(obj, key);
    return cJSON_IsNumber(v) && is_whole(v->valuedouble) ? (int64_t)v->valuedouble : fallback;
}

bool json_bool(const cJSON *obj, const char *key, bool fallback)
{
    const cJSON *v = json_get(obj, key);
    return cJSON_IsBool(v) ? cJSON_IsTrue(v) : fallback;
}

// A value is about to be written: the comma it needs.
static void begin_value(struct jw *w)
{
    uint64_t bit = (uint64_t)1 << w->depth;
    if (!w->after_key && w->depth) {
        if (w->has_member & bit)
            buf_addc(w->out, ',');
        w->has_member |= bit;
    }
    w->after_key = false;
}

static void open_bracket(struct jw *w, char c)
{
    begin_value(w);
    if (w->depth >= JSON_MAX_DEPTH - 1) {
        w->out->error = w->out->error ? w->out->error : -EINVAL;
        return;
    }
    w->depth++;
    w->has_member &= ~((uint64_t)1 << w->depth);
    buf_addc(w->out, c);
}

static void close_bracket(struct jw *w, char c)
{
    if (w->depth)
        w->depth--;
    buf_addc(w->out, c);
}

void jw_object(struct jw *w)
{
    open_bracket(w, '{');
}

void jw_object_end(struct jw *w)
{
    close_bracket(w, '}');
}

void jw_array(struct jw *w)
{
    open_bracket(w, '[');
}

void jw_array_end(struct jw *w)
{
    close_bracket(w, ']');
}

static size_t add_escaped(struct buf *out, const char *p, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char c = (unsigned char)*p;
    static const char *const names = "b\bf\fn\nr\rt\t\"\"\\\\";
    for (const char *name = names; *name; name += 2) {
        if (name[1] == (char)c) {
            buf_add(out, (const char[]){'\\', name[0]}, 2);
            return 1;
        }
    }
    if (c < 0x20) {
        buf_add(out, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        return 1;
    }
    size_t len = utf8_char_len(p, n);
    if (len)
        buf_add(out, p, len);
    else
        buf_adds(out, REPLACEMENT);
    return len ? len : 1;
}

// The leading run that a JSON string holds as it is.
static size_t literal_len(const char *p, size_t n)
{
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        uint64_t w = bytes8_load(p + i);
        uint64_t other = bytes8_below(w, 0x20) | bytes8_equal(w, '"') | bytes8_equal(w, '\\') |
                         (w & BYTES8_TOPS);
        if (other)
            return i + bytes8_first(other);
    }
    for (; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
    }
    return i;
}

static void add_string(struct buf *out, struct str s)
{
    buf_reserve(out, s.n + 2);
    buf_addc(out, '"');
    for (size_t i = 0; i < s.n && !out->error;) {
        size_t run = literal_len(s.p + i, s.n - i);
        buf_add(out, s.p + i, run);
        i += run;
        if (i < s.n)
            i += add_escaped(out, s.p + i, s.n - i);
    }
    buf_addc(out, '"');
}

void jw_key(struct jw *w, const char *key)
{
    jw_keyn(w, str_of(key));
}

void jw_keyn(struct jw *w, struct str key)
{
    begin_value(w);
    add_string(w->out, key);
    buf_addc(w->out, ':');
    w->after_key = true;
}

void jw_str(struct jw *w, const char *s)
{
    if (s)
        jw_strn(w, str_of(s));
    else
        jw_null(w);
}

void jw_strn(struct jw *w, struct str s)
{
    begin_value(w);
    add_string(w->out, s);
}

void jw_int(struct jw *w, int64_t v)
{
    char digits[24];
    size_t i = sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        digits[--i] = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        digits[--i] = '-';
    begin_value(w);
    buf_add(w->out, digits + i, sizeof digits - i);
}

void jw_num(struct jw *w, double v)
{
    if (!isfinite(v)) {
        jw_null(w);
        return;
    }
    if (is_whole(v)) {
        jw_int(w, (int64_t)v);
        return;
    }
    char text[32];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    begin_value(w);
    buf_adds(w->out, text);
}

void jw_bool(struct jw *w, bool v)
{
    jw_raw(w, str_of(v ? "true" : "false"));
}

void jw_null(struct jw *w)
{
    jw_raw(w, str_of("null"));
}

void jw_raw(struct jw *w, struct str json)
{
    begin_value(w);
    buf_add(w->out, json.p, json.n);
}

// As deep as the value is, which the writer's own limit bounds: beyond it nothing is written any
// more.
void jw_cjson(struct jw *w, const cJSON *v)
{
    if (w->out->error)
        return;
    if (cJSON_IsString(v)) {
        jw_str(w, v->valuestring);
    } else if (cJSON_IsNumber(v)) {
        jw_num(w, v->valuedouble);
    } else if (cJSON_IsBool(v)) {
        jw_bool(w, cJSON_IsTrue(v));
    } else if (cJSON_IsRaw(v)) {
        jw_raw(w, str_of(v->valuestring));
    } else if (cJSON_IsArray(v)) {
        jw_array(w);
        for (const cJSON *item = v->child; item; item = item->next)
            jw_cjson(w, item);
        jw_array_end(w);
    } else if (cJSON_IsObject(v)) {
        jw_object(w);
        for (const cJSON *item = v->child; item; item = item->next) {
            jw_key(w, item->string);
            jw_cjson(w, item);
        }
        jw_object_end(w);
    } else {
        jw_null(w);
    }
}

void jw_kstr(struct jw *w, const char *key, const char *s)
{
    jw_key(w, key);
    jw_str(w, s);
}

void jw_kint(struct jw *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_int(w, v);
}

void jw_kbool(struct jw *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}

void jw_ktime(struct jw *w, const char *key, int64_t wall_ms)
{
    char text[RFC3339_SIZE];
    jw_key(w, key);
    jw_str(w, wall_ms ? rfc3339_format(wall_ms, text) : NULL);
}
