#pragma once

// Text between the model and Slack: the three escapes, and text that must be read as it is. Pure.
// Source: docs.slack.dev, "Formatting message text".

#include "common/buf.h"

// Escapes &, < and >, so that text can neither mention anybody nor carry markup. 0 or buf's error.
int mrkdwn_escape(struct buf *out, struct str s);
void mrkdwn_escape_char(struct buf *out, char c); // one byte of it

// What a person typed, as it was typed: the three entities decoded once, links as plain URLs.
int mrkdwn_unescape(struct buf *out, struct str s);

// For text that a person judges (a command to be allowed): nothing may hide. Control characters,
// bidirectional and invisible ones are written as \u{202E}; newlines and tabs stay.
int mrkdwn_literal(struct buf *out, struct str s);
