#pragma once

// GET /metrics: the counters and gauges of the whole store, in Prometheus's text format (version
// 0.0.4).

#include "common/buf.h"
#include "common/store.h"

int metrics_write(struct store *s, struct buf *out) MUST_CHECK; // 0, or a store error
