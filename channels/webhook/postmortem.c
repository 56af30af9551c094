#include "channels/webhook/postmortem.h"

#include <errno.h>
#include <time.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/html.h"
#include "channels/webhook/markdown_text.h"
#include "channels/webhook/tally.h"
#include "common/clock.h"

#define DAY_MS (24ll * 3600 * 1000)
#define MAX_LINE 600 // bytes of strangers' text in a row
#define MAX_PARAGRAPH 8000
#define MAX_MEANWHILE_MS (4 * 3600 * 1000) // before and after it nothing is called "meanwhile"
#define HISTORY_DAYS 30

// ---- words ----

static void inline_text(struct buf *out, const char *text)
{
    markdown_inline(out, text, MAX_LINE);
}

static const char *moment(int64_t ms, char out[RFC3339_SIZE])
{
    rfc3339_format(ms / 1000 * 1000, out);
    out[10] = ' '; // "2026-04-17 03:12:09"
    out[19] = '\0';
    return out;
}

static void heading(struct buf *out, const char *name)
{
    buf_addf(out, "\n## %s\n\n", name);
}

// ---- the head ----

static void row(struct buf *out, const char *name, const char *value)
{
    if (!value[0])
        return;
    buf_addf(out, "| %s | ", name);
    inline_text(out, value);
    buf_adds(out, " |\n");
}

static void head(const struct incident_view *v, int64_t now, struct buf *out)
{
    char at[RFC3339_SIZE];
    struct buf title = BUF_INIT(4096);
    incident_view_title(v, &title);
    buf_addf(out, "# Postmortem of incident %lld: ", (long long)v->id);
    inline_text(out, buf_cstr(&title));
    buf_addf(out,
             "\n\nA draft of %s from the incident memory; all times UTC. Replace what is in "
             "_italics_. The words of alerts were written by strangers.\n\n| | |\n|---|---|\n",
             moment(now, at));
    row(out, "Alert", v->alertname);
    row(out, "Service", v->service);
    row(out, "Cluster", v->cluster);
    row(out, "Namespace", v->namespace);
    row(out, "Environment", v->prod ? "prod" : "dev");
    row(out, "Severity", severity_name((enum alert_severity)v->severity));
    row(out, "Source", v->source);
    row(out, "Status", status_name(v->status));
    row(out, "Verdict", verdict_name(v->verdict) ? verdict_name(v->verdict) : "none yet");
    buf_adds(out, "| Author | _who finishes this_ |\n");
    buf_done(&title);
}

// ---- from the verdicts ----

// One column of each verdict, the last first, but what was said twice. *ret_n paragraphs.
static int verdict_words(int64_t id, struct stmt *q, struct buf *out, int *ret_n)
{
    char at[RFC3339_SIZE];
    int r, n = 0;
    bind_int(q, 1, id);
    while ((r = stmt_step(q)) > 0) {
        if (n++)
            buf_addf(out, "\n_Earlier, %s:_\n\n", moment(col_int(q, 0), at));
        markdown_lines(out, col_text(q, 1), MAX_PARAGRAPH);
    }
    *ret_n = n;
    return r;
}

static int summary(struct store *s, const struct incident_view *v, struct buf *out)
{
    int n = 0;
    heading(out, "Summary");
    int r = verdict_words(v->id,
                          store_sql(s, "SELECT max(at), summary FROM verdict WHERE incident_id = ?"
                                       " AND summary <> '' GROUP BY summary ORDER BY max(id) DESC"
                                       " LIMIT 3"),
                          out, &n);
    if (!n && v->text[0]) {
        buf_adds(out, "The alert said: ");
        inline_text(out, v->text);
        buf_addc(out, '\n');
    }
    buf_adds(out, "\n_What happened, in three sentences that somebody from another team "
                  "understands._\n");
    return r;
}

static void impact(const struct incident_view *v, int64_t now, struct buf *out)
{
    heading(out, "Impact");
    buf_adds(out, v->closed_at ? "The alert fired for " : "The alert still fires, for ");
    html_duration(out, (v->closed_at ? v->closed_at : now) - v->opened_at);
    if (v->flaps)
        buf_addf(out, ", with %lld interruption%s", (long long)v->flaps, v->flaps == 1 ? "" : "s");
    buf_adds(out, ".\n\n_Who noticed, what did not work, for whom and for how long; data lost; "
                  "promises (SLO) broken._\n");
}

static int root_cause(struct store *s, const struct incident_view *v, struct buf *out)
{
    int n = 0;
    heading(out, "Root cause");
    int r = verdict_words(v->id,
                          store_sql(s, "SELECT max(at), root_cause FROM verdict WHERE incident_id ="
                                       " ? AND root_cause <> '' GROUP BY root_cause ORDER BY"
                                       " max(id) DESC LIMIT 3"),
                          out, &n);
    buf_adds(out, n ? "\n_Is that the cause, or what it led to? Ask why once more._\n"
                    : "_Not known yet._\n");
    return r;
}

