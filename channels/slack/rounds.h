#pragma once

// What the holder does when its time has come: pages, escalations and prompts. Only the store; the
// engine owns the timer.

#include "channels/slack/escalation.h"

bool rounds_due(struct store *s, struct moment now);
// In one transaction of its own. Returns how many acted, or <0.
int rounds_run(struct store *s, const struct escalation_people *people,
               struct moment now) MUST_CHECK;
int64_t rounds_wait(struct store *s,
                    struct moment now); // ms until something is due, -1 for nothing
