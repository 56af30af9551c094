#include "common/http_head.h"

#include <errno.h>
#include <strings.h>

enum head_state {
    BEFORE,
    BEFORE_LF,
    REQUEST_LINE,
    LINE_LF,
    LINE_START,
    NAME,
    VALUE,
    END_LF,
    WHOLE
};

// tchar of RFC 9110, 5.6.2.
static bool is_token(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

// The state after byte c, or -EINVAL where the grammar has no such byte.
static int next_state(int state, unsigned char c)
{
    switch (state) {
    case BEFORE:
        return c == '\r' ? BEFORE_LF : is_token(c) ? REQUEST_LINE : -EINVAL;
    case BEFORE_LF:
        return c == '\n' ? BEFORE : -EINVAL;
    case REQUEST_LINE:
        return c == '\r' ? LINE_LF : is_control(c) ? -EINVAL : REQUEST_LINE;
    case LINE_LF:
        return c == '\n' ? LINE_START : -EINVAL;
    case LINE_START:
        return c == '\r' ? END_LF : is_token(c) ? NAME : -EINVAL;
    case NAME:
        return c == ':' ? VALUE : is_token(c) ? NAME : -EINVAL;
    case VALUE:
        return c == '\r' ? LINE_LF : is_control(c) && c != '\t' ? -EINVAL : VALUE;
    default:
        return c == '\n' ? WHOLE : -EINVAL;
    }
}

static struct str line_at(const struct http_head *h, size_t at)
{
    const char *p = h->text.data + at;
    const char *end = memchr(p, '\r', h->text.len - at);
    return (struct str){p, (size_t)(end - p)};
}

// Cuts the part before the first `c` off *s, which keeps what follows it. Without one all of it is
// the part.
static struct str cut(struct str *s, char c)
{
    const char *p = s->n ? memchr(s->p, c, s->n) : NULL;
    struct str part = *s;
    if (p)
        part.n = (size_t)(p - s->p);
    size_t used = p ? part.n + 1 : part.n;
    s->p += used;
    s->n -= used;
    return part;
}

struct request_line {
    struct str method, target, version;
};

static struct request_line request_line(const struct http_head *h)
{
    struct str rest = line_at(h, 0);
    struct request_line l;
    l.method = cut(&rest, ' ');
    l.target = cut(&rest, ' ');
    l.version = rest;
    return l;
}

static bool request_line_valid(const struct http_head *h)
{
    struct request_line l = request_line(h);
    for (size_t i = 0; i < l.method.n; i++) {
        if (!is_token((unsigned char)l.method.p[i]))
            return false;
    }
    return l.method.n && l.target.n &&
           (str_is(l.version, "HTTP/1.1") || str_is(l.version, "HTTP/1.0"));
}

int http_head_feed(struct http_head *h, struct str *in)
{
    size_t used = 0, skipped = 0;
    int state = h->state;
    while (used < in->n && state != WHOLE) {
        int next = next_state(state, (unsigned char)in->p[used]);
        if (next < 0)
            return next;
        if (state == LINE_START && next == NAME && ++h->headers > h->max_headers)
            return -E2BIG;
        used++;
        if (next == BEFORE || next == BEFORE_LF)
            skipped = used;
        state = next;
    }
    int r = used > skipped ? buf_add(&h->text, in->p + skipped, used - skipped) : 0;
    if (r < 0)
        return r;
    h->state = (uint8_t)state;
    in->p += used;
    in->n -= used;
    if (state != WHOLE)
        return 0;
    return request_line_valid(h) ? 1 : -EINVAL;
}

void http_head_done(struct http_head *h)
{
    buf_done(&h->text);
}

struct str http_head_method(const struct http_head *h)
{
    return request_line(h).method;
}

// The target from its path on.
static struct str origin_form(const struct http_head *h)
{
    struct str target = request_line(h).target;
    size_t scheme = target.n >= 7 && strncasecmp(target.p, "http://", 7) == 0    ? 7
                    : target.n >= 8 && strncasecmp(target.p, "https://", 8) == 0 ? 8
                                                                                 : 0;
    if (!scheme)
        return target;
    for (size_t i = scheme; i < target.n; i++) {
        if (target.p[i] == '/' || target.p[i] == '?')
            return (struct str){target.p + i, target.n - i};
    }
    return (struct str){"", 0};
}

struct str http_head_path(const struct http_head *h)
{
    struct str target = origin_form(h);
    struct str path = cut(&target, '?');
    return path.n ? path : (struct str){"/", 1};
}

struct str http_head_query(const struct http_head *h)
{
    struct str target = origin_form(h);
    cut(&target, '?');
    return target;
}

int http_head_minor(const struct http_head *h)
{
    struct str version = request_line(h).version;
    return version.p[version.n - 1] - '0';
}

static struct str trim(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

// Walks over the headers: *at is 0 at first. False at the end.
static bool next_header(const struct http_head *h, size_t *at, struct str *ret_name,
                        struct str *ret_value)
{
    if (*at == 0)
        *at = line_at(h, 0).n + 2;
    struct str line = line_at(h, *at);
    if (!line.n)
        return false;
    *at += line.n + 2;
    *ret_name = cut(&line, ':');
    *ret_value = trim(line);
    return true;
}

static bool same_name(struct str a, const char *b)
{
    return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

struct str http_head_find(const struct http_head *h, const char *name)
{
    struct str n, value;
    for (size_t at = 0; next_header(h, &at, &n, &value);) {
        if (same_name(n, name))
            return value;
    }
    return (struct str){NULL, 0};
}

unsigned http_head_count(const struct http_head *h, const char *name)
{
    struct str n, value;
    unsigned count = 0;
    for (size_t at = 0; next_header(h, &at, &n, &value);)
        count += same_name(n, name);
    return count;
}
