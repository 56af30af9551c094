#pragma once

// `slack-channel standby` (README, "Operations"): while no session is there it holds the
// connection, nags, takes acknowledgements, keeps what people write for the next session and sends
// pages.

#include "common/config.h"
#include "common/store.h"

int standby_run(const struct config *config, struct store *s); // exit status
