#pragma once

// Which change of the rule would have kept the noise away, and what else it would have taken (issue
// 3). Every candidate is counted over the unit's own firings; one that would have lost a real
// incident is no candidate. Pure.

#include "channels/webhook/proposal_unit.h"

struct proposal_change {
    enum proposal_kind kind;
    int64_t seconds;     // for, keep_firing_for
    double threshold;    // threshold
    bool below;          // the alert fires under its threshold
    const char *other;   // inhibition: the alert that is always there too; borrowed from the data
    bool same_namespace; // inhibition: and in the same namespace
    int hour, hours;     // anomaly: from which hour (UTC) for how long
    // What it would have done. keep_firing_for counts flaps as firings, known_noise only those of
    // its window.
    size_t of, removed, noise_removed, real_removed, real, other_removed;
};

struct proposal_changes {
    struct proposal_change items[PROPOSAL_KINDS]; // best first
    size_t n;
};

// All that qualify. The firings of the unit have their details; `d` has those of other rules, for
// inhibition. 0 or -ENOMEM.
int proposal_changes_find(const struct tuning_data *d, const struct tuning_unit *u,
                          struct proposal_changes *ret_changes) MUST_CHECK;

// Does a name of a service or namespace say that nobody depends on it ("tenant-test-7", "e2e")?
bool proposal_is_test_name(const char *name);
