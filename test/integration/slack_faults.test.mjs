// slack-channel under the faults that Slack and the network have. What must hold: each message once, in order, none lost.
// SLACK_STREAM_SECONDS makes the stream longer, SLACK_KILLS the kill loop.
import { test, describe, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs'; import path from 'node:path';
import { startFakeSlack } from '../support/fake_slack/main.mjs';
import { startSession, patient, until, sleep, tempDir } from '../support/slack_session.mjs';

const STREAM_S = Number(process.env.SLACK_STREAM_SECONDS ?? 15), KILLS = Number(process.env.SLACK_KILLS ?? 6);
const open = [];
after(async () => { for (const end of open.reverse()) await end(); });
const fake = async o => { const s = patient(await startFakeSlack({ ackTimeoutMs: 500, retryDelaysMs: [0, 300, 600], ...o })); open.push(() => s.stop()); return s; };
const session = async (slack, o = {}) => { const s = await startSession({ ...o, env: { ...slack.env, ...o.env } }); open.push(() => s.stop()); return s; };
const pair = async (o, so) => { const slack = await fake(o), s = await session(slack, so); await slack.waitUp(); return [slack, s]; };
const texts = s => s.events.map(e => e.content);
const clean = slack => assert.deepEqual(slack.violations.map(v => v.what), []);

describe('slack-channel', { concurrency: 3 }, () => {
  describe('the connection', { concurrency: 6 }, () => {
    test('a refresh has no gap: the new one first', async () => {
      const [slack, s] = await pair();
      for (let i = 0; i < 3; i++) {
        slack.refresh();
        for (let k = 0; k < 10; k++) { slack.say(`${i}.${k}`); await sleep(10); }
        await until(() => slack.connections.length === i + 2 && slack.socket.live.length === 1);
      }
      await s.waitEvent('2.9');
      await sleep(700);
      assert.deepEqual(texts(s), Array.from({ length: 30 }, (_, i) => `${Math.floor(i / 10)}.${i % 10}`));
      for (let i = 1; i < slack.connections.length; i++) {
        const [was, is] = [slack.connections[i - 1], slack.connections[i]];
        assert.ok(is.hello <= was.closedByClient.at, 'hello before the close of the old');
        assert.equal(was.closedByClient.code, 1000);
      }
      assert.equal(slack.envelopes.filter(e => !e.acked).length, 0);
      clean(slack);
    });

    test('a warning is enough; clicks on either connection count', async () => {
      const [slack, s] = await pair();
      slack.warn(undefined, 3000);
      await until(() => slack.connections.length === 2 && slack.socket.live.length === 1, 2500);
      await s.ok('escalate', { title: 'T', body: 'b', severity: 'info' }); await slack.waitPosted('T');
      slack.click('Acknowledge');
      await s.waitEvent('acknowledged');
      clean(slack);
    });

    test('reset, end without a close, closed by Slack: it comes back and misses nothing', async () => {
      const [slack, s] = await pair();
      let n = 0;
      for (const how of [() => slack.reset(), () => slack.end(), () => slack.close(1011, 'oops'), () => slack.reset()]) {
        how();
        slack.say(`m${n++}`, { drop: true }); await sleep(5);
        await until(() => slack.socket.live.length === 1, 6000);
        slack.say(`m${n++}`);
      }
      await s.waitEvent('m7', 6000);
      await sleep(500);
      assert.deepEqual(texts(s), Array.from({ length: 8 }, (_, i) => `m${i}`));
      clean(slack);
    });

    test('a half-open connection is noticed within a minute, and what was lost is read', async () => {
      const [slack, s] = await pair({ retryDelaysMs: [60000] });
      await until(() => /slack: connected/.test(s.log));
      slack.hang();
      slack.say('lost');
      await s.waitEvent('lost', 60000);
      assert.equal(slack.socket.live.length >= 1, true);
    });

    test('fragments, dribble, hello with the upgrade, 1 MiB, pings inside', async () => {
      const slack = await fake();
      slack.style({ fragment: 1000, dribble: 7, coalesceHello: true });
      const s = await session(slack);
      await slack.waitUp();
      for (let i = 0; i < 5; i++) slack.say(`é🎉 ${i} ` + 'x'.repeat(3000));
      slack.style({});
      slack.refresh();
      await until(() => slack.connections.length === 2 && slack.socket.live.length === 1);
      slack.say('big', { pad: 1 << 20 });
      await s.waitEvent('big', 8000);
      assert.equal(s.events.length, 6);
      clean(slack);
    });

    test('refused upgrades and bad tickets are tried again, not in a tight loop', async () => {
      const slack = await fake();
      for (const x of [{ status: 503 }, { refuse: true }, { badAccept: true }]) slack.next(x);
      slack.fault('apps.connections.open', { error: 'internal_error' });
      const s = await session(slack);
      await until(() => /slack: connected/.test(s.log), 25000);
      assert.ok(slack.calls('apps.connections.open').length <= 6);
      slack.say('there?');
      await s.waitEvent('there?');
    });

    test('429 with Retry-After is kept to, everywhere', async () => {
      const slack = await fake();
      slack.fault('apps.connections.open', { status: 429, retryAfter: 2 });
      slack.fault('conversations.history', { status: 429, retryAfter: 1 });
      const s = await session(slack);
      await slack.waitUp(1, 8000);
      slack.fault('chat.postMessage', { nth: 2, status: 429, retryAfter: 2 });
      const calls = [1, 2, 3].map(i => s.ok('reply', { text: `r${i}` }));
      await Promise.all(calls);
      assert.deepEqual(slack.posted.map(p => p.text), ['r1', 'r2', 'r3']);
      clean(slack);
    });

    test('link_disabled and revoked tokens end the attempts and say so', async () => {
      const [slack, s] = await pair();
      slack.linkDisabled();
      await until(() => /link_disabled/.test(s.log));
      const opens = slack.calls('apps.connections.open').length;
      await sleep(2000);
      assert.equal(slack.calls('apps.connections.open').length, opens);
      assert.match((await s.ok('escalate', { title: 'T', body: 'b', severity: 'info' })).slack, /switched off.*link_disabled/);
      const [two, t] = await pair();
      two.revoke('bot');
      const r = await t.ok('reply', { text: 'x' });
      assert.equal(r.status, 'queued');
      assert.match(r.slack, /token_revoked/);
      const posts = two.calls('chat.postMessage').length;
      await sleep(1500);
      assert.equal(two.calls('chat.postMessage').length, posts);
      assert.ok(posts <= 2);
      const three = await fake();
      three.revoke('app', 'invalid_auth');
      const u = await session(three);
      await until(() => /invalid_auth/.test(u.log));
      await sleep(2000);
      assert.equal(three.calls('apps.connections.open').length, 1);
      assert.doesNotMatch(u.log + t.log, /xapp-1-fake|xoxb-1-fake/);
    });

    test('too_many_websockets: close first, then wait long', async () => {
      const [slack, s] = await pair();
      slack.tooMany();
      await until(() => slack.socket.live.length === 0);
      const opens = slack.calls('apps.connections.open').length;
      await sleep(4000);
      assert.equal(slack.calls('apps.connections.open').length, opens);
      await s.stop();
    });

    test('ghosts: what Slack sends to nobody is found in the history, in order', async () => {
      const slack = await fake({ ackTimeoutMs: 3000 });
      slack.ghost();
      const s = await session(slack);
      await slack.waitUp();
      for (let i = 0; i < 12; i++) { slack.say(`g${i}`); await sleep(30); }
      await s.waitEvent('g10', 8000); await s.waitEvent('g11', 12000);
      assert.deepEqual(texts(s), Array.from({ length: 12 }, (_, i) => `g${i}`));
      assert.match(s.log, /counts more connections/);
    });

    test('while another process holds the store, events wait unacknowledged and none is lost', async () => {
      const [slack, s] = await pair({ ackTimeoutMs: 10000 });
      await until(() => /slack: connected/.test(s.log));
      await s.ok('escalate', { title: 'T', body: 'b', severity: 'info' });
      const p = await slack.waitPosted('T');
      const lock = spawn('python3', ['-c', 'import sqlite3,sys,time\nc=sqlite3.connect(sys.argv[1],timeout=10,isolation_level=None); c.execute("BEGIN IMMEDIATE"); print("locked",flush=True); time.sleep(1.5); c.execute("COMMIT")', path.join(s.state, 'state/incidents.db')]);
      await new Promise(r => lock.stdout.once('data', r));
      const said = ['a', 'b', 'c'].map(x => slack.say(x));
      const click = slack.click('Acknowledge', { ts: p.ts });
      await sleep(500);
      assert.ok(said.every(m => !m.envelope.acked) && !click.acked);
      await s.waitEvent('acknowledged'); await s.waitEvent(e => e.content === 'c');
      assert.deepEqual(texts(s).filter(t => t.length === 1), ['a', 'b', 'c']);
      assert.ok(said.every(m => m.envelope.acked) && click.acked);
    });

    test('TLS with its own CA and a proxy; another CA is refused', async () => {
      const slack = await fake({ tls: true, proxy: true, host: 'localhost' });
      const env = { ...slack.env, https_proxy: slack.proxy.url };
      const s = await session(slack, { env: { ...env, SSL_CERT_FILE: slack.certificates.caFile } });
      await slack.waitUp(1, 8000);
      slack.say('over TLS');
      await s.waitEvent('over TLS');
      const t = await session(slack, { env: { ...env, SSL_CERT_FILE: slack.certificates.otherCaFile, XDG_RUNTIME_DIR: tempDir() } });
      await until(() => /not reached/.test(t.log), 8000);
      assert.equal(slack.connections.length, 1);
    });
  });

  describe('posting', { concurrency: 2 }, () => {
    const lossy = { lose: {}, cutBody: {}, '5xx after the fact': { status: 503, commit: true }, 'internal_error after the fact': { error: 'internal_error', commit: true }, 'internal_error before': { error: 'internal_error' }, '5xx before': { status: 502 }, 'reset before': { reset: true }, 'a login page': { body: '<html>', commit: true } };
    test('a lost or unclear answer never posts twice and never loses', async () => {
      const [slack, s] = await pair();
      const names = Object.keys(lossy);
      names.forEach((n, i) => slack.fault('chat.postMessage', { nth: 1, when: r => r.args.text === `text ${i}`, ...(n === 'lose' ? { lose: true } : n === 'cutBody' ? { cutBody: true } : lossy[n]) }));
      const calls = names.map((_, i) => s.ok('reply', { text: `text ${i}` }));
      await slack.waitPosted(`text ${names.length - 1}`, 40000);
      await Promise.all(calls);
      await sleep(500);
      assert.deepEqual(slack.posted.map(p => p.text), names.map((_, i) => `text ${i}`));
      clean(slack);
    });

    test('in a thread, with an update and a file, too', async () => {
      const cwd = tempDir(); fs.writeFileSync(path.join(cwd, 'f.txt'), 'content');
      const [slack, s] = await pair({}, { cwd });
      const m = await s.ok('reply', { text: 'parent' });
      slack.fault('chat.postMessage', { lose: true }); slack.fault('files.completeUploadExternal', { lose: true }); slack.fault('upload', { status: 500 }); slack.fault('chat.update', { lose: true });
      await s.ok('reply', { text: 'child', thread_ts: m.message_ts, files: ['f.txt'] });
      await until(() => slack.posted.length >= 3, 20000);
      await s.ok('edit_message', { ...m, messages: undefined, status: undefined, text: 'parent 2' }).catch(() => {});
      await s.call('edit_message', { chat_id: m.chat_id, message_ts: m.message_ts, text: 'parent 2' });
      await sleep(1500);
      assert.equal(slack.posted.length, 3);
      assert.deepEqual(slack.posted.map(p => p.thread_ts), [undefined, m.message_ts, m.message_ts]);
      assert.equal(slack.message(m.message_ts).text, 'parent 2');
    });

    test('a refused message is an error and does not stop the next', async () => {
      const [slack, s] = await pair();
      slack.fault('chat.postMessage', { error: 'msg_too_long' });
      assert.match((await s.call('reply', { text: 'bad' })).content[0].text, /msg_too_long/);
      await s.ok('reply', { text: 'good' });
      slack.fault('chat.postMessage', { error: 'invalid_blocks' });
      await s.ok('escalate', { title: 'Blocks', body: 'b', severity: 'info' });
      const p = await slack.waitPosted('Blocks');
      assert.equal(p.blocks, undefined);
      slack.fault('chat.postMessage', { error: 'msg_blocks_too_long' });
      await s.ask('abcde', 'Bash', 'x'.repeat(500) + ' the end');
      const q = await slack.waitPosted('yes abcde');
      assert.equal(q.blocks, undefined);
      assert.match(q.text, /x{500} the end/);
    });

    test('an escalation that the owner cannot get goes to the second person, and the agent hears of it', async () => {
      const [slack, s] = await pair();
      slack.fault('chat.postMessage', { error: 'channel_not_found' });
      const { escalation_id } = await s.ok('escalate', { title: 'Nobody home', body: 'b', severity: 'error' });
      const e = await s.waitEvent(/could not be delivered.*channel_not_found/);
      assert.equal(e.meta.escalation_id, String(escalation_id));
      assert.equal((await slack.waitPosted('Nobody home')).channel, slack.dm('second'));
      slack.click('Acknowledge', { user: 'second', channel: slack.dm('second') });
      await s.waitEvent('acknowledged');
    });

    test('a thread whose parent is gone', async () => {
      const [slack, s] = await pair();
      const m = slack.say('soon gone'); await s.waitEvent('soon gone');
      slack.delete(m.ts);
      slack.fault('chat.postMessage', { lose: true });
      await s.ok('reply', { text: 'orphan', thread_ts: m.ts });
      await slack.waitPosted('orphan', 10000);
      await sleep(2500);
      assert.equal(slack.posted.length, 1);
    });
  });

  describe('a stream of messages, while things break', { concurrency: 2 }, () => {
    test('each once, in order, none lost, both ways', async () => {
      const [slack, s] = await pair({ ackTimeoutMs: 800 });
      const faults = [() => slack.refresh(), () => slack.reset(), () => slack.end(), () => slack.fault('chat.postMessage', { lose: true }), () => slack.fault('chat.postMessage', { status: 429, retryAfter: 1 }), () => slack.fault('chat.postMessage', { status: 503, commit: true }),
        () => slack.fault('conversations.history', { status: 500 }), () => slack.fault('chat.postMessage', { cutBody: true }), () => slack.warn(undefined, 500), () => slack.again(slack.envelopes.findLast(e => e.type === 'events_api' && e.payload.event?.user === slack.users.owner)), () => slack.close(1001, 'bye'), ...(STREAM_S > 60 ? [() => slack.hang(), () => slack.ghost(20000), () => slack.outage('refuse').then(() => setTimeout(() => slack.outage(false), 1500))] : [])];
      let said = 0, sent = 0, over = false;
      const end = Date.now() + STREAM_S * 1000, calls = [];
      const people = (async () => { while (Date.now() < end) { slack.say(`in ${said++}`); await sleep(20 + Math.random() * 60); } })();
      const agent = (async () => { while (Date.now() < end) { calls.push(s.ok('reply', { text: `out ${sent++}` })); if (calls.length > 8) await calls[calls.length - 8]; await sleep(60); } })();
      const breaker = (async () => { for (let i = 0; Date.now() < end - 2000; i++) { await sleep(700 + Math.random() * 600); faults[i % faults.length](); } })();
      await Promise.all([people, agent, breaker]);
      await until(() => s.events.length >= said, STREAM_S > 60 ? 120000 : 30000, () => `events ${s.events.length} of ${said}`);
      await until(() => slack.posted.length >= sent, 60000, () => `posts ${slack.posted.length} of ${sent}`);
      await Promise.all(calls);
      await sleep(1500);
      assert.deepEqual(texts(s).map(t => Number(t.slice(3))), Array.from({ length: said }, (_, i) => i));
      assert.deepEqual(slack.posted.map(p => p.text), Array.from({ length: sent }, (_, i) => `out ${i}`));
      clean(slack);
    });

    test('killed in the middle of nags, of a long reply and of a prompt: nothing twice, nothing missing', async () => {
      const slack = await fake();
      const state = tempDir();
      const part = n => Array.from({ length: 5 }, (_, i) => `R${n}P${i} ` + 'word '.repeat(700)).join('\n\n');
      const env = { SLACK_NAG_SECONDS: '2' };
      for (let n = 0; n < KILLS; n++) {
        const s = await session(slack, { state, env });
        await until(() => slack.socket.live.length === 1, 8000);
        if (n === 0) await s.ok('escalate', { title: 'Nagging', body: 'b', severity: 'error' });
        slack.say(`say ${n}`);
        s.call('reply', { text: part(n) }).catch(() => {});
        await until(() => s.client && fs.existsSync(path.join(state, 'state')));
        const id = 'abcd' + 'abcdefghijkmnopqrstuvwxyz'[n % 25];
        s.ask(id, 'Bash', `command ${n}`);
        await until(() => slack.posted.some(p => p.text.includes(`R${n}P0`)), 8000);
        await sleep(Math.random() * 400);
        await s.kill();
      }
      const s = await session(slack, { state, env });
      await until(() => slack.posted.some(p => p.text.includes(`R${KILLS - 1}P4`)), 15000);
      await until(() => slack.posted.filter(p => /Nag #/.test(p.text)).length >= 2, 15000);
      slack.react('eyes', slack.posted.find(p => /Nagging/.test(p.text)).ts);
      await s.waitEvent('acknowledged');
      await sleep(1000);
      const parts = slack.posted.flatMap(p => [...p.text.matchAll(/R(\d+)P(\d)/g)].map(m => `${m[1]}.${m[2]}`));
      assert.deepEqual(parts, Array.from({ length: KILLS * 5 }, (_, i) => `${Math.floor(i / 5)}.${i % 5}`));
      const count = re => slack.posted.filter(p => re.test(p.text) && p.channel === slack.dm());
      assert.equal(count(/\[ERROR\] Nagging/).length, 1);
      const nags = count(/Nag #/).filter(p => /Nagging/.test(p.text)).map(p => Number(/Nag #(\d+)/.exec(p.text)[1]));
      assert.deepEqual(nags, nags.map((_, i) => i + 1));
      for (let n = 0; n < KILLS; n++) assert.ok(slack.posted.filter(p => new RegExp(`command ${n}\\b`).test(slack.shown(p.message))).length <= 1, `prompt ${n}`);
      for (const p of slack.posted.filter(p => /asks to use/.test(p.text))) await until(() => slack.buttons(p.ts).length === 0, 5000, `prompt of a dead session: ${p.text}`);
      clean(slack);
    });
  });
});
