// Measures both channels and the references in interleaved rounds; prints one table (Markdown). test/bench/run builds and starts it.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { parseArgs } from 'node:util';
import { buildDir, environment, here, hooks, initialize, loadProgram, post, run, Server, sleep, variants } from './server.mjs';
import { report } from './report.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' }, turns: { type: 'string', default: '4' }, seconds: { type: 'string', default: '0.5' }, full: { type: 'boolean' }, out: { type: 'string' },
    only: { type: 'string' }, note: { type: 'string', default: '' }, help: { type: 'boolean' },
  },
});
if (options.help) {
  console.log(`usage: test/bench/run [--rounds 5] [--turns 4] [--seconds 0.5] [--full] [--only load,start,idle,guard,memory] [--out FILE.md] [--note TEXT]
  A round starts every server anew; each load is --turns turns of --seconds, server after server. --full: the memory at a million incidents, too; --note: what to say of the machine in the table`);
  process.exit(0);
}
const rounds = Number(options.rounds), turns = Number(options.turns), seconds = Number(options.seconds);
const wanted = part => !options.only || options.only.split(',').includes(part);
const say = text => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sre-bench-'));
const measured = {}; // metric -> variant -> [value of each round]
const lost = [];
const note = (metric, variant, value) => ((measured[metric] ??= {})[variant] ??= []).push(value);
const MIXED = 'nmrr'; // of what alerts are; load.c
const order = (names, round) => names.map((_, i) => names[(i + round) % names.length]);

