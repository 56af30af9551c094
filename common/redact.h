#pragma once

// Masks secrets in text before it reaches the store, a log, the model or Slack. Pure.

#include "common/buf.h"

// Appends s to out with each secret replaced by "[redacted:KIND]": provider tokens (GitHub, GitLab,
// Slack, AWS, Google, Stripe, OpenAI/Anthropic, npm, ...), JWTs, values of Authorization headers
// and of Bearer/Basic, passwords in URLs (scheme://user:PASSWORD@host) and in key=value, key: value
// and "key":"value" form (password, passwd, pwd, secret, token, api_key, access_key, private_key,
// ...), PEM blocks. Returns the number of secrets masked, or buf's error. Linear in the length of
// s.
int redact(struct buf *out, struct str s);

// Is this the name of a label, header or key under which secrets are kept (password, api_key,
// X-Auth-Token, ...)?
bool redact_is_secret_name(struct str name);
