// A real Alertmanager (Debian's package) as sender, with a configuration, ports and storage of its own.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { after, describe } from 'node:test';
import { request, sleep, startChannel, tempDir, until, which } from '../support/channel.mjs';

const program = which('prometheus-alertmanager');
const running = [];
after(() => { for (const p of running) p.kill('SIGKILL'); });

const freePort = () => new Promise(r => { const s = net.createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => r(port)); }); });

async function startAlertmanager({ url, http = '', group = '[alertname]', repeat = '2s', wait = '300ms', peers = null }) {
  const dir = tempDir(), port = await freePort();
  fs.writeFileSync(path.join(dir, 'am.yml'), `
route: {receiver: sre, group_by: ${group}, group_wait: ${wait}, group_interval: 1s, repeat_interval: ${repeat}}
receivers:
- name: sre
  webhook_configs:
  - url: ${url}
    send_resolved: true
${http}`);
  const cluster = peers ? [`--cluster.listen-address=127.0.0.1:${peers.own}`, `--cluster.peer=127.0.0.1:${peers.other}`, '--cluster.settle-timeout=1s', '--cluster.peer-timeout=1s'] : ['--cluster.listen-address='];
  const child = spawn(program, [`--config.file=${dir}/am.yml`, `--storage.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`, ...cluster], { stdio: ['ignore', 'ignore', 'pipe'] });
  running.push(child);
  let log = '';
  child.stderr.on('data', d => { log += d; });
  const api = `http://127.0.0.1:${port}`;
  await until(async () => (await request(api + '/-/ready', { method: 'GET' }).catch(() => ({}))).status === 200, 10_000, `Alertmanager: ${log}`);
  // Prometheus's own form: `ends` in seconds from now resolves.
  const send = async (labels, { ends, annotations = { summary: 'seen by a test' } } = {}) => {
    const now = Date.now();
    const alerts = [labels].flat().map(l => ({
      labels: l, annotations, startsAt: new Date(now + Math.min(0, ends ?? 0) * 2000).toISOString(), generatorURL: 'http://prometheus/graph',
      ...(ends !== undefined && { endsAt: new Date(now + ends * 1000).toISOString() }),
    }));
    // startsAt is now: an older alert would not wait for its group.
    assert.equal((await request(api + '/api/v2/alerts', { body: alerts })).status, 200);
  };
  return { send, api, get log() { return log; }, stop: () => new Promise(r => { child.once('exit', r); child.kill('SIGTERM'); }) };
}

const pod = (n, more = {}) => ({ alertname: 'KubePodCrashLooping', severity: 'warning', cluster: 'platform-prod', namespace: 'payments', service: 'checkout', pod: `checkout-${n}`, ...more });
const five = [1, 2, 3, 4, 5].map(n => pod(n));

