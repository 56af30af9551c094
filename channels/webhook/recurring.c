#include "channels/webhook/recurring.h"

#include <errno.h>
#include <stdlib.h>

#include "channels/webhook/stats.h"
#include "channels/webhook/tally_names.h"
#include "common/buf.h"

#define FAMILIES_MAX 12    // looked at, by count
#define PROBLEMS_MAX 200   // of a family, looked at
#define SERVICES_MAX 32    // of these that are told apart
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

// The one that the window cuts counts as a whole for being looked at.
static int read_families(struct store *s, const struct tally_window *w,
                         struct family families[FAMILIES_MAX], int *ret_n)
{
    struct tally_names names;
    const struct tally_name *top[FAMILIES_MAX];
    int n = 0;
    int r = tally_names_of_noise(s, w, &names);
    size_t found = r == 0 ? tally_names_top(&names, FAMILIES_MAX, top) : 0;
    for (size_t i = 0; i < found; i++) {
        char *key = top[i]->rank > 1 ? strdup(top[i]->name) : NULL;
        char *unit = key ? strchr(key, '\x1f') : NULL;
        if (!unit) {
            free(key);
            continue;
        }
        *unit = '\0';
        families[n++] =
            (struct family){.alertname = key, .name = unit + 1, .count = top[i]->days.noise};
    }
    tally_names_done(&names);
    *ret_n = n;
    return r;
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

static int by_member_count(const void *a, const void *b)
{
    int64_t x = ((const struct member *)a)->count, y = ((const struct member *)b)->count;
    return x < y ? 1 : x > y ? -1 : 0;
}

// One more problem of a service: the same service may be in several places. 0, or -ENOMEM.
static int add_member(struct member *members, int *n, const char *service, const char *place,
                      int64_t count)
{
    int i = 0;
    while (i < *n && strcmp(members[i].service, service) != 0)
        i++;
    if (i == *n) {
        members[i] = (struct member){.service = strdup(service), .place = strdup(place)};
        ++*n;
    } else if (strcmp(members[i].place, place) < 0) {
        free(members[i].place);
        members[i].place = strdup(place);
    }
    members[i].count += count;
    return members[i].service && members[i].place ? 0 : -ENOMEM;
}

// The services of a family that were noise in the window, the most frequent first; what its
// problems had on the first day goes into its count.
static int read_members(struct store *s, const struct tally_window *w,
                        const struct tally_edge *edge, struct family *f,
                        struct member members[PROBLEMS_MAX], int *ret_n)
{
    int r;
    struct stmt *q = store_sql(
        s, "SELECT id, service, CASE WHEN namespace <> '' THEN namespace ELSE cluster END,"
           // The + keeps the key from being compared as a number, which would not use the index.
           " (SELECT coalesce(sum(noise), 0) FROM tally t WHERE t.kind = 2 AND t.key = +p.id AND "
           "t.day >= ?3)"
           " FROM problem p WHERE alertname = ?1 AND family = ?2 LIMIT 200");
    bind_text(q, 1, f->alertname);
    bind_text(q, 2, f->name);
    bind_int(q, 3, w->first_day);
    while ((r = stmt_step(q)) > 0 && *ret_n < PROBLEMS_MAX) {
        const struct tally *t = tally_edge_of(edge, col_int(q, 0));
        int64_t first = t ? t->noise : 0, n = col_int(q, 3) + first;
        f->count += first;
        if (n > 0 && (r = add_member(members, ret_n, col_text(q, 1), col_text(q, 2), n)) < 0)
            break;
    }
    stmt_reset(q);
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

static int read_family(struct store *s, const struct tally_window *w, const struct tally_edge *edge,
                       struct family *f, struct recurring_line *lines, int *n_lines)
{
    struct member members[PROBLEMS_MAX];
    int n = 0;
    int64_t told = 0;
    int r = read_members(s, w, edge, f, members, &n);
    if (r == 0) {
        qsort(members, (size_t)n, sizeof *members, by_member_count);
        int apart = n < SERVICES_MAX ? n : SERVICES_MAX;
        for (int i = 0; i < apart; i++)
            told += members[i].count;
        lines_of(f, members, apart, told == f->count, lines, n_lines);
    }
    members_free(members, n);
    return r;
}

int recurring_read(struct store *s, const struct tally_window *w, const struct tally_edge *edge,
                   struct recurring_line lines[RECURRING_MAX], int *ret_n)
{
    struct family families[FAMILIES_MAX];
    int n_families = 0, n = 0;
    int r = read_families(s, w, families, &n_families);
    for (int i = 0; i < n_families; i++) {
        if (r == 0)
            r = read_family(s, w, edge, &families[i], lines, &n);
        free(families[i].alertname);
    }
    if (r < 0)
        return r;
    qsort(lines, (size_t)n, sizeof *lines, by_count);
    *ret_n = n;
    return 0;
}
