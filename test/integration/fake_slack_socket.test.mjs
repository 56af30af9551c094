// The fake Slack's sockets: what is hard to make a real server do, seen from raw bytes.
import { test, describe, after } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net'; import tls from 'node:tls'; import fs from 'node:fs'; import http from 'node:http'; import path from 'node:path';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startFakeSlack } from '../support/fake_slack/main.mjs';

const open = [];
after(async () => { for (const end of open.reverse()) await end(); });
const start = async options => { const s = await startFakeSlack({ ackTimeoutMs: 100, retryDelaysMs: [0, 50], ...options }); open.push(() => s.stop()); return s; };
const sleep = ms => new Promise(r => setTimeout(r, ms));
const until = async (f, ms = 8000) => { for (const end = Date.now() + ms; Date.now() < end; await sleep(5)) { const v = f(); if (v) return v; } assert.fail(`not within ${ms} ms: ${f}`); };
const api = async (slack, method, args = {}, { token = slack.botToken, json = false } = {}) => {
  const r = await fetch(slack.apiUrl + method, { method: 'POST', headers: { ...(token && { authorization: `Bearer ${token}` }), 'content-type': json ? 'application/json; charset=utf-8' : 'application/x-www-form-urlencoded' }, body: json ? JSON.stringify(args) : new URLSearchParams(args) });
  const text = await r.text(), o = { status: r.status, headers: r.headers, text }; try { Object.assign(o, JSON.parse(text)); } catch { } return o;
};
const ticketUrl = async slack => (await api(slack, 'apps.connections.open', {}, { token: slack.appToken })).url;

function frame(opcode, payload, { fin = true, mask = true } = {}) {
  const body = Buffer.from(payload), head = Buffer.alloc(body.length < 126 ? 2 : 4);
  head[0] = (fin ? 128 : 0) | opcode; head[1] = (mask ? 128 : 0) | (body.length < 126 ? body.length : 126);
  if (body.length >= 126) head.writeUInt16BE(body.length, 2);
  if (!mask) return Buffer.concat([head, body]);
  const key = Buffer.from([1, 2, 3, 4]), masked = Buffer.from(body.map((b, i) => b ^ key[i & 3]));
  return Buffer.concat([head, key, masked]);
}
// A client that hides nothing: chunks as they came, frames, texts, whether and how TCP ended.
async function dial(slack, { url, socket } = {}) {
  const u = new URL(url ?? await ticketUrl(slack)), s = socket ?? net.connect(Number(u.port), '127.0.0.1'), c = { s, chunks: [], status: null, frames: [], ended: false, error: null };
  s.write(`GET ${u.pathname}${u.search} HTTP/1.1\r\nHost: ${u.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`);
  let buf = Buffer.alloc(0);
  s.on('data', d => {
    c.chunks.push(d.toString('latin1')); buf = Buffer.concat([buf, d]);
    if (!c.status) { const at = buf.indexOf('\r\n\r\n'); if (at < 0) return; c.head = buf.subarray(0, at).toString(); c.status = Number(c.head.split(' ')[1]); buf = buf.subarray(at + 4); }
    while (c.status === 101 && buf.length >= 2) {
      const short = buf[1] & 127, h = short === 126 ? 4 : short === 127 ? 10 : 2; if (buf.length < h) return;
      const n = short === 126 ? buf.readUInt16BE(2) : short === 127 ? Number(buf.readBigUInt64BE(2)) : short; if (buf.length < h + n) return;
      c.frames.push({ fin: buf[0] >> 7, opcode: buf[0] & 15, payload: Buffer.from(buf.subarray(h, h + n)) }); buf = buf.subarray(h + n);
    }
  });
  s.on('end', () => { c.ended = true; }); s.on('error', e => { c.error = e.code; }); s.on('close', () => { c.closed = true; });
  open.push(() => s.destroy());
  c.texts = () => c.frames.filter(f => f.opcode === 1).map(f => f.payload.toString());
  c.messages = type => c.texts().map(t => { try { return JSON.parse(t); } catch { return {}; } }).filter(m => m.type === type);
  c.send = (...a) => s.write(frame(...a));
  c.ack = id => c.send(1, JSON.stringify({ envelope_id: id }));
  c.close = () => c.frames.find(f => f.opcode === 8);
  await until(() => c.status || c.closed);
  return c;
}
const up = async (slack, options) => { const c = await dial(slack, options); await until(() => c.messages('hello').length); return c; };

