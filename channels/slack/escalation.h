#pragma once

// The escalation timer: a question to the owner that does not give up until somebody answers. Its
// state lives in the store; what it has to say is added to the outbox in the same transaction. All
// functions run in the caller's transaction.

#include "channels/slack/moment.h"

enum escalation_state {
    ESCALATION_OPEN,
    ESCALATION_ACKNOWLEDGED,
    ESCALATION_SNOOZED,
    ESCALATION_RESOLVED,
};

enum {
    ESCALATION_SNOOZE_MS = 3600 * 1000,
    ESCALATION_SILENCE_MS = 3600 * 1000, // acknowledged, still firing, nobody said a word
    ESCALATION_SECOND_AFTER = 3,         // nags, then the second allowed user hears of it too
};

struct escalation {
    int64_t id, incident_id, created_at, nags, due_at, changed_at;
    enum escalation_state state;
    char channel[24], ts[32], changed_by[64];
    char *title, *body, *action, *severity, *note; // owned
};

struct escalation_people {
    const char *owner, *second; // second: "" if nobody else is allowed
    int64_t nag_ms;             // 0: never
};

struct escalation_new {
    const char *title, *body, *severity, *action;
    int64_t incident_id; // 0: none
    const char *by;      // "agent", or "channel" itself
};
int escalation_add(struct store *s, const struct escalation_new *n,
                   const struct escalation_people *p, struct moment now,
                   int64_t *ret_id) MUST_CHECK;

int escalation_read(struct store *s, int64_t id, struct escalation *ret) MUST_CHECK; // 1 / 0 none
void escalation_done(struct escalation *e);
// Those in state (or -1: all but resolved, -2: all) with an id above `after`: 1 one more, 0 no
// more.
int escalation_next(struct store *s, int state, int64_t after, struct escalation *ret) MUST_CHECK;

// Its message was sent at `sent` (wall ms): the timer starts there.
int escalation_posted(struct store *s, int64_t id, const char *channel, const char *ts,
                      const struct escalation_people *p, int64_t sent,
                      struct moment now) MUST_CHECK;

// A nag was sent, perhaps late: the next counts from here.
int escalation_nagged(struct store *s, int64_t id, const struct escalation_people *p,
                      struct moment now) MUST_CHECK;

// What people do. 1 = it changed something, 0 = it was so already (or it is over).
int escalation_acknowledge(struct store *s, int64_t id, const char *user,
                           struct moment now) MUST_CHECK;
int escalation_snooze(struct store *s, int64_t id, const char *user, struct moment now) MUST_CHECK;
int escalation_resolve(struct store *s, int64_t id, const char *user, const char *note,
                       const struct escalation_people *p, struct moment now) MUST_CHECK;
// Somebody said something in its thread: the silence starts anew.
int escalation_heard(struct store *s, int64_t id, struct moment now) MUST_CHECK;

// The alert itself is over: says so and stops. Returns how many, or <0.
int escalation_check_incidents(struct store *s, const struct escalation_people *p,
                               struct moment now) MUST_CHECK;
// Does what is due, at most one nag each whatever was missed. Returns how many acted, or <0.
int escalation_run_due(struct store *s, const struct escalation_people *p,
                       struct moment now) MUST_CHECK;
// ms until the next is due, -1 for none.
int64_t escalation_wait(struct store *s, struct moment now);

const char *escalation_state_name(enum escalation_state state);
// The question for an escalation or prompt whose time has come. Pure.
enum nag_step {
    NAG_WAIT, // the message itself or the last nag has not got out: nothing is piled up
    NAG_SAY,
    NAG_SAY_SECOND, // and page the second person
};
enum nag_step nag_decide(bool posted, bool pending, int64_t nags_before, bool has_second);
