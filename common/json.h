#pragma once

// JSON in and out. Reading is tolerant where senders are sloppy, and bounded; writing streams into
// a buffer, so that nothing is built twice. The only place that knows how a JSON string is escaped.

#include <cjson/cJSON.h>

#include "common/buf.h"

#define JSON_MAX_DEPTH 64

// Parses one JSON text. Before parsing, what cJSON would refuse or cut is mended inside strings:
// \u0000 and raw NUL are dropped, lone surrogates and invalid UTF-8 become U+FFFD:
// what a sender escaped badly is no reason to lose its alert. Nesting beyond JSON_MAX_DEPTH is an
// error. Returns the tree, which the caller deletes with cJSON_Delete, or NULL; then *ret_why is a
// static text such as "not JSON at byte 17" held in a per-thread buffer until the next call.
cJSON *json_parse(struct str text, const char **ret_why) MUST_CHECK;

// Getters: NULL / fallback when obj is not an object, the key is missing, or the type is another.
const cJSON *json_get(const cJSON *obj, const char *key); // any type; case-sensitive
const char *json_str(const cJSON *obj, const char *key);
const cJSON *json_obj(const cJSON *obj, const char *key);
const cJSON *json_arr(const cJSON *obj, const char *key);
int64_t json_int(const cJSON *obj, const char *key, int64_t fallback); // whole numbers within 2^53
bool json_bool(const cJSON *obj, const char *key, bool fallback);

// Writer. Commas and nesting are its own business; errors stick in the buffer.
struct jw {
    struct buf *out; // borrowed
    unsigned depth;
    uint64_t has_member; // a bit a level: a comma is due
    bool after_key;
};

#define JW(buffer) ((struct jw){.out = (buffer)})

void jw_object(struct jw *w);
void jw_object_end(struct jw *w);
void jw_array(struct jw *w);
void jw_array_end(struct jw *w);
void jw_key(struct jw *w, const char *key);
void jw_keyn(struct jw *w, struct str key);
void jw_str(struct jw *w, const char *s); // NULL writes null
void jw_strn(struct jw *w, struct str s); // invalid UTF-8 becomes U+FFFD
void jw_int(struct jw *w, int64_t v);
void jw_num(struct jw *w, double v); // NaN and infinities write null
void jw_bool(struct jw *w, bool v);
void jw_null(struct jw *w);
void jw_raw(struct jw *w, struct str json); // JSON text made elsewhere, passed through
void jw_cjson(struct jw *w, const cJSON *value);

// A member in one call.
void jw_kstr(struct jw *w, const char *key, const char *s);
void jw_kint(struct jw *w, const char *key, int64_t v);
void jw_kbool(struct jw *w, const char *key, bool v);
void jw_ktime(struct jw *w, const char *key, int64_t wall_ms); // RFC 3339 UTC; 0 writes null
