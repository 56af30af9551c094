// The first whole path: a POST becomes an event, a tool call takes it, a verdict decides it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { command, commandWith, environment, freePort, notification, request, sleep, startChannel, tempDir } from '../support/channel.mjs';

const critical = { severity: 'critical', service: 'checkout', cluster: 'platform-prod', namespace: 'payments', pod: 'checkout-1' };

test('an alert becomes an event with the meta of the contract', async () => {
  const c = await startChannel();
  const answer = await c.post(notification(critical));
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.json, { accepted: 1, incidents: [1] });
  const e = await c.event();
  delete e.meta.playbook; // has a test of its own
  assert.deepEqual(e.meta, {
    kind: 'alert', incident_id: '1', status: 'firing', alertname: 'HighErrorRate', severity: 'critical', service: 'checkout',
    cluster: 'platform-prod', namespace: 'payments', environment: 'prod', alerts: '1', delivery: '1', seen_7d: '0', noise_7d: '0',
  });
  assert.match(e.content, /HighErrorRate on checkout/);
  assert.match(e.content, /get_incident\(1\) for all/);
  assert.ok(Object.values(e.meta).every(v => typeof v === 'string'));
  await c.stop();
});

test('a verdict decides, is exported, and the incident no longer waits', async () => {
  const c = await startChannel();
  await c.post(notification(critical));
  await c.event();
  const logged = await c.call('log_incident', { incident_ids: [1], verdict: 'real', summary: 'pods were OOMKilled', root_cause: 'leak', action: 'none', confidence: 0.9 });
  assert.ok(!logged.isError);
  assert.deepEqual(logged.structuredContent, { verdict: 'real', incident_ids: [1] });
  const [i] = await c.export();
  assert.equal(i.state, 'decided');
  assert.equal(i.verdict, 'real');
  assert.equal(i.summary, 'pods were OOMKilled');
  assert.equal(i.root_cause, 'leak');
  assert.equal(i.verdicts.length, 1);
  assert.equal(i.verdicts[0].confidence, 0.9);
  assert.equal(i.alerts[0].labels.pod, 'checkout-1');
  const list = await c.call('list_incidents');
  assert.deepEqual(list.structuredContent.incidents, []);
  await c.stop();
});

test('an unknown id logs nothing and names the argument', async () => {
  const c = await startChannel();
  await c.post(notification(critical));
  const r = await c.call('log_incident', { incident_ids: [1, 77], verdict: 'noise', summary: 'x' });
  assert.ok(r.isError);
  assert.match(r.content[0].text, /incident_ids.*77/);
  assert.equal((await c.export())[0].verdict, null);
  await c.stop();
});

test('what is not taken comes again as delivery 2 and 3, then no more', async () => {
  const c = await startChannel({ env: { SRE_TAKE_SECONDS: '1' } });
  await c.post(notification(critical));
  await c.event(e => e.meta.delivery === '2', 4000);
  await c.event(e => e.meta.delivery === '3', 4000);
  await sleep(2500);
  assert.deepEqual(c.events.map(e => e.meta.delivery), ['1', '2', '3']);
  assert.ok(c.events.every(e => e.meta.kind === 'alert'));
  await c.stop();
});

test('a tool call that names the incident takes it', async () => {
  const c = await startChannel({ env: { SRE_TAKE_SECONDS: '1' } });
  await c.post(notification(critical));
  await c.event();
  const r = await c.call('get_incident', { incident_id: 1 });
  assert.equal(r.structuredContent.alerts.length, 1);
  await sleep(2500);
  assert.equal(c.events.length, 1);
  assert.equal((await c.export())[0].state, 'taken');
  await c.stop();
});

test('taken but undecided is reminded of once', async () => {
  const c = await startChannel({ env: { SRE_UNATTENDED_SECONDS: '1' } });
  await c.post(notification(critical));
  await c.event();
  await c.call('get_incident', { incident_id: 1 });
  await c.event(e => e.meta.kind === 'reminder', 4000);
  await sleep(2500);
  assert.equal(c.events.filter(e => e.meta.kind === 'reminder').length, 1);
  await c.stop();
});

