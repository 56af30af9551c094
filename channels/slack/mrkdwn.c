#include "channels/slack/mrkdwn.h"

#include "common/text.h"

static bool starts(struct str s, size_t at, const char *what)
{
    size_t n = strlen(what);
    return s.n - at >= n && memcmp(s.p + at, what, n) == 0;
}

static struct str slice(struct str s, size_t from, size_t to)
{
    return (struct str){s.p + from, to - from};
}

void mrkdwn_escape_char(struct buf *out, char c)
{
    if (c == '&')
        buf_adds(out, "&amp;");
    else if (c == '<')
        buf_adds(out, "&lt;");
    else if (c == '>')
        buf_adds(out, "&gt;");
    else
        buf_addc(out, c);
}

int mrkdwn_escape(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        mrkdwn_escape_char(out, s.p[i]);
    return out->error;
}

// ---- inbound ----

// <https://x|label>: what stands between the brackets.
static void add_link(struct buf *out, struct str inside)
{
    const char *bar = memchr(inside.p, '|', inside.n);
    struct str url = bar ? slice(inside, 0, (size_t)(bar - inside.p)) : inside;
    struct str label = bar ? slice(inside, (size_t)(bar - inside.p) + 1, inside.n) : url;
    bool same = label.n <= url.n && memcmp(url.p + (url.n - label.n), label.p, label.n) == 0;
    if (same) {
        mrkdwn_unescape(out, starts(url, 0, "mailto:") ? label : url);
        return;
    }
    mrkdwn_unescape(out, label);
    buf_adds(out, " (");
    mrkdwn_unescape(out, url);
    buf_adds(out, ")");
}

int mrkdwn_unescape(struct buf *out, struct str s)
{
    static const struct {
        const char *entity;
        char c;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}};
    for (size_t i = 0; i < s.n;) {
        const char *end = NULL;
        if (s.p[i] == '<' && (starts(s, i + 1, "http") || starts(s, i + 1, "mailto:")))
            end = memchr(s.p + i, '>', s.n - i);
        if (end) {
            add_link(out, slice(s, i + 1, (size_t)(end - s.p)));
            i = (size_t)(end - s.p) + 1;
            continue;
        }
        size_t e = 0;
        while (e < ARRAY_LEN(entities) && !starts(s, i, entities[e].entity))
            e++;
        buf_addc(out, e < ARRAY_LEN(entities) ? entities[e].c : s.p[i]);
        i += e < ARRAY_LEN(entities) ? strlen(entities[e].entity) : 1;
    }
    return out->error;
}

// ---- text that is judged ----

static uint32_t decode(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    if (n == 1)
        return u[0];
    uint32_t c = u[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (u[i] & 0x3F);
    return c;
}

// Unicode: controls, format characters (bidi, zero width, joiners, tags), odd spaces, fillers,
// variation selectors and noncharacters.
static bool is_hidden(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0x00, 0x08},       {0x0B, 0x1F},       {0x7F, 0x9F},       {0xA0, 0xA0},
        {0xAD, 0xAD},       {0x034F, 0x034F},   {0x061C, 0x061C},   {0x115F, 0x1160},
        {0x1680, 0x1680},   {0x17B4, 0x17B5},   {0x180B, 0x180F},   {0x2000, 0x200F},
        {0x2028, 0x202F},   {0x205F, 0x206F},   {0x2800, 0x2800},   {0x3000, 0x3000},
        {0x3164, 0x3164},   {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},
        {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},   {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
        {0xE0000, 0xE0FFF}, {0xF0000, 0x10FFFF}};
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

int mrkdwn_literal(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t n = utf8_char_len(s.p + i, s.n - i);
        if (n == 0) {
            buf_addf(out, "\\x%02X", (unsigned char)s.p[i++]);
            continue;
        }
        uint32_t c = decode(s.p + i, n);
        if (is_hidden(c))
            buf_addf(out, "\\u{%04X}", c);
        else
            buf_add(out, s.p + i, n);
        i += n;
    }
    return out->error;
}
