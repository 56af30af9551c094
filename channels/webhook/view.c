#include "channels/webhook/view.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_STRINGS (64 * 1024)

static const char select_view[] =
    "SELECT i.id, i.problem_id, i.kind, i.severity, i.status, i.state, i.verdict, i.opened_at, "
    "i.last_seen_at,"
    " i.closed_at, i.members, i.flaps, i.notifications, i.deliveries, i.delivery, i.truncated, "
    "i.pushed_at,"
    " i.taken_at, i.decided_at, i.environment,"
    " p.alertname, p.cluster, p.namespace, p.service, i.source, i.text, i.ask,"
    " (SELECT t.key FROM ticket_incident ti JOIN ticket t ON t.id = ti.ticket_id WHERE "
    "ti.incident_id = i.id)"
    " FROM incident i JOIN problem p ON p.id = i.problem_id WHERE i.id = ?";

static int read_strings(struct stmt *q, struct incident_view *v)
{
    const char **fields[] = {&v->alertname, &v->cluster, &v->namespace, &v->service,
                             &v->source,    &v->text,    &v->ask,       &v->ticket};
    size_t at[ARRAY_LEN(fields)];
    struct buf all = BUF_INIT(MAX_STRINGS);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        at[i] = all.len;
        buf_adds(&all, col_text(q, 20 + (int)i));
        buf_addc(&all, '\0');
    }
    int r = all.error;
    v->strings = buf_take(&all);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(fields); i++)
        *fields[i] = v->strings + at[i];
    return r;
}

int incident_view_load(struct store *s, int64_t id, struct incident_view *ret_view)
{
    struct stmt *q = store_sql(s, select_view);
    bind_int(q, 1, id);
    int r = stmt_step(q);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    struct incident_view v = {.id = col_int(q, 0),
                              .problem_id = col_int(q, 1),
                              .kind = col_int(q, 2),
                              .severity = col_int(q, 3),
                              .status = col_int(q, 4),
                              .state = col_int(q, 5),
                              .verdict = col_int(q, 6),
                              .opened_at = col_int(q, 7),
                              .last_seen_at = col_int(q, 8),
                              .closed_at = col_int(q, 9),
                              .members = col_int(q, 10),
                              .flaps = col_int(q, 11),
                              .notifications = col_int(q, 12),
                              .deliveries = col_int(q, 13),
                              .delivery = col_int(q, 14),
                              .truncated = col_int(q, 15),
                              .pushed_at = col_int(q, 16),
                              .taken_at = col_int(q, 17),
                              .decided_at = col_int(q, 18),
                              .prod = col_int(q, 19) != 0};
    r = read_strings(q, &v);
    stmt_reset(q);
    if (r == 0)
        *ret_view = v;
    return r;
}

void incident_view_done(struct incident_view *v)
{
    free(v->strings);
    *v = (struct incident_view){0};
}

void incident_view_title(const struct incident_view *v, struct buf *out)
{
    buf_adds(out, v->alertname);
    if (v->service[0])
        buf_addf(out, " on %s", v->service);
    if (v->cluster[0] || v->namespace[0])
        buf_addf(out, " (%s%s%s)", v->cluster, v->cluster[0] && v->namespace[0] ? " / " : "",
                 v->namespace);
}