test('repeats are silent; a new member is counted; after the verdict it asks again', async () => {
  const c = await startChannel();
  await c.post(notification(critical));
  await c.event();
  for (let i = 0; i < 3; i++) assert.equal((await c.post(notification(critical))).status, 200);
  await c.post(notification({ ...critical, pod: 'checkout-2' }));
  await sleep(700);
  assert.equal(c.events.length, 1);
  let [i] = await c.export();
  assert.equal(i.notifications, 5);
  assert.equal(i.alerts.length, 2);
  await c.call('log_incident', { incident_ids: [1], verdict: 'noise', summary: 'x' });
  await c.post(notification({ ...critical, pod: 'checkout-3' }));
  const again = await c.event(e => e !== c.events[0]);
  assert.match(again.content, /a new alert joined/);
  assert.equal(again.meta.last_verdict, 'noise');
  assert.equal(again.meta.delivery, '1');
  await c.stop();
});

test('severity that rises is pushed even before the verdict', async () => {
  const c = await startChannel();
  await c.post(notification({ ...critical, severity: 'warning' }));
  await c.event();
  await c.post(notification({ ...critical, severity: 'critical' }));
  const e = await c.event(e => e.meta.severity === 'critical');
  assert.equal(e.meta.incident_id, '1');
  await c.stop();
});

test('a resolution is silent unless the incident was taken or has a verdict other than noise', async () => {
  const c = await startChannel();
  const names = ['untouched', 'taken', 'real', 'noise'];
  for (const service of names) await c.post(notification({ ...critical, service }));
  await c.event(e => e.meta.service === 'noise');
  await c.call('get_incident', { incident_id: 2 });
  await c.call('log_incident', { incident_ids: [3], verdict: 'real', summary: 'x' });
  await c.call('log_incident', { incident_ids: [4], verdict: 'noise', summary: 'x' });
  for (const service of names) await c.post(notification({ ...critical, service }, { status: 'resolved' }));
  await c.event(e => e.meta.kind === 'resolved' && e.meta.service === 'real');
  await sleep(700);
  assert.deepEqual(c.events.filter(e => e.meta.kind === 'resolved').map(e => e.meta.service).sort(), ['real', 'taken']);
  assert.ok((await c.export()).every(i => i.status === 'resolved' && i.closed_at));
  await c.stop();
});

test('a flap reopens the same incident; beyond the window a new one opens', async () => {
  const c = await startChannel({ env: { SRE_FLAP_SECONDS: '1' } });
  await c.post(notification(critical));
  await c.post(notification(critical, { status: 'resolved' }));
  await c.post(notification(critical));
  let all = await c.export();
  assert.equal(all.length, 1);
  assert.equal(all[0].flaps, 1);
  assert.equal(all[0].status, 'firing');
  await c.post(notification(critical, { status: 'resolved' }));
  await sleep(1500);
  await c.post(notification(critical));
  all = await c.export();
  assert.equal(all.length, 2);
  await c.stop();
});

test('what waits when a session starts is one digest, then pushed as usual', async () => {
  const state = tempDir();
  const first = await startChannel({ state });
  for (const service of ['a', 'b', 'c']) await first.post(notification({ ...critical, service }));
  first.kill('SIGKILL');
  await first.exited;
  await sleep(50);
  const second = await startChannel({ state });
  const digest = await second.event();
  assert.equal(digest.meta.kind, 'digest');
  for (const id of [1, 2, 3]) assert.match(digest.content, new RegExp(`#${id}\\b`));
  await second.post(notification({ ...critical, service: 'd' }));
  const e = await second.event(e => e.meta.kind === 'alert');
  assert.equal(e.meta.service, 'd');
  await sleep(300);
  assert.equal(second.events.length, 2);
  await second.stop();
});

test('nothing waits: no digest, and the first push comes 0.2 to 2 s after initialized', async () => {
  const c = await startChannel();
  const initialized = Date.now();
  await c.post(notification(critical));
  const e = await c.event();
  assert.ok(e.at - initialized >= 200 && e.at - initialized <= 2000, `${e.at - initialized} ms`);
  assert.equal(c.events.length, 1);
  await c.stop();
});

