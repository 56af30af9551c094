// The n-th allocation, write, fsync, SQLite call or socket call of a scripted session fails, for each n: no crash, no
// hang, no wrong answer, and what was answered 200 (and each verdict that was confirmed) is in the store afterwards.
// See test/faults/run.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';

const BUILD = process.env.BUILD_DIR, SHIM = path.join(BUILD, 'libfaults.so');
const KINDS = ['sync', 'write', 'socket', 'sqlite', 'alloc'];
const PATIENCE = 15000; // ms, for a machine that is busy
const base = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
const scratch = fs.mkdtempSync(path.join(base, 'sre-faults-'));
process.on('exit', () => fs.rmSync(scratch, { recursive: true, force: true }));
for (const s of ['SIGINT', 'SIGTERM']) process.on(s, () => process.exit(130));

const environment = state => ({
  PATH: process.env.PATH, HOME: state, SRE_CONFIG: path.join(state, 'config.env'), SRE_STATE_DIR: path.join(state, 'state'), WEBHOOK_LISTEN: '127.0.0.1:0',
});
const late = (ms, what) => new Promise((_, no) => setTimeout(() => no(new Error(`no ${what} within ${ms} ms`)), ms).unref());

// A program with the shim in it. report: [calls, failed].
function start(program, args, state, fault) {
  const report = path.join(state, 'report');
  fs.writeFileSync(report, Buffer.alloc(16));
  const env = { ...environment(state), LD_PRELOAD: SHIM, FAULT_KIND: fault.kind, FAULT_AT: String(fault.at), FAULT_REPORT: report, ...(process.env.FAULT_TRACE && { FAULT_TRACE: '1' }) };
  const child = spawn(path.join(BUILD, program), args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const p = { child, log: '', lines: [], waiting: new Map(), ended: null };
  let rest = '', wake = () => {};
  child.stdin.on('error', () => {});
  child.stderr.on('data', d => { p.log += d; wake(); });
  child.stdout.on('data', d => {
    const parts = (rest + d).split('\n');
    rest = parts.pop();
    for (const line of parts) {
      const m = JSON.parse(line);
      p.lines.push(m);
      p.waiting.get(m.id)?.(m);
    }
    wake();
  });
  p.exited = new Promise(r => child.once('close', (code, signal) => { p.ended = { code, signal }; wake(); r(p.ended); }));
  p.report = () => { const b = fs.readFileSync(report); return { calls: Number(b.readBigUInt64LE(0)), failed: Number(b.readBigUInt64LE(8)) }; };
  p.say = m => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...m })}\n`);
  // The answer to a request; null when the program ended instead.
  p.ask = (id, method, params) => Promise.race([
    new Promise(r => { p.waiting.set(id, r); p.say({ id, method, params }); }), p.exited.then(() => null), late(PATIENCE, `answer to ${method}`)]);
  p.until = async (what, say) => {
    const limit = Date.now() + PATIENCE;
    while (!what() && !p.ended) {
      if (Date.now() > limit) throw new Error(`no ${say} within ${PATIENCE} ms`);
      await Promise.race([new Promise(r => { wake = r; }), new Promise(r => setTimeout(r, 200))]);
    }
    return what();
  };
  return p;
}

// null: the connection broke.
function post(url, body) {
  const answer = new Promise(resolve => {
    const data = JSON.stringify(body);
    const q = http.request(url, { method: 'POST', agent: false, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(data) } }, s => {
      let text = '';
      s.on('data', d => { text += d; });
      s.on('end', () => resolve({ status: s.statusCode, text }));
      s.on('error', () => resolve(null));
    });
    q.on('error', () => resolve(null));
    q.end(data);
  });
  return Promise.race([answer, late(PATIENCE, 'HTTP answer')]);
}

const alert = (name, status = 'firing') => ({
  status, labels: { alertname: 'DiskFull', severity: 'error', cluster: 'c-1', namespace: 'n', service: name }, annotations: { summary: `${name} is full` },
  startsAt: '2026-11-24T03:00:00Z', endsAt: status === 'resolved' ? '2026-11-24T04:00:00Z' : '0001-01-01T00:00:00Z', fingerprint: `f-${name}`,
});
const body = (...alerts) => ({ version: '4', status: alerts[0].status, alerts });

// One faulted session: what it promised. A broken promise, a wrong answer and a hang throw.
async function session(state, fault, prefix) {
  const told = { accepted: new Map(), tried: new Map(), verdicts: [], calls: 0, fired: false, gaveUp: false };
  const p = start('webhook-channel', [], state, fault);
  const send = async (url, ...alerts) => {
    for (const x of alerts) told.tried.set(x.fingerprint, x.status);
    const a = await post(url, body(...alerts));
    if (!a) return;
    if (a.status !== 200 && a.status < 500) throw new Error(`answered ${a.status}: ${a.text}`);
    if (a.status !== 200) return;
    const { accepted } = JSON.parse(a.text);
    if (accepted !== alerts.length) throw new Error(`200 for ${accepted} of ${alerts.length}`);
    for (const x of alerts) told.accepted.set(x.fingerprint, x.status);
  };
  try {
    if (await p.until(() => /listening address=(\S+)/.exec(p.log), 'port')) {
      const url = `http://${/listening address=(\S+)/.exec(p.log)[1]}/webhook`, [a, b, c] = ['a', 'b', 'c'].map(x => prefix + x);
      const ready = p.ask(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'f', version: '1' } });
      await send(url, alert(a));
      if (await ready) p.say({ method: 'notifications/initialized' });
      await send(url, alert(a));
      await send(url, alert(b), alert(c));
      await p.ask(2, 'tools/list', {});
      const list = await p.ask(3, 'tools/call', { name: 'list_incidents', arguments: {} });
      const id = list?.result?.structuredContent?.incidents?.[0]?.incident_id ?? 1;
      const word = `checked ${prefix}`;
      const logged = await p.ask(4, 'tools/call', { name: 'log_incident', arguments: { incident_ids: [id], verdict: 'real', summary: word } });
      if (logged?.result && !logged.result.isError) told.verdicts.push([id, word]);
      await p.ask(5, 'tools/call', { name: 'check_history', arguments: { incident_id: id } });
      await send(url, alert(a, 'resolved'));
      await p.ask(6, 'tools/call', { name: 'get_incident', arguments: { incident_id: id } });
    }
    p.child.stdin.end();
    const end = await Promise.race([p.exited, late(PATIENCE, 'end')]);
    if (end.signal) throw new Error(`crashed: ${end.signal}`);
    told.gaveUp = end.code !== 0;
    if (/Sanitizer|runtime error/.test(p.log)) throw new Error('sanitizer');
  } catch (e) {
    p.child.kill('SIGKILL');
    await p.exited;
    throw new Error(`${e.message}\n${p.log.split('\n').slice(-30).join('\n')}`);
  } finally {
    const r = p.report();
    told.calls = r.calls;
    told.fired = r.failed > 0;
  }
  return told;
}

