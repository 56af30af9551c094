#pragma once

// One change tried on one unit: which of its firings would be gone. Private to proposal_change.c
// and proposal_inhibit.c.

#include "channels/webhook/proposal_change.h"

struct tuning_trial {
    const struct tuning_data *d;
    const struct tuning_unit *u;
    bool *gone; // per firing of the unit
};

void trial_count(const struct tuning_trial *s,
                 struct proposal_change *c); // what is gone, by verdict
// So many percent of the noise, enough of it, and no real one?
bool trial_removes(const struct tuning_trial *s, const struct proposal_change *c, size_t percent);

// Is there another alert that the unit's never comes without?
bool trial_inhibit(struct tuning_trial *s, struct proposal_change *c);
