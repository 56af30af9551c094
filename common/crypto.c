#include "common/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "crypto: %s failed\n", what);
    abort();
}

void sha1(struct str bytes, uint8_t out[20])
{
    if (!SHA1((const unsigned char *)bytes.p, bytes.n, out))
        give_up("sha1");
}

void sha256(struct str bytes, uint8_t out[32])
{
    if (!SHA256((const unsigned char *)bytes.p, bytes.n, out))
        give_up("sha256");
}

void hmac_sha256(struct str key, struct str a, struct str b, uint8_t out[32])
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    // A NULL key means "keep the one before" to EVP_MAC_init, an empty one is a key like others.
    const unsigned char *k = key.n ? (const void *)key.p : (const unsigned char *)"";
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    bool ok = ctx && EVP_MAC_init(ctx, k, key.n, params) == 1 &&
              EVP_MAC_update(ctx, (const void *)a.p, a.n) == 1 &&
              EVP_MAC_update(ctx, (const void *)b.p, b.n) == 1 &&
              EVP_MAC_final(ctx, out, NULL, 32) == 1;
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    if (!ok)
        give_up("hmac");
}

bool equal_constant_time(struct str given, struct str secret)
{
    volatile unsigned char differs = given.n != secret.n || secret.n == 0;
    const char *against = secret.n ? secret.p : "";
    for (size_t i = 0; i < given.n; i++) {
        size_t within = (size_t)0 - (size_t)(i < secret.n); // all ones or 0, no branch
        differs = differs | (unsigned char)(given.p[i] ^ against[i & within]);
    }
    return differs == 0;
}

void random_bytes(void *out, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t r = getrandom((char *)out + got, n - got, 0);
        if (r < 0 && errno != EINTR)
            give_up("getrandom");
        if (r > 0)
            got += (size_t)r;
    }
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(struct str bytes, char *out, size_t size)
{
    size_t need = (bytes.n + 2) / 3 * 4;
    if (need >= size) {
        if (size)
            out[0] = '\0';
        return need;
    }
    const uint8_t *p = (const void *)bytes.p;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0);
        *out++ = base64_digits[v >> 18];
        *out++ = base64_digits[v >> 12 & 63];
        *out++ = left > 1 ? base64_digits[v >> 6 & 63] : '=';
        *out++ = left > 2 ? base64_digits[v & 63] : '=';
    }
    *out = '\0';
    return need;
}

static int base64_value(char c)
{
    const char *at = c ? strchr(base64_digits, c) : NULL;
    return at ? (int)(at - base64_digits) : -1;
}

int base64_decode(struct str text, uint8_t *out, size_t size, size_t *ret_n)
{
    size_t digits = text.n;
    while (digits && text.n - digits < 2 && text.p[digits - 1] == '=')
        digits--;
    if (text.n % 4)
        return -EINVAL;
    size_t n = digits / 4 * 3 + (digits % 4 ? digits % 4 - 1 : 0);
    if (n > size)
        return -E2BIG;
    uint32_t v = 0;
    size_t done = 0;
    for (size_t i = 0; i < digits; i++) {
        int d = base64_value(text.p[i]);
        if (d < 0)
            return -EINVAL;
        v = v << 6 | (uint32_t)d;
        if (i % 4)
            out[done++] = (uint8_t)(v >> (6 - 2 * (i % 4)));
    }
    // Bits beyond the last byte must be zero (RFC 4648, 3.5).
    unsigned spare = digits % 4 == 2 ? 0xf : digits % 4 == 3 ? 0x3 : 0;
    if (v & spare)
        return -EINVAL;
    *ret_n = n;
    return 0;
}

void hex_encode(struct str bytes, char *out)
{
    for (size_t i = 0; i < bytes.n; i++) {
        *out++ = "0123456789abcdef"[(uint8_t)bytes.p[i] >> 4];
        *out++ = "0123456789abcdef"[(uint8_t)bytes.p[i] & 15];
    }
    *out = '\0';
}
