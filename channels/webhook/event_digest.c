#include "channels/webhook/event_digest.h"

#include <errno.h>
#include <stdio.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/event_lines.h"
#include "channels/webhook/noise.h"
#include "channels/webhook/terms.h"
#include "common/text.h"

#define MAX_VALUE_SHOWN 200

// What the query planner cannot know: the table of the digest is the one to begin with, whence
// CROSS JOIN, which keeps SQLite from trying another order.

static int group_line(struct lines *l, const struct event_source *from, struct stmt *group)
{
    struct buf b = BUF_INIT(4096);
    int64_t n = col_int(group, 3);
    buf_addf(&b, "- %s ", severity_name((enum alert_severity)col_int(group, 2)));
    text_clean(&b, str_of(col_text(group, 0)), MAX_VALUE_SHOWN, TEXT_ONE_LINE);
    if (col_text(group, 1)[0]) {
        buf_adds(&b, " in ");
        text_clean(&b, str_of(col_text(group, 1)), MAX_VALUE_SHOWN, TEXT_ONE_LINE);
    }
    if (n > 1)
        buf_addf(&b, ": %lld incidents", (long long)n);
    struct stmt *q = store_sql(from->store, "SELECT d.id, p.service, p.namespace, d.status FROM "
                                            "digest d CROSS JOIN problem p ON p.id = d.problem_id"
                                            " WHERE d.cause = 0 AND d.severity = ?3 AND "
                                            "p.alertname = ?1 AND p.cluster = ?2 ORDER BY d.id"
                                            " LIMIT CASE WHEN ?3 = 4 THEN 40 ELSE 6 END");
    bind_text(q, 1, col_text(group, 0));
    bind_text(q, 2, col_text(group, 1));
    bind_int(q, 3, col_int(group, 2));
    int r, shown = 0;
    while ((r = stmt_step(q)) > 0) {
        const char *where = col_text(q, 1)[0] ? col_text(q, 1) : col_text(q, 2);
        buf_addf(&b, "%s#%lld", shown++ ? ", " : ": ", (long long)col_int(q, 0));
        if (where[0]) {
            buf_addc(&b, ' ');
            text_clean(&b, str_of(where), 60, TEXT_ONE_LINE);
        }
        if (col_int(q, 3) != STATUS_FIRING)
            buf_addf(&b, " (%s)", status_name(col_int(q, 3)));
    }
    if (n > shown)
        buf_addf(&b, ", ... (%lld more)", (long long)(n - shown));
    if (!l->left_out)
        lines_add(l, buf_str(&b));
    buf_done(&b);
    return r < 0 ? r : 0;
}

// ---- one cause, many alerts ----

#define MIN_SHARED 3 // incidents
#define MAX_CAUSES 3
#define MAX_TOTALS 8
#define MIN_TOTALS 10 // incidents: fewer are read faster one by one

struct cause {
    char name[128], cluster[128];
    int64_t incidents, rules;
    bool node;
};

// What most of the incidents share: a node, or a service that several rules complain of. 1 = found.
static int find_cause(const struct event_source *from, bool node, struct cause *c)
{
    struct stmt *q =
        node ? store_sql(
                   from->store,
                   "SELECT n.node, p.cluster, count(*) AS n, count(DISTINCT p.alertname) FROM "
                   "digest_node n CROSS JOIN digest d ON d.id = n.id"
                   " JOIN problem p ON p.id = d.problem_id WHERE d.cause = 0"
                   " GROUP BY n.node, p.cluster HAVING n >= ?1 ORDER BY n DESC, n.node LIMIT 1")
             : store_sql(
                   from->store,
                   "SELECT p.service, p.cluster, count(*) AS n, count(DISTINCT p.alertname) AS "
                   "rules FROM digest d"
                   " CROSS JOIN problem p ON p.id = d.problem_id WHERE d.cause = 0 AND p.service "
                   "<> ''"
                   " GROUP BY p.service, p.cluster HAVING n >= ?1 AND rules > 1 ORDER BY n DESC, "
                   "p.service LIMIT 1");
    bind_int(q, 1, MIN_SHARED);
    int r = stmt_step(q);
    if (r > 0) {
        *c = (struct cause){.incidents = col_int(q, 2), .rules = col_int(q, 3), .node = node};
        snprintf(c->name, sizeof c->name, "%s", col_text(q, 0));
        snprintf(c->cluster, sizeof c->cluster, "%s", col_text(q, 1));
    }
    stmt_reset(q);
    return r;
}

