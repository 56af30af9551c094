#pragma once

// The words of the incident memory, as the tools, the export and the store's columns have
// them. Numbers are stored: never change one.

#include "common/base.h"

enum incident_kind { KIND_ALERT, KIND_TEST, KIND_OVERSIZED };
enum incident_status { STATUS_FIRING, STATUS_RESOLVED, STATUS_STALE };
enum incident_state { STATE_NEW, STATE_PUSHED, STATE_TAKEN, STATE_DECIDED };
enum verdict {
    VERDICT_NONE,
    VERDICT_NOISE,
    VERDICT_AUTO_FIXED,
    VERDICT_ESCALATED,
    VERDICT_REAL,
    VERDICT_UNSURE
};

const char *status_name(int64_t status);
const char *state_name(int64_t state);
const char *verdict_name(int64_t verdict);    // NULL for VERDICT_NONE
enum verdict verdict_named(const char *name); // VERDICT_NONE if it is no verdict
#define PATROL_SOURCE "patrol"                // of what is only forecast
extern const char *const verdict_names[];     // without "none", NULL-terminated
extern const char *const severity_words[];    // worst first, NULL-terminated
