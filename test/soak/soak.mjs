// See run. Two webhook sessions, two webhook standbys, two slack sessions (and standbys), one store, a fake Slack. In the first third anybody may be
// killed at any time; then one of each role stays, and its memory and files are watched while the others go on being killed.
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { binary, command, environment, notification, request, sleep, tempDir, until } from '../support/channel.mjs';
import { startFakeSlack } from '../support/fake_slack/main.mjs';
import { judge, Role } from './cast.mjs';

const { values: options } = parseArgs({ options: { minutes: { type: 'string', default: '20' }, out: { type: 'string' }, note: { type: 'string', default: '' }, keep: { type: 'boolean' }, help: { type: 'boolean' } } });
if (options.help) { console.log('usage: test/soak/run [--minutes 20] [--out FILE.md] [--note TEXT] [--keep]   --keep: leaves the state folder and the logs'); process.exit(0); }
const minutes = Number(options.minutes), begun = Date.now(), end = begun + minutes * 60000, settled = begun + minutes * 20000;
const dir = tempDir(), port = 20000 + process.pid % 8000, url = `http://127.0.0.1:${port}/webhook/soak`;
const problems = [], count = {}, commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const add = (what, n = 1) => { count[what] = (count[what] ?? 0) + n; };
const over = () => Date.now() > end;
const pick = list => list[Math.floor(Math.random() * list.length)];

const slack = await startFakeSlack({ ackTimeoutMs: 1000, retryDelaysMs: [0, 1000, 3000] });
const env = environment(dir, {
  WEBHOOK_LISTEN: `127.0.0.1:${port}`, SRE_TAKE_SECONDS: '20', SRE_UNATTENDED_SECONDS: '60', SRE_FLAP_SECONDS: '30', SRE_EVENTS_PER_MINUTE: '60', SRE_DEV_CLUSTERS: 'dev-*',
  SLACK_NAG_SECONDS: '60', SRE_LOG: 'warn', XDG_RUNTIME_DIR: dir, ...slack.env,
});

// What Slack's people said must reach a session; permission prompts must be decided.
const heard = new Map(), decided = new Set();
const slackEvent = n => {
  if (n.method === 'notifications/claude/channel/permission') decided.add(n.params.request_id);
  const said = /said-\d+/.exec(n.params?.content ?? '')?.[0];
  if (said) heard.set(said, (heard.get(said) ?? 0) + 1);
};
const slackStandby = /slack-channel standby/.test(execFileSync(binary('slack-channel'), ['--help'], { encoding: 'utf8' }));
const kinds = [
  { name: 'webhook', program: 'webhook-channel', session: true, onEvent: (n, role) => { add('webhook events'); judge(n, role); } },
  { name: 'webhook-standby', program: 'webhook-channel', session: false },
  { name: 'slack', program: 'slack-channel', session: true, onEvent: slackEvent },
  ...(slackStandby ? [{ name: 'slack-standby', program: 'slack-channel', session: false }] : []),
];
const roles = kinds.flatMap(k => [1, 2].map(i => new Role(`${k.name}-${i}`, { ...k, env, dir })));
const stayers = roles.filter(r => r.name.endsWith('-1')), sessions = roles.filter(r => r.name.startsWith('slack-') && r.session);
for (const r of roles) await r.start();
await until(() => request(url.replace('/webhook/soak', '/healthz'), { method: 'GET' }).then(r => r.status === 200, () => false), 10000, 'the port');
await slack.waitUp(1, 10000);

// --- what goes on
const alerts = new Map(); // fingerprint -> status last answered 200
async function send(body, agent) {
  for (;;) {
    const answer = await request(url, { body, agent }).catch(() => null);
    if (answer?.status === 200) { for (const a of body.alerts) alerts.set(a.fingerprint, a.status); add('POSTs answered 200'); return; }
    if (answer && answer.status !== 503) { problems.push(`a POST was answered ${answer.status} ${answer.text.slice(0, 100)}`); return; }
    add(answer ? 'POSTs answered 503' : 'POSTs not answered');
    await sleep(20 + Math.random() * 100);
  }
}
function firing(n, k) {
  const labels = { alertname: `Soak${k % 15}`, cluster: `${k % 3 ? 'dev' : 'prod'}-${k % 4}`, namespace: `ns-${k % 5}`, service: `svc-${k % 300}`, pod: `pod-${n}-${k}`, severity: pick(['critical', 'error', 'warning', 'info']) };
  return { ...notification(labels).alerts[0], fingerprint: Buffer.from(`${n}-${k}`).toString('hex').padStart(16, '0') };
}
async function sender(n) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 }), fired = [];
  for (let k = 0; !over();) {
    const storm = n === 0 && k % 500 === 250, now = Array.from({ length: storm ? 300 : 1 + k % 4 }, () => firing(n, k++));
    await send({ ...notification({}), alerts: now }, agent);
    if (storm) add('storms of 300 alerts');
    fired.push(...now);
    if (fired.length > 20) await send({ ...notification({}), alerts: fired.splice(0, 1 + Math.floor(Math.random() * 5)).map(a => ({ ...a, status: 'resolved', endsAt: '2026-11-24T04:00:00Z' })) }, agent);
    while (fired.length > 200) await send({ ...notification({}), alerts: fired.splice(0, 50).map(a => ({ ...a, status: 'resolved', endsAt: '2026-11-24T04:00:00Z' })) }, agent);
    await sleep(300 + Math.random() * 900);
  }
  agent.destroy();
}

