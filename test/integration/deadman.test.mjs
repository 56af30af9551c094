// Who watches the watcher: the ping to a dead man's switch, and the canary that the session must answer.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import test from 'node:test';
import { commandWith, freePort, notification, sleep, startChannel, tempDir, until } from '../support/channel.mjs';

async function pinged() {
  const hits = [];
  const server = http.createServer((q, s) => { hits.push(`${q.method} ${q.url}`); s.end('OK'); }).listen(0, '127.0.0.1');
  await new Promise(r => server.once('listening', r));
  server.unref();
  return { hits, url: `http://127.0.0.1:${server.address().port}/ping/abc?x=1` };
}
const libraries = c => fs.readFileSync(`/proc/${c.pid}/maps`, 'utf8');

test('the session pings, the standby beside it does not; a deaf one is no reason to', { concurrency: true }, async () => {
  const { hits, url } = await pinged(), state = tempDir();
  const env = { WEBHOOK_LISTEN: `127.0.0.1:${await freePort()}`, SRE_PING_URL: url };
  const session = await startChannel({ state, env });
  const standby = await startChannel({ state, env, args: ['standby'], initialize: false });
  await until(() => hits.length, 5000, 'a ping');
  await sleep(3000);
  assert.deepEqual(hits, ['GET /ping/abc?x=1']);
  assert.doesNotMatch(libraries(standby), /libcurl/, 'loaded by who needs it');
  assert.equal((await commandWith('{"error":"rate_limit"}', session.env, 'agent-failed')).status, 0);
  await session.stop();
  const next = await startChannel({ state, env });
  await until(() => /not pinged" why="the agent cannot work"/.test(next.stderr), 5000, 'a word of it');
  await next.stop();
  await until(() => /not pinged" why="no session, and Slack is not configured/.test(standby.stderr), 9000, 'a word of the standby');
  assert.equal(hits.length, 1);
  standby.kill('SIGTERM');
  await standby.exited;
});

test('a switch that cannot be reached is said once, and costs nothing where there is none', { concurrency: true }, async () => {
  const c = await startChannel({ env: { SRE_PING_URL: `http://127.0.0.1:${await freePort()}/` } });
  await until(() => /level=warn msg="the dead man's switch could not be pinged"/.test(c.stderr), 5000, 'a word');
  const other = await startChannel();
  await sleep(2000);
  assert.equal(c.stderr.match(/could not be pinged/g).length, 1);
  assert.doesNotMatch(libraries(other), /libcurl|libssl|ldap/);
  await c.stop();
  await other.stop();
});

test('a canary is asked at its interval, answered like a test, and leaves no trace in the numbers', { concurrency: true }, async () => {
  const c = await startChannel({ env: { SRE_CANARY_SECONDS: '2', WEBHOOK_TOKEN: 't' } });
  const auth = { headers: { authorization: 'Bearer t' } };
  for (let k = 0; k < 2; k++) {
    const e = await c.event(() => true, 8000, k);
    assert.equal(e.meta.kind, 'test');
    assert.equal(e.meta.alertname, 'Canary');
    assert.ok(e.content.length < 100);
    await c.call('log_incident', { incident_ids: [+e.meta.incident_id], verdict: 'noise', summary: 'canary' });
  }
  const b = (await c.call('briefing')).structuredContent;
  assert.deepEqual([b.total, b.noise, b.undecided], [0, 0, 0]);
  assert.equal((await c.export()).length, 1, 'only the newest is kept');
  await c.post(notification({ severity: 'warning' }), auth);
  const at = c.events.length;
  await sleep(4000);
  assert.deepEqual(c.events.slice(at - 1).filter(e => e.meta.kind === 'test' && e.at > c.events.find(x => x.meta.kind === 'alert').at), [], 'none while an event waits to be taken');
  await c.stop();
});

test('an unanswered canary pages the owner once; incidents go to him until something is taken', { concurrency: true }, async () => {
  const c = await startChannel({ env: { SRE_CANARY_SECONDS: '1', SRE_TAKE_SECONDS: '1' } });
  const trail = async () => JSON.parse((await c.command('audit', '--json')).stdout).trail;
  const told = async re => (await trail()).filter(t => t.action === 'page' && re.test(t.detail)).length;
  await until(() => told(/takes nothing of what is pushed/), 9000, 'the page');
  const { json } = await c.post(notification({ severity: 'critical', cluster: 'p' }));
  await until(async () => (await trail()).some(t => t.action === 'paged' && t.incident_id === json.incidents[0]), 5000, 'the incident with the owner');
  assert.equal(await told(/takes nothing/), 2, 'the deafness, and the incident with its reason');
  await c.call('get_incident', { incident_id: json.incidents[0] });
  await until(() => told(/works again/), 5000, 'the all-clear');
  await c.stop();
});
