#pragma once

// What happened how often, for /metrics. Counted in memory and written to the store from time to
// time, where the processes that share it add up to one set of numbers: whichever of them is asked,
// the answer is the same.

#include "common/store.h"

// Adds to a counter; name is the metric with its labels, as Prometheus has it:
// sre_refused_total{reason="401"}. A literal or a text that lives as long as the process. Beyond
// COUNTERS_MAX different names nothing is counted.
#define COUNTERS_MAX 128
void counter_add(const char *name, int64_t n);

// A histogram of seconds: counts in name_bucket{le="..."} and adds up name_sum (milliseconds are
// kept) and name_count. `name` without labels.
void counter_observe(const char *name, int64_t ms);

// Writes what was counted since the last time. In a transaction of its own, without an fsync: a
// power cut may cost the last seconds.
int counters_flush(struct store *s) MUST_CHECK;

// The same for a process that counts once and ends: in the caller's transaction.
int counter_add_now(struct store *s, const char *name, int64_t n) MUST_CHECK;
