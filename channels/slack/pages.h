#pragma once

// The page table: what the owner must hear, put there by any module of this project.

#include "channels/slack/escalation.h"

int page_add(struct store *s, const char *severity, const char *text, int64_t now,
             int64_t *ret_id) MUST_CHECK;
// Moves new pages into the outbox, or makes those escalations that are meant to be. Returns how
// many, or <0. In the caller's transaction.
int pages_queue(struct store *s, const struct escalation_people *people,
                struct moment now) MUST_CHECK;
