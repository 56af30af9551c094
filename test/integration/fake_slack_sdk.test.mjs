// The fake Slack against Slack's own clients, so that it is no mirror of ours: both major versions in use.
import { test, describe, after } from 'node:test';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import WebSocket from 'ws';
import { startFakeSlack } from '../support/fake_slack/main.mjs';

const require = createRequire(import.meta.url), silent = { debug() {}, info() {}, warn() {}, error() {}, setLevel() {}, getLevel: () => 'error', setName() {} };
const ROW = { type: 'actions', elements: ['Allow', 'Deny'].map(t => ({ type: 'button', text: { type: 'plain_text', text: t }, action_id: `perm:${t}`, value: t })) };
const sdks = [['@slack/socket-mode-2', '@slack/web-api-7', 18], ['@slack/socket-mode', '@slack/web-api', 20]];

for (const [socketName, webName, node] of sdks) {
  if (Number(process.versions.node.split('.')[0]) < node) continue;
  const { SocketModeClient } = require(socketName), { WebClient } = require(webName);

  describe(`${socketName} and ${webName}`, { concurrency: 4 }, () => {
    const open = [];
    after(async () => { for (const end of open.reverse()) await end(); });
    const start = async options => { const s = await startFakeSlack({ ackTimeoutMs: 150, retryDelaysMs: [0, 50, 100], leaveTcpOpen: false, ...options }); open.push(() => s.stop()); return s; };
    const client = async (slack, options = {}) => {
      const c = new SocketModeClient({ appToken: slack.appToken, logger: silent, clientPingTimeout: 600, clientOptions: { slackApiUrl: slack.apiUrl, logger: silent, ...options } });
      c.heard = []; c.on('slack_event', e => c.heard.push(e)); c.on('error', () => {});
      await c.start();
      open.push(() => c.disconnect().catch(() => {}));
      return c;
    };
    const web = (slack, options = {}) => new WebClient(slack.botToken, { slackApiUrl: slack.apiUrl, logger: silent, ...options });

    test('connects, hears people, acknowledges', async () => {
      const slack = await start({ ackTimeoutMs: 2000 }), c = await client(slack);
      c.on('message', e => e.ack());
      const said = slack.say('is <prod> & "staging" up? é 🎉'), record = await slack.waitAcked(said.envelope);
      assert.equal(c.heard[0].body.event.text, 'is &lt;prod&gt; &amp; "staging" up? é 🎉');
      assert.equal(c.heard[0].body.event.ts, said.ts);
      assert.equal(record.attempts.length, 1);
      slack.say('1 MiB', { pad: 1 << 20 });
      await slack.waitFor(() => c.heard.length === 2);
      assert.ok(JSON.stringify(c.heard[1].body).length >= (1 << 20) - 1000);
      assert.deepEqual(slack.violations, []);
    });

    test('an unacknowledged event comes again, with the same event_id', async () => {
      const slack = await start(), c = await client(slack);
      c.on('message', e => e.retry_num === 2 && e.ack());
      const { envelope } = slack.say('three times');
      await slack.waitFor(() => envelope.acked);
      await new Promise(r => setTimeout(r, 400));
      assert.deepEqual(c.heard.map(e => [e.retry_num, e.retry_reason]), [[0, ''], [1, 'timeout'], [2, 'timeout']]);
      assert.equal(new Set(c.heard.map(e => e.body.event_id)).size, 1);
    });

    test('comes back with a new ticket after refresh_requested', async () => {
      const slack = await start(), c = await client(slack);
      slack.refresh();
      await slack.waitFor(() => slack.connections.length === 2 && slack.socket.live.length === 1, 8000);
      assert.equal(slack.calls('apps.connections.open').length, 2);
      assert.equal(slack.socket.registrations.length, 1);
      c.on('message', e => e.ack());
      await slack.waitAcked(slack.say('still there?').envelope);
    });

    test('copes with fragments, a coalesced hello and pings', async () => {
      const slack = await start({ pingMs: 50 });
      slack.style({ fragment: 33, coalesceHello: true });
      const c = await client(slack); c.on('message', e => e.ack());
      await slack.waitAcked(slack.say('in ✂ pieces '.repeat(20)).envelope);
      assert.equal(c.heard[0].body.event.text, 'in ✂ pieces '.repeat(20));
      await slack.waitFor(() => slack.connections[0].pongs >= 2 && slack.connections[0].clientPings >= 1);
      assert.deepEqual(slack.violations, []);
    });

    test('gives up on a revoked app token, and says why', async () => {
      const slack = await start(); slack.revoke('app', 'account_inactive');
      await assert.rejects(client(slack), /account_inactive/);
    });

    test('posts, reads back, updates, reacts, links', async () => {
      const slack = await start(), w = web(slack), scopes = (await w.auth.test()).response_metadata.scopes;
      assert.ok(scopes.includes('chat:write') && scopes.includes('im:history'));
      const posted = await w.chat.postMessage({ channel: slack.users.owner, text: 'a <b> & c', blocks: [ROW], metadata: { event_type: 'row', event_payload: { id: 7 } } });
      assert.match(posted.ts, /^\d{10}\.\d{6}$/);
      assert.equal(posted.channel, slack.dm());
      assert.equal(posted.message.text, 'a &lt;b&gt; &amp; c');
      const reply = await w.chat.postMessage({ channel: posted.channel, thread_ts: posted.ts, text: 'reply' });
      assert.equal(reply.message.thread_ts, posted.ts);
      const { messages } = await w.conversations.history({ channel: posted.channel, oldest: '0', include_all_metadata: true });
      assert.deepEqual(messages.map(m => [m.ts, m.reply_count, m.metadata.event_payload.id]), [[posted.ts, 1, 7]]);
      assert.deepEqual((await w.conversations.replies({ channel: posted.channel, ts: posted.ts })).messages.map(m => m.ts), [posted.ts, reply.ts]);
      await w.chat.update({ channel: posted.channel, ts: posted.ts, text: 'decided', blocks: [] });
      assert.deepEqual(slack.buttons(posted.ts), []);
      await w.reactions.add({ channel: posted.channel, timestamp: posted.ts, name: 'eyes' });
      await assert.rejects(w.reactions.add({ channel: posted.channel, timestamp: posted.ts, name: 'eyes' }), /already_reacted/);
      assert.match((await w.chat.getPermalink({ channel: posted.channel, message_ts: reply.ts })).permalink, new RegExp(`/p${reply.ts.replace('.', '')}\\?thread_ts=${posted.ts}&cid=`));
      assert.equal((await w.users.info({ user: slack.users.second })).user.real_name, 'Sam Second');
      assert.equal((await w.conversations.open({ users: slack.users.second })).channel.id, slack.dm('second'));
    });

    test('a press of a button arrives as block_actions and can be answered', async () => {
      const slack = await start(), c = await client(slack), w = web(slack);
      const { ts } = await w.chat.postMessage({ channel: slack.dm(), text: 'may I?', blocks: [ROW] });
      let body; c.on('interactive', async e => { body = e.body; await e.ack(); });
      await slack.waitAcked(slack.click('Deny', { user: 'second', channel: slack.dm() }));
      assert.deepEqual([body.type, body.user.id, body.actions[0].action_id, body.actions[0].value, body.container.message_ts], ['block_actions', slack.users.second, 'perm:Deny', 'Deny', ts]);
      await fetch(body.response_url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"text":"not yours"}' });
      assert.equal(slack.ephemeral[0].ephemeral_to, slack.users.second);
    });

    test('uploads a file', async () => {
      const slack = await start();
      await web(slack).files.uploadV2({ channel_id: slack.dm(), file: Buffer.from('naïve\0bytes'), filename: 'log.txt', title: 'The log', initial_comment: 'see' });
      const post = await slack.waitPosted('see');
      assert.deepEqual(post.files.map(f => [f.name, f.title]), [['log.txt', 'The log']]);
      assert.equal(slack.file(post.files[0].id).content.toString(), 'naïve\0bytes');
    });

    test('waits out a 429, tries a 503 again, and repeats a post whose answer was lost', async () => {
      const slack = await start(), w = web(slack, { retryConfig: { retries: 3, minTimeout: 20, factor: 1 } });
      slack.fault('chat.postMessage', { status: 429, retryAfter: 1 });
      await w.chat.postMessage({ channel: slack.dm(), text: 'one' });
      const [a, b] = slack.calls('chat.postMessage');
      assert.ok(b.at - a.at >= 990, `second try after ${b.at - a.at} ms`);
      slack.fault('chat.postMessage', { status: 503 });
      await w.chat.postMessage({ channel: slack.dm(), text: 'two' });
      slack.fault('chat.postMessage', { lose: true });
      await w.chat.postMessage({ channel: slack.dm(), text: 'three' });
      assert.deepEqual(slack.posted.map(p => p.text), ['one', 'two', 'three', 'three']);
    });

    test('names its errors as Slack does', async () => {
      const slack = await start(), w = web(slack, { retryConfig: { retries: 0 } }), dm = slack.dm(), post = more => w.chat.postMessage({ channel: dm, text: 'x', ...more });
      await assert.rejects(post({ channel: 'C0NOWHERE' }), /channel_not_found/);
      await assert.rejects(post({ channel: slack.channels.outside }), /not_in_channel/);
      await assert.rejects(post({ blocks: [{ type: 'section', text: { type: 'mrkdwn', text: 'é'.repeat(3001) } }] }), e => e.data.error === 'invalid_blocks' && /less than 3001.*\/blocks\/0\/text\/text/.test(e.data.response_metadata.messages[0]));
      await post({ blocks: [{ type: 'section', text: { type: 'mrkdwn', text: 'é'.repeat(3000) } }] });
      slack.removeScope('chat:write');
      await assert.rejects(post(), e => e.data.error === 'missing_scope' && e.data.needed === 'chat:write' && !e.data.provided.includes('chat:write,'));
      slack.addScope('chat:write'); slack.revoke();
      await assert.rejects(post(), /token_revoked/);
      await assert.rejects(new WebClient(slack.appToken, { slackApiUrl: slack.apiUrl, logger: silent }).auth.test(), /not_allowed_token_type/);
    });
  });
}

