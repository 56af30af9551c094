#include "common/page.h"

int page_add(struct store *s, const struct page *p, int64_t now, int64_t *ret_id)
{
    struct stmt *q = store_sql(s, "INSERT INTO page(at, severity, text, incident_id, escalate) "
                                  "VALUES(?, ?, ?, nullif(?, 0), ?)");
    bind_int(q, 1, now);
    bind_text(q, 2, p->severity);
    bind_text(q, 3, p->text);
    bind_int(q, 4, p->incident_id);
    bind_text(q, 5, p->escalate ? p->escalate : "");
    int r = stmt_run(q);
    if (r == 0 && ret_id)
        *ret_id = store_last_id(s);
    return r;
}

const char *page_severity_of(int64_t severity)
{
    static const char *const names[] = {"warning", "info", "warning", "error", "critical"};
    return names[severity >= 0 && severity < (int64_t)ARRAY_LEN(names) ? severity : 0];
}
