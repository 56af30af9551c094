#include "channels/slack/access.h"

#include <stdio.h>

void access_set_users(struct access *a, const char *s)
{
    a->n_users = 0;
    while (*s && a->n_users < ACCESS_MAX_USERS) {
        s += strspn(s, ", ");
        size_t n = strcspn(s, ", ");
        if (n && n < sizeof a->users[0])
            snprintf(a->users[a->n_users++], sizeof a->users[0], "%.*s", (int)n, s);
        s += n;
    }
}

bool access_allows(const struct access *a, const char *user)
{
    for (size_t i = 0; i < a->n_users; i++)
        if (strcmp(a->users[i], user) == 0)
            return true;
    return false;
}

const char *access_owner(const struct access *a)
{
    return a->n_users ? a->users[0] : "";
}

static bool is(const char *ours, const char *theirs)
{
    return ours[0] && theirs[0] && strcmp(ours, theirs) == 0;
}

// A person's own words have no subtype, or one of these (docs.slack.dev, "message event").
static bool is_spoken(const struct slack_event *e)
{
    return !e->subtype[0] || strcmp(e->subtype, "file_share") == 0 ||
           strcmp(e->subtype, "thread_broadcast") == 0;
}

enum access_verdict access_check(const struct access *a, const struct slack_event *e)
{
    if (is(a->bot_user, e->user) || is(a->bot_id, e->bot_id) || is(a->app, e->author_app))
        return ACCESS_OWN;
    if (e->bot_id[0] || e->author_app[0] || strcmp(e->subtype, "bot_message") == 0)
        return ACCESS_BOT;
    if (e->type == EVENT_MESSAGE && !is_spoken(e))
        return ACCESS_OTHER;
    if (e->team[0] && a->team[0] && !is(a->team, e->team))
        return ACCESS_TEAM;
    if (!e->user[0])
        return ACCESS_OTHER;
    if (!access_allows(a, e->user))
        return ACCESS_STRANGER;
    if (e->channel[0] != 'D')
        return ACCESS_NOT_DM;
    return ACCESS_OK;
}
