#pragma once

// A tuning proposal: one concrete change of an alert rule, with the evidence that it was computed from (issue 3). Numbers are stored: never
// change one.

#include "common/base.h"

enum proposal_kind {
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

enum proposal_decision { DECISION_OPEN, DECISION_ACCEPTED, DECISION_REJECTED, DECISION_APPLIED };
