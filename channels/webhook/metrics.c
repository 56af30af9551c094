#include "channels/webhook/metrics.h"

#include "channels/webhook/delivery.h"
#include "channels/webhook/terms.h"
#include "common/lease.h"

// What each name means; a name that is not here is not shown.
static const struct {
    const char *name, *type, *help;
} families[] = {
    {"sre_alerts_total", "counter", "Alerts accepted."},
    {"sre_commit_seconds", "histogram", "Time of a group commit."},
    {"sre_events_total", "counter", "Events pushed into the session."},
    {"sre_guard_decisions_total", "counter", "Tool calls judged by the guard."},
    {"sre_nags_total", "counter", "Questions to the owner asked once more."},
    {"sre_notifications_total", "counter", "POSTs answered 200."},
    {"sre_patrol_findings_total", "counter", "Series found to head for their threshold."},
    {"sre_patrol_queries_total", "counter", "Queries of the patrol, by result."},
    {"sre_pushed_bytes_total", "counter", "Bytes pushed into the session."},
    {"sre_redeliveries_total", "counter", "Events pushed again because nothing took them."},
    {"sre_refused_total", "counter", "Requests refused, by status."},
    {"sre_take_seconds", "histogram", "From the push to the tool call that takes the incident."},
    {"sre_verdict_seconds", "histogram", "From the question to the verdict."},
    {"sre_verdicts_total", "counter", "Verdicts logged."},
};

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

// Sums are kept in milliseconds.
static void sample(struct buf *out, const char *name, int64_t n)
{
    size_t len = strlen(name);
    bool is_sum = len > 12 && strcmp(name + len - 12, "_seconds_sum") == 0;
    if (is_sum)
        buf_addf(out, "%s %lld.%03d\n", name, (long long)(n / 1000), (int)(n % 1000));
    else
        buf_addf(out, "%s %lld\n", name, (long long)n);
}

static int counters(struct store *s, struct buf *out)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < ARRAY_LEN(families); i++) {
        head(out, families[i].name, families[i].type, families[i].help);
        struct stmt *q = store_sql(
            s, "SELECT name, n FROM counter WHERE name >= ?1 AND name < ?1 || '|' ORDER BY rowid");
        bind_text(q, 1, families[i].name);
        while ((r = stmt_step(q)) > 0)
            sample(out, col_text(q, 0), col_int(q, 1));
    }
    return r;
}

static int incidents(struct store *s, struct buf *out)
{
    int r;
    head(out, "sre_incidents", "gauge", "Incidents in the store, by state and last verdict.");
    struct stmt *q = store_sql(s, "SELECT state, verdict, sum(n) FROM census WHERE test = 0 GROUP "
                                  "BY state, verdict ORDER BY 1, 2");
    while ((r = stmt_step(q)) > 0) {
        const char *verdict = verdict_name(col_int(q, 1));
        buf_addf(out, "sre_incidents{state=\"%s\",verdict=\"%s\"} %lld\n",
                 state_name(col_int(q, 0)), verdict ? verdict : "none", (long long)col_int(q, 2));
    }
    return r;
}

static int waiting(struct store *s, struct buf *out)
{
    struct stmt *q = store_sql(s, "SELECT coalesce(sum((state = 0) * n), 0), coalesce(sum((state = "
                                  "1) * n), 0), coalesce(sum((state = 2) * n), 0),"
                                  " coalesce(sum(firing * n), 0) FROM census WHERE test = 0");
    int r = stmt_step(q);
    if (r < 0)
        return r;
    head(out, "sre_incidents_waiting", "gauge", "Incidents without a verdict, by state.");
    for (int state = STATE_NEW; state <= STATE_TAKEN; state++)
        buf_addf(out, "sre_incidents_waiting{state=\"%s\"} %lld\n", state_name(state),
                 (long long)col_int(q, state));
    head(out, "sre_incidents_firing", "gauge", "Incidents that fire now.");
    buf_addf(out, "sre_incidents_firing %lld\n", (long long)col_int(q, 3));
    stmt_reset(q);
    return 0;
}

static int leases(struct store *s, struct buf *out)
{
    static const char *const channels[] = {LEASE_SESSION, LEASE_STANDBY, LEASE_SLACK};
    struct lease_info info[ARRAY_LEN(channels)];
    for (size_t i = 0; i < ARRAY_LEN(channels); i++) {
        int r = lease_read(s, channels[i], &info[i]);
        if (r < 0)
            return r;
    }
    head(out, "sre_lease_held", "gauge", "1 while a live process speaks for the channel.");
    for (size_t i = 0; i < ARRAY_LEN(channels); i++)
        buf_addf(out, "sre_lease_held{channel=\"%s\"} %d\n", channels[i], info[i].fresh);
    head(out, "sre_lease_age_seconds", "gauge", "Since the last heartbeat of who holds it.");
    for (size_t i = 0; i < ARRAY_LEN(channels); i++)
        if (info[i].pid)
            buf_addf(out, "sre_lease_age_seconds{channel=\"%s\"} %lld\n", channels[i],
                     (long long)(info[i].age_ms / 1000));
    return 0;
}

static int slack(struct store *s, struct buf *out)
{
    struct stmt *q =
        store_sql(s, "SELECT (SELECT count(*) FROM slack_outbox WHERE state < 2), (SELECT count(*) "
                     "FROM slack_escalation WHERE state < 3),"
                     " (SELECT coalesce(sum(nags), 0) FROM slack_escalation WHERE state < 3)");
    int r = stmt_step(q);
    if (r < 0)
        return r;
    head(out, "sre_slack_outbox", "gauge", "Messages that wait to be sent to Slack.");
    buf_addf(out, "sre_slack_outbox %lld\n", (long long)col_int(q, 0));
    head(out, "sre_escalations_open", "gauge", "Escalations not resolved.");
    buf_addf(out, "sre_escalations_open %lld\n", (long long)col_int(q, 1));
    head(out, "sre_nags_open", "gauge", "Nags sent for escalations that are not resolved.");
    buf_addf(out, "sre_nags_open %lld\n", (long long)col_int(q, 2));
    stmt_reset(q);
    return 0;
}

int metrics_write(struct store *s, struct buf *out)
{
    head(out, "sre_build_info", "gauge", "The version that runs.");
    buf_adds(out, "sre_build_info{version=\"" SRE_VERSION "\"} 1\n");
    int r = counters(s, out);
    if (r == 0)
        r = incidents(s, out);
    if (r == 0)
        r = waiting(s, out);
    if (r == 0)
        r = leases(s, out);
    if (r == 0)
        r = slack(s, out);
    return r < 0 ? r : out->error;
}