test('a test button shows at each press and leaves no trace in the history', async () => {
  const c = await startChannel();
  const press = { receiver: 'x', status: 'firing', alerts: [{ status: 'firing', labels: { alertname: 'TestAlert', instance: 'Grafana' },
    annotations: { summary: 'Notification test' }, startsAt: '2026-11-24T03:00:00Z', endsAt: '0001-01-01T00:00:00Z', fingerprint: '57c6d9296de2ad39', values: null }], version: '1', orgId: 1 };
  await c.post(press);
  await c.post(press);
  await c.event(e => e.meta.incident_id === '2');
  assert.deepEqual(c.events.map(e => e.meta.kind), ['test', 'test']);
  assert.equal(c.events[1].meta.seen_7d, '0');
  assert.deepEqual((await c.call('list_incidents')).structuredContent.incidents, []);
  await c.stop();
});

test('the watchdog alert only feeds the watch', async () => {
  const c = await startChannel();
  const r = await c.post(notification({ alertname: 'Watchdog', severity: 'none' }));
  assert.deepEqual(r.json, { accepted: 1, incidents: [] });
  assert.deepEqual(await c.export(), []);
  await c.stop();
});

test('a second session only serves tools, and takes over when the first is gone', async () => {
  const state = tempDir();
  const env = { WEBHOOK_LISTEN: `127.0.0.1:${await freePort()}` };
  const first = await startChannel({ state, env });
  const second = await startChannel({ state, env });
  await first.post(notification(critical));
  await first.event();
  await sleep(700);
  assert.equal(second.events.length, 0);
  assert.equal((await second.call('get_incident', { incident_id: 1 })).structuredContent.incident_id, 1);
  first.kill('SIGKILL');
  const digest = await second.event(() => true, 9000);
  assert.equal(digest.meta.kind, 'digest');
  assert.equal((await second.post(notification({ ...critical, service: 'other' }))).status, 200);
  await second.event(e => e.meta.service === 'other');
  await second.stop();
});

test('a port that another program has is said clearly', async () => {
  const state = tempDir();
  const net = await import('node:net');
  const other = net.createServer().listen(0, '127.0.0.1');
  await new Promise(r => other.once('listening', r));
  const r = await command(environment(state, { WEBHOOK_LISTEN: `127.0.0.1:${other.address().port}` }));
  assert.equal(r.status, 1);
  assert.match(r.stderr, /taken by another program/);
  other.close();
});

test('beyond loopback without a token is refused at start', async () => {
  const r = await command(environment(tempDir(), { WEBHOOK_LISTEN: '0.0.0.0:0' }));
  assert.equal(r.status, 1);
  assert.match(r.stderr, /WEBHOOK_TOKEN/);
});

test('SIGINT, SIGTERM and end of stdin end it cleanly and soon', async () => {
  for (const how of ['SIGINT', 'SIGTERM', 'eof']) {
    const c = await startChannel();
    await c.post(notification(critical));
    const began = Date.now();
    if (how === 'eof') c.transport._process.stdin.end();
    else c.kill(how);
    const end = await c.exited;
    assert.equal(end.code, 0, how);
    assert.ok(end.at - began <= 1500, `${how}: ${end.at - began} ms`);
  }
});

test('the state folder and the database are closed to others', async () => {
  const c = await startChannel();
  const mode = f => fs.statSync(f).mode & 0o777;
  assert.equal(mode(path.join(c.state, 'state')), 0o700);
  assert.equal(mode(path.join(c.state, 'state/incidents.db')), 0o600);
  await c.stop();
});

test('a damaged database is moved aside and a new one begun', async () => {
  const state = tempDir();
  const first = await startChannel({ state });
  await first.post(notification(critical));
  await first.stop();
  await first.exited;
  const db = path.join(state, 'state/incidents.db');
  fs.writeFileSync(db, Buffer.alloc(8192, 0x55));
  const second = await startChannel({ state });
  assert.match(second.stderr, /damaged/);
  assert.equal((await second.post(notification(critical))).status, 200);
  assert.ok(fs.readdirSync(path.join(state, 'state')).some(f => f.startsWith('incidents.db.damaged-')));
  await second.stop();
});

test('an unknown key warns with the nearest known one, a bad value is an error', async () => {
  const c = await startChannel({ env: { WEBHOOK_TOKN: 'x' } });
  assert.match(c.stderr, /WEBHOOK_TOKN.*nearest=WEBHOOK_TOKEN/);
  assert.doesNotMatch(c.stderr, /level=warn.*=x\b/);
  await c.stop();
  const r = await command(environment(tempDir(), { SRE_EVENT_BYTES: 'many' }), 'incidents');
  assert.equal(r.status, 1);
  assert.match(r.stderr, /SRE_EVENT_BYTES must be a whole number/);
});

