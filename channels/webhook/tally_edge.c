#include "channels/webhook/tally_edge.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ROOM 256

struct edge_problem {
    int64_t id;
    struct tally counts;
};

// Where the id is, or would be. There is always an empty place.
static struct edge_problem *place_of(struct edge_problem *problems, size_t room, int64_t id)
{
    size_t i = (size_t)((uint64_t)id * 0x9e3779b97f4a7c15u >> 32) & (room - 1);
    while (problems[i].id && problems[i].id != id)
        i = (i + 1) & (room - 1);
    return &problems[i];
}

static int grow(struct tally_edge *e)
{
    size_t room = e->room ? 2 * e->room : FIRST_ROOM;
    struct edge_problem *more = calloc(room, sizeof *more);
    if (!more)
        return -ENOMEM;
    for (size_t i = 0; i < e->room; i++)
        if (e->problems[i].id)
            *place_of(more, room, e->problems[i].id) = e->problems[i];
    free(e->problems);
    e->problems = more;
    e->room = room;
    return 0;
}

static int count(struct tally_edge *e, int64_t id, int64_t verdict)
{
    tally_and(&e->all, verdict);
    if (e->n >= EDGE_PROBLEMS_MAX)
        return 0;
    if (e->n * 2 >= e->room && grow(e) < 0)
        return -ENOMEM;
    struct edge_problem *p = place_of(e->problems, e->room, id);
    e->n += !p->id;
    p->id = id;
    tally_and(&p->counts, verdict);
    return 0;
}

int tally_edge_read(struct store *s, const struct tally_window *w, struct tally_edge *ret_edge)
{
    struct tally_edge e = {0};
    int r;
    struct stmt *q = store_sql(s, "SELECT problem_id, verdict FROM incident WHERE opened_at >= ? "
                                  "AND opened_at < ? AND kind <> 1");
    bind_int(q, 1, w->since);
    bind_int(q, 2, w->edge_end);
    while ((r = stmt_step(q)) > 0 && (r = count(&e, col_int(q, 0), col_int(q, 1))) == 0)
        ;
    stmt_reset(q);
    if (r < 0) {
        tally_edge_done(&e);
        return r;
    }
    *ret_edge = e;
    return 0;
}

void tally_edge_done(struct tally_edge *e)
{
    free(e->problems);
    *e = (struct tally_edge){0};
}

const struct tally *tally_edge_of(const struct tally_edge *e, int64_t problem_id)
{
    if (!e->room)
        return NULL;
    const struct edge_problem *p = place_of(e->problems, e->room, problem_id);
    return p->id ? &p->counts : NULL;
}
