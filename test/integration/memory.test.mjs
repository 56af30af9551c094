// What the memory knows and says: the briefing of a scripted week, check_history, the history in each event.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { command, environment, notification, sleep, startChannel, tempDir, until } from '../support/channel.mjs';
import { day, hour, minute, seed, sql, times } from '../support/memory.mjs';

// Another process in the middle of a write.
function startLock(state) {
  const p = spawn('sqlite3', [path.join(state, 'state', 'incidents.db')], { stdio: ['pipe', 'ignore', 'inherit'] });
  p.stdin.write("BEGIN IMMEDIATE; INSERT INTO watchdog(cluster, seen_at, seen_boot) VALUES('x', 1, 1);\n");
  return p;
}

async function emptyState(env = {}) {
  const state = tempDir();
  assert.equal((await command(environment(state, env), 'incidents')).status, 0);
  return state;
}

// 12x High Latency, 8x Tenant Inactive on a tenant each, real ones, open ones; tests and what is older must not count.
function week() {
  return [
    ...times(12, k => ({ alertname: 'High Latency', service: 'openaire-test', cluster: 'platform-dev', prod: 0, verdict: 'noise', summary: 'long polls', ago: (k + 1) * 12 * hour })),
    ...times(8, k => ({ alertname: 'Tenant Inactive', service: `tenant-test-${k + 1}`, cluster: 'platform-dev', prod: 0, verdict: 'noise', ago: (k + 2) * 15 * hour })),
    { alertname: 'Pod CrashLooping', service: 'backend', cluster: 'platform-prod', verdict: 'auto_fixed', summary: 'OOMKilled, recovered', action: 'restarted', ago: 3 * day },
    { alertname: 'Disk full', service: 'postgres', cluster: 'data-eu-1', verdict: 'escalated', summary: 'climbing', ago: 2 * day, severity: 'critical' },
    { alertname: 'HighErrorRate', service: 'checkout', cluster: 'platform-prod', verdict: 'real', summary: 'bad deploy', ago: day },
    { alertname: 'Once', service: 'alone', verdict: 'noise', ago: day },
    { alertname: 'KubePodCrashLooping', service: 'backend', cluster: 'platform-prod', namespace: 'shop', severity: 'critical', open: true, ago: 4 * minute },
    { alertname: 'Unclear', service: 'batch', cluster: 'platform-dev', prod: 0, verdict: 'unsure', ago: 5 * hour },
    { alertname: 'Gone', service: 'batch', cluster: 'platform-dev', prod: 0, ago: 6 * hour },
    { alertname: 'TestAlert', kind: 1, ago: hour },
    { alertname: 'High Latency', service: 'openaire-test', cluster: 'platform-dev', verdict: 'noise', ago: 7 * day + minute },
  ];
}