test('a configuration file with a secret that others can read is refused', async () => {
  const state = tempDir();
  const env = environment(state);
  fs.writeFileSync(env.SRE_CONFIG, 'WEBHOOK_TOKEN=very-secret\n', { mode: 0o644 });
  const r = await command(env, 'incidents');
  assert.equal(r.status, 1);
  assert.match(r.stderr, /chmod 600/);
  assert.doesNotMatch(r.stderr, /very-secret/);
  fs.chmodSync(env.SRE_CONFIG, 0o600);
  assert.equal((await command(env, 'incidents')).status, 0);
});

test('who may post: Bearer, Basic and Grafana signatures, checked before the body', async () => {
  const crypto = await import('node:crypto');
  const c = await startChannel({ env: { WEBHOOK_TOKEN: 'secret-token', WEBHOOK_HMAC_SECRET: 'hmac-secret' } });
  const body = JSON.stringify(notification(critical));
  const post = headers => request(c.url + '/', { body, headers });
  const sign = text => crypto.createHmac('sha256', 'hmac-secret').update(text).digest('hex');
  const now = Math.floor(Date.now() / 1000);
  assert.equal((await post({})).status, 401);
  assert.equal((await post({ authorization: 'Bearer wrong' })).status, 401);
  assert.equal((await post({ authorization: 'Bearer secret-token' })).status, 200);
  assert.equal((await post({ authorization: 'Basic ' + Buffer.from('anyone:secret-token').toString('base64') })).status, 200);
  assert.equal((await post({ authorization: 'Basic ' + Buffer.from('secret-token:anyone').toString('base64') })).status, 401);
  assert.equal((await post({ 'x-grafana-alerting-signature': sign(body) })).status, 200);
  assert.equal((await post({ 'x-grafana-alerting-signature': sign(body + ' ') })).status, 401);
  assert.equal((await post({ 'x-grafana-alerting-signature': sign(`${now}:${body}`), 'x-grafana-alerting-timestamp': String(now) })).status, 200);
  assert.equal((await post({ 'x-grafana-alerting-signature': sign(`${now - 400}:${body}`), 'x-grafana-alerting-timestamp': String(now - 400) })).status, 401);
  assert.doesNotMatch(c.stderr, /secret-token|hmac-secret/);
  await c.stop();
});

test('the answers of the contract', async () => {
  const c = await startChannel({ env: { WEBHOOK_MAX_BODY: '4096' } });
  const status = async (p, o) => (await request(c.url + p, o)).status;
  assert.equal(await status('/healthz', { method: 'GET' }), 200);
  assert.equal(await status('/nowhere', { body: '{}' }), 404);
  const wrong = await request(c.url + '/', { method: 'DELETE' });
  assert.equal(wrong.status, 405);
  assert.match(wrong.headers.allow, /POST/);
  assert.equal(await status('/', { body: '{}', headers: { 'content-type': 'text/html' } }), 415);
  assert.equal(await status('/', { body: '{"alerts":' }), 400);
  assert.equal(await status('/', { body: '{"alerts":[]}' }), 400);
  assert.equal(await status('/', { body: '['.repeat(3000) }), 400);
  assert.equal(await status('/webhook/my-signoz', { method: 'PUT', body: notification(critical) }), 200);
  const big = await request(c.url + '/webhook/my-signoz', { body: 'x'.repeat(5000) });
  assert.equal(big.status, 413);
  const all = await c.export();
  assert.equal(all.length, 2);
  assert.equal(all[0].source, 'my-signoz');
  assert.equal(all[1].alertname, 'oversized notification');
  assert.match(all[1].text, /5000 bytes.*my-signoz/);
  await c.stop();
});

test('good alerts of a notification are stored, the others are listed', async () => {
  const c = await startChannel();
  const body = notification(critical);
  body.alerts.push(5, { ...body.alerts[0], labels: { ...body.alerts[0].labels, pod: 'checkout-9' } });
  const r = await c.post(body);
  assert.equal(r.status, 200);
  assert.equal(r.json.accepted, 2);
  assert.equal(r.json.rejected.length, 1);
  assert.match(r.json.rejected[0].error, /alerts\[1\]/);
  await c.stop();
});

