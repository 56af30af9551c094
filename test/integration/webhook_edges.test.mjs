// The channel's ways out: peers that go away, a store that is locked while tools write, an end while requests wait, headers as senders write
// them. What must hold: a clear answer, nothing half done, and the next one is served.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import net from 'node:net';
import path from 'node:path';
import test, { describe } from 'node:test';
import { notification, request, sleep, startChannel, until } from '../support/channel.mjs';
import { fakeTickets } from '../support/fake_tickets.mjs';

const alert = (service, more = {}) => notification({ severity: 'warning', service, cluster: 'c', namespace: 'n', ...more });
const fire = async (c, service) => (await c.post(alert(service))).json.incidents[0];
const text = r => r.content[0].text;

// Another process that holds the write lock until `release`.
async function lock(c) {
  const child = spawn('sqlite3', [path.join(c.state, 'state/incidents.db')], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', d => { out += d; });
  child.stdin.write("PRAGMA busy_timeout=5000;\nBEGIN IMMEDIATE;\nSELECT 'held';\n");
  await until(() => out.includes('held'), 6000, 'the lock');
  return () => new Promise(r => { child.once('exit', r); child.stdin.end('ROLLBACK;\n.quit\n'); });
}

// Writes it, and goes away once it is under way.
async function goAway(c, head, body = '') {
  const socket = net.connect(Number(new URL(c.url).port), '127.0.0.1').on('error', () => {});
  await new Promise(r => socket.once('connect', r));
  socket.write(`${head}\r\nHost: localhost\r\nContent-Length: ${Buffer.byteLength(body)}\r\nContent-Type: application/json\r\n\r\n${body}`);
  await sleep(100);
  socket.resetAndDestroy();
  await sleep(50);
}

describe('the edges', { concurrency: 6 }, () => {
  test('content types as senders write them, and a body of nothing', async () => {
    const c = await startChannel();
    for (const type of ['application/json; charset=utf-8', 'application/json ; charset=UTF-8', 'APPLICATION/JSON', 'text/json', 'application/vnd.alerts+json', ''])
      assert.equal((await c.post(alert('typed'), { headers: { 'content-type': type } })).status, 200, type);
    for (const type of ['text/plain', 'text/plain; application/json', 'application/x-www-form-urlencoded', '+json', 'json'])
      assert.equal((await c.post(alert('typed'), { headers: { 'content-type': type } })).status, 415, type);
    const empty = await c.post('');
    assert.equal(empty.status, 400);
    assert.match(empty.json.error, /the body is empty/);
    assert.equal((await c.export()).length, 1);
    await c.stop();
  });

  test('what of a body is refused is listed, as far as it is of use', async () => {
    const c = await startChannel();
    const good = alert('good').alerts[0];
    const r = await c.post({ ...alert('x'), alerts: [{ labels: 1 }, good, { labels: [] }] });
    assert.equal(r.status, 200);
    assert.equal(r.json.accepted, 1);
    assert.deepEqual(r.json.rejected.map(x => x.index), [0, 2]);
    const many = await c.post({ ...alert('x'), alerts: [good, ...Array(500).fill({ labels: 7 })] });
    assert.equal(many.json.rejected.length, 100);
    await c.stop();
  });

  test('with a signature alone metrics are read, and an oversized body makes no incident', async () => {
    const c = await startChannel({ env: { WEBHOOK_HMAC_SECRET: 'hmac-secret', WEBHOOK_MAX_BODY: '2000' } });
    const signature = body => ({ 'x-grafana-alerting-signature': crypto.createHmac('sha256', 'hmac-secret').update(body).digest('hex') });
    const get = headers => request(c.url + '/metrics', { method: 'GET', headers });
    assert.equal((await get(signature(''))).status, 200);
    assert.equal((await get(signature('x'))).status, 401);
    assert.equal((await get({})).status, 401);
    assert.equal((await c.post(alert('signed'), { headers: signature(JSON.stringify(alert('signed'))) })).status, 200);
    assert.equal((await c.post('x'.repeat(3000), { headers: signature('whatever') })).status, 413);
    assert.deepEqual((await c.export()).map(i => i.service), ['signed']);
    await c.stop();
  });

  test('an oversized body is named by who sent it', async () => {
    const c = await startChannel({ env: { WEBHOOK_MAX_BODY: '2000' } });
    const big = { body: 'x'.repeat(3000), headers: { 'content-type': 'application/json' } };
    const send = (p, headers) => request(c.url + p, { ...big, headers: { ...big.headers, ...headers } });
    for (const [p, headers] of [['/', { 'user-agent': 'Alertmanager/0.27.0' }], ['/', {}], ['/webhook/edge-1', { 'user-agent': 'x' }]]) assert.equal((await send(p, headers)).status, 413);
    const named = (await c.export()).map(i => JSON.stringify(i));
    for (const word of ['Alertmanager', 'unknown', 'edge-1']) assert.ok(named.some(i => i.includes(word)), word);
    const release = await lock(c);
    assert.equal((await send('/webhook/edge-2', {})).status, 503);
    await goAway(c, 'POST /webhook/edge-3 HTTP/1.1', big.body);
    await release();
    assert.equal((await send('/webhook/edge-4', {})).status, 413);
    await c.stop();
  });

  test('a peer that goes away while its alert waits for the store was promised nothing, and is not missed', async () => {
    const c = await startChannel();
    const release = await lock(c);
    await goAway(c, 'POST / HTTP/1.1', JSON.stringify(alert('gone')));
    await release();
    assert.equal((await c.post(alert('stayed'))).status, 200);
    assert.deepEqual((await c.export()).map(i => i.service), ['stayed']);
    await c.stop();
  });

  test('reports that nobody waits for any more make room for others', async () => {
    const c = await startChannel();
    await fire(c, 'a');
    for (let i = 0; i < 3; i++) await Promise.all([0, 1].map(async () => {
      const s = net.connect(Number(new URL(c.url).port), '127.0.0.1').on('error', () => {});
      await new Promise(r => s.once('connect', r));
      s.write('GET /report HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await sleep(5);
      s.resetAndDestroy();
    }));
    await until(async () => (await request(c.url + '/report', { method: 'GET' })).status === 200, 3000, 'a report');
    await c.stop();
  });

  test('a store whose tables are gone: reports, metrics, tools and commands say so', async () => {
    const c = await startChannel();
    await fire(c, 'a');
    const child = spawn('sqlite3', [path.join(c.state, 'state/incidents.db')], { stdio: ['pipe', 'ignore', 'inherit'] });
    child.stdin.end('PRAGMA busy_timeout=5000;\nALTER TABLE incident RENAME TO away;\nALTER TABLE census RENAME TO gone;\n');
    await new Promise(r => child.once('exit', r));
    const r = await request(c.url + '/report', { method: 'GET' });
    assert.equal(r.status, 503);
    assert.match(r.json.error, /could not be made/);
    await until(() => /the report could not be made/.test(c.stderr));
    assert.equal((await request(c.url + '/metrics', { method: 'GET' })).status, 503);
    for (const [tool, args] of [['get_incident', { incident_id: 1 }], ['list_incidents', {}], ['check_history', { service: 'a' }], ['briefing', {}], ['tuning_proposals', {}]]) {
      const answer = await c.call(tool, args);
      assert.equal(answer.isError, true, tool);
      assert.match(text(answer), /the store cannot be read: no such table/, tool);
    }
    for (const words of [['incidents'], ['export'], ['briefing'], ['history', '--service', 'a'], ['proposals'], ['postmortem', '1'], ['report', '--html', '-']]) {
      const said = await c.command(...words);
      assert.equal(said.status, 1, words[0]);
      assert.match(said.stderr, new RegExp(`^${words[0]}: no such table`, 'm'), words[0]);
    }
    await c.stop();
  });

  test('the end answers what waits: it was not stored, send it again', async () => {
    const c = await startChannel();
    const release = await lock(c);
    const waits = c.post(alert('late')).catch(e => ({ status: e.code }));
    await sleep(100);
    c.kill('SIGTERM');
    const r = await waits;
    await release();
    await c.exited;
    assert.equal(r.status, 503);
    assert.match(r.json.error, /shutting down|locked/);
    assert.deepEqual(await c.export(), []);
  });

  test('tools say that nothing was stored while another process holds the store', async () => {
    const f = await fakeTickets('cloud'), c = await startChannel({ env: f.env });
    const id = await fire(c, 'a');
    const release = await lock(c);
    const answers = await Promise.all([
      c.call('log_incident', { incident_ids: [id], verdict: 'noise', summary: 's' }), c.call('tuning_proposals', {}),
      c.call('decide_proposal', { proposal_id: 1, decision: 'rejected' }), c.call('create_ticket', { title: 't', body: 'b', incident_ids: [id] })]);
    await release();
    for (const [i, words] of [/locked by another process/, /could not be remembered, call again: locked/, /nothing was recorded, call again: .*locked/, /no ticket was stored, call again/].entries()) {
      assert.equal(answers[i].isError, true);
      assert.match(text(answers[i]), words);
    }
    assert.equal((await c.export())[0].verdict, null);
    assert.equal(f.issues.length, 0);
    assert.ok(!(await c.call('log_incident', { incident_ids: [id], verdict: 'noise', summary: 's' })).isError);
    await c.stop();
  });

  test('list_incidents: by severity, page by page, and not from a cursor of somebody else', async () => {
    const c = await startChannel();
    await c.post(notification([...Array(7).keys()].map(i => ({ service: `s-${i}`, cluster: 'c', severity: i % 2 ? 'critical' : 'warning' }))));
    const critical = (await c.call('list_incidents', { severity: 'critical' })).structuredContent.incidents;
    assert.deepEqual(critical.map(i => i.severity), ['critical', 'critical', 'critical']);
    const seen = [];
    for (let cursor; ;) {
      const page = (await c.call('list_incidents', { limit: 3, ...(cursor && { cursor }) })).structuredContent;
      seen.push(...page.incidents.map(i => i.service));
      if (!(cursor = page.next_cursor)) break;
    }
    assert.deepEqual(seen.sort(), [...Array(7).keys()].map(i => `s-${i}`));
    for (const cursor of ['x', '-1', '0', '1x', '99999999999999999999']) {
      const r = await c.call('list_incidents', { cursor });
      assert.equal(r.isError, true, cursor);
      assert.match(text(r), /^cursor: use the next_cursor/);
    }
    await c.stop();
  });
});
