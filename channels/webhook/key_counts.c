#include "channels/webhook/key_counts.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ROOM 256

// FNV-1a.
static size_t hash(const char *key)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *p = key; *p; p++)
        h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

// Where the key is, or would be. There is always an empty place.
static struct key_count *place_of(struct key_count *places, size_t room, const char *key)
{
    size_t i = hash(key) & (room - 1);
    while (places[i].key && strcmp(places[i].key, key) != 0)
        i = (i + 1) & (room - 1);
    return &places[i];
}

static int grow(struct key_counts *k)
{
    size_t room = k->room ? 2 * k->room : FIRST_ROOM;
    struct key_count *more = calloc(room, sizeof *more);
    if (!more)
        return -ENOMEM;
    for (size_t i = 0; i < k->room; i++)
        if (k->places[i].key)
            *place_of(more, room, k->places[i].key) = k->places[i];
    free(k->places);
    k->places = more;
    k->room = room;
    return 0;
}

int key_counts_add(struct key_counts *k, const char *key, int64_t n)
{
    if (k->n * 2 >= k->room && grow(k) < 0)
        return -ENOMEM;
    struct key_count *place = place_of(k->places, k->room, key);
    if (!place->key) {
        if (k->n >= KEY_COUNTS_MAX)
            return 0;
        place->key = strdup(key);
        if (!place->key)
            return -ENOMEM;
        k->n++;
    }
    place->n += n;
    return 0;
}

void key_counts_done(struct key_counts *k)
{
    for (size_t i = 0; i < k->room; i++)
        free(k->places[i].key);
    free(k->places);
    *k = (struct key_counts){0};
}

static bool is_before(const struct key_count *a, const struct key_count *b)
{
    return a->n != b->n ? a->n > b->n : strcmp(a->key, b->key) < 0;
}

size_t key_counts_top(const struct key_counts *k, size_t max, struct key_count *out)
{
    size_t n = 0;
    for (size_t i = 0; i < k->room; i++) {
        const struct key_count *c = &k->places[i];
        if (!c->key || (n == max && (!max || !is_before(c, &out[n - 1]))))
            continue;
        size_t at = n < max ? n++ : n - 1;
        for (; at > 0 && is_before(c, &out[at - 1]); at--)
            out[at] = out[at - 1];
        out[at] = *c;
    }
    return n;
}
