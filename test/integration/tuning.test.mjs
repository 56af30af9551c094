// Known noise with its brakes, and tuning proposals, through the real executable.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { notification, sleep, startChannel } from '../support/channel.mjs';

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
