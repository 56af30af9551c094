#include "channels/webhook/watchdog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/webhook/incident.h"
#include "common/clock.h"
#include "common/page.h"

#define MAX_CLUSTERS 64 // looked at in one call; the rest at the next

struct cluster {
    char *name; // owned
    int64_t seen_at;
    bool silent; // now
};

// Those whose state differs from what was said of them. Boot time starts anew with a reboot: then
// the wall clock alone counts.
static int find_changed(struct store *s, const struct config *c, int64_t wall, int64_t boot,
                        struct cluster *found, int *ret_n)
{
    struct stmt *q =
        store_sql(s, "SELECT cluster, seen_at, gone FROM (SELECT cluster, seen_at, silent,"
                     " (seen_at <= ?1 - ?3 AND NOT (seen_boot <= ?2 AND seen_boot > ?2 - ?3))"
                     "  OR (seen_boot <= ?2 - ?3 AND seen_at > ?1) AS gone FROM watchdog) WHERE "
                     "gone <> silent LIMIT 64");
    int n = 0, r;
    bind_int(q, 1, wall);
    bind_int(q, 2, boot);
    bind_int(q, 3, c->watchdog_s * 1000);
    while ((r = stmt_step(q)) > 0) {
        char *name = n < MAX_CLUSTERS ? strdup(col_text(q, 0)) : NULL;
        if (name)
            found[n++] = (struct cluster){
                .name = name, .seen_at = col_int(q, 1), .silent = col_int(q, 2) != 0};
    }
    *ret_n = n;
    return r;
}

static void describe(const struct config *c, const struct cluster *k, char *out, size_t size)
{
    char at[RFC3339_SIZE];
    rfc3339_format(k->seen_at / 1000 * 1000, at);
    const char *where = k->name[0] ? k->name : "(no cluster label)";
    if (k->silent)
        snprintf(out, size,
                 "%s of cluster %s was last heard at %s: its monitoring is down or cut off, so "
                 "silence there means nothing",
                 c->watchdog_alert, where, at);
    else
        snprintf(out, size, "%s of cluster %s is heard again", c->watchdog_alert, where);
}

// The Slack channel opens the escalation, with its timer; the incident's end ends it. The pager
// need not ask for the same once more.
static int escalate(struct store *s, const struct config *c, const struct cluster *k, int64_t wall,
                    int64_t incident_id, const char *text)
{
    struct stmt *q = store_sql(s, "UPDATE incident SET paged_at = ?2 WHERE id = ?1");
    bind_int(q, 1, incident_id);
    bind_int(q, 2, wall);
    int r = stmt_run(q);
    struct buf title = BUF_INIT(8192);
    buf_addf(&title, "%s is silent%s%s", c->watchdog_alert, k->name[0] ? " in " : "", k->name);
    struct page p = {.severity = "critical",
                     .text = text,
                     .incident_id = incident_id,
                     .escalate = buf_cstr(&title)};
    if (r == 0)
        r = title.error ? title.error : page_add(s, &p, wall, NULL);
    buf_done(&title);
    return r;
}

static int change(struct store *s, const struct config *c, const struct cluster *k, int64_t wall)
{
    char text[512];
    struct id_set named = {0};
    struct incident_intake in = {.store = s, .config = c, .now = wall, .named = &named};
    describe(c, k, text, sizeof text);
    int r = incident_watchdog(&in, k->name, k->silent, text);
    struct stmt *q = store_sql(s, "UPDATE watchdog SET silent = ?2 WHERE cluster = ?1");
    bind_text(q, 1, k->name);
    bind_int(q, 2, k->silent);
    if (r == 0)
        r = stmt_run(q);
    if (r == 0 && k->silent)
        r = escalate(s, c, k, wall, named.n ? named.ids[0] : 0, text);
    id_set_done(&named);
    return r;
}

int watchdog_run(struct store *s, const struct config *c, int64_t wall, int64_t boot,
                 int64_t listening_ms)
{
    struct cluster changed[MAX_CLUSTERS];
    int n = 0;
    if (c->watchdog_s == 0 || listening_ms < c->watchdog_s * 1000)
        return 0;
    int r = find_changed(s, c, wall, boot, changed, &n);
    if (r == 0 && n > 0) {
        r = store_begin(s);
        bool begun = r == 0;
        for (int i = 0; r == 0 && i < n; i++)
            r = change(s, c, &changed[i], wall);
        if (r == 0)
            r = store_commit(s);
        else if (begun)
            store_rollback(s);
    }
    for (int i = 0; i < n; i++)
        free(changed[i].name);
    return r < 0 ? r : n;
}
