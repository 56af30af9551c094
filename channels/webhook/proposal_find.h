#pragma once

// The search for proposals over a window of incidents (issue 3): which problems, families or rules
// are mostly noise, and the change that would have kept it away. Reads the store, writes nothing.

#include "channels/webhook/proposal_change.h"

#define PROPOSALS_MAX                                                                              \
    100 // changes of rules, the noisiest; and as many problems that may be called known noise

struct proposal {
    struct tuning_unit unit; // owned
    struct proposal_changes changes;
    struct proposal_change chosen; // changes.items[0], or known_noise
};

struct proposals {
    struct tuning_data data;
    struct proposal *items; // changes of rules, most noise first, then known noise
    size_t n;
};

// 0, -ENOMEM, or a store error. The caller ends it with proposals_done, which copes with a zeroed
// one.
int proposals_find(struct store *s, int64_t days, int64_t now,
                   struct proposals *ret_proposals) MUST_CHECK;
void proposals_done(struct proposals *p);
