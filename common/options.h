#pragma once

// Command line options of subcommands: --name value, --flag, and positional words. Pure.

#include "common/buf.h"

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER };

struct option {
    const char *name; // with its dashes
    enum option_kind kind;
    int64_t min, max; // of a number
    const char *text; // set by options_parse; borrowed from argv. The default stays if the option
                      // is not there
    int64_t number;   // likewise; a flag sets 1
};

// Fills in the options; words that are no option go to `words` (at most max_words). 0, or -EINVAL
// with one line in ret_why.
int options_parse(int argc, char **argv, struct option *options, size_t n, const char **words,
                  int max_words, int *ret_words, struct buf *ret_why) MUST_CHECK;
