#include "channels/slack/split.h"

#include <errno.h>

#include "common/text.h"

#define FENCE "```"
enum {
    REOPEN = 4,     // "```\n"
    CLOSE = 4,      // "\n```"
    MAX_ATOM = 512, // bytes of a link that is kept whole
};

static bool at(struct str s, size_t i, const char *what)
{
    size_t n = strlen(what);
    return s.n - i >= n && memcmp(s.p + i, what, n) == 0;
}

static size_t char_len(struct str s, size_t i)
{
    size_t n = utf8_char_len(s.p + i, s.n - i);
    return n ? n : 1;
}

// The bytes of at most max characters.
static size_t prefix(struct str s, size_t max)
{
    size_t i = 0;
    for (size_t n = 0; i < s.n && n < max; n++)
        i += char_len(s, i);
    return i;
}

// Before the entity or link that a cut at `cut` would go through.
static size_t outside_atom(struct str s, size_t cut)
{
    size_t low = cut > MAX_ATOM ? cut - MAX_ATOM : 0;
    for (size_t i = cut; i > low; i--) {
        char c = s.p[i - 1];
        if (c == '>' || c == '\n')
            break;
        if (c == '<' && i > 1)
            return i - 1;
    }
    for (size_t i = cut; i > 1 && i + 5 > cut; i--) {
        if (s.p[i - 1] == ';')
            break;
        if (s.p[i - 1] == '&')
            return i - 1;
    }
    return cut;
}

struct cut {
    size_t end;    // of this part
    bool in_fence; // the text is within a fence there
};

// Looks at the line ends of s up to `limit` bytes and takes the best: a blank line outside of code,
// else a line end outside of code, else any.
static struct cut choose(struct str s, size_t limit, bool in_fence)
{
    size_t para = 0, line = 0, code = 0;
    bool fence = in_fence;
    for (size_t i = 0; i < limit;) {
        if (at(s, i, FENCE))
            fence = !fence;
        const char *nl = memchr(s.p + i, '\n', limit - i);
        if (!nl)
            break;
        i = (size_t)(nl - s.p) + 1;
        if (fence)
            code = i - 1;
        else
            line = i - 1;
        if (!fence && i < s.n && s.p[i] == '\n')
            para = i - 1;
    }
    size_t worth = limit / 4; // a cut before that would make too many small messages
    if (para > worth)
        return (struct cut){para, false};
    if (line > worth)
        return (struct cut){line, false};
    if (code > worth)
        return (struct cut){code, true};
    size_t end = limit;
    for (size_t i = limit; i > worth; i--)
        if (s.p[i - 1] == ' ') {
            end = i;
            break;
        }
    // How the fence stands at `end`: count anew.
    fence = in_fence;
    for (size_t i = 0; i < end; i++)
        if ((i == 0 || s.p[i - 1] == '\n') && at(s, i, FENCE))
            fence = !fence;
    return (struct cut){outside_atom(s, end), fence};
}

int split_text(struct str text, size_t max, int (*part)(struct str part, void *data), void *data)
{
    struct buf out = BUF_INIT(max * 4 + 16);
    bool in_fence = false;
    int r = 0;
    while (r == 0 && text.n) {
        size_t reopen = in_fence ? REOPEN : 0;
        bool whole = prefix(text, max - reopen) == text.n;
        struct cut cut = {text.n, false};
        if (!whole)
            cut = choose(text, prefix(text, max - reopen - CLOSE), in_fence);
        buf_clear(&out);
        if (in_fence)
            buf_adds(&out, FENCE "\n");
        buf_add(&out, text.p, cut.end);
        if (cut.in_fence)
            buf_adds(&out, "\n" FENCE);
        text.p += cut.end;
        text.n -= cut.end;
        in_fence = cut.in_fence;
        if (in_fence && text.n && text.p[0] == '\n')
            text.p++, text.n--;
        while (!in_fence && text.n && text.p[0] == '\n')
            text.p++, text.n--;
        // What is left of the fence is its end only: it was closed already.
        if (in_fence && at(text, 0, FENCE) && (text.n == 3 || text.p[3] == '\n')) {
            text.p += text.n == 3 ? 3 : 4;
            text.n -= text.n == 3 ? 3 : 4;
            in_fence = false;
        }
        r = out.error ? out.error : part(buf_str(&out), data);
    }
    buf_done(&out);
    return r;
}
