#pragma once

// libcurl, loaded when something first needs it: it and its libraries cost megabytes that a process
// without outgoing requests never pays. The one place that includes curl.h; only curl_loop,
// curl_pipe and http_client include this.

#include <curl/curl.h>

#include "common/base.h"

// What the project calls of libcurl, without the prefix.
#define CURL_LIB_FUNCTIONS(F)                                                                      \
    F(global_init)                                                                                 \
    F(global_cleanup)                                                                              \
    F(free)                                                                                        \
    F(easy_init)                                                                                   \
    F(easy_setopt)                                                                                 \
    F(easy_getinfo)                                                                                \
    F(easy_header)                                                                                 \
    F(easy_recv)                                                                                   \
    F(easy_send)                                                                                   \
    F(easy_strerror)                                                                               \
    F(easy_cleanup)                                                                                \
    F(multi_init)                                                                                  \
    F(multi_setopt)                                                                                \
    F(multi_add_handle)                                                                            \
    F(multi_remove_handle)                                                                         \
    F(multi_assign)                                                                                \
    F(multi_socket_action)                                                                         \
    F(multi_info_read)                                                                             \
    F(multi_cleanup)                                                                               \
    F(slist_append)                                                                                \
    F(slist_free_all)                                                                              \
    F(url)                                                                                         \
    F(url_set)                                                                                     \
    F(url_get)                                                                                     \
    F(url_cleanup)

struct curl_lib {
#define CURL_LIB_MEMBER(name) __typeof__(curl_##name) *name;
    CURL_LIB_FUNCTIONS(CURL_LIB_MEMBER)
#undef CURL_LIB_MEMBER
};

// All of it is callable after curl_lib_load has succeeded, nothing before. The compiler does not
// check the options' arguments through a pointer: a number is a long.
extern struct curl_lib libcurl;

// Loads it unless it is there already; it then stays for as long as the process lives (OpenSSL
// below it does not bear being unloaded). -ELIBACC: it is not installed or not fit, the reason is
// in the log, once.
int curl_lib_load(void) MUST_CHECK;
