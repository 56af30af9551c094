#include "channels/webhook/event_lines.h"

#include <stdio.h>

#include "common/text.h"

void lines_add(struct lines *l, struct str text)
{
    size_t room = l->cap > l->out->len + LINES_TAIL ? l->cap - l->out->len - LINES_TAIL : 0;
    size_t keep = 0;
    if (!l->left_out)
        keep = text.n + 1 <= room ? text.n : utf8_prefix(text, room ? room - 1 : 0);
    if (keep) {
        buf_add(l->out, text.p, keep);
        buf_addc(l->out, '\n');
    }
    l->left_out += text.n - keep;
}

void lines_end(struct lines *l)
{
    char tail[LINES_TAIL];
    if (l->left_out) {
        int n = snprintf(tail, sizeof tail, "... %zu bytes left out: get_incident has them\n",
                         l->left_out);
        if (l->out->len + (size_t)n <= l->cap)
            buf_adds(l->out, tail);
    }
    if (l->out->len && l->out->data[l->out->len - 1] == '\n')
        buf_truncate(l->out, l->out->len - 1);
}
