#include "common/text.h"

#include "common/bytes8.h"

// How far the end of a terminal's string sequence (OSC, DCS, ...) is looked for.
#define ANSI_STRING_MAX 1024

static bool is_tail(const char *p, size_t i, unsigned lo, unsigned hi)
{
    unsigned char c = (unsigned char)p[i];
    return c >= lo && c <= hi;
}

size_t utf8_char_len(const char *p, size_t n)
{
    if (n == 0)
        return 0;
    unsigned char c = (unsigned char)p[0];
    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf)
        return n >= 2 && is_tail(p, 1, 0x80, 0xbf) ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef) {
        // No overlong forms, no surrogates.
        unsigned lo = c == 0xe0 ? 0xa0 : 0x80, hi = c == 0xed ? 0x9f : 0xbf;
        return n >= 3 && is_tail(p, 1, lo, hi) && is_tail(p, 2, 0x80, 0xbf) ? 3 : 0;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        unsigned lo = c == 0xf0 ? 0x90 : 0x80, hi = c == 0xf4 ? 0x8f : 0xbf;
        return n >= 4 && is_tail(p, 1, lo, hi) && is_tail(p, 2, 0x80, 0xbf) &&
                       is_tail(p, 3, 0x80, 0xbf)
                   ? 4
                   : 0;
    }
    return 0;
}

bool utf8_valid(struct str s)
{
    size_t i = 0;
    while (i < s.n) {
        while (s.n - i >= 8 && !(bytes8_load(s.p + i) & BYTES8_TOPS))
            i += 8;
        if (i == s.n)
            break;
        size_t len = utf8_char_len(s.p + i, s.n - i);
        if (!len)
            return false;
        i += len;
    }
    return true;
}

size_t utf8_count(struct str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.n; count++) {
        size_t len = utf8_char_len(s.p + i, s.n - i);
        i += len ? len : 1;
    }
    return count;
}

struct str utf8_first(struct str s, size_t max)
{
    size_t at = 0;
    for (size_t n = 0; at < s.n && n < max; n++) {
        size_t len = utf8_char_len(s.p + at, s.n - at);
        at += len ? len : 1;
    }
    return (struct str){s.p, at};
}

size_t utf8_prefix(struct str s, size_t max)
{
    if (s.n <= max)
        return s.n;
    // A character is at most 4 bytes: one that begins just before the cut and is whole only behind
    // it is left out.
    for (size_t back = 1; back <= 3 && back <= max; back++) {
        size_t at = max - back;
        size_t len = utf8_char_len(s.p + at, s.n - at);
        if (len > back)
            return at;
        if (len)
            break;
    }
    return max;
}

size_t text_plain_len(struct str s)
{
    size_t i = 0;
    for (; s.n - i >= 8; i += 8) {
        uint64_t w = bytes8_load(s.p + i);
        // A byte below 0x20 borrows, 0x7f carries, above has the top bit.
        uint64_t other = ((w - BYTES8_EACH(0x20)) | (w + BYTES8_EACH(1)) | w) & BYTES8_TOPS;
        if (other)
            return i + bytes8_first(other);
    }
    while (i < s.n && s.p[i] >= 0x20 && s.p[i] < 0x7f)
        i++;
    return i;
}

static uint32_t decode(const char *p, size_t len)
{
    static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (unsigned char)p[0] & lead[len];
    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    return c;
}

struct range {
    uint32_t first, last;
};

// What a reader does not see but a model or a terminal does: default-ignorable code points (Unicode
// 15, DerivedCoreProperties), bidirectional and interlinear controls. Sorted.
static const struct range invisible[] = {
    {0x80, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},     {0x61c, 0x61c},
    {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},
    {0x202a, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},   {0xfdd0, 0xfdef},
    {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},
    {0x1bca0, 0x1bca3}, {0x1d159, 0x1d159}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

static bool is_invisible(uint32_t c)
{
    if ((c & 0xfffe) == 0xfffe)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(invisible) && c >= invisible[i].first; i++) {
        if (c <= invisible[i].last)
            return true;
    }
    return false;
}

