#include "channels/slack/pages.h"

#include "channels/slack/outbox.h"

int page_add(struct store *s, const char *severity, const char *text, int64_t now, int64_t *ret_id)
{
    struct stmt *q = store_sql(s, "INSERT INTO page(at, severity, text) VALUES(?, ?, ?)");
    bind_int(q, 1, now);
    bind_text(q, 2, severity);
    bind_text(q, 3, text);
    int r = stmt_run(q);
    if (r == 0)
        *ret_id = store_last_id(s);
    return r;
}

int pages_queue(struct store *s, const char *owner)
{
    enum { MAX_AT_ONCE = 64 };
    int64_t ids[MAX_AT_ONCE];
    int n = 0, r;
    struct stmt *q = store_sql(s, "SELECT id FROM page WHERE queued = 0 ORDER BY id LIMIT 64");
    while ((r = stmt_step(q)) > 0)
        ids[n++] = col_int(q, 0);
    for (int i = 0; r >= 0 && i < n; i++) {
        r = outbox_add(
            s,
            &(struct outbox_new){.op = OUT_POST, .ref = REF_PAGE, .ref_id = ids[i], .user = owner},
            NULL);
        if (r < 0)
            break;
        q = store_sql(s, "UPDATE page SET queued = 1 WHERE id = ?");
        bind_int(q, 1, ids[i]);
        r = stmt_run(q);
    }
    return r < 0 ? r : n;
}
