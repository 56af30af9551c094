#pragma once

// Markdown, as models write it, to mrkdwn. Pure. Source of the latter: docs.slack.dev, "Formatting
// message text".

#include "common/buf.h"

// Headings and **bold** become bold, lists get bullets, links their label, tables a code block.
// Everything is escaped first: only the converter's own markup counts. 0 or buf's error.
int markdown_to_mrkdwn(struct buf *out, struct str markdown);
