#include "channels/webhook/incident_json.h"

#include <stdio.h>

#include "channels/webhook/alert.h"
#include "channels/webhook/ticket_store.h"

int incident_json_scalars(struct jw *w, struct store *s, const struct incident_view *v)
{
    jw_kint(w, "incident_id", v->id);
    jw_kstr(w, "kind", v->kind == KIND_TEST ? "test" : "alert");
    jw_kstr(w, "alertname", v->alertname);
    jw_kstr(w, "severity", severity_name((enum alert_severity)v->severity));
    jw_kstr(w, "service", v->service);
    jw_kstr(w, "cluster", v->cluster);
    jw_kstr(w, "namespace", v->namespace);
    jw_kstr(w, "environment", v->prod ? "prod" : "dev");
    jw_kstr(w, "source", v->source);
    jw_kstr(w, "status", status_name(v->status));
    jw_kstr(w, "state", state_name(v->state));
    jw_kstr(w, "text", v->text);
    struct stmt *q = store_sql(s, "SELECT summary, root_cause, action FROM verdict WHERE "
                                  "incident_id = ? ORDER BY id DESC LIMIT 1");
    bind_int(q, 1, v->id);
    int r = stmt_step(q);
    jw_kstr(w, "verdict", verdict_name(v->verdict));
    jw_kstr(w, "summary", r > 0 ? col_text(q, 0) : NULL);
    jw_kstr(w, "root_cause", r > 0 && col_text(q, 1)[0] ? col_text(q, 1) : NULL);
    jw_kstr(w, "action", r > 0 && col_text(q, 2)[0] ? col_text(q, 2) : NULL);
    stmt_reset(q);
    char ticket[64], url[512];
    int has = ticket_of_incident(s, v->id, ticket, url);
    jw_kstr(w, "ticket", has > 0 ? ticket : NULL);
    jw_kstr(w, "ticket_url", has > 0 && url[0] ? url : NULL);
    jw_ktime(w, "opened_at", v->opened_at);
    jw_ktime(w, "last_seen_at", v->last_seen_at);
    jw_ktime(w, "closed_at", v->closed_at);
    jw_kint(w, "members", v->members);
    jw_kint(w, "flaps", v->flaps);
    jw_kint(w, "notifications", v->notifications);
    jw_kint(w, "deliveries", v->deliveries);
    return r < 0 ? r : has < 0 ? has : w->out->error;
}

static int alerts_json(struct jw *w, struct store *s, const struct incident_view *v,
                       size_t max_bytes)
{
    struct stmt *q = store_sql(
        s, "SELECT fingerprint, status, labels, annotations, starts_at, ends_at, generator_url"
           " FROM alert WHERE incident_id = ? ORDER BY status, id");
    bind_int(q, 1, v->id);
    int64_t left_out = 0;
    int r;
    jw_key(w, "alerts");
    jw_array(w);
    while ((r = stmt_step(q)) > 0) {
        size_t size =
            strlen(col_text(q, 2)) + strlen(col_text(q, 3)) + strlen(col_text(q, 6)) + 256;
        if (left_out || w->out->len + size > max_bytes) {
            left_out++;
            continue;
        }
        jw_object(w);
        jw_kstr(w, "fingerprint", col_text(q, 0));
        jw_kstr(w, "status", status_name(col_int(q, 1)));
        jw_key(w, "labels");
        jw_raw(w, str_of(col_text(q, 2)));
        jw_key(w, "annotations");
        jw_raw(w, str_of(col_text(q, 3)));
        jw_ktime(w, "starts_at", col_int(q, 4));
        jw_ktime(w, "ends_at", col_int(q, 5));
        jw_kstr(w, "generator_url", col_text(q, 6));
        jw_object_end(w);
    }
    jw_array_end(w);
    if (left_out)
        jw_kint(w, "alerts_left_out", left_out);
    return r;
}

