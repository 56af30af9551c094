// The patrol against a real Prometheus (Debian's package) with a past of three days, and an exporter of the test's own that goes on where it ends.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test, { after, before, describe } from 'node:test';
import { binary, freePort, request, root, sleep, startChannel, tempDir, until, which } from '../support/channel.mjs';

const program = which('prometheus');
const running = [];
after(() => { for (const p of running) p.kill('SIGKILL'); });

const hour = 3600;
let now; // where the past ends, about
const noise = t => Math.sin(t / 977) * 0.004; // of no memory beyond minutes
// How full each is, t seconds from now. The climbing one is at 0.9 in 20 hours.
const full = {
  climb: t => 0.7 + 0.01 * t / hour + noise(t),
  saw: t => 0.4 + 0.45 * (((t / (9 * hour)) % 1 + 1) % 1) + noise(t),
  jump: t => (t > -14 * hour ? 0.8 : 0.4) + noise(t),
  idle: t => 0.6 + noise(t),
};
// The same within minutes: 3,000 messages in 140 s, until somebody reads them.
let emptied = false;
const messages = t => (emptied ? 0 : Math.round(1000 + 10 * (t + 60)));
const queue = 'rabbitmq_queue_messages_ready';
const fast = { name: 'fast', text: '{queue} has 3,000', expr: queue, threshold: 3000, horizon: '5m', history: '1m', minimum_history: '30s', step: '1s', labels: { service: 'queue' }, severity: 'info' };
const claims = Object.keys(full), size = 1e11;
const sample = (name, claim, value, t) => `${name}{namespace="data",persistentvolumeclaim="${claim}"} ${value}${t === undefined ? '' : ' ' + (now + t)}\n`;

function exposition(t) {
  let out = '# TYPE kubelet_volume_stats_capacity_bytes gauge\n# TYPE kubelet_volume_stats_available_bytes gauge\n';
  for (const c of claims) out += sample('kubelet_volume_stats_capacity_bytes', c, size) + sample('kubelet_volume_stats_available_bytes', c, Math.round(size * (1 - full[c](t))));
  return out + `# TYPE ${queue} gauge\n${queue}{queue="orders"} ${messages(t)}\n`;
}

function past(instance) {
  const out = [];
  for (const name of ['kubelet_volume_stats_capacity_bytes', 'kubelet_volume_stats_available_bytes']) {
    out.push(`# TYPE ${name} gauge\n`);
    for (const c of claims)
      for (let t = -78 * hour; t < 0; t += 240) out.push(sample(name, c, name.includes('capacity') ? size : Math.round(size * (1 - full[c](t))), t));
  }
  out.push(`# TYPE ${queue} gauge\n`);
  for (let t = -60; t < 5; t++) out.push( // over the start of Prometheus
    `${queue}{queue="orders",instance="${instance}",job="kubelet"} ${messages(t)} ${now + t}\n`);
  return out.join('') + '# EOF\n';
}

async function startPrometheus() {
  const dir = tempDir();
  now = Math.floor(Date.now() / 1000);
  const exporter = http.createServer((q, s) => s.end(exposition(Date.now() / 1000 - now)));
  await new Promise(r => exporter.listen(0, '127.0.0.1', r));
  exporter.unref();
  const instance = `127.0.0.1:${exporter.address().port}`;
  fs.writeFileSync(path.join(dir, 'past.om'), past(instance));
  execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', '--max-block-duration=100h', '-q', path.join(dir, 'past.om'), path.join(dir, 'data')]);
  fs.writeFileSync(path.join(dir, 'p.yml'), `global: {scrape_interval: 500ms, scrape_timeout: 400ms}\nscrape_configs:\n- job_name: kubelet\n  static_configs: [{targets: ["${instance}"]}]\n`);
  const port = await freePort(); // late: others of this file take ports meanwhile
  const child = spawn(program, [`--config.file=${dir}/p.yml`, `--storage.tsdb.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`, '--storage.tsdb.retention.time=30d'], { stdio: ['ignore', 'ignore', 'pipe'] });
  running.push(child);
  let log = '';
  child.stderr.on('data', d => { log += d; });
  const api = `http://127.0.0.1:${port}`;
  const get = async (p, q) => (await request(`${api}${p}?${new URLSearchParams(q)}`, { method: 'GET' })).json;
  await until(async () => (await request(api + '/-/ready', { method: 'GET' }).catch(() => ({}))).status === 200, 15_000, 'Prometheus').catch(e => { throw new Error(e.message + log); });
  await until(async () => (await get('/api/v1/query', { query: 'kubelet_volume_stats_available_bytes' })).data.result.length === claims.length, 8000, 'the first scrape');
  return { api, get, stop: () => new Promise(r => { child.once('exit', r); child.kill('SIGTERM'); exporter.close(); exporter.closeAllConnections(); }) };
}

