// `slack-channel standby` beside sessions, against the fake Slack: one connection at any moment, nothing lost, nothing said twice.
import { test, describe, after } from 'node:test';
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import path from 'node:path';
import { startFakeSlack } from '../support/fake_slack/main.mjs';
import { notification, startChannel } from '../support/channel.mjs';
import { startSession, patient, until, sleep, tempDir, BINARY } from '../support/slack_session.mjs';

const open = [];
after(async () => { for (const end of open.reverse()) await end(); });
const fake = async o => { const s = patient(await startFakeSlack({ ackTimeoutMs: 400, retryDelaysMs: [0, 100, 300], ...o })); open.push(() => s.stop()); return s; };
const session = async (slack, state, env) => { const s = await startSession({ state, env: { SLACK_NAG_SECONDS: '2', ...slack.env, ...env } }); open.push(() => s.stop()); return s; };
const environment = (slack, state, env = {}) => ({ PATH: process.env.PATH, HOME: state, SRE_STATE_DIR: path.join(state, 'state'), SRE_CONFIG: path.join(state, 'config.env'), XDG_RUNTIME_DIR: state, SRE_LOG: 'debug', SLACK_NAG_SECONDS: '2', ...slack?.env, ...env });
const standby = (slack, state, env) => {
  const child = spawn(BINARY, ['standby'], { env: environment(slack, state, env), stdio: ['ignore', 'pipe', 'pipe'] });
  const y = { pid: child.pid, log: '', out: '', exited: new Promise(r => child.once('exit', (code, signal) => r({ code, signal }))) };
  child.stderr.on('data', d => { y.log += d; });
  child.stdout.on('data', d => { y.out += d; });
  y.kill = async (signal = 'SIGKILL') => { child.kill(signal); return y.exited; };
  y.stop = async () => { await y.kill('SIGTERM'); if (/Sanitizer|runtime error/.test(y.log)) throw new Error(y.log.slice(-4000)); };
  open.push(() => y.stop());
  return y;
};
const sql = (state, text) => JSON.parse(execFileSync('python3', ['-c', `import sqlite3,sys,json
c=sqlite3.connect(sys.argv[1],timeout=10,isolation_level=None); print(json.dumps([r for q in sys.argv[2].split(';') for r in c.execute(q).fetchall()]))`, path.join(state, 'state/incidents.db'), text], { encoding: 'utf8' }));
// The most connections that were open at one moment.
const most = slack => Math.max(...slack.connections.map(c => slack.connections.filter(d => d.opened <= c.opened && (d.closed ?? Infinity) > c.opened).length));
// Connected once more than so often before.
const connected = (slack, before, ms = 15000) => until(() => slack.connections.length > before && slack.connections.at(-1).hello, ms, () => `connection ${before + 1}\n${slack.summary()}`);
const ESC = { title: 'Disk full on db-1', body: 'It is full.', severity: 'critical' };
const nags = slack => slack.posted.filter(p => /Nag #/.test(p.text));
const pages = (slack, what) => slack.posted.filter(p => p.text.includes(what));

describe('slack-channel standby', { concurrency: 8 }, () => {
  test('alone: connected, sends pages, keeps what is said; a session takes over at once and gets it', async () => {
    const slack = await fake(), state = tempDir(), y = standby(slack, state);
    await connected(slack, 0);
    slack.say('is anybody there?');
    slack.say('restart it please');
    await until(() => sql(state, 'SELECT count(*) FROM slack_inbox')[0][0] === 2);
    await promisify(execFile)(BINARY, ['page', 'from cron'], { env: environment(slack, state) });
    await slack.waitPosted('from cron');
    const s = await session(slack, state), at = Date.now();
    await connected(slack, 1, 10000);
    assert.ok(Date.now() - at < 10000, `${Date.now() - at} ms`);
    await s.waitEvent('restart it please');
    slack.say('welcome back');
    await s.waitEvent('welcome back');
    assert.deepEqual(s.events.map(e => e.content), ['is anybody there?', 'restart it please', 'welcome back']);
    assert.equal(most(slack), 1);
    assert.match(y.log, /a session is there/);
    assert.equal(y.out, '');
  });

  test('an escalation nags on and is acknowledged without a session; not one nag twice', async () => {
    const slack = await fake(), state = tempDir(), s = await session(slack, state);
    await connected(slack, 0);
    const one = await s.ok('escalate', ESC), p = await slack.waitPosted('Disk full');
    const two = await s.ok('escalate', { ...ESC, title: 'Second thing' }), q = await slack.waitPosted('Second thing');
    standby(slack, state);
    await s.kill();
    await connected(slack, 1, 12000);
    await until(() => nags(slack).length >= 4);
    slack.click('Acknowledge', { ts: p.ts });
    await until(() => slack.buttons(p.ts).join() === 'Resolve');
    slack.say('on my way', { thread_ts: q.ts });
    await until(() => slack.buttons(q.ts).join() === 'Resolve');
    await sleep(500); // what was under way
    const n = slack.posted.length;
    const t = await session(slack, state);
    await t.waitEvent('acknowledged');
    await t.waitEvent('on my way');
    await sleep(2500);
    assert.equal(slack.posted.length, n);
    const rows = (await t.ok('list_escalations', { state: 'all' })).escalations;
    assert.deepEqual(rows.map(e => [e.escalation_id, e.state]), [[one.escalation_id, 'acknowledged'], [two.escalation_id, 'acknowledged']]);
    for (const thread of [p.ts, q.ts]) {
      const said = nags(slack).filter(x => x.thread_ts === thread);
      assert.deepEqual(said.map(x => /Nag #(\d+)/.exec(x.text)[1]), said.map((_, i) => String(i + 1)));
      for (let i = 1; i < said.length; i++) assert.ok(said[i].at - said[i - 1].at >= 1500, `${said[i].at - said[i - 1].at}`);
    }
    assert.equal(most(slack), 1);
  });

  test('a nag that fell due while nothing ran is one, not a backlog', async () => {
    const slack = await fake(), state = tempDir(), s = await session(slack, state, { SLACK_NAG_SECONDS: '1' });
    await s.ok('escalate', ESC);
    await slack.waitPosted('Disk full');
    await until(() => sql(state, "SELECT 1 FROM slack_escalation WHERE ts <> ''").length); // the timer runs from there
    await s.kill();
    const before = nags(slack).length;
    await sleep(3500);
    standby(slack, state, { SLACK_NAG_SECONDS: '30' });
    await until(() => nags(slack).length === before + 1);
    await sleep(1500);
    assert.equal(nags(slack).length, before + 1);
  });

  test('both killed and started over and over under a stream of messages: each arrives, once a session', async () => {
    const slack = await fake(), state = tempDir(), words = [], got = new Set();
    let y = standby(slack, state), n = 0, going = true;
    await connected(slack, 0);
    const stream = (async () => { while (going) { slack.say(words[words.push(`word ${n++}`) - 1]); await sleep(60); } })();
    for (let round = 0; round < 4; round++) {
      const s = await session(slack, state), before = slack.connections.length;
      await sleep(700 + 150 * round);
      if (round % 2) { await y.kill(); y = standby(slack, state); }
      await sleep(400);
      if (round === 3) { going = false; await stream; await until(() => s.events.length && s.events.at(-1).content === words.at(-1)); }
      const texts = s.events.map(e => e.content);
      assert.equal(new Set(texts).size, texts.length);
      texts.forEach(t => got.add(t));
      if (round % 2 === 0) await s.kill(); else await s.stop();
      if (round < 3) await connected(slack, Math.max(before, slack.connections.length - 1));
    }
    assert.deepEqual(words.filter(w => !got.has(w)), []);
    assert.deepEqual(sql(state, 'SELECT text, count(*) FROM slack_inbox GROUP BY 1 HAVING count(*) > 1'), []);
    assert.equal(most(slack), 1);
  });

  test('a killed standby loses nothing: the next one reads what was said', async () => {
    const slack = await fake(), state = tempDir(), y = standby(slack, state);
    await connected(slack, 0);
    slack.say('before');
    await until(() => sql(state, 'SELECT count(*) FROM slack_inbox')[0][0] === 1);
    await y.kill();
    slack.say('meanwhile');
    standby(slack, state);
    await until(() => sql(state, "SELECT count(*) FROM slack_inbox WHERE text = 'meanwhile'")[0][0] === 1);
    assert.equal(most(slack), 1);
  });

  test('pages for what nobody takes, once and folded; the agent is back', async () => {
    const slack = await fake(), state = tempDir(), env = { ...slack.env, SRE_UNATTENDED_SECONDS: '3', XDG_RUNTIME_DIR: state };
    const w = await startChannel({ state, env, args: ['standby'], initialize: false });
    standby(slack, state, { SRE_UNATTENDED_SECONDS: '3' });
    await w.post(notification(['a', 'b', 'c'].map(service => ({ service, severity: 'critical', cluster: 'platform-prod' }))));
    const p = await slack.waitPosted(/No agent.*3 incidents wait/);
    await sleep(2500);
    assert.equal(slack.posted.length, 1, 'once, all three in one');
    for (const service of 'abc') assert.match(p.text, new RegExp(`HighErrorRate on ${service}`));
    const agent = await startChannel({ state, env: { ...env, SRE_UNATTENDED_SECONDS: '100' } });
    await slack.waitPosted(/The agent is back: 3 incidents were handed over/);
    await agent.stop();
    w.kill('SIGTERM');
    await w.exited;
    assert.equal(slack.posted.length, 2);
  });

  test('alone it pages for what was left behind, once', async () => {
    const slack = await fake(), state = tempDir(), env = { ...slack.env, SRE_UNATTENDED_SECONDS: '2', XDG_RUNTIME_DIR: state };
    const w = await startChannel({ state, env: { ...env, SRE_UNATTENDED_SECONDS: '100' } });
    await w.post(notification(['a', 'b'].map(service => ({ service, severity: 'critical', cluster: 'platform-prod' }))));
    w.kill('SIGKILL');
    await w.exited;
    standby(slack, state, { SRE_UNATTENDED_SECONDS: '2' });
    const p = await slack.waitPosted(/No agent since .*2 incidents wait.*new alerts are not taken in/);
    for (const service of 'ab') assert.match(p.text, new RegExp(`critical HighErrorRate on ${service} .platform-prod`));
    const agent = await startChannel({ state, env: { ...env, SRE_UNATTENDED_SECONDS: '100' } });
    await slack.waitPosted(/The agent is back: 2 incidents were handed over/);
    await agent.stop();
    await sleep(1000);
    assert.equal(slack.posted.length, 2);
  });

  test('a watchdog that falls silent is escalated, nags, and is resolved when it is heard again', async () => {
    const slack = await fake(), state = tempDir(), env = { ...slack.env, SRE_WATCHDOG_SECONDS: '3', SRE_UNATTENDED_SECONDS: '3', XDG_RUNTIME_DIR: state };
    const w = await startChannel({ state, env, args: ['standby'], initialize: false });
    const beating = () => setInterval(() => w.post(notification({ alertname: 'Watchdog', severity: 'none', cluster: 'data-eu' })).catch(() => {}), 300);
    let beat = beating();
    open.push(() => clearInterval(beat));
    let y = standby(slack, state);
    await sleep(4500);
    assert.equal(slack.posted.length, 0, 'heard: nothing to say');
    clearInterval(beat);
    const p = await slack.waitPosted(/Watchdog is silent in data-eu/);
    assert.deepEqual(slack.buttons(p.ts), ['Acknowledge', 'Snooze 1 h', 'Resolve']);
    await y.kill();
    y = standby(slack, state);
    await until(() => nags(slack).length === 1);
    beat = beating();
    const end = await slack.waitPosted(x => x.channel === p.channel && /^✅.*by the alert itself/.test(x.text));
    assert.equal(end.thread_ts, p.ts);
    await until(() => slack.buttons(p.ts).length === 0);
    await sleep(1500);
    assert.deepEqual(slack.posted.filter(x => x.channel === p.channel && x !== p && x !== end && !/Nag #/.test(x.text)).map(x => x.text), []);
    assert.equal(pages(slack, 'is silent in').filter(x => x.channel === p.channel && !x.thread_ts).length, 1);
    clearInterval(beat);
    w.kill('SIGTERM');
    await w.exited;
  });

  test('without a configuration it waits and says what is missing; ends with SIGTERM', async () => {
    const y = standby(null, tempDir());
    await until(() => /not configured.*SLACK_BOT_TOKEN/.test(y.log));
    assert.deepEqual(await y.kill('SIGTERM'), { code: 0, signal: null });
    const slack = await fake(), z = standby(slack, tempDir());
    await connected(slack, 0);
    assert.deepEqual(await z.kill('SIGINT'), { code: 0, signal: null });
    await until(() => slack.connections[0].closedByClient);
  });
});
