// The database, and what only it can tell.

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "channels/webhook/census.h"
#include "channels/webhook/delivery.h"
#include "channels/webhook/doctor.h"
#include "common/clock.h"
#include "common/lease.h"
#include "common/schema.h"

#define CHECK_MS 20000
#define FUTURE_MS (2 * 60 * 1000) // of a row: more is no rounding
#define EVENTS_LOOKED_AT 1000

static void check_modes(struct doctor *d)
{
    static const char *const names[] = {"incidents.db", "incidents.db-wal", "incidents.db-shm"};
    struct stat st;
    char path[4200], mend[4300];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", d->config->state_dir, names[i]);
        snprintf(mend, sizeof mend, "chmod 600 '%s'", path);
        if (stat(path, &st) == 0 && st.st_mode & 077)
            doctor_say(d, DOCTOR_FAIL, "database mode", mend, "%s can be read by others", path);
    }
}

static void check_integrity(struct doctor *d, struct store *s)
{
    int r = store_check(s, CHECK_MS);
    if (r == -EILSEQ)
        doctor_say(d, DOCTOR_FAIL, "database",
                   "restart session and standby: the damaged file is moved aside, then copy a "
                   "backup to its place",
                   "%s is damaged", store_path(s));
    else if (r == -ETIMEDOUT)
        doctor_say(d, DOCTOR_OK, "database", NULL,
                   "%s, schema %zu; nothing wrong in what %d s were enough to read", store_path(s),
                   schema_version, CHECK_MS / 1000);
    else if (r < 0)
        doctor_say(d, DOCTOR_FAIL, "database", "run it again: another program may hold its lock",
                   "%s: %s", store_path(s), store_error(s));
    else
        doctor_say(d, DOCTOR_OK, "database", NULL, "%s, schema %zu", store_path(s), schema_version);
}

static int64_t number(struct stmt *q)
{
    int64_t n = stmt_step(q) > 0 ? col_int(q, 0) : 0;
    stmt_reset(q);
    return n;
}

// What is written now must not be older than what was written before.
static void check_times(struct doctor *d, struct store *s)
{
    char at[RFC3339_SIZE];
    int64_t newest = number(store_sql(s, "SELECT max(at) FROM trail"));
    int64_t opened = number(store_sql(s, "SELECT max(opened_at) FROM incident"));
    newest = opened > newest ? opened : newest;
    if (newest > d->now + FUTURE_MS)
        doctor_say(d, DOCTOR_FAIL, "clock",
                   "timedatectl (is it the clock, or was the database made on another machine?)",
                   "the newest row of the database is of %s: the clock was set back",
                   rfc3339_format(newest / 1000 * 1000, at));
}

// Claude Code drops events of a channel that it did not register, and says nothing: the only proof
// that it listens is an incident that it takes.
static void check_registered(struct doctor *d, struct store *s, const struct lease_info *session)
{
    int64_t pushed = 0, taken = 0, first = 0;
    struct stmt *q = store_sql(s, "SELECT action, at FROM trail WHERE at >= ? AND action IN "
                                  "('pushed', 'taken') ORDER BY at LIMIT ?");
    bind_int(q, 1, session->since);
    bind_int(q, 2, EVENTS_LOOKED_AT);
    while (stmt_step(q) > 0) {
        bool is_push = strcmp(col_text(q, 0), "pushed") == 0;
        if (is_push && !pushed)
            first = col_int(q, 1);
        pushed += is_push;
        taken += !is_push;
    }
    int64_t patience = (d->config->take_s ? d->config->take_s : 300) * 1000;
    if (taken)
        doctor_say(d, DOCTOR_OK, "registration", NULL,
                   "the session took an incident: it hears the channel");
    else if (pushed && d->now - first > patience)
        doctor_say(d, DOCTOR_FAIL, "registration",
                   "restart it with ./start (or deploy/session), and answer its question about the "
                   "channels; in it, /mcp shows whether webhook is connected",
                   "%lld events were pushed into the last session and none was taken: it does not "
                   "listen",
                   (long long)pushed);
    else
        doctor_say(d, DOCTOR_OK, "registration", NULL,
                   "not known yet: nothing that the last session had to take");
}

