#pragma once

// Cuts a long mrkdwn text into messages: on paragraphs first, then lines, then words; never within
// a character, an entity or a link; a code fence that is cut is closed and opened again. Pure.

#include "common/buf.h"

// chat.postMessage recommends 4,000 characters; 100 are left for what Slack adds.
#define SPLIT_MESSAGE 3900

// Calls `part` for each, in order; the bytes are borrowed until it returns. Nothing for an empty
// text. max >= 100 characters (code points). Returns 0, -ENOMEM, or what `part` returned below 0.
int split_text(struct str text, size_t max, int (*part)(struct str part, void *data), void *data);
