#include "channels/webhook/incident.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "channels/webhook/noise.h"
#include "common/clock.h"
#include "common/json.h"

// The sender's repeats are noted on the member only this often: each note is a write.
#define MEMBER_NOTE_MS (3600 * 1000)
#define FLAPPING 3 // an incident under investigation that came and went so often is told no more

// An incident as far as the rules need to know it.
struct row {
    int64_t id, problem_id, status, state, verdict, severity, members, closed_at, flaps;
};

static const char select_member[] =
    "SELECT i.id, i.problem_id, i.status, i.state, i.verdict, i.severity, i.members, i.closed_at, "
    "i.flaps,"
    " a.id, a.status, a.last_at FROM alert a JOIN incident i ON i.id = a.incident_id"
    " WHERE a.source = ? AND a.fingerprint = ? AND i.kind <> 1 ORDER BY a.id DESC LIMIT 1";
static const char select_problem[] =
    "SELECT i.id, p.id, i.status, i.state, i.verdict, i.severity, i.members, i.closed_at, i.flaps"
    " FROM problem p LEFT JOIN incident i ON i.problem_id = p.id AND i.status = 0"
    " WHERE p.alertname = ? AND p.cluster = ? AND p.namespace = ? AND p.service = ? LIMIT 1";
static const char select_latest[] =
    "SELECT id, problem_id, status, state, verdict, severity, members, closed_at, flaps"
    " FROM incident WHERE problem_id = ? AND kind <> 1 ORDER BY opened_at DESC, id DESC LIMIT 1";

static void read_row(struct stmt *q, struct row *r)
{
    *r = (struct row){.id = col_int(q, 0),
                      .problem_id = col_int(q, 1),
                      .status = col_int(q, 2),
                      .state = col_int(q, 3),
                      .verdict = col_int(q, 4),
                      .severity = col_int(q, 5),
                      .members = col_int(q, 6),
                      .closed_at = col_int(q, 7),
                      .flaps = col_int(q, 8)};
}

// ---- problems ----

static void bind_problem(struct stmt *q, const struct alert *a)
{
    bind_text(q, 1, a->alertname);
    bind_text(q, 2, a->cluster);
    bind_text(q, 3, a->namespace);
    bind_text(q, 4, a->service);
}

// The alert's problem, made if need be, and its incident that is open: id 0 if none is.
static int problem_of(struct store *s, const struct alert *a, struct row *ret_open)
{
    struct stmt *q = store_sql(s, select_problem);
    bind_problem(q, a);
    int r = stmt_step(q);
    if (r > 0)
        read_row(q, ret_open);
    stmt_reset(q);
    if (r != 0)
        return r < 0 ? r : 0;
    q = store_sql(s,
                  "INSERT INTO problem(alertname, cluster, namespace, service) VALUES(?, ?, ?, ?)");
    bind_problem(q, a);
    r = stmt_run(q);
    if (r == 0)
        *ret_open = (struct row){.problem_id = store_last_id(s)};
    return r;
}

// ---- members ----

static int member_insert(struct incident_intake *in, int64_t incident_id, const struct alert *a)
{
    struct stmt *q = store_sql(
        in->store,
        "INSERT INTO alert(incident_id, source, fingerprint, status, labels, annotations,"
        " starts_at, ends_at, generator_url, first_at, last_at, node)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, 0), nullif(?8, 0), ?9, ?10, ?10, ?11)");
    bind_int(q, 1, incident_id);
    bind_text(q, 2, a->source);
    bind_text(q, 3, a->fingerprint);
    bind_int(q, 4, a->resolved ? STATUS_RESOLVED : STATUS_FIRING);
    bind_text(q, 5, a->labels);
    bind_text(q, 6, a->annotations);
    bind_int(q, 7, a->starts_at);
    bind_int(q, 8, a->ends_at);
    bind_text(q, 9, a->generator_url);
    bind_int(q, 10, in->now);
    // Without a node label this is the instance that was scraped, which says nothing of a cause.
    bind_text(q, 11, strchr(a->node, ':') ? "" : a->node);
    return stmt_run(q);
}

