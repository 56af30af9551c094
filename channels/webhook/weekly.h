#pragma once

// The week's summary for the owner (issue 8): once a week, from Monday 09:00 local time on, through
// the page queue that Slack's channel sends. After a sleep one, not a backlog; none where nothing
// happened.

#include <uv.h>

#include "common/config.h"
#include "common/store.h"

struct weekly;

// Looks every second whether it is due, and has a process of its own compute it: a million
// incidents would keep the loop for too long. Borrows all for its life.
int weekly_start(uv_loop_t *loop, struct store *s, struct weekly **ret_weekly) MUST_CHECK;
void weekly_stop(struct weekly *w); // frees it when its handles are closed; NULL is fine

// Writes the page if it is due: in one transaction with the note that it was, so that of many who
// try one does. 1 = written, 0 = not due or nothing to tell, or a store error.
int weekly_tell(struct store *s, const struct config *c, int64_t now) MUST_CHECK;

// The last Monday 09:00 until now, in the time zone of the process; wall ms. Pure but for that.
int64_t weekly_monday(int64_t now);
// Is there one to tell? 1, 0, or a store error.
int weekly_is_due(struct store *s, int64_t now) MUST_CHECK;