const every = async (ms, f) => { for (let i = 0; !over(); i++) { await sleep(ms * (0.5 + Math.random())); if (!over()) await f(i); } };
const escalated = new Set(), paged = new Set(), said = new Set(), prompts = new Set();
const loops = [
  ...[0, 1, 2].map(sender),
  every(7000, async i => { // durable before it answers: what was answered must arrive
    const title = `escalation-${i}-end`;
    if (await pick(sessions).call('escalate', { title, body: 'of the soak', severity: pick(['critical', 'error', 'warning']) })) escalated.add(title);
  }),
  every(11000, async i => { if (await pick(sessions).call('reply', { text: `reply-${i}-end` })) escalated.add(`reply-${i}-end`); }),
  every(45000, async i => {
    const text = `page-${i}-end`;
    const error = await new Promise(r => execFile(binary('slack-channel'), ['page', text], { env, timeout: 30000 }, r));
    if (error) add('pages not sent at once'); else paged.add(text);
  }),
  every(5000, async i => { slack.say(`said-${i}`); said.add(`said-${i}`); }),
  every(8000, async () => { // somebody looks at escalations
    const open = slack.posted.slice(-40).filter(p => slack.buttons(p.ts, p.channel).includes('Resolve'));
    if (open.length) { const p = pick(open); slack.click(pick(slack.buttons(p.ts, p.channel)), { ts: p.ts, channel: p.channel }); add('clicks'); }
  }),
  every(20000, async i => {
    const session = stayers.find(r => r.name === 'slack-1'), id = Array.from({ length: 5 }, (_, k) => 'abcdefghij'[Math.floor((i + 1) / 10 ** k) % 10]).join('');
    if (!session.client || Date.now() < settled) return;
    await session.client.notification({ method: 'notifications/claude/channel/permission_request', params: { request_id: id, tool_name: 'Bash', description: 'soak', input_preview: `ls ${id}` } }).catch(() => {});
    const p = await slack.waitPosted(new RegExp(`ls ${id}`), 30000).catch(() => null);
    if (!p) { problems.push(`the permission prompt ${id} is not in Slack`); return; }
    slack.click(pick(['Allow', 'Deny']), { ts: p.ts, channel: p.channel });
    prompts.add(id);
  }),
  every(40000, async i => { [() => slack.refresh(), () => slack.reset(), () => slack.fault('chat.postMessage', { lose: true }), () => slack.fault('chat.postMessage', { status: 429, retryAfter: 2 })][i % 4](); add('faults of Slack'); }),
  every(2500, async () => { (Date.now() < settled ? pick(roles) : pick(roles.filter(r => !stayers.includes(r)))).kill(); }),
];

