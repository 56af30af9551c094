// slack-channel where Slack answers oddly: what was sent must be found, what cannot be sent must be said, and nothing may be tried in a tight loop.
import { test, describe, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs'; import path from 'node:path';
import { startFakeSlack } from '../support/fake_slack/main.mjs';
import { startSession, patient, until, sleep, tempDir, BINARY } from '../support/slack_session.mjs';

const open = [];
after(async () => { for (const end of open.reverse()) await end(); });
const fake = async o => { const s = patient(await startFakeSlack({ ackTimeoutMs: 500, retryDelaysMs: [0, 300, 600], ...o })); open.push(() => s.stop()); return s; };
const session = async (slack, o = {}) => { const s = await startSession({ ...o, env: { ...slack.env, ...o.env } }); open.push(() => s.stop()); return s; };
const pair = async (so, before = () => {}) => { const slack = await fake(); before(slack); const s = await session(slack, so); await slack.waitUp(); await until(() => /slack: connected/.test(s.log)); return [slack, s]; };
const run = (slack, args, home = tempDir()) => new Promise(resolve => {
  const p = spawn(BINARY, args, { env: { PATH: process.env.PATH, HOME: home, SRE_CONFIG: path.join(home, 'config.env'), SRE_STATE_DIR: path.join(home, 'state'), XDG_RUNTIME_DIR: home, ...slack.env } });
  let out = '', err = ''; p.stdout.on('data', d => { out += d; }); p.stderr.on('data', d => { err += d; });
  p.on('exit', status => resolve({ status, out, err }));
});
const refused = async (s, tool, args, words) => {
  const r = await s.call(tool, args);
  assert.equal(r.isError, true, JSON.stringify(r.content));
  assert.match(r.content[0].text, words);
};
// Another process that holds the store until `release`.
async function hold(s) {
  const lock = spawn('python3', ['-c', 'import sqlite3,sys\nc=sqlite3.connect(sys.argv[1],timeout=10,isolation_level=None); c.execute("BEGIN IMMEDIATE"); print("locked",flush=True); sys.stdin.read(); c.execute("COMMIT")', path.join(s.state, 'state/incidents.db')]);
  open.push(() => lock.kill());
  await new Promise(r => lock.stdout.once('data', r));
  return () => new Promise(r => { lock.once('exit', r); lock.stdin.end(); });
}
// The look for a message that may have been sent, not catch-up's.
const isLook = r => r.args.include_all_metadata === 'true';
const texts = slack => slack.posted.map(p => p.text);

describe('slack-channel', { concurrency: 6 }, () => {
  describe('looking for a message whose answer was lost', { concurrency: 6 }, () => {
    test('page by page, through an outage and a rate limit', async () => {
      const [slack, s] = await pair();
      slack.fault('chat.postMessage', { lose: true });
      slack.fault('conversations.history', { when: isLook, status: 500 });
      slack.fault('conversations.history', { when: isLook, status: 429, retryAfter: 1 });
      slack.fault('conversations.history', { when: isLook, type: 'application/json', body: JSON.stringify({ ok: true, messages: [], response_metadata: { next_cursor: Buffer.from('next:0').toString('base64') } }) });
      const r = await s.ok('reply', { text: 'only once' });
      assert.equal(r.status, 'sent');
      assert.equal(r.message_ts, slack.posted[0].ts);
      assert.deepEqual(texts(slack), ['only once']);
      assert.equal(slack.calls('conversations.history').filter(isLook).at(-1).args.cursor, Buffer.from('next:0').toString('base64'));
    });

    test('by what was said, when Slack keeps the metadata to itself', async () => {
      const [slack, s] = await pair();
      slack.fault('chat.postMessage', { lose: true });
      const hidden = { type: 'application/json', times: null, body: '{}', when: r => isLook(r) && !!(f.body = JSON.stringify({ ok: true, messages: slack.messages().map(({ metadata, ...m }) => m).reverse() })) };
      const f = slack.fault('conversations.history', hidden);
      const r = await s.ok('reply', { text: 'said before' });
      assert.equal(r.message_ts, slack.posted[0].ts);
      assert.deepEqual(texts(slack), ['said before']);
    });

    test('at top level, when Slack took it out of its thread', async () => {
      const [slack, s] = await pair();
      const { message_ts } = await s.ok('reply', { text: 'parent' });
      slack.fault('chat.postMessage', { lose: true, unthread: true });
      const r = await s.ok('reply', { text: 'child', thread_ts: message_ts });
      assert.equal(r.message_ts, slack.posted[1].ts);
      assert.deepEqual(texts(slack), ['parent', 'child']);
      slack.fault('chat.postMessage', { unthread: true });
      await s.ok('reply', { text: 'another', thread_ts: message_ts });
      assert.match(s.log, /the thread is gone, the message stands by itself/);
    });

    test('where nobody can look it is sent again rather than never; where Slack refuses, it is said', async () => {
      const [slack, s] = await pair();
      slack.fault('chat.postMessage', { lose: true });
      slack.fault('conversations.history', { when: isLook, error: 'missing_scope' });
      await s.ok('reply', { text: 'twice at worst' });
      assert.deepEqual(texts(slack), ['twice at worst', 'twice at worst']);
      slack.fault('chat.postMessage', { lose: true, when: r => r.args.text === 'where' });
      slack.fault('conversations.history', { when: isLook, error: 'channel_not_found' });
      await refused(s, 'reply', { text: 'where' }, /Slack refused: channel_not_found/);
    });
  });

  describe('files', { concurrency: 6 }, () => {
    const project = () => { const cwd = tempDir(); fs.writeFileSync(path.join(cwd, 'f.txt'), 'content'); return cwd; };

    test('a URL that ran out is asked for anew; what Slack refuses is said', async () => {
      const [slack, s] = await pair({ cwd: project() });
      slack.fault('upload', { status: 404 });
      await s.ok('reply', { text: 'here', files: ['f.txt'] });
      assert.equal(slack.calls('files.getUploadURLExternal').length, 2);
      assert.equal(slack.posted[1].files[0].title, 'f.txt');
      assert.equal(slack.file(slack.posted[1].files[0].id).content.toString(), 'content');
      slack.fault('files.getUploadURLExternal', { error: 'file_uploads_disabled' });
      await refused(s, 'reply', { text: 'again', files: ['f.txt'] }, /file_uploads_disabled/);
      slack.removeScope('files:write');
      await refused(s, 'reply', { text: 'and again', files: ['f.txt'] }, /missing_scope \(the app needs another scope: run slack-channel doctor\)/);
      await s.ok('reply', { text: 'words still go' });
    });

    test('"ok" without a URL is no success, and is not asked in a tight loop', async () => {
      const [slack, s] = await pair({ cwd: project() });
      const f = slack.fault('files.getUploadURLExternal', { times: null, type: 'application/json', body: '{"ok":true}' });
      const call = s.ok('reply', { text: 'here', files: ['f.txt'] });
      await until(() => f.hits > 0);
      await sleep(1500);
      assert.ok(f.hits <= 10, `${f.hits} calls in 1.5 s`);
      f.clear();
      await call;
      await until(() => slack.posted.length === 2, 20000);
    });

    test('one that was removed before it could be sent', async () => {
      const [slack, s] = await pair({ cwd: project() });
      slack.fault('chat.postMessage', { delayMs: 1000 });
      const call = refused(s, 'reply', { text: 'first', files: ['f.txt'] }, /Slack refused: the file is gone/);
      const kept = path.join(s.state, 'state/slack-files');
      await until(() => fs.existsSync(kept) && fs.readdirSync(kept).length);
      for (const f of fs.readdirSync(kept)) fs.rmSync(path.join(kept, f));
      await call;
      assert.deepEqual(texts(slack), ['first']);
    });
  });

  describe('people', { concurrency: 6 }, () => {
    test('without a conversation yet: it is opened for what is to be said, or by saying it', async () => {
      const [slack, s] = await pair({}, x => x.fault('conversations.open', { error: 'user_not_visible', times: 2 }));
      await until(() => (s.log.match(/no direct messages with this user/g) ?? []).length === 2);
      await s.ok('reply', { text: 'hello' });
      assert.equal(slack.calls('conversations.open').length, 3);
      assert.equal(slack.posted[0].channel, slack.dm());
      const [two, t] = await pair({}, x => x.removeScope('im:write'));
      const r = await t.ok('reply', { text: 'hello' });
      assert.equal(two.posted[0].request.args.channel, two.users.owner);
      assert.equal(r.chat_id, two.dm());
      assert.match(t.log, /the bot token lacks scopes.*missing=.*im:write/);
      assert.match((await t.ok('escalate', { title: 'T', body: 'b', severity: 'info' })).slack, /connected, but the bot token lacks the scopes im:write/);
      const [, u] = await pair({}, x => x.fault('conversations.open', { error: 'user_disabled', times: null }));
      await refused(u, 'reply', { text: 'hello' }, /user_disabled/);
    });

    test('names and conversations that Slack has no time for are asked for again', async () => {
      const [slack, s] = await pair({}, x => { x.fault('conversations.open', { status: 503 }); x.fault('users.info', { status: 503 }); });
      await until(() => slack.calls('users.info').length >= 3, 10000);
      slack.say('who am I?');
      const e = await s.waitEvent('who am I?');
      assert.equal(e.meta.user, slack.workspace.users.get(slack.users.owner).profile.real_name);
      assert.equal(slack.calls('conversations.open').length, 3);
    });
  });

  test('tools name what is wrong', async () => {
    const [slack, s] = await pair();
    const { chat_id, message_ts } = await s.ok('reply', { text: 'one' });
    await s.ok('escalate', { title: 'Stays as it is', body: 'b', severity: 'info' });
    const e = await slack.waitPosted('Stays as it is');
    await refused(s, 'reply', { text: 'x', thread_ts: 'yesterday' }, /thread_ts: must be a message's ts/);
    await refused(s, 'reply', { text: '   ' }, /text: is empty/);
    await refused(s, 'edit_message', { chat_id, message_ts: e.ts, text: 'x' }, /keeps itself up to date/);
    await refused(s, 'edit_message', { chat_id, message_ts, text: '&'.repeat(1000) }, /text: must be 1 to 3900 characters as Slack counts them/);
    await refused(s, 'edit_message', { chat_id, message_ts: slack.say('theirs').ts, text: 'x' }, /cant_update_message \(only our own messages can be changed\)/);
    await refused(s, 'react', { chat_id, message_ts, emoji: 'two words' }, /emoji: must be a name/);
    slack.fault('reactions.add', { error: 'invalid_name' });
    await refused(s, 'react', { chat_id, message_ts, emoji: ':no_such:' }, /invalid_name \(emoji: no such name\)/);
    await refused(s, 'resolve_escalation', { escalation_id: 99 }, /no escalation 99/);
    assert.deepEqual(texts(slack).filter(t => t === 'x'), []);
  });

  test('a thread that cannot be read, is long, or is of people without a name', async () => {
    const [slack, s] = await pair();
    const m = slack.say('thread');
    for (let i = 0; i < 30; i++) slack.say(`${i} ` + 'x'.repeat(1990), { thread_ts: m.ts });
    const args = { chat_id: slack.dm(), thread_ts: m.ts };
    const r = await s.ok('read_thread', args);
    assert.ok(r.left_out > 10);
    assert.equal(r.messages.length + r.left_out, 31);
    assert.match(r.messages.at(-1).text, /^29 x/); // the newest are there
    slack.fault('conversations.replies', { error: 'missing_scope', extra: { needed: 'im:history' } });
    await refused(s, 'read_thread', args, /Slack: missing_scope, needs im:history/);
    slack.fault('conversations.replies', { status: 429, retryAfter: 1 });
    await refused(s, 'read_thread', args, /Slack asks to wait \d s/);
    const asked = slack.calls('conversations.replies').length;
    await refused(s, 'read_thread', args, /Slack asks to wait 2 s|Slack asks to wait 1 s/);
    assert.equal(slack.calls('conversations.replies').length, asked); // it was not even tried
    assert.deepEqual(slack.violations.map(v => v.what), []);
  });

  test('while another process holds the store, nothing is promised', async () => {
    const [slack, s] = await pair();
    const { chat_id, message_ts } = await s.ok('reply', { text: 'before' });
    const { escalation_id } = await s.ok('escalate', { title: 'T', body: 'b', severity: 'info' });
    await slack.waitPosted('T');
    const release = await hold(s);
    const calls = [['reply', { text: 'lost?' }], ['react', { chat_id, message_ts, emoji: 'eyes' }], ['resolve_escalation', { escalation_id }]];
    for (const [tool, args] of calls) await refused(s, tool, args, /nothing was stored and nothing will be sent: .*locked.*; try again/);
    await release();
    await s.ok('reply', { text: 'after' });
    assert.deepEqual(texts(slack).filter(t => /^(before|lost\?|after)$/i.test(t)), ['before', 'after']);
    assert.equal((await s.ok('list_escalations')).escalations[0].state, 'open');
  });

  test('an answer of Slack that cannot be noted at once is noted later, and nothing is said twice', async () => {
    const [slack, s] = await pair();
    slack.fault('chat.postMessage', { when: r => r.args.text === 'sent', delayMs: 1500 });
    slack.fault('chat.postMessage', { when: r => r.args.text === 'refused', delayMs: 1500, error: 'msg_too_long', times: null });
    for (const [text, ends] of [['sent', r => assert.equal(r.structuredContent.status, 'sent')], ['refused', r => assert.match(r.content[0].text, /msg_too_long/)]]) {
      const call = s.call('reply', { text }), asked = slack.calls('chat.postMessage').length;
      await until(() => slack.calls('chat.postMessage').length > asked);
      const release = await hold(s);
      await until(() => slack.calls('chat.postMessage').at(-1).done, 5000);
      await sleep(300);
      await release();
      ends(await call);
    }
    assert.deepEqual(texts(slack), ['sent']);
  });

  test('a rate limit that one person met is kept to for all', async () => {
    const cwd = tempDir();
    fs.writeFileSync(path.join(cwd, 'f.txt'), 'content');
    const [slack, s] = await pair({ cwd });
    slack.say('hello', { user: 'second', channel: slack.dm('second') });
    await s.waitEvent('hello');
    slack.fault('files.getUploadURLExternal', { status: 429, retryAfter: 2 });
    const first = s.ok('reply', { text: 'one', files: ['f.txt'] });
    await slack.waitCall('files.getUploadURLExternal');
    await Promise.all([first, s.ok('reply', { text: 'two', chat_id: slack.dm('second'), files: ['f.txt'] })]);
    assert.deepEqual(slack.violations.map(v => v.what), []);
    assert.equal(slack.calls('files.getUploadURLExternal').length, 3);
  });

  test('a long escalation and a long list of them say what was left out', async () => {
    const [slack, s] = await pair();
    await s.ok('escalate', { title: 'Long', body: `start ${'word '.repeat(3000)}end`, severity: 'error', recommended_action: 'read it' });
    const p = await slack.waitPosted('Long');
    assert.match(slack.shown(p.message), /\.\.\. \d+ characters left out/);
    slack.fault('chat.postMessage', { error: 'invalid_blocks', when: r => /Plain/.test(r.args.text) });
    await s.ok('escalate', { title: 'Plain', body: 'b', severity: 'error', recommended_action: 'restart **it**' });
    const q = await slack.waitPosted('Plain');
    assert.match(q.text, /\*Recommended:\* restart \*it\*\nAny word in the thread acknowledges it/);
    for (let i = 0; i < 60; i++) await s.ok('escalate', { title: `${i} ${'t'.repeat(140)}`, body: 'b', severity: 'info', recommended_action: 'a'.repeat(600) });
    const r = await s.call('list_escalations');
    assert.ok(JSON.stringify(r).length < 48 * 1024);
    assert.equal(r.structuredContent.escalations.length + r.structuredContent.left_out, 62);
    assert.match(r.content[0].text, new RegExp(`and ${r.structuredContent.left_out} more$`));
  });

  test('what is no envelope is ignored, and the next one is not', async () => {
    const [slack, s] = await pair();
    for (const text of ['{', '[]', 'null', '{"type":7}', '']) slack.sendText(text);
    slack.say('still there?');
    await s.waitEvent('still there?');
    assert.match(s.log, /not an envelope, ignored/);
    assert.equal(slack.connections.length, 1);
  });

  test('ends in time though Slack does not answer; the next one looks for it', async () => {
    const [slack, s] = await pair();
    slack.fault('chat.postMessage', { hang: true });
    const call = s.call('reply', { text: 'under way' }).catch(e => e);
    await until(() => slack.posted.length === 1);
    const began = Date.now();
    await s.stop();
    await call;
    assert.ok(Date.now() - began < 4000);
    const t = await session(slack, { state: s.state });
    await until(() => slack.calls('conversations.history').some(isLook));
    await t.ok('reply', { text: 'next' });
    assert.deepEqual(texts(slack), ['under way', 'next']);
  });

  test('a prompt without a usable id is left to the terminal', async () => {
    const [slack, s] = await pair();
    for (const id of ['', 'ABCDE', 'abcdefgh', 'ab de']) await s.ask(id, 'Bash', 'ls');
    await s.ask('abcde', 'Bash', 'this one');
    await slack.waitPosted('yes abcde');
    assert.equal(slack.posted.length, 1);
    assert.match(s.log, /without a usable request_id/);
  });

  test('a page that Slack refuses', async () => {
    const slack = await fake();
    slack.fault('chat.postMessage', { error: 'restricted_action' });
    const r = await run(slack, ['page', 'hello']);
    assert.equal(r.status, 1);
    assert.match(r.err, /not sent: Slack refused it: restricted_action/);
  });

  test('doctor says how to mend what it finds', async () => {
    const slack = await fake();
    slack.ghost();
    slack.fault('conversations.open', { error: 'user_not_found' });
    slack.fault('conversations.open', { error: 'missing_scope' });
    let r = await run(slack, ['doctor']);
    assert.match(r.out, /with U\w+: user_not_found\n\s+-> SLACK_ALLOWED_USERS: member ids/);
    assert.match(r.out, /with U\w+: missing_scope\n\s+-> add the scope under OAuth & Permissions/);
    assert.match(r.out, /ok\s+socket\s+hello, but Slack counts 2 connections/);
    slack.fault('auth.test', { type: 'application/json', body: JSON.stringify({ ok: true, team: 'T', team_id: 'T1', user_id: 'U1', bot_id: 'B1' }) });
    r = await run(slack, ['doctor']);
    assert.match(r.out, /skipped\s+scopes\s+Slack did not list them/);
    slack.fault('auth.test', { status: 503 });
    r = await run(slack, ['doctor']);
    assert.match(r.out, /failed\s+auth\.test\s+.*\n\s+-> the network: DNS, proxy/);
    slack.fault('auth.test', { error: 'something_new' });
    r = await run(slack, ['doctor']);
    assert.match(r.out, /something_new\n\s+-> see the error's name/);
  });
});
