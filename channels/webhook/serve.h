#pragma once

// The long-running process: an MCP server on stdio that also listens for webhooks, or the standby
// that only listens and watches.

#include "common/config.h"

// Runs until SIGINT, SIGTERM or, for a session, the end of stdin. Returns the exit status. Borrows
// c.
int serve(const struct config *c, bool standby);
