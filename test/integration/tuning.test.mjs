// Known noise with its brakes, and tuning proposals, through the real executable.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { notification, sleep, startChannel, which } from '../support/channel.mjs';

const dev = { alertname: 'High Latency', severity: 'warning', service: 'openaire-test', cluster: 'dev-eu', namespace: 'search' };
const env = { SRE_DEV_CLUSTERS: 'dev-*', SRE_FLAP_SECONDS: '0', SRE_EVENTS_PER_MINUTE: '1000' };
const DAY = 24 * 3600 * 1000;

const sql = (c, text) => execFileSync('sqlite3', ['-cmd', '.timeout 5000', path.join(c.state, 'state', 'incidents.db'), text], { encoding: 'utf8' }).trim();
const by = (incident, who) => incident.verdicts.filter(v => v.by === who).length;

// Fires and resolves once; returns the incident's id.
async function fire(c, labels, annotations) {
  const { json } = await c.post(notification(labels, annotations && { annotations }));
  await c.post(notification(labels, { status: 'resolved' }));
  return json.incidents[0];
}

async function noise(c, labels, n, verdict = 'noise') {
  for (let i = 0; i < n; i++) {
    const r = await c.call('log_incident', { incident_ids: [await fire(c, labels)], verdict, summary: 'settled by itself' });
    assert.ok(!r.isError);
  }
}

const incident = async (c, id) => (await c.export()).find(i => i.incident_id === id);
const alertOf = (c, id) => c.events.find(e => e.meta.kind === 'alert' && e.meta.incident_id === String(id));

