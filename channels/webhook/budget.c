#include "channels/webhook/budget.h"

#define DIGEST_INTERVAL_MS 60000

struct sum {
    int64_t events, criticals, bytes;
};

void budget_init(struct budget *b, int64_t events_per_minute, int64_t event_bytes)
{
    *b = (struct budget){.max_events = events_per_minute};
    b->max_bytes =
        event_bytes > INT64_MAX / events_per_minute ? INT64_MAX : events_per_minute * event_bytes;
    for (size_t i = 0; i < BUDGET_SECONDS; i++)
        b->second[i] = -1;
}

static struct sum last_minute(const struct budget *b, int64_t now_ms)
{
    struct sum sum = {0};
    for (size_t i = 0; i < BUDGET_SECONDS; i++) {
        if (b->second[i] < 0 || b->second[i] <= now_ms / 1000 - BUDGET_SECONDS)
            continue;
        sum.events += b->events[i];
        sum.criticals += b->criticals[i];
        sum.bytes += b->bytes[i];
    }
    return sum;
}

int64_t budget_bytes_left(const struct budget *b, int64_t now_ms)
{
    return b->max_bytes - last_minute(b, now_ms).bytes;
}

bool budget_allows(const struct budget *b, int64_t now_ms, bool critical, int64_t bytes,
                   int64_t digest_bytes)
{
    struct sum sum = last_minute(b, now_ms);
    if ((critical ? sum.criticals : sum.events) >= b->max_events)
        return false;
    // A minute in which nothing was pushed has room for one event whatever the configuration.
    // Events that are not critical leave room for two that are.
    int64_t kept_back = digest_bytes + (critical || b->max_events < 5 ? 0 : 2 * digest_bytes);
    return sum.bytes == 0 || sum.bytes + bytes + kept_back <= b->max_bytes;
}

bool budget_allows_digest(const struct budget *b, int64_t now_ms)
{
    return b->digest_at == 0 || now_ms - b->digest_at >= DIGEST_INTERVAL_MS;
}

void budget_spend(struct budget *b, int64_t now_ms, bool critical, bool digest, int64_t bytes)
{
    int64_t second = now_ms / 1000;
    size_t i = (size_t)(second % BUDGET_SECONDS);
    if (b->second[i] != second) {
        b->second[i] = second;
        b->events[i] = b->criticals[i] = b->bytes[i] = 0;
    }
    if (digest)
        b->digest_at = now_ms;
    else if (critical)
        b->criticals[i]++;
    else
        b->events[i]++;
    b->bytes[i] += bytes;
}
