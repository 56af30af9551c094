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