static int actions(struct store *s, const struct incident_view *v, struct buf *out)
{
    int n = 0;
    heading(out, "Actions taken");
    int r = verdict_words(v->id,
                          store_sql(s, "SELECT max(at), action FROM verdict WHERE incident_id = ?"
                                       " AND action <> '' GROUP BY action ORDER BY max(id) DESC"
                                       " LIMIT 5"),
                          out, &n);
    buf_adds(out, n ? "\n_What people did beside that._\n" : "_What was done, and by whom._\n");
    return r;
}

// ---- the timeline ----

// What happened to the incident, and what the agent and people did meanwhile, which may have been
// for another one: 1 in the last column.
#define MEANWHILE                                                                                  \
    "SELECT at, actor, action, detail, 1 AS other, id FROM trail WHERE incident_id IS NULL"        \
    " AND at >= ?2 AND at <= ?3 AND (actor = 'guard' OR action IN ('asked', 'allowed', 'denied',"  \
    " 'page', 'replied')) ORDER BY at LIMIT 100"

static void step(struct buf *out, const struct incident_view *v, struct stmt *q)
{
    char at[RFC3339_SIZE];
    int64_t after = col_int(q, 0) - v->opened_at;
    buf_addf(out, "| %s | %s", moment(col_int(q, 0), at), after < 0 ? "before" : "+");
    if (after >= 0)
        html_duration(out, after);
    buf_adds(out, " | ");
    inline_text(out, col_text(q, 1));
    buf_adds(out, " | ");
    inline_text(out, col_text(q, 2));
    if (col_text(q, 3)[0]) {
        buf_adds(out, ": ");
        inline_text(out, col_text(q, 3));
    }
    buf_adds(out, col_int(q, 4) ? " _(meanwhile)_ |\n" : " |\n");
}

static int timeline(struct store *s, const struct incident_view *v, int64_t now, struct buf *out)
{
    int64_t end = !v->closed_at ? now : v->closed_at > v->decided_at ? v->closed_at : v->decided_at;
    struct stmt *q = store_sql(
        s,
        "SELECT at, actor, action, detail, other FROM ("
        " SELECT opened_at AS at, 'alert' AS actor, 'fired' AS action, text AS detail, 0 AS other,"
        "  0 AS id FROM incident WHERE id = ?1"
        " UNION ALL SELECT * FROM (SELECT first_at, 'alert', 'also fires', labels, 0, 0 FROM alert"
        "  WHERE incident_id = ?1 ORDER BY id LIMIT 20 OFFSET 1)"
        " UNION ALL SELECT * FROM (SELECT at, actor, action, detail, 0, id FROM trail"
        "  WHERE incident_id = ?1 AND action <> 'verdict' ORDER BY id LIMIT 400)"
        " UNION ALL SELECT * FROM (SELECT at, by, 'verdict', CASE verdict WHEN 1 THEN 'noise' WHEN"
        "  2 THEN 'auto_fixed' WHEN 3 THEN 'escalated' WHEN 4 THEN 'real' ELSE 'unsure' END ||"
        "  '. ' || summary, 0, 0 FROM verdict WHERE incident_id = ?1 ORDER BY id LIMIT 50)"
        " UNION ALL SELECT * FROM (SELECT i.at, coalesce(nullif(p.name, ''), i.user_id), 'wrote',"
        "  i.text, 0, 0 FROM slack_escalation e JOIN slack_inbox i ON i.escalation_id = e.id"
        "  LEFT JOIN slack_person p ON p.user_id = i.user_id"
        "  WHERE e.incident_id = ?1 AND i.kind = 0 ORDER BY i.id LIMIT 100)"
        " UNION ALL SELECT * FROM (" MEANWHILE ")"
        " UNION ALL SELECT closed_at, 'alert', CASE status WHEN 2 THEN 'closed as stale' ELSE"
        "  'resolved' END, '', 0, 0 FROM incident WHERE id = ?1 AND closed_at IS NOT NULL)"
        " ORDER BY at, id");
    int r;
    heading(out, "Timeline");
    buf_adds(out, "| Time | After | Who | What |\n|---|---|---|---|\n");
    if (end > v->opened_at + MAX_MEANWHILE_MS)
        end = v->opened_at + MAX_MEANWHILE_MS;
    bind_int(q, 1, v->id);
    bind_int(q, 2, v->opened_at);
    bind_int(q, 3, end);
    while ((r = stmt_step(q)) > 0)
        step(out, v, q);
    buf_adds(out, "\n_(meanwhile)_: by its time only; it may have been for another incident.\n");
    return r;
}

// ---- how long each step took ----

static void took(struct buf *out, const char *name, int64_t from, int64_t at)
{
    char text[RFC3339_SIZE];
    if (!at)
        return;
    buf_addf(out, "| %s | %s | ", name, moment(at, text));
    if (at >= from)
        html_duration(out, at - from);
    buf_adds(out, " |\n");
}

