#include "channels/webhook/tally.h"

#include "channels/webhook/terms.h"

#define DAY_MS (24ll * 3600 * 1000)

#define DAYS                                                                                       \
    "SELECT sum(none), sum(noise), sum(auto_fixed), sum(escalated), sum(real), sum(unsure), "      \
    "sum(flaps) FROM tally"                                                                        \
    " WHERE kind = ?1 AND key = ?2 AND day >= ?3"
#define VERDICTS                                                                                   \
    "SELECT sum(i.verdict IS NULL), sum(i.verdict IS 1), sum(i.verdict IS 2), sum(i.verdict IS "   \
    "3), sum(i.verdict IS 4),"                                                                     \
    " sum(i.verdict IS 5)"
#define EDGE " i.opened_at >= ?1 AND i.opened_at < ?2 AND i.kind <> 1"

struct tally_window tally_window(int64_t since)
{
    int64_t day = since > 0 ? (since + DAY_MS - 1) / DAY_MS : 0;
    return (struct tally_window){.since = since, .first_day = day, .edge_end = day * DAY_MS};
}

static int add(struct stmt *q, int columns, struct tally *t)
{
    int r = stmt_step(q);
    if (r > 0) {
        t->none += col_int(q, 0);
        t->noise += col_int(q, 1);
        t->auto_fixed += col_int(q, 2);
        t->escalated += col_int(q, 3);
        t->real += col_int(q, 4);
        t->unsure += col_int(q, 5);
        t->flaps += columns > 6 ? col_int(q, 6) : 0;
    }
    stmt_reset(q);
    return r < 0 ? r : 0;
}

int tally_days(struct store *s, const struct tally_window *w, struct tally *t)
{
    struct stmt *q = store_sql(s, DAYS);
    bind_int(q, 1, TALLY_ALL);
    bind_text(q, 2, "");
    bind_int(q, 3, w->first_day);
    return add(q, 6, t);
}

int tally_all(struct store *s, int64_t since, struct tally *t)
{
    struct tally_window w = tally_window(since);
    int r = tally_days(s, &w, t);
    struct stmt *q = store_sql(s, VERDICTS " FROM incident i WHERE" EDGE);
    bind_int(q, 1, since);
    bind_int(q, 2, w.edge_end);
    return r < 0 ? r : add(q, 6, t);
}

int tally_problem(struct store *s, int64_t problem_id, int64_t since, struct tally *t)
{
    struct tally_window w = tally_window(since);
    struct stmt *q = store_sql(s, DAYS);
    bind_int(q, 1, TALLY_PROBLEM);
    bind_int(q, 2, problem_id);
    bind_int(q, 3, w.first_day);
    int r = add(q, 7, t);
    q = store_sql(s, VERDICTS ", sum(i.flaps) FROM incident i WHERE i.problem_id = ?3 AND" EDGE);
    bind_int(q, 1, since);
    bind_int(q, 2, w.edge_end);
    bind_int(q, 3, problem_id);
    return r < 0 ? r : add(q, 7, t);
}

int tally_rule(struct store *s, const char *alertname, int64_t since, struct tally *t)
{
    struct tally_window w = tally_window(since);
    struct stmt *q = store_sql(s, DAYS);
    bind_int(q, 1, TALLY_RULE);
    bind_text(q, 2, alertname);
    bind_int(q, 3, w.first_day);
    int r = add(q, 7, t);
    // By time first: a rule may have any number of problems, a day has few incidents.
    q = store_sql(s, VERDICTS
                  ", sum(i.flaps) FROM incident i CROSS JOIN problem p ON p.id = i.problem_id"
                  " WHERE p.alertname = ?3 AND" EDGE);
    bind_int(q, 1, since);
    bind_int(q, 2, w.edge_end);
    bind_text(q, 3, alertname);
    return r < 0 ? r : add(q, 7, t);
}

int64_t tally_true(const struct tally *t)
{
    return t->auto_fixed + t->escalated + t->real;
}

int64_t tally_undecided(const struct tally *t)
{
    return t->none + t->unsure;
}

int64_t tally_total(const struct tally *t)
{
    return t->noise + tally_true(t) + tally_undecided(t);
}

static void change(struct tally *t, int64_t verdict, int64_t by)
{
    int64_t *const counts[] = {&t->none,      &t->noise, &t->auto_fixed,
                               &t->escalated, &t->real,  &t->unsure};
    if (verdict >= VERDICT_NONE && verdict <= VERDICT_UNSURE)
        *counts[verdict] += by;
}

void tally_and(struct tally *t, int64_t verdict)
{
    change(t, verdict, 1);
}

void tally_but(struct tally *t, int64_t verdict, int64_t flaps)
{
    change(t, verdict, -1);
    t->flaps -= flaps;
}