test('the briefing of a scripted week: its exact form, and numbers that add up', async () => {
  const state = await emptyState();
  const now = Date.now();
  seed(state, week(), now);
  sql(state, `INSERT INTO slack_escalation(title, body, severity, recommended_action, state, created_at) VALUES
    ('PVC at 87% on data-cluster-biorxiv', 'climbing', 'critical', '', 0, ${now - 2 * day}), ('seen', 'x', 'error', '', 1, ${now}), ('later', 'x', 'error', '', 2, ${now}), ('done', 'x', 'error', '', 3, ${now});`);
  const env = environment(state, { TZ: 'UTC' });
  const date = ago => new Date(now - ago).toLocaleDateString('en-US', { month: 'short', day: 'numeric', timeZone: 'UTC' });
  const r = await command(env, 'briefing');
  assert.equal(r.status, 0);
  assert.equal(r.stdout, `=== SRE Briefing - last 7 days ===
Total: 27 alerts | 21 noise | 3 real | 1 auto-fixed | 1 escalated | 3 undecided

Recurring noise (consider tuning):
  - High Latency on openaire-test | 12x
  - Tenant Inactive on tenant-test-* | 8x
Recent real incidents:
  - [${date(day)}] HighErrorRate on checkout - real: bad deploy
  - [${date(2 * day)}] Disk full on postgres - escalated: climbing
  - [${date(3 * day)}] Pod CrashLooping on backend - auto-fixed: OOMKilled, recovered
Pending escalations (unacknowledged):
  - [${date(2 * day)}] PVC at 87% on data-cluster-biorxiv - climbing
Waiting for a verdict:
  - #${25} KubePodCrashLooping on backend (platform-prod), 4 min
  - #${27} Gone on batch (platform-dev), 6 h
  - #${26} Unclear on batch (platform-dev), 5 h

Noise rate 78% | MTTA 1 min | time to verdict 2 min | MTTR 10 min
`);
  const j = JSON.parse((await command(env, 'briefing', '--json')).stdout);
  assert.equal(j.total, j.noise + j.real + j.undecided);
  assert.deepEqual([j.total, j.noise, j.real, j.auto_fixed, j.escalated, j.undecided], [27, 21, 3, 1, 1, 3]);
  assert.deepEqual([j.mtta_seconds, j.time_to_verdict_seconds, j.mttr_seconds, j.verdicts_reversed], [60, 120, 600, 0]);
  assert.deepEqual(j.recurring_noise, [{ alertname: 'High Latency', service: 'openaire-test', count: 12, services: 1 }, { alertname: 'Tenant Inactive', service: 'tenant-test-*', count: 8, services: 8 }]);
  assert.deepEqual(j.rules.find(x => x.alertname === 'High Latency'), { alertname: 'High Latency', total: 12, noise: 12, real: 0, undecided: 0, noise_rate: 1 });
  assert.equal(j.waiting_total, 3);
  // The same from the export, counted here.
  const all = (await command(env, 'export', '--days', '7')).stdout.split('\n').filter(Boolean).map(l => JSON.parse(l)).filter(i => i.kind !== 'test');
  const count = f => all.filter(f).length;
  assert.equal(j.total, all.length);
  assert.equal(j.noise, count(i => i.verdict === 'noise'));
  assert.equal(j.real, count(i => ['real', 'auto_fixed', 'escalated'].includes(i.verdict)));
  assert.equal(j.undecided, count(i => !i.verdict || i.verdict === 'unsure'));
  assert.equal(JSON.parse((await command(env, 'briefing', '--json', '--days', '8')).stdout).noise, 22);
});

test('an empty memory is briefed on, too', async () => {
  const state = await emptyState();
  const r = await command(environment(state), 'briefing');
  assert.equal(r.stdout, '=== SRE Briefing - last 7 days ===\nTotal: 0 alerts | 0 noise | 0 real | 0 auto-fixed | 0 escalated | 0 undecided\n');
  assert.match((await command(environment(state), 'briefing', '--days', '1')).stdout, /last 1 day ===/);
  assert.equal((await command(environment(state), 'briefing', '--days', '0')).status, 2);
  assert.equal((await command(environment(state), 'history')).stdout, 'not seen in the last 30 days\n');
});

test('dates are in the time zone of the person', async () => {
  const state = await emptyState();
  const noon = Date.UTC(2026, 3, 6, 23, 30);
  seed(state, [{ alertname: 'Late', service: 's', verdict: 'real', summary: 'x', ago: Date.now() - noon }]);
  const shown = async TZ => /\[(.*?)\] Late/.exec((await command(environment(state, { TZ }), 'briefing', '--days', '10000')).stdout)[1];
  assert.equal(await shown('UTC'), 'Apr 6');
  assert.equal(await shown('Europe/Athens'), 'Apr 7');
  assert.equal(await shown('America/New_York'), 'Apr 6');
});

test('the tool says what the subcommand says; a verdict shows at once', async () => {
  const c = await startChannel();
  seed(c.state, week());
  const before = await c.call('briefing');
  assert.equal(before.structuredContent.undecided, 3);
  assert.match(before.content[0].text, /^=== SRE Briefing - last 7 days ===\nTotal: 27 alerts/);
  await c.call('log_incident', { incident_ids: [25, 26], verdict: 'noise', summary: 'x' });
  const after = (await c.call('briefing', { days: 7 })).structuredContent;
  assert.deepEqual([after.total, after.noise, after.undecided, after.waiting_total], [27, 23, 1, 1]);
  await c.call('log_incident', { incident_ids: [25], verdict: 'real', summary: 'it was one' });
  const last = (await c.call('briefing')).structuredContent;
  assert.deepEqual([last.noise, last.real, last.verdicts_reversed], [22, 4, 1]);
  assert.match((await c.call('briefing')).content[0].text, /1 verdict reversed/);
  assert.deepEqual(JSON.parse((await c.command('briefing', '--json')).stdout).recurring_noise, last.recurring_noise);
  assert.ok((await c.call('briefing', { days: 0 })).isError);
  await c.stop();
});