static int response(struct store *s, const struct incident_view *v, struct buf *out)
{
    struct stmt *q =
        store_sql(s, "SELECT (SELECT min(nullif(starts_at, 0)) FROM alert WHERE incident_id = ?1),"
                     " (SELECT min(at) FROM trail WHERE incident_id = ?1 AND action = 'pushed'),"
                     " (SELECT min(at) FROM trail WHERE incident_id = ?1 AND action = 'paged'),"
                     " (SELECT min(at) FROM verdict WHERE incident_id = ?1),"
                     " (SELECT min(created_at) FROM slack_escalation WHERE incident_id = ?1),"
                     " (SELECT min(answered_at) FROM slack_escalation WHERE incident_id = ?1)");
    bind_int(q, 1, v->id);
    int r = stmt_step(q);
    if (r < 0)
        return r;
    int64_t started = col_int(q, 0), from = v->opened_at;
    heading(out, "Detection and response");
    buf_adds(out, "| Step | At | After the alert came in |\n|---|---|---|\n");
    took(out, "Began, as the sender has it", INT64_MAX, started);
    took(out, "Alert came in", INT64_MAX, from);
    took(out, "Given to the agent", from, col_int(q, 1));
    took(out, "Taken by the agent", from, v->taken_at);
    took(out, "Owner paged without the agent", from, col_int(q, 2));
    took(out, "First verdict", from, col_int(q, 3));
    took(out, "Escalated", from, col_int(q, 4));
    took(out, "Answered by a person", from, col_int(q, 5));
    took(out, v->status == STATUS_STALE ? "Closed as stale" : "Resolved", from, v->closed_at);
    stmt_reset(q);
    if (started && started < from) {
        buf_adds(out, "\nDetection took ");
        html_duration(out, from - started);
        buf_adds(out, ", as far as the sender's clock says.\n");
    }
    buf_adds(out, "\n_When did it really begin, and who or what could have seen it first?_\n");
    return 0;
}

// ---- evidence ----

static int evidence(struct store *s, const struct incident_view *v, struct buf *out)
{
    struct tally t = {0};
    int r = tally_problem(s, v->problem_id, v->opened_at - HISTORY_DAYS * DAY_MS, &t);
    if (r < 0)
        return r;
    heading(out, "Evidence");
    buf_addf(out,
             "The same problem in the %d days before it and since: %lld incidents with this one, "
             "%lld of them noise, %lld real.\n\n",
             HISTORY_DAYS, (long long)tally_total(&t), (long long)t.noise,
             (long long)tally_true(&t));
    struct stmt *q = store_sql(s, "SELECT status, labels, annotations, generator_url FROM alert"
                                  " WHERE incident_id = ? ORDER BY id LIMIT 5");
    int n = 0;
    bind_int(q, 1, v->id);
    while ((r = stmt_step(q)) > 0) {
        buf_addf(out, "%sAlert %d, %s:\n\n", n ? "\n" : "", n + 1, status_name(col_int(q, 0)));
        markdown_code(out, col_text(q, 1), MAX_PARAGRAPH);
        markdown_code(out, col_text(q, 2), MAX_PARAGRAPH);
        markdown_code(out, col_text(q, 3), MAX_LINE);
        n++;
    }
    buf_adds(out, "\n_Graphs, logs, and the change that came before it._\n");
    return r;
}

// ---- what to do ----

static int action_items(struct store *s, const struct incident_view *v, struct buf *out)
{
    struct stmt *q = store_sql(s, "SELECT id, title FROM proposal WHERE problem_id = ? AND decision"
                                  " < 2 ORDER BY id DESC LIMIT 5");
    int r;
    heading(out, "Action items");
    buf_adds(out, "| What | Kind | Owner | Due |\n|---|---|---|---|\n"
                  "| _keep it from coming again_ | prevent | _who_ | _when_ |\n"
                  "| _see it sooner_ | detect | _who_ | _when_ |\n"
                  "| _mend it faster_ | mitigate | _who_ | _when_ |\n");
    bind_int(q, 1, v->problem_id);
    while ((r = stmt_step(q)) > 0) {
        buf_addf(out, "| Proposal %lld: ", (long long)col_int(q, 0));
        inline_text(out, col_text(q, 1));
        buf_adds(out, " | alert rule | _who_ | _when_ |\n");
    }
    return r;
}

int postmortem_write(struct store *s, const struct incident_view *v, int64_t now, struct buf *out)
{
    head(v, now, out);
    int r = summary(s, v, out);
    if (r == 0) {
        impact(v, now, out);
        r = timeline(s, v, now, out);
    }
    if (r == 0)
        r = response(s, v, out);
    if (r == 0)
        r = root_cause(s, v, out);
    if (r == 0)
        r = actions(s, v, out);
    if (r == 0)
        r = evidence(s, v, out);
    heading(out, "What went well");
    buf_adds(out, "- _..._\n");
    heading(out, "What went badly");
    buf_adds(out, "- _..._\n");
    if (r == 0)
        r = action_items(s, v, out);
    return r < 0 ? r : out->error;
}
