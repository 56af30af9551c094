#pragma once

// Block Kit, the few kinds that are used, within their limits (docs.slack.dev, "Block Kit /
// Reference"). Pure: everything goes into a JSON writer that stands in the array of blocks.

#include "common/json.h"

enum {
    BLOCKS_MAX_TEXT = 11000, // characters in all texts of a message; Slack refuses above 13,200
    BLOCKS_SECTION = 2900,   // characters in one section; Slack refuses above 3,000
};

// mrkdwn, split over as many sections as it takes; what is beyond *budget characters is left out
// and counted. *budget shrinks.
int blocks_sections(struct jw *w, struct str mrkdwn, size_t *budget);
// Text that is shown as it is, in a code box; the caller keeps it below BLOCKS_MAX_TEXT characters.
void blocks_literal(struct jw *w, struct str text);
void blocks_context(struct jw *w, struct str mrkdwn);
void blocks_actions(struct jw *w);
// style: "primary", "danger" or NULL
void blocks_button(struct jw *w, const char *label, const char *action, const char *value,
                   const char *style);
void blocks_actions_end(struct jw *w);