// Every alert that was answered 200: ours holds it in `export`, once; a reference has passed it on, and a durable one has the body.
async function checkNothingLost(s, sent) {
  if (s.variant.ours) {
    const missing = new Set();
    let twice = 0, distinct = 0;
    for (const { salt, distinct: n } of sent) {
      distinct += n;
      for (let i = 0; i < n; i++) missing.add(salt + i.toString(16).padStart(8, '0'));
    }
    const child = spawn(s.variant.command[0], ['export'], { env: environment(s.variant, s.state, s.port), stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of readline.createInterface({ input: child.stdout }))
      for (const a of JSON.parse(line).alerts) if (!missing.delete(a.fingerprint)) twice++;
    if (missing.size || twice) lost.push(`${s.name}: of ${distinct} alerts ${missing.size} are not in the store, ${twice} unasked for`);
    return;
  }
  const alerts = sent.reduce((n, p) => n + p.alerts, 0), posts = sent.reduce((n, p) => n + p.posts, 0);
  for (let i = 0; i < 100 && s.lines < alerts; i++) await sleep(50);
  if (s.lines !== alerts) lost.push(`${s.name}: ${s.lines} of ${alerts} alerts were passed on`);
  if (s.variant.durable) {
    const kept = Number(await run('sqlite3', [path.join(s.state, 'reference.db'), 'SELECT count(*) FROM post']));
    if (kept !== posts) lost.push(`${s.name}: ${kept} of ${posts} bodies are in the store`);
  }
}

async function load(s, metric, salt, connections, alerts, mix = MIXED, limit = ['seconds', seconds]) {
  const before = s.cpu, r = await post(s.port, connections, alerts, mix, salt, ...limit), after = s.cpu;
  if (r.not_200) lost.push(`${s.name}: ${r.not_200} posts of ${metric} were not answered 200`);
  s.sent.push({ ...r, salt });
  const user = after.user - before.user, system = after.system - before.system;
  return { ...r, cpu: (user + system) / r.alerts * 1e4, user, system };
}

// A body of 10 MB, and how long a ping and another request wait meanwhile.
async function bigBody(s, salt) {
  s.resetPeak();
  let longest = 0, done = false;
  const watch = async ask => { while (!done) { longest = Math.max(longest, await ask()); await sleep(4); } };
  const watches = [watch(() => s.ping()), watch(() => s.get('/healthz'))];
  const r = await load(s, 'the 10 MB body', salt, 1, 10800, MIXED, ['posts', 1]);
  done = true;
  await Promise.all(watches);
  note('big_ms', s.name, r.p50_us / 1000);
  note('big_peak_mb', s.name, s.peakMb);
  note('big_wait_ms', s.name, longest);
}

// All servers live side by side and are loaded in short turns, so that what disturbs the machine disturbs a pair alike.
async function loadRound(names, round) {
  const servers = [];
  for (const name of order(names, round)) servers.push(await Server.start(name));
  await sleep(1500);
  for (const s of servers) { s.sent = []; note('idle_mb', s.name, s.rssMb); }
  let turn = round << 12;
  const salt = () => (turn++).toString(16).padStart(8, '0');
  const phase = async (metric, connections, alerts, f) => {
    for (const s of servers) s.total = { alerts: 0, user: 0, system: 0 };
    for (let i = 0; i < turns; i++) {
      note('disk_us', 'ours', syncTime());
      for (const s of servers) {
        const r = await load(s, metric, salt(), connections, alerts);
        for (const key of Object.keys(s.total)) s.total[key] += r[key];
        f(s.name, r);
      }
    }
    if (connections > 1) for (const s of servers) for (const key of ['user', 'system']) note(`cpu_${alerts}_${key}`, s.name, s.total[key] / s.total.alerts * 1e4);
  };
  await phase('1 alert, 1 connection', 1, 1, (name, r) => { note('c1_p50_us', name, r.p50_us); note('c1_p99_us', name, r.p99_us); });
  await phase('1 alert, 16 connections', 16, 1, (name, r) => {
    note('c16_p50_us', name, r.p50_us); note('c16_p99_us', name, r.p99_us); note('posts_per_s', name, r.posts / r.seconds); note('cpu_1', name, r.cpu);
  });
  await phase('20 alerts, 16 connections', 16, 20, (name, r) => {
    note('alerts_per_s', name, r.alerts / r.seconds); note('cpu_20', name, r.cpu); note('load_share', name, r.own_cpu_s / r.seconds);
  });
  for (const s of servers) note('peak_mb', s.name, s.peakMb);
  for (const mix of ['nnnn', 'rrrr']) { // the extremes
    for (const s of servers.filter(v => v.variant.ours || v.name === 'bun-durable')) note(`cpu_20_${mix}`, s.name, (await load(s, mix, salt(), 16, 20, mix)).cpu);
  }
  for (const s of servers) await bigBody(s, salt());
  for (const s of servers) {
    await checkNothingLost(s, s.sent);
    await s.stop();
    s.remove();
  }
  say(`round ${round + 1} of ${rounds}: ${servers.map(s => `${s.name} ${Math.round(measured.posts_per_s[s.name].at(-1))} posts/s ${Math.round(measured.alerts_per_s[s.name].at(-1))} alerts/s`).join(', ')}`);
}

// What one fdatasync of 4 KiB takes here and now, us: the floor of every durable answer.
function syncTime() {
  const fd = fs.openSync(path.join(scratch, 'sync'), 'w'), block = Buffer.alloc(4096), all = [];
  for (let i = 0; i < 50; i++) {
    const begun = performance.now();
    fs.writeSync(fd, block, 0, 4096, i * 4096);
    fs.fdatasyncSync(fd);
    all.push((performance.now() - begun) * 1000);
  }
  fs.closeSync(fd);
  return all.sort((a, b) => a - b)[25];
}

const microseconds = async (until, file, command, env) => Number(await run(loadProgram, ['spawn', until, file, '--', ...command], { env }));

async function startRound(round) {
  const file = path.join(scratch, 'initialize');
  fs.writeFileSync(file, JSON.stringify(initialize) + '\n');
  for (const name of order(Object.keys(variants), round)) {
    const state = fs.mkdtempSync(path.join(scratch, 'start-'));
    for (const metric of ['first_start_ms', 'start_ms']) note(metric, name, await microseconds('line', file, variants[name].command, environment(variants[name], state, 0)) / 1000);
  }
}

async function guardRound(round) {
  const file = path.join(scratch, 'hook'), state = path.join(scratch, 'guard');
  fs.writeFileSync(file, JSON.stringify({ session_id: 's', cwd: '/', hook_event_name: 'PreToolUse', tool_name: 'Bash', tool_input: { command: 'kubectl --context dev-1 -n team-1 get pods -o wide | grep -v Running | head -20' } }));
  for (const name of order(Object.keys(hooks), round)) note('guard_ms', name, await microseconds('exit', file, hooks[name], environment(variants[name], state, 0)) / 1000);
}

// What 1,000 alerts put into the context: the content of all events, until the next digest of a storm has come too.
async function context(name) {
  const s = await Server.start(name, { keep: true });
  await sleep(1500);
  await post(s.port, 4, 20, MIXED, '0000c0de', 'posts', 50);
  await sleep(70_000);
  let bytes = 0, events = 0;
  for (const line of Buffer.concat(s.texts).toString().split('\n')) {
    if (!line.includes('claude/channel')) continue;
    const m = JSON.parse(line);
    if (m.method) { bytes += Buffer.byteLength(m.params.content); events++; }
  }
  note('context_kb', name, bytes / 1024); note('context_events', name, events);
  await s.stop();
  s.remove();
}

async function idleStart(name) {
  const s = await Server.start(name);
  await sleep(3000);
  note('idle_mb', name, s.rssMb);
  await s.stop();
  s.remove();
}

// slack-channel connected to the fake Slack (plain HTTP on loopback).
async function slackIdle() {
  const { startFakeSlack } = await import('../support/fake_slack/main.mjs');
  const slack = await startFakeSlack(), state = fs.mkdtempSync(path.join(scratch, 'slack-'));
  const child = spawn(path.join(buildDir, 'slack-channel'), [], { env: { ...environment(variants.ours, state, 0), XDG_RUNTIME_DIR: state, ...slack.env }, stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdout.resume();
  const exited = new Promise(r => child.once('exit', r));
  child.stdin.write(JSON.stringify(initialize) + '\n' + JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }) + '\n');
  await slack.waitUp(1, 10000);
  await sleep(2000);
  note('slack_idle_mb', 'ours', Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024);
  child.stdin.end();
  await exited;
  await slack.stop();
}

// In two passes; of each the better.
async function memory() {
  const rows = [1000, 100000, ...(options.full ? [1000000] : [])].map(n => ({ n, state: path.join(scratch, `seed-${n}`) }));
  for (const { n, state } of rows) {
    say(`memory: making ${n} incidents`);
    await run(path.join(here, 'seed'), [String(n), buildDir], { env: { PATH: process.env.PATH, HOME: scratch, SRE_CONFIG: path.join(scratch, 'none'), SRE_STATE_DIR: state } });
  }
  for (let pass = 0; pass < 2; pass++) for (const row of rows) {
    say(`memory of ${row.n} incidents`);
    const told = await run(process.execPath, [path.join(here, 'memory.mjs'), row.state], { env: { ...process.env, BUILD_DIR: buildDir } });
    for (const [key, value] of Object.entries(JSON.parse(/^\{.*/m.exec(told)[0]))) {
      const now = String(value).split(' ').map(Number), was = row[key];
      if (key !== 'state') row[key] = was ? was.map((v, i) => Math.min(v, now[i])) : now;
    }
  }
  return rows;
}

const begun = Date.now();
let rows = [];
if (wanted('start')) { say('start'); for (let i = 0; i < rounds * 2; i++) await startRound(i); }
if (wanted('guard')) { say('guard'); for (let i = 0; i < rounds * 4; i++) await guardRound(i); }
if (wanted('idle')) {
  say('idle: 70 s');
  await Promise.all([context('ours'), context('bun'), slackIdle(), ...Object.keys(variants).filter(n => variants[n].start).map(idleStart)]);
}
const loaded = Object.keys(variants).filter(n => !variants[n].start);
if (wanted('load')) for (let i = 0; i < rounds; i++) await loadRound(loaded, i);
if (wanted('memory')) rows = await memory();
fs.rmSync(scratch, { recursive: true, force: true });

const text = report({ measured, lost, rows, rounds, turns, seconds, minutes: (Date.now() - begun) / 60000, note: options.note });
console.log(text);
if (options.out) fs.writeFileSync(options.out, text);
process.exit(lost.length ? 1 : 0);