// Marks its incidents, so that the groups below do not name them again.
static int explain(const struct event_source *from, const struct cause *c)
{
    struct stmt *q =
        c->node ? store_sql(from->store,
                            "UPDATE digest SET cause = 1 WHERE cause = 0 AND id IN (SELECT "
                            "d.id FROM digest_node n CROSS JOIN digest d ON d.id = n.id"
                            " JOIN problem p ON p.id = d.problem_id WHERE n.node = ?1 AND "
                            "p.cluster = ?2)")
                : store_sql(from->store,
                            "UPDATE digest SET cause = 1 WHERE cause = 0 AND problem_id IN"
                            " (SELECT id FROM problem WHERE service = ?1 AND cluster = ?2)");
    bind_text(q, 1, c->name);
    bind_text(q, 2, c->cluster);
    return stmt_run(q);
}

static bool names_id(const struct buf *b, int64_t id)
{
    char mark[24];
    size_t n = (size_t)snprintf(mark, sizeof mark, "#%lld", (long long)id);
    for (const char *p = buf_cstr(b); (p = strstr(p, mark)); p += n)
        if (p[n] < '0' || p[n] > '9')
            return true;
    return false;
}

// A common cause is no reason to leave out which critical ones of production there are.
static int name_critical(const struct event_source *from, struct buf *b)
{
    struct stmt *q = store_sql(
        from->store,
        "SELECT d.id, p.alertname FROM digest d CROSS JOIN problem p ON p.id = d.problem_id"
        " WHERE d.cause = 1 AND d.prod = 1 AND d.severity = 4 ORDER BY d.id LIMIT 40");
    int r, shown = 0;
    while ((r = stmt_step(q)) > 0) {
        if (names_id(b, col_int(q, 0)))
            continue;
        buf_addf(b, "%s#%lld ", shown++ ? ", " : "; also critical: ", (long long)col_int(q, 0));
        text_clean(b, str_of(col_text(q, 1)), 60, TEXT_ONE_LINE);
    }
    return r;
}

static int cause_line(struct lines *l, const struct event_source *from, const struct cause *c)
{
    struct buf b = BUF_INIT(4096);
    buf_addf(&b, "- %lld incidents share %s %s", (long long)c->incidents,
             c->node ? "node" : "service", c->name);
    if (c->cluster[0])
        buf_addf(&b, " in %s", c->cluster);
    struct stmt *q = store_sql(
        from->store, "SELECT p.alertname, count(*), min(d.id), max(d.id), max(d.severity) AS worst "
                     "FROM digest d"
                     " CROSS JOIN problem p ON p.id = d.problem_id WHERE d.cause = 1 GROUP BY "
                     "p.alertname"
                     " ORDER BY worst DESC, count(*) DESC LIMIT 6");
    int r, shown = 0;
    while ((r = stmt_step(q)) > 0) {
        buf_adds(&b, shown++ ? ", " : ": ");
        text_clean(&b, str_of(col_text(q, 0)), 60, TEXT_ONE_LINE);
        if (col_int(q, 1) > 1)
            buf_addf(&b, " %lldx", (long long)col_int(q, 1));
        buf_addf(&b, " (#%lld%s)", (long long)col_int(q, 2),
                 col_int(q, 3) > col_int(q, 2) ? " ..." : "");
    }
    if (c->rules > shown)
        buf_addf(&b, " and %lld more rules", (long long)(c->rules - shown));
    if (r == 0)
        r = name_critical(from, &b);
    lines_add(l, buf_str(&b));
    buf_done(&b);
    return r;
}