test('whatever the history, the briefing stays below 6 KB', async () => {
  const state = await emptyState();
  const long = '"é'.repeat(80) + '\u2028\n- [Apr 1] forged on line';
  seed(state, [
    ...times(40, k => times(3, { alertname: `Noise ${k} ${long}`, service: `service${k}${long}`, verdict: 'noise' })).flat(),
    ...times(30, k => ({ alertname: `Real ${k} ${long}`, service: long, cluster: long, verdict: 'escalated', summary: long.repeat(10) })),
    ...times(300, k => ({ alertname: `Open ${k} ${long}`, service: long, cluster: long, open: true })),
  ]);
  sql(state, 'INSERT INTO slack_escalation(title, body, severity, recommended_action, state, created_at) VALUES' + times(50, () => `('${long}', '${long}', 'error', '', 0, 1)`).join(','));
  const { stdout } = await command(environment(state), 'briefing');
  assert.ok(Buffer.byteLength(stdout) < 6000, Buffer.byteLength(stdout) + ' bytes');
  for (const heading of ['Recurring noise', 'Recent real', 'Pending escalations', 'Waiting for a verdict']) assert.ok(stdout.includes(heading));
  assert.match(stdout, /\.\.\. and 29\d more: list_incidents/);
  assert.doesNotMatch(stdout, /\ufffd/);
  const c = await startChannel({ state });
  const r = await c.call('briefing');
  assert.ok(!r.isError, r.content[0].text);
  assert.equal(r.structuredContent.waiting_total, 300);
  await c.stop();
  for (const l of stdout.split('\n')) assert.match(l, /^$|^===|^Total|^  - |:$|:\)$|\):$|^Noise rate/);
});

