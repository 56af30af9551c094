// The life of an incident across sessions, storms and odd settings: what is asked is asked again until it is answered, and no more.
import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { notification, sleep, startChannel, tempDir, until } from '../support/channel.mjs';

const body = (labels, o) => notification([labels].flat().map(l => ({ severity: 'warning', cluster: 'platform-prod', namespace: 'n', ...l })), o);
const kinds = c => c.events.map(e => `${e.meta.kind}${e.meta.delivery ?? ''}`);
const shared = () => ({ state: tempDir(), env: { WEBHOOK_LISTEN: '127.0.0.1:0' } });
const bytes = e => Buffer.byteLength(e.content) + Object.entries(e.meta).reduce((n, [k, v]) => n + k.length + Buffer.byteLength(v), 0);

describe('across sessions', { concurrency: 6 }, () => {
  test('what a digest handed over comes again as delivery 2 and 3, each on its own', async () => {
    const state = tempDir(), env = { SRE_TAKE_SECONDS: '2' };
    const first = await startChannel({ state, env });
    await first.post(body([{ service: 'a' }, { service: 'b' }]));
    first.kill('SIGKILL');
    await first.exited;
    const second = await startChannel({ state, env });
    await second.event(e => e.meta.kind === 'digest');
    await second.call('get_incident', { incident_id: 1 });
    await second.event(e => e.meta.delivery === '3', 8000);
    await sleep(2500);
    assert.deepEqual(kinds(second), ['digest', 'alert2', 'alert3']);
    assert.ok(second.events.slice(1).every(e => e.meta.incident_id === '2'));
    assert.deepEqual((await second.export()).map(i => i.deliveries), [1, 3]);
    await second.stop();
  });

  test('taken by a session that ended: the next one is asked again', async () => {
    const state = tempDir();
    const first = await startChannel({ state });
    await first.post(body({ service: 'a' }));
    await first.event();
    await first.call('get_incident', { incident_id: 1 });
    await first.stop();
    const second = await startChannel({ state });
    assert.match((await second.event()).content, /#1\b/);
    assert.equal((await second.export())[0].state, 'pushed');
    await second.stop();
  });

  test('decided is decided: the next session hears nothing, not even the end', async () => {
    const state = tempDir();
    const first = await startChannel({ state });
    await first.post(body({ service: 'a' }));
    await first.event();
    await first.call('log_incident', { incident_ids: [1], verdict: 'escalated', summary: 'x' });
    await first.stop();
    const silent = await startChannel({ state, initialize: false });
    await silent.post(body({ service: 'a' }, { status: 'resolved' }));
    silent.kill('SIGKILL');
    await silent.exited;
    const second = await startChannel({ state });
    await sleep(2000);
    assert.deepEqual(second.events, []);
    await second.stop();
  });

  test('resolved before anybody looked: still asked about, as resolved', async () => {
    const state = tempDir();
    const silent = await startChannel({ state, initialize: false });
    await silent.post(body({ service: 'a' }));
    await silent.post(body({ service: 'a' }, { status: 'resolved' }));
    silent.kill('SIGKILL');
    await silent.exited;
    const c = await startChannel({ state });
    assert.match((await c.event()).content, /#1 a \(resolved\)/);
    await c.stop();
  });

  test('test buttons pressed while no session was there show when one is', async () => {
    const state = tempDir();
    const silent = await startChannel({ state, initialize: false });
    for (let i = 0; i < 2; i++) await silent.post(body({ alertname: 'Test Alert (sre)', severity: 'critical' }));
    silent.kill('SIGKILL');
    await silent.exited;
    const c = await startChannel({ state });
    await until(() => c.events.length === 2, 4000, 'both');
    assert.deepEqual(c.events.map(e => e.meta.kind), ['test', 'test']);
    await c.stop();
  });

  test('a tool call in the second session takes it for both', async () => {
    const o = shared();
    o.env.SRE_TAKE_SECONDS = '2';
    const first = await startChannel(o), second = await startChannel(o);
    await first.post(body({ service: 'a' }));
    await first.event();
    await second.call('get_incident', { incident_id: 1 });
    await sleep(3500);
    assert.equal(first.events.length, 1);
    await second.call('log_incident', { incident_ids: [1], verdict: 'real', summary: 'x' });
    await second.post(body({ service: 'a' }, { status: 'resolved' }));
    await first.event(e => e.meta.kind === 'resolved');
    assert.equal(second.events.length, 0);
    await first.stop();
    await second.stop();
  });

  test('a session that ends hands over at once what it was told but did not take', async () => {
    const o = shared();
    const first = await startChannel(o), second = await startChannel(o);
    await first.post(body({ service: 'a' }));
    await first.event();
    await first.stop();
    const e = await second.event(() => true, 4000);
    assert.equal(e.meta.kind, 'digest');
    assert.match(e.content, /#1\b/);
    await second.stop();
  });
});

describe('within a session', { concurrency: 6 }, () => {
  test('a raise is asked at once, keeps its kind, and starts the count anew', async () => {
    const c = await startChannel({ env: { SRE_TAKE_SECONDS: '2' } });
    await c.post(body({ service: 'a' }));
    await c.event(e => e.meta.delivery === '2', 5000);
    await c.post(body({ service: 'a', severity: 'critical' }));
    const e = await c.event(e => e.meta.severity === 'critical');
    assert.equal(e.meta.kind, 'alert');
    assert.equal(e.meta.delivery, '1');
    assert.equal(e.meta.alerts, '2');
    assert.match(e.content, /severity rose to critical/);
    await c.stop();
  });

  test('a second disk that is full after the verdict is never swallowed by the first', async () => {
    const c = await startChannel();
    for (const verdict of ['noise', 'real']) {
      const from = c.events.length, disk = n => ({ alertname: 'DiskFull', service: verdict, mountpoint: `/${n}` });
      await c.post(body(disk(1)));
      const e = await c.event(() => true, 3000, from);
      const id = Number(e.meta.incident_id);
      await c.call('log_incident', { incident_ids: [id], verdict, summary: 'x' });
      await c.post(body(disk(2)));
      assert.match((await c.event(() => true, 3000, from + 1)).content, /new alert joined after the verdict/);
      await c.call('log_incident', { incident_ids: [id], verdict, summary: 'x' });
      // also where the first two are over and the third reopens the incident
      const resolutions = from + 2 + (verdict === 'real' ? 1 : 0);
      await c.post(body([disk(1), disk(2)], { status: 'resolved' }));
      await until(() => c.events.length === resolutions, 3000, 'the end');
      await c.post(body(disk(3)));
      const third = await c.event(() => true, 3000, resolutions);
      assert.equal(Number(third.meta.incident_id), id);
      assert.match(third.content, /new alert joined after the verdict/);
    }
    await c.stop();
  });

  test('an event names ten members and counts the rest', async () => {
    const c = await startChannel();
    await c.post(body(Array.from({ length: 25 }, (_, i) => ({ service: 'a', pod: `p-${i}` }))));
    const e = await c.event();
    assert.equal(e.content.match(/^- firing: /gm).length, 10);
    assert.match(e.content, /and 15 more alerts/);
    await c.stop();
  });

  test('0 switches off: no redelivery, no flap window', async () => {
    const c = await startChannel({ env: { SRE_TAKE_SECONDS: '0', SRE_FLAP_SECONDS: '0' } });
    for (let i = 0; i < 3; i++) {
      await c.post(body({ service: 'a' }));
      await c.post(body({ service: 'a' }, { status: 'resolved' }));
    }
    await until(() => c.events.length === 3, 4000, 'three incidents');
    await sleep(1500);
    assert.deepEqual(kinds(c), ['alert1', 'alert1', 'alert1']);
    assert.ok((await c.export()).every(i => i.flaps === 0));
    await c.stop();
  });

  for (const env of [{ SRE_EVENT_BYTES: '1' }, { SRE_EVENT_BYTES: '200' }, { SRE_EVENTS_PER_MINUTE: '1' }, { SRE_EVENTS_PER_MINUTE: '1', SRE_EVENT_BYTES: '300' }, { SRE_EVENTS_PER_MINUTE: '1000000000', SRE_EVENT_BYTES: '1000000000' }]) {
    test(`odd limits: ${JSON.stringify(env)}`, async () => {
      const c = await startChannel({ env });
      await c.post(body(Array.from({ length: 60 }, (_, i) => ({ service: `s-${i}`, severity: i % 2 ? 'critical' : 'warning' }))));
      await c.event(() => true, 6000);
      await sleep(4500);
      const cap = Number(env.SRE_EVENT_BYTES ?? 4096), most = Number(env.SRE_EVENTS_PER_MINUTE ?? 20);
      assert.ok(c.events.every(e => Buffer.byteLength(e.content) <= Math.max(cap, 0)), c.events.map(e => e.content.length).join());
      const alerts = c.events.filter(e => e.meta.kind === 'alert'), digests = c.events.filter(e => e.meta.kind === 'digest');
      assert.ok(digests.length <= 1);
      assert.ok(alerts.length <= 2 * most);
      if (c.events.length > 1) assert.ok(c.events.reduce((n, e) => n + bytes(e), 0) <= cap * most, 'bytes a minute');
      assert.equal((await c.call('list_incidents', { limit: 1 })).structuredContent.total, 60);
      assert.doesNotMatch(c.stderr, /level=error/);
      await c.stop();
    });
  }

  test('a storm of 3,000 incidents, their ends and their return: one digest a minute, within the bytes, all of it listed', async () => {
    const c = await startChannel({ env: { SRE_TAKE_SECONDS: '3' } });
    const storm = Array.from({ length: 3000 }, (_, i) => ({ alertname: `A-${i % 7}`, service: `svc-${i}`, severity: ['warning', 'info', 'error'][i % 3] }));
    await c.post(body(storm));
    await c.event(e => e.meta.kind === 'digest', 8000);
    await c.call('log_incident', { incident_ids: Array.from({ length: 100 }, (_, i) => i + 1), verdict: 'real', summary: 'one cause' });
    await c.post(body(storm, { status: 'resolved' }));
    await c.post(body(storm));
    await sleep(8000);
    assert.equal(c.events.filter(e => e.meta.kind === 'digest').length, 1);
    const sum = c.events.reduce((n, e) => n + bytes(e), 0);
    assert.ok(sum <= 20 * 4096, `${sum} bytes`);
    const all = await c.export();
    assert.equal(all.length, 3000);
    assert.ok(all.every(i => i.flaps === 1 && i.status === 'firing'));
    const critical = await c.post(body({ service: 'core', severity: 'critical' }));
    assert.equal(critical.status, 200);
    const e = await c.event(e => e.meta.service === 'core', 3000);
    assert.equal(e.meta.kind, 'alert');
    await c.stop();
  });
});
