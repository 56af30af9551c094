// The fake Slack's Web API: limits, error codes and faults at their exact edges.
import { test, describe, after } from 'node:test';
import assert from 'node:assert/strict';
import { startFakeSlack } from '../support/fake_slack/main.mjs';

const open = [];
after(async () => { for (const end of open.reverse()) await end(); });
const start = async options => { const s = await startFakeSlack(options); open.push(() => s.stop()); return s; };
const call = async (slack, method, args = {}, { token = slack.botToken, type = 'application/json; charset=utf-8', ms = 8000 } = {}) => {
  const form = !type.startsWith('application/json');
  const r = await fetch(slack.apiUrl + method, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': type }, body: form ? new URLSearchParams(args).toString() : JSON.stringify(args), signal: AbortSignal.timeout(ms) });
  const text = await r.text(), o = { status: r.status, headers: r.headers, text }; try { Object.assign(o, JSON.parse(text)); } catch { } return o;
};
const FORM = { type: 'application/x-www-form-urlencoded' };
const error = async (...a) => (await call(...a)).error ?? null;
const section = n => ({ type: 'section', text: { type: 'mrkdwn', text: '🎉'.repeat(n) } });
const actions = (...elements) => ({ type: 'actions', elements });
const button = (more = {}) => ({ type: 'button', text: { type: 'plain_text', text: 'Go' }, action_id: 'a', ...more });

describe('sizes', { concurrency: 4 }, () => {
  const edges = [
    ['section text', n => [section(n)], 3000],
    ['header', n => [{ type: 'header', text: { type: 'plain_text', text: 'é'.repeat(n) } }], 150],
    ['blocks', n => Array(n).fill({ type: 'divider' }), 50],
    ['buttons', n => [actions(...Array.from({ length: n }, (_, i) => button({ action_id: `a${i}` })))], 25],
    ['button text', n => [actions(button({ text: { type: 'plain_text', text: 'x'.repeat(n) } }))], 75],
    ['button value', n => [actions(button({ value: 'x'.repeat(n) }))], 2000],
    ['action_id', n => [actions(button({ action_id: 'x'.repeat(n) }))], 255],
    ['block_id', n => [{ ...section(1), block_id: 'x'.repeat(n) }], 255],
    ['fields', n => [{ type: 'section', fields: Array(n).fill({ type: 'mrkdwn', text: 'x' }) }], 10],
    ['field text', n => [{ type: 'section', fields: [{ type: 'mrkdwn', text: 'x'.repeat(n) }] }], 2000],
    ['context elements', n => [{ type: 'context', elements: Array(n).fill({ type: 'mrkdwn', text: 'x' }) }], 10],
    ['markdown', n => [{ type: 'markdown', text: 'x'.repeat(n) }], 12000],
  ];
  test('each limit of Block Kit holds, to the character', async () => {
    const slack = await start();
    for (const [what, blocks, max] of edges) {
      const post = n => call(slack, 'chat.postMessage', { channel: slack.dm(), text: 'x', blocks: blocks(n) });
      assert.equal((await post(max)).ok, true, `${what} of ${max}`);
      const over = await post(max + 1);
      assert.equal(over.error, 'invalid_blocks', `${what} of ${max + 1}`);
      assert.match(over.response_metadata.messages[0], /\[json-pointer:\/blocks/, what);
    }
  });
  test('shapes that Slack refuses', async () => {
    const slack = await start(), refused = {
      'no text': { type: 'section' }, 'empty text': section(0), 'unknown block': { type: 'heading' }, 'unknown key': { ...section(1), color: 'red' }, 'mrkdwn header': { type: 'header', text: { type: 'mrkdwn', text: 'x' } },
      'mrkdwn button': actions(button({ text: { type: 'mrkdwn', text: 'x' } })), 'style': actions(button({ style: 'warning' })), 'twin action_id': actions(button(), button()), 'no elements': actions(), 'empty rich text': { type: 'rich_text', elements: [{ type: 'rich_text_preformatted', elements: [{ type: 'text', text: '' }] }] },
      'emoji in mrkdwn': { type: 'section', text: { type: 'mrkdwn', text: 'x', emoji: true } },
    };
    for (const [what, block] of Object.entries(refused)) assert.equal(await error(slack, 'chat.postMessage', { channel: slack.dm(), text: 'x', blocks: [block] }), 'invalid_blocks', what);
    const post = blocks => error(slack, 'chat.postMessage', { channel: slack.dm(), text: 'x', blocks });
    assert.equal(await post('[{'), 'invalid_blocks_format');
    assert.equal(await post([{ ...section(1), block_id: 'b' }, { ...section(1), block_id: 'b' }]), 'invalid_blocks');
    assert.equal(await post(Array(5).fill(section(2640))), null);
    assert.equal(await post([...Array(4).fill(section(2640)), section(2641)]), 'msg_blocks_too_long');
    assert.equal(slack.posted.length, 1);
  });
  test('texts: cut on post, refused on update; markdown_text stands alone', async () => {
    const slack = await start(), dm = slack.dm(), { ts, message } = await call(slack, 'chat.postMessage', { channel: dm, text: 'é'.repeat(40001) });
    assert.equal(message.text.length, 40000);
    assert.equal(await error(slack, 'chat.update', { channel: dm, ts, text: 'é'.repeat(4001) }), 'msg_too_long');
    assert.equal(await error(slack, 'chat.update', { channel: dm, ts, text: '🎉'.repeat(4000) }), null);
    const post = args => error(slack, 'chat.postMessage', { channel: dm, ...args });
    assert.equal(await post({ markdown_text: 'x', text: 'y' }), 'markdown_text_conflict');
    assert.equal(await post({ markdown_text: 'x'.repeat(12001) }), 'msg_too_long');
    assert.equal(await post({ markdown_text: 'x'.repeat(12000) }), null);
    assert.equal(await post({ text: '' }), 'no_text');
    assert.equal(await post({ text: 'x', metadata: '{' }), 'invalid_metadata_format');
    assert.equal(await post({ text: 'x', metadata: { event_type: 't' } }), 'invalid_metadata_schema');
    assert.equal(await post({ text: 'x', metadata: { event_type: 't', event_payload: { x: 'y'.repeat(8000) } } }), 'metadata_too_large');
  });
});

describe('messages', { concurrency: 4 }, () => {
  test('threads: replies, broadcasts, and silence about a parent that is gone', async () => {
    const slack = await start(), dm = slack.dm(), parent = slack.say('parent'), post = args => call(slack, 'chat.postMessage', { channel: dm, thread_ts: parent.ts, ...args });
    const a = await post({ text: 'a' }), b = await post({ text: 'b', reply_broadcast: true });
    assert.deepEqual([a.message.thread_ts, b.message.subtype], [parent.ts, 'thread_broadcast']);
    const list = async (method, args) => (await call(slack, method, { channel: dm, ...args }, FORM)).messages.map(m => m.ts);
    assert.deepEqual(await list('conversations.history', {}), [b.ts, parent.ts]);
    assert.deepEqual(await list('conversations.replies', { ts: parent.ts }), [parent.ts, a.ts, b.ts]);
    assert.deepEqual(await list('conversations.replies', { ts: parent.ts, oldest: a.ts }), [parent.ts, b.ts]);
    assert.deepEqual(await list('conversations.replies', { ts: a.ts }), [a.ts]);
    assert.equal((await post({ text: 'under a reply', thread_ts: a.ts })).message.thread_ts, undefined);
    assert.match(slack.violations[0].what, /is a reply's, not its parent's/);
    slack.delete(parent.ts);
    const orphan = await post({ text: 'orphan' }); assert.deepEqual([orphan.ok, 'thread_ts' in orphan.message], [true, false]);
    assert.equal((await call(slack, 'conversations.replies', { channel: dm, ts: parent.ts }, FORM)).error, 'thread_not_found');
    assert.equal((await post({ text: 'no thread', thread_ts: undefined, reply_broadcast: true })).message.subtype, undefined);
    const p2 = slack.say('another'); slack.fault('chat.postMessage', { unthread: true });
    assert.equal((await post({ text: 'x', thread_ts: p2.ts })).message.thread_ts, undefined);
    assert.deepEqual(slack.posted.map(p => [p.text, p.thread_ts]), [['a', parent.ts], ['b', parent.ts], ['under a reply', undefined], ['orphan', undefined], ['no thread', undefined], ['x', undefined]]);
  });
  test('history pages, with and without metadata', async () => {
    const slack = await start(), dm = slack.dm(), said = [1, 2, 3, 4, 5].map(n => slack.say(`m${n}`).ts), get = args => call(slack, 'conversations.history', { channel: dm, ...args }, FORM);
    const one = await get({ limit: 2 }); assert.deepEqual([one.messages.map(m => m.ts), one.has_more], [[said[4], said[3]], true]);
    const two = await get({ limit: 3, cursor: one.response_metadata.next_cursor }); assert.deepEqual([two.messages.map(m => m.ts), two.has_more, two.response_metadata], [[said[2], said[1], said[0]], false, undefined]);
    assert.deepEqual((await get({ oldest: said[3] })).messages.map(m => m.text), ['m5']);
    assert.deepEqual((await get({ oldest: said[3], inclusive: true })).messages.map(m => m.text), ['m5', 'm4']);
    assert.deepEqual([(await get({ limit: 1000 })).error, (await get({ cursor: 'x' })).error, (await get({ oldest: 'x' })).error], ['invalid_limit', 'invalid_cursor', 'invalid_ts_oldest']);
    await call(slack, 'chat.postMessage', { channel: dm, text: 'x', metadata: { event_type: 't', event_payload: { id: 9 } } });
    assert.equal((await get({ limit: 1 })).messages[0].metadata, undefined);
    assert.equal((await get({ limit: 1, include_all_metadata: true })).messages[0].metadata.event_payload.id, 9);
  });
  test('what is read by form is not read from JSON', async () => {
    const slack = await start();
    assert.equal(await error(slack, 'conversations.history', { channel: slack.dm() }), 'invalid_arguments');
    assert.equal(await error(slack, 'files.getUploadURLExternal', { filename: 'a', length: 1 }), 'invalid_arguments');
    assert.equal((await call(slack, 'chat.postMessage', { channel: slack.dm(), text: 'x' }, { type: 'application/json' })).warning, 'missing_charset');
    assert.equal((await call(slack, 'chat.postMessage', { channel: slack.dm(), text: 'x' }, { type: 'application/x-www-form-urlencoded; charset=utf-8' })).warning, 'superfluous_charset');
  });
  test('only own messages change, only at their D or C', async () => {
    const slack = await start(), dm = slack.dm(), m = slack.say('mine'), own = await call(slack, 'chat.postMessage', { channel: dm, text: 'x', blocks: [section(1)] }), edit = args => error(slack, 'chat.update', { channel: dm, ts: own.ts, text: 'y', ...args });
    assert.deepEqual([await edit({ ts: m.ts }), await edit({ ts: '1.000000' }), await edit({ channel: slack.users.owner }), await edit({})], ['cant_update_message', 'message_not_found', 'channel_not_found', null]);
    assert.match(JSON.stringify(slack.message(own.ts).blocks), /"text":"y"/);
    slack.state.messagesTab = false; assert.equal(await error(slack, 'chat.postMessage', { channel: dm, text: 'x' }), 'messages_tab_disabled');
    assert.equal(await error(slack, 'chat.postMessage', { channel: slack.channels.archived, text: 'x' }), 'is_archived');
  });
  test('says whom a message rings and what is seen of it', async () => {
    const slack = await start(), post = args => call(slack, 'chat.postMessage', { channel: slack.dm(), ...args });
    await post({ text: 'a <!channel> <@U0FAKEOWN01> &lt;!here&gt; <b> & c' });
    await post({ text: 'x', blocks: [{ type: 'section', text: { type: 'mrkdwn', text: '<!here|here> &amp; &lt;ok&gt;' } }, { type: 'section', text: { type: 'plain_text', text: '<!channel>' } }] });
    await post({ text: 'x', blocks: [{ type: 'markdown', text: 'hey <!everyone>' }] });
    assert.deepEqual(slack.posted.map(p => slack.pings(p.message)), [['!channel', '@U0FAKEOWN01'], ['!here'], ['!everyone']]);
    assert.equal(slack.posted[0].message.text, 'a <!channel> <@U0FAKEOWN01> &lt;!here&gt; &lt;b&gt; &amp; c');
    assert.equal(slack.shown(slack.posted[1].message), '<!here|here> & <ok>\n<!channel>\n');
  });
  test('response_url: five times, ephemeral unless it replaces or deletes', async () => {
    const slack = await start(), { ts } = await call(slack, 'chat.postMessage', { channel: slack.dm(), text: 'x', blocks: [actions(button())] }), url = slack.click('Go').payload.response_url;
    const answer = body => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    await answer({ text: 'only you' }); await answer({ text: 'all', response_type: 'in_channel' }); await answer({ text: 'gone', replace_original: true });
    assert.deepEqual([slack.ephemeral[0].text, slack.posted.at(-1).text, slack.message(ts).text, slack.buttons(ts)], ['only you', 'all', 'gone', []]);
    await answer({ delete_original: true }); assert.equal(slack.message(ts), null);
    assert.equal((await answer({ text: 'x' })).status, 200); assert.equal((await answer({ text: 'x' })).status, 404);
  });
  test('client_msg_id makes posts unique only where that is switched on', async () => {
    const slack = await start(), post = () => call(slack, 'chat.postMessage', { channel: slack.dm(), text: 'x', client_msg_id: 'id-1' });
    await post(); await post(); assert.equal(slack.posted.length, 2);
    slack.set('clientMsgIdDedupe', true); const r = await post();
    assert.deepEqual([r.is_duplicate, r.ts, slack.posted.length], [true, slack.posted[0].ts, 2]);
  });
  test('files: three steps, each checked', async () => {
    const slack = await start(), { upload_url, file_id } = await call(slack, 'files.getUploadURLExternal', { filename: 'a.txt', length: 3 }, FORM), done = args => call(slack, 'files.completeUploadExternal', { files: [{ id: file_id }], channel_id: slack.dm(), ...args });
    assert.equal((await done()).error, 'file_not_found');
    assert.equal((await fetch(upload_url, { method: 'POST', body: 'four' })).status, 400);
    assert.equal(await (await fetch(upload_url, { method: 'POST', body: 'abc' })).text(), 'OK - 3');
    assert.equal((await done({ channel_id: slack.channels.outside })).error, 'not_in_channel');
    assert.equal((await done({ initial_comment: 'see' })).files[0].id, file_id);
    assert.deepEqual([slack.posted[0].files[0].name, slack.posted[0].text], ['a.txt', 'see']);
    const form = new FormData(), two = await call(slack, 'files.getUploadURLExternal', { filename: 'b', length: 5 }, FORM); form.append('file', new Blob(['12345']), 'b');
    await fetch(two.upload_url, { method: 'POST', body: form }); assert.equal(slack.file(two.file_id).content.toString(), '12345');
  });
  test('scopes: each answer lists them, a missing one is named, silence for what may not be heard', async () => {
    const slack = await start(), r = await call(slack, 'auth.test'); assert.match(r.headers.get('x-oauth-scopes'), /^chat:write,im:write/);
    slack.removeScope('im:history'); const h = await call(slack, 'conversations.history', { channel: slack.dm() }, FORM);
    assert.deepEqual([h.error, h.needed], ['missing_scope', 'im:history']); assert.equal(slack.say('unheard').envelope, null);
    assert.equal(await error(slack, 'conversations.history', { channel: slack.channels.channel }, FORM), null);
    assert.deepEqual([await error(slack, 'auth.test', {}, { token: 'xoxb-no' }), await error(slack, 'no.such'), (await (await fetch(slack.apiUrl + 'auth.test')).json()).error], ['invalid_auth', 'unknown_method', 'not_authed']);
  });
});

describe('faults', { concurrency: 4 }, () => {
  const post = (slack, text, o) => call(slack, 'chat.postMessage', { channel: slack.dm(), text }, o), fails = p => p.then(r => r.error ?? r.status, e => e.cause?.code ?? e.name);
  test('carried out or not, answered or not', async () => {
    const slack = await start(), outcome = async (what, o) => { const n = slack.posted.length, f = slack.fault('chat.postMessage', what), r = await fails(post(slack, 'x', o)); f.clear(); return [r, slack.posted.length - n]; };
    assert.deepEqual(await outcome({ reset: true }), ['ECONNRESET', 0]);
    assert.deepEqual(await outcome({ lose: true }), ['ECONNRESET', 1]);
    assert.deepEqual(await outcome({ cutBody: true }).then(([r, n]) => [r !== 200, n]), [true, 1]);
    assert.deepEqual(await outcome({ hang: true }, { ms: 200 }), ['TimeoutError', 1]);
    assert.deepEqual(await outcome({ hang: true, commit: false }, { ms: 200 }), ['TimeoutError', 0]);
    assert.deepEqual(await outcome({ status: 502 }), [502, 0]);
    assert.deepEqual(await outcome({ status: 500, commit: true }), [500, 1]);
    assert.deepEqual(await outcome({ error: 'internal_error' }), ['internal_error', 0]);
    assert.deepEqual(await outcome({ error: 'fatal_error', commit: true }), ['fatal_error', 1]);
    assert.deepEqual(await outcome({ body: '<html>login</html>' }), [200, 0]);
    const at = Date.now(); assert.deepEqual(await outcome({ delayMs: 200 }), [200, 1]); assert.ok(Date.now() - at >= 195);
  });
  test('by method, number and predicate', async () => {
    const slack = await start(); slack.fault('chat.postMessage', { nth: 2, times: 2, error: 'fatal_error' });
    assert.equal((await call(slack, 'auth.test')).ok, true);
    const got = []; for (const text of ['a', 'b', 'c', 'd']) got.push((await post(slack, text)).error);
    assert.deepEqual(got, [undefined, 'fatal_error', 'fatal_error', undefined]);
    slack.fault('*', { when: r => r.args.text === 'bad', times: Infinity, error: 'internal_error' });
    assert.deepEqual([(await post(slack, 'good')).ok, (await post(slack, 'bad')).error, (await post(slack, 'bad')).error], [true, 'internal_error', 'internal_error']);
    slack.clearFaults(); assert.equal((await post(slack, 'bad')).ok, true);
    assert.match((await (slack.fault('*', { status: 503 }), call(slack, 'auth.test'))).text, /^<!DOCTYPE html>/);
  });
  test('a 429 holds until Retry-After is over, and remembers who did not wait', async () => {
    const slack = await start(); slack.fault('chat.postMessage', { status: 429, retryAfter: 1 });
    const a = await post(slack, 'x'); assert.deepEqual([a.status, a.headers.get('retry-after'), a.error], [429, '1', 'ratelimited']);
    assert.equal((await post(slack, 'x')).status, 429); assert.match(slack.violations[0].what, /before Retry-After was over/);
    await new Promise(r => setTimeout(r, 1010)); assert.equal((await post(slack, 'x')).ok, true);
  });
  test('remembers posts that were under way at once', async () => {
    const slack = await start(); slack.fault('chat.postMessage', { delayMs: 500 });
    await Promise.all([post(slack, 'a'), new Promise(r => setTimeout(r, 30)).then(() => post(slack, 'b'))]); await post(slack, 'c');
    assert.deepEqual(slack.violations.map(v => v.what), [`two posts at once to ${slack.dm()}: their order is luck`]);
  });
  test('rate limits per channel, if set', async () => {
    const slack = await start({ limits: { 'chat.postMessage': { perMinute: 60, burst: 2 } } }), status = async channel => (await call(slack, 'chat.postMessage', { channel, text: 'x' })).status;
    assert.deepEqual([await status(slack.dm()), await status(slack.dm()), await status(slack.dm('second'))], [200, 200, 200]);
    assert.equal(await status(slack.dm()), 429);
  });
  test('waiting fails with what was seen', async () => {
    const slack = await start(); await post(slack, 'something else');
    await assert.rejects(slack.waitPosted('never', 50), /not within 50 ms: a post like never[\s\S]*something else/);
    setTimeout(() => post(slack, 'at last'), 30); assert.equal((await slack.waitPosted(/last$/)).text, 'at last');
  });
});
