#pragma once

// Part of the store: the one other place that knows SQLite.

#include "common/base.h"

struct sqlite3;

// The database file at `path` was deleted while `open` still has all of it: writes it there anew.
// Never over a file that is there, and one process at a time: whoever comes second finds it
// written. Nothing of `open` may be in a transaction. 1 written, 0 not needed, or a negative errno.
int store_rescue(struct sqlite3 *open, const char *path) MUST_CHECK;
