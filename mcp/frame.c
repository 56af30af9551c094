#include "mcp/frame.h"

#include <errno.h>

#define KEEP_MEMORY (64u << 10) // a buffer that a long line made larger is given back

void frame_init(struct frame *f, size_t max_line)
{
    *f = (struct frame){.partial = BUF_INIT(max_line), .max_line = max_line};
}

void frame_done(struct frame *f)
{
    buf_done(&f->partial);
}

static void drop_stale(struct frame *f)
{
    if (!f->stale)
        return;
    f->stale = false;
    if (f->partial.cap > KEEP_MEMORY)
        buf_done(&f->partial);
    else
        buf_clear(&f->partial);
}

static struct str without_cr(struct str line)
{
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

int frame_next(struct frame *f, struct str *input, struct str *ret_line)
{
    drop_stale(f);
    while (input->n > 0) {
        const char *newline = memchr(input->p, '\n', input->n);
        struct str part = {input->p, newline ? (size_t)(newline - input->p) : input->n};
        size_t used = part.n + (newline ? 1 : 0);
        input->p += used;
        input->n -= used;
        if (f->skipping) {
            f->skipping = newline == NULL;
            continue;
        }
        if (newline && f->partial.len == 0 && part.n <= f->max_line) {
            *ret_line = without_cr(part);
            return 1;
        }
        int r = buf_add(&f->partial, part.p, part.n);
        if (r < 0) {
            f->skipping = newline == NULL;
            f->stale = true;
            return r;
        }
        if (newline) {
            f->stale = true;
            *ret_line = without_cr(buf_str(&f->partial));
            return 1;
        }
    }
    return 0;
}

int frame_rest(struct frame *f, struct str *ret_line)
{
    drop_stale(f);
    if (f->skipping || f->partial.len == 0)
        return 0;
    f->stale = true;
    *ret_line = without_cr(buf_str(&f->partial));
    return 1;
}
