#pragma once

// slack-channel doctor: what a new installation gets wrong, each named and explained.

#include "common/config.h"
#include "common/store.h"

struct doctor_options {
    bool json;
    bool send; // a test message: the only way to see that the messages tab is on
};
int doctor_options_read(int argc, char **argv, struct doctor_options *ret) MUST_CHECK; // -EINVAL
int doctor_run(const struct config *config, struct store *s,
               const struct doctor_options *o); // the exit status
