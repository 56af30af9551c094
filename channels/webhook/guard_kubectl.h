#pragma once

// What the parts of kubectl's policy share.

#include "channels/webhook/guard_flags.h"

extern const struct flag_table guard_kubectl_flags;

// Kinds of objects that the policy tells apart.
enum kube_kind {
    KIND_OTHER,
    KIND_UNKNOWN,
    KIND_SECRET,
    KIND_FORBIDDEN,
    KIND_ALL,
    KIND_POD,
    KIND_DEPLOYMENT,
    KIND_WORKFLOW,
    KIND_APPLICATION
};

// Which objects a command names.
struct kube_targets {
    struct {
        enum kube_kind kind;
        const char *name; // NULL: none, all of the kind
        bool unknown;     // the name is not written out
    } t[FLAGS_MAX];
    size_t n;
    bool many_kinds, too_many;
};

// TYPE, TYPE.GROUP or TYPE.VERSION.GROUP, in any case.
enum kube_kind kube_kind_of(const char *text, size_t len);
// Reads the positional words from the given one on: TYPE[,TYPE] [NAME...], or TYPE/NAME...
void kube_targets_read(const struct flags *f, size_t from, struct kube_targets *ts);
