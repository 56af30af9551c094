#include "common/schema.h"

// The counts of a day, kept where incidents open and verdicts change: whoever writes them, whatever
// the program. Adds `new` minus `old`, SQL expressions of NULL-able verdicts, to the day of the
// incident in each of its tallies.
#define TALLY_COLUMNS "none, noise, auto_fixed, escalated, real, unsure, flaps"
#define TALLY_ADD(deltas)                                                                          \
    "INSERT INTO tally(kind, key, day, " TALLY_COLUMNS ")"                                         \
    " SELECT kind, key, NEW.opened_at / 86400000, " deltas                                         \
    " FROM tally_key WHERE problem_id = NEW.problem_id"                                            \
    " ON CONFLICT(kind, key, day) DO UPDATE SET none = none + excluded.none,"                      \
    " noise = noise + excluded.noise, auto_fixed = auto_fixed + excluded.auto_fixed,"              \
    " escalated = escalated + excluded.escalated, real = real + excluded.real,"                    \
    " unsure = unsure + excluded.unsure, flaps = flaps + excluded.flaps;"
#define PACE_ADD(select)                                                                           \
    "INSERT INTO pace(what, hour, n, ms) SELECT " select                                           \
    " ON CONFLICT(what, hour) DO UPDATE SET n = n + excluded.n, ms = ms + excluded.ms;"
#define WORDS                                                                                      \
    "replace(replace(replace(replace(replace(service, '-', ''), '_', ''), '.', ''), '/', ''), "    \
    "':', '')"
// Adds n to where the incident, NEW or OLD, stands in the census.
#define CENSUS_ADD(row, n)                                                                         \
    "INSERT INTO census(cluster, severity, test, firing, state, verdict, n)"                       \
    " SELECT cluster, " row ".severity, " row ".kind = 1, " row ".status = 0, " row ".state,"      \
    " coalesce(" row ".verdict, 0), " n " FROM problem WHERE id = " row ".problem_id"              \
    " ON CONFLICT DO UPDATE SET n = n + excluded.n;"
#define HOUR "opened_at / 3600000"
#define IS_REAL(verdict) "coalesce(" verdict ", 0) BETWEEN 2 AND 4"
#define IS_MENDED(row)                                                                             \
    "(" row ".status = 1 AND " row ".closed_at IS NOT NULL AND " IS_REAL(row ".verdict") ")"

