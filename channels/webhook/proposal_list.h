#pragma once

// `tuning_proposals` and `proposals`: computed, remembered, written.

#include "channels/webhook/proposal_store.h"

struct proposal_list {
    struct proposal_draft *drafts; // owned
    size_t n;
    int64_t days, now;
    bool cut; // only the newest incidents of the window were looked at
};

// Computes; reads the store only. 0, -ENOMEM, or a store error. The caller ends it with
// proposal_list_done, which copes with a zeroed one.
int proposal_list_make(struct store *s, int64_t days, int64_t now,
                       struct proposal_list *ret_list) MUST_CHECK;
void proposal_list_done(struct proposal_list *l);

// In a transaction of the caller: finds or makes the rows. 0, or a store error.
int proposal_list_save(struct store *s, struct proposal_list *l) MUST_CHECK;

// {"proposals": [...], ...} and the same for people; what would grow beyond max_bytes together is
// counted as left_out. 0, or a store error.
int proposal_list_write(struct store *s, const struct proposal_list *l, size_t max_bytes,
                        struct buf *json, struct buf *text) MUST_CHECK;