// One line for "one node died". What it explains ends with cause 2: named, still in the digest.
static int causes(struct lines *l, const struct event_source *from, int64_t *named)
{
    struct cause c;
    int r = 0;
    for (int i = 0; i < MAX_CAUSES && l->out->len + 600 + LINES_TAIL < l->cap; i++) {
        r = find_cause(from, true, &c);
        if (r == 0)
            r = find_cause(from, false, &c);
        if (r <= 0)
            break;
        r = explain(from, &c);
        if (r == 0)
            r = cause_line(l, from, &c);
        if (r == 0)
            r = stmt_run(store_sql(from->store, "UPDATE digest SET cause = 2 WHERE cause = 1"));
        if (r < 0)
            break;
        *named += c.incidents;
    }
    return r < 0 ? r : 0;
}

static int digest_groups(struct lines *l, const struct event_source *from, int64_t total,
                         int64_t named)
{
    struct stmt *q =
        store_sql(from->store, "SELECT p.alertname, p.cluster, d.severity, count(*) FROM digest d "
                               "CROSS JOIN problem p ON p.id = d.problem_id"
                               " WHERE d.cause = 0 GROUP BY p.alertname, p.cluster, d.severity"
                               " ORDER BY max(d.prod = 1 AND d.severity = 4) DESC, "
                               "d.severity DESC, count(*) DESC, min(d.id) LIMIT 200");
    int r;
    while ((r = stmt_step(q)) > 0) {
        size_t before = l->out->len;
        if (l->out->len + 160 + LINES_TAIL < l->cap && (r = group_line(l, from, q)) < 0)
            break;
        if (l->out->len > before)
            named += col_int(q, 3);
    }
    stmt_reset(q);
    if (named < total) {
        char rest[LINES_TAIL];
        snprintf(rest, sizeof rest, "and %lld more incidents: list_incidents pages through all\n",
                 (long long)(total - named));
        if (l->out->len + strlen(rest) <= l->cap)
            buf_adds(l->out, rest);
    }
    return r;
}

static int noise_line(struct lines *l, const struct event_source *from, int64_t *ret_folded)
{
    struct buf b = BUF_INIT(8192);
    int r = noise_lines(from->store, &b, ret_folded);
    if (b.len)
        lines_add(l, buf_str(&b));
    buf_done(&b);
    return r;
}

int event_of_noise(struct event *e, const struct event_source *from)
{
    struct lines l = {.out = &e->content, .cap = e->content.max};
    int64_t folded = 0;
    int r = noise_line(&l, from, &folded);
    lines_end(&l);
    event_meta(e, "kind", "digest");
    event_meta_int(e, "incidents", folded);
    event_meta(e, "hint", "known_noise");
    return e->values.error ? -ENOMEM : r < 0 ? r : 0;
}

// "by cluster: data-1 600, data-0 590 and 3 more": the whole at a glance, however many groups there
// are.
static int totals_line(struct lines *l, const struct event_source *from, const char *by,
                       const char *sql)
{
    struct buf b = BUF_INIT(1024);
    struct stmt *q = store_sql(from->store, sql);
    int shown = 0, left_out = 0, r;
    buf_addf(&b, "by %s:", by);
    while ((r = stmt_step(q)) > 0) {
        if (shown == MAX_TOTALS) {
            left_out++;
            continue;
        }
        buf_adds(&b, shown++ ? ", " : " ");
        text_clean(&b, str_of(col_text(q, 0)[0] ? col_text(q, 0) : "(none)"), 60, TEXT_ONE_LINE);
        buf_addf(&b, " %lld", (long long)col_int(q, 1));
    }
    if (left_out)
        buf_addf(&b, " and %d more", left_out);
    if (r == 0 && shown)
        lines_add(l, buf_str(&b));
    buf_done(&b);
    return r;
}

