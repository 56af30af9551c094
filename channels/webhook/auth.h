#pragma once

// Is the request from someone who knows the token or the HMAC secret? Pure but for the time that is
// passed in; comparisons take constant time.

#include "common/base.h"

#define AUTH_HMAC_WINDOW_S 300

enum auth_result {
    AUTH_OK,
    AUTH_NEEDS_BODY, // the signature decides: call auth_signature with the whole body
    AUTH_FAILED
};

struct auth_headers { // .p NULL when absent
    struct str authorization, signature, timestamp;
};

// By the headers alone. token and secret: "" = not configured; with neither, everything is AUTH_OK.
enum auth_result auth_headers_check(const struct auth_headers *h, const char *token,
                                    const char *secret);

// Grafana's signature: lower-case hex HMAC-SHA256 over the body, or over `timestamp:body` when a
// timestamp is sent, which then must be within AUTH_HMAC_WINDOW_S of now.
bool auth_signature(const struct auth_headers *h, const char *secret, struct str body,
                    int64_t now_s);
