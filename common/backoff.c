#include "common/backoff.h"

unsigned backoff_next(struct backoff *b, uint32_t random, int64_t retry_after_ms)
{
    unsigned ceiling = BACKOFF_CAP_MS;
    // 500 ms x 2^7 is already beyond the cap; shifting further would only overflow.
    if (b->failures < 7)
        ceiling = (unsigned)BACKOFF_BASE_MS << b->failures;
    if (b->failures < 1000)
        b->failures++;

    unsigned delay = (unsigned)(((uint64_t)random * ((uint64_t)ceiling + 1)) >> 32);
    if (retry_after_ms > BACKOFF_MAX_RETRY_AFTER_MS)
        retry_after_ms = BACKOFF_MAX_RETRY_AFTER_MS;
    if (retry_after_ms > (int64_t)delay)
        delay = (unsigned)retry_after_ms;
    return delay;
}

void backoff_reset(struct backoff *b)
{
    b->failures = 0;
}
