#pragma once

// The incidents that the owner is to hear of without the agent (README, "Configuration",
// SRE_UNATTENDED_SECONDS): one that fires, untaken, for so long; one that was taken and not
// decided for twice as long. Told once. Whichever channel is there to do it pages for them.

#include "common/store.h"

struct unattended {
    int64_t wall, boot; // now, ms
    int64_t after;      // ms
};

#define UNATTENDED_NAMED 10 // in one page; the others are counted

int unattended_count(struct store *s, const struct unattended *u, int64_t *ret_n) MUST_CHECK;
// The worst, critical and prod first.
int unattended_worst(struct store *s, const struct unattended *u, int64_t ids[UNATTENDED_NAMED],
                     int *ret_n) MUST_CHECK;
// All of them have been told. In the transaction of the page.
int unattended_told(struct store *s, const struct unattended *u) MUST_CHECK;