test('the fourth is folded: noise by memory at once, told in a digest, never its own event', async () => {
  const c = await startChannel({ env: { ...env, SRE_UNATTENDED_SECONDS: '1' } });
  await noise(c, dev, 3);
  const id = await fire(c, dev);
  const i = await incident(c, id);
  assert.equal(i.verdict, 'noise');
  assert.equal(i.state, 'decided');
  assert.equal(by(i, 'memory'), 1);
  const digest = await c.event(e => e.meta.kind === 'digest');
  assert.equal(digest.meta.hint, 'known_noise');
  assert.match(digest.content, /^1 known-noise incident folded: 1x High Latency on openaire-test \(dev-eu\) #4/);
  await sleep(2500);
  assert.equal(alertOf(c, id), undefined);
  assert.equal(sql(c, 'SELECT count(*) FROM page'), '0');
  assert.match(sql(c, `SELECT actor || ' ' || action || ' ' || detail FROM trail WHERE incident_id = ${id}`), /^memory verdict noise: known noise/);
  await c.stop();
});

test('every tenth is its own event, with the hint and the wish for a real look', async () => {
  const c = await startChannel({ env });
  await noise(c, dev, 3);
  const ids = [];
  for (let i = 0; i < 20; i++) ids.push(await fire(c, dev));
  const tenth = await c.event(e => e.meta.incident_id === String(ids[9]));
  await c.event(e => e.meta.incident_id === String(ids[19]));
  assert.equal(tenth.meta.kind, 'alert');
  assert.equal(tenth.meta.hint, 'known_noise');
  assert.match(tenth.content, /why now: a real look is due/);
  assert.deepEqual(ids.filter(id => alertOf(c, id)), [ids[9], ids[19]]);
  await c.stop();
});

test('the memory is no evidence for itself, and neither is a no to what it folded', async () => {
  const c = await startChannel({ env });
  await noise(c, dev, 3);
  const folded = [await fire(c, dev), await fire(c, dev), await fire(c, dev)];
  await c.call('log_incident', { incident_ids: folded, verdict: 'noise', summary: 'as the memory said' });
  sql(c, `UPDATE incident SET decided_at = decided_at - ${15 * DAY}, opened_at = opened_at - ${15 * DAY} WHERE id <= 3`);
  const id = await fire(c, dev);
  await c.event(e => e.meta.incident_id === String(id));
  assert.equal(alertOf(c, id).meta.hint, undefined);
  assert.equal((await incident(c, id)).verdict, null);
  await c.stop();
});

for (const verdict of ['real', 'auto_fixed', 'escalated', 'unsure'])
  test(`one verdict ${verdict} ends it`, async () => {
    const c = await startChannel({ env });
    await noise(c, dev, 4); // the fourth was folded
    await c.call('log_incident', { incident_ids: [4], verdict, summary: 'this one was different' });
    const id = await fire(c, dev);
    const e = await c.event(x => x.meta.incident_id === String(id));
    assert.equal(e.meta.hint, undefined);
    await c.stop();
  });

test('never for critical, in another namespace, or in prod', async () => {
  const c = await startChannel({ env });
  await noise(c, dev, 3);
  await noise(c, { ...dev, cluster: 'platform-prod' }, 3);
  const ids = [];
  for (const other of [{ severity: 'critical' }, { namespace: 'other' }, { service: 'other' }, { cluster: 'platform-prod' }, { cluster: 'dev-us' }])
    ids.push(await fire(c, { ...dev, ...other }));
  for (const id of ids) assert.equal((await c.event(e => e.meta.incident_id === String(id))).meta.hint, undefined);
  await c.stop();
});

test('many alerts of one folded incident stay folded; a worse one asks', async () => {
  const c = await startChannel({ env });
  await noise(c, dev, 3);
  const { json } = await c.post(notification([{ ...dev, pod: 'a' }, { ...dev, pod: 'b' }, { ...dev, pod: 'c' }]));
  const [id] = json.incidents;
  await sleep(300);
  assert.equal(alertOf(c, id), undefined);
  assert.equal((await incident(c, id)).verdict, 'noise');
  await c.post(notification({ ...dev, pod: 'd', severity: 'critical' }));
  const e = await c.event(x => x.meta.incident_id === String(id));
  assert.match(e.content, /why now: it was dismissed as known noise, then its severity rose/);
  assert.equal(e.meta.hint, undefined);
  assert.equal((await incident(c, id)).verdict, null);
  await c.stop();
});

test('a folded incident that flaps is looked at the tenth time, too', async () => {
  const c = await startChannel({ env: { ...env, SRE_FLAP_SECONDS: '0' } });
  await noise(c, dev, 3);
  await c.stop();
  const d = await startChannel({ env: { ...env, SRE_FLAP_SECONDS: '600' }, state: c.state });
  sql(d, `UPDATE incident SET opened_at = opened_at - ${DAY}, closed_at = closed_at - ${DAY}`);
  const ids = new Set();
  for (let i = 0; i < 10; i++) ids.add(await fire(d, dev));
  assert.equal(ids.size, 1);
  const e = await d.event(x => x.meta.kind === 'alert');
  assert.match(e.content, /flapped 9x/);
  assert.match(e.content, /a real look is due/);
  await d.stop();
});

// ---- proposals ----

// Fires once in the past and lasts so long.
async function past(c, labels, ago, lasted, verdict, annotations) {
  const id = await fire(c, labels, annotations);
  if (verdict) await c.call('log_incident', { incident_ids: [id], verdict, summary: 'x' });
  sql(c, `UPDATE incident SET folded = 0, opened_at = opened_at - ${ago}, closed_at = opened_at - ${ago} + ${lasted}, decided_at = decided_at - ${ago} WHERE id = ${id};
    UPDATE alert SET starts_at = NULL, ends_at = NULL WHERE incident_id = ${id}`);
  return id;
}

const MIN = 60000;

async function scriptedWeek(c) {
  for (let i = 0; i < 12; i++) await past(c, dev, (i + 1) * 13 * 3600 * 1000, (1 + i % 4) * MIN, 'noise', { summary: 'slow', value: `${600 + 10 * i} ms` });
  for (let i = 0; i < 8; i++)
    await past(c, { alertname: 'Tenant Inactive', severity: 'warning', service: `tenant-test-${i}`, cluster: 'dev-eu', namespace: 't' }, (i + 1) * 19 * 3600 * 1000, 90 * MIN, 'noise');
  for (let i = 0; i < 3; i++)
    await past(c, { alertname: 'PodCrashLooping', severity: 'critical', service: 'backend', cluster: 'platform-prod', namespace: 'b' }, (i + 1) * 31 * 3600 * 1000, 45 * MIN, 'auto_fixed');
  await c.post(notification({ alertname: 'PVC', severity: 'error', service: 'db', cluster: 'platform-prod' })); // an open one
}

test('a scripted week gives the proposals that a person would make', async () => {
  const c = await startChannel({ env });
  await scriptedWeek(c);
  const { structuredContent: s, content } = await c.call('tuning_proposals');
  assert.deepEqual(s.proposals.map(p => [p.kind, p.alertname, p.service]), [['for', 'High Latency', 'openaire-test'], ['drop', 'Tenant Inactive', 'tenant-test-*']]);
  const [latency, tenants] = s.proposals;
  assert.equal(latency.effect.summary, 'would have removed 12 of 12 firings, 0 of 0 real');
  assert.equal(latency.change.parameters.add_seconds, 300);
  assert.equal(latency.evidence.seconds_of_noise.max, 240);
  assert.deepEqual(latency.evidence.values_of_noise, { known: 12, min: 600, p50: 650, p90: 690, max: 710, unit: 'ms' });
  assert.equal(tenants.evidence.services, 8);
  assert.match(content[0].text, /would have removed 8 of 8 firings/);
  assert.ok(JSON.stringify(s).length < 48 * 1024);

  // The subcommand says the same, under the same numbers.
  const cli = await c.command('proposals', '--json');
  assert.deepEqual(JSON.parse(cli.stdout).proposals.map(p => p.proposal_id), s.proposals.map(p => p.proposal_id));
  assert.match((await c.command('proposals', '--days', '30')).stdout, /^#1 High Latency on openaire-test/);
  assert.equal((await c.command('proposals', '--days', '0')).status, 2);
  await c.stop();
});

test('what Alertmanager would take, amtool takes', { skip: !which('amtool') }, async () => {
  const c = await startChannel({ env });
  await scriptedWeek(c);
  const { structuredContent: s } = await c.call('tuning_proposals');
  const route = s.proposals[1].change.text.replace(/^[+ ]/gm, '').replace(/#.*$/gm, '');
  const file = path.join(c.state, 'am.yml');
  fs.writeFileSync(file, route.replace('route:\n', 'route:\n  receiver: "null"\n') + 'receivers:\n  - name: "null"\n');
  execFileSync('amtool', ['check-config', file]);
  const labels = ['alertname=Tenant Inactive', 'cluster=dev-eu', 'service=tenant-test-9'];
  assert.match(execFileSync('amtool', ['config', 'routes', 'test', `--config.file=${file}`, ...labels], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }), /null/);
  await c.stop();
});

test('a decision is recorded, with who and when, and kept', async () => {
  const c = await startChannel({ env });
  await scriptedWeek(c);
  await c.call('tuning_proposals');
  const rejected = await c.call('decide_proposal', { proposal_id: 1, decision: 'rejected', note: 'Ana: we want to see it' });
  assert.equal(rejected.structuredContent.decision, 'rejected');
  await c.call('decide_proposal', { proposal_id: 2, decision: 'applied' });
  const { structuredContent: s } = await c.call('tuning_proposals', { days: 30 });
  assert.deepEqual(s.proposals.map(p => [p.proposal_id, p.decision]), [[2, 'applied']]);
  assert.equal(s.rejected, 1);
  assert.equal(s.proposals[0].measured.helped, null);
  assert.ok(Date.now() - Date.parse(s.proposals[0].decided_at) < 60000);
  assert.match(sql(c, "SELECT actor || ' ' || detail FROM trail WHERE action = 'proposal' ORDER BY id LIMIT 1"), /^agent #1 rejected: High Latency.*; Ana: we want to see it$/);

  for (const [args, named] of [[{ proposal_id: 99, decision: 'accepted' }, /proposal_id/], [{ proposal_id: 1, decision: 'maybe' }, /decision/],
    [{ proposal_id: 1 }, /decision/], [{ proposal_id: 1, decision: 'accepted', by: 'me' }, /by/]]) {
    const r = await c.call('decide_proposal', args);
    assert.ok(r.isError);
    assert.match(r.content[0].text, named);
  }
  await c.stop();
});

test('prod is folded only after the owner has said yes to the proposal', async () => {
  const c = await startChannel({ env });
  const prod = { ...dev, cluster: 'platform-prod' };
  await noise(c, prod, 4);
  const { structuredContent: s } = await c.call('tuning_proposals');
  const p = s.proposals.find(x => x.kind === 'known_noise');
  assert.equal(p.environment, 'prod');
  let id = await fire(c, prod);
  assert.equal((await c.event(e => e.meta.incident_id === String(id))).meta.hint, undefined);
  const applied = await c.call('decide_proposal', { proposal_id: p.proposal_id, decision: 'applied' });
  assert.ok(applied.isError);
  await c.call('decide_proposal', { proposal_id: p.proposal_id, decision: 'accepted', note: 'Ana' });
  id = await fire(c, prod);
  assert.equal((await incident(c, id)).verdict, 'noise');
  assert.equal(by(await incident(c, id), 'memory'), 1);
  await c.call('decide_proposal', { proposal_id: p.proposal_id, decision: 'rejected', note: 'Ana: no, look at them' });
  id = await fire(c, prod);
  assert.equal((await c.event(e => e.meta.incident_id === String(id))).meta.hint, undefined);
  await c.stop();
});

test('an alert that is known noise and not folded carries the hint', async () => {
  const c = await startChannel({ env: { ...env, SRE_FLAP_SECONDS: '600' } });
  await c.post(notification({ ...dev, pod: 'a' }));
  const first = await c.event();
  assert.equal(first.meta.hint, undefined);
  const id = Number(first.meta.incident_id);
  await c.call('log_incident', { incident_ids: [id], verdict: 'noise', summary: 'x' });
  sql(c, `INSERT INTO incident(problem_id, environment, source, severity, status, state, verdict, opened_at, last_seen_at, closed_at, asked_at, since_at, since_boot, decided_at)
    SELECT problem_id, environment, source, severity, 1, 3, 1, opened_at - n.n, opened_at, opened_at, 0, 0, 0, opened_at
    FROM incident, (SELECT 1000000 AS n UNION SELECT 2000000 UNION SELECT 3000000) n WHERE id = ${id}`);
  await c.post(notification({ ...dev, pod: 'b' })); // joins after a person's verdict: asks, with the hint
  const again = await c.event(e => e !== first && e.meta.kind === 'alert');
  assert.equal(again.meta.incident_id, String(id));
  assert.equal(again.meta.hint, 'known_noise');
  await c.stop();
});