static bool is_emoji(uint32_t c)
{
    return c == 0xa9 || c == 0xae || (c >= 0x203c && c <= 0x2bff && !is_invisible(c)) ||
           c == 0x3030 || c == 0x303d || c == 0x3297 || c == 0x3299 ||
           (c >= 0x1f000 && c <= 0x1faff);
}

// Length of the terminal sequence whose introducer (ESC, or the C1 form) was read: what follows it
// and belongs to it (ECMA-48, 5.3 to 5.6). `kind` is the byte after ESC.
static size_t ansi_len(const char *p, size_t n, char kind)
{
    size_t i = 0;
    if (kind == '[') {
        while (i < n && p[i] >= 0x30 && p[i] <= 0x3f)
            i++;
        while (i < n && p[i] >= 0x20 && p[i] <= 0x2f)
            i++;
        return i < n && p[i] >= 0x40 && p[i] <= 0x7e ? i + 1 : i;
    }
    if (!strchr("]PX^_", kind))
        return 0;
    // The end is looked for up to the next ESC or line only, so that hostile text stays linear and
    // an unfinished sequence hides nothing.
    for (; i < n && i < ANSI_STRING_MAX && p[i] != '\n'; i++) {
        if (p[i] == '\a')
            return i + 1;
        if (p[i] == '\x1b')
            return i + 1 < n && p[i + 1] == '\\' ? i + 2 : 0;
    }
    return 0;
}

static size_t escape_len(const char *p, size_t n)
{
    size_t i = 1;
    if (i < n && p[i] > 0 && strchr("[]PX^_", p[i]))
        return 2 + ansi_len(p + 2, n - 2, p[i]);
    while (i < n && p[i] >= 0x20 && p[i] <= 0x2f)
        i++;
    return i < n && p[i] >= 0x30 && p[i] <= 0x7e ? i + 1 : 1;
}

struct clean {
    struct buf *out;
    size_t start, max;
    uint32_t last; // the code point written last, 0 at the start
    bool one_line;
    bool full;
};

static void put(struct clean *c, const char *p, size_t n, uint32_t last)
{
    if (c->out->len - c->start + n > c->max) {
        c->full = true;
        return;
    }
    buf_add(c->out, p, n);
    c->last = last;
}

static size_t take_plain(struct clean *c, const char *p, size_t n)
{
    size_t len = text_plain_len((struct str){p, n});
    size_t room = c->max - (c->out->len - c->start);
    size_t fits = len < room ? len : room;
    put(c, p, fits, fits ? (unsigned char)p[fits - 1] : c->last);
    c->full = fits < len;
    return fits;
}

static size_t take_control(struct clean *c, const char *p, size_t n)
{
    char k = p[0];
    if (k == '\x1b')
        return escape_len(p, n);
    if (k == '\r' && n > 1 && p[1] == '\n')
        return 1;
    if (k != '\n' && k != '\t' && k != '\r')
        return 1;
    if (!c->one_line)
        put(c, k == '\r' ? "\n" : p, 1, '\n');
    else if (c->last && c->last != ' ')
        put(c, " ", 1, ' ');
    return 1;
}

static bool joins_emoji(const struct clean *c, uint32_t cp, const char *next, size_t n)
{
    if (cp == 0xfe0f || cp == 0xfe0e)
        return is_emoji(c->last) ||
               (c->last < 0x80 && c->last && strchr("0123456789#*", (int)c->last));
    size_t len = utf8_char_len(next, n);
    return cp == 0x200d && len && (is_emoji(c->last) || c->last == 0xfe0f) &&
           is_emoji(decode(next, len));
}

