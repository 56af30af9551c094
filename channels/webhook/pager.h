#pragma once

// Pages the owner for what the agent leaves unattended (README, "Configuration",
// SRE_UNATTENDED_SECONDS): an incident that fires, untaken, for so long; one that was taken and not
// decided for twice as long. Once an incident and question; many at once are one page.

#include "common/config.h"
#include "common/store.h"

// Puts a page into the store, for the Slack channel to send, if something is unattended now. wall
// and boot: ms; boot time decides where the wall clock was set back. Returns how many incidents it
// names or counts, or a store error. Opens its own transaction.
int pager_run(struct store *s, const struct config *c, int64_t wall, int64_t boot) MUST_CHECK;

// So many incidents are now handed over to the agent. Tells the owner that it is back, if he was
// paged for some of them. In the caller's transaction.
int pager_agent_back(struct store *s, int64_t incidents, int64_t paged, int64_t wall) MUST_CHECK;

// The session cannot work (a StopFailure hook said so): until the agent's next verdict the owner is
// paged at once for whatever waits. The owner hears it once a failure, however often the hook
// fires. Opens its own transaction.
int pager_agent_failed(struct store *s, const char *reason, int64_t wall) MUST_CHECK;

// The reason where the session says nothing at all: it is alive, but takes nothing. pager_run finds
// that out from the incidents, the canary by asking.
#define PAGER_DEAF "it takes nothing of what is pushed"
// The agent took something: it is not deaf (any more). In the caller's transaction.
int pager_agent_hears(struct store *s, int64_t wall) MUST_CHECK;

// The agent gave a verdict: back to the ordinary times. In the caller's transaction.
int pager_agent_works(struct store *s, int64_t wall) MUST_CHECK;
