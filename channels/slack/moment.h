#pragma once

// A moment on both clocks. A timer is due by whichever comes first, so that a clock set back cannot
// silence it and a machine that slept does not sleep on. Pure but for moment_now.

#include "common/clock.h"
#include "common/store.h"

struct moment {
    int64_t wall, boot; // ms; both 0: never
};

enum { MOMENT_AGAIN_MS = 500 };

struct moment moment_now(void);
struct moment moment_after(struct moment now, int64_t ms);
int64_t moment_wait(struct moment due, struct moment now); // ms until it is due, 0 if it is
// ms until the first of what q selects, wall and boot times, is due; -1 for none; MOMENT_AGAIN_MS
// when the store does not say. Resets q.
int64_t moment_wait_of(struct stmt *q, struct moment now);

// After a boot the stored boot times mean nothing: they are made anew from the wall times, at most
// cap_ms ahead (a clock that was wrong must not push a nag beyond its interval). Once per boot.
int moment_rebase(struct store *s, struct moment now, int64_t cap_ms) MUST_CHECK;
