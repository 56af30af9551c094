#pragma once

// A process of this program that computes what would keep the loop for too long. Not a thread: the
// store's modules are written for one, and what they need of memory goes with the process. What it
// prints comes back whole.

#include <uv.h>

#include "common/base.h"

struct helper;

struct helper_run {
    char **words;        // argv of this program, NULL-terminated; borrowed for the call
    size_t max_output;   // more fails
    int64_t patience_ms; // longer fails
    // Once, on the loop: the exit status, or -1 when it was ended or said too much. out is borrowed
    // for the call.
    void (*done)(int status, struct str out, void *data);
    void *data;
};

// 0, or libuv's error; then done is never called. The helper frees itself after done.
int helper_start(uv_loop_t *loop, const struct helper_run *run,
                 struct helper **ret_helper) MUST_CHECK;
void helper_stop(struct helper *h); // ends it; done is not called any more; NULL is fine
