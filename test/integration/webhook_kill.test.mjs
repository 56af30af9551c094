// SIGKILL at any moment: what was answered 200 is in the store, once, and reaches a later session.
// WEBHOOK_KILLS makes the loop longer.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import test from 'node:test';
import { binary, environment, notification, request, sleep, startChannel, tempDir, until } from '../support/channel.mjs';

// Ports below those that the system gives to outgoing connections: a sender that tries again would connect to itself.
const KILLS = Number(process.env.WEBHOOK_KILLS ?? 40), SENDERS = 6;

// Without a session: a client that never says anything.
async function startSilent(env) {
  const child = spawn(binary('webhook-channel'), { env, stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', d => { stderr += d; });
  child.stdout.resume();
  const exited = new Promise(r => child.once('exit', r));
  await until(() => /listening address=/.test(stderr) || child.exitCode !== null, 8000, `listening: ${stderr}`);
  assert.equal(child.exitCode, null, stderr);
  return { kill: s => child.kill(s), exited };
}

// Sends until told to stop: a batch of alerts a request, each an incident of its own, retried until it is answered as senders do.
async function sender(n, url, until_, accepted) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; !until_.stop; i++) {
    const labels = Array.from({ length: 1 + i % 4 }, (_, k) => ({ severity: 'warning', cluster: 'c', namespace: 'n', service: `s-${n}-${i}-${k}` }));
    for (let tries = 0; ; tries++) {
      const answer = await request(url, { body: notification(labels), agent }).catch(() => null);
      if (answer?.status === 200) {
        assert.equal(answer.json.accepted, labels.length);
        for (const l of labels) accepted.set(l.service, tries);
        break;
      }
      if (answer) assert.equal(answer.status, 503, answer.text);
      if (until_.stop) break;
      await sleep(5 + Math.random() * 20);
    }
  }
  agent.destroy();
}

test(`${KILLS} SIGKILLs under load: every alert answered 200 is kept once and reaches a later session`, { timeout: 120_000 }, async () => {
  const state = tempDir(), port = 20000 + process.pid % 12000;
  const env = { WEBHOOK_LISTEN: `127.0.0.1:${port}` };
  const accepted = new Map(), verdicts = new Map(), stop = { stop: false };
  const senders = Array.from({ length: SENDERS }, (_, n) => sender(n, `http://127.0.0.1:${port}/`, stop, accepted));
  for (let i = 0; i < KILLS; i++) {
    const attached = i % 3 === 0;
    const c = attached ? await startChannel({ state, env }) : await startSilent(environment(state, env));
    let judging;
    if (attached) {
      judging = (async () => {
        for (let id = i + 1; ; id += 7) {
          const r = await c.call('log_incident', { incident_ids: [id], verdict: 'real', summary: `round ${i}` });
          if (!r.isError) verdicts.set(id, `round ${i}`);
        }
      })().catch(() => {});
    }
    await sleep(10 + Math.random() * (attached ? 700 : 150));
    c.kill('SIGKILL');
    await c.exited;
    if (attached) await c.client.close().catch(() => {});
    await judging;
  }
  stop.stop = true;
  await Promise.all(senders);

  const last = await startChannel({ state, env });
  const all = await last.export();
  const byService = new Map();
  for (const i of all) byService.set(i.service, [...byService.get(i.service) ?? [], i]);
  assert.ok(accepted.size > KILLS, `${accepted.size} alerts were answered 200`);
  for (const service of accepted.keys()) {
    const found = byService.get(service) ?? [];
    assert.equal(found.length, 1, `${service}: ${found.length} incidents`);
    assert.equal(found[0].alerts.length, 1, service);
  }
  // Every verdict that was confirmed is in the trail, also where a later one, unconfirmed, followed.
  const trail = new Map(all.map(i => [i.incident_id, i.verdicts.map(v => v.summary)]));
  for (const [id, summary] of verdicts) assert.ok(trail.get(id).includes(summary), `verdict of ${id}`);
  assert.ok(verdicts.size > 0);

  // The digest counts them all, and the pages that it points to name each.
  const waiting = all.filter(i => i.state !== 'decided');
  const digest = await last.event(e => e.meta.kind === 'digest');
  assert.equal(digest.meta.incidents, String(waiting.length));
  const named = new Set();
  for (let cursor; ;) {
    const page = (await last.call('list_incidents', { limit: 100, ...(cursor && { cursor }) })).structuredContent;
    for (const i of page.incidents) named.add(i.incident_id);
    if (!(cursor = page.next_cursor)) break;
  }
  assert.deepEqual([...named].sort((a, b) => a - b), waiting.map(i => i.incident_id).sort((a, b) => a - b));
  await last.stop();
});

test('one of two processes of a store is killed again and again: senders that try again are always served', { timeout: 60_000 }, async () => {
  const state = tempDir(), port = 12000 + process.pid % 8000, env = { WEBHOOK_LISTEN: `127.0.0.1:${port}` };
  const accepted = new Map(), stop = { stop: false };
  const standby = await startChannel({ state, env, args: ['standby'], initialize: false });
  const senders = Array.from({ length: 3 }, (_, n) => sender(n, `http://127.0.0.1:${port}/`, stop, accepted));
  let longest = 0;
  for (let i = 0; i < 12; i++) {
    const c = await startSilent(environment(state, env)), before = accepted.size, began = Date.now();
    await sleep(20 + Math.random() * 150);
    c.kill('SIGKILL');
    await c.exited;
    await until(() => accepted.size > before, 3000, 'the next alert');
    longest = Math.max(longest, Date.now() - began);
  }
  stop.stop = true;
  await Promise.all(senders);
  assert.ok(longest < 3000, `${longest} ms without service`);
  const found = new Set((await standby.export()).map(i => i.service));
  for (const service of accepted.keys()) assert.ok(found.has(service), service);
  const session = await startChannel({ state, env });
  assert.equal((await session.event()).meta.kind, 'digest');
  await session.stop();
  standby.kill('SIGTERM');
  assert.equal((await standby.exited).code, 0);
});
