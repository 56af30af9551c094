#pragma once

// The few primitives of libcrypto that are used, so that its headers stay in one file.

#include "common/base.h"

void sha1(struct str bytes, uint8_t out[20]);
void hmac_sha256(struct str key, struct str a, struct str b,
                 uint8_t out[32]); // over a followed by b
// Equal without telling by time where they differ; the time depends on the length of `given` only.
bool equal_constant_time(struct str given, struct str secret);
void random_bytes(void *out, size_t n); // aborts when the kernel has none
size_t base64_encode(struct str bytes, char *out,
                     size_t size); // NUL-terminated; bytes needed without the NUL
int base64_decode(struct str text, uint8_t *out, size_t size,
                  size_t *ret_n) MUST_CHECK;  // -EINVAL, -E2BIG
void hex_encode(struct str bytes, char *out); // lower case, NUL-terminated: 2n+1 bytes