static int member_set(struct incident_intake *in, int64_t member_id, int status, int64_t ends_at)
{
    struct stmt *q = store_sql(
        in->store,
        "UPDATE alert SET status = ?2, last_at = ?3, ends_at = nullif(?4, 0) WHERE id = ?1");
    bind_int(q, 1, member_id);
    bind_int(q, 2, status);
    bind_int(q, 3, in->now);
    bind_int(q, 4, ends_at);
    return stmt_run(q);
}

// The member of this incident that the alert is, if it was in it before: 0 and its id, or 0 and no
// id.
static int member_of(struct store *s, int64_t incident_id, const struct alert *a, int64_t *ret_id)
{
    struct stmt *q = store_sql(s, "SELECT id FROM alert WHERE source = ? AND fingerprint = ?"
                                  " AND incident_id = ? ORDER BY id DESC LIMIT 1");
    bind_text(q, 1, a->source);
    bind_text(q, 2, a->fingerprint);
    bind_int(q, 3, incident_id);
    int r = stmt_step(q);
    *ret_id = r > 0 ? col_int(q, 0) : 0;
    stmt_reset(q);
    return r < 0 ? r : 0;
}

// ---- incidents ----

int incident_take_end(struct incident_intake *in)
{
    if (!in->note.named && !in->note.joined)
        return 0;
    struct stmt *q = store_sql(
        in->store, "UPDATE incident SET members = members + ?2, notifications = notifications + ?3,"
                   " last_seen_at = ?4, truncated = max(truncated, ?5) WHERE id = ?1");
    bind_int(q, 1, in->note.id);
    bind_int(q, 2, in->note.joined);
    bind_int(q, 3, in->note.named);
    bind_int(q, 4, in->now);
    bind_int(q, 5, in->truncated);
    in->note.named = in->note.joined = 0;
    return stmt_run(q);
}

// The incident is named, once a notification however many of its alerts are in it, and has as many
// members more. The alerts of a notification are mostly of one incident: it is written once for
// all of them.
static int note(struct incident_intake *in, int64_t id, int64_t joined)
{
    int r = in->note.id == id ? 0 : incident_take_end(in);
    if (r < 0)
        return r;
    in->note.id = id;
    in->note.joined += joined;
    r = id_set_add(in->named, id);
    in->note.named += r > 0;
    return r < 0 ? r : 0;
}

// The question is open (again): pushed as soon as the budget allows, as delivery 1.
static int ask(struct incident_intake *in, int64_t id, const char *why)
{
    struct stmt *q = store_sql(
        in->store,
        "UPDATE incident SET state = 0, delivery = 0, due_at = 0, ask = ?2,"
        " asked_at = ?3, since_at = ?3, since_boot = ?4, paged_at = NULL, tell_resolved = 0"
        " WHERE id = ?1");
    bind_int(q, 1, id);
    bind_text(q, 2, why);
    bind_int(q, 3, in->now);
    bind_int(q, 4, clock_boot_ms());
    return stmt_run(q);
}

// A column that an index is on is only written when it changes: that is most of what an update
// costs.
static int set_severity(struct incident_intake *in, int64_t id, int64_t severity)
{
    struct stmt *q = store_sql(in->store, "UPDATE incident SET severity = ?2 WHERE id = ?1");
    bind_int(q, 1, id);
    bind_int(q, 2, severity);
    return stmt_run(q);
}

static int reopen(struct incident_intake *in, int64_t id)
{
    struct stmt *q =
        store_sql(in->store, "UPDATE incident SET status = 0, closed_at = NULL, flaps = flaps + 1,"
                             " tell_resolved = 0 WHERE id = ?1");
    bind_int(q, 1, id);
    return stmt_run(q);
}

