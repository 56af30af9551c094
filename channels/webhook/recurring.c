#include "channels/webhook/recurring.h"

#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/stats.h"
#include "channels/webhook/tally.h"
#include "common/buf.h"

#define FAMILIES_MAX 12    // looked at, by count
#define SERVICES_MAX 32    // services of a family that are told apart
#define SEPARATORS "-_./:" // as in the schema's family

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// A tail that a machine gave: "7", "b2", "7f3ac", "x".
static bool is_machine_made(const char *tail)
{
    size_t n = strlen(tail);
    for (size_t i = 0; i < n; i++)
        if (is_digit(tail[i]))
            return true;
    return n <= 2;
}

// Is there a separator before the one at the end: "tenant-test-" and not "tenant-"?
static bool has_two_words(const char *family)
{
    size_t first = strcspn(family, SEPARATORS);
    return family[first] && family[first + 1];
}

// What all names begin with, as long as only digits follow in each; 0 if it is no more than the
// family.
static size_t numbered_stem(const struct recurring_services *s)
{
    size_t n = strlen(s->names[0]);
    for (int i = 1; i < s->n; i++)
        for (size_t k = 0; k < n; k++)
            if (s->names[i][k] != s->names[0][k])
                n = k;
    while (n && is_digit(s->names[0][n - 1]))
        n--;
    for (int i = 0; i < s->n; i++)
        if (strspn(s->names[i] + n, "0123456789") != strlen(s->names[i] + n))
            return 0;
    return n > strlen(s->family) ? n : 0;
}

// The first n bytes of text and a star.
static void star(const char *text, size_t n, size_t size, char *out)
{
    struct buf b = BUF_INIT(2048);
    buf_add(&b, text, n);
    buf_addc(&b, '*');
    text_fit(buf_cstr(&b), size, out);
    buf_done(&b);
}

bool recurring_merges(const struct recurring_services *s, size_t size, char *out)
{
    size_t family = strlen(s->family), stem = s->n > 1 ? numbered_stem(s) : 0;
    bool merges = s->n > 2 || has_two_words(s->family);
    if (s->n < 2 || !family)
        return false;
    for (int i = 0, machine = 1; i < s->n && !merges; i++) {
        machine &= is_machine_made(s->names[i] + family);
        merges = machine && i == s->n - 1;
    }
    if (merges)
        star(s->names[0], stem ? stem : family, size, out);
    return merges;
}

// ---- from the store ----

struct family {
    char *alertname, *name; // owned, one allocation
    int64_t count;
};

static int read_families(struct store *s, const struct tally_window *w,
                         struct family families[FAMILIES_MAX], int *ret_n)
{
    int r, n = 0;
    struct stmt *q =
        store_sql(s, "SELECT key, sum(n) FROM (SELECT key, noise AS n FROM tally INDEXED BY "
                     "tally_noise WHERE kind = 1 AND noise > 0 AND day >= ?1"
                     " UNION ALL SELECT p.alertname || char(31) || p.family, e.n FROM"
                     "  (SELECT problem_id, count(*) AS n FROM incident WHERE opened_at >= ?2 AND "
                     "opened_at < ?3 AND kind <> 1 AND verdict = 1"
                     "   GROUP BY problem_id) e JOIN problem p ON p.id = e.problem_id)"
                     " GROUP BY key HAVING sum(n) > 1 ORDER BY 2 DESC, key LIMIT 12");
    bind_int(q, 1, w->first_day);
    bind_int(q, 2, w->since);
    bind_int(q, 3, w->edge_end);
    while ((r = stmt_step(q)) > 0 && n < FAMILIES_MAX) {
        char *key = strdup(col_text(q, 0));
        char *unit = key ? strchr(key, '\x1f') : NULL;
        if (!unit) {
            free(key);
            continue;
        }
        *unit = '\0';
        families[n++] = (struct family){.alertname = key, .name = unit + 1, .count = col_int(q, 1)};
    }
    stmt_reset(q);
    *ret_n = n;
    return r < 0 ? r : 0;
}

struct member {
    char *service, *place; // owned
    int64_t count;
};

static void members_free(struct member *m, int n)
{
    for (int i = 0; i < n; i++) {
        free(m[i].service);
        free(m[i].place);
    }
}

