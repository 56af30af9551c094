#pragma once

// Names under which secrets are kept: password, api_key, X-Auth-Token, dbPassword2, ... Pure.

#include "common/base.h"

// What kind of secret a value of that name is ("password", "token", ...), or NULL. Case and
// separators do not matter.
const char *secret_name_kind(struct str name);
