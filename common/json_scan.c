#include "common/json_scan.h"

#include <errno.h>

#include "common/bytes8.h"
#include "common/text.h"

// Levels that the bit stack of json_scan_value holds; max_depth is clamped to it.
#define SCAN_LEVELS 256

struct levels {
    uint64_t is_object[SCAN_LEVELS / 64];
    unsigned depth;
};

void json_scan_init(struct json_scan *s, struct str text, unsigned max_depth)
{
    const char *p = text.n ? text.p : "";
    *s = (struct json_scan){
        .start = p,
        .p = p,
        .end = p + text.n,
        .max_depth = max_depth < SCAN_LEVELS ? max_depth : SCAN_LEVELS,
    };
}

static int fail(struct json_scan *s, const char *why)
{
    if (!s->why)
        s->why = why;
    return -EINVAL;
}

static void skip_space(struct json_scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

static bool is_digit(const struct json_scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int scan_escape(struct json_scan *s)
{
    s->p++;
    if (s->p == s->end)
        return fail(s, "unfinished string");
    switch (*s->p++) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 0;
    case 'u':
        break;
    default:
        return fail(s, "unknown escape");
    }
    for (int i = 0; i < 4; i++, s->p++) {
        if (s->p == s->end || !is_hex(*s->p))
            return fail(s, "bad \\u escape");
    }
    return 0;
}

// The next quote or backslash, or the end.
static const char *find_quote(const char *p, const char *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t w = bytes8_load(p);
        uint64_t mask = bytes8_equal(w, '"') | bytes8_equal(w, '\\');
        if (mask)
            return p + bytes8_first(mask);
    }
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p;
}

static int scan_string(struct json_scan *s)
{
    s->p++;
    while (s->p < s->end) {
        s->p = find_quote(s->p, s->end);
        if (s->p == s->end)
            break;
        if (*s->p == '"') {
            s->p++;
            return 0;
        }
        int r = scan_escape(s);
        if (r < 0)
            return r;
    }
    return fail(s, "unfinished string");
}

static int scan_digits(struct json_scan *s)
{
    if (!is_digit(s))
        return fail(s, "bad number");
    while (is_digit(s))
        s->p++;
    return 0;
}

static int scan_number(struct json_scan *s)
{
    if (*s->p == '-')
        s->p++;
    const char *digits = s->p;
    if (scan_digits(s) < 0)
        return -EINVAL;
    if (*digits == '0' && s->p - digits > 1)
        return fail(s, "number with a leading zero");
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (scan_digits(s) < 0)
            return -EINVAL;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return scan_digits(s);
    }
    return 0;
}

static int scan_word(struct json_scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return fail(s, "expected a value");
    s->p += n;
    return 0;
}

static int scan_scalar(struct json_scan *s)
{
    switch (*s->p) {
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        if (*s->p == '-' || is_digit(s))
            return scan_number(s);
        return fail(s, "expected a value");
    }
}

static int scan_key(struct json_scan *s)
{
    skip_space(s);
    if (s->p == s->end || *s->p != '"')
        return fail(s, "expected a key");
    if (scan_string(s) < 0)
        return -EINVAL;
    skip_space(s);
    if (s->p == s->end || *s->p != ':')
        return fail(s, "expected ':'");
    s->p++;
    return 0;
}

static bool in_object(const struct levels *l)
{
    return l->is_object[(l->depth - 1) / 64] >> ((l->depth - 1) % 64) & 1;
}

