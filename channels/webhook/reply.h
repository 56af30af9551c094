#pragma once

// Answers to HTTP requests. What is refused is counted and logged.

#include "common/http_server.h"

// Both free the request's http_user, which is NULL or from malloc. headers: more lines of the head,
// each with its end, or NULL.
void reply_json(struct http_request *r, int status, struct str json, const char *headers);
// {"error": why}; why: for the sender to read.
void reply_error(struct http_request *r, int status, const char *why, const char *headers);

// By status: what is refused here and what the HTTP server refuses by itself.
void reply_count_refusal(int status);
