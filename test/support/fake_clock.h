#pragma once

// Time that moves only when the test says so, for the clocks of common/clock.h and for libuv alike:
// an executable's own clock_gettime is found before the C library's.

#include <time.h>

#include "common/base.h"

#define FAKE_WALL_BASE 1700000000000 // ms
#define FAKE_BOOT_BASE 1000000000    // ms

static int64_t fake_elapsed_ms;
static int64_t fake_wall_shift_ms; // the wall clock was set by so much

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int64_t ms = fake_elapsed_ms + (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE
                                        ? FAKE_WALL_BASE + fake_wall_shift_ms
                                        : FAKE_BOOT_BASE);
    ts->tv_sec = (time_t)(ms / 1000);
    ts->tv_nsec = (long)(ms % 1000) * 1000000;
    return 0;
}