static int push(struct json_scan *s, struct levels *l, bool object)
{
    if (l->depth >= s->max_depth)
        return fail(s, "nested too deeply");
    uint64_t bit = (uint64_t)1 << (l->depth % 64);
    uint64_t *word = &l->is_object[l->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    l->depth++;
    s->p++;
    return 0;
}

// After a value: closes what ends here, up to the comma that asks for another one. 1 = another
// value follows, 0 = all is closed.
static int scan_closing(struct json_scan *s, struct levels *l)
{
    while (l->depth) {
        bool object = in_object(l);
        skip_space(s);
        if (s->p == s->end)
            return fail(s, "unexpected end");
        if (*s->p == ',') {
            s->p++;
            return object && scan_key(s) < 0 ? -EINVAL : 1;
        }
        if (*s->p != (object ? '}' : ']'))
            return fail(s, object ? "expected ',' or '}'" : "expected ',' or ']'");
        s->p++;
        l->depth--;
    }
    return 0;
}

// An opening bracket at the cursor. 1 = a value follows, 0 = it was empty and is closed.
static int scan_opening(struct json_scan *s, struct levels *l)
{
    bool object = *s->p == '{';
    if (push(s, l, object) < 0)
        return -EINVAL;
    skip_space(s);
    if (s->p < s->end && *s->p == (object ? '}' : ']')) {
        s->p++;
        l->depth--;
        return 0;
    }
    return object && scan_key(s) < 0 ? -EINVAL : 1;
}

int json_scan_value(struct json_scan *s, struct str *ret_value)
{
    struct levels l = {.depth = 0};
    skip_space(s);
    const char *begin = s->p;
    int more;
    do {
        skip_space(s);
        if (s->p == s->end)
            return fail(s, "unexpected end");
        if (*s->p == '{' || *s->p == '[')
            more = scan_opening(s, &l);
        else
            more = scan_scalar(s);
        if (more == 0)
            more = scan_closing(s, &l);
    } while (more > 0);
    if (more < 0)
        return more;
    *ret_value = (struct str){begin, (size_t)(s->p - begin)};
    return 0;
}

int json_scan_enter(struct json_scan *s, char open)
{
    if (json_scan_peek(s) != open)
        return fail(s, open == '{' ? "expected an object" : "expected an array");
    s->p++;
    s->entered = true;
    return 0;
}

// Stands the cursor before the next member or element. 1 = there is one, 0 = the closing bracket
// was read.
static int next_item(struct json_scan *s, char open, char close)
{
    bool first = s->entered;
    s->entered = false;
    char c = json_scan_peek(s);
    if (c == close) {
        s->p++;
        return 0;
    }
    if (first)
        return 1;
    if (c != ',')
        return fail(s, open == '{' ? "expected ',' or '}'" : "expected ',' or ']'");
    s->p++;
    return 1;
}

int json_scan_key(struct json_scan *s, struct str *ret_key)
{
    int r = next_item(s, '{', '}');
    if (r <= 0)
        return r;
    skip_space(s);
    const char *key = s->p + 1;
    if (scan_key(s) < 0)
        return -EINVAL;
    const char *end = s->p - 1;
    while (*end != '"')
        end--;
    *ret_key = (struct str){key, (size_t)(end - key)};
    return 1;
}

int json_scan_item(struct json_scan *s)
{
    return next_item(s, '[', ']');
}

int json_scan_member(struct json_scan *s, struct str *ret_key, struct str *ret_value)
{
    struct str key, value;
    int r = json_scan_key(s, &key);
    if (r <= 0)
        return r;
    if (json_scan_value(s, &value) < 0)
        return -EINVAL;
    *ret_key = key;
    *ret_value = value;
    return 1;
}

int json_scan_element(struct json_scan *s, struct str *ret_value)
{
    int r = json_scan_item(s);
    if (r <= 0)
        return r;
    return json_scan_value(s, ret_value) < 0 ? -EINVAL : 1;
}

int json_scan_end(struct json_scan *s)
{
    skip_space(s);
    return s->p == s->end ? 0 : fail(s, "text after the end");
}

char json_scan_peek(struct json_scan *s)
{
    skip_space(s);
    return s->p < s->end ? *s->p : '\0';
}

size_t json_scan_offset(const struct json_scan *s)
{
    return (size_t)(s->p - s->start);
}

unsigned json_scan_hex4(const char *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        v = v << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

static void add_code_point(struct buf *out, unsigned c)
{
    char u[4];
    if (c < 0x80) {
        if (c)
            buf_addc(out, (char)c);
    } else if (c < 0x800) {
        u[0] = (char)(0xc0 | c >> 6);
        u[1] = (char)(0x80 | (c & 0x3f));
        buf_add(out, u, 2);
    } else if (c < 0x10000) {
        u[0] = (char)(0xe0 | c >> 12);
        u[1] = (char)(0x80 | (c >> 6 & 0x3f));
        u[2] = (char)(0x80 | (c & 0x3f));
        buf_add(out, u, 3);
    } else {
        u[0] = (char)(0xf0 | c >> 18);
        u[1] = (char)(0x80 | (c >> 12 & 0x3f));
        u[2] = (char)(0x80 | (c >> 6 & 0x3f));
        u[3] = (char)(0x80 | (c & 0x3f));
        buf_add(out, u, 4);
    }
}

// One escape at p; returns its length with the second half of a surrogate pair.
static size_t unescape(struct buf *out, const char *p, size_t n)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    if (p[1] != 'u') {
        const char *at = strchr(from, p[1]);
        buf_addc(out, at ? to[at - from] : p[1]);
        return 2;
    }
    unsigned u = json_scan_hex4(p + 2);
    if (u < 0xd800 || u > 0xdfff) {
        add_code_point(out, u);
        return 6;
    }
    unsigned low = u < 0xdc00 && n >= 12 && p[6] == '\\' && p[7] == 'u' ? json_scan_hex4(p + 8) : 0;
    if (low < 0xdc00 || low > 0xdfff) {
        add_code_point(out, 0xfffd);
        return 6;
    }
    add_code_point(out, 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00));
    return 12;
}

int json_scan_text(struct buf *out, struct str raw)
{
    size_t i = 0;
    while (i < raw.n && !out->error) {
        const char *p = raw.p + i;
        size_t len = text_plain_len((struct str){p, raw.n - i});
        const char *escape = len ? memchr(p, '\\', len) : NULL;
        if (escape != p && len) {
            len = escape ? (size_t)(escape - p) : len;
            buf_add(out, p, len);
        } else if (*p == '\\') {
            len = unescape(out, p, raw.n - i);
        } else if ((len = utf8_char_len(p, raw.n - i)) == 0) {
            len = 1;
            add_code_point(out, 0xfffd);
        } else if (*p) {
            buf_add(out, p, len);
        }
        i += len;
    }
    return out->error;
}
