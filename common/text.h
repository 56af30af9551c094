#pragma once

// Text that strangers wrote, made fit for a log, a model and a terminal. Pure.

#include "common/buf.h"

// How many bytes at p form one valid UTF-8 character (Unicode 15, table 3-7): 1 to 4, or 0 if none
// does.
size_t utf8_char_len(const char *p, size_t n);
bool utf8_valid(struct str s);
size_t utf8_count(struct str s); // characters (code points); an invalid byte counts as one

// The longest prefix of at most max bytes that does not cut a character.
size_t utf8_prefix(struct str s, size_t max);

// The first max characters of s (as utf8_count counts).
struct str utf8_first(struct str s, size_t max);

// Length of the leading run of printable ASCII (0x20 to 0x7e), found eight bytes at a time.
size_t text_plain_len(struct str s);

// Where text begins to pose as what frames it in the model's context: a tag <channel ...> or
// <system-reminder>, in any case, opening or closing. s.n if nowhere.
size_t text_frame_at(struct str s);

enum text_flags {
    TEXT_ONE_LINE =
        1, // newlines and tabs become one space; otherwise \n and \t stay, a \r becomes \n
};

// Appends s to out as clean text: invalid UTF-8 becomes U+FFFD, control characters (C0, DEL, C1),
// ANSI escape sequences, bidirectional controls, zero-width and other invisible characters, tags
// and variation selectors beyond what emoji need, and noncharacters are dropped. The '<' of what
// text_frame_at finds becomes '['. At most max bytes
// of s survive, cut on a character boundary; then "... (N bytes left out)" follows, outside the
// cap. Returns 0 or buf's error.
int text_clean(struct buf *out, struct str s, size_t max, unsigned flags);

// Slices of s: without white space around it; without a pair of quotes (' or ") around it; its
// first line without its end (\n or \r\n), which is taken off it.
struct str text_trim(struct str s);
struct str text_unquote(struct str s);
struct str text_next_line(struct str *s);

// ASCII only, for keywords of protocols and configuration.
bool text_equal_nocase(struct str a, const char *b);

// Does the name match the glob? `*` any run, `?` one character; everything else literally. Linear
// in both lengths but for one backtrack point, so hostile patterns cost nothing.
bool glob_match(struct str pattern, struct str name);
