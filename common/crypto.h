#pragma once

// The few primitives of libcrypto that are used, so that its headers stay in one file.

#include "common/base.h"

void sha1(struct str bytes, uint8_t out[20]);
void sha256(struct str bytes, uint8_t out[32]);
void hmac_sha256(struct str key, struct str a, struct str b,
                 uint8_t out[32]); // over a followed by b
// Equal without telling by time where they differ; the time depends on the length of `given` only.
// An empty secret is one that was not set: nothing equals it.
bool equal_constant_time(struct str given, struct str secret);
void random_bytes(void *out, size_t n); // aborts when the kernel has none
// Returns the bytes needed without the NUL. Writes "" when size is not larger than that.
size_t base64_encode(struct str bytes, char *out, size_t size);
// Strict: padded, no white space, no spare bits (RFC 4648, 4). On -EINVAL, -E2BIG `out` may have
// been written to.
int base64_decode(struct str text, uint8_t *out, size_t size, size_t *ret_n) MUST_CHECK;
void hex_encode(struct str bytes, char *out); // lower case, NUL-terminated: 2n+1 bytes
