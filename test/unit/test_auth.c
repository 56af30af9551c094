#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "channels/webhook/auth.h"
#include "common/crypto.h"

#define NOW 1700000000

static enum auth_result with(const char *authorization, const char *token)
{
    struct auth_headers h = {.authorization = str_of(authorization)};
    return auth_headers_check(&h, token, "");
}

static void test_nothing_configured(void **state)
{
    (void)state;
    struct auth_headers none = {0};
    assert_int_equal(auth_headers_check(&none, "", ""), AUTH_OK);
    assert_int_equal(with("Bearer whatever", ""), AUTH_OK);
}

static void test_bearer(void **state)
{
    (void)state;
    struct auth_headers none = {0};
    assert_int_equal(auth_headers_check(&none, "t0ken", ""), AUTH_FAILED);
    assert_int_equal(with("Bearer t0ken", "t0ken"), AUTH_OK);
    assert_int_equal(with("bEARER   t0ken", "t0ken"),
                     AUTH_OK); // RFC 9110, 11.1: schemes have no case
    static const char *const wrong[] = {"",
                                        "Bearer",
                                        "Bearer ",
                                        "Bearer t0ke",
                                        "Bearer t0ken ",
                                        "Bearer t0kenx",
                                        "Bearer T0KEN",
                                        "t0ken",
                                        "Bearert0ken",
                                        "Token t0ken",
                                        "Bearer t0ken,Bearer t0ken",
                                        "Basic t0ken"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (with(wrong[i], "t0ken") != AUTH_FAILED)
            fail_msg("%s", wrong[i]);
}

static enum auth_result with_basic(const char *user_and_password, size_t n, const char *token)
{
    char encoded[4096], header[4200];
    base64_encode((struct str){user_and_password, n}, encoded, sizeof encoded);
    snprintf(header, sizeof header, "Basic %s", encoded);
    return with(header, token);
}

static void test_basic(void **state)
{
    (void)state;
    assert_int_equal(with_basic("user:t0ken", 10, "t0ken"), AUTH_OK);
    assert_int_equal(with_basic(":t0ken", 6, "t0ken"), AUTH_OK);
    assert_int_equal(with_basic("u:a:b", 5, "a:b"),
                     AUTH_OK); // RFC 7617, 2: the first colon divides
    assert_int_equal(with_basic("t0ken", 5, "t0ken"), AUTH_FAILED);
    assert_int_equal(with_basic("t0ken:", 6, "t0ken"), AUTH_FAILED);
    assert_int_equal(with_basic("u:t0ken\0", 8, "t0ken"), AUTH_FAILED);
    assert_int_equal(with_basic("u:", 2, "t0ken"), AUTH_FAILED);
    assert_int_equal(with_basic("", 0, "t0ken"), AUTH_FAILED);
    assert_int_equal(with("Basic dTp0MGtlbg", "t0ken"), AUTH_FAILED); // not padded
    assert_int_equal(with("Basic !!!!", "t0ken"), AUTH_FAILED);
    char long_one[2000];
    memset(long_one, ':', sizeof long_one);
    assert_int_equal(with_basic(long_one, sizeof long_one, "t0ken"), AUTH_FAILED);
}

static void test_either_of_two_suffices(void **state)
{
    (void)state;
    struct auth_headers h = {.signature = str_of("00")};
    assert_int_equal(auth_headers_check(&h, "", "secret"), AUTH_NEEDS_BODY);
    assert_int_equal(auth_headers_check(&h, "t0ken", "secret"), AUTH_NEEDS_BODY);
    assert_int_equal(auth_headers_check(&h, "t0ken", ""), AUTH_FAILED); // nothing to check it by
    h.authorization = str_of("Bearer wrong");
    assert_int_equal(auth_headers_check(&h, "t0ken", "secret"), AUTH_NEEDS_BODY);
    h.authorization = str_of("Bearer t0ken");
    assert_int_equal(auth_headers_check(&h, "t0ken", "secret"), AUTH_OK);
    h = (struct auth_headers){.authorization = str_of("Bearer t0ken")};
    assert_int_equal(auth_headers_check(&h, "t0ken", "secret"), AUTH_OK);
    assert_int_equal(auth_headers_check(&h, "", "secret"), AUTH_FAILED);
    h = (struct auth_headers){.authorization = str_of("Bearer secret"), .signature = str_of("")};
    assert_int_equal(auth_headers_check(&h, "", "secret"), AUTH_FAILED);
}

// RFC 4231, test case 2.
static const char known[] = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

static bool signed_at(const char *signature, const char *timestamp, const char *body, int64_t now)
{
    struct auth_headers h = {.signature = str_of(signature), .timestamp = str_of(timestamp)};
    return auth_signature(&h, "Jefe", str_of(body), now);
}

static void test_signature(void **state)
{
    (void)state;
    const char *body = "what do ya want for nothing?";
    char upper[sizeof known];
    for (size_t i = 0; i < sizeof known; i++)
        upper[i] = known[i] >= 'a' && known[i] <= 'f' ? (char)(known[i] - 32) : known[i];
    char shorter[sizeof known];
    snprintf(shorter, sizeof shorter, "%.62s", known);
    assert_true(signed_at(known, NULL, body, NOW));
    assert_false(signed_at(known, NULL, "what do ya want for nothing!", NOW));
    assert_false(signed_at(known, NULL, "", NOW));
    assert_false(signed_at(upper, NULL, body, NOW));
    assert_false(signed_at(shorter, NULL, body, NOW));
    assert_false(signed_at("", NULL, body, NOW));
    struct auth_headers h = {.signature = str_of(known)};
    assert_false(auth_signature(&h, "jefe", str_of(body), NOW));
}

// Grafana signs "timestamp:body".
static const char *sign(const char *timestamp, const char *body)
{
    static char hex[65];
    char text[128];
    uint8_t mac[32];
    snprintf(text, sizeof text, "%s:%s", timestamp, body);
    hmac_sha256(str_of("Jefe"), str_of(text), (struct str){0}, mac);
    hex_encode((struct str){(const char *)mac, sizeof mac}, hex);
    return hex;
}

static void test_timestamp(void **state)
{
    (void)state;
    const char *signature = sign("1700000000", "{}");
    assert_true(signed_at(signature, "1700000000", "{}", NOW));
    assert_true(signed_at(signature, "1700000000", "{}", NOW + AUTH_HMAC_WINDOW_S));
    assert_true(signed_at(signature, "1700000000", "{}", NOW - AUTH_HMAC_WINDOW_S));
    assert_false(signed_at(signature, "1700000000", "{}", NOW + AUTH_HMAC_WINDOW_S + 1));
    assert_false(signed_at(signature, "1700000000", "{}", NOW - AUTH_HMAC_WINDOW_S - 1));
    assert_false(signed_at(signature, "1700000001", "{}", NOW)); // it is part of what is signed
    assert_false(signed_at(signature, NULL, "{}", NOW));
    assert_false(signed_at(known, "1700000000", "what do ya want for nothing?", NOW));
}

// All of these reach the check before anybody has shown to know the secret.
static void test_hostile_timestamps(void **state)
{
    (void)state;
    static const char *const hostile[] = {"",
                                          "x",
                                          "1700000000x",
                                          "-1",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "-9223372036854775807",
                                          "99999999999999999999999",
                                          "999999999999999999999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++)
        assert_false(signed_at(sign(hostile[i], "{}"), hostile[i], "{}", NOW));
    struct auth_headers h = {.signature = str_of(known), .timestamp = {"1700000000\0", 11}};
    assert_false(auth_signature(&h, "Jefe", str_of("{}"), NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_configured),
        cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_basic),
        cmocka_unit_test(test_either_of_two_suffices),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_timestamp),
        cmocka_unit_test(test_hostile_timestamps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
