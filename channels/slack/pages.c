#include "channels/slack/pages.h"

#include <errno.h>
#include <stdlib.h>

#include "channels/slack/outbox.h"

// 1 = it opened an escalation, 0 = it is one message.
static int escalate(struct store *s, int64_t id, const struct escalation_people *people,
                    struct moment now)
{
    struct stmt *q = store_sql(
        s,
        "SELECT escalate, text, severity, incident_id FROM page WHERE id = ? AND escalate <> ''");
    bind_int(q, 1, id);
    int r = stmt_step(q);
    if (r <= 0)
        return r;
    char *title = strdup(col_text(q, 0)), *body = strdup(col_text(q, 1)),
         *severity = strdup(col_text(q, 2));
    struct escalation_new n = {.title = title,
                               .body = body,
                               .severity = severity,
                               .action = "",
                               .incident_id = col_int(q, 3),
                               .by = "channel"};
    stmt_reset(q);
    int64_t escalation;
    r = title && body && severity ? escalation_add(s, &n, people, now, &escalation) : -ENOMEM;
    free(title);
    free(body);
    free(severity);
    return r < 0 ? r : 1;
}

static int queue(struct store *s, int64_t id, const struct escalation_people *people,
                 struct moment now)
{
    int r = escalate(s, id, people, now);
    if (r == 0)
        r = outbox_add(s,
                       &(struct outbox_new){
                           .op = OUT_POST, .ref = REF_PAGE, .ref_id = id, .user = people->owner},
                       NULL);
    if (r < 0)
        return r;
    struct stmt *q = store_sql(s, "UPDATE page SET queued = 1 WHERE id = ?");
    bind_int(q, 1, id);
    return stmt_run(q);
}

int pages_queue(struct store *s, const struct escalation_people *people, struct moment now)
{
    enum { MAX_AT_ONCE = 64 };
    int64_t ids[MAX_AT_ONCE];
    int n = 0, r;
    struct stmt *q = store_sql(s, "SELECT id FROM page WHERE queued = 0 ORDER BY id LIMIT 64");
    while ((r = stmt_step(q)) > 0)
        ids[n++] = col_int(q, 0);
    for (int i = 0; r >= 0 && i < n; i++)
        r = queue(s, ids[i], people, now);
    return r < 0 ? r : n;
}
