#pragma once

// Permission prompts that a session relays: asked in the owner's direct messages, decided by an
// allowed user's button or words, the first decision wins. All functions run in the caller's
// transaction.

#include "channels/slack/escalation.h"

enum prompt_state {
    PROMPT_ASKED,
    PROMPT_ALLOWED,
    PROMPT_DENIED,
    PROMPT_GONE,   // the session has ended
    PROMPT_PASSED, // the session went on: probably answered in the terminal
};

enum {
    PROMPT_REMIND_MS = 2 * 60 * 1000, // the session stands still meanwhile
    PROMPT_MAX_PREVIEW = 64 * 1024,   // bytes; the client sends 3,500 characters a field
    PROMPT_PART_CHARS = 9000,         // of the preview in one message (blocks: 13,200 in all)
};

struct prompt {
    int64_t id, created_at, nags, decided_at;
    enum prompt_state state;
    char request_id[8], nonce[40], decided_by[64], session[96];
    char *tool, *description, *preview; // owned
};

struct prompt_new {
    const char *request_id, *tool, *description, *preview;
};
int prompt_add(struct store *s, const struct prompt_new *n, const char *session,
               const struct escalation_people *p, struct moment now, int64_t *ret_id) MUST_CHECK;
int prompt_read(struct store *s, int64_t id, struct prompt *ret) MUST_CHECK; // 1 / 0
void prompt_done(struct prompt *p);

int prompt_posted(struct store *s, int64_t id, const char *channel, const char *ts,
                  struct moment now) MUST_CHECK;
int prompt_nagged(struct store *s, int64_t id, const struct escalation_people *p,
                  struct moment now) MUST_CHECK; // a nag was sent: the next counts from here
// 1 = decided now, 0 = it had been decided, or nobody waits for it any more, -ENOENT no such
// prompt.
int prompt_decide(struct store *s, int64_t id, bool allow, const char *user,
                  struct moment now) MUST_CHECK;
// The button's value names the prompt: its id, 0 if it names none, or <0.
int64_t prompt_by_nonce(struct store *s, const char *nonce);
// The last prompt with this request id: its id, 0 for none, or <0.
int64_t prompt_by_request(struct store *s, const char *request_id);

// A decision that this session has not been told: 1 / 0.
int prompt_untold(struct store *s, const char *session, int64_t *ret_id, char ret_request_id[8],
                  bool *ret_allow) MUST_CHECK;
int prompt_told(struct store *s, int64_t id) MUST_CHECK;
// The session called a tool, so it does not stand still at what was asked before `before`.
int prompt_passed(struct store *s, const char *session, int64_t before) MUST_CHECK;
// Closes the prompts of sessions that have ended. Returns how many.
int prompt_check_sessions(struct store *s, struct moment now) MUST_CHECK;
int prompt_run_due(struct store *s, const struct escalation_people *p,
                   struct moment now) MUST_CHECK;
int64_t prompt_wait(struct store *s, struct moment now);

// "yes abcde", "N abcde": 1 and the parts, or 0. Pure. The client's ids are five letters
// of a-z without l.
int permission_parse(struct str text, bool *ret_allow, char ret_request_id[8]);
