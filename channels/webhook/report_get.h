#pragma once

// GET /report?days=N: the page, made by a process of its own (helper.h), so that no alert waits
// for it.

#include "channels/webhook/helper.h"
#include "common/buf.h"
#include "common/http_server.h"

#define REPORT_GETS_MAX 2 // at once

struct report_desk {
    uv_loop_t *loop;
    int n; // under way
};
void report_desk_init(struct report_desk *d, uv_loop_t *loop);

struct report_get;

// Reads the query: days, 7 without. 0 or -EINVAL. Pure.
int report_get_days(struct str query, int64_t *ret_days) MUST_CHECK;

// done comes once, unless it is cancelled: error 0 and the page, borrowed for the call; or -EIO.
// -EBUSY: REPORT_GETS_MAX are under way. Or another errno: it could not be begun.
int report_get_start(struct report_desk *d, struct http_request *r, int64_t days,
                     void (*done)(struct report_get *g, int error, struct str page),
                     struct report_get **ret_get) MUST_CHECK;
void report_get_cancel(struct report_get *g); // its request is gone; frees it
struct http_request *report_get_request(const struct report_get *g);

// What a browser must keep to: the page's policy, no storing, no guessing of types.
void report_get_headers(struct buf *out);
