#pragma once

// Looking ahead (README, "Looking ahead"): asks a Prometheus-compatible API the queries of
// PATROL_QUERIES every PATROL_SECONDS, one after the other, and takes in what heads for its
// threshold as an alert of source "patrol".

#include <uv.h>

#include "common/config.h"
#include "common/group_commit.h"

struct patrol;

struct patrol_hooks {
    bool (*may_run)(void *data); // this process is the one that patrols
    void *data;
};

// Borrows all for its life. Without PATROL_URL, or with PATROL_SECONDS 0, *ret is NULL: nothing is
// allocated and nothing runs. 0 or -ENOMEM.
int patrol_start(uv_loop_t *loop, struct store *s, struct group_commit *commit,
                 const struct config *c, struct patrol_hooks hooks, struct patrol **ret) MUST_CHECK;
void patrol_stop(struct patrol *p); // before group_commit_close; frees it on the loop; NULL is fine
