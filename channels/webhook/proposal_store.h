#pragma once

// What was proposed and what people decided (issue 3): of what is computed again and again, one
// row; a rejected one stays away until its evidence has at least doubled; an applied one is
// measured.

#include "channels/webhook/proposal.h"
#include "common/json.h"
#include "common/store.h"

struct proposal_draft {
    enum proposal_kind kind;
    enum proposal_scope scope;
    int64_t problem_id, noise;
    char *unit, *title, *body, *text, *alertname, *cluster, *family; // owned
    int64_t id; // of its row; 0 = not to be proposed (rejected)
};

// When the rule of this unit was last changed on our word; 0 = never. Older firings say nothing of
// it now. 0, or a store error.
int proposal_applied_at(struct store *s, const char *unit, int64_t *ret_at) MUST_CHECK;

// Finds or makes the draft's row, and sets its id. In the caller's transaction. 0, or a store
// error.
int proposal_save(struct store *s, struct proposal_draft *draft, int64_t now) MUST_CHECK;

// Records a decision and the trail. 0, -ENOENT, -EINVAL (known noise is not applied, it is
// accepted), or a store error.
int proposal_decide(struct store *s, int64_t id, enum proposal_decision decision, const char *by,
                    const char *note, int64_t now) MUST_CHECK;

// One row as a JSON object, and as text for people. 0, -ENOENT, or a store error.
int proposal_write(struct store *s, int64_t id, int64_t now, struct jw *w,
                   struct buf *text) MUST_CHECK;

// The next accepted or applied one of the last 90 days, newest first, below the id `before`; 0 when
// there are no more.
int proposal_next_decided(struct store *s, int64_t before, int64_t now, int64_t *ret_id) MUST_CHECK;
