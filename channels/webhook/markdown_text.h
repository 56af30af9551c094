#pragma once

// Strangers' text inside Markdown: what it says stays readable, none of it acts (CommonMark 0.31,
// 2.4 Backslash escapes; GitHub's extensions: autolinks, tables, mentions). Pure.

#include "common/buf.h"

// Appends text in one line, for the middle of a line or a cell of a table: secrets masked, cleaned,
// at most max bytes of it, and no markup, link, image, HTML or mention of its own. 0 or buf's
// error.
int markdown_inline(struct buf *out, const char *text, size_t max);
// The same line by line, each a line of its own that begins no heading, list, rule or code.
int markdown_lines(struct buf *out, const char *text, size_t max);
// As it is, in a code block: each line indented by four. Begins after an empty line.
int markdown_code(struct buf *out, const char *text, size_t max);
