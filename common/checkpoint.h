#pragma once

// Keeps the store's write-ahead log short. What it holds is moved into the database by a thread
// with a connection of its own, while the loop goes on committing; only the little that came in
// meanwhile is moved on the loop, so that the log begins anew.

#include <uv.h>

#include "common/store.h"

struct checkpoint;

// Borrows loop and store; the store must outlive the loop's last run.
int checkpoint_new(uv_loop_t *loop, struct store *s, struct checkpoint **ret) MUST_CHECK;
void checkpoint_look(struct checkpoint *c);  // after commits: begins one if the log has grown
void checkpoint_close(struct checkpoint *c); // NULL is fine; one under way ends first
