#pragma once

// The HTTP side (README, "Senders"): who may post, what is answered, and that 200 comes only after
// the commit.

#include "common/config.h"
#include "common/group_commit.h"
#include "common/http_server.h"

struct intake;

struct intake_hooks {
    bool (*session_ready)(
        void *data); // for /readyz: somebody speaks to a session, or a standby watches
    void *data;
};

// Listens at once. Borrows all for its life. Errors of http_server_start; one line for a person in
// ret_why (appended).
int intake_start(uv_loop_t *loop, struct store *s, struct group_commit *commit,
                 const struct config *c, struct intake_hooks hooks, struct intake **ret_intake,
                 struct buf *ret_why) MUST_CHECK;
const char *intake_address(const struct intake *in);
void intake_stop(
    struct intake *in,
    unsigned grace_ms); // answers what is under way, then closes; frees itself on the loop