static size_t take_wide(struct clean *c, const char *p, size_t n)
{
    size_t len = utf8_char_len(p, n);
    if (!len) {
        put(c, "\xef\xbf\xbd", 3, 0xfffd);
        return 1;
    }
    uint32_t cp = decode(p, len);
    if (cp == 0x9b || cp == 0x9d || cp == 0x90)
        return len + ansi_len(p + len, n - len, cp == 0x9b ? '[' : ']');
    if (cp == 0x2028 || cp == 0x2029) {
        take_control(c, "\n", 1);
        return len;
    }
    if (!is_invisible(cp) || joins_emoji(c, cp, p + len, n - len))
        put(c, p, len, cp);
    return len;
}

size_t text_frame_at(struct str s)
{
    static const char *const names[] = {"channel", "system-reminder"};
    for (size_t i = 0; i < s.n; i++) {
        const char *open = memchr(s.p + i, '<', s.n - i);
        if (!open)
            break;
        i = (size_t)(open - s.p);
        size_t at = i + 1 + (i + 1 < s.n && s.p[i + 1] == '/');
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            size_t n = strlen(names[k]);
            if (s.n - at >= n && text_equal_nocase((struct str){s.p + at, n}, names[k]))
                return i;
        }
    }
    return s.n;
}

// Afterwards, since what is dropped may have been what kept the tag apart.
static void break_frames(struct buf *out, size_t from)
{
    while (from < out->len) {
        struct str rest = {out->data + from, out->len - from};
        size_t at = text_frame_at(rest);
        if (at < rest.n)
            out->data[from + at] = '[';
        from += at + 1;
    }
}

int text_clean(struct buf *out, struct str s, size_t max, unsigned flags)
{
    struct clean c = {.out = out, .start = out->len, .max = max, .one_line = flags & TEXT_ONE_LINE};
    size_t i = 0;
    while (i < s.n && !out->error) {
        const char *p = s.p + i;
        size_t step;
        if ((unsigned char)p[0] >= 0x80)
            step = take_wide(&c, p, s.n - i);
        else if (p[0] >= 0x20 && p[0] < 0x7f)
            step = take_plain(&c, p, s.n - i);
        else
            step = take_control(&c, p, s.n - i);
        if (c.full) {
            if (c.last == 0x200d) // what it would have joined is left out
                buf_truncate(out, out->len - 3);
            i += (unsigned char)p[0] < 0x80 && p[0] >= 0x20 ? step : 0;
            buf_addf(out, "... (%zu bytes left out)", s.n - i);
            break;
        }
        i += step;
    }
    break_frames(out, c.start);
    return out->error;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool text_equal_nocase(struct str a, const char *b)
{
    size_t i = 0;
    for (; i < a.n && b[i]; i++) {
        if (lower(a.p[i]) != lower(b[i]))
            return false;
    }
    return i == a.n && !b[i];
}

bool glob_match(struct str pattern, struct str name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, retry = 0;
    while (n < name.n) {
        size_t len = utf8_char_len(name.p + n, name.n - n);
        len = len ? len : 1;
        if (p < pattern.n && pattern.p[p] == '*') {
            star = ++p;
            retry = n;
        } else if (p < pattern.n && pattern.p[p] == '?') {
            p++;
            n += len;
        } else if (p < pattern.n && pattern.p[p] == name.p[n]) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star;
            n = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

struct str text_trim(struct str s)
{
    while (s.n && strchr(" \t\r\n", s.p[0]) && s.p[0])
        s.p++, s.n--;
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]) && s.p[s.n - 1])
        s.n--;
    return s;
}

struct str text_unquote(struct str s)
{
    if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0])
        return (struct str){s.p + 1, s.n - 2};
    return s;
}

struct str text_next_line(struct str *s)
{
    const char *nl = s->n ? memchr(s->p, '\n', s->n) : NULL;
    struct str line = {s->p, nl ? (size_t)(nl - s->p) : s->n};
    size_t used = line.n + (nl ? 1 : 0);
    *s = (struct str){s->p + used, s->n - used};
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}
