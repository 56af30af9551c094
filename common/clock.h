#pragma once

// The two clocks. Whatever is written to the store is wall time, so that people can read it;
// whatever is waited for is boot time, which no one sets back and which counts while the machine
// sleeps.

#include "common/base.h"

int64_t clock_wall_ms(void); // since 1970-01-01T00:00:00Z
int64_t clock_boot_ms(void); // since boot; the same for every process of this machine

#define RFC3339_SIZE 32
// "2026-04-17T03:12:09Z" (with .mmm when the milliseconds are not 0) into out; returns out.
const char *rfc3339_format(int64_t wall_ms, char out[RFC3339_SIZE]);

// Reads an RFC 3339 time with 0 to 9 fractional digits and `Z` or a numeric offset (RFC 3339, 5.6).
// Returns 0 and the milliseconds since 1970, or -EINVAL.
int rfc3339_parse(struct str text, int64_t *ret_wall_ms) MUST_CHECK;

// "4 min", "2 h 5 min", "3 d 1 h": for people. Negative counts as 0.
#define DURATION_SIZE 32
const char *duration_format(int64_t ms, char out[DURATION_SIZE]);
