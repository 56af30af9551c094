#pragma once

// Who we are and whom we talk to: auth.test with its scopes, then the direct messages and names of
// the allowed users. Nothing else starts before auth.test has succeeded: without our own ids our
// own messages could not be told from a person's.

#include "channels/slack/access.h"
#include "channels/slack/web_api.h"
#include "common/store.h"

struct people;

struct people_handler {
    void (*on_known)(void *data); // auth.test succeeded and the conversations are known; once
    // It failed: why, one line. Tried again by itself, rarely when `refused`.
    void (*on_failed)(const char *why, bool refused, void *data);
    void *data;
};

// Fills in access. Borrows all but the handler struct.
struct people *people_new(uv_loop_t *loop, struct store *s, struct slack_api *api,
                          struct access *access, const struct people_handler *handler);
void people_start(struct people *p);
void people_close(struct people *p);                       // the API is closed before; NULL is fine
const char *people_missing_scopes(const struct people *p); // "files:write, ..." or ""

extern const char *const slack_scopes[]; // that the bot needs, NULL at the end
// Appends those that are not in granted ("a,b,c"). Pure.
int slack_scopes_missing(struct buf *out, const char *granted);