// Why the incident asks now that one more alert of it fires; NULL when that is no news.
static const char *why_ask(const struct row *i, const struct alert *a, bool reopened, bool known,
                           char *out, size_t size)
{
    bool decided = i->state == STATE_DECIDED;
    if (decided && !known) {
        snprintf(out, size, "a new alert joined after the verdict %s", verdict_name(i->verdict));
        return out;
    }
    if (decided && i->verdict != VERDICT_NOISE) {
        snprintf(out, size, "fires again after the verdict %s", verdict_name(i->verdict));
        return out;
    }
    if ((int64_t)a->severity > i->severity && i->state != STATE_NEW) {
        snprintf(out, size, "severity rose to %s", severity_name(a->severity));
        return out;
    }
    if (reopened && i->state == STATE_TAKEN && i->flaps < FLAPPING)
        return "fires again";
    return NULL;
}

// One more alert fires in an incident that exists.
static int fire_into(struct incident_intake *in, const struct row *i, const struct alert *a,
                     int64_t member_id)
{
    bool reopened = i->status != STATUS_FIRING;
    int r = member_id ? member_set(in, member_id, STATUS_FIRING, 0) : member_insert(in, i->id, a);
    if (r == 0 && reopened)
        r = reopen(in, i->id);
    if (r == 0 && (int64_t)a->severity > i->severity)
        r = set_severity(in, i->id, (int64_t)a->severity);
    char text[96];
    const char *why = why_ask(i, a, reopened, member_id != 0, text, sizeof text);
    if (r == 0 && i->state == STATE_DECIDED && i->verdict == VERDICT_NOISE)
        r = noise_joined(in->store, i->id, (int64_t)a->severity > i->severity, reopened, in->now,
                         &why);
    if (r == 0 && why)
        r = ask(in, i->id, why);
    return r < 0 ? r : note(in, i->id, 1);
}

static int open_new(struct incident_intake *in, int64_t problem_id, const struct alert *a,
                    enum incident_kind kind)
{
    bool closed = kind == KIND_TEST; // a test closes itself
    struct stmt *q = store_sql(
        in->store,
        "INSERT INTO incident(problem_id, kind, environment, source, severity, status, text,"
        " opened_at, last_seen_at, closed_at, members, asked_at, since_at, since_boot, due_at)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, nullif(?9, 0), ?10, ?8, ?8, ?11, 0)");
    bind_int(q, 1, problem_id);
    bind_int(q, 2, kind);
    bind_int(q, 3, config_is_prod(in->config, a->cluster));
    bind_text(q, 4, a->source);
    bind_int(q, 5, (int64_t)a->severity);
    bind_int(q, 6, closed ? STATUS_RESOLVED : STATUS_FIRING);
    bind_text(q, 7, a->summary);
    bind_int(q, 8, in->now);
    bind_int(q, 9, closed ? in->now : 0);
    bind_int(q, 10, closed ? 0 : 1);
    bind_int(q, 11, clock_boot_ms());
    int r = stmt_run(q);
    if (r < 0)
        return r;
    int64_t id = store_last_id(in->store);
    struct noise_case noise = {.problem_id = problem_id,
                               .incident_id = id,
                               .severity = (int64_t)a->severity,
                               .prod = config_is_prod(in->config, a->cluster)};
    r = member_insert(in, id, a);
    if (r == 0 && kind == KIND_ALERT)
        r = noise_opened(in->store, &noise, in->now);
    return r < 0 ? r : note(in, id, 0);
}

static bool within_flap(const struct incident_intake *in, const struct row *i)
{
    // A clock that was set back makes the distance negative: still within.
    return in->config->flap_s > 0 && in->now - i->closed_at <= in->config->flap_s * 1000;
}

static int latest_of(struct store *s, int64_t problem_id, struct row *ret_latest)
{
    struct stmt *q = store_sql(s, select_latest);
    bind_int(q, 1, problem_id);
    int r = stmt_step(q);
    if (r > 0)
        read_row(q, ret_latest);
    stmt_reset(q);
    return r < 0 ? r : 0;
}