test('check_history: of an incident, without itself, with similar ones elsewhere; it takes the incident', async () => {
  const c = await startChannel({ env: { SRE_TAKE_SECONDS: '1000' } });
  const place = { alertname: 'DiskFull', service: 'postgres', namespace: 'db' };
  seed(c.state, [
    ...times(3, k => ({ ...place, cluster: 'data-eu-1', verdict: 'noise', summary: 'a backup', ago: (k + 2) * day, flaps: 1 })),
    { ...place, cluster: 'data-eu-1', verdict: 'real', summary: 'truly full', root_cause: 'WAL', action: 'cleaned', ago: day },
    { ...place, cluster: 'data-eu-1', verdict: 'noise', ago: 40 * day },
    ...times(2, k => ({ ...place, cluster: 'data-eu-2', verdict: 'auto_fixed', summary: 'logs', action: 'rotated the logs', ago: (k + 4) * day })),
    { ...place, service: 'other', cluster: 'data-eu-2', verdict: 'noise', ago: day },
  ]);
  await c.post(notification({ ...place, cluster: 'data-eu-1', severity: 'warning' }));
  const e = await c.event(e => e.meta.alertname === 'DiskFull' && e.meta.kind === 'alert');
  assert.equal(e.meta.seen_7d, '4');
  assert.equal(e.meta.noise_7d, '3');
  assert.equal(e.meta.last_verdict, 'real');
  assert.match(e.content, /history: 4x in 7 days, 3 noise, 1 real; last: real, truly full; also on data-eu-2, twice, fixed by: rotated the logs\n/);
  const id = +e.meta.incident_id;
  const r = await c.call('check_history', { incident_id: id });
  const h = r.structuredContent;
  assert.deepEqual([h.days, h.seen, h.noise, h.real, h.undecided, h.flaps], [30, 4, 3, 1, 0, 3]);
  assert.equal(h.incidents.length, 4);
  assert.deepEqual([h.incidents[0].verdict, h.incidents[0].root_cause, h.incidents[0].action], ['real', 'WAL', 'cleaned']);
  assert.ok(h.incidents.every(i => i.incident_id !== id));
  assert.deepEqual(h.similar.map(s => [s.cluster, s.seen, s.last_verdict, s.action]), [['data-eu-2', 2, 'auto_fixed', 'rotated the logs']]);
  assert.match(r.content[0].text, /^4x before in the last 30 days: 3 noise, 1 real; flapped 3x\n- #4 .*real: truly full; cause: WAL; done: cleaned \(by agent\)/);
  assert.equal((await c.export()).find(i => i.incident_id === id).state, 'taken');
  assert.equal((await c.call('check_history', { incident_id: id, days: 60 })).structuredContent.seen, 5);
  assert.match((await c.call('check_history', { incident_id: 9999 })).content[0].text, /incident_id: there is no incident 9999/);
  const both = await c.call('check_history', { incident_id: id, service: 'x' });
  assert.ok(both.isError && /^service:/.test(both.content[0].text));
  const { tools } = await c.client.listTools();
  assert.equal(tools.find(t => t.name === 'check_history')._meta['anthropic/alwaysLoad'], true);
  await c.stop();
});

test('check_history and history by any of the names', async () => {
  const c = await startChannel();
  for (const cluster of ['c1', 'c2']) {
    for (const service of ['a', 'b'])
      seed(c.state, times(2, k => ({ alertname: 'Slow', service, cluster, namespace: 'n-' + service, verdict: k ? 'noise' : 'real', ago: (k + 1) * hour })));
  }
  seed(c.state, [{ alertname: 'Other', service: 'a', cluster: 'c1', namespace: 'n', ago: 3 * hour, open: true }, { alertname: 'Slow', kind: 1 }]);
  const seen = async args => { const h = (await c.call('check_history', args)).structuredContent; return [h.seen, h.noise, h.real, h.undecided, h.incidents.length, h.problems]; };
  assert.deepEqual(await seen({}), [9, 4, 4, 1, 9, 0]);
  assert.deepEqual(await seen({ alertname: 'Slow' }), [8, 4, 4, 0, 8, 5]);
  assert.deepEqual(await seen({ service: 'a' }), [5, 2, 2, 1, 5, 3]);
  assert.deepEqual(await seen({ cluster: 'c1' }), [5, 2, 2, 1, 5, 3]);
  assert.deepEqual(await seen({ namespace: 'n-b' }), [4, 2, 2, 0, 4, 2]);
  assert.deepEqual(await seen({ alertname: 'Slow', cluster: 'c2' }), [4, 2, 2, 0, 4, 2]);
  assert.deepEqual(await seen({ alertname: 'Slow', service: 'a', cluster: 'c2', namespace: 'n-a' }), [2, 1, 1, 0, 2, 1]);
  assert.deepEqual(await seen({ alertname: 'Slow', limit: 3 }), [8, 4, 4, 0, 3, 5]);
  assert.deepEqual(await seen({ service: 'nobody' }), [0, 0, 0, 0, 0, 0]);
  const h = JSON.parse((await c.command('history', '--alertname', 'Slow', '--cluster', 'c2', '--json')).stdout);
  assert.equal(h.seen, 4);
  const ids = h.incidents.map(i => i.opened_at);
  assert.deepEqual(ids, [...ids].sort().reverse());
  const text = (await c.command('history', '--service', 'a', '--limit', '1')).stdout.split('\n');
  assert.match(text[0], /^5x in the last 30 days: 2 noise, 2 real, 1 without a verdict; 3 problems fit$/);
  assert.equal(text.length, 3);
  assert.equal((await c.command('history', '--limit', '0')).status, 2);
  assert.equal((await c.command('history', '--nobody')).status, 2);
  await c.stop();
});

test('noise of twelve times is dismissed with one call and no other', async () => {
  const c = await startChannel();
  seed(c.state, times(12, k => ({ alertname: 'Flaky', service: 's', cluster: 'c', verdict: 'noise', summary: 'settled by itself', ago: (k + 1) * 12 * hour })));
  await c.post(notification({ alertname: 'Flaky', service: 's', cluster: 'c', severity: 'warning' }));
  const e = await c.event(e => e.meta.kind === 'alert');
  assert.match(e.content, /history: 12x in 7 days, always noise; last: noise, settled by itself/);
  await c.call('log_incident', { incident_ids: [+e.meta.incident_id], verdict: 'noise', summary: 'settled by itself' });
  assert.equal((await c.export()).at(-1).verdict, 'noise');
  await c.stop();
});

test('the briefing is there while a server writes, and soon', async t => {
  const c = await startChannel();
  seed(c.state, week());
  const lock = startLock(c.state);
  t.after(() => lock.kill());
  await sleep(200);
  const begun = Date.now();
  const r = await c.command('briefing');
  assert.equal(r.status, 0);
  assert.match(r.stdout, /Total: 27/);
  assert.ok(Date.now() - begun < 2000);
  await c.stop();
});

test('what is older than the retention goes in steps; its verdicts stay counted', async () => {
  const state = await emptyState();
  const old = k => ({ alertname: 'Old', service: 's', cluster: 'c', verdict: k % 3 ? 'noise' : 'real', ago: 40 * day + k * minute });
  seed(state, [
    ...times(250, old),
    { alertname: 'Old', service: 's', cluster: 'c', verdict: 'noise', ago: 29 * day },
    { alertname: 'Open', service: 's', cluster: 'c', ago: 50 * day, open: true },
    { alertname: 'Late', service: 's', cluster: 'c', verdict: 'real', ago: 50 * day, lasted: 30 * day },
  ]);
  const days = Date.now() - 40 * day;
  sql(state, `INSERT INTO trail(at, incident_id, actor, action, detail) SELECT ${days}, id, 'agent', 'taken', '' FROM incident;
    INSERT INTO trail(at, actor, action, detail) VALUES(${days}, 'guard', 'allow', ''), (${Date.now()}, 'guard', 'deny', '');`);
  const before = JSON.parse((await command(environment(state), 'history', '--days', '60', '--json')).stdout);
  const kept = await startChannel({ state, env: { SRE_RETENTION_DAYS: '0', SRE_STALE_DAYS: '0' } });
  await sleep(1500);
  assert.equal((await kept.export()).length, 253);
  await kept.stop();
  const c = await startChannel({ state, env: { SRE_RETENTION_DAYS: '30', SRE_STALE_DAYS: '0' } });
  await until(async () => (await c.export()).length === 3, 8000, 'the old to be pruned');
  assert.deepEqual((await c.export()).map(i => i.alertname).sort(), ['Late', 'Old', 'Open']);
  await until(() => +sql(state, "SELECT count(*) FROM trail WHERE action IN ('taken', 'allow', 'deny')") === 4, 3000, 'the trail to be pruned'); // of the three that are left, and the new
  assert.equal(sql(state, 'SELECT count(*) FROM alert').trim(), '3');
  assert.equal(sql(state, 'SELECT count(*) FROM verdict').trim(), '2');
  const after = JSON.parse((await c.command('history', '--days', '60', '--json')).stdout);
  for (const key of ['seen', 'noise', 'real', 'undecided']) assert.equal(after[key], before[key], key);
  assert.equal(after.incidents_left_out, 250);
  assert.equal((await c.call('briefing', { days: 60 })).structuredContent.noise, before.noise);
  await c.stop();
});

test('an answer stays below 48 KB whatever was written into the verdicts', async () => {
  const c = await startChannel();
  const long = '"\\'.repeat(2000);
  const words = { summary: long, root_cause: long, action: long };
  seed(c.state, [
    ...times(20, k => ({ alertname: 'Wordy', service: 's', cluster: 'c0', verdict: 'real', ago: (k + 1) * hour, ...words })),
    ...times(20, k => ({ alertname: 'Wordy', service: 's', cluster: 'c' + (k + 1), verdict: 'auto_fixed', ago: (k + 1) * hour, ...words })),
  ]);
  for (const args of [{ incident_id: 1, limit: 100 }, { alertname: 'Wordy', limit: 100 }]) {
    const r = await c.call('check_history', args);
    assert.ok(!r.isError, r.content[0].text);
    assert.ok(Buffer.byteLength(JSON.stringify(r.structuredContent)) + Buffer.byteLength(r.content[0].text) < 48 * 1024);
    assert.ok(r.content[0].text.endsWith('\n'));
    assert.ok(r.content[0].text.endsWith('\n'));
    assert.ok(r.structuredContent.incidents.length >= 1);
    assert.equal(r.structuredContent.incidents.length + r.structuredContent.incidents_left_out, r.structuredContent.seen);
  }
  await c.stop();
});
