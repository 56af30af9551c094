#include "common/http_address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

static int parse_port(struct str s, int *ret_port)
{
    int port = 0;
    if (s.n < 1 || s.n > 5)
        return -EINVAL;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -EINVAL;
        port = port * 10 + (s.p[i] - '0');
    }
    if (port > 65535)
        return -EINVAL;
    *ret_port = port;
    return 0;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '.' && s.p[i] != '-' && s.p[i] != '_')
            return false;
    }
    return s.n > 0;
}

// An IPv6 address with an optional zone: "fe80::1%eth0".
static int parse_ip6(struct str s, struct sockaddr_in6 *ret)
{
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6};
    if (s.n >= sizeof text)
        return -EINVAL;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    char *zone = strchr(text, '%');
    if (zone) {
        *zone++ = '\0';
        sa.sin6_scope_id = if_nametoindex(zone);
        if (!sa.sin6_scope_id)
            return -EINVAL;
    }
    if (inet_pton(AF_INET6, text, &sa.sin6_addr) != 1)
        return -EINVAL;
    *ret = sa;
    return 0;
}

int http_address_parse(const char *address, char *ret_host, size_t host_size, int *ret_port)
{
    struct str host, port;
    struct sockaddr_in6 unused;
    int number = 0;
    const char *end;
    if (address[0] == '[') {
        end = strchr(address, ']');
        if (!end || end[1] != ':')
            return -EINVAL;
        host = (struct str){address + 1, (size_t)(end - address - 1)};
        port = str_of(end + 2);
        if (parse_ip6(host, &unused) < 0)
            return -EINVAL;
    } else {
        end = strchr(address, ':');
        if (!end)
            return -EINVAL;
        host = (struct str){address, (size_t)(end - address)};
        port = str_of(end + 1);
        if (!is_name(host))
            return -EINVAL;
    }
    if (parse_port(port, &number) < 0)
        return -EINVAL;
    if (host.n >= host_size)
        return -E2BIG;
    memcpy(ret_host, host.p, host.n);
    ret_host[host.n] = '\0';
    *ret_port = number;
    return 0;
}

int http_address_resolve(const char *address, struct sockaddr_storage *ret_sa, socklen_t *ret_len)
{
    char host[HTTP_HOST_SIZE];
    int port = 0;
    int r = http_address_parse(address, host, sizeof host, &port);
    if (r < 0)
        return -EINVAL;
    struct sockaddr_in sa4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 sa6;
    const char *number = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (address[0] == '[') {
        if (parse_ip6(str_of(host), &sa6) < 0)
            return -EINVAL;
        sa6.sin6_port = htons((uint16_t)port);
        memset(ret_sa, 0, sizeof *ret_sa);
        memcpy(ret_sa, &sa6, sizeof sa6);
        *ret_len = sizeof sa6;
        return 0;
    }
    if (inet_pton(AF_INET, number, &sa4.sin_addr) != 1)
        return -EINVAL;
    memset(ret_sa, 0, sizeof *ret_sa);
    memcpy(ret_sa, &sa4, sizeof sa4);
    *ret_len = sizeof sa4;
    return 0;
}

static bool is_mapped_ip4(const struct in6_addr *a)
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(a->s6_addr, prefix, sizeof prefix) == 0;
}

bool http_address_is_loopback(const char *address)
{
    struct sockaddr_storage sa;
    socklen_t len;
    if (http_address_resolve(address, &sa, &len) < 0)
        return false;
    if (sa.ss_family == AF_INET) {
        const struct sockaddr_in *sa4 = (const void *)&sa;
        return ntohl(sa4->sin_addr.s_addr) >> 24 == 127;
    }
    const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)&sa)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(a) || (is_mapped_ip4(a) && a->s6_addr[12] == 127);
}

void http_address_peer(const struct sockaddr_storage *sa, char out[HTTP_PEER_SIZE])
{
    const struct sockaddr_in *sa4 = (const void *)sa;
    const struct sockaddr_in6 *sa6 = (const void *)sa;
    const char *text = NULL;
    if (sa->ss_family == AF_INET)
        text = inet_ntop(AF_INET, &sa4->sin_addr, out, HTTP_PEER_SIZE);
    else if (sa->ss_family == AF_INET6 && is_mapped_ip4(&sa6->sin6_addr))
        text = inet_ntop(AF_INET, &sa6->sin6_addr.s6_addr[12], out, HTTP_PEER_SIZE);
    else if (sa->ss_family == AF_INET6)
        text = inet_ntop(AF_INET6, &sa6->sin6_addr, out, HTTP_PEER_SIZE);
    if (!text)
        memcpy(out, "?", 2);
}

int http_address_format(const struct sockaddr_storage *sa, char out[HTTP_ADDRESS_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *sa4 = (const void *)sa;
    const struct sockaddr_in6 *sa6 = (const void *)sa;
    if (sa->ss_family == AF_INET6) {
        int port = ntohs(sa6->sin6_port);
        inet_ntop(AF_INET6, &sa6->sin6_addr, host, sizeof host);
        snprintf(out, HTTP_ADDRESS_SIZE, "[%s]:%d", host, port);
        return port;
    }
    int port = ntohs(sa4->sin_port);
    inet_ntop(AF_INET, &sa4->sin_addr, host, sizeof host);
    snprintf(out, HTTP_ADDRESS_SIZE, "%s:%d", host, port);
    return port;
}
