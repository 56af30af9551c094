#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "common/crypto.h"

static void assert_hex(const uint8_t *bytes, size_t n, const char *expected)
{
    char hex[129];
    hex_encode((struct str){(const char *)bytes, n}, hex);
    assert_string_equal(hex, expected);
}

// RFC 3174, 7.3; FIPS 180-2, A.
static void sha1_matches_the_published_vectors(void **state)
{
    (void)state;
    uint8_t out[20];
    sha1(str_of("abc"), out);
    assert_hex(out, 20, "a9993e364706816aba3e25717850c26c9cd0d89d");
    sha1((struct str){NULL, 0}, out);
    assert_hex(out, 20, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    // The example handshake of RFC 6455, 1.3.
    char accept[32];
    sha1(str_of("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"), out);
    assert_int_equal(base64_encode((struct str){(char *)out, 20}, accept, sizeof accept), 28);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

// RFC 4231, 4.3, 4.4, 4.7.
static void hmac_matches_the_published_vectors(void **state)
{
    (void)state;
    uint8_t out[32];
    char key[131], data[50];
    hmac_sha256(str_of("Jefe"), str_of("what do ya want "), str_of("for nothing?"), out);
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    hmac_sha256((struct str){key, 20}, (struct str){data, 50}, (struct str){NULL, 0}, out);
    assert_hex(out, 32, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    hmac_sha256((struct str){key, 131}, (struct str){NULL, 0},
                str_of("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void hmac_takes_an_empty_key(void **state)
{
    (void)state;
    uint8_t out[32];
    hmac_sha256((struct str){NULL, 0}, (struct str){NULL, 0}, (struct str){NULL, 0}, out);
    assert_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void compares_as_memcmp_would(void **state)
{
    (void)state;
    struct str secret = str_of("s3cret");
    assert_true(equal_constant_time(str_of("s3cret"), secret));
    assert_false(equal_constant_time(str_of("s3cres"), secret));
    assert_false(equal_constant_time(str_of("S3cret"), secret));
    assert_false(equal_constant_time(str_of("s3cre"), secret));
    assert_false(equal_constant_time(str_of("s3crets"), secret));
    assert_false(equal_constant_time(str_of(""), secret));
    assert_false(equal_constant_time((struct str){NULL, 0}, secret));
    // A prefix that is followed by the secret's first byte again.
    assert_false(equal_constant_time(str_of("s3crets3cret"), secret));
}

static void nothing_equals_a_secret_that_is_not_set(void **state)
{
    (void)state;
    assert_false(equal_constant_time((struct str){NULL, 0}, (struct str){NULL, 0}));
    assert_false(equal_constant_time(str_of(""), str_of("")));
    assert_false(equal_constant_time(str_of("x"), (struct str){NULL, 0}));
}

static void random_bytes_differ(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0}, zero[32] = {0};
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a, zero, sizeof a);
}

// RFC 4648, 10.
static void base64_goes_both_ways(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xef\xbe", "/+++"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        char text[16];
        uint8_t bytes[16];
        size_t n = 99;
        assert_int_equal(base64_encode(str_of(pairs[i][0]), text, sizeof text),
                         strlen(pairs[i][1]));
        assert_string_equal(text, pairs[i][1]);
        assert_int_equal(base64_decode(str_of(pairs[i][1]), bytes, sizeof bytes, &n), 0);
        assert_int_equal(n, strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], n);
    }
}

static void base64_needs_room(void **state)
{
    (void)state;
    char small[8] = "unclean";
    uint8_t bytes[2];
    size_t n = 77;
    assert_int_equal(base64_encode(str_of("foobar"), small, sizeof small), 8);
    assert_string_equal(small, "");
    assert_int_equal(base64_encode(str_of("foo"), small, 5), 4);
    assert_string_equal(small, "Zm9v");
    assert_int_equal(base64_decode(str_of("Zm9v"), bytes, sizeof bytes, &n), -E2BIG);
    assert_int_equal(n, 77);
}

static void base64_refuses_what_is_not_canonical(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z",    "Zg",    "Zg=",  "Zm9",  "Z===",     "====", "=",    "Zm9v=",
        "Zm 9", "Zm9\n", "Zm9-", "Zm9_", "Zg==Zg==", "Zh==", "Zm9=", "=Zm9",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t bytes[16];
        size_t n = 77;
        assert_int_equal(base64_decode(str_of(bad[i]), bytes, sizeof bytes, &n), -EINVAL);
        assert_int_equal(n, 77);
    }
    uint8_t bytes[16];
    size_t n = 77;
    assert_int_equal(base64_decode((struct str){"Zg\0=", 4}, bytes, sizeof bytes, &n), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha1_matches_the_published_vectors),
        cmocka_unit_test(hmac_matches_the_published_vectors),
        cmocka_unit_test(hmac_takes_an_empty_key),
        cmocka_unit_test(compares_as_memcmp_would),
        cmocka_unit_test(nothing_equals_a_secret_that_is_not_set),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(base64_needs_room),
        cmocka_unit_test(base64_refuses_what_is_not_canonical),
    };
    return cmocka_run_group_tests_name("crypto", tests, NULL, NULL);
}