// The services of a family that were noise in the window. *ret_all: they make up all of it.
static int read_members(struct store *s, const struct tally_window *w, const struct family *f,
                        struct member members[SERVICES_MAX], int *ret_n, bool *ret_all)
{
    int r, n = 0;
    int64_t count = 0;
    struct stmt *q = store_sql(
        s, "WITH member AS MATERIALIZED (SELECT service, namespace, cluster,"
           // The + keeps the key from being compared as a number, which would not use the index.
           "  (SELECT coalesce(sum(noise), 0) FROM tally t WHERE t.kind = 2 AND t.key = +p.id AND "
           "t.day >= ?3)"
           "  + (SELECT count(*) FROM incident i WHERE i.problem_id = p.id AND i.opened_at >= ?4 "
           "AND i.opened_at < ?5 AND i.kind <> 1"
           "     AND i.verdict = 1) AS n"
           "  FROM problem p WHERE alertname = ?1 AND family = ?2 LIMIT 200)"
           " SELECT service, max(CASE WHEN namespace <> '' THEN namespace ELSE cluster END), "
           "sum(n) FROM member"
           " WHERE n > 0 GROUP BY service ORDER BY 3 DESC LIMIT 32");
    bind_text(q, 1, f->alertname);
    bind_text(q, 2, f->name);
    bind_int(q, 3, w->first_day);
    bind_int(q, 4, w->since);
    bind_int(q, 5, w->edge_end);
    while ((r = stmt_step(q)) > 0 && n < SERVICES_MAX) {
        struct member *m = &members[n++];
        *m = (struct member){.service = strdup(col_text(q, 0)),
                             .place = strdup(col_text(q, 1)),
                             .count = col_int(q, 2)};
        count += m->count;
        if (!m->service || !m->place) {
            r = -ENOMEM;
            break;
        }
    }
    stmt_reset(q);
    *ret_n = n;
    *ret_all = count == f->count;
    return r < 0 ? r : 0;
}

static void add_line(struct recurring_line *lines, int *n, const char *alertname, const char *where,
                     int64_t count, int64_t services)
{
    if (count < 2 || *n == RECURRING_MAX)
        return;
    struct recurring_line *l = &lines[(*n)++];
    *l = (struct recurring_line){.count = count, .services = services};
    text_fit(alertname, sizeof l->alertname, l->alertname);
    text_fit(where, sizeof l->where, l->where);
}

static void lines_of(const struct family *f, const struct member *members, int n, bool all,
                     struct recurring_line *lines, int *n_lines)
{
    const char *names[SERVICES_MAX];
    char where[64];
    for (int i = 0; i < n; i++)
        names[i] = members[i].service;
    struct recurring_services services = {.family = f->name, .names = names, .n = n};
    bool one = recurring_merges(&services, sizeof where, where);
    if (!one && !all) // too many to tell apart
        star(f->name, strlen(f->name), sizeof where, where);
    if (one || !all) {
        add_line(lines, n_lines, f->alertname, where, f->count, n);
        return;
    }
    for (int i = 0; i < n; i++)
        add_line(lines, n_lines, f->alertname, names[i][0] ? names[i] : members[i].place,
                 members[i].count, 1);
}

static int by_count(const void *a, const void *b)
{
    int64_t x = ((const struct recurring_line *)a)->count,
            y = ((const struct recurring_line *)b)->count;
    return x < y ? 1 : x > y ? -1 : 0;
}

int recurring_read(struct store *s, int64_t since, struct recurring_line lines[RECURRING_MAX],
                   int *ret_n)
{
    struct tally_window w = tally_window(since);
    struct family families[FAMILIES_MAX];
    int n_families = 0, n = 0;
    int r = read_families(s, &w, families, &n_families);
    for (int i = 0; i < n_families; i++) {
        struct member members[SERVICES_MAX];
        int n_members = 0;
        bool all = false;
        if (r == 0)
            r = read_members(s, &w, &families[i], members, &n_members, &all);
        if (r == 0)
            lines_of(&families[i], members, n_members, all, lines, &n);
        members_free(members, n_members);
        free(families[i].alertname);
    }
    if (r < 0)
        return r;
    qsort(lines, (size_t)n, sizeof *lines, by_count);
    *ret_n = n;
    return 0;
}