const shipped = path.join(root, 'deploy/patrol');
const queries = () => fs.readdirSync(shipped).map(f => JSON.parse(fs.readFileSync(path.join(shipped, f), 'utf8')));
const env = more => ({ PATROL_SECONDS: '1', PATROL_CLUSTER: 'data-prod', SRE_PLAYBOOKS: path.join(root, 'playbooks'), ...more });

test('200 generated series: precision and recall', { skip: !fs.existsSync(binary('test_trend')) && 'the unit tests were not built' }, t => {
  const r = spawnSync(binary('test_trend'), { encoding: 'utf8' });
  const line = /^trend: .*precision.*$/m.exec(r.stdout + r.stderr);
  assert.ok(line, r.stdout + r.stderr);
  t.diagnostic(line[0]);
});

describe('patrol', { concurrency: 4 }, () => {

describe('with a real Prometheus', { skip: !program && 'needs prometheus' }, () => {
  let prometheus;
  before(async () => { prometheus = await startPrometheus(); });
  after(async () => { await prometheus?.stop(); });

  test('each shipped query is one that Prometheus takes', async () => {
    assert.ok(queries().length >= 6);
    for (const q of queries()) {
      const r = await prometheus.get('/api/v1/query_range', { query: q.expr, start: now - 60, end: now, step: 60 });
      assert.equal(r.status, 'success', `${q.name}: ${r.error}`);
      assert.ok(fs.existsSync(path.join(root, 'playbooks', q.playbook + '.md')), q.playbook);
    }
  });

  test('those that climb are told with their time, no other; one that turns ends', async () => {
    const c = await startChannel({ env: env({ PATROL_URL: prometheus.api, PATROL_QUERIES: folder(queries().find(q => q.name === 'pvc-fill'), fast) }) });
    const e = await c.event(x => x.meta.service === 'climb', 15_000);
    assert.equal(e.meta.kind, 'patrol');
    assert.equal(e.meta.alertname, 'Patrol pvc-fill');
    assert.equal(e.meta.namespace, 'data');
    assert.equal(e.meta.cluster, 'data-prod');
    assert.equal(e.meta.severity, 'warning');
    assert.equal(e.meta.playbook, 'patrol');
    const [, estimate, low, high] = /PVC climb reaches 90 % in (\d+) h \((\d+) to (\d+) h\)/.exec(e.content).map(Number);
    assert.ok(estimate >= 17 && estimate <= 22 && low <= estimate && estimate <= high && low >= 14 && high <= 26, e.content);
    assert.match(e.content, /runbook: playbooks\/pvc-filling-up\.md/);
    assert.match(e.content, /now (69|70)(\.\d)? %, \+[01](\.\d+)? % an hour over the last 3 d/);
    const orders = await c.event(x => x.meta.service === 'orders', 15_000);
    assert.match(orders.content, /orders has 3,000 in (1[0-4]\d s|2\.\d min) \(/);

    const id = Number(orders.meta.incident_id);
    await c.call('log_incident', { incident_ids: [id], verdict: 'real', summary: 'nobody reads' });
    const all = async () => Object.fromEntries((await c.export()).map(i => [i.service, i]));
    await until(async () => (await all()).climb.notifications >= 3, 15_000, 'some rounds more');
    assert.deepEqual(Object.keys(await all()).sort(), ['climb', 'orders']);
    assert.equal((await all()).climb.source, 'patrol');
    assert.equal((await all()).climb.status, 'firing');
    assert.equal(c.events.length, 2, 'said once');

    emptied = true;
    const end = await c.event(x => x.meta.kind === 'resolved', 20_000);
    assert.equal(end.meta.incident_id, String(id));
    const last = await all();
    assert.equal(last.orders.status, 'resolved');
    assert.equal(last.orders.flaps, 0);
    assert.equal(last.climb.status, 'firing');
    await c.stop();
  });
});

// A server of the test's own, for what a real one does not do on demand.
async function fake(answer) {
  const asked = [];
  const server = http.createServer((q, s) => { asked.push({ url: q.url, headers: q.headers }); answer(s, asked.length); });
  await new Promise(r => server.listen(0, '127.0.0.1', r));
  server.unref();
  return { asked, url: `http://127.0.0.1:${server.address().port}/prefix/`, stop: () => { server.close(); server.closeAllConnections(); } };
}

function folder(...files) {
  const dir = tempDir();
  for (const [i, f] of files.entries()) fs.writeFileSync(path.join(dir, `${i}.json`), typeof f === 'string' ? f : JSON.stringify(f));
  return dir;
}
const query = { name: 'disk', text: 'disk {device} is full', expr: 'disk{a="b"} + 1', threshold: 100, horizon: '1h', history: '10m', minimum_history: '2m', step: '10s', labels: { service: 'device' }, severity: 'error' };
const series = (device, at, points = 60) => ({ metric: { __name__: 'disk', device }, values: Array.from({ length: points }, (_, i) => { const x = (i - points + 1) * 10; return [Math.floor(Date.now() / 1000) + x, String(at(x))]; }) });
const matrix = (result, more = {}) => JSON.stringify({ status: 'success', data: { resultType: 'matrix', result }, ...more });

test('the request: prefix, times, token; the session goes on while the server stands still', async () => {
  const f = await fake((s, n) => { if (n === 1) return; s.end(matrix([series('sda', x => 50 + x / 60)])); });
  const c = await startChannel({ env: env({ PATROL_URL: f.url, PATROL_TOKEN: 'secret', PATROL_QUERIES: folder(query) }) });
  await until(() => f.asked.length === 1, 5000, 'the first question');
  const u = new URL(f.asked[0].url, 'http://x'), p = u.searchParams;
  assert.equal(u.pathname, '/prefix/api/v1/query_range');
  assert.equal(p.get('query'), query.expr);
  assert.equal(p.get('end') - p.get('start'), 600);
  assert.equal(p.get('step'), '10');
  assert.equal(f.asked[0].headers.authorization, 'Bearer secret');
  assert.equal(f.asked[0].headers['signoz-api-key'], 'secret');
  const t = Date.now();
  assert.equal((await c.call('list_incidents')).isError ?? false, false);
  assert.ok(Date.now() - t < 500);
  assert.equal(f.asked.length, 1, 'one at a time');
  await c.stop();
  f.stop();
});

test('failures are said once, counted, and end nothing; a series that is gone ends its incident', async () => {
  const good = matrix([series('sda', x => 80 + x / 60)]);
  let mode = 'good';
  const bodies = { good, error: JSON.stringify({ status: 'error', errorType: 'bad_data', error: 'no such thing' }), cut: good.slice(0, 400), huge: 'x'.repeat(9 << 20), gone: matrix([]), partial: matrix([], { warnings: ['a store is away'] }) };
  const f = await fake(s => { s.statusCode = mode === 'error' ? 400 : 200; s.end(bodies[mode]); });
  const c = await startChannel({ env: env({ PATROL_URL: f.url, PATROL_QUERIES: folder(query) }) });
  const e = await c.event();
  assert.match(e.content, /disk sda is full in (19|20) min \(/);
  await c.call('log_incident', { incident_ids: [1], verdict: 'real', summary: 'x' });
  for (const [m, says] of [['error', /patrol query failed.*no such thing/], ['cut', null], ['huge', null]]) {
    mode = m;
    const n = f.asked.length;
    await until(() => f.asked.length >= n + (m === 'error' ? 2 : 1), 6000, m);
    if (says) assert.match(c.stderr, says);
  }
  assert.equal(c.stderr.split('patrol query failed').length, 2, 'said once');
  mode = 'partial';
  const n = f.asked.length;
  await until(() => f.asked.length >= n + 4, 8000, 'partial answers');
  assert.equal((await c.export())[0].status, 'firing');
  assert.match(c.stderr, /patrol query works again/);
  mode = 'gone';
  await c.event(x => x.meta.kind === 'resolved', 15_000);
  await c.stop();
  f.stop();
});

test('without a session the standby patrols, beside one it does not', async () => {
  const f = await fake(s => s.end(matrix([series('sda', x => 80 + x / 60)])));
  const e = env({ PATROL_URL: f.url, PATROL_QUERIES: folder(query) });
  const standby = await startChannel({ args: ['standby'], initialize: false, env: e });
  const found = await until(async () => (await standby.export())[0], 15_000, 'its finding');
  assert.equal(found.source, 'patrol');
  const c = await startChannel({ state: standby.state, env: { ...e, PATROL_URL: '' } });
  const told = await c.event(() => true, 15_000); // it waited: in the digest
  assert.equal(told.meta.kind, 'digest');
  await until(async () => { const n = f.asked.length; await sleep(2500); return f.asked.length === n; }, 20_000, 'the standby to leave it to the session');
  await c.stop();
  standby.kill('SIGTERM');
  await standby.exited;
  f.stop();
});

test('wrong files are named with their field, the others are asked; without PATROL_URL nothing is', async () => {
  const f = await fake(s => s.end(matrix([])));
  const dir = folder(query, { ...query, name: 'Big Name' }, { ...query, name: 'b', horizon: 'soon' }, { ...query, name: 'c', treshold: 1 }, { ...query, name: 'd', step: '1s', history: '1d' }, '{', { ...query });
  const c = await startChannel({ env: env({ PATROL_URL: f.url, PATROL_QUERIES: dir }) });
  await until(() => f.asked.length > 0, 5000, 'the good one');
  for (const says of [/1\.json: name: must be/, /2\.json: horizon: must be a duration/, /3\.json: treshold: no such field/, /4\.json: step: too small/, /5\.json: file: /, /6\.json: name: another file/]) assert.match(c.stderr, says);
  const doctor = await c.command('doctor');
  assert.match(doctor.stdout, /fail +patrol +left out of .*1\.json/);
  await c.stop();
  f.stop();
  const plain = await startChannel({ env: { PATROL_URL: 'http://prometheus.example:9090' } }).catch(e => e);
  assert.match(String(plain), /PATROL_URL must be an https URL/);
});
});