static int totals(struct lines *l, const struct event_source *from)
{
    int r = totals_line(
        l, from, "severity",
        "SELECT CASE severity WHEN 4 THEN 'critical' WHEN 3 THEN 'error' WHEN 2 THEN 'warning' "
        "WHEN 1 THEN 'info' ELSE 'unknown' END,"
        " count(*) FROM digest GROUP BY severity ORDER BY severity DESC");
    if (r == 0)
        r = totals_line(
            l, from, "cluster",
            "SELECT p.cluster, count(*) AS n FROM digest d CROSS JOIN problem p ON p.id = "
            "d.problem_id GROUP BY p.cluster ORDER BY n DESC, p.cluster");
    if (r == 0)
        r = totals_line(
            l, from, "alert",
            "SELECT p.alertname, count(*) AS n FROM digest d CROSS JOIN problem p ON p.id "
            "= d.problem_id GROUP BY p.alertname ORDER BY n DESC, p.alertname");
    return r;
}

// Incidents whose end the session is to hear of, and had no event of its own.
static int resolved_line(struct lines *l, const struct event_source *from)
{
    struct buf b = BUF_INIT(1024);
    struct stmt *q =
        store_sql(from->store, "SELECT count(*) FROM incident WHERE tell_resolved = 1");
    int r = stmt_step(q);
    int64_t n = r > 0 ? col_int(q, 0) : 0;
    stmt_reset(q);
    if (r < 0 || n == 0)
        return r < 0 ? r : 0;
    buf_addf(&b, "%lld resolved:", (long long)n);
    q = store_sql(from->store,
                  "SELECT id FROM incident WHERE tell_resolved = 1 ORDER BY id LIMIT 20");
    int shown = 0;
    for (; (r = stmt_step(q)) > 0; shown++)
        buf_addf(&b, "%s #%lld", shown ? "," : "", (long long)col_int(q, 0));
    if (n > shown)
        buf_addf(&b, " and %lld more", (long long)(n - shown));
    lines_add(l, buf_str(&b));
    buf_done(&b);
    return r;
}

int event_of_digest(struct event *e, const struct event_source *from, const struct digest_totals *t,
                    const char *heading, size_t max_bytes)
{
    int64_t n = t->incidents;
    struct lines l = {.out = &e->content,
                      .cap = max_bytes < e->content.max ? max_bytes : e->content.max};
    struct buf b = BUF_INIT(1024);
    if (n)
        buf_addf(&b, "%lld %s%s: %lld firing, %lld in prod; worst first", (long long)n,
                 n == 1 ? "incident " : "incidents ", heading, (long long)t->firing,
                 (long long)t->prod);
    if (n)
        lines_add(&l, buf_str(&b));
    buf_done(&b);
    int64_t named = 0, folded = 0;
    int r = n >= MIN_TOTALS ? totals(&l, from) : 0;
    if (r == 0)
        r = causes(&l, from, &named);
    if (r == 0)
        r = digest_groups(&l, from, n, named);
    if (r == 0)
        r = noise_line(&l, from, &folded);
    if (r == 0)
        r = resolved_line(&l, from);
    l.left_out = 0; // what is missing was counted in incidents
    lines_add(&l, str_of("get_incident(ID) for one, log_incident takes many ids at once"));
    l.left_out = 0;
    lines_end(&l);
    event_meta(e, "kind", "digest");
    event_meta(e, "severity", severity_name((enum alert_severity)t->worst));
    event_meta_int(e, "incidents", n);
    event_meta_int(e, "alerts", t->alerts);
    return e->values.error ? -ENOMEM : r < 0 ? r : 0;
}