describe('tickets and hello', { concurrency: 4 }, () => {
  test('a ticket opens one socket, once, and not for ever', async () => {
    const slack = await start({ ticketMs: 1000 }), url = await ticketUrl(slack);
    const c = await up(slack, { url });
    assert.match(c.head, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
    assert.equal((await dial(slack, { url })).status, 408);
    const old = await ticketUrl(slack); await sleep(1050);
    assert.equal((await dial(slack, { url: old })).status, 408);
    assert.deepEqual(slack.violations.map(v => v.what), ['ticket used twice', 'ticket expired']);
    slack.set('badTicketAsText', true);
    const d = await dial(slack, { url }); await until(() => d.close());
    assert.deepEqual(d.texts(), ['UNAUTHENTICATED: cache_error']);
  });
  test('the token of apps.connections.open belongs in the header, of a POST', async () => {
    const slack = await start();
    assert.equal((await api(slack, 'apps.connections.open', { token: slack.appToken }, { token: null })).error, 'not_authed');
    assert.equal((await api(slack, 'apps.connections.open')).error, 'not_allowed_token_type');
    const r = await fetch(slack.apiUrl + 'apps.connections.open', { headers: { authorization: `Bearer ${slack.appToken}` } });
    assert.equal((await r.json()).error, 'insecure_request');
    assert.match((await api(slack, 'apps.connections.open', {}, { token: slack.appToken })).text, /"url":"ws:\\\/\\\/127\.0\.0\.1:\d+\\\/link\\\/\?ticket=/);
  });
  test('hello comes with the 101, in bytes, late, between other text, or not at all', async () => {
    const slack = await start();
    slack.next({ coalesceHello: true });
    const a = await up(slack); assert.match(a.chunks[0], /^HTTP\/1\.1 101 [\s\S]*"type":"hello"/);
    slack.next({ dribble: 3 });
    const b = await up(slack); assert.equal(b.messages('hello').length, 1);
    slack.next({ textBefore: ['not json'], textAfter: ['{"type":"new"}'] });
    const c = await up(slack); await until(() => c.texts().length === 3);
    assert.deepEqual([c.texts()[0], c.texts()[2]], ['not json', '{"type":"new"}']);
    slack.next({ helloDelayMs: 150 });
    const d = await dial(slack); await sleep(50); assert.equal(d.texts().length, 0); await until(() => d.messages('hello').length);
    slack.next({ hello: false });
    const e = await dial(slack); await sleep(100); assert.equal(e.texts().length, 0);
    assert.equal(d.messages('hello')[0].num_connections, 4);
  });
  test('upgrades fail in every way', async () => {
    const slack = await start();
    slack.next({ status: 503 }); assert.equal((await dial(slack)).status, 503);
    slack.next({ refuse: true }); assert.equal((await dial(slack)).error, 'ECONNRESET');
    slack.next({ badAccept: true }); assert.doesNotMatch((await dial(slack)).head, /s3pPLMBiTxaQ9kYGzzhZRbK/);
    slack.next({ resetAfterMs: 400 }); const c = await up(slack); await until(() => c.error === 'ECONNRESET');
    slack.next({ endAfterMs: 30 }); const d = await up(slack); await until(() => d.ended); assert.equal(d.close(), undefined);
  });
});

describe('frames from the client', { concurrency: 4 }, () => {
  test('20480 bytes pass, one more is closed with 1009', async () => {
    const slack = await start(), c = await up(slack);
    c.send(1, JSON.stringify({ envelope_id: 'x'.repeat(20480 - 18) })); await until(() => slack.violations.length);
    assert.match(slack.violations[0].what, /acknowledges what was never sent/);
    assert.equal(slack.connections[0].received[0].length, 20480);
    c.send(1, 'y'.repeat(20481)); await until(() => c.close());
    assert.equal(c.close().payload.readUInt16BE(), 1009);
    assert.equal(c.close().payload.subarray(2).toString(), 'Max frame length of 20480 has been exceeded.');
  });
  test('an unmasked frame ends the connection', async () => {
    const slack = await start(), c = await up(slack);
    c.send(1, '{}', { mask: false }); await until(() => c.close());
    assert.equal(c.close().payload.readUInt16BE(), 1002);
  });
  test('fragments are not put together: the event is not acknowledged', async () => {
    const slack = await start({ ackTimeoutMs: 1000 }), c = await up(slack), { envelope } = slack.say('hi'), id = envelope.envelope_id, text = JSON.stringify({ envelope_id: id });
    await until(() => c.messages('events_api').length);
    c.send(1, text.slice(0, 20), { fin: false }); c.send(0, text.slice(20));
    await until(() => slack.violations.length === 2);
    assert.ok(slack.violations.every(v => /does not reassemble/.test(v.what))); assert.equal(envelope.acked, null);
    c.ack(id); await slack.waitAcked(envelope);
    c.ack(id); await until(() => slack.violations.length === 3); assert.match(slack.violations[2].what, /twice/);
  });
  test('the bytes of a frame may come one by one', async () => {
    const slack = await start(), c = await up(slack), { envelope } = slack.say('hi');
    for (const b of frame(1, JSON.stringify({ envelope_id: envelope.envelope_id }))) { c.s.write(Buffer.from([b])); await sleep(0); }
    await slack.waitAcked(envelope);
  });
  test('pings have a payload that must come back; silence ends the connection', async () => {
    const slack = await start({ pingMs: 40, pongTimeoutMs: 800 }), c = await up(slack);
    const ping = await until(() => c.frames.find(f => f.opcode === 9)); assert.match(ping.payload.toString(), /^Ping from applink/);
    c.send(10, ping.payload); await until(() => slack.connections[0].pongs === 1);
    c.send(10, 'something else'); await until(() => slack.violations.length);
    c.send(9, 'mine'); await until(() => c.frames.find(f => f.opcode === 10 && f.payload.toString() === 'mine'));
    await until(() => c.close()); assert.equal(slack.socket.registrations.length, 0);
  });
});

describe('routes, ghosts and ends', { concurrency: 4 }, () => {
  test('payloads are spread over the sockets, and any of them may acknowledge', async () => {
    const slack = await start({ ackTimeoutMs: 1000 }), a = await up(slack), b = await up(slack);
    assert.equal(b.messages('hello')[0].num_connections, 2);
    const sent = [1, 2, 3, 4].map(n => slack.say(`m${n}`).envelope);
    await until(() => a.messages('events_api').length === 2 && b.messages('events_api').length === 2);
    for (const e of sent) b.ack(e.envelope_id);
    await slack.waitFor(() => sent.every(e => e.acked));
    assert.deepEqual(slack.violations, []);
  });
  test('a ghost swallows: events come again elsewhere, clicks are gone', async () => {
    const slack = await start(), c = await up(slack);
    await api(slack, 'chat.postMessage', { channel: slack.dm(), text: 'x', blocks: '[{"type":"actions","elements":[{"type":"button","action_id":"a","text":{"type":"plain_text","text":"Go"}}]}]' });
    slack.ghost(); assert.equal(slack.socket.registrations.length, 2);
    const clicks = [slack.click('Go'), slack.click('Go')];
    await slack.waitFor(() => clicks.every(k => k.lost)); assert.equal(c.messages('interactive').length, 1);
    const said = [slack.say('one').envelope, slack.say('two').envelope];
    await until(() => new Set(c.messages('events_api').map(m => m.payload.event_id).filter(id => said.some(e => e.event_id === id))).size === 2);
    slack.clearGhosts(); assert.equal(slack.socket.registrations.length, 1);
  });
  test('a socket lost without a close frame leaves a ghost, if so set', async () => {
    const slack = await start({ ghostOnAbort: true }), c = await up(slack);
    c.s.destroy(); await slack.waitFor(() => slack.connections[0].closed);
    assert.equal(slack.socket.registrations.length, 1);
    const d = await up(slack); assert.equal(d.messages('hello')[0].num_connections, 2);
    d.send(8, Buffer.from([3, 232])); await until(() => d.close()); assert.equal(slack.socket.registrations.length, 1);
  });
  test('after the close handshake TCP stays open', async () => {
    const slack = await start(), c = await up(slack);
    c.send(8, Buffer.from([3, 233])); await until(() => c.close()); await sleep(200);
    assert.deepEqual([c.close().payload.readUInt16BE(), c.ended, slack.connections[0].closedByClient.code, slack.socket.registrations.length], [1001, false, 1001, 0]);
  });
  test('refresh leaves time for a successor, then closes; link_disabled and too_many_websockets say so', async () => {
    const slack = await start({ closeAfterDisconnectMs: 800, maxConnections: 2 }), a = await up(slack);
    slack.warn(1, 50); await until(() => a.messages('disconnect').length === 2);
    assert.deepEqual(a.messages('disconnect').map(m => m.reason), ['warning', 'refresh_requested']);
    const b = await up(slack); assert.equal(b.messages('hello')[0].num_connections, 2);
    const { envelope } = slack.say('on the old one', { to: 1 }); await until(() => a.messages('events_api').length); a.ack(envelope.envelope_id); await slack.waitAcked(envelope);
    await until(() => a.close());
    await up(slack); const d = await up(slack); await until(() => d.messages('disconnect').length);
    assert.deepEqual([d.messages('disconnect')[0].reason, d.messages('disconnect')[0].num_connections], ['too_many_websockets', 3]);
    slack.linkDisabled(); await until(() => b.messages('disconnect').some(m => m.reason === 'link_disabled'));
    const e = await up(slack); await until(() => e.messages('disconnect').some(m => m.reason === 'link_disabled'));
  });
  test('a half-open socket takes payloads and says nothing', async () => {
    const slack = await start({ pingMs: 30 }), c = await up(slack);
    slack.hang(); await sleep(200); const seen = c.frames.length, { envelope } = slack.say('into the void');
    c.send(9, 'anyone?'); await slack.waitFor(() => envelope.lost);
    assert.equal(c.frames.length, seen); assert.equal(c.ended, false); assert.equal(slack.socket.registrations.length, 1);
    slack.resume(); await until(() => c.frames.some(f => f.payload.toString() === 'anyone?'));
  });
  test('with no socket an event is lost, unless told to be tried again; history has it', async () => {
    const slack = await start(), m = slack.say('nobody there'); assert.equal(m.envelope.lost, true);
    assert.equal((await api(slack, 'conversations.history', { channel: slack.dm() })).messages[0].ts, m.ts);
    slack.set('offline', 'retry'); const n = slack.say('again'), c = await up(slack);
    await until(() => c.messages('events_api').length);
    assert.deepEqual([c.messages('events_api')[0].retry_attempt > 0, c.messages('events_api')[0].payload.event.ts], [true, n.ts]);
  });
  test('outages: refused, reset, silent, 503; and back on the same port', async () => {
    const slack = await start(), c = await up(slack), get = () => new Promise(r => { const q = http.get(slack.apiUrl + 'api.test', { agent: false, timeout: 100 }, s => { s.resume(); r(s.statusCode); }); q.on('timeout', () => q.destroy(new Error('silent'))); q.on('error', e => r(e.code ?? e.message)); });
    await slack.outage('refuse'); assert.equal(await get(), 'ECONNREFUSED'); await until(() => c.error === 'ECONNRESET');
    await slack.outage('reset'); assert.equal(await get(), 'ECONNRESET');
    await slack.outage('hang'); assert.equal(await get(), 'silent');
    await slack.outage('5xx'); assert.equal(await get(), 503); assert.equal((await fetch(slack.origin + '/_test', { method: 'POST', body: 'dm' })).status, 200);
    await slack.outage(false); assert.equal(await get(), 200); await up(slack);
  });
});

describe('what people do', { concurrency: 4 }, () => {
  test('says, edits, deletes, reacts, shares; in DMs and channels', async () => {
    const slack = await start({ ackTimeoutMs: 5000 }), c = await up(slack), events = () => c.messages('events_api').map(m => m.payload.event);
    const m = slack.say('first'); slack.say('in thread', { thread_ts: m.ts }); slack.edit(m.ts, 'second'); slack.react('eyes', m.ts, { user: 'second', channel: slack.dm() });
    slack.unfurl(m.ts); slack.say('', { files: [{ name: 'a.log', content: 'abc' }] }); slack.say('psst', { user: 'stranger' }); slack.botSays('beep'); slack.botSays('boop', { classic: true });
    slack.say('<@U0FAKEBOT01> hi', { user: 'second', channel: 'channel' }); slack.say('unheard', { channel: 'outside' }); slack.say('dup', { twice: true }); slack.delete(m.ts);
    await until(() => events().length === 14);
    assert.deepEqual(events().map(e => e.type + ':' + (e.subtype ?? e.user)), ['message:U0FAKEOWN01', 'message:U0FAKEOWN01', 'message:message_changed', 'reaction_added:U0FAKESEC01', 'message:message_changed', 'message:file_share',
      'message:U0FAKESTR01', 'message:U0OTHERBOT1', 'message:bot_message', 'message:U0FAKESEC01', 'app_mention:U0FAKESEC01', 'message:U0FAKEOWN01', 'message:U0FAKEOWN01', 'message:message_deleted']);
    const e = events();
    assert.deepEqual([e[0].channel_type, e[1].thread_ts, e[1].parent_user_id, e[2].message.text, e[2].previous_message.text, e[4].message.text], ['im', m.ts, slack.users.owner, 'second', 'first', 'second']);
    assert.equal(e[6].channel, slack.dm('stranger')); assert.equal(e[9].ts, e[10].ts);
    assert.ok(e[11].ts !== e[12].ts && e[11].client_msg_id === e[12].client_msg_id);
    const all = [...slack.workspace.conversations.values()].flatMap(x => x.messages.map(y => y.ts)); assert.equal(new Set(all).size, all.length);
    const file = e[5].files[0], get = token => fetch(file.url_private, { headers: token ? { authorization: `Bearer ${token}` } : {} });
    assert.equal(await (await get(slack.botToken)).text(), 'abc');
    const login = await get(); assert.deepEqual([login.status, login.headers.get('content-type')], [200, 'text/html; charset=utf-8']);
  });
  test('a removed button can only be pressed by a stale client', async () => {
    const slack = await start(), c = await up(slack), blocks = '[{"type":"section","text":{"type":"mrkdwn","text":"`rm`"},"accessory":{"type":"button","text":{"type":"plain_text","text":"Allow"},"value":"v1"}}]';
    const { ts } = await api(slack, 'chat.postMessage', { channel: slack.dm(), text: 'may I', blocks });
    assert.deepEqual(slack.buttons(ts), ['Allow']);
    await api(slack, 'chat.update', { channel: slack.dm(), ts, text: 'allowed' });
    assert.deepEqual(slack.buttons(ts), []);
    assert.throws(() => slack.click('Allow'), /no button Allow/);
    slack.click('v1', { stale: true }); await until(() => c.messages('interactive').length);
    assert.equal(c.messages('interactive')[0].payload.actions[0].value, 'v1');
  });
  test('slash commands, unknown envelopes, repeats, forged fields', async () => {
    const slack = await start({ ackTimeoutMs: 5000 }), c = await up(slack);
    slack.slash('/sre', 'status', { user: 'second' }); await until(() => c.messages('slash_commands').length);
    const { payload, accepts_response_payload } = c.messages('slash_commands')[0];
    assert.deepEqual([payload.command, payload.text, payload.user_id, accepts_response_payload], ['/sre', 'status', slack.users.second, true]);
    await fetch(payload.response_url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"text":"fine"}' }); assert.equal(slack.ephemeral[0].text, 'fine');
    slack.deliver('novelty', { a: 1 }); await until(() => c.messages('novelty').length);
    const m = slack.say('x', { event: { team: 'T0OTHER' }, payload: { team_id: 'T0OTHER' } }); slack.again(m.ts); await until(() => c.messages('events_api').length === 2);
    const [a, b] = c.messages('events_api'); assert.deepEqual([a.payload.event_id === b.payload.event_id, a.envelope_id === b.envelope_id, a.payload.team_id, a.payload.event.team], [true, false, 'T0OTHER', 'T0OTHER']);
    const chunks = c.chunks.length; slack.corked(() => { for (let i = 0; i < 5; i++) slack.say(`burst ${i}`); }); await until(() => c.messages('events_api').length === 7);
    assert.equal(c.chunks.length - chunks, 1);
    slack.next({ hello: { type: 'hello' } }); const d = await up(slack); assert.deepEqual(d.messages('hello'), [{ type: 'hello' }]);
  });
  test('own posts come back as events', async () => {
    const slack = await start({ ackTimeoutMs: 5000 }), c = await up(slack), { ts } = await api(slack, 'chat.postMessage', { channel: slack.dm(), text: 'me' });
    await api(slack, 'chat.update', { channel: slack.dm(), ts, text: 'me too' });
    await until(() => c.messages('events_api').length === 2); const [a, b] = c.messages('events_api').map(m => m.payload.event);
    assert.deepEqual([a.bot_id, a.user, a.subtype, b.subtype], ['B0FAKEBOT01', 'U0FAKEBOT01', undefined, 'message_changed']);
  });
});

describe('TLS, proxy and program', { concurrency: 4 }, () => {
  test('TLS by its own authority only, through a CONNECT proxy, to a name of no DNS', async () => {
    const slack = await start({ tls: true, proxy: { auth: 'u:p' }, host: 'slack.test' }), ca = fs.readFileSync(slack.certificates.caFile), wrong = fs.readFileSync(slack.certificates.otherCaFile);
    const through = auth => new Promise(resolve => { const q = http.request({ port: new URL(slack.proxy.url).port, host: '127.0.0.1', method: 'CONNECT', path: `slack.test:${slack.port}`, headers: auth ? { 'proxy-authorization': 'Basic ' + Buffer.from(auth).toString('base64') } : {} }); q.on('connect', (res, s) => resolve({ res, s })); q.end(); });
    assert.equal((await through()).res.statusCode, 407);
    const secure = async trust => { const { s } = await through('u:p'); open.push(() => s.destroy()); return new Promise((r, no) => { const t = tls.connect({ socket: s, ca: trust, servername: 'slack.test' }, () => r(t)); t.on('error', no); }); };
    await assert.rejects(secure(wrong), /unable to verify|self.signed|certificate/i);
    const { url } = await new Promise(async r => { const t = await secure(ca), q = http.request({ createConnection: () => t, method: 'POST', path: '/api/apps.connections.open', headers: { authorization: `Bearer ${slack.appToken}` } }, async s => { let b = ''; for await (const d of s) b += d; r(JSON.parse(b)); }); q.end(); });
    assert.match(url, /^wss:\/\/slack\.test:/);
    const c = await up(slack, { url, socket: await secure(ca) });
    slack.reset(); await until(() => c.closed && slack.connections[0].closed); assert.equal(slack.proxy.connects.at(-1).target, `slack.test:${slack.port}`);
  });
  test('as a program: one line of JSON, commands by lines and by HTTP, ends with its stdin', async () => {
    const p = spawn(process.execPath, [fileURLToPath(new URL('../support/fake_slack/main.mjs', import.meta.url)), '--options', '{"ackTimeoutMs":50}'], { stdio: ['pipe', 'pipe', 'inherit'] });
    open.push(() => p.kill()); const lines = createInterface({ input: p.stdout })[Symbol.asyncIterator](), next = async () => JSON.parse((await lines.next()).value), ask = line => { p.stdin.write(line + '\n'); return next(); };
    const { env, origin, dm } = await next(); assert.equal(env.SLACK_API_URL, origin + '/api/');
    const said = await ask('say good morning'); assert.equal(said.result.channel, dm);
    assert.match((await ask('click ["Allow"]')).error, /no button/);
    assert.match((await ask('nonsense')).error, /unknown command/);
    await ask('fault ["chat.postMessage",{"error":"is_archived","times":null,"args":{"text":"x"}}]');
    const slack = { apiUrl: env.SLACK_API_URL, botToken: env.SLACK_BOT_TOKEN };
    assert.equal((await api(slack, 'chat.postMessage', { channel: dm, text: 'x' })).error, 'is_archived');
    assert.equal((await api(slack, 'chat.postMessage', { channel: dm, text: 'y' })).ok, true);
    const posted = await (await fetch(origin + '/_test', { method: 'POST', body: '{"cmd":"waitPosted","args":["y",500]}' })).json();
    assert.equal(posted.result.text, 'y');
    assert.deepEqual((await ask('requests')).result.map(r => [r.method, r.error, r.token]), [['chat.postMessage', 'is_archived', env.SLACK_BOT_TOKEN], ['chat.postMessage', null, env.SLACK_BOT_TOKEN]]);
    p.stdin.end(); assert.equal(await new Promise(r => p.on('exit', r)), 0);
  });
});
