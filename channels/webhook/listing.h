#pragma once

// Lists of incidents, newest first, page by page.

#include "channels/webhook/view.h"

enum listing_state { LIST_UNDECIDED, LIST_OPEN, LIST_ALL };
extern const char *const listing_states[]; // names, NULL-terminated
int listing_state_named(const char *name, enum listing_state *ret_state) MUST_CHECK; // -EINVAL

struct listing {
    enum listing_state state;
    int64_t severity;    // -1 = any
    const char *cluster; // NULL = any; borrowed
    int64_t before;      // ids below it; 0 = from the newest
    int limit;           // 1 to LISTING_MAX
    bool tests;          // test incidents too; they never wait for a verdict
};
#define LISTING_MAX 100

// Fills ids; *ret_n of them, *ret_more when there are more. 0, or a store error.
int listing_ids(struct store *s, const struct listing *l, int64_t ids[LISTING_MAX], int *ret_n,
                bool *ret_more) MUST_CHECK;
int listing_count(struct store *s, const struct listing *l,
                  int64_t *ret_count) MUST_CHECK; // ignores `before` and `limit`

// "#412 critical firing HighErrorRate on checkout (platform-prod / payments), 3 alerts, 4 min,
// pushed"
void listing_line(const struct incident_view *v, int64_t now, struct buf *out);
