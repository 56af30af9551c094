#pragma once

// The page table: what the owner must hear, put there by any module of this project.

#include "common/store.h"

int page_add(struct store *s, const char *severity, const char *text, int64_t now,
             int64_t *ret_id) MUST_CHECK;
// Moves new pages into the outbox. Returns how many, or <0. In the caller's transaction.
int pages_queue(struct store *s, const char *owner) MUST_CHECK;
