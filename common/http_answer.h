#pragma once

// The head of an answer (RFC 9112, 4). Pure.

#include <time.h>

#include "common/base.h"

const char *http_reason(int status); // "OK"; "" for one that is not used here

#define HTTP_DATE_SIZE 40
void http_date(time_t at, char out[HTTP_DATE_SIZE]); // IMF-fixdate (RFC 9110, 5.6.7)

#define HTTP_ANSWER_SIZE 384
struct http_answer {
    int status;
    int minor; // of the request: 1.0 needs to be told that the connection stays
    bool keep_alive;
    const char *content_type; // NULL none; at most 100 bytes are sent
    size_t length;
    const char *date;
};
// Status line and headers without the blank line. Returns the bytes written.
size_t http_answer_head(const struct http_answer *a, char out[HTTP_ANSWER_SIZE]);
