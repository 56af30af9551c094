// One night in five minutes: alerts keep coming while the session is started, killed, deaf, out of quota and restarted, Slack is
// down, the disk is full and the standbys are killed. In the morning every alert has a verdict or has reached the owner, none
// twice without need, and each incident's timeline can be read.
//   test/soak/night [SECONDS]      exit status 1 when something is missing
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { buildDir, commandWith, environment, freePort, notification, request, root, sleep, startChannel, tempDir, until } from '../support/channel.mjs';
import { startFakeSlack } from '../support/fake_slack/main.mjs';
import { startSession } from '../support/slack_session.mjs';

// A small disk of its own, in a mount namespace, so that nothing stays mounted whatever becomes of the night.
const inside = process.env.SRE_TEST_NAMESPACE === '1';
if (process.getuid() === 0 && !inside && spawnSync('unshare', ['-m', 'true']).status === 0) {
  const r = spawnSync('unshare', ['-m', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    { stdio: 'inherit', env: { ...process.env, SRE_TEST_NAMESPACE: '1' } });
  process.exit(r.status ?? 1);
}

const SECONDS = Number(process.argv[2] ?? 300), TAKE = 5, UNATTENDED = 15;
const begun = Date.now(), clock = () => `${((Date.now() - begun) / 1000).toFixed(0).padStart(4)} s`;
const say = text => console.log(`${clock()}  ${text}`);
const wrong = [];

const slack = await startFakeSlack();
const state = tempDir(), disk = path.join(state, 'state');
fs.mkdirSync(disk, { mode: 0o700 });
if (inside) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=0700', 'tmpfs', disk]);
const env = environment(state, {
  ...slack.env, WEBHOOK_LISTEN: `127.0.0.1:${await freePort()}`, XDG_RUNTIME_DIR: state, SRE_DEV_CLUSTERS: 'dev-*',
  SRE_TAKE_SECONDS: String(TAKE), SRE_UNATTENDED_SECONDS: String(UNATTENDED), SRE_FLAP_SECONDS: '10', SLACK_NAG_SECONDS: '20',
});
const url = `http://${env.WEBHOOK_LISTEN}/webhook/alertmanager`;

// ---- what systemd does: a standby that ends is started again ----
let morning = false;
const standbys = {};
function standby(program) {
  const log = fs.openSync(path.join(state, `${program}-standby.log`), 'a');
  const child = spawn(path.join(buildDir, program), ['standby'], { env, stdio: ['ignore', 'ignore', log] });
  fs.closeSync(log);
  standbys[program] = child;
  child.once('exit', (code, signal) => {
    if (!morning && signal !== 'SIGKILL') wrong.push(`${program} standby ended by itself: ${signal ?? code}`);
    if (!morning) setTimeout(() => standby(program), 1000);
  });
}

// ---- what Alertmanager does: what was not answered 200 is sent again ----
const sent = new Map(); // service -> incident ids of its 200
let refused = 0, posting = true;
async function deliver(body, service) {
  for (let wait = 200; ; wait = Math.min(wait * 2, 3000)) {
    const r = await request(url, { body }).catch(() => null);
    if (r?.status === 200) {
      sent.set(service, [...sent.get(service) ?? [], ...r.json.incidents]);
      return;
    }
    if (r && r.status !== 503) wrong.push(`${service}: ${r.status} ${r.text}`);
    refused++;
    await sleep(wait);
  }
}
const inFlight = new Set();
function send(n, status = 'firing') {
  const severity = ['critical', 'warning', 'error', 'info'][n % 4], service = `svc-${n}`;
  const labels = { alertname: ['KubePodCrashLooping', 'High Latency', 'PVC usage'][n % 3], severity, service, namespace: 'shop', cluster: n % 5 ? 'platform-prod' : 'dev-1' };
  const done = deliver(notification(labels, { status }), service).finally(() => inFlight.delete(done));
  inFlight.add(done);
}
async function sender() {
  for (let n = 0; posting; n++) {
    send(n);
    if (n % 7 === 0 && n) send(n - 5, 'resolved');
    if (n % 11 === 0) send(n); // a repeat
    await sleep(700);
  }
}

// ---- the stand-in for the agent ----
const pushed = [];
let escalated = 0;
let session = null, mood = 'works';
async function decide(incidents) {
  if (mood !== 'works' || !incidents.length) return;
  const mine = session;
  for (const verdict of ['noise', 'escalated', 'real']) {
    const ids = incidents.map(Number).filter(id => ['noise', 'real', 'noise', 'escalated'][id % 4] === verdict);
    for (const id of verdict === 'escalated' ? ids : []) {
      const before = (await mine.webhook.call('get_incident', { incident_id: id })).structuredContent?.timeline ?? [];
      if (before.some(t => t.what === 'escalated')) continue;
      const e = await mine.slack.call('escalate', { title: `incident ${id}`, body: 'needs a person', severity: 'error', incident_id: id });
      if (!e.isError) escalated++;
    }
    if (ids.length) await mine.webhook.call('log_incident', { incident_ids: ids.slice(0, 100), verdict, summary: `looked at: ${verdict}` });
  }
}
async function decideWaiting() {
  const mine = session;
  for (let cursor; ;) {
    const page = (await mine.webhook.call('list_incidents', { state: 'undecided', limit: 100, ...cursor && { cursor } })).structuredContent;
    await decide((page?.incidents ?? []).map(i => i.incident_id));
    if (!(cursor = page?.next_cursor)) return;
  }
}
async function listen(mine) {
  for (let seen = 0; session === mine && !morning; await sleep(200)) {
    for (; seen < mine.webhook.events.length; seen++) {
      const e = mine.webhook.events[seen];
      pushed.push({ at: e.at, mood, ...e.meta });
      const work = e.meta.kind === 'digest' ? decideWaiting() : e.meta.kind === 'alert' || e.meta.kind === 'reminder' ? decide([e.meta.incident_id]) : null;
      await work?.catch(error => { if (session === mine) say(`a tool call failed: ${error.message}`); });
    }
  }
}
async function start() {
  session = { webhook: await startChannel({ state, env }), slack: await startSession({ state, env }) };
  listen(session);
}
async function stop(signal) {
  const { webhook, slack: bridge } = session;
  session = null;
  if (signal) {
    webhook.kill(signal);
    await bridge.kill(signal);
  } else {
    await webhook.stop();
    await bridge.stop();
  }
}
const agentFailed = () => commandWith(JSON.stringify({ hook_event_name: 'StopFailure', error: 'rate_limit' }), env, 'agent-failed');

// ---- the owner: half a minute late, and only while Slack works ----
const answered = new Set();
async function owner() {
  for (; !morning; await sleep(1000))
    for (const p of slack.socket.live.length ? slack.posted : [])
      if (!answered.has(p.ts) && Date.now() - p.at > 30000 && slack.buttons(p.ts).includes('Acknowledge')) {
        slack.click('Acknowledge', { ts: p.ts });
        answered.add(p.ts);
      }
}

function fill() {
  const fd = fs.openSync(path.join(disk, 'filler'), 'w');
  for (const size of [1 << 20, 4096, 512]) try { while (fs.writeSync(fd, Buffer.alloc(size)) === size); } catch { /* full */ }
  fs.closeSync(fd);
}
const killStandbys = () => Object.values(standbys).forEach(child => child.kill('SIGKILL'));

const acts = [ // share of the night
  [0.00, 'a session starts', start],
  [0.13, 'the session is killed', () => stop('SIGKILL')],
  [0.19, 'both standbys are killed', killStandbys],
  [0.25, 'a session starts', start],
  [0.33, 'the session goes deaf', () => { mood = 'deaf'; }],
  [0.45, 'it ends, and the next one is out of quota', async () => { await stop(); mood = 'deaf'; await start(); await agentFailed(); }],
  [0.50, 'both standbys are killed', killStandbys],
  [0.55, 'there is quota again', async () => { mood = 'works'; await decideWaiting(); }],
  [0.60, 'Slack is down', () => slack.outage('refuse')],
  [0.70, 'Slack is back', () => slack.outage(null)],
  [0.73, 'four o\'clock: the session is restarted', async () => { await stop(); await start(); }],
  ...inside ? [[0.77, 'the disk is full', fill], [0.82, 'the disk has room', () => fs.rmSync(path.join(disk, 'filler'))]] : [],
  [0.84, 'the session and both standbys are killed', async () => { await stop('SIGKILL'); killStandbys(); }],
  [0.88, 'a session starts', async () => { await until(() => request(url.replace(/\/webhook.*/, '/healthz'), { method: 'GET' }).catch(() => null), 5000); await start(); }],
  [0.90, 'no alert any more', () => { posting = false; }],
];

standby('webhook-channel');
if (/standby/.test(execFileSync(path.join(buildDir, 'slack-channel'), ['--help'], { encoding: 'utf8' }))) standby('slack-channel');
sender();
owner();
for (const [share, what, act] of acts) {
  await sleep(Math.max(0, begun + share * SECONDS * 1000 - Date.now()));
  say(what);
  await act();
}
await sleep(Math.max(0, begun + SECONDS * 1000 - Date.now()));
await Promise.race([Promise.all(inFlight), sleep(10000)]);
if (inFlight.size) wrong.push(`${inFlight.size} alerts were never accepted`);
say('morning');

// ---- what came of it ----
const decidedAt = Date.now() + 20000;
const all = () => session.webhook.export();
while ((await all()).some(i => i.state !== 'decided') && Date.now() < decidedAt) await sleep(500);
const incidents = await all(), known = new Set(incidents.map(i => i.incident_id));
for (const [service, ids] of sent) for (const id of ids) if (!known.has(id)) wrong.push(`${service}: incident ${id} was answered 200 and is not in the memory`);

const timelines = new Map();
for (const i of incidents) {
  const r = await session.webhook.call('get_incident', { incident_id: i.incident_id });
  const timeline = r.structuredContent?.timeline ?? [];
  timelines.set(i.incident_id, timeline);
  const times = timeline.map(t => Date.parse(t.at));
  if (timeline[0]?.what !== 'fired' || times.some((t, k) => Number.isNaN(t) || t < times[k - 1])) wrong.push(`incident ${i.incident_id}: its timeline cannot be read: ${JSON.stringify(timeline)}`);
}
const has = (i, what) => timelines.get(i.incident_id).some(t => t.what === what);
const untold = incidents.filter(i => !i.verdict && !has(i, 'paged'));
for (const i of untold) wrong.push(`incident ${i.incident_id} (${i.service}) has neither a verdict nor reached the owner`);
for (const i of incidents) {
  const pages = timelines.get(i.incident_id).filter(t => t.what === 'paged').length;
  if (pages > 2) wrong.push(`incident ${i.incident_id}: ${pages} pages`);
  const pushes = pushed.filter(p => p.kind === 'alert' && Number(p.incident_id) === i.incident_id).sort((a, b) => a.at - b.at);
  pushes.forEach((p, k) => { if (k && p.delivery > 1 && p.at - pushes[k - 1].at < TAKE * 1000 - 500) wrong.push(`incident ${i.incident_id}: pushed again after ${p.at - pushes[k - 1].at} ms`); });
}

// ---- Slack has everything, once ----
const depth = async () => Number(/^sre_slack_outbox (\d+)/m.exec((await request(url.replace(/\/webhook.*/, '/metrics'), { method: 'GET' })).text)?.[1] ?? 0);
if (!await until(async () => await depth() === 0, 15000).catch(() => false)) wrong.push(`the outbox still holds ${await depth()}`);
const posts = slack.posted.map(p => p.text ?? ''), nags = posts.filter(t => /^Nag #|Nag #\d/.test(t)).length;
const once = new Map();
for (const p of slack.posted) once.set(`${p.thread_ts ?? ''} ${p.text}`, (once.get(`${p.thread_ts ?? ''} ${p.text}`) ?? 0) + 1);
for (const [text, n] of once) if (n > 1 && !/Nag #/.test(text)) wrong.push(`posted ${n} times: ${text.slice(0, 120)}`);
const missing = incidents.filter(i => i.verdict === 'escalated' && !posts.some(t => new RegExp(`incident ${i.incident_id}\\b`).test(t)));
for (const i of missing) wrong.push(`incident ${i.incident_id} was escalated and is not in Slack`);
const most = Math.max(0, ...slack.connections.map(c => slack.connections.filter(o => o.opened <= c.opened && (o.closed ?? Infinity) > c.opened).length));

morning = true;
const verdicts = {};
for (const i of incidents) verdicts[i.verdict ?? 'none'] = (verdicts[i.verdict ?? 'none'] ?? 0) + 1;
console.log(`
alerts accepted       ${[...sent.values()].flat().length}, tried again ${refused} times
incidents             ${incidents.length}: ${Object.entries(verdicts).map(([v, n]) => `${n} ${v}`).join(', ')}
events pushed         ${pushed.length}: ${['alert', 'digest', 'reminder', 'resolved'].map(k => `${pushed.filter(p => p.kind === k).length} ${k}`).join(', ')}
reached the owner     ${incidents.filter(i => has(i, 'paged')).length} by page, ${escalated} escalations
Slack messages        ${posts.length}, of them ${nags} nags, ${answered.size} acknowledged; connections ${slack.connections.length}, at once ${most}; violations ${slack.violations.length}
`);
for (const p of slack.violations) wrong.push(`Slack: ${p.what}`);
if (most > 1) wrong.push(`${most} Socket Mode connections at once`);
await stop().catch(() => {});
killStandbys();
await slack.stop();
for (const w of wrong.slice(0, 40)) console.log(`WRONG  ${w}`);
console.log(wrong.length ? `${wrong.length} things are wrong; logs in ${state}` : 'The night was quiet.');
process.exit(wrong.length ? 1 : 0);
