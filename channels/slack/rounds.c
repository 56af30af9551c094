#include "channels/slack/rounds.h"

#include "channels/slack/pages.h"
#include "channels/slack/permission.h"

bool rounds_due(struct store *s, struct moment now)
{
    struct stmt *q = store_sql(
        s, "SELECT EXISTS(SELECT 1 FROM page WHERE queued = 0) OR EXISTS(SELECT 1 FROM "
           "slack_escalation AS e JOIN incident AS i ON i.id = e.incident_id WHERE e.state "
           "< 3 AND i.status = 1) OR EXISTS(SELECT 1 FROM slack_prompt WHERE told = 0 AND "
           "state IN (0, 4))");
    int r = stmt_step(q);
    bool yes = r < 0 || (r > 0 && col_int(q, 0)); // cannot be told: the round itself says so
    stmt_reset(q);
    return yes || escalation_wait(s, now) == 0 || prompt_wait(s, now) == 0;
}

int rounds_run(struct store *s, const struct escalation_people *people, struct moment now)
{
    int r = store_begin(s), done = 0;
    if (r < 0)
        return r;
    if ((r = pages_queue(s, people, now)) >= 0)
        done += r;
    if (r >= 0 && (r = escalation_check_incidents(s, people, now)) >= 0)
        done += r;
    if (r >= 0 && (r = escalation_run_due(s, people, now)) >= 0)
        done += r;
    if (r >= 0 && (r = prompt_check_sessions(s, now)) >= 0)
        done += r;
    if (r >= 0 && (r = prompt_run_due(s, people, now)) >= 0)
        done += r;
    if (r < 0) {
        store_rollback(s);
        return r;
    }
    r = store_commit(s);
    return r < 0 ? r : done;
}

int64_t rounds_wait(struct store *s, struct moment now)
{
    int64_t a = escalation_wait(s, now), b = prompt_wait(s, now);
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}
