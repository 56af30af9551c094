#pragma once

// One process per app token on this machine, whatever its state folder: Slack sends each event to
// any one of an app's connections, so two would split them.

#include "common/base.h"

struct app_lock;

// -EBUSY: another process has it. The token itself is not in the file's name.
int app_lock_take(const char *app_token, struct app_lock **ret_lock) MUST_CHECK;
void app_lock_release(struct app_lock *l); // NULL is fine
