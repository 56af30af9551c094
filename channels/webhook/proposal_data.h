#pragma once

// The incidents of a window, as the search for proposals needs them: in memory, by rule and
// problem, oldest first.

#include "common/store.h"

#define TUNING_MAX_FIRINGS 50000 // the newest of the window; more would keep the loop for too long

struct tuning_firing {                // one incident
    int64_t id, opened_at, closed_at; // wall ms; closed_at 0 = still open
    int64_t duration_ms; // by the sender's own times where it has some; -1 = not over, flapped, or
                         // not looked up
    double value, threshold; // at firing; NAN = not known
    char unit[8];            // of the value: "s", "%", ...
    size_t problem;          // index
    int verdict, flaps, severity;
    bool prod, below; // below: it fires under its threshold
    bool folded;      // its verdict is the memory's own
};

struct tuning_problem {
    int64_t id;
    const char *alertname, *cluster, *namespace, *service, *family; // never NULL
    char *strings;                                                  // owned: what they point into
    size_t first, n;                                                // of its firings
};

struct tuning_data {
    struct tuning_problem *problems; // sorted by alertname, cluster, family, service
    struct tuning_firing *firings;   // sorted by problem, then time
    size_t n_problems, n_firings;
    int64_t since, now;
    bool cut; // the window held more than TUNING_MAX_FIRINGS
};

// 0, -ENOMEM, or a store error. The caller ends it with tuning_data_done, which copes with a zeroed
// one.
int tuning_data_load(struct store *s, int64_t since, int64_t now,
                     struct tuning_data *ret_data) MUST_CHECK;
void tuning_data_done(struct tuning_data *d);

// Looks up how long it lasted and at which value it fired: a query and two JSON texts each.
int tuning_firing_detail(struct store *s, struct tuning_firing *f) MUST_CHECK;

// Brings values of "ms" and "s" and the like to one unit; values of one unit stay as the rule has
// them. Pure.
void tuning_same_unit(struct tuning_firing *const *firings, size_t n);

// Reads "3.41 s", "87%", "B=22, C=1": the first number and its unit. NAN if there is none. Pure.
double tuning_value(const char *text, char unit[8]);
