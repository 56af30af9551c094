#include "channels/webhook/tally_names.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ROOM 256

// FNV-1a.
static size_t hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *p = name; *p; p++)
        h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

// Where the name is, or would be. There is always an empty place.
static struct tally_name *place_of(struct tally_name *places, size_t room, const char *name)
{
    size_t i = hash(name) & (room - 1);
    while (places[i].name && strcmp(places[i].name, name) != 0)
        i = (i + 1) & (room - 1);
    return &places[i];
}

static int grow(struct tally_names *t)
{
    size_t room = t->room ? 2 * t->room : FIRST_ROOM;
    struct tally_name *more = calloc(room, sizeof *more);
    if (!more)
        return -ENOMEM;
    for (size_t i = 0; i < t->room; i++)
        if (t->places[i].name)
            *place_of(more, room, t->places[i].name) = t->places[i];
    free(t->places);
    t->places = more;
    t->room = room;
    return 0;
}

int tally_names_place(struct tally_names *t, const char *name, struct tally_name **ret_place)
{
    if (t->n * 2 >= t->room && grow(t) < 0)
        return -ENOMEM;
    struct tally_name *place = place_of(t->places, t->room, name);
    if (!place->name && t->n >= TALLY_NAMES_MAX) {
        *ret_place = NULL;
        return 0;
    }
    if (!place->name) {
        place->name = strdup(name);
        if (!place->name)
            return -ENOMEM;
        t->n++;
    }
    *ret_place = place;
    return 0;
}

// ---- from the store ----

static void add_day(struct tally_name *place, const struct tally *day, int64_t rank, bool whole)
{
    place->rank += rank;
    if (!whole)
        return;
    place->days.none += day->none;
    place->days.noise += day->noise;
    place->days.auto_fixed += day->auto_fixed;
    place->days.escalated += day->escalated;
    place->days.real += day->real;
    place->days.unsure += day->unsure;
}

// Rows of key, day, noise and, for rules, the other verdicts.
static int read_days(struct stmt *q, const struct tally_window *w, bool rules,
                     struct tally_names *ret)
{
    int r;
    bind_int(q, 1, w->first_day - 1);
    while ((r = stmt_step(q)) > 0) {
        struct tally_name *place;
        struct tally day = {.noise = col_int(q, 2)};
        if (rules) {
            day.none = col_int(q, 3);
            day.auto_fixed = col_int(q, 4);
            day.escalated = col_int(q, 5);
            day.real = col_int(q, 6);
            day.unsure = col_int(q, 7);
        }
        r = tally_names_place(ret, col_text(q, 0), &place);
        if (r < 0)
            break;
        if (place)
            add_day(place, &day, tally_total(&day), col_int(q, 1) >= w->first_day);
    }
    stmt_reset(q);
    return r;
}

int tally_names_of_rules(struct store *s, const struct tally_window *w, struct tally_names *ret)
{
    *ret = (struct tally_names){0};
    struct stmt *q = store_sql(s, "SELECT key, day, noise, none, auto_fixed, escalated, real, "
                                  "unsure FROM tally INDEXED BY tally_rule"
                                  " WHERE kind = 3 AND day >= ?");
    return read_days(q, w, true, ret);
}

int tally_names_of_noise(struct store *s, const struct tally_window *w, struct tally_names *ret)
{
    *ret = (struct tally_names){0};
    struct stmt *q = store_sql(s, "SELECT key, day, noise FROM tally INDEXED BY tally_noise WHERE "
                                  "kind = 1 AND noise > 0 AND day >= ?");
    return read_days(q, w, false, ret);
}

void tally_names_done(struct tally_names *t)
{
    for (size_t i = 0; i < t->room; i++)
        free(t->places[i].name);
    free(t->places);
    *t = (struct tally_names){0};
}

// ---- the busiest ----

static bool is_before(const struct tally_name *a, const struct tally_name *b)
{
    return a->rank != b->rank ? a->rank > b->rank : strcmp(a->name, b->name) < 0;
}

size_t tally_names_top(const struct tally_names *t, size_t max, const struct tally_name **out)
{
    size_t n = 0;
    for (size_t i = 0; i < t->room; i++) {
        const struct tally_name *c = &t->places[i];
        if (!c->name || (n == max && (!max || !is_before(c, out[n - 1]))))
            continue;
        size_t at = n < max ? n++ : n - 1;
        for (; at > 0 && is_before(c, out[at - 1]); at--)
            out[at] = out[at - 1];
        out[at] = c;
    }
    return n;
}
