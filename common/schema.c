#include "common/schema.h"

// All times are wall-clock milliseconds since 1970 but where a column says boot time.
const char *const schema_steps[] = {
    // 1: the incident memory
    "CREATE TABLE problem("
    "  id INTEGER PRIMARY KEY,"
    "  alertname TEXT NOT NULL, cluster TEXT NOT NULL, namespace TEXT NOT NULL, service TEXT NOT "
    "NULL,"
    "  UNIQUE(alertname, cluster, namespace, service));"

    "CREATE TABLE incident("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  problem_id INTEGER NOT NULL REFERENCES problem(id),"
    "  kind INTEGER NOT NULL DEFAULT 0," // enum incident_kind
    "  environment INTEGER NOT NULL,"    // 1 = prod, 0 = dev
    "  source TEXT NOT NULL,"
    "  severity INTEGER NOT NULL," // enum severity: higher is worse
    "  status INTEGER NOT NULL DEFAULT 0,"
    "  state INTEGER NOT NULL DEFAULT 0,"
    "  verdict INTEGER,"               // the last of the trail; NULL = none yet
    "  text TEXT NOT NULL DEFAULT ''," // what the alert says, one line
    "  opened_at INTEGER NOT NULL, last_seen_at INTEGER NOT NULL, closed_at INTEGER,"
    "  members INTEGER NOT NULL DEFAULT 0," // firing now
    "  flaps INTEGER NOT NULL DEFAULT 0, notifications INTEGER NOT NULL DEFAULT 0,"
    "  deliveries INTEGER NOT NULL DEFAULT 0,"
    "  delivery INTEGER NOT NULL DEFAULT 0," // of the question now open: 1, 2, 3
    "  truncated INTEGER NOT NULL DEFAULT 0,"
    "  ask TEXT,"                  // why it asks again, for the event
    "  asked_at INTEGER NOT NULL," // since when the question is open
    "  due_at INTEGER,"            // boot time of its next event; 0 = now, NULL = none
    "  tell_resolved INTEGER NOT NULL DEFAULT 0,"
    "  pushed_at INTEGER, taken_at INTEGER, decided_at INTEGER);"
    "CREATE INDEX incident_problem ON incident(problem_id, opened_at, kind, verdict);"
    "CREATE INDEX incident_firing ON incident(problem_id) WHERE status = 0;"
    "CREATE INDEX incident_last_seen ON incident(last_seen_at) WHERE status = 0;"
    "CREATE INDEX incident_due ON incident(due_at) WHERE due_at IS NOT NULL;"
    "CREATE INDEX incident_undecided ON incident(id) WHERE state < 3 OR verdict = 5;"
    "CREATE INDEX incident_opened ON incident(opened_at, kind, verdict);"

    "CREATE TABLE alert("
    "  id INTEGER PRIMARY KEY,"
    "  incident_id INTEGER NOT NULL REFERENCES incident(id),"
    "  source TEXT NOT NULL, fingerprint TEXT NOT NULL,"
    "  status INTEGER NOT NULL,"
    "  labels TEXT NOT NULL, annotations TEXT NOT NULL,"
    "  starts_at INTEGER, ends_at INTEGER, generator_url TEXT NOT NULL,"
    "  first_at INTEGER NOT NULL, last_at INTEGER NOT NULL);"
    "CREATE INDEX alert_identity ON alert(source, fingerprint);"
    "CREATE INDEX alert_incident ON alert(incident_id);"

    "CREATE TABLE verdict("
    "  id INTEGER PRIMARY KEY,"
    "  incident_id INTEGER NOT NULL REFERENCES incident(id),"
    "  at INTEGER NOT NULL, verdict INTEGER NOT NULL,"
    "  summary TEXT NOT NULL, root_cause TEXT NOT NULL, action TEXT NOT NULL,"
    "  confidence REAL, by TEXT NOT NULL);"
    "CREATE INDEX verdict_incident ON verdict(incident_id);"

    // One row a channel: who holds it. Boot time, so that no clock that is set back can confuse it.
    "CREATE TABLE lease("
    "  channel TEXT PRIMARY KEY, pid INTEGER NOT NULL, started INTEGER NOT NULL,"
    "  boot_id TEXT NOT NULL, beat_at INTEGER NOT NULL, since INTEGER NOT NULL);"

    // Who listens on which address: processes that share the store may share the port.
    "CREATE TABLE listener("
    "  pid INTEGER PRIMARY KEY, started INTEGER NOT NULL, boot_id TEXT NOT NULL,"
    "  address TEXT NOT NULL);"

    // The last word of each cluster's always-firing alert.
    "CREATE TABLE watchdog(cluster TEXT PRIMARY KEY, seen_at INTEGER NOT NULL);",
};

const size_t schema_version = ARRAY_LEN(schema_steps);
