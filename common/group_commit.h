#pragma once

// Group commit: jobs that arrive while others are being read or committed share one transaction and
// its fsync. A job hears of its end only after the commit. All on the loop's thread; what the loop
// waits for is SQLite itself, never another process's lock: that is retried by timer.

#include <uv.h>

#include "common/store.h"

struct group_commit;

struct commit_job {
    // Inside a transaction. 0 = done, 1 = more to do: commit this part, call again with the next
    // group; <0 = this job fails. May be called again for the same part after a rollback, so it
    // changes nothing but the store and its own notes.
    int (*apply)(struct commit_job *job, struct store *s);
    // After the commit (0) or when it failed for good. May free the job. Never called from within
    // submit.
    void (*done)(struct commit_job *job, int error);
    // group_commit's:
    bool rolled_back; // for apply: what its last call did is not in the store
    struct commit_job *next;
    int64_t deadline;
};

// Borrows loop and store for its life.
int group_commit_new(uv_loop_t *loop, struct store *s, struct group_commit **ret) MUST_CHECK;
// Takes the job until done. patience_ms: how long another process's lock may keep it; then it ends
// with -EBUSY.
void group_commit_submit(struct group_commit *g, struct commit_job *job, int64_t patience_ms);
bool group_commit_idle(const struct group_commit *g);
// Runs what is queued at once, ends the rest with -ECANCELED, and frees g when its handles are
// closed.
void group_commit_close(struct group_commit *g);
// Called after each commit that changed something.
void group_commit_on_commit(struct group_commit *g, void (*fn)(void *data), void *data);
