#include "channels/webhook/noise.h"

#include "channels/webhook/alert.h"
#include "channels/webhook/incident_state.h"
#include "channels/webhook/proposal.h"
#include "channels/webhook/trail.h"
#include "common/text.h"

#define DAY_MS (24ll * 3600 * 1000)

static const char look[] = "a real look is due: the last 9 were dismissed unseen as known noise";

// ---- the brakes ----

static int exists(struct stmt *q)
{
    int r = stmt_step(q);
    stmt_reset(q);
    return r;
}

// Each walks one index range however long the history is: incident_evidence.
static int was_something_else(struct store *s, int64_t problem_id, int64_t since)
{
    struct stmt *q = store_sql(s, "SELECT 1 FROM incident WHERE problem_id = ? AND verdict IN (2, "
                                  "3, 4, 5) AND folded IN (0, 1)"
                                  " AND decided_at >= ? AND kind = 0 LIMIT 1");
    bind_int(q, 1, problem_id);
    bind_int(q, 2, since);
    return exists(q);
}

static int was_noise_often(struct store *s, const struct noise_case *c, int64_t since)
{
    struct stmt *q = store_sql(s, "SELECT 1 FROM incident WHERE problem_id = ? AND verdict = 1 AND "
                                  "folded = 0 AND decided_at >= ?"
                                  " AND kind = 0 AND id <> ? LIMIT 1 OFFSET ?");
    bind_int(q, 1, c->problem_id);
    bind_int(q, 2, since);
    bind_int(q, 3, c->incident_id);
    bind_int(q, 4, NOISE_MIN_VERDICTS - 1);
    return exists(q);
}

static int was_confirmed(struct store *s, int64_t problem_id, int64_t since)
{
    struct stmt *q = store_sql(s, "SELECT 1 FROM proposal WHERE problem_id = ? AND kind = ? AND "
                                  "decision = ? AND decided_at >= ? LIMIT 1");
    bind_int(q, 1, problem_id);
    bind_int(q, 2, PROPOSAL_KNOWN_NOISE);
    bind_int(q, 3, DECISION_ACCEPTED);
    bind_int(q, 4, since);
    return exists(q);
}

int noise_is_known(struct store *s, const struct noise_case *c, int64_t now)
{
    int64_t since = now - NOISE_DAYS * DAY_MS;
    if (c->severity >= SEVERITY_CRITICAL)
        return 0;
    int r = was_noise_often(s, c, since);
    if (r <= 0)
        return r;
    r = was_something_else(s, c->problem_id, since);
    if (r != 0)
        return r < 0 ? r : 0;
    return c->prod ? was_confirmed(s, c->problem_id, since) : 1;
}

// ---- folding ----

// Counts one more dismissal: 1 = this one is to be looked at instead.
static int look_is_due(struct store *s, int64_t problem_id)
{
    struct stmt *q = store_sql(s, "UPDATE problem SET folds = (folds + 1) % ?2 WHERE id = ?1");
    bind_int(q, 1, problem_id);
    bind_int(q, 2, NOISE_LOOK_EVERY);
    int r = stmt_run(q);
    if (r < 0)
        return r;
    q = store_sql(s, "SELECT 1 FROM problem WHERE id = ? AND folds = 0");
    bind_int(q, 1, problem_id);
    return exists(q);
}

static int fold(struct store *s, int64_t id, int64_t now)
{
    struct verdict_note note = {.verdict = VERDICT_NOISE,
                                .summary = "known noise: never anything else in 14 days",
                                .root_cause = "",
                                .action = "",
                                .by = "memory",
                                .confidence = -1};
    int r = incident_decide(s, id, &note, now);
    if (r == 0)
        r = trail_add(s, id, "memory", "verdict", "noise: known noise, folded into a digest", now);
    struct stmt *q = store_sql(s, "UPDATE incident SET folded = 1, taken_at = NULL WHERE id = ?");
    bind_int(q, 1, id);
    if (r == 0)
        r = stmt_run(q);
    q = store_sql(s, "INSERT OR IGNORE INTO noise_fold(incident_id, at) VALUES(?, ?)");
    bind_int(q, 1, id);
    bind_int(q, 2, now);
    return r < 0 ? r : stmt_run(q);
}