// An unfaulted process looks at what is there.
function check(state, told) {
  const r = spawnSync(path.join(BUILD, 'webhook-channel'), ['export'], { env: environment(state), encoding: 'utf8', timeout: PATIENCE, maxBuffer: 1 << 28 });
  const all = r.stdout.split('\n').filter(Boolean).map(l => JSON.parse(l));
  const known = new Map(all.flatMap(i => i.alerts.map(a => [a.fingerprint, a.status])));
  if (r.status !== 0 && (told.accepted.size || !/no such|not exist|cannot open|unable/i.test(r.stderr))) throw new Error(`export ends with ${r.status}: ${r.stderr}`);
  // What was sent after it may have been taken, too, and only the answer to it lost.
  for (const [fingerprint, status] of told.accepted)
    if (![status, told.tried.get(fingerprint)].includes(known.get(fingerprint))) throw new Error(`lost: ${fingerprint} was accepted ${status} and is ${known.get(fingerprint)}`);
  for (const [id, word] of told.verdicts)
    if (!all.find(i => i.incident_id === id)?.verdicts.some(v => v.summary === word)) throw new Error(`lost: verdict of ${id}`);
}

async function one(scenario, seed, kind, at) {
  const state = fs.mkdtempSync(path.join(scratch, `${kind}-`));
  let told;
  try {
    if (scenario === 'restart') fs.cpSync(seed, state, { recursive: true });
    told = await session(state, { kind, at }, scenario === 'restart' ? 'r' : 'f');
    check(state, told);
  } finally {
    fs.rmSync(state, { recursive: true, force: true });
  }
  return told;
}

// Which n of 1 to total are tried: all, or so many, the first ones and then evenly.
function choose(total, most) {
  if (total <= most) return Array.from({ length: total }, (_, i) => i + 1);
  return [...new Set(Array.from({ length: most }, (_, i) => 1 + Math.floor(i * (total - 1) / (most - 1))))];
}

async function run(scenario, seed, kind, most, jobs) {
  const dry = await one(scenario, seed, kind, 0);
  if (!dry.calls) throw new Error(`no call of the kind ${kind} was seen: is the shim in it?`);
  const todo = choose(dry.calls + Math.ceil(dry.calls / 20), most), n = todo.length, began = Date.now();
  let fired = 0, gaveUp = 0;
  const broken = [];
  const work = async () => {
    for (let at; (at = todo.shift()) !== undefined;) {
      try {
        const told = await one(scenario, seed, kind, at);
        fired += told.fired;
        gaveUp += told.fired && told.gaveUp;
      } catch (e) {
        broken.push(at);
        console.log(`${scenario} ${kind} ${at}: ${e.message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  console.log(`${scenario.padEnd(8)} ${kind.padEnd(7)} ${dry.calls} calls, ${n} tried, ${fired} failed one, ${gaveUp} of these ended the program in order, ` +
    `${broken.length} broken promises, ${Math.round((Date.now() - began) / 1000)} s`);
  return broken.length;
}

const [most = '40', only, atOnly] = process.argv.slice(2);
const seed = path.join(scratch, 'seed');
fs.mkdirSync(seed);
await session(seed, { kind: 'none', at: 0 }, 'f');
let broken = 0;
for (const kind of only ? [only] : KINDS) {
  for (const scenario of ['fresh', 'restart']) {
    if (atOnly) {
      try { console.log(await one(scenario, seed, kind, Number(atOnly))); } catch (e) { console.log(`${scenario} ${kind} ${atOnly}: ${e.message}`); broken++; }
    } else {
      broken += await run(scenario, seed, kind, most === 'all' ? Infinity : Number(most), 4);
    }
  }
}
console.log(broken ? `${broken} broken promises` : 'every promise was kept');
process.exit(broken ? 1 : 0);