// The alert is no member of an open incident: join the problem's open one, reopen its last one, or
// open a new one.
static int fire_new(struct incident_intake *in, const struct alert *a, enum incident_kind kind,
                    bool seen)
{
    int64_t member_id = 0;
    struct row i;
    int r = problem_of(in->store, a, &i);
    if (r == 0 && !i.id && in->config->flap_s > 0)
        r = latest_of(in->store, i.problem_id, &i);
    if (r < 0)
        return r;
    if (!i.id || (i.status != STATUS_FIRING && !within_flap(in, &i)))
        return open_new(in, i.problem_id, a, kind);
    if (seen)
        r = member_of(in->store, i.id, a, &member_id);
    return r < 0 ? r : fire_into(in, &i, a, member_id);
}

// A member became worse while it fires: its fingerprint is the sender's, so it may stay the same.
static int raise_severity(struct incident_intake *in, const struct row *i, const struct alert *a)
{
    char text[96];
    const char *why = text;
    snprintf(text, sizeof text, "severity rose to %s", severity_name(a->severity));
    int r = set_severity(in, i->id, (int64_t)a->severity);
    if (r == 0 && i->state == STATE_DECIDED && i->verdict == VERDICT_NOISE)
        r = noise_joined(in->store, i->id, true, false, in->now, &why);
    return r == 0 && why && i->state != STATE_NEW ? ask(in, i->id, why) : r;
}

static int repeat(struct incident_intake *in, const struct row *i, const struct alert *a,
                  int64_t member_id, int64_t member_last_at)
{
    int r = 0;
    if (in->now - member_last_at > MEMBER_NOTE_MS || member_last_at > in->now)
        r = member_set(in, member_id, STATUS_FIRING, 0);
    if (r == 0 && (int64_t)a->severity > i->severity)
        r = raise_severity(in, i, a);
    return r < 0 ? r : note(in, i->id, 0);
}

static bool tells_resolution(const struct row *i)
{
    if (i->state == STATE_DECIDED)
        return i->verdict != VERDICT_NOISE;
    return i->state == STATE_TAKEN && i->flaps < FLAPPING;
}

static int resolve(struct incident_intake *in, const struct row *i, int64_t member_id,
                   const struct alert *a)
{
    int r = member_set(in, member_id, STATUS_RESOLVED, a->ends_at ? a->ends_at : in->now);
    bool last = i->members <= 1;
    struct stmt *q = store_sql(
        in->store,
        "UPDATE incident SET members = members - 1, status = CASE WHEN ?2 THEN 1 ELSE status END,"
        " closed_at = CASE WHEN ?2 THEN ?3 END, tell_resolved = ?4 WHERE id = ?1");
    bind_int(q, 1, i->id);
    bind_int(q, 2, last);
    bind_int(q, 3, in->now);
    bind_int(q, 4, last && tells_resolution(i));
    if (r == 0)
        r = stmt_run(q);
    return r < 0 ? r : note(in, i->id, 0);
}

static int feed_watchdog(struct incident_intake *in, const struct alert *a)
{
    if (a->resolved)
        return 0;
    struct stmt *q =
        store_sql(in->store, "INSERT INTO watchdog(cluster, seen_at, seen_boot) VALUES(?1, ?2, ?3)"
                             " ON CONFLICT(cluster) DO UPDATE SET seen_at = ?2, seen_boot = ?3");
    bind_text(q, 1, a->cluster);
    bind_int(q, 2, in->now);
    bind_int(q, 3, clock_boot_ms());
    return stmt_run(q);
}

static int open_test(struct incident_intake *in, const struct alert *a)
{
    struct row i;
    int r = problem_of(in->store, a, &i);
    return r < 0 ? r : open_new(in, i.problem_id, a, KIND_TEST);
}