static void check_session(struct doctor *d, struct store *s)
{
    struct lease_info session, standby;
    char age[DURATION_SIZE];
    if (lease_read(s, LEASE_SESSION, &session) < 0 || lease_read(s, LEASE_STANDBY, &standby) < 0)
        return;
    duration_format(d->now - session.since, age);
    if (session.fresh)
        doctor_say(d, DOCTOR_OK, "session", NULL, "attached for %s, pid %lld", age,
                   (long long)session.pid);
    else
        doctor_say(d, DOCTOR_WARN, "session", "./start, or: systemctl start sre-channels-session",
                   session.pid ? "none is attached; the last one began %s ago"
                               : "none was ever attached",
                   age);
    if (session.pid)
        check_registered(d, s, &session);
    if (standby.fresh)
        doctor_say(d, DOCTOR_OK, "standby", NULL, "runs, pid %lld", (long long)standby.pid);
    else
        doctor_say(d, session.fresh ? DOCTOR_OK : DOCTOR_WARN, "standby",
                   "build/webhook-channel standby, or: sudo deploy/install",
                   "none runs: without a session nobody takes alerts in");
}

static void check_waiting(struct doctor *d, struct store *s)
{
    int64_t n = 0;
    if (census_waiting(s, &n) == 0)
        doctor_say(d, DOCTOR_OK, "incidents", NULL, "%lld wait for a verdict", (long long)n);
    struct stmt *q = store_sql(s, "SELECT reason FROM agent_failure");
    if (stmt_step(q) > 0) {
        doctor_say(d, DOCTOR_FAIL, "agent",
                   "look at the session: claude /status, /login, or wait for the quota",
                   "the session cannot work: %s; alerts go to the owner", col_text(q, 0));
        stmt_reset(q);
    }
}

static void check_slack(struct doctor *d, struct store *s)
{
    const struct config *c = d->config;
    struct lease_info slack;
    char age[DURATION_SIZE];
    const char *missing = config_slack_lacks(c, 0);
    if (missing) {
        char mend[4400];
        snprintf(mend, sizeof mend, "set it in %s (README, \"Slack, in five minutes\")", c->file);
        doctor_say(d, DOCTOR_WARN, "slack", mend,
                   "%s is not set: nobody can be paged, asked or reached", missing);
        return;
    }
    if (lease_read(s, LEASE_SLACK, &slack) < 0)
        return;
    duration_format(slack.age_ms, age);
    if (slack.fresh)
        doctor_say(d, DOCTOR_OK, "slack", NULL, "the tokens are set; connected, pid %lld",
                   (long long)slack.pid);
    else if (slack.pid)
        doctor_say(d, DOCTOR_WARN, "slack", "build/slack-channel doctor",
                   "nobody holds the connection; the last one ended %s ago", age);
    else
        doctor_say(d, DOCTOR_WARN, "slack", "build/slack-channel doctor",
                   "the tokens are set; it was never connected");
    int64_t stuck = number(store_sql(s, "SELECT count(*) FROM slack_outbox WHERE state < 2"));
    if (stuck)
        doctor_say(d, DOCTOR_WARN, "slack outbox", "build/slack-channel doctor",
                   "%lld messages wait to be sent", (long long)stuck);
}

static void check_rows(struct doctor *d, struct store *s)
{
    struct stmt *q = store_sql(s, "SELECT sqlite_version()");
    if (stmt_step(q) > 0)
        doctor_say(d, DOCTOR_OK, "version", NULL, "webhook-channel %s, SQLite %s", SRE_VERSION,
                   col_text(q, 0));
    stmt_reset(q);
    check_integrity(d, s);
    check_times(d, s);
    check_session(d, s);
    check_waiting(d, s);
    check_slack(d, s);
}

void doctor_store(struct doctor *d)
{
    struct store *s = NULL;
    char path[4200];
    struct stat st;
    snprintf(path, sizeof path, "%s/incidents.db", d->config->state_dir);
    // Not created by a look at it: it would belong to whoever looks.
    if (stat(path, &st) < 0) {
        doctor_say(d, DOCTOR_WARN, "database", "start a session or the standby: they create it",
                   "%s is not there yet", path);
    } else {
        check_modes(d); // opening it may mend them
        int r = store_open(d->config->state_dir, false, &s);
        if (r == -EINVAL)
            doctor_say(d, DOCTOR_FAIL, "database",
                       "build the newer version again: git pull && cmake --build build",
                       "%s was made by a newer version than this one (schema %zu)", path,
                       schema_version);
        else if (r < 0)
            doctor_say(d, DOCTOR_FAIL, "database",
                       "restart session and standby: a damaged file is moved aside, then copy a "
                       "backup to its place",
                       "%s cannot be opened: %s", path, strerror(-r));
    }
    if (s) {
        store_busy_timeout(s, 5000);
        check_rows(d, s);
    }
    doctor_port(d, s);
    doctor_project(d, s);
    store_close(s);
}