test('readyz tells whether a session is attached', async () => {
  const c = await startChannel({ initialize: false });
  assert.equal((await request(c.url + '/readyz', { method: 'GET' })).status, 503);
  await c.client.connect(c.transport).catch(() => {});
  await c.transport.close();
});

test('5,000 alerts in one body are one incident, and all kept', async () => {
  const c = await startChannel();
  const labels = Array.from({ length: 5000 }, (_, i) => ({ ...critical, pod: `checkout-${i}` }));
  const body = JSON.stringify(notification(labels));
  const r = await c.post(body);
  assert.equal(r.status, 200);
  assert.equal(r.json.accepted, 5000);
  assert.deepEqual(r.json.incidents, [1]);
  const e = await c.event();
  assert.equal(e.meta.alerts, '5000');
  assert.ok(Buffer.byteLength(e.content) <= 4096);
  const [i] = await c.export();
  assert.equal(i.alerts.length, 5000);
  const shown = (await c.call('get_incident', { incident_id: 1 })).structuredContent;
  assert.equal(shown.alerts.length + shown.alerts_left_out, 5000);
  assert.ok(shown.alerts.length > 10);
  await c.stop();
});

test('a storm stays within the budget, and critical incidents of prod keep their own event', async () => {
  const c = await startChannel();
  const storm = Array.from({ length: 300 }, (_, i) => ({ severity: 'warning', service: `svc-${i}`, cluster: 'data-eu', namespace: 'n' }));
  await c.post(notification(storm));
  await c.event(e => e.meta.kind === 'digest', 6000);
  await c.post(notification(critical));
  await c.event(e => e.meta.severity === 'critical' && e.meta.kind === 'alert', 3000);
  assert.match(c.events.find(e => e.meta.kind === 'digest').content, /by severity: warning 280\nby cluster: data-eu 280\nby alert: HighErrorRate 280\n/);
  const own = c.events.filter(e => e.meta.kind === 'alert');
  assert.equal(own.length, 21);
  assert.equal(c.events.filter(e => e.meta.kind === 'digest').length, 1);
  const bytes = c.events.reduce((n, e) => n + Buffer.byteLength(JSON.stringify(e)), 0);
  assert.ok(bytes < 20 * 4096, `${bytes} bytes`);
  const seen = new Set();
  let cursor;
  do {
    const page = (await c.call('list_incidents', { limit: 100, ...(cursor && { cursor }) })).structuredContent;
    page.incidents.forEach(i => seen.add(i.incident_id));
    cursor = page.next_cursor;
  } while (cursor);
  assert.equal(seen.size, 301);
  await c.stop();
});

