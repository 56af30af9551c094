#pragma once

// What `doctor` checks, by what it is about; each check is one line of the report, with the command
// that mends it. Warnings are what works less well than it could; failures are what does not work.

#include "common/config.h"
#include "common/json.h"
#include "common/store.h"

enum doctor_result { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor {
    const struct config *config;
    char project[CONFIG_PROJECT_SIZE]; // as config_project() tells it
    int64_t now;                       // wall ms
    struct buf text, json;
    struct jw w;
    bool failed;
};

// One line. mend: NULL when it is fine; what to run or to set otherwise. Both are made one clean
// line.
void doctor_say(struct doctor *d, enum doctor_result result, const char *check, const char *mend,
                const char *found, ...) PRINTF_LIKE(5, 6);

// Appends a file. 0, or a negative errno.
#define DOCTOR_FILE_MAX (256 * 1024)
int doctor_read(const char *path, struct buf *out) MUST_CHECK;

void doctor_machine(struct doctor *d); // configuration, clock, state folder, disk
// The database, and what only it can tell: the clock against its newest row, the session, what
// waits, Slack's connection.
void doctor_store(struct doctor *d);
void doctor_port(struct doctor *d, struct store *s);    // and the token. s may be NULL
void doctor_project(struct doctor *d, struct store *s); // playbooks, settings, hooks. s may be NULL
void doctor_client(struct doctor *d);                   // Claude Code and the plugin
void doctor_around(struct doctor *d);                   // systemd's units, the clusters
