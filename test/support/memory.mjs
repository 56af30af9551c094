// A past for the incident memory: incidents with times of their own, written into the store of a channel.
import { execFileSync } from 'node:child_process';
import path from 'node:path';

export const minute = 60_000, hour = 60 * minute, day = 24 * hour;
const verdicts = { noise: 1, auto_fixed: 2, escalated: 3, real: 4, unsure: 5 };
const severities = { critical: 4, error: 3, warning: 2, info: 1, unknown: 0 };
const quoted = s => `'${String(s).replaceAll("'", "''")}'`;

export function sql(state, text) {
  return execFileSync('sqlite3', ['-cmd', '.timeout 5000', path.join(state, 'state', 'incidents.db')], { input: text, encoding: 'utf8', maxBuffer: 1 << 30 });
}

// One incident as SQL: opened `ago` ms before now, taken and decided after some minutes if it has a verdict, then resolved unless it is open.
export function incidentSql(i, now = Date.now()) {
  const { alertname = 'HighErrorRate', service = '', cluster = '', namespace = '', severity = 'warning', kind = 0, prod = 1, verdict, summary = 'x', root_cause = '',
    action = '', by = 'agent', ago = hour, open = false, takenAfter = minute, decidedAfter = 2 * minute, lasted = 10 * minute, flaps = 0, then } = i;
  const at = now - ago;
  const names = [alertname, cluster, namespace, service].map(quoted).join(', ');
  const id = '(SELECT max(id) FROM incident)';
  const lines = [
    `INSERT OR IGNORE INTO problem(alertname, cluster, namespace, service) VALUES(${names});`,
    `INSERT INTO incident(problem_id, kind, environment, source, severity, opened_at, last_seen_at, asked_at, since_at, since_boot, members, flaps)
      SELECT id, ${kind}, ${prod}, 'test', ${severities[severity]}, ${at}, ${at}, ${at}, ${at}, 0, 1, ${flaps} FROM problem
      WHERE (alertname, cluster, namespace, service) = (${names});`,
    `INSERT INTO alert(incident_id, source, fingerprint, status, labels, annotations, node, starts_at, generator_url, first_at, last_at)
      VALUES(${id}, 'test', hex(randomblob(8)), 0, '{}', '{}', '', ${at}, '', ${at}, ${at});`,
  ];
  const decide = (v, when, words) => lines.push(
    `UPDATE incident SET state = 3, verdict = ${verdicts[v]}, decided_at = ${when}, taken_at = coalesce(taken_at, ${when}) WHERE id = ${id};`,
    `INSERT INTO verdict(incident_id, at, verdict, summary, root_cause, action, by)
      VALUES(${id}, ${when}, ${verdicts[v]}, ${quoted(words.summary ?? summary)}, ${quoted(words.root_cause ?? root_cause)}, ${quoted(words.action ?? action)}, ${quoted(by)});`);
  if (verdict && takenAfter !== null) lines.push(`UPDATE incident SET state = 2, taken_at = ${at + takenAfter} WHERE id = ${id};`);
  if (verdict) decide(verdict, at + decidedAfter, {});
  if (then) decide(then.verdict, at + decidedAfter + minute, then);
  if (!open) {
    lines.push(`UPDATE incident SET status = 1, closed_at = ${at + lasted}, members = 0 WHERE id = ${id};`,
      `UPDATE alert SET status = 1, ends_at = ${at + lasted} WHERE incident_id = ${id};`);
  }
  return lines.join('\n');
}

// The store must exist: run a subcommand first, or start a channel.
export function seed(state, incidents, now = Date.now()) {
  sql(state, 'BEGIN;\n' + incidents.map(i => incidentSql(i, now)).join('\n') + '\nCOMMIT;\n');
}

export const times = (n, make) => Array.from({ length: n }, (_, k) => (typeof make === 'function' ? make(k) : { ...make }));
