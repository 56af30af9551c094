#pragma once

// What is said to Jira (Cloud: REST API version 3, Server and Data Center: version 2) and to
// GitLab (REST API version 4), and what their answers mean. Pure. Sources:
// developer.atlassian.com/cloud/jira/platform/rest/v3, docs.atlassian.com/software/jira/docs/api/
// REST, docs.gitlab.com/api/issues and /api/notes.

#include "common/buf.h"
#include "common/config.h"

enum ticket_system {
    TICKET_NONE,
    TICKET_JIRA_UNKNOWN,
    TICKET_JIRA_CLOUD,
    TICKET_JIRA_SERVER,
    TICKET_GITLAB
};

// Jira if it is configured, else GitLab. A Jira elsewhere than at atlassian.net is asked which one
// it is. What is missing is named in ret_missing (appended) when the result is TICKET_NONE.
enum ticket_system ticket_system_of(const struct config *c, struct buf *ret_missing);

enum ticket_step {
    TICKET_DETECT, // which Jira?
    TICKET_SEARCH, // was it created after all?
    TICKET_CREATE,
    TICKET_STATUS, // is it still open?
    TICKET_LOOK,   // is the comment there after all?
    TICKET_COMMENT,
};

struct ticket_words {         // all borrowed
    const char *title, *body; // body: the little Markdown of ticket_text.h
    const char *mark;         // of the ticket: a label in Jira, a word of the text in GitLab
    const char *note;         // of the comment: a word of its text
    const char *key;          // "OPS-12", or the iid of a GitLab issue
    const char *labels;       // a JSON array of strings
    const char *assignee;     // "" for none
};

struct ticket_request {
    const char *method;
    struct buf url, body; // body empty: none
    struct buf auth;      // the header line
};
// 0, or buf's error. The caller ends it with ticket_request_done, whatever it returns.
int ticket_request_write(struct ticket_request *r, const struct config *c,
                         enum ticket_system system, enum ticket_step step,
                         const struct ticket_words *words) MUST_CHECK;
void ticket_request_done(struct ticket_request *r);

enum ticket_verdict {
    TICKET_OK,      // done, found, open
    TICKET_ABSENT,  // not found, closed, gone
    TICKET_WAIT,    // the server has not done it: try later
    TICKET_UNSURE,  // it may have done it
    TICKET_REFUSED, // it will never do that
    TICKET_BAD_ASSIGNEE,
};
struct ticket_answer {
    enum ticket_verdict verdict;
    enum ticket_system system; // of TICKET_DETECT
    char key[64], url[512];    // of TICKET_SEARCH and TICKET_CREATE
    char why[300];             // of what is not TICKET_OK: one line for people
};
// status 0: no answer came, why says so; asked: the request may have been carried out.
void ticket_answer_read(struct ticket_answer *a, const struct config *c, enum ticket_system system,
                        enum ticket_step step, const struct ticket_words *words, int status,
                        bool asked, const char *why, struct str body);
