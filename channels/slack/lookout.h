#pragma once

// The standby's own look at the incidents: where no process of the webhook channel
// runs, nobody else pages for what waits. Only the store.

#include "channels/slack/moment.h"

#define LOOKOUT_PATIENCE_MS 8000 // with a webhook channel that is just being (re)started

// Pages the owner for what is unattended (common/unattended.h), once an incident and folded into
// one page, unless a webhook channel is there to do it. after_ms: of an incident
// that fires and is not taken; twice that for one that was taken; 0: never. Opens its own
// transaction. Returns how many incidents, or a store error.
int lookout_run(struct store *s, int64_t after_ms, struct moment now) MUST_CHECK;
