#pragma once

// One structured line (logfmt) a call on stderr: time, level, msg, then the pairs. Values are
// cleaned, redacted and capped, so that hostile text can neither forge a line nor leak a secret.
// stdout is never touched.

#include "common/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);
int log_level_parse(const char *name, enum log_level *ret_level) MUST_CHECK; // -EINVAL

// log_at(LOG_WARN, "request refused", "reason", why, "peer", peer, NULL): pairs of strings up to
// NULL. A NULL value is left out together with its key.
void log_at(enum log_level level, const char *msg, ...) __attribute__((sentinel));

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__, NULL)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__, NULL)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__, NULL)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__, NULL)

// A number as text for the pairs above: log_info("listening", "port", log_int(p)). Up to 8 per
// call.
const char *log_int(int64_t v);
