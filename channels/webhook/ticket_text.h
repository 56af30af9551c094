#pragma once

// A ticket's text, in the little Markdown that agents write (paragraphs, "- " lists, ``` fences),
// as each system wants it. Pure.

#include "common/json.h"

// One value of the Atlassian Document Format (developer.atlassian.com/cloud/jira/platform/apis/
// document/structure): what Jira Cloud's REST API version 3 takes as description and comment.
void ticket_adf(struct jw *w, struct str text);

// Jira's wiki notation, for version 2 (Server, Data Center). 0 or buf's error.
int ticket_wiki(struct buf *out, struct str text);

// GitLab's Markdown: as it is, but no line is a quick action (docs.gitlab.com/user/project/
// quick_actions). 0 or buf's error.
int ticket_markdown(struct buf *out, struct str text);
