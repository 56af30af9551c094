#include "channels/webhook/auth.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "common/text.h"

// The credentials behind `scheme `, or nothing.
static struct str credentials(struct str authorization, const char *scheme)
{
    size_t n = strlen(scheme);
    if (authorization.n <= n || authorization.p[n] != ' ' ||
        !text_equal_nocase((struct str){authorization.p, n}, scheme))
        return (struct str){0};
    struct str c = {authorization.p + n + 1, authorization.n - n - 1};
    while (c.n && c.p[0] == ' ')
        c.p++, c.n--;
    return c;
}

static bool basic_password_is(struct str encoded, const char *token)
{
    uint8_t plain[1024];
    size_t n = 0;
    if (base64_decode(encoded, plain, sizeof plain, &n) < 0)
        return false;
    const uint8_t *colon = memchr(plain, ':', n);
    if (!colon)
        return false;
    struct str password = {(const char *)colon + 1, n - (size_t)(colon + 1 - plain)};
    return equal_constant_time(password, str_of(token));
}

enum auth_result auth_headers_check(const struct auth_headers *h, const char *token,
                                    const char *secret)
{
    if (!*token && !*secret)
        return AUTH_OK;
    if (*token) {
        struct str bearer = credentials(h->authorization, "Bearer"),
                   basic = credentials(h->authorization, "Basic");
        if (bearer.n && equal_constant_time(bearer, str_of(token)))
            return AUTH_OK;
        if (basic.n && basic_password_is(basic, token))
            return AUTH_OK;
    }
    return *secret && h->signature.n ? AUTH_NEEDS_BODY : AUTH_FAILED;
}

static bool timestamp_is_fresh(struct str timestamp, int64_t now_s)
{
    char copy[24];
    if (timestamp.n == 0 || timestamp.n >= sizeof copy)
        return false;
    memcpy(copy, timestamp.p, timestamp.n);
    copy[timestamp.n] = '\0';
    char *end;
    long long t = strtoll(copy, &end, 10);
    return *end == '\0' && t >= now_s - AUTH_HMAC_WINDOW_S && t <= now_s + AUTH_HMAC_WINDOW_S;
}

bool auth_signature(const struct auth_headers *h, const char *secret, struct str body,
                    int64_t now_s)
{
    uint8_t mac[32];
    char hex[65], prefix[32];
    size_t n = 0;
    if (h->timestamp.p) {
        if (!timestamp_is_fresh(h->timestamp, now_s))
            return false;
        n = h->timestamp.n;
        memcpy(prefix, h->timestamp.p, n);
        prefix[n++] = ':';
    }
    hmac_sha256(str_of(secret), (struct str){prefix, n}, body, mac);
    hex_encode((struct str){(const char *)mac, sizeof mac}, hex);
    return equal_constant_time(h->signature, str_of(hex));
}
