#include "common/options.h"

#include <errno.h>
#include <stdlib.h>

static struct option *find(struct option *options, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static int set(struct option *o, const char *value, struct buf *why)
{
    if (o->kind == OPTION_TEXT) {
        o->text = value;
        return 0;
    }
    char *end;
    errno = 0;
    long long v = strtoll(value, &end, 10);
    if (errno || *end || end == value || v < o->min || v > o->max) {
        buf_addf(why, "%s must be a whole number from %lld to %lld", o->name, (long long)o->min,
                 (long long)o->max);
        return -EINVAL;
    }
    o->number = v;
    return 0;
}

int options_parse(int argc, char **argv, struct option *options, size_t n, const char **words,
                  int max_words, int *ret_words, struct buf *ret_why)
{
    int n_words = 0;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (n_words == max_words) {
                buf_addf(ret_why, "unexpected argument: %s", argv[i]);
                return -EINVAL;
            }
            words[n_words++] = argv[i];
            continue;
        }
        struct option *o = find(options, n, argv[i]);
        if (!o) {
            buf_addf(ret_why, "unknown option: %s", argv[i]);
            return -EINVAL;
        }
        if (o->kind == OPTION_FLAG) {
            o->number = 1;
            continue;
        }
        if (++i == argc) {
            buf_addf(ret_why, "%s needs a value", o->name);
            return -EINVAL;
        }
        int r = set(o, argv[i], ret_why);
        if (r < 0)
            return r;
    }
    *ret_words = n_words;
    return 0;
}
