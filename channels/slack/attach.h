#pragma once

// Which files the model may send: regular ones within the project's folder, nothing hidden, nothing
// of the state or configuration. What is allowed is copied, so that it is sent as it was.

#include "common/buf.h"

struct attach_rules {
    const char *folder; // resolved; nothing outside of it
    const char *state_dir, *config_file;
};

enum { ATTACH_MAX_BYTES = 20 << 20, ATTACH_MAX_FILES = 10 };

// Opens path (relative ones start in folder) for reading. Returns the descriptor, or <0 with a
// sentence in ret_why. ret_name: its name, for Slack.
int attach_open(const struct attach_rules *rules, const char *path, char ret_name[256],
                struct buf *ret_why) MUST_CHECK;
// Copies it to folder/key, which is made 0700 / 0600, and to the disk.
int attach_keep(int fd, const char *folder, const char *key) MUST_CHECK;
