#pragma once

// Who speaks for a channel (README, "Architecture"): one process holds the lease; its heartbeat is
// every LEASE_BEAT_MS; another takes it over when the heartbeat is LEASE_STALE_MS old or the
// holder's process is gone. Also the list of processes that listen, so that those which share a
// store may share a port.

#include "common/store.h"

// The leases by which the channels know of each other.
#define LEASE_SESSION "webhook"         // held by the process that pushes into the session
#define LEASE_STANDBY "webhook-standby" // held by a process that watches without one
#define LEASE_SLACK "slack"             // held by the process that speaks for Slack

#define LEASE_BEAT_MS 2000
#define LEASE_STALE_MS 6000

// Takes or renews the lease for this process. 1 = held by us, 0 = another live process holds it, <0
// error of the store.
int lease_beat(struct store *s, const char *channel) MUST_CHECK;
void lease_release(struct store *s,
                   const char *channel); // ours only; errors are of no consequence: it goes stale.
                                         // When it was held last can still be read

struct lease_info {
    bool fresh;                 // somebody holds it
    int64_t pid, age_ms, since; // since: wall ms at which it was taken
};
int lease_read(struct store *s, const char *channel,
               struct lease_info *ret_info) MUST_CHECK; // 0, or <0

// Says that this process listens on address; 1 if another live process of this store does already,
// else 0, <0 error.
int listener_add(struct store *s, const char *address) MUST_CHECK;
int listener_shared(struct store *s, const char *address) MUST_CHECK; // 1 / 0 / <0, without adding
// A small write, without waiting for the disk: 0 tells that the store can be written (and that this
// process is still noted as a listener), <0 why not.
int listener_beat(struct store *s, const char *address) MUST_CHECK;
void listener_remove(struct store *s);

// This process as text that no other process ever has, and whether the process so named still runs.
const char *lease_self(void);
bool lease_alive(const char *process);
