// The memory survives an upgrade: test/data/schema/N.sql is a database as the steps 1 to N of common/schema.c made it, with some rows. A step that
// has been released is never changed; whoever adds step N + 1 adds N.sql.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { command, environment, notification, root, startChannel, tempDir } from '../support/channel.mjs';
import { sql } from '../support/memory.mjs';

const dir = path.join(root, 'test/data/schema');
const schema = state => sql(state, "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name");

function stateOf(version) {
  const state = tempDir();
  fs.mkdirSync(path.join(state, 'state'));
  execFileSync('sqlite3', [path.join(state, 'state', 'incidents.db')], { input: fs.readFileSync(path.join(dir, `${version}.sql`)) });
  return state;
}

async function freshState() {
  const state = tempDir();
  await command(environment(state), 'incidents');
  return state;
}

const newest = +sql(await freshState(), 'PRAGMA user_version');

test('there is a database of each earlier version', () => {
  const versions = fs.readdirSync(dir).map(f => parseInt(f)).sort((a, b) => a - b);
  assert.deepEqual(versions, Array.from({ length: newest - 1 }, (_, k) => k + 1));
});

for (let version = 1; version < newest; version++) {
  test(`version ${version} opens with all that it knew`, async () => {
    const state = stateOf(version);
    const env = environment(state);
    const all = (await command(env, 'export')).stdout.split('\n').filter(Boolean).map(l => JSON.parse(l));
    assert.equal(+sql(state, 'PRAGMA user_version'), newest);
    assert.equal(schema(state), schema(await freshState()), 'a step that has been released was changed, instead of a new one added');
    assert.deepEqual(all.map(i => [i.incident_id, i.verdict, i.verdicts.length, i.alerts.length]), [[1, 'noise', 2, 1], [2, 'noise', 1, 1], [3, 'auto_fixed', 1, 1], [4, null, 0, 1], [5, null, 0, 1]]);
    const j = JSON.parse((await command(env, 'briefing', '--days', '10000', '--json')).stdout);
    assert.deepEqual([j.total, j.noise, j.real, j.auto_fixed, j.undecided, j.waiting_total], [4, 2, 1, 1, 1, 1]);
    assert.deepEqual(j.recurring_noise, [{ alertname: 'High Latency', service: 'openaire-test', count: 2, services: 1 }]);
    if (version < 5) assert.deepEqual([j.mtta_seconds, j.time_to_verdict_seconds, j.mttr_seconds, j.verdicts_reversed], [60, 113.3, 600, 1]);
    const h = JSON.parse((await command(env, 'history', '--alertname', 'DiskFull', '--days', '10000', '--json')).stdout);
    assert.deepEqual([h.seen, h.auto_fixed, h.undecided], [2, 1, 1]);
    const c = await startChannel({ state, env: { SRE_RETENTION_DAYS: '0', SRE_STALE_DAYS: '0' } });
    const { json } = await c.post(notification({ alertname: 'High Latency', service: 'openaire-test', cluster: 'dev-1', namespace: 'n' }));
    assert.deepEqual(json.incidents, [6]);
    await c.call('log_incident', { incident_ids: [4, 6], verdict: 'noise', summary: 'x' });
    assert.equal((await c.call('briefing', { days: 10000 })).structuredContent.noise, 4);
    await c.stop();
  });
}
