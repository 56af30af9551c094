#pragma once

// The way of the pages (common/page.h) into Slack.

#include "channels/slack/escalation.h"

// Moves new pages into the outbox, or makes those escalations that are meant to be. Returns how
// many, or <0. In the caller's transaction.
int pages_queue(struct store *s, const struct escalation_people *people,
                struct moment now) MUST_CHECK;
