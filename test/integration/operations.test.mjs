// What README's "Operations" says of the database, done as it says it: backup and restore while all runs, and the move to another machine.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { command, notification, startChannel, tempDir } from '../support/channel.mjs';

const alert = k => notification({ alertname: 'Backup', service: `svc-${k}`, cluster: 'prod', namespace: 'n', severity: 'warning' });
const sqlite = (file, ...words) => execFileSync('sqlite3', [file, ...words], { encoding: 'utf8' });

test('backup and restore while alerts come in', async () => {
  const c = await startChannel({ env: { SRE_EVENTS_PER_MINUTE: '1000' } });
  const db = path.join(c.state, 'state', 'incidents.db'), copy = path.join(c.state, 'copy.db');
  for (let k = 0; k < 50; k++) await c.post(alert(k));
  let stop = false, accepted = 50, failed = 0;
  const stream = (async () => {
    for (let k = 50; !stop; k++) { if ((await c.post(alert(k % 200))).status === 200) accepted++; else failed++; }
  })();
  const took = Date.now();
  sqlite(db, '.timeout 5000', `VACUUM INTO '${copy}'`);
  assert.ok(Date.now() - took < 5000);
  await new Promise(r => setTimeout(r, 300));
  stop = true;
  await stream;
  assert.equal(failed, 0, 'no alert was refused meanwhile');
  assert.ok(accepted > 60);
  assert.equal(sqlite(copy, 'PRAGMA integrity_check').trim(), 'ok');
  const held = +sqlite(copy, 'SELECT count(*) FROM incident');
  assert.ok(held >= 50);

  await c.call('log_incident', { incident_ids: [1], verdict: 'noise', summary: 'a mistake that is to be undone' });
  sqlite(db, '.timeout 5000', `.restore ${copy}`);
  const back = (await c.call('list_incidents', { state: 'all', limit: 1 })).structuredContent;
  assert.equal(back.total, held);
  assert.equal((await c.call('get_incident', { incident_id: 1 })).structuredContent.verdict, null);
  const r = await c.post(alert('after'));
  assert.deepEqual([r.status, r.json.incidents], [200, [held + 1]]);
  await c.call('log_incident', { incident_ids: [held + 1], verdict: 'real', summary: 'x' });
  await c.stop();
  assert.equal(sqlite(db, 'PRAGMA integrity_check').trim(), 'ok');
  assert.equal(sqlite(db, 'PRAGMA journal_mode').trim(), 'wal');
});

test('a copy goes on elsewhere with all that it knew', async () => {
  const c = await startChannel();
  await c.post(alert(1));
  await c.post(alert(2));
  await c.event(e => e.meta.service === 'svc-2');
  await c.call('log_incident', { incident_ids: [1], verdict: 'auto_fixed', summary: 'restarted' });
  await c.stop();
  const state = tempDir();
  fs.mkdirSync(path.join(state, 'state'), { mode: 0o700 });
  sqlite(path.join(c.state, 'state', 'incidents.db'), `VACUUM INTO '${path.join(state, 'state', 'incidents.db')}'`);
  fs.chmodSync(path.join(state, 'state', 'incidents.db'), 0o600);
  sqlite(path.join(state, 'state', 'incidents.db'), "UPDATE lease SET boot_id = 'of another machine'; UPDATE incident SET since_boot = since_boot + 1000000000000, due_at = due_at + 1000000000000");
  const d = await startChannel({ state });
  const digest = await d.event(e => e.meta.kind === 'digest');
  assert.match(digest.content, /svc-2/);
  const exported = (await command(d.env, 'export')).stdout.trim().split('\n').map(l => JSON.parse(l));
  assert.deepEqual(exported.map(i => [i.incident_id, i.verdict]), [[1, 'auto_fixed'], [2, null]]);
  await d.stop();
});
