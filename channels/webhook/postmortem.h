#pragma once

// A draft of a postmortem from what the memory knows of an incident (issue 8): Markdown for a
// person to finish. Alert text stays text in it (markdown_text.h).

#include "channels/webhook/view.h"

#define POSTMORTEM_MAX (1u << 20)

// now: wall ms. 0, a store error, or buf's error.
int postmortem_write(struct store *s, const struct incident_view *v, int64_t now,
                     struct buf *out) MUST_CHECK;
