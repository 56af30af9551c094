#pragma once

// Addresses as people write them in the configuration. Pure.

#include <sys/socket.h>

#include "common/base.h"

#define HTTP_HOST_SIZE 256

// Splits "host:port" (IPv6 in brackets). -EINVAL with nothing written when it is not one, -E2BIG
// when host_size is too small.
int http_address_parse(const char *address, char *ret_host, size_t host_size,
                       int *ret_port) MUST_CHECK;

// Is the host one that only this machine reaches: 127.0.0.0/8, ::1 or localhost? Takes "host:port".
bool http_address_is_loopback(const char *address);

// The socket address to bind. Numbers and "localhost" (127.0.0.1) only: names could mean another
// thing tomorrow. -EINVAL.
int http_address_resolve(const char *address, struct sockaddr_storage *ret_sa,
                         socklen_t *ret_len) MUST_CHECK;

// "10.0.0.7" or "fe80::1" of a peer; an IPv4 address that came through an IPv6 socket is shown as
// IPv4.
#define HTTP_PEER_SIZE 46
void http_address_peer(const struct sockaddr_storage *sa, char out[HTTP_PEER_SIZE]);

// "127.0.0.1:8788" or "[::1]:8788".
#define HTTP_ADDRESS_SIZE 64
int http_address_format(const struct sockaddr_storage *sa,
                        char out[HTTP_ADDRESS_SIZE]); // returns the port
