#pragma once

// A tuning proposal: one concrete change of an alert rule, computed from the incidents of a window
// (issue 3). The words of it; what computes it is in proposal_find.h, what remembers it in
// proposal_store.h.

#include "common/base.h"

enum proposal_kind { // stored: never change a number
    PROPOSAL_KNOWN_NOISE,
    PROPOSAL_FOR,         // a longer `for`
    PROPOSAL_THRESHOLD,   // a threshold beyond the values of the noise
    PROPOSAL_KEEP_FIRING, // keep_firing_for: flapping
    PROPOSAL_GROUP,       // one alert for many services that fire together
    PROPOSAL_INHIBIT,     // it only ever fires while another does
    PROPOSAL_DROP,        // a test tenant
    PROPOSAL_ANOMALY,     // every day at the same time
};
#define PROPOSAL_KINDS 8
extern const char *const proposal_kind_names[PROPOSAL_KINDS];

enum proposal_decision {
    DECISION_OPEN,
    DECISION_ACCEPTED,
    DECISION_REJECTED,
    DECISION_APPLIED
};                                                  // stored likewise
extern const char *const proposal_decision_names[]; // those a person takes, NULL-terminated
const char *proposal_decision_name(int64_t decision);
enum proposal_decision proposal_decision_named(const char *name);

// What a proposal is about.
enum proposal_scope { SCOPE_PROBLEM, SCOPE_FAMILY, SCOPE_RULE }; // stored likewise

#define PROPOSAL_MIN_FIRINGS 5
#define PROPOSAL_MIN_NOISE 4
#define PROPOSAL_MIN_LOOKED_AT 3 // of them: called noise by somebody else than the memory
