#include "channels/webhook/trail.h"

int trail_add(struct store *s, int64_t incident_id, const char *actor, const char *action,
              const char *detail, int64_t now)
{
    struct stmt *q = store_sql(s, "INSERT INTO trail(at, incident_id, actor, action, detail) "
                                  "VALUES(?, nullif(?, 0), ?, ?, ?)");
    bind_int(q, 1, now);
    bind_int(q, 2, incident_id);
    bind_text(q, 3, actor);
    bind_text(q, 4, action);
    bind_text(q, 5, detail);
    return stmt_run(q);
}
