#pragma once

// Every table of the store, as the list of steps that made it. Step N brings version N to N+1; a
// step that has been released is never changed, a new one is added. Private to store.c and its
// tests.

#include "common/base.h"

extern const char *const schema_steps[];
extern const size_t schema_version; // number of steps
