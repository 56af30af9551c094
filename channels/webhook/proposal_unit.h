#pragma once

// What a proposal is about: one problem, a family of them (services that differ only in their
// tail), or a whole rule; with its firings and what they were. Pure.

#include "channels/webhook/proposal.h"
#include "channels/webhook/proposal_data.h"
#include "common/buf.h"

#define UNIT_MAX_FIRINGS 1000 // the newest; the counts are of these

struct tuning_unit {
    enum proposal_scope scope;
    const char *alertname, *family;            // borrowed from the data
    const char *cluster, *namespace, *service; // borrowed; "" where its problems differ
    int64_t problem_id;                        // of SCOPE_PROBLEM
    struct tuning_firing **firings;            // owned array of borrowed ones, oldest first
    size_t n;
    size_t noise, real, other; // of n; other: undecided or unsure
    size_t unsure, flaps, services;
    size_t folded; // of the noise: the memory's own word
    int severity;  // the worst
    bool prod;     // any of it
    double per_week;
};

// Of the problems [first, end) of the data, which belong to one rule; firings before `since` do not
// count. 0 or -ENOMEM.
int tuning_unit_make(const struct tuning_data *d, enum proposal_scope scope, size_t first,
                     size_t end, int64_t since, struct tuning_unit *ret_unit) MUST_CHECK;
void tuning_unit_done(struct tuning_unit *u);

bool tuning_unit_is_noise(
    const struct tuning_unit *u); // mostly, and often enough to propose anything
bool firing_is_noise(const struct tuning_firing *f);
bool firing_is_real(const struct tuning_firing *f);

// The stable key of what it is about.
void tuning_unit_key(const struct tuning_unit *u, struct buf *out);
// "High Latency on tenant-test-* (dev-eu)"
void tuning_unit_title(const struct tuning_unit *u, struct buf *out);
// The service as people write it: "", "checkout" or "tenant-test-*".
void tuning_unit_service(const struct tuning_unit *u, struct buf *out);