describe('Alertmanager', { concurrency: 4, skip: !program && 'needs prometheus-alertmanager' }, () => {
  test('five alerts of a group are one event; repeats are silent; resolve and flap', async () => {
    const c = await startChannel();
    const am = await startAlertmanager({ url: c.url + '/webhook/' });
    await am.send(five);
    const e = await c.event();
    assert.equal(e.meta.kind, 'alert');
    assert.equal(e.meta.alerts, '5');
    assert.equal(e.meta.alertname, 'KubePodCrashLooping');
    assert.equal(e.meta.cluster, 'platform-prod');
    const one = async () => { const all = await c.export(); assert.equal(all.length, 1); return all[0]; };
    assert.equal((await one()).source, 'alertmanager');
    await until(async () => (await one()).notifications >= 4, 15_000, 'repeats');
    assert.equal(c.events.length, 1, 'repeats are silent');
    await c.call('get_incident', { incident_id: 1 });

    await am.send(pod(1), { ends: -1 });
    await until(async () => (await one()).alerts.filter(a => a.status === 'resolved').length === 1, 8000, 'one resolved');
    assert.equal((await one()).status, 'firing');
    await am.send(five.slice(1), { ends: -1 });
    const end = await c.event(e => e.meta.kind === 'resolved', 8000);
    assert.equal(end.meta.incident_id, '1');
    assert.equal((await one()).status, 'resolved');

    await am.send(five.slice(0, 2));
    await until(async () => (await one()).status === 'firing', 8000, 'the flap');
    assert.equal((await one()).flaps, 1);
    const again = await c.event(e => e.meta.kind === 'alert' && e !== c.events[0], 3000);
    assert.match(again.content, /flapped 1x/);
    await am.stop();
    await c.stop();
  });

  test('the receiver is down and comes back: nothing lost, nothing twice', async () => {
    const first = await startChannel();
    const port = new URL(first.url).port, env = { WEBHOOK_LISTEN: `127.0.0.1:${port}` };
    const am = await startAlertmanager({ url: first.url + '/', group: '[service]' });
    await am.send(pod(1, { service: 'before' }));
    await first.event();
    await first.stop();
    await am.send(Array.from({ length: 20 }, (_, i) => pod(1, { service: `down-${i}` })));
    await until(() => /connection refused/.test(am.log), 8000, 'Alertmanager noticing');
    const second = await startChannel({ state: first.state, env });
    await until(async () => (await second.export()).length === 21, 20_000, 'what was sent meanwhile');
    const all = await second.export();
    assert.deepEqual(all.map(i => i.service).sort(), ['before', ...Array.from({ length: 20 }, (_, i) => `down-${i}`)].sort());
    assert.ok(all.every(i => i.alerts.length === 1 && i.flaps === 0));
    await am.stop();
    await second.stop();
  });

  for (const [how, http] of [
    ['Basic', "    http_config: {basic_auth: {username: any, password: 'a b:c'}}\n"],
    ['Bearer', "    http_config: {authorization: {credentials: 'a b:c'}}\n"],
  ]) {
    test(`${how} authentication`, async () => {
      const c = await startChannel({ env: { WEBHOOK_TOKEN: 'a b:c' } });
      const am = await startAlertmanager({ url: c.url + '/', http });
      await am.send(pod(1));
      await c.event();
      assert.doesNotMatch(c.stderr, /401/);
      await am.stop();
      await c.stop();
    });
  }

  test('a wrong token is refused, and said on both sides', async () => {
    const c = await startChannel({ env: { WEBHOOK_TOKEN: 'right' } });
    const am = await startAlertmanager({ url: c.url + '/', http: "    http_config: {authorization: {credentials: wrong}}\n" });
    await am.send(pod(1));
    await until(() => /unexpected status code 401/.test(am.log), 8000, 'the 401');
    assert.match(c.stderr, /status=401/);
    assert.deepEqual(await c.export(), []);
    await am.stop();
    await c.stop();
  });

  test('two Alertmanagers of one cluster, each with its own startsAt: one incident, one event', async () => {
    const c = await startChannel();
    const a = await freePort(), b = await freePort();
    const pair = [await startAlertmanager({ url: c.url + '/', peers: { own: a, other: b } }), await startAlertmanager({ url: c.url + '/', peers: { own: b, other: a } })];
    for (const am of pair) { await am.send(five); await sleep(300); }
    await c.event();
    await until(async () => (await c.export())[0].notifications >= 3, 15_000, 'both to send');
    const all = await c.export();
    assert.equal(all.length, 1);
    assert.equal(all[0].alerts.length, 5);
    assert.equal(c.events.length, 1);
    for (const am of pair) await am.stop();
    await c.stop();
  });

  test('a group of 1,000 alerts with max_alerts: what it left out is said', async () => {
    const c = await startChannel();
    const am = await startAlertmanager({ url: c.url + '/', http: '    max_alerts: 400\n', repeat: '1h', wait: '2s' });
    await am.send(Array.from({ length: 1000 }, (_, i) => pod(i)));
    const e = await c.event(() => true, 10_000);
    assert.match(e.content, /left out 600 more alerts/);
    assert.equal((await c.export())[0].alerts.length, 400);
    await am.stop();
    await c.stop();
  });
});
