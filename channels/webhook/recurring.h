#pragma once

// The noise that comes again and again, in lines that a person would write: services that differ
// only in their tail are one.

#include "channels/webhook/tally_edge.h"

struct recurring_line {
    char alertname[80];
    char where[64];   // the service, "tenant-test-*" for several; without one the namespace or
                      // cluster; "" = unknown
    int64_t count;    // incidents in the window whose verdict is noise
    int64_t services; // that the line stands for
};
#define RECURRING_MAX 64

// The most frequent since w, whose edge is `edge`, first; each at least twice. 0, or a store error.
int recurring_read(struct store *s, const struct tally_window *w, const struct tally_edge *edge,
                   struct recurring_line lines[RECURRING_MAX], int *ret_n) MUST_CHECK;

// How many services one line may stand for: are they one thing that differs in its tail? `family`
// is what they have in common, as the schema has it.
struct recurring_services {
    const char *family;
    const char *const *names;
    int n;
};
// Do they read better as one line? Then out gets "tenant-test-*". Pure.
bool recurring_merges(const struct recurring_services *services, size_t size, char *out);