// The latest verdicts, as many as have room, and the last one in any case.
static int first_verdict(struct store *s, int64_t incident_id, size_t room, int64_t *ret_first,
                         int64_t *ret_left_out)
{
    struct stmt *q = store_sql(s, "SELECT id, length(CAST(summary || root_cause || action AS "
                                  "BLOB)) FROM verdict WHERE incident_id = ?"
                                  " ORDER BY id DESC");
    bind_int(q, 1, incident_id);
    int64_t used = 0, first = 0, left_out = 0;
    int r;
    while ((r = stmt_step(q)) > 0) {
        used += col_int(q, 1) + 160;
        if (first && used > (int64_t)room)
            left_out++;
        else
            first = col_int(q, 0);
    }
    *ret_first = first;
    *ret_left_out = left_out;
    return r;
}

static int verdicts_json(struct jw *w, struct store *s, int64_t id, size_t room)
{
    int64_t first = 0, left_out = 0;
    int r = first_verdict(s, id, room, &first, &left_out);
    if (r < 0)
        return r;
    struct stmt *q =
        store_sql(s, "SELECT at, verdict, summary, root_cause, action, confidence, by FROM verdict"
                     " WHERE incident_id = ? AND id >= ? ORDER BY id");
    bind_int(q, 1, id);
    bind_int(q, 2, first);
    jw_key(w, "verdicts");
    jw_array(w);
    while ((r = stmt_step(q)) > 0) {
        jw_object(w);
        jw_ktime(w, "at", col_int(q, 0));
        jw_kstr(w, "verdict", verdict_name(col_int(q, 1)));
        jw_kstr(w, "summary", col_text(q, 2));
        jw_kstr(w, "root_cause", col_text(q, 3)[0] ? col_text(q, 3) : NULL);
        jw_kstr(w, "action", col_text(q, 4)[0] ? col_text(q, 4) : NULL);
        jw_key(w, "confidence");
        if (col_is_null(q, 5))
            jw_null(w);
        else
            jw_num(w, col_real(q, 5));
        jw_kstr(w, "by", col_text(q, 6));
        jw_object_end(w);
    }
    jw_array_end(w);
    if (left_out)
        jw_kint(w, "verdicts_left_out", left_out);
    return r;
}

static int timeline_json(struct jw *w, struct store *s, const struct incident_view *v, size_t room)
{
    // Fired and resolved are of the incident itself; all else was noted when it happened.
    struct stmt *q = store_sql(
        s,
        "SELECT at, what, detail FROM ("
        " SELECT opened_at AS at, 'fired' AS what, '' AS detail, 0 AS n FROM incident WHERE id = ?1"
        " UNION ALL SELECT at, action, actor || CASE WHEN detail <> '' THEN ': ' || detail ELSE '' "
        "END, 1"
        "  FROM (SELECT * FROM trail WHERE incident_id = ?1 ORDER BY id DESC LIMIT ?2)"
        " UNION ALL SELECT closed_at, CASE status WHEN 2 THEN 'stale' ELSE 'resolved' END, '', 2 "
        "FROM incident"
        "  WHERE id = ?1 AND closed_at IS NOT NULL) ORDER BY at, n");
    bind_int(q, 1, v->id);
    bind_int(q, 2, room > 100 * 160 ? 100 : room > 10 * 160 ? (int64_t)room / 160 : 10);
    int r;
    jw_key(w, "timeline");
    jw_array(w);
    while ((r = stmt_step(q)) > 0) {
        jw_object(w);
        jw_ktime(w, "at", col_int(q, 0));
        jw_kstr(w, "what", col_text(q, 1));
        jw_kstr(w, "detail", col_text(q, 2)[0] ? col_text(q, 2) : NULL);
        jw_object_end(w);
    }
    jw_array_end(w);
    return r;
}

int incident_json(struct jw *w, struct store *s, const struct incident_view *v, bool timeline,
                  size_t max_bytes)
{
    jw_object(w);
    int r = incident_json_scalars(w, s, v);
    if (r == 0)
        r = verdicts_json(w, s, v->id, max_bytes / 4);
    if (r == 0 && timeline)
        r = timeline_json(w, s, v, max_bytes > w->out->len ? max_bytes - w->out->len : 0);
    if (r == 0)
        r = alerts_json(w, s, v, max_bytes);
    jw_object_end(w);
    return r < 0 ? r : w->out->error;
}