static int take_real(struct incident_intake *in, const struct alert *a, enum incident_kind kind)
{
    struct row i;
    int r =
        a->resolved ? incident_take_end(in) : 0; // the last one closes it: members must be right
    if (r < 0)
        return r;
    struct stmt *q = store_sql(in->store, select_member);
    bind_text(q, 1, a->source);
    bind_text(q, 2, a->fingerprint);
    r = stmt_step(q);
    if (r < 0)
        return r;
    int64_t member_id = 0, member_status = 0, member_last_at = 0;
    if (r > 0) {
        read_row(q, &i);
        member_id = col_int(q, 9);
        member_status = col_int(q, 10);
        member_last_at = col_int(q, 11);
    }
    stmt_reset(q);
    bool seen = r > 0, in_open = seen && i.status == STATUS_FIRING;
    bool fires = in_open && member_status == STATUS_FIRING;
    if (a->resolved) // the end of something never seen firing opens nothing
        return fires ? resolve(in, &i, member_id, a) : 0;
    if (fires)
        return repeat(in, &i, a, member_id, member_last_at);
    return in_open ? fire_into(in, &i, a, member_id) : fire_new(in, a, kind, seen);
}

int incident_take(struct incident_intake *in, const struct alert *a)
{
    if (a->test)
        return open_test(in, a);
    if (in->config->watchdog_alert[0] && strcmp(a->alertname, in->config->watchdog_alert) == 0)
        return feed_watchdog(in, a);
    return take_real(in, a, KIND_ALERT);
}

int incident_watchdog(struct incident_intake *in, const char *cluster, bool silent,
                      const char *text)
{
    struct buf json = BUF_INIT(1024), fingerprint = BUF_INIT(512);
    struct jw w = JW(&json);
    jw_object(&w);
    jw_kstr(&w, "alertname", in->config->watchdog_alert);
    jw_kstr(&w, "cluster", cluster);
    jw_object_end(&w);
    buf_addf(&fingerprint, "watchdog:%s", cluster);
    struct alert a = {.source = "watchdog",
                      .fingerprint = buf_cstr(&fingerprint),
                      .alertname = in->config->watchdog_alert,
                      .cluster = cluster,
                      .namespace = "",
                      .service = "",
                      .summary = text,
                      .generator_url = "",
                      .node = "",
                      .labels = buf_cstr(&json),
                      .annotations = "{}",
                      .severity = SEVERITY_CRITICAL,
                      .resolved = !silent,
                      .starts_at = in->now};
    int r = json.error          ? json.error
            : fingerprint.error ? fingerprint.error
                                : take_real(in, &a, KIND_ALERT);
    if (r == 0)
        r = incident_take_end(in);
    buf_done(&json);
    buf_done(&fingerprint);
    return r;
}

int incident_oversized(struct incident_intake *in, const char *sender, const char *peer,
                       uint64_t bytes)
{
    char text[256], number[24];
    struct buf json = BUF_INIT(1024);
    struct jw w = JW(&json);
    snprintf(text, sizeof text,
             "a notification of %" PRIu64 " bytes or more from %s is over the limit of %" PRId64
             " bytes: its alerts are not known here",
             bytes, sender, in->config->max_body);
    snprintf(number, sizeof number, "%" PRIu64, bytes);
    jw_object(&w);
    jw_kstr(&w, "alertname", "oversized notification");
    jw_kstr(&w, "sender", sender);
    jw_kstr(&w, "peer", peer);
    jw_kstr(&w, "bytes", number);
    jw_object_end(&w);
    struct alert a = {.source = sender,
                      .fingerprint = "oversized",
                      .alertname = "oversized notification",
                      .cluster = "",
                      .namespace = "",
                      .service = sender,
                      .summary = text,
                      .generator_url = "",
                      .node = "",
                      .labels = buf_cstr(&json),
                      .annotations = "{}",
                      .severity = SEVERITY_ERROR,
                      .starts_at = in->now};
    int r = json.error ? json.error : take_real(in, &a, KIND_OVERSIZED);
    if (r == 0)
        r = incident_take_end(in);
    buf_done(&json);
    return r;
}
