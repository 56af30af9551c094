#pragma once

// What the owner must hear: rows of the page table, put there by any process, sent by the one that
// speaks for Slack.

#include "common/store.h"

struct page {             // all borrowed
    const char *severity; // critical | error | warning | info
    const char *text;
    int64_t incident_id;  // 0 = of none, or of several
    const char *escalate; // the title of an escalation to open with it; NULL = one message
};

// 0, or a store error; ret_id may be NULL. In the caller's transaction, if there is one.
int page_add(struct store *s, const struct page *p, int64_t now, int64_t *ret_id) MUST_CHECK;

// The page's severity for an incident's, as stored (enum alert_severity): what is unknown is no
// less than a warning.
const char *page_severity_of(int64_t severity);
