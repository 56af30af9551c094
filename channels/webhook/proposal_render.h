#pragma once

// One computed proposal in words: evidence, what the change would have done, the change itself.

#include "channels/webhook/proposal_find.h"
#include "channels/webhook/proposal_store.h"

// The draft of a row for the store. 0, -ENOMEM, or a store error; the caller ends it with
// proposal_draft_done.
int proposal_render(struct store *s, const struct proposal *p, int64_t days,
                    struct proposal_draft *ret_draft) MUST_CHECK;
void proposal_draft_done(struct proposal_draft *d);
