#include "channels/slack/turn.h"

void turn_init(struct turn *t, enum turn_role role)
{
    *t = (struct turn){.role = role};
}

static int somebody_wishes(struct store *s, const struct turn *t)
{
    struct lease_info wish = {0};
    int r = t->role == TURN_SESSION ? 0 : lease_read(s, TURN_WISH, &wish);
    return r < 0 ? r : wish.fresh;
}

static bool beat_due(const struct turn *t, int64_t now)
{
    return !t->beat_at || now - t->beat_at >= LEASE_BEAT_MS;
}

// 1 = ours now. Mostly it is not: looking writes nothing.
static int try_take(struct store *s, const struct turn *t)
{
    struct lease_info held;
    int r = lease_read(s, LEASE_SLACK, &held);
    if (r == 0 && held.fresh)
        return 0;
    if (r == 0)
        r = somebody_wishes(s, t);
    return r < 0 ? r : r > 0 ? 0 : lease_beat(s, LEASE_SLACK);
}

static enum turn_verdict look_from_outside(struct store *s, struct turn *t, int64_t now)
{
    int r = try_take(s, t);
    if (r > 0) {
        t->holds = true;
        t->beat_at = now;
        if (t->role == TURN_SESSION)
            lease_release(s, TURN_WISH);
        return TURN_OURS;
    }
    if (r == 0 && t->role == TURN_SESSION && beat_due(t, now)) {
        r = lease_beat(s, TURN_WISH); // one of several is enough
        t->beat_at = r < 0 ? 0 : now;
    }
    return r < 0 ? TURN_UNKNOWN : TURN_OTHERS;
}

enum turn_verdict turn_look(struct store *s, struct turn *t, int64_t now)
{
    if (!t->holds)
        return look_from_outside(s, t, now);
    int r = somebody_wishes(s, t);
    if (r > 0)
        return TURN_YIELD;
    if (r == 0 && !beat_due(t, now))
        return TURN_OURS;
    if (r == 0)
        r = lease_beat(s, LEASE_SLACK);
    if (r < 0)
        return TURN_UNKNOWN;
    t->beat_at = now;
    t->holds = r > 0;
    return t->holds ? TURN_OURS : TURN_OTHERS;
}

void turn_release(struct store *s, struct turn *t)
{
    if (t->holds)
        lease_release(s, LEASE_SLACK);
    if (t->role == TURN_SESSION)
        lease_release(s, TURN_WISH);
    t->holds = false;
    t->beat_at = 0;
}
