#pragma once

// The audit trail: who did what when (`webhook-channel audit` prints it).

#include "common/store.h"

// incident_id 0 = of none. actor: agent, memory, owner, guard, channel. In the caller's transaction
// or a transaction of its own.
int trail_add(struct store *s, int64_t incident_id, const char *actor, const char *action,
              const char *detail, int64_t now) MUST_CHECK;
