#pragma once

// Pushes what is due into the session: each incident as an event of its own as far as the budget
// goes, the rest folded into digests. Each is recorded as pushed before it is sent, in the same
// transaction as others of its batch: an event that cannot be sent is due again, one that cannot be
// recorded (a full disk) is sent all the same, once.

#include "channels/webhook/budget.h"
#include "channels/webhook/digest.h"
#include "channels/webhook/id_set.h"
#include "channels/webhook/playbooks.h"
#include "common/config.h"
#include "common/group_commit.h"
#include "mcp/server.h"

#define PUSHER_PART_MS 5 // between the parts of a digest that are recorded

// Its fields are its own; all pointers are borrowed.
struct pusher {
    struct store *store;
    const struct group_commit *commit;
    const struct config *config;
    struct mcp_server *mcp;
    const struct playbooks *playbooks;
    struct budget budget;
    bool told_unwritable;
    bool told_back;                     // the owner knows that the agent is back
    int64_t held_back_until;            // boot ms
    int64_t busy_since;                 // boot ms; 0 = nothing more is coming in
    int64_t over_budget_since;          // boot ms; 0 = within
    int64_t noise_since, noise_told_at; // boot ms; 0 = none waits, never
    // Pushed while the store could not be written: not sent again, recorded as soon as it can be.
    struct id_set unrecorded;
    struct digest_note digest; // the last one
    bool recording;            // it was pushed; parts of it are still to be recorded
};

void pusher_init(struct pusher *p, struct store *s, const struct group_commit *commit,
                 const struct config *c, struct mcp_server *mcp, const struct playbooks *books);
void pusher_done(struct pusher *p);

// This process is to push from now on; another one may have done so before.
void pusher_take_turn(struct pusher *p);
// The first push of a session: all that was asked before it (wall ms), as one digest that counts as
// delivery 1. 0, or an error: then nothing happened, -EBUSY if it will pass.
int pusher_begin(struct pusher *p, int64_t now, int64_t asked_before) MUST_CHECK;
// The store can be read but not written: nothing can be marked as pushed, so the session hears once
// how many wait.
void pusher_tell_unwritable(struct pusher *p);

// Pushes what is due at `now` (boot ms). Says whether it wants to go on in PUSHER_PART_MS.
bool pusher_run(struct pusher *p, int64_t now);
