#pragma once

// A strict pull scanner over JSON text (RFC 8259): finds members and elements as slices of the text
// without building anything. For what cJSON loses (the exact bytes of a number) and for bodies too
// large to hold as a tree. Pure.

#include "common/buf.h"

struct json_scan {
    const char *start, *p, *end;
    const char *why; // static text of the first error, NULL while all is well
    unsigned max_depth;
    bool entered; // the cursor stands behind an opening bracket
};

void json_scan_init(struct json_scan *s, struct str text, unsigned max_depth);

// Reads the one value at the cursor and what is in it; leaves the cursor behind it. Checks the
// whole grammar except that strings may hold invalid UTF-8, raw control characters and lone
// surrogates, which json_parse mends. Returns 0 and the value's slice without white space around
// it, or -EINVAL (s->why).
int json_scan_value(struct json_scan *s, struct str *ret_value) MUST_CHECK;

// Iterate over an object or array whose opening bracket is at the cursor:
//     json_scan_enter(s, '{'); while ((r = json_scan_member(s, &key, &value)) > 0) ...
// The key is raw, between its quotes, escapes as they are. 1 = one more, 0 = the end was read,
// -EINVAL.
int json_scan_enter(struct json_scan *s,
                    char open) MUST_CHECK; // '{' or '['; -EINVAL if it is something else
int json_scan_member(struct json_scan *s, struct str *ret_key, struct str *ret_value) MUST_CHECK;
int json_scan_element(struct json_scan *s, struct str *ret_value) MUST_CHECK;
// The same without reading the value: the cursor stands before it, and json_scan_value or
// json_scan_enter comes next.
int json_scan_key(struct json_scan *s, struct str *ret_key) MUST_CHECK;
int json_scan_item(struct json_scan *s) MUST_CHECK;

int json_scan_end(struct json_scan *s) MUST_CHECK;  // only white space may follow
char json_scan_peek(struct json_scan *s);           // first byte of the next value, 0 at the end
size_t json_scan_offset(const struct json_scan *s); // of the cursor, for messages

// Appends what a string means, given its bytes between the quotes as the scanner has checked them:
// escapes undone, NUL dropped, lone surrogates and invalid UTF-8 as U+FFFD. Never more than three
// times the bytes of `raw`. Returns 0 or buf's error.
int json_scan_text(struct buf *out, struct str raw);

// The value of the four digits of a \uXXXX escape whose grammar was checked.
unsigned json_scan_hex4(const char *p);
