#pragma once

// What the configuration lacks for Slack to be used.

#include "common/buf.h"
#include "common/config.h"

// Appends the missing keys, each with where to get it; nothing when all are there. 0 or buf's
// error.
int slack_config_missing(const struct config *config, struct buf *out);
