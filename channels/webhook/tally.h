#pragma once

// How many incidents opened since a moment, by verdict; tests never count. Whole UTC days come from
// the counts that the schema's triggers keep (common/schema.c), what the window cuts off its first
// day from the incidents themselves: exact, and the same work however many there are.

#include "common/store.h"

enum tally_kind { TALLY_ALL, TALLY_FAMILY, TALLY_PROBLEM, TALLY_RULE }; // stored: never change one

struct tally {
    int64_t none, noise, auto_fixed, escalated, real, unsure; // by the last verdict
    int64_t flaps;                                            // of these; tally_all leaves it 0
};

// The window as the counts have it.
struct tally_window {
    int64_t since;     // wall ms
    int64_t first_day; // from here on whole days
    int64_t edge_end;  // wall ms: the incidents from `since` until here are looked at one by one
};
struct tally_window tally_window(int64_t since);

// since: wall ms. They add to *tally. 0, or a store error.
int tally_all(struct store *s, int64_t since, struct tally *tally) MUST_CHECK;
int tally_days(struct store *s, const struct tally_window *w,
               struct tally *tally) MUST_CHECK; // of all, the whole days only
int tally_problem(struct store *s, int64_t problem_id, int64_t since,
                  struct tally *tally) MUST_CHECK;
int tally_rule(struct store *s, const char *alertname, int64_t since,
               struct tally *tally) MUST_CHECK;

int64_t tally_total(const struct tally *t);
int64_t tally_true(const struct tally *t);      // real, auto_fixed or escalated
int64_t tally_undecided(const struct tally *t); // no verdict, or unsure
// Adds one incident with this verdict (0 = none).
void tally_and(struct tally *t, int64_t verdict);
// Takes out one incident with this verdict (0 = none) and flaps.
void tally_but(struct tally *t, int64_t verdict, int64_t flaps);