test('a strict WebSocket client finds no fault with the frames', async () => {
  const slack = await startFakeSlack({ leaveTcpOpen: false }), dial = async () => {
    const r = await fetch(slack.apiUrl + 'apps.connections.open', { method: 'POST', headers: { authorization: `Bearer ${slack.appToken}` } }), s = new WebSocket((await r.json()).url), got = [];
    s.on('message', d => got.push(JSON.parse(d))); s.on('error', e => got.push(e)); s.ended = new Promise(end => s.on('close', (code, reason) => end([code, reason.toString()])));
    await slack.waitFor(() => got.length === 1); return { s, got };
  };
  try {
    for (const style of [{}, { fragment: 1000 }, { dribble: 1 }, { coalesceHello: true }]) {
      slack.next(style); const { s, got } = await dial(), pad = style.dribble ? 2000 : 300000;
      slack.say('é✂🎉', { pad, to: slack.connections.length }); await slack.waitFor(() => got.length === 2);
      assert.equal(got[1].payload.event.text, 'é✂🎉', JSON.stringify(style)); assert.ok(JSON.stringify(got[1]).length >= pad - 200);
      s.close(1001, 'going'); assert.deepEqual(await s.ended, [1001, 'going']);
    }
    const { s } = await dial(); slack.close(4000, 'by the server'); assert.deepEqual(await s.ended, [4000, 'by the server']);
    const { s: t } = await dial(); t.send('z'.repeat(20481)); assert.deepEqual(await t.ended, [1009, 'Max frame length of 20480 has been exceeded.']);
  } finally { await slack.stop(); }
});