test('every tool call is in the audit trail, secrets masked', async () => {
  const c = await startChannel();
  await c.post(notification(critical));
  await c.call('list_incidents', { state: 'open' });
  await c.call('log_incident', { incident_ids: [1], verdict: 'real', summary: 'password=hunter2secret leaked' });
  const trail = JSON.parse((await c.command('audit', '--json')).stdout).trail;
  const calls = trail.filter(t => t.action === 'called').map(t => t.detail);
  assert.equal(calls[0], 'list_incidents {"state":"open"}');
  assert.match(calls[1], /^log_incident \{"incident_ids":\[1\]/);
  assert.doesNotMatch(JSON.stringify(trail), /hunter2secret/);
  assert.match((await c.command('audit', '--incident', '1')).stdout, /agent +verdict +#1 real/);
  await c.stop();
});

test('a second problem of the same name is never swallowed by a noise verdict on the first', async () => {
  const c = await startChannel();
  await c.post(notification({ ...critical, disk: 'a' }));
  await c.event();
  await c.call('log_incident', { incident_ids: [1], verdict: 'noise', summary: 'x' });
  await c.post(notification({ ...critical, disk: 'a' }, { status: 'resolved' }));
  await c.post(notification({ ...critical, disk: 'a' }));
  await sleep(700);
  assert.equal(c.events.length, 1, 'the same alert, already noise, stays silent');
  await c.post(notification({ ...critical, disk: 'b' }));
  assert.match((await c.event(e => e !== c.events[0])).content, /a new alert joined after the verdict noise/);
  await c.stop();
});

test('one node that died reads as one line of the digest', async () => {
  const c = await startChannel({ env: { SRE_EVENTS_PER_MINUTE: '2' } });
  const storm = Array.from({ length: 60 }, (_, i) => ({ alertname: ['PodNotReady', 'PodCrashLooping', 'TargetDown'][i % 3], severity: 'warning', service: `svc-${i}`, cluster: 'data-eu', node: 'worker-3' }));
  await c.post(notification(storm));
  const digest = await c.event(e => e.meta.kind === 'digest', 6000);
  assert.match(digest.content, /- 58 incidents share node worker-3 in data-eu: .*PodCrashLooping/);
  assert.doesNotMatch(digest.content, /more incidents: list_incidents/);
  await c.stop();
});

test('what stays unattended pages the owner once, taken and undecided after twice the time', async () => {
  const c = await startChannel({ env: { SRE_UNATTENDED_SECONDS: '1' } });
  await c.post(notification([{ ...critical, service: 'untaken' }, { ...critical, service: 'taken' }]));
  await c.event(e => e.meta.service === 'taken');
  await c.call('get_incident', { incident_id: 2 });
  await sleep(5000);
  const trail = JSON.parse((await c.command('audit', '--json')).stdout).trail;
  const paged = id => trail.filter(t => t.incident_id === id && t.action === 'paged').map(t => Date.parse(t.at));
  assert.equal(paged(1).length, 1);
  assert.equal(paged(2).length, 1);
  assert.ok(paged(2)[0] > paged(1)[0]);
  const timeline = (await c.call('get_incident', { incident_id: 2 })).structuredContent.timeline.map(t => t.what);
  assert.deepEqual(timeline, ['fired', 'pushed', 'taken', 'pushed', 'paged']);
  await c.stop();
});

test('a standby shares the port, pages while no agent runs, and hands over to the session', async () => {
  const state = tempDir();
  const env = { WEBHOOK_LISTEN: `127.0.0.1:${await freePort()}`, SRE_UNATTENDED_SECONDS: '1' };
  const standby = await startChannel({ state, env, args: ['standby'], initialize: false });
  assert.equal((await request(standby.url + '/readyz', { method: 'GET' })).status, 200);
  assert.equal((await standby.post(notification(critical))).status, 200);
  await sleep(3000);
  const trail = async () => JSON.parse((await standby.command('audit', '--json')).stdout).trail;
  assert.deepEqual((await trail()).map(t => t.action), ['page', 'paged']);
  const session = await startChannel({ state, env });
  const digest = await session.event();
  assert.equal(digest.meta.kind, 'digest');
  assert.match(digest.content, /#1\b/);
  // one of the two takes it, the session tells it
  for (let i = 0; i < 6; i++) assert.equal((await session.post(notification({ ...critical, service: `s${i}` }))).status, 200);
  for (let i = 0; i < 6; i++) await session.event(e => e.meta.service === `s${i}`);
  await session.stop();
  assert.equal((await standby.post(notification({ ...critical, service: 'later' }))).status, 200);
  standby.kill('SIGTERM');
  assert.equal((await standby.exited).code, 0);
});

test('a watchdog that falls silent is an incident of its cluster, and ends when it is heard again', async () => {
  const c = await startChannel({ env: { SRE_WATCHDOG_SECONDS: '2' } });
  const beat = () => c.post(notification({ alertname: 'Watchdog', severity: 'none', cluster: 'data-eu' }));
  for (let i = 0; i < 3; i++) { await beat(); await sleep(1000); }
  assert.equal(c.events.length, 0, 'heard: nothing to say');
  const e = await c.event(() => true, 6000);
  assert.equal(e.meta.alertname, 'Watchdog');
  assert.equal(e.meta.cluster, 'data-eu');
  assert.equal(e.meta.severity, 'critical');
  assert.match(e.content, /last heard at/);
  await c.call('get_incident', { incident_id: Number(e.meta.incident_id) });
  await beat();
  await c.event(e => e.meta.kind === 'resolved', 6000);
  await c.stop();
});

test('a session that cannot work passes its alerts to the owner at once, until the next verdict', async () => {
  const c = await startChannel();
  const hook = JSON.stringify({ hook_event_name: 'StopFailure', error: 'rate_limit', last_assistant_message: 'API Error: 429' });
  assert.equal((await commandWith(hook, c.env, 'agent-failed')).status, 0);
  await c.post(notification(critical));
  const paged = async () => JSON.parse((await c.command('audit', '--json')).stdout).trail.filter(t => t.action === 'paged').map(t => t.incident_id);
  for (let i = 0; i < 40 && !(await paged()).length; i++) await sleep(100);
  assert.deepEqual(await paged(), [1]);
  await c.call('log_incident', { incident_ids: [1], verdict: 'noise', summary: 'x' });
  await c.post(notification({ ...critical, service: 'other' }));
  await sleep(2500);
  assert.deepEqual(await paged(), [1]);
  await c.stop();
});

test('metrics need the token, are Prometheus text, and the same whichever process answers', async () => {
  const c = await startChannel({ env: { WEBHOOK_TOKEN: 'secret-token' } });
  const authorization = 'Bearer secret-token';
  await c.post(notification([critical, { ...critical, service: 'b' }]), { headers: { authorization } });
  await c.post('{', { headers: { authorization } });
  assert.equal((await request(c.url + '/metrics', { method: 'GET' })).status, 401);
  await c.event(e => e.meta.service === 'b');
  await c.call('get_incident', { incident_id: 1 });
  await c.call('log_incident', { incident_ids: [2], verdict: 'noise', summary: 'x' });
  const metrics = async () => (await request(c.url + '/metrics', { method: 'GET', headers: { authorization } })).text;
  let text;
  for (let i = 0; i < 60 && !/sre_verdicts_total\{verdict="noise"\} 1\n/.test(text = await metrics()); i++) await sleep(100);
  for (const line of ['sre_notifications_total 1', 'sre_alerts_total 2', 'sre_refused_total{status="400"} 1', 'sre_refused_total{status="401"} 1',
    'sre_events_total{kind="alert"} 2', 'sre_incidents_waiting{state="taken"} 1', 'sre_incidents_firing 2', 'sre_lease_held{channel="webhook"} 1',
    'sre_take_seconds_count 1', 'sre_verdict_seconds_bucket{le="+Inf"} 1']) {
    assert.ok(text.includes(line + '\n'), `${line} in\n${text}`);
  }
  for (const line of text.trim().split('\n')) assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{[^}]*\})? -?[\d.]+)$/);
  await c.stop();
});

