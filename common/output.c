#include "common/output.h"

#include <errno.h>
#include <unistd.h>

int output(struct str text)
{
    while (text.n) {
        ssize_t n = write(STDOUT_FILENO, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text = (struct str){text.p + n, text.n - (size_t)n};
    }
    return 0;
}

int output_flush(struct buf *b)
{
    int r = b->error ? b->error : output(buf_str(b));
    buf_clear(b);
    return r;
}
