#include "channels/webhook/markdown_text.h"

#include "common/redact.h"
#include "common/text.h"

#define MAX_TEXT (128 * 1024)

// Masked and clean, in a buffer of the caller.
static int prepare(struct buf *clean, const char *text, size_t max, unsigned flags)
{
    struct buf masked = BUF_INIT(MAX_TEXT);
    int r = redact(&masked, str_of(text));
    if (r >= 0)
        r = text_clean(clean, buf_str(&masked), max, flags);
    buf_done(&masked);
    return r;
}

static bool follows(struct str before, const char *word)
{
    size_t n = strlen(word);
    return before.n >= n && text_equal_nocase((struct str){before.p + before.n - n, n}, word);
}

// Would the character at i be markup, or make a link of what stands there?
static bool acts(struct str s, size_t i)
{
    struct str before = {s.p, i};
    if (strchr("\\`*_{}[]<>#|~&@!$^", s.p[i]))
        return true;
    if (s.p[i] == ':') // http://, mailto:, :emoji:
        return true;
    return s.p[i] == '.' && follows(before, "www");
}

static void escape(struct buf *out, struct str s, bool begins_line)
{
    size_t digits = 0;
    while (begins_line && digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    for (size_t i = 0; i < s.n; i++) {
        bool opens =
            begins_line && i == digits && (digits ? s.p[i] == '.' : strchr("-+=", s.p[i]) != NULL);
        if (acts(s, i) || opens)
            buf_addc(out, '\\');
        buf_addc(out, s.p[i]);
    }
}

int markdown_inline(struct buf *out, const char *text, size_t max)
{
    struct buf clean = BUF_INIT(MAX_TEXT);
    int r = prepare(&clean, text, max, TEXT_ONE_LINE);
    if (r == 0)
        escape(out, text_trim(buf_str(&clean)), false);
    buf_done(&clean);
    return r < 0 ? r : out->error;
}

int markdown_lines(struct buf *out, const char *text, size_t max)
{
    struct buf clean = BUF_INIT(MAX_TEXT);
    int r = prepare(&clean, text, max, 0);
    struct str rest = buf_str(&clean);
    while (r == 0 && rest.n) {
        struct str line = text_trim(text_next_line(&rest));
        escape(out, line, true);
        buf_addc(out, '\n');
    }
    buf_done(&clean);
    return r < 0 ? r : out->error;
}

int markdown_code(struct buf *out, const char *text, size_t max)
{
    struct buf clean = BUF_INIT(MAX_TEXT);
    int r = prepare(&clean, text, max, 0);
    struct str rest = buf_str(&clean);
    while (r == 0 && rest.n) {
        struct str line = text_next_line(&rest);
        buf_adds(out, "    ");
        buf_add(out, line.p, line.n);
        buf_addc(out, '\n');
    }
    buf_done(&clean);
    return r < 0 ? r : out->error;
}