int noise_opened(struct store *s, const struct noise_case *c, int64_t now)
{
    int r = noise_is_known(s, c, now);
    if (r <= 0)
        return r;
    r = look_is_due(s, c->problem_id);
    if (r == 0)
        return fold(s, c->incident_id, now);
    struct stmt *q = store_sql(s, "UPDATE incident SET ask = ? WHERE id = ?");
    bind_text(q, 1, look);
    bind_int(q, 2, c->incident_id);
    return r < 0 ? r : stmt_run(q);
}

static int unfold(struct store *s, int64_t id)
{
    struct stmt *q = store_sql(s, "UPDATE incident SET folded = 0, verdict = NULL WHERE id = ?");
    bind_int(q, 1, id);
    int r = stmt_run(q);
    q = store_sql(s, "DELETE FROM noise_fold WHERE incident_id = ?");
    bind_int(q, 1, id);
    return r < 0 ? r : stmt_run(q);
}

int noise_joined(struct store *s, int64_t incident_id, bool worse, bool reopened, int64_t now,
                 const char **why)
{
    struct stmt *q = store_sql(
        s, "SELECT problem_id, environment, severity FROM incident WHERE id = ? AND folded = 1");
    bind_int(q, 1, incident_id);
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    struct noise_case c = {.problem_id = col_int(q, 0),
                           .incident_id = incident_id,
                           .prod = col_int(q, 1) != 0,
                           .severity = col_int(q, 2)};
    stmt_reset(q);
    r = noise_is_known(s, &c, now);
    if (r < 0)
        return r;
    bool known = r > 0;
    if (known && reopened && (r = look_is_due(s, c.problem_id)) < 0)
        return r;
    if (worse) {
        *why = "it was dismissed as known noise, then its severity rose";
    } else if (!known) {
        *why = "it was dismissed as known noise, which it is no more";
    } else if (reopened && r > 0) {
        *why = look;
    } else {
        *why = NULL;
        return 0;
    }
    return unfold(s, incident_id);
}

// ---- telling ----

bool noise_waits(struct store *s)
{
    return exists(store_sql(s, "SELECT 1 FROM noise_fold LIMIT 1")) > 0;
}

int noise_told(struct store *s, int64_t before)
{
    struct stmt *q = store_sql(s, "DELETE FROM noise_fold WHERE at < ?");
    bind_int(q, 1, before);
    return stmt_run(q);
}

static void add_problem(struct buf *out, struct stmt *q, bool first)
{
    buf_addf(out, "%s%lldx ", first ? ": " : ", ", (long long)col_int(q, 4));
    text_clean(out, str_of(col_text(q, 0)), 120, TEXT_ONE_LINE);
    if (col_text(q, 1)[0]) {
        buf_adds(out, " on ");
        text_clean(out, str_of(col_text(q, 1)), 120, TEXT_ONE_LINE);
    }
    if (col_text(q, 2)[0]) {
        buf_adds(out, " (");
        text_clean(out, str_of(col_text(q, 2)), 60, TEXT_ONE_LINE);
        buf_addc(out, ')');
    }
    buf_addf(out, " #%lld", (long long)col_int(q, 3));
}

int noise_lines(struct store *s, struct buf *out, int64_t *ret_n)
{
    struct stmt *q = store_sql(
        s, "SELECT count(*) FROM noise_fold f CROSS JOIN incident i ON i.id = f.incident_id");
    int r = stmt_step(q);
    if (r < 0)
        return r;
    int64_t n = col_int(q, 0), problems = 0, named = 0;
    stmt_reset(q);
    *ret_n = n;
    if (n == 0)
        return 0;
    buf_addf(out, "%lld known-noise incident%s folded", (long long)n, n == 1 ? "" : "s");
    q = store_sql(
        s, "SELECT p.alertname, p.service, p.cluster, max(i.id), count(*) AS n FROM noise_fold f"
           " CROSS JOIN incident i ON i.id = f.incident_id JOIN problem p ON p.id = i.problem_id"
           " GROUP BY p.id ORDER BY n DESC, p.alertname, p.service LIMIT 8");
    while ((r = stmt_step(q)) > 0) {
        add_problem(out, q, problems++ == 0);
        named += col_int(q, 4);
    }
    if (named < n)
        buf_addf(out, " and %lld more", (long long)(n - named));
    buf_adds(out, "\nthe memory has logged them as noise: nothing to do or to log, unless one "
                  "looks real to you");
    return r < 0 ? r : out->error;
}
