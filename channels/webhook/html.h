#pragma once

// Text inside an HTML page. Alert text is hostile, so whatever goes into a page goes through here.
// Pure.

#include "common/buf.h"

// Appends text as HTML text or as the value of a quoted attribute (HTML Living Standard, 13.3:
// & < > and both quotes as references), after text_clean in one line, at most max bytes of it.
// 0 or buf's error.
int html_text(struct buf *out, const char *text, size_t max);

// "12,345"
void html_number(struct buf *out, int64_t n);
// "42 s", "4 min", "2 h 5 min", "3 d 1 h"
void html_duration(struct buf *out, int64_t ms);
// "0 B", "812 B", "4.2 KB", "17 MB"
void html_bytes(struct buf *out, int64_t n);

#define HTML_DATE_SIZE 32
enum html_date {
    HTML_DATE_ISO,       // "2026-03-09T14:05:00Z"
    HTML_DATE_FULL,      // "9 Mar 2026 14:05"
    HTML_DATE_DAY,       // "9 Mar 2026"
    HTML_DATE_MINUTE,    // "9 Mar 14:05"
    HTML_DATE_SHORT,     // "9 Mar"
    HTML_DATE_SHORT_YEAR // "9 Mar 26"
};
// A wall time in UTC. Returns out.
const char *html_date(int64_t ms, enum html_date form, char out[HTML_DATE_SIZE]);