test('resolutions never keep an alert waiting', async () => {
  const c = await startChannel({ env: { SRE_EVENTS_PER_MINUTE: '5' } });
  const many = Array.from({ length: 40 }, (_, i) => ({ ...critical, severity: 'warning', service: `svc-${i}` }));
  await c.post(notification(many));
  await c.event(e => e.meta.kind === 'digest', 6000);
  await c.call('log_incident', { incident_ids: many.map((_, i) => i + 1), verdict: 'real', summary: 'x' });
  await c.post(notification(many, { status: 'resolved' }));
  await c.post(notification(critical));
  await c.event(e => e.meta.severity === 'critical' && e.meta.kind === 'alert', 3000);
  await c.stop();
});

test('resolutions beyond the budget are one line of a digest', async () => {
  const c = await startChannel({ env: { SRE_EVENTS_PER_MINUTE: '3' } });
  const three = ['a', 'b', 'c'].map(service => ({ ...critical, severity: 'warning', service }));
  await c.post(notification(three));
  await c.event(e => e.meta.service === 'c');
  await c.call('log_incident', { incident_ids: [1, 2, 3], verdict: 'real', summary: 'x' });
  await c.post(notification(three, { status: 'resolved' }));
  const digest = await c.event(e => e.meta.kind === 'digest', 6000);
  assert.match(digest.content, /3 resolved: #1, #2, #3/);
  await c.stop();
});

test('what a session took before its first push is not asked again', async () => {
  const state = tempDir();
  const first = await startChannel({ state });
  await first.post(notification([critical, { ...critical, service: 'other' }]));
  await first.stop();
  const second = await startChannel({ state });
  await second.call('get_incident', { incident_id: 1 });
  const digest = await second.event();
  assert.match(digest.content, /^1 incident .*\n.*#2 other/);
  assert.deepEqual((await second.export()).map(i => i.state), ['taken', 'pushed']);
  await second.stop();
});