// --- what is watched
const samples = new Map(stayers.map(r => [r, []]));
let wal = 0, cpu = 0;
const db = path.join(dir, 'state/incidents.db');
const size = file => { try { return fs.statSync(file).size; } catch { return 0; } };
loops.push((async () => {
  while (!over()) {
    await sleep(2000);
    wal = Math.max(wal, size(db + '-wal'));
    for (const r of stayers) { const s = r.sample(); if (s) samples.get(r).push({ at: Date.now(), ...s }); }
  }
})(), every(60000, async () => process.stderr.write(`${((Date.now() - begun) / 60000).toFixed(1)} min: ${alerts.size} alerts, ${slack.posted.length} posts in Slack, ${roles.reduce((n, r) => n + r.kills, 0)} kills, WAL at most ${(wal / 1e6).toFixed(1)} MB\n`)));
await Promise.all(loops);
for (const r of stayers) { const f = fs.readFileSync(`/proc/${r.child.pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' '); cpu += (Number(f[11]) + Number(f[12])) / 100; }

// --- nothing lost
const posted = text => slack.posted.filter(p => (p.text ?? '').includes(text) || slack.shown(p.message).includes(text));
const missing = () => [...escalated, ...paged].filter(t => !posted(t).length), unheard = () => [...said].filter(t => !heard.has(t)), undecided = () => [...prompts].filter(id => !decided.has(id));
await until(() => !missing().length && !unheard().length && !undecided().length, 90000, 'the rest').catch(() => {});
if (missing().length) problems.push(`not in Slack: ${missing().join(' ')}`);
if (unheard().length) problems.push(`said in Slack and not heard: ${unheard().join(' ')}`);
if (undecided().length) problems.push(`prompts without a decision: ${undecided().join(' ')}`);
const twice = [...escalated].filter(t => posted(t).filter(p => !p.thread_ts && p.channel === slack.dm()).length > 1);
if (twice.length) problems.push(`more than once in Slack: ${twice.join(' ')}`);
const found = new Map();
for (const line of (await command(env, 'export')).stdout.split('\n').filter(Boolean)) for (const a of JSON.parse(line).alerts) found.set(a.fingerprint, a.status);
const lost = [...alerts.keys()].filter(f => !found.has(f)), wrong = [...alerts].filter(([f, status]) => found.has(f) && found.get(f) !== status);
if (lost.length) problems.push(`${lost.length} alerts answered 200 are not in the export`);
if (wrong.length) problems.push(`${wrong.length} alerts have another status than was answered 200 last, such as ${wrong[0]}, is ${found.get(wrong[0][0])}`);

// --- nothing grew
const median = list => [...list].sort((a, b) => a - b)[list.length >> 1];
function slope(list, key) { // least squares, per minute
  const x = list.map(s => s.at / 60000), y = list.map(s => s[key]), mx = x.reduce((a, b) => a + b) / x.length, my = y.reduce((a, b) => a + b) / y.length;
  return x.reduce((n, v, i) => n + (v - mx) * (y[i] - my), 0) / x.reduce((n, v) => n + (v - mx) ** 2, 0);
}
const rows = [];
for (const [r, all] of samples) {
  const warm = settled + (end - settled) * 0.25, list = all.filter(s => s.at > warm), third = Math.floor(list.length / 3);
  if (third < 5) { problems.push(`${r.name} was not watched long enough`); continue; }
  if (new Set(list.map(s => s.pid)).size > 1) problems.push(`${r.name} did not stay`);
  const [first, last] = [list.slice(0, third), list.slice(-third)], of = (part, key) => median(part.map(s => s[key]));
  rows.push([r.name, of(first, 'rss'), of(last, 'rss'), of(first, 'pss'), of(last, 'pss'), of(first, 'own'), of(last, 'own'), slope(list, 'own').toFixed(1), `${of(first, 'files')} -> ${of(last, 'files')}`, `${of(first, 'sockets')} -> ${of(last, 'sockets')}`, Math.max(...list.map(s => s.files + s.sockets))]);
  for (const key of ['rss', 'own']) // PSS depends on who else maps the same pages just now
    if (of(last, key) - of(first, key) > Math.max(512, of(first, key) * 0.05)) problems.push(`${r.name}: ${key} grew from ${of(first, key)} to ${of(last, key)} kB`);
  if (of(last, 'files') > of(first, 'files') + 1) problems.push(`${r.name}: open files grew`);
  if (of(last, 'sockets') > of(first, 'sockets') + 4) problems.push(`${r.name}: open sockets grew`); // three senders go where they are sent
}
if (wal > 16 << 20) problems.push(`the WAL reached ${wal} bytes`);
for (const r of roles) problems.push(...r.crashes);
for (const r of roles) { const code = await r.end(); if (code !== 0) problems.push(`${r.name} ended with ${code}`); }
if (execFileSync('sqlite3', [db, 'PRAGMA integrity_check'], { encoding: 'utf8' }).trim() !== 'ok') problems.push('the database is damaged');
const violations = [...new Set(slack.violations.map(v => v.what.replace(/\d+/g, 'N')))];
await slack.stop();

const release = /PRETTY_NAME="(.*)"/.exec(fs.readFileSync('/etc/os-release', 'utf8'))?.[1];
const text = `# Result of test/soak/run

${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, commit ${commit}; ${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GB, ${release}, Linux ${os.release().split('-')[0]}. ${minutes} minutes.
${options.note}

**${problems.length ? `Failed: ${problems.length} findings` : 'Passed: nothing lost, nothing grew'}**
${problems.map(p => `- ${p}\n`).join('')}
- alerts answered 200: ${alerts.size}, all in the export with the status told last: ${lost.length + wrong.length ? 'no' : 'yes'}
- escalations and replies answered: ${escalated.size}, pages: ${paged.size}, each in Slack: ${missing().length ? 'no' : 'yes'}; once: ${twice.length ? 'no' : 'yes'}
- said in Slack: ${said.size}, heard: ${said.size - unheard().length}, of these more than once (a session was killed while it was told): ${[...heard.values()].filter(n => n > 1).length}
- permission prompts decided: ${prompts.size - undecided().length} of ${prompts.size}
- SIGKILLs: ${roles.map(r => `${r.name} ${r.kills}`).join(', ')}
- ${Object.entries(count).map(([k, v]) => `${k}: ${v}`).join(', ')}
- posts in Slack: ${slack.posted.length}; what a good client does not do: ${violations.join('; ') || 'nothing'}
- WAL at most ${(wal / 1e6).toFixed(1)} MB, database ${(size(db) / 1e6).toFixed(1)} MB; CPU of those that stayed: ${cpu.toFixed(1)} s

Those that stayed, after the warm-up, first third against last third, kB:

| | RSS | | PSS | | private | | private, a minute | files | sockets | most at once |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- | ---: |
${rows.map(r => `| ${r.join(' | ')} |`).join('\n')}
`;
console.log(text);
if (options.out) fs.writeFileSync(options.out, text);
if (options.keep || problems.length) console.error(`state and logs: ${dir}`); else fs.rmSync(dir, { recursive: true, force: true });
process.exit(problems.length ? 1 : 0);
