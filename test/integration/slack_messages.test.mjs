// slack-channel against the fake Slack: what people say reaches the session, what it says reaches them.
import { test, describe, after } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs'; import path from 'node:path';
import { startFakeSlack } from '../support/fake_slack/main.mjs';
import { startSession, patient, tempDir, until, sleep } from '../support/slack_session.mjs';

const open = [];
after(async () => { for (const end of open.reverse()) await end(); });
const fake = async o => { const s = patient(await startFakeSlack({ ackTimeoutMs: 400, retryDelaysMs: [0, 100, 300], ...o })); open.push(() => s.stop()); return s; };
const session = async (slack, o = {}) => { const s = await startSession({ ...o, env: { ...slack.env, ...o.env } }); open.push(() => s.stop()); return s; };
const pair = async (o, so) => { const slack = await fake(o), s = await session(slack, so); await slack.waitUp(); return [slack, s]; };
const noViolations = slack => assert.deepEqual(slack.violations.map(v => v.what), []);

describe('slack-channel', { concurrency: 2 }, () => {
  describe('inbound', { concurrency: 6 }, () => {
    test('a direct message becomes an event, acknowledged at once', async () => {
      const [slack, s] = await pair();
      const m = slack.say('is <prod> & "staging" up? é 🎉');
      const r = await slack.waitAcked(m.envelope);
      assert.ok(r.attempts[0].latency < 200, `${r.attempts[0].latency} ms`);
      const e = await s.waitEvent('staging');
      assert.equal(e.content, 'is <prod> & "staging" up? é 🎉');
      assert.equal(e.meta.kind, 'message');
      assert.equal(e.meta.chat_id, m.channel);
      assert.equal(e.meta.message_ts, m.ts);
      assert.equal(e.meta.user_id, slack.users.owner);
      await until(async () => (slack.say('again'), await sleep(100), s.events.at(-1).meta.user === 'Olga Owner'));
      assert.ok(!('thread_ts' in e.meta) && !('escalation_id' in e.meta));
      noViolations(slack);
    });

    test('strangers, bots, channels, our own posts and repeats do not come through', async () => {
      const [slack, s] = await pair();
      slack.say('let me in', { user: 'stranger' }); slack.say('let me in 2', { user: 'stranger' });
      slack.say('in a channel', { channel: 'channel' }); slack.botSays('beep'); slack.botSays('boop', { classic: true });
      await s.ok('reply', { text: 'my own words' });
      const m = slack.say('once', { twice: true });
      slack.again(m.envelope); slack.unfurl(m.ts);
      await s.waitEvent('once');
      await sleep(600);
      assert.deepEqual(s.events.map(e => e.content), ['once']);
      assert.equal(s.log.match(new RegExp(`level=warn[^\\n]*${slack.users.stranger}`, 'g'))?.length, 1);
      noViolations(slack);
    });

    test('threads, files, edits, commands', async () => {
      const [slack, s] = await pair();
      const m = slack.say('first');
      slack.say('second', { thread_ts: m.ts });
      assert.equal((await s.waitEvent('second')).meta.thread_ts, m.ts);
      slack.say('look', { files: [{ name: 'a.log', content: 'x'.repeat(10), mimetype: 'text/plain' }] });
      assert.match((await s.waitEvent('look')).content, /a\.log \(text\/plain, 10 bytes/);
      slack.edit(m.ts, 'first, mended');
      assert.match((await s.waitEvent('mended')).content, /^\(edited\) first, mended$/);
      slack.say('x'.repeat(20000) + 'END');
      const long = await s.waitEvent(e => e.content.startsWith('xxx'));
      assert.ok(Buffer.byteLength(long.content) <= 16384);
      assert.match(long.content, /bytes left out\)$/);
      assert.deepEqual(s.events.map(e => e.meta.kind), ['message', 'message', 'message', 'message', 'message']);
    });

    test('what was said while nobody listened is read after hello, threads too, in order, once', async () => {
      const [slack, s] = await pair();
      const p = await s.ok('reply', { text: 'shall I?' });
      slack.say('before');
      await s.waitEvent('before');
      await s.kill();
      for (const text of ['one', 'two', 'three']) { slack.say(text, { drop: true }); await sleep(2); }
      slack.say('in the thread', { thread_ts: p.message_ts, drop: true });
      slack.say('yes', { user: 'second', drop: true });
      const s2 = await session(slack, { state: s.state });
      await s2.waitEvent('yes'); await s2.waitEvent('in the thread');
      await sleep(500);
      assert.deepEqual(s2.events.filter(e => e.content !== 'before').map(e => e.content), ['one', 'two', 'three', 'in the thread', 'yes']);
    });

    test('the first push comes 0.2 to 2 s after initialized; what no tool call followed comes again, at most 3 times', async () => {
      const [slack, s] = await pair();
      await s.kill();
      slack.say('kept', { drop: true });
      for (const n of [1, 2, 3, 4]) {
        const t = await session(slack, { state: s.state });
        if (n > 3) { await sleep(2500); assert.equal(t.events.length, 0); await t.kill(); break; }
        const e = await t.waitEvent('kept');
        if (n > 1) assert.ok(e.at - t.initializedAt > 200 && e.at - t.initializedAt < 2000, `${e.at - t.initializedAt}`);
        assert.equal(e.meta.delivery, n > 1 ? String(n) : undefined);
        await sleep(200);
        assert.equal(t.events.length, 1);
        await t.kill();
      }
      slack.say('taken');
      const t = await session(slack, { state: s.state });
      await t.waitEvent('taken');
      await t.ok('list_escalations');
      await t.kill();
      const u = await session(slack, { state: s.state });
      await slack.waitUp();
      await sleep(1200);
      assert.equal(u.events.length, 0);
    });
  });

  describe('outbound', { concurrency: 6 }, () => {
    test('a reply in Markdown, in a thread, pinging nobody', async () => {
      const [slack, s] = await pair();
      const m = slack.say('hello');
      await s.waitEvent('hello');
      const r = await s.ok('reply', { text: '# Done\n**bold** and [a link](https://example.com/a_b) <!channel> <@U0FAKEOWN01> @here a < b\n- one\n', chat_id: m.channel, thread_ts: m.ts });
      const p = slack.posted[0];
      assert.equal(r.message_ts, p.ts);
      assert.equal(r.status, 'sent');
      assert.equal(p.thread_ts, m.ts);
      assert.deepEqual(slack.pings(p.message), []);
      assert.match(p.text, /^\*Done\*\n\*bold\* and <https:\/\/example.com\/a_b\|a link>/);
      assert.match(p.text, /• one/);
      noViolations(slack);
    });

    test('only where the inbound gate listens', async () => {
      const [slack, s] = await pair();
      for (const chat_id of ['C0FAKECHAN1', slack.users.stranger, slack.dm('stranger'), 'D0UNKNOWN01']) {
        const r = await s.call('reply', { text: 'psst', chat_id });
        assert.equal(r.isError, true, chat_id);
        assert.match(r.content[0].text, /chat_id/);
      }
      assert.equal((await s.ok('reply', { text: 'hi', chat_id: slack.users.second })).chat_id, slack.dm('second'));
      assert.equal(slack.posted.length, 1);
    });

    test('a long text comes in parts, in order, none above 4,000 characters, fences whole', async () => {
      const [slack, s] = await pair();
      const text = Array.from({ length: 60 }, (_, i) => `Paragraph ${i} ${'wörd '.repeat(30)}`).join('\n\n') + '\n\n```yaml\n' + Array.from({ length: 300 }, (_, i) => `key${i}: ${'v'.repeat(20)} & <x>`).join('\n') + '\n```\nthe end';
      await s.ok('reply', { text });
      assert.ok(slack.posted.length > 3);
      for (const p of slack.posted) {
        assert.ok([...p.text].length <= 4000);
        assert.equal((p.text.match(/```/g) ?? []).length % 2, 0, p.text);
      }
      const all = slack.posted.map(p => p.text).join('\n');
      for (let i = 0; i < 60; i++) assert.match(all, new RegExp(`Paragraph ${i} `));
      const keys = [...all.matchAll(/^key(\d+): v{20} &amp; &lt;x&gt;$/gm)].map(m => Number(m[1]));
      assert.deepEqual(keys, Array.from({ length: 300 }, (_, i) => i));
      assert.match(slack.posted.at(-1).text, /the end$/);
    });

    test('edit, react, read a thread', async () => {
      const [slack, s] = await pair();
      const { message_ts, chat_id } = await s.ok('reply', { text: 'working on it' });
      await s.ok('edit_message', { chat_id, message_ts, text: 'done, **all of it**' });
      assert.equal(slack.message(message_ts).text, 'done, *all of it*');
      await s.ok('react', { chat_id, message_ts, emoji: ':eyes:' });
      await s.ok('react', { chat_id, message_ts, emoji: 'eyes' });
      assert.equal(slack.message(message_ts).reactions[0].name, 'eyes');
      slack.say('thanks & <bye>', { thread_ts: message_ts });
      const t = await s.ok('read_thread', { chat_id, thread_ts: message_ts });
      assert.deepEqual(t.messages.map(m => m.text), ['done, *all of it*', 'thanks & <bye>']);
      assert.deepEqual(t.messages.map(m => m.user), ['you', 'Olga Owner']);
      const bad = await s.call('edit_message', { chat_id, message_ts: '1.000001', text: 'x' });
      assert.match(bad.content[0].text, /message_not_found/);
      noViolations(slack);
    });

    test('files of the project, never hidden ones, the state or what lies outside', async () => {
      const cwd = tempDir(), [slack, s] = await pair({}, { cwd, state: path.join(cwd, 'home') });
      fs.writeFileSync(path.join(cwd, 'report.txt'), 'all is well');
      fs.writeFileSync(path.join(cwd, '.env'), 'SECRET=1');
      fs.symlinkSync('/etc/passwd', path.join(cwd, 'link'));
      fs.symlinkSync(path.join(cwd, '.env'), path.join(cwd, 'innocent'));
      fs.mkdirSync(path.join(cwd, '.git')); fs.writeFileSync(path.join(cwd, '.git', 'config'), 'x');
      for (const f of ['.env', '/etc/passwd', 'link', 'innocent', '.git/config', '../x', 'home/state/incidents.db', 'nothing', '.']) {
        const r = await s.call('reply', { text: 'x', files: [f] });
        assert.equal(r.isError, true, f);
        assert.match(r.content[0].text, /^files: /);
      }
      assert.equal(slack.posted.length, 0);
      await s.ok('reply', { text: 'here', files: ['report.txt'] });
      assert.equal(slack.posted.length, 2);
      const file = slack.posted[1].files[0];
      assert.equal(file.name, 'report.txt');
      assert.equal(slack.file(file.id).content.toString(), 'all is well');
      await until(() => fs.readdirSync(path.join(cwd, 'home/state/slack-files')).length === 0);
      noViolations(slack);
    });

    test('secrets of the model are masked, our tokens are nowhere', async () => {
      const [slack, s] = await pair();
      await s.ok('reply', { text: 'password=hunter22222 and ' + slack.env.SLACK_BOT_TOKEN });
      assert.doesNotMatch(slack.posted[0].text, /hunter22222|xoxb-1/);
      assert.doesNotMatch(s.log, /xoxb-1-fake|xapp-1-fake/);
    });

    test('while Slack is away it is kept, told so, and sent once, in order', async () => {
      const [slack, s] = await pair();
      await slack.outage('refuse');
      const calls = ['a', 'b', 'c'].map(text => s.ok('reply', { text }));
      const first = await calls[0];
      assert.equal(first.status, 'queued');
      await slack.outage(false);
      await slack.waitPosted('c', 15000);
      await Promise.all(calls);
      await sleep(300);
      assert.deepEqual(slack.posted.map(p => p.text), ['a', 'b', 'c']);
    });
  });
});
