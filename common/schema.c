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
    "  since_at INTEGER NOT NULL, since_boot INTEGER NOT NULL," // asked, or taken: wall and boot time
    "  paged_at INTEGER,"          // the owner was told of it, without the agent
    "  due_at INTEGER,"            // boot time of its next event; 0 = now, NULL = none
    "  tell_resolved INTEGER NOT NULL DEFAULT 0,"
    "  pushed_at INTEGER, taken_at INTEGER, decided_at INTEGER);"
    "CREATE INDEX incident_problem ON incident(problem_id, opened_at, kind, verdict);"
    "CREATE INDEX incident_firing ON incident(problem_id) WHERE status = 0;"
    "CREATE INDEX incident_last_seen ON incident(last_seen_at) WHERE status = 0;"
    "CREATE INDEX incident_due ON incident(due_at) WHERE due_at IS NOT NULL;"
    "CREATE INDEX incident_unpaged ON incident(since_at) WHERE paged_at IS NULL AND state < 3;"
    "CREATE INDEX incident_tell ON incident(id) WHERE tell_resolved = 1;"
    "CREATE INDEX incident_undecided ON incident(id) WHERE state < 3 OR verdict = 5;"
    "CREATE INDEX incident_opened ON incident(opened_at, kind, verdict);"

    "CREATE TABLE alert("
    "  id INTEGER PRIMARY KEY,"
    "  incident_id INTEGER NOT NULL REFERENCES incident(id),"
    "  source TEXT NOT NULL, fingerprint TEXT NOT NULL,"
    "  status INTEGER NOT NULL,"
    "  labels TEXT NOT NULL, annotations TEXT NOT NULL, node TEXT NOT NULL,"
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

    // Who did what when: pushes, tool calls, guard decisions, prompts, pages. Never changed, only pruned.
    "CREATE TABLE trail("
    "  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, incident_id INTEGER,"
    "  actor TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL);"
    "CREATE INDEX trail_incident ON trail(incident_id) WHERE incident_id IS NOT NULL;"
    "CREATE INDEX trail_at ON trail(at);"

    // Safe operations that the guard let through, to be counted per workload.
    "CREATE TABLE action("
    "  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, cluster TEXT NOT NULL, namespace TEXT NOT NULL,"
    "  workload TEXT NOT NULL, what TEXT NOT NULL, object TEXT NOT NULL);"
    "CREATE INDEX action_workload ON action(workload, at);"

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

    // 2: Slack. Conversations are direct messages, so an outbox row is addressed to a person;
    // `channel` is the conversation it went to. *_due_boot is the same moment in boot time, of the
    // boot named in slack_meta.
    "CREATE TABLE slack_inbox("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL," // enum inbox_kind
    "  channel TEXT NOT NULL, ts TEXT NOT NULL, ts_us INTEGER NOT NULL, thread_ts TEXT NOT NULL,"
    "  user_id TEXT NOT NULL, text TEXT NOT NULL, escalation_id INTEGER,"
    "  state INTEGER NOT NULL DEFAULT 0," // enum inbox_state
    "  pushes INTEGER NOT NULL DEFAULT 0, pushed_at INTEGER, session TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX slack_inbox_open ON slack_inbox(ts_us, id) WHERE state < 2;"
    "CREATE INDEX slack_inbox_thread ON slack_inbox(channel, thread_ts) WHERE thread_ts <> '';"

    "CREATE TABLE slack_seen(key TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX slack_seen_at ON slack_seen(at);"

    "CREATE TABLE slack_outbox("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, at INTEGER NOT NULL,"
    "  op INTEGER NOT NULL," // enum outbox_op
    "  user_id TEXT NOT NULL, thread_ts TEXT NOT NULL DEFAULT '',"
    "  target_ts TEXT NOT NULL DEFAULT ''," // the message that is changed or reacted to
    "  body TEXT NOT NULL DEFAULT ''," // text, emoji or file name; '' where it is rendered from ref
    "  ref INTEGER NOT NULL DEFAULT 0, ref_id INTEGER NOT NULL DEFAULT 0," // enum outbox_ref
    "  state INTEGER NOT NULL DEFAULT 0,"                                  // enum outbox_state
    "  plain INTEGER NOT NULL DEFAULT 0," // the blocks were refused: text only
    "  attempts INTEGER NOT NULL DEFAULT 0, attempted_at INTEGER,"
    "  file_id TEXT NOT NULL DEFAULT '',"
    "  channel TEXT NOT NULL DEFAULT '', ts TEXT NOT NULL DEFAULT '',"
    "  error TEXT NOT NULL DEFAULT '', done_at INTEGER);"
    "CREATE INDEX slack_outbox_open ON slack_outbox(user_id, id) WHERE state < 2;"
    "CREATE INDEX slack_outbox_ref ON slack_outbox(ref, ref_id) WHERE ref > 0;"
    "CREATE INDEX slack_outbox_ts ON slack_outbox(ts) WHERE ts <> '';"
    "CREATE INDEX slack_outbox_thread ON slack_outbox(user_id, thread_ts) WHERE thread_ts <> '';"

    "CREATE TABLE slack_escalation("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, body TEXT NOT NULL,"
    "  severity TEXT NOT NULL, incident_id INTEGER, recommended_action TEXT NOT NULL,"
    "  state INTEGER NOT NULL DEFAULT 0," // enum escalation_state
    "  created_at INTEGER NOT NULL,"
    "  due_at INTEGER, due_boot INTEGER," // next nag, end of the snooze, or the question after an
                                          // hour of silence
    "  nags INTEGER NOT NULL DEFAULT 0, asked_again INTEGER NOT NULL DEFAULT 0,"
    "  channel TEXT NOT NULL DEFAULT '', ts TEXT NOT NULL DEFAULT '',"
    "  changed_by TEXT NOT NULL DEFAULT '', changed_at INTEGER," // of the state
    "  note TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX slack_escalation_due ON slack_escalation(due_at) WHERE due_at IS NOT NULL;"
    "CREATE INDEX slack_escalation_live ON slack_escalation(id) WHERE state < 3;"

    "CREATE TABLE slack_prompt("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, session TEXT NOT NULL,"
    "  tool TEXT NOT NULL, description TEXT NOT NULL, preview TEXT NOT NULL,"
    "  nonce TEXT NOT NULL,"              // the buttons' value
    "  state INTEGER NOT NULL DEFAULT 0," // enum prompt_state
    "  created_at INTEGER NOT NULL, due_at INTEGER, due_boot INTEGER,"
    "  nags INTEGER NOT NULL DEFAULT 0,"
    "  channel TEXT NOT NULL DEFAULT '', ts TEXT NOT NULL DEFAULT '',"
    "  decided_by TEXT NOT NULL DEFAULT '', decided_at INTEGER,"
    "  told INTEGER NOT NULL DEFAULT 0);" // the session has the answer
    "CREATE INDEX slack_prompt_due ON slack_prompt(due_at) WHERE due_at IS NOT NULL;"
    "CREATE INDEX slack_prompt_request ON slack_prompt(request_id);"
    "CREATE INDEX slack_prompt_live ON slack_prompt(session) WHERE told = 0;"

    "CREATE TABLE slack_person("
    "  user_id TEXT PRIMARY KEY, name TEXT NOT NULL DEFAULT '', channel TEXT NOT NULL DEFAULT '',"
    "  synced_ts TEXT NOT NULL DEFAULT ''," // what was said until then has been read
    "  messages INTEGER NOT NULL DEFAULT 0, last_at INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX slack_person_channel ON slack_person(channel);"

    "CREATE TABLE slack_meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);"

    // What the owner must hear whatever runs; Slack's channel sends it. Any module may add a row.
    "CREATE TABLE page("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, severity TEXT NOT NULL,"
    "  text TEXT NOT NULL, incident_id INTEGER,"
    "  queued INTEGER NOT NULL DEFAULT 0);" // it is in slack_outbox
    "CREATE INDEX page_new ON page(id) WHERE queued = 0;",
};

const size_t schema_version = ARRAY_LEN(schema_steps);
