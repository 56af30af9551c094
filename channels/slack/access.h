#pragma once

// Who may talk to the agent: allowed users, in their direct messages, and nobody else. Pure.
// Source: SLACK_ALLOWED_USERS (README, "Configuration" and "Security").

#include "channels/slack/envelope.h"

enum { ACCESS_MAX_USERS = 32 };

struct access {
    char users[ACCESS_MAX_USERS][24]; // the first is the owner
    size_t n_users;
    char team[24], bot_user[24], bot_id[24]; // ours, from auth.test; "" while unknown
    char app[24];                            // from hello
};

enum access_verdict {
    ACCESS_OK,
    ACCESS_STRANGER, // a person who is not on the list
    ACCESS_NOT_DM,   // an allowed user, but in a channel
    ACCESS_OWN,      // what we said ourselves
    ACCESS_BOT,      // another program
    ACCESS_TEAM,     // another workspace
    ACCESS_OTHER,    // nothing that a person says: joins, topics, ...
};

void access_set_users(struct access *a, const char *comma_separated); // beyond the cap: ignored
bool access_allows(const struct access *a, const char *user);
const char *access_owner(const struct access *a); // "" when there is none
enum access_verdict access_check(const struct access *a, const struct slack_event *e);
