#include "channels/webhook/proposal.h"

const char *const proposal_kind_names[PROPOSAL_KINDS] = {
    "known_noise", "for",        "threshold", "keep_firing_for",
    "grouping",    "inhibition", "drop",      "anomaly"};

const char *const proposal_decision_names[] = {"accepted", "rejected", "applied", NULL};

const char *proposal_decision_name(int64_t decision)
{
    return decision >= DECISION_ACCEPTED && decision <= DECISION_APPLIED
               ? proposal_decision_names[decision - 1]
               : "open";
}

enum proposal_decision proposal_decision_named(const char *name)
{
    for (int i = 0; proposal_decision_names[i]; i++)
        if (strcmp(name, proposal_decision_names[i]) == 0)
            return (enum proposal_decision)(i + 1);
    return DECISION_OPEN;
}
