#pragma once

// Reads the arguments of a program that uses Go's pflag (kubectl, argocd, argo, helm): flags stand
// anywhere, --name=value and --name value, -nvalue, -n value and -n=value, -abc, `_` for `-` in
// names, -- ends the flags. Pure.

#include "channels/webhook/guard_policy.h"

enum { FLAGS_MAX = 64 };

enum flag_kind {
    FLAG_BOOL, // no value, or one behind =
    FLAG_VALUE,
};

enum flag_rule { FLAG_OK, FLAG_ASKS, FLAG_DENIED };

struct flag_spec {
    const char *name;
    char letter; // 0: no short form
    enum flag_kind kind;
    enum flag_rule rule;
    const char *verbs; // " logs " names the verbs that it belongs to; NULL: to all of them
    bool global;       // may stand in front of the verb
};

struct flag_table {
    const struct flag_spec *specs;
    size_t n;
};

struct flag_value {
    const struct flag_spec *spec;
    const char *text; // NULL: none given; may hold SW_HOLE
    bool unknown;     // not written out
    bool splits;
};

struct flags {
    struct flag_value values[FLAGS_MAX];
    size_t nvalues;
    const struct sw_word *words[FLAGS_MAX]; // positional ones, the verb first
    size_t nwords;
    const char *doubt; // NULL, or what makes the reading uncertain (static)
};

// Reads words[1..]. `unknown_takes_value`: what to assume of a flag that is in no table. `verb`
// picks the flags that belong to one verb; NULL takes the global ones only and stops at the first
// positional word.
void flags_read(const struct flag_table *t, const struct guard_call *call, const char *verb,
                bool unknown_takes_value, struct flags *ret);
// The last value of the flag; NULL if it was not given.
const struct flag_value *flags_find(const struct flags *f, const char *name);
// Given, and not as --name=false.
bool flags_set(const struct flags *f, const char *name);
// Says what the table's rules say of the flags, and the doubt.
void flags_judge(struct guard_judge *j, const struct flags *f, const char *program);
// The value if it is written out, "" if not or not given.
const char *flags_text(const struct flags *f, const char *name);
