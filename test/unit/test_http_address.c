#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "common/http_address.h"

static void splits_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *address, *host;
        int port;
    } good[] = {
        {"127.0.0.1:8788", "127.0.0.1", 8788}, {"0.0.0.0:0", "0.0.0.0", 0},
        {"[::1]:8788", "::1", 8788},           {"[::]:65535", "::", 65535},
        {"localhost:80", "localhost", 80},     {"a-b.example:00080", "a-b.example", 80},
        {"[fe80::1%lo]:1", "fe80::1%lo", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        char host[HTTP_HOST_SIZE];
        int port = -1;
        assert_int_equal(http_address_parse(good[i].address, host, sizeof host, &port), 0);
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
    }
}

static void refuses_what_is_no_address(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "8788",
        ":8788",
        "localhost",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "h:-1",
        "h:+1",
        "h: 1",
        "h:1 ",
        "h:8x",
        "h:000001",
        "::1:8788",
        "[::1]",
        "[::1]8788",
        "[::1:8788",
        "[]:1",
        "[localhost]:1",
        "[127.0.0.1]:1",
        "[::g]:1",
        "a b:1",
        "http://h:1",
        "user@h:1",
        "[fe80::1%nosuchif]:1",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char host[HTTP_HOST_SIZE] = "untouched";
        int port = -1;
        assert_int_equal(http_address_parse(bad[i], host, sizeof host, &port), -EINVAL);
        assert_string_equal(host, "untouched");
        assert_int_equal(port, -1);
    }
    char tiny[4] = "abc";
    int port = -1;
    assert_int_equal(http_address_parse("host:1", tiny, sizeof tiny, &port), -E2BIG);
    assert_string_equal(tiny, "abc");
    assert_int_equal(http_address_parse("hos:1", tiny, sizeof tiny, &port), 0);
    assert_string_equal(tiny, "hos");
}

static void knows_loopback(void **state)
{
    (void)state;
    assert_true(http_address_is_loopback("127.0.0.1:1"));
    assert_true(http_address_is_loopback("127.255.0.3:1"));
    assert_true(http_address_is_loopback("[::1]:1"));
    assert_true(http_address_is_loopback("[::ffff:127.0.0.1]:1"));
    assert_true(http_address_is_loopback("localhost:1"));
    assert_false(http_address_is_loopback("0.0.0.0:1"));
    assert_false(http_address_is_loopback("[::]:1"));
    assert_false(http_address_is_loopback("[::ffff:10.0.0.1]:1"));
    assert_false(http_address_is_loopback("128.0.0.1:1"));
    assert_false(http_address_is_loopback("127.0.0.1.example:1"));
    assert_false(http_address_is_loopback("localhost.example:1"));
    assert_false(http_address_is_loopback("127.0.0.1"));
}

static void resolves_numbers_only(void **state)
{
    (void)state;
    struct sockaddr_storage sa;
    socklen_t len = 0;
    char text[HTTP_ADDRESS_SIZE];
    assert_int_equal(http_address_resolve("localhost:8788", &sa, &len), 0);
    assert_int_equal(len, sizeof(struct sockaddr_in));
    assert_int_equal(http_address_format(&sa, text), 8788);
    assert_string_equal(text, "127.0.0.1:8788");
    assert_int_equal(http_address_resolve("[2001:db8::7]:1", &sa, &len), 0);
    assert_int_equal(len, sizeof(struct sockaddr_in6));
    assert_int_equal(http_address_format(&sa, text), 1);
    assert_string_equal(text, "[2001:db8::7]:1");
    assert_int_equal(http_address_resolve("example:1", &sa, &len), -EINVAL);
    assert_int_equal(http_address_resolve("127.1:1", &sa, &len), -EINVAL);
    assert_int_equal(http_address_resolve("127.0.0.256:1", &sa, &len), -EINVAL);
}

static void shows_peers_as_people_know_them(void **state)
{
    (void)state;
    struct sockaddr_storage sa;
    socklen_t len = 0;
    char peer[HTTP_PEER_SIZE];
    assert_int_equal(http_address_resolve("10.0.0.7:1", &sa, &len), 0);
    http_address_peer(&sa, peer);
    assert_string_equal(peer, "10.0.0.7");
    assert_int_equal(http_address_resolve("[::ffff:10.0.0.7]:1", &sa, &len), 0);
    http_address_peer(&sa, peer);
    assert_string_equal(peer, "10.0.0.7");
    assert_int_equal(http_address_resolve("[fe80::1]:1", &sa, &len), 0);
    http_address_peer(&sa, peer);
    assert_string_equal(peer, "fe80::1");
    sa = (struct sockaddr_storage){.ss_family = AF_UNIX};
    http_address_peer(&sa, peer);
    assert_string_equal(peer, "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_host_and_port),
        cmocka_unit_test(refuses_what_is_no_address),
        cmocka_unit_test(knows_loopback),
        cmocka_unit_test(resolves_numbers_only),
        cmocka_unit_test(shows_peers_as_people_know_them),
    };
    return cmocka_run_group_tests_name("http_address", tests, NULL, NULL);
}