// The formatter knows C, not SQL.
// clang-format off
// All times are wall-clock milliseconds since 1970 but where a column says boot time.
const char *const schema_steps[] = {
    // 1: the incident memory
    "CREATE TABLE problem("
    "  id INTEGER PRIMARY KEY,"
    "  alertname TEXT NOT NULL, cluster TEXT NOT NULL, namespace TEXT NOT NULL, service TEXT NOT "
    "NULL,"
    // The service without its tail: what differs only there is one line of the briefing.
    "  family TEXT GENERATED ALWAYS AS (CASE WHEN rtrim(service, " WORDS ") <> '' THEN rtrim(service, " WORDS ")"
    "   ELSE rtrim(service, '0123456789') END) STORED,"
    "  folds INTEGER NOT NULL DEFAULT 0," // dismissed as known noise since the last real look
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
    "  folded INTEGER NOT NULL DEFAULT 0," // dismissed by the memory as known noise: no evidence for it
    "  pushed_at INTEGER, taken_at INTEGER, decided_at INTEGER);"
    "CREATE INDEX incident_problem ON incident(problem_id, opened_at, kind, verdict);"
    "CREATE INDEX incident_evidence ON incident(problem_id, verdict, folded, decided_at) WHERE verdict IS NOT NULL;"
    "CREATE INDEX incident_firing ON incident(problem_id) WHERE status = 0;"
    "CREATE INDEX incident_due ON incident(due_at) WHERE due_at IS NOT NULL;"
    "CREATE INDEX incident_unpaged ON incident(since_at) WHERE paged_at IS NULL AND state < 3;"
    "CREATE INDEX incident_tell ON incident(id) WHERE tell_resolved = 1;"
    "CREATE INDEX incident_undecided ON incident(id) WHERE state < 3 OR verdict = 5;"
    "CREATE INDEX incident_opened ON incident(opened_at, kind, verdict, problem_id);"

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

    // The session said that it cannot work (quota, sign-in, overload). At most one row; gone with the next verdict.
    "CREATE TABLE agent_failure(id INTEGER PRIMARY KEY CHECK(id = 1), at INTEGER NOT NULL,"
    "  reason TEXT NOT NULL);"

    // What happened how often, of all processes together: the name is the metric with its labels.
    "CREATE TABLE counter(name TEXT PRIMARY KEY, n INTEGER NOT NULL);"

    // The last word of each cluster's always-firing alert.
    "CREATE TABLE watchdog("
    "  cluster TEXT PRIMARY KEY, seen_at INTEGER NOT NULL, seen_boot INTEGER NOT NULL,"
    "  silent INTEGER NOT NULL DEFAULT 0);", // it was missed, and an incident says so

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

    // 3: what the memory is asked for
    "CREATE INDEX problem_family ON problem(alertname, family);"
    "CREATE INDEX problem_service ON problem(service, alertname);"
    "CREATE INDEX problem_namespace ON problem(namespace);"
    "CREATE INDEX problem_cluster ON problem(cluster);"

    "CREATE INDEX incident_real ON incident(opened_at) WHERE verdict BETWEEN 2 AND 4;"
    "CREATE INDEX incident_waiting ON incident(severity DESC, environment DESC, opened_at)"
    "  WHERE (state < 3 OR verdict = 5) AND kind <> 1;",

    // 4: incidents without tests, by the UTC day that they opened on and their last verdict.
    "CREATE TABLE tally("
    "  kind INTEGER NOT NULL," // enum tally_kind
    "  key NOT NULL,"          // all: ''; family: alertname 0x1f family; problem: its id; rule: alertname
    "  day INTEGER NOT NULL,"
    "  none INTEGER NOT NULL, noise INTEGER NOT NULL, auto_fixed INTEGER NOT NULL,"
    "  escalated INTEGER NOT NULL, real INTEGER NOT NULL, unsure INTEGER NOT NULL,"
    "  flaps INTEGER NOT NULL, PRIMARY KEY(kind, key, day)) WITHOUT ROWID;"
    "CREATE INDEX tally_noise ON tally(day, key, noise) WHERE kind = 1 AND noise > 0;"
    "CREATE INDEX tally_rule ON tally(day, key) WHERE kind = 3;"
    "CREATE VIEW tally_key AS SELECT id AS problem_id, 0 AS kind, '' AS key FROM problem"
    "  UNION ALL SELECT id, 1, alertname || char(31) || family FROM problem"
    "  UNION ALL SELECT id, 2, id FROM problem"
    "  UNION ALL SELECT id, 3, alertname FROM problem;"
    "CREATE TRIGGER incident_tally_open AFTER INSERT ON incident WHEN NEW.kind <> 1 BEGIN "
    TALLY_ADD("NEW.verdict IS NULL, NEW.verdict IS 1, NEW.verdict IS 2, NEW.verdict IS 3, NEW.verdict IS 4,"
              " NEW.verdict IS 5, NEW.flaps")
    " END;"
    "CREATE TRIGGER incident_tally_change AFTER UPDATE OF verdict, flaps ON incident"
    " WHEN NEW.kind <> 1 AND (NEW.verdict IS NOT OLD.verdict OR NEW.flaps <> OLD.flaps) BEGIN "
    TALLY_ADD("(NEW.verdict IS NULL) - (OLD.verdict IS NULL), (NEW.verdict IS 1) - (OLD.verdict IS 1),"
              " (NEW.verdict IS 2) - (OLD.verdict IS 2), (NEW.verdict IS 3) - (OLD.verdict IS 3),"
              " (NEW.verdict IS 4) - (OLD.verdict IS 4), (NEW.verdict IS 5) - (OLD.verdict IS 5),"
              " NEW.flaps - OLD.flaps")
    " END;"
    "INSERT INTO tally SELECT k.kind, k.key, i.opened_at / 86400000, sum(verdict IS NULL),"
    "  sum(verdict IS 1), sum(verdict IS 2), sum(verdict IS 3), sum(verdict IS 4), sum(verdict IS 5), sum(flaps)"
    "  FROM incident i JOIN tally_key k ON k.problem_id = i.problem_id WHERE i.kind <> 1 GROUP BY 1, 2, 3;",

    // 5: how fast: by the hour that the incidents opened in. A verdict of the memory itself is no pace.
    "CREATE TABLE pace("
    "  what INTEGER NOT NULL," // enum pace_kind
    "  hour INTEGER NOT NULL, n INTEGER NOT NULL, ms INTEGER NOT NULL,"
    "  PRIMARY KEY(what, hour)) WITHOUT ROWID;"
    "CREATE TRIGGER incident_pace_taken AFTER UPDATE OF taken_at ON incident"
    " WHEN OLD.taken_at IS NULL AND NEW.taken_at IS NOT NULL AND NEW.state = 2 AND NEW.kind <> 1 BEGIN "
    PACE_ADD("0, NEW." HOUR ", 1, max(NEW.taken_at - NEW.opened_at, 0) WHERE true")
    " END;"
    "CREATE TRIGGER incident_pace_mended AFTER UPDATE OF closed_at, verdict ON incident"
    " WHEN NEW.kind <> 1 AND " IS_MENDED("OLD") " <> " IS_MENDED("NEW") " BEGIN "
    PACE_ADD("2, NEW." HOUR ", " IS_MENDED("NEW") " - " IS_MENDED("OLD") ","
             " CASE WHEN " IS_MENDED("NEW") " THEN max(NEW.closed_at - NEW.opened_at, 0)"
             " ELSE -max(OLD.closed_at - OLD.opened_at, 0) END WHERE true")
    " END;"
    "CREATE TRIGGER verdict_pace AFTER INSERT ON verdict WHEN NEW.by <> 'memory' BEGIN "
    PACE_ADD("w.what, i." HOUR ", 1, max(NEW.at - i.opened_at, 0) FROM incident i"
             " JOIN (SELECT 0 AS what UNION ALL SELECT 1) w WHERE i.id = NEW.incident_id AND i.kind <> 1"
             " AND (w.what = 1 OR i.taken_at = NEW.at)"
             " AND NOT EXISTS (SELECT 1 FROM verdict v WHERE v.incident_id = NEW.incident_id AND v.id < NEW.id)")
    PACE_ADD("3, i." HOUR ", 1, 0 FROM incident i JOIN verdict v ON v.id ="
             " (SELECT max(id) FROM verdict WHERE incident_id = NEW.incident_id AND id < NEW.id)"
             " WHERE i.id = NEW.incident_id AND i.kind <> 1 AND v.verdict < 5 AND NEW.verdict < 5"
             " AND (v.verdict = 1) <> (NEW.verdict = 1)")
    " END;"
    "INSERT INTO pace SELECT 1, i." HOUR ", count(*), sum(max(v.at - i.opened_at, 0)) FROM verdict v"
    "  JOIN incident i ON i.id = v.incident_id WHERE i.kind <> 1 AND v.by <> 'memory'"
    "  AND v.id = (SELECT min(id) FROM verdict WHERE incident_id = i.id) GROUP BY 2;"
    "INSERT INTO pace SELECT 0, " HOUR ", count(*), sum(max(taken_at - opened_at, 0)) FROM incident"
    "  WHERE kind <> 1 AND taken_at IS NOT NULL GROUP BY 2;"
    "INSERT INTO pace SELECT 3, i." HOUR ", count(*), 0 FROM verdict n JOIN verdict o ON o.id ="
    "  (SELECT max(id) FROM verdict WHERE incident_id = n.incident_id AND id < n.id)"
    "  JOIN incident i ON i.id = n.incident_id WHERE i.kind <> 1 AND n.verdict < 5 AND o.verdict < 5"
    "  AND (n.verdict = 1) <> (o.verdict = 1) GROUP BY 2;"
    "INSERT INTO pace SELECT 2, " HOUR ", count(*), sum(max(closed_at - opened_at, 0)) FROM incident"
    "  WHERE kind <> 1 AND status = 1 AND closed_at IS NOT NULL AND " IS_REAL("verdict") " GROUP BY 2;",

    // 6: tuning
    // Known noise that no digest has told yet.
    "CREATE TABLE noise_fold(incident_id INTEGER PRIMARY KEY, at INTEGER NOT NULL);"

    // Tuning proposals. Those that were decided stay; of a kind and unit at most one is open.
    "CREATE TABLE proposal("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  kind INTEGER NOT NULL," // enum proposal_kind
    "  unit TEXT NOT NULL,"    // key of what it is about, and how to find that again:
    "  scope INTEGER NOT NULL, problem_id INTEGER, alertname TEXT NOT NULL, cluster TEXT NOT NULL, family TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  noise INTEGER NOT NULL," // verdicts that it rests on
    "  title TEXT NOT NULL, body TEXT NOT NULL, text TEXT NOT NULL," // as last computed: JSON members, and for people
    "  decision INTEGER NOT NULL DEFAULT 0,"                         // enum proposal_decision
    "  decided_at INTEGER, decided_by TEXT, note TEXT);"
    "CREATE UNIQUE INDEX proposal_open ON proposal(kind, unit) WHERE decision = 0;"
    "CREATE INDEX proposal_unit ON proposal(unit);"
    "CREATE INDEX proposal_problem ON proposal(problem_id) WHERE problem_id IS NOT NULL;",

    // 7: the audit trail of what Slack sees. Triggers, so that no way of doing it can forget to say so.
#define NOW_MS "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
#define AUDIT "INSERT INTO trail(at, incident_id, actor, action, detail) VALUES("
    "CREATE TRIGGER audit_escalation AFTER INSERT ON slack_escalation BEGIN "
    AUDIT "NEW.created_at, NEW.incident_id, 'agent', 'escalated', 'escalation ' || NEW.id || ' (' || NEW.severity || '): ' || NEW.title);"
    "END;"
    "CREATE TRIGGER audit_escalation_state AFTER UPDATE OF state ON slack_escalation WHEN NEW.state <> OLD.state BEGIN "
    AUDIT NOW_MS ", NEW.incident_id, CASE NEW.changed_by WHEN '' THEN 'channel' ELSE NEW.changed_by END,"
    "  CASE NEW.state WHEN 0 THEN 'asked again' WHEN 1 THEN 'acknowledged' WHEN 2 THEN 'snoozed' ELSE 'closed' END,"
    "  'escalation ' || NEW.id);"
    "END;"
    "CREATE TRIGGER audit_nag AFTER UPDATE OF nags ON slack_escalation WHEN NEW.nags > OLD.nags BEGIN "
    AUDIT NOW_MS ", NEW.incident_id, 'channel', 'nagged', 'escalation ' || NEW.id || ', nag ' || NEW.nags);"
    "END;"
    "CREATE TRIGGER audit_prompt AFTER INSERT ON slack_prompt BEGIN "
    AUDIT "NEW.created_at, NULL, 'agent', 'asked', 'prompt ' || NEW.request_id || ', ' || NEW.tool || ': ' || substr(NEW.preview, 1, 500));"
    "END;"
    "CREATE TRIGGER audit_prompt_state AFTER UPDATE OF state ON slack_prompt WHEN NEW.state <> OLD.state BEGIN "
    AUDIT NOW_MS ", NULL, CASE NEW.decided_by WHEN '' THEN 'channel' ELSE NEW.decided_by END,"
    "  CASE NEW.state WHEN 1 THEN 'allowed' WHEN 2 THEN 'denied' WHEN 3 THEN 'session gone' ELSE 'answered elsewhere' END,"
    "  'prompt ' || NEW.request_id || ', ' || NEW.tool);"
    "END;"
    "CREATE TRIGGER audit_page AFTER INSERT ON page BEGIN "
    AUDIT "NEW.at, NULL, 'channel', 'page', NEW.severity || ': ' || substr(NEW.text, 1, 500));"
    "END;"
    "CREATE TRIGGER audit_outbox AFTER INSERT ON slack_outbox WHEN NEW.ref = 0 BEGIN " // what a tool call sends
    AUDIT NOW_MS ", NULL, 'agent', CASE NEW.op WHEN 0 THEN 'replied' WHEN 1 THEN 'edited' WHEN 2 THEN 'reacted' ELSE 'sent a file' END,"
    "  'to ' || NEW.user_id);"
    "END;",

    // 8: how many incidents are how, so that nobody needs to count a million of them.
    "CREATE TABLE census("
    "  cluster TEXT NOT NULL, severity INTEGER NOT NULL, test INTEGER NOT NULL, firing INTEGER NOT NULL,"
    "  state INTEGER NOT NULL, verdict INTEGER NOT NULL," // 0 = none
    "  n INTEGER NOT NULL, PRIMARY KEY(cluster, severity, test, firing, state, verdict)) WITHOUT ROWID;"
    "CREATE TRIGGER incident_census_open AFTER INSERT ON incident BEGIN "
    CENSUS_ADD("NEW", "1")
    " END;"
    "CREATE TRIGGER incident_census_change AFTER UPDATE OF severity, status, state, verdict ON incident"
    " WHEN NEW.severity <> OLD.severity OR (NEW.status = 0) <> (OLD.status = 0) OR NEW.state <> OLD.state"
    "  OR NEW.verdict IS NOT OLD.verdict BEGIN "
    CENSUS_ADD("OLD", "-1") CENSUS_ADD("NEW", "1")
    " END;"
    "CREATE TRIGGER incident_census_prune AFTER DELETE ON incident BEGIN "
    CENSUS_ADD("OLD", "-1")
    " END;"
    "INSERT INTO census SELECT p.cluster, i.severity, i.kind = 1, i.status = 0, i.state, coalesce(i.verdict, 0), count(*)"
    "  FROM incident i JOIN problem p ON p.id = i.problem_id GROUP BY 1, 2, 3, 4, 5, 6;"
    // What may have to be paged, by either clock; what is over or decided is not in them.
    "DROP INDEX incident_unpaged;"
    "CREATE INDEX incident_untaken ON incident(since_at) WHERE paged_at IS NULL AND kind <> 1 AND status = 0 AND state < 2;"
    "CREATE INDEX incident_untaken_boot ON incident(since_boot) WHERE paged_at IS NULL AND kind <> 1 AND status = 0 AND state < 2;"
    "CREATE INDEX incident_taken ON incident(since_at) WHERE paged_at IS NULL AND kind <> 1 AND state = 2;"
    "CREATE INDEX incident_taken_boot ON incident(since_boot) WHERE paged_at IS NULL AND kind <> 1 AND state = 2;",

    // 9: what the report asks for
    // When a person first answered, whatever came after it.
    "ALTER TABLE slack_escalation ADD COLUMN answered_at INTEGER;"
    "ALTER TABLE slack_escalation ADD COLUMN answered_by TEXT NOT NULL DEFAULT '';"
#define A_PERSON(who) who " NOT IN ('', 'the agent', 'the alert itself')"
    "UPDATE slack_escalation SET answered_at = changed_at, answered_by = changed_by"
    "  WHERE state > 0 AND changed_at IS NOT NULL AND " A_PERSON("changed_by") ";"
    "CREATE TRIGGER escalation_answered AFTER UPDATE OF state ON slack_escalation"
    " WHEN NEW.state > 0 AND NEW.state <> OLD.state AND OLD.answered_at IS NULL AND " A_PERSON("NEW.changed_by") " BEGIN "
    "UPDATE slack_escalation SET answered_at = NEW.changed_at, answered_by = NEW.changed_by WHERE id = NEW.id;"
    "END;"
    "CREATE INDEX slack_escalation_created ON slack_escalation(created_at);"
    "CREATE INDEX slack_escalation_incident ON slack_escalation(incident_id) WHERE incident_id IS NOT NULL;"
    "CREATE INDEX slack_inbox_escalation ON slack_inbox(escalation_id) WHERE escalation_id IS NOT NULL;"
    "CREATE INDEX incident_paged ON incident(opened_at) WHERE paged_at IS NOT NULL;"

    // What was pushed into sessions, by the UTC day: kept where the counters are written.
    "CREATE TABLE push_day(day INTEGER PRIMARY KEY, events INTEGER NOT NULL, bytes INTEGER NOT NULL);"
#define IS_BYTES "(NEW.name = 'sre_pushed_bytes_total')"
#define IS_EVENTS "(NEW.name >= 'sre_events_total{' AND NEW.name < 'sre_events_total|')"
#define PUSH_ADD(n)                                                                                \
    "INSERT INTO push_day(day, events, bytes) VALUES(" NOW_MS " / 86400000, " IS_EVENTS " * (" n "), " IS_BYTES " * (" n "))" \
    " ON CONFLICT(day) DO UPDATE SET events = events + excluded.events, bytes = bytes + excluded.bytes;"
    "CREATE TRIGGER counter_push_first AFTER INSERT ON counter WHEN " IS_BYTES " OR " IS_EVENTS " BEGIN " PUSH_ADD("NEW.n") " END;"
    "CREATE TRIGGER counter_push AFTER UPDATE OF n ON counter WHEN " IS_BYTES " OR " IS_EVENTS " BEGIN " PUSH_ADD("NEW.n - OLD.n") " END;"

    // The last weekly summary, or since when there could have been one. One row.
    "CREATE TABLE weekly(id INTEGER PRIMARY KEY CHECK(id = 1), told_at INTEGER NOT NULL);"
    "INSERT INTO weekly VALUES(1, " NOW_MS ");",

    // 10: what a channel itself escalates. A page with a title opens an escalation instead of being one message.
    "ALTER TABLE page ADD COLUMN escalate TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE slack_escalation ADD COLUMN by TEXT NOT NULL DEFAULT 'agent';"
    "DROP TRIGGER audit_escalation;"
    "CREATE TRIGGER audit_escalation AFTER INSERT ON slack_escalation BEGIN "
    AUDIT "NEW.created_at, NEW.incident_id, NEW.by, 'escalated', 'escalation ' || NEW.id || ' (' || NEW.severity || '): ' || NEW.title);"
    "END;",

    // 11: tickets
    "CREATE TABLE ticket("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, title TEXT NOT NULL,"
    "  mark TEXT NOT NULL," // in the ticket's text or labels, so that one of unknown fate is found again
    "  key TEXT NOT NULL DEFAULT '', url TEXT NOT NULL DEFAULT '');" // '' until it exists
    // The newest of each problem, and the one of an incident.
    "CREATE TABLE ticket_problem(problem_id INTEGER PRIMARY KEY, ticket_id INTEGER NOT NULL);"
    "CREATE INDEX ticket_problem_ticket ON ticket_problem(ticket_id);"
    "CREATE TABLE ticket_incident(incident_id INTEGER PRIMARY KEY, ticket_id INTEGER NOT NULL);"
    "CREATE INDEX ticket_incident_ticket ON ticket_incident(ticket_id);"
    // What is still to be written there; a row goes when that is done, or given up.
    "CREATE TABLE ticket_outbox("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, ticket_id INTEGER NOT NULL, at INTEGER NOT NULL,"
    "  op INTEGER NOT NULL," // enum ticket_op
    "  body TEXT NOT NULL, labels TEXT NOT NULL, assignee TEXT NOT NULL," // labels: a JSON array
    "  incidents TEXT NOT NULL,"           // their ids, a JSON array
    "  by TEXT NOT NULL DEFAULT '',"       // the process that tries it now
    "  attempts INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL, error TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX ticket_outbox_due ON ticket_outbox(due_at);"
    "CREATE INDEX ticket_outbox_ticket ON ticket_outbox(ticket_id);",
};
// clang-format on

const size_t schema_version = ARRAY_LEN(schema_steps);
