#include "common/output.h"

#include <errno.h>
#include <unistd.h>

int write_all(int fd, struct str bytes)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes = (struct str){bytes.p + n, bytes.n - (size_t)n};
    }
    return 0;
}

int output(struct str text)
{
    return write_all(STDOUT_FILENO, text);
}

int output_flush(struct buf *b)
{
    int r = b->error ? b->error : output(buf_str(b));
    buf_clear(b);
    return r;
}
