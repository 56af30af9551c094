#pragma once

// slack-channel page: one message to the owner from a shell or cron. Stored first; sent by the
// channel that runs, or by itself when none does.

#include "common/config.h"
#include "common/store.h"

struct page_options {
    const char *severity, *text;
};
int page_options_read(int argc, char **argv, struct page_options *ret) MUST_CHECK; // -EINVAL
// The exit status: 0 sent, 1 not (what is stored is sent later, and that is said).
int page_run(const struct config *config, struct store *s, const struct page_options *o);
