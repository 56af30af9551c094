#pragma once

// How much may be pushed into the session in any minute: events and bytes (README,
// SRE_EVENTS_PER_MINUTE). Pure; one-second buckets, so that a minute is never counted short.

#include "common/base.h"

#define BUDGET_SECONDS 61

struct budget {
    int64_t max_events, max_bytes;  // a minute
    int64_t second[BUDGET_SECONDS]; // which second each bucket is of
    int64_t events[BUDGET_SECONDS], criticals[BUDGET_SECONDS], bytes[BUDGET_SECONDS];
    int64_t digest_at; // boot ms of the last digest, 0 = none
};

void budget_init(struct budget *b, int64_t events_per_minute, int64_t event_bytes);
// May an event be pushed now? A critical one in prod is counted among its own kind only; the room
// of one digest is kept back.
bool budget_allows(const struct budget *b, int64_t now_ms, bool critical, int64_t bytes,
                   int64_t digest_bytes);
bool budget_allows_digest(const struct budget *b, int64_t now_ms);
int64_t budget_bytes_left(const struct budget *b, int64_t now_ms);
void budget_spend(struct budget *b, int64_t now_ms, bool critical, bool digest, int64_t bytes);
