// The fake Slack as one object: what tests start, look at, wait for and break. How to use it: main.mjs.
import http from 'node:http'; import https from 'node:https'; import fs from 'node:fs';
import { Workspace, USERS, CHANNELS, BOT, BOT_USER, APP } from './workspace.mjs';
import { SocketMode, rst } from './socket_mode.mjs';
import { Http, sleep } from './http.mjs';
import { Actions } from './actions.mjs';
import { Faults } from './faults.mjs';
import { pings } from './limits.mjs';
import { makeCertificates } from './tls.mjs';
import { startProxy } from './proxy.mjs';
import { runCommand } from './commands.mjs';

const BOT_SCOPES = ['chat:write', 'im:write', 'im:history', 'im:read', 'users:read', 'users:read.email', 'reactions:write', 'reactions:read', 'files:read', 'files:write', 'app_mentions:read', 'channels:history', 'channels:read'];
const DEFAULTS = {
  port: 0, tls: false, proxy: false,
  ackTimeoutMs: 3000, retryDelaysMs: [0, 60000, 300000],   // of events; clicks are never repeated
  offline: 'lost',                                          // or 'retry': events while no socket is there
  pingMs: 10000, pongTimeoutMs: 120000, connectionLifeMs: 18060000, warningMs: 10000, closeAfterDisconnectMs: 10000,
  ticketMs: 30000, badTicketAsText: false, maxConnections: 10, leaveTcpOpen: true,
  ghostOnAbort: false, ghostMs: 18000000,                   // true: a socket lost without a close frame leaves a ghost
  clientMsgIdDedupe: false, limits: null,                   // { 'chat.postMessage': { perMinute: 60, burst: 5 } }
  botToken: 'xoxb-1-fake-bot-token', appToken: 'xapp-1-fake-app-token',
};

export class FakeSlack {
  workspace = new Workspace(); faults = new Faults(); actions = new Actions(this); http = new Http(this);
  posted = []; updated = []; deleted = []; ephemeral = []; statuses = []; violations = [];
  state = { messagesTab: true }; users = USERS; channels = CHANNELS; botIdentity = { user: BOT_USER, bot_id: BOT, app_id: APP };
  #open = new Set(); #waiters = new Set(); #outage = false; #server;

  constructor(options) {
    this.options = { ...DEFAULTS, ...options };
    this.tokens = new Map([[this.options.botToken, { kind: 'bot', scopes: new Set(BOT_SCOPES) }], [this.options.appToken, { kind: 'app', scopes: new Set(['connections:write']) }]]);
    this.socket = new SocketMode({ options: this.options, origin: () => this.origin, changed: () => this.changed(), violation: (what, c) => this.violation(what, c) });
    for (const name of ['say', 'botSays', 'edit', 'delete', 'click', 'react', 'unreact', 'unfurl', 'slash', 'event', 'rateLimited']) this[name] = (...a) => this.actions[name](...a);
    for (const name of ['next', 'style', 'again', 'corked', 'deliver']) this[name] = (...a) => this.socket[name](...a);
  }

  async start() {
    const handler = (req, res) => { if (this.#outage === '5xx' && req.url !== '/_test') { res.writeHead(503, { 'content-type': 'text/html' }); return res.end('<html>503 Service Unavailable</html>'); } if (this.#outage === 'hang' && req.url !== '/_test') return; this.http.handle(req, res); };
    if (this.options.tls) this.certificates = makeCertificates();
    this.#server = this.options.tls ? https.createServer({ key: this.certificates.key, cert: this.certificates.cert, ALPNProtocols: ['http/1.1'] }, handler) : http.createServer(handler);
    this.#server.on('connection', s => { if (this.#outage === 'reset') return rst(s); this.#open.add(s); s.on('close', () => this.#open.delete(s)); s.on('error', () => {}); });
    this.#server.on('upgrade', (req, socket, head) => this.#outage === '5xx' ? socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n') : this.#outage === 'hang' ? socket.on('error', () => {}) : this.socket.upgrade(req, socket, head));
    this.#server.on('tlsClientError', () => {});
    await this.#listen(this.options.port);
    this.port = this.#server.address().port;
    this.origin = `${this.options.tls ? 'https' : 'http'}://${this.options.host ?? '127.0.0.1'}:${this.port}`;
    this.apiUrl = this.origin + '/api/'; this.botToken = this.options.botToken; this.appToken = this.options.appToken;
    if (this.options.proxy) this.proxy = await startProxy(this.options.proxy === true ? {} : this.options.proxy);
    this.env = { SLACK_API_URL: this.apiUrl, SLACK_BOT_TOKEN: this.botToken, SLACK_APP_TOKEN: this.appToken, SLACK_ALLOWED_USERS: `${USERS.owner},${USERS.second}` };
    return this;
  }
  #listen(port) { return new Promise((resolve, reject) => { this.#server.once('error', reject); this.#server.listen(port, '127.0.0.1', resolve); }); }

  async stop() {
    this.socket.stop();
    for (const w of this.#waiters) w.fail(new Error('the fake Slack was stopped'));
    for (const s of this.#open) s.destroy();
    if (this.#server.listening) await new Promise(r => this.#server.close(r));
    await this.proxy?.stop();
    if (this.certificates) fs.rmSync(this.certificates.dir, { recursive: true, force: true });
  }

  // --- looking
  get requests() { return this.http.requests; }
  get connections() { return this.socket.connections; }
  get envelopes() { return this.socket.envelopes; }
  get responseUrls() { return this.actions.responseUrls; }
  get botScopes() { return this.tokens.get(this.options.botToken).scopes; }
  dm(who = 'owner') { return this.workspace.dm(who); }
  calls(method) { return this.requests.filter(r => r.method === method); }
  message(ts, channel = this.dm()) { return this.workspace.find(channel, ts); }
  messages(channel = this.dm()) { return this.workspace.conversations.get(this.channels[channel] ?? channel)?.messages ?? []; }
  file(id) { return this.workspace.files.get(id); }
  pings(m) { return pings(m); }
  buttons(ts, channel = this.dm()) { return (this.message(ts, channel)?.blocks ?? []).flatMap(b => [...(b.elements ?? []), b.accessory]).filter(e => e?.type === 'button').map(e => e.text.text); }
  // What a person reads: the blocks if there are any, else the text.
  shown(m) {
    const unescape = s => s.replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&');
    const walk = o => Array.isArray(o) ? o.map(walk).join('') : !o || typeof o !== 'object' ? '' : typeof o.text === 'string' ? (o.type === 'mrkdwn' ? unescape(o.text) : o.text) + '\n' : Object.values(o).map(walk).join('');
    return m.sent_blocks?.length ? walk(m.sent_blocks) : unescape(m.text ?? '');
  }

  // --- waiting
  changed() { for (const w of this.#waiters) w.check(); }
  waitFor(predicate, ms = 5000, what = predicate) {
    return new Promise((resolve, reject) => {
      const end = () => { clearTimeout(timer); clearInterval(poll); this.#waiters.delete(w); };
      const w = { check: () => { let v; try { v = predicate(); } catch (e) { return w.fail(e); } if (v) { end(); resolve(v); } }, fail: e => { end(); reject(e); } };
      const timer = setTimeout(() => w.fail(new Error(`not within ${ms} ms: ${what}\n${this.summary()}`)), ms), poll = setInterval(() => w.check(), 25);
      this.#waiters.add(w); w.check();
    });
  }
  summary() {
    return [`last requests: ${this.requests.slice(-8).map(r => `${r.method}=${r.error ?? r.status ?? 'pending'}`).join(' ')}`, `last posts: ${this.posted.slice(-5).map(p => JSON.stringify(p.text?.slice(0, 60)))}`,
      `sockets: ${this.socket.live.length} live of ${this.connections.length}, ${this.socket.registrations.length} registered`, `violations: ${this.violations.slice(-5).map(v => v.what).join('; ') || 'none'}`].join('\n');
  }
  // match: text contained, RegExp, or function of the post. Looks at all posts from number `from` on.
  waitPosted(match, ms = 5000, from = 0) {
    const is = typeof match === 'function' ? match : match instanceof RegExp ? p => match.test(p.text ?? '') || match.test(this.shown(p.message)) : p => !match || (p.text ?? '').includes(match) || this.shown(p.message).includes(match);
    return this.waitFor(() => this.posted.slice(from).find(is), ms, `a post like ${match}`);
  }
  waitUp(n = 1, ms = 5000) { return this.waitFor(() => this.socket.live.length >= n && this.socket.live, ms, `${n} live socket(s)`); }
  waitAcked(envelope, ms = 5000) { const id = envelope.envelope?.envelope_id ?? envelope.envelope_id ?? envelope; return this.waitFor(() => this.envelopes.find(r => r.attempts.some(a => a.envelope_id === id) && r.acked), ms, `the ack of ${id}`); }
  waitCall(method, ms = 5000, n = 1) { return this.waitFor(() => this.calls(method).filter(r => r.done)[n - 1], ms, `call ${n} of ${method}`); }

  // --- faults
  fault(method, what) { return this.faults.add(method, what); }
  clearFaults(method) { this.faults.clear(method); this.socket.style({}); }
  async outage(kind) {
    const was = this.#outage; this.#outage = kind;
    if (kind) for (const c of this.connections) if (c.open && kind !== '5xx') kind === 'hang' ? c.hang() : c.reset();
    if (kind === 'refuse' && was !== 'refuse') { const closed = new Promise(r => this.#server.close(r)); for (const s of this.#open) rst(s); await closed; }
    if (kind !== 'refuse' && was === 'refuse') await this.#listen(this.port);
  }
  #each(which, fn) { const list = which === undefined ? this.socket.live : this.connections.filter(c => c.id === which); list.forEach(fn); return list.length; }
  refresh(id) { return this.#each(id, c => c.disconnect('refresh_requested')); }
  warn(id, ms = this.options.warningMs) { return this.#each(id, c => { c.disconnect('warning'); c.after(ms, () => c.disconnect('refresh_requested')); }); }
  linkDisabled() { this.socket.enabled = false; return this.#each(undefined, c => c.disconnect('link_disabled')); }
  linkEnabled() { this.socket.enabled = true; }
  tooMany(id) { return this.#each(id, c => this.socket.tooMany(c)); }
  hang(id) { return this.#each(id, c => c.hang()); }
  resume(id) { this.connections.filter(c => c.hung && (id === undefined || c.id === id)).forEach(c => c.resume()); }
  reset(id) { return this.#each(id, c => c.reset()); }
  end(id) { return this.#each(id, c => c.end()); }
  close(code = 1000, reason = '', id) { return this.#each(id, c => c.close(code, reason)); }
  sendText(text, id) { return this.#each(id, c => c.sendText(text)); }
  ping(payload, id) { return this.#each(id, c => c.ping(payload)); }
  ghost(ms) { this.socket.addGhost(ms); return this.socket.registrations.length; }
  clearGhosts() { this.socket.registrations = this.socket.registrations.filter(r => !r.ghost && !r.hung); }
  #token(kind) { return this.tokens.get(kind === 'app' ? this.appToken : this.botToken); }
  revoke(kind = 'bot', error = 'token_revoked') { this.#token(kind).error = error; }
  restore(kind = 'bot') { delete this.#token(kind).error; }
  removeScope(scope, kind = 'bot') { this.#token(kind).scopes.delete(scope); }
  addScope(scope, kind = 'bot') { this.#token(kind).scopes.add(scope); }
  set(name, value) { if (name in this.state) this.state[name] = value; else if (name in DEFAULTS) this.options[name] = value; else throw new Error(`no setting ${name}`); }
  violation(what, c) { this.violations.push({ at: Date.now(), what, connection: c?.id }); }

  // --- what the Web API tells
  notePosted(request, channel, message) {
    this.posted.push({ n: this.posted.length + 1, at: request.at, channel, ts: message.ts, thread_ts: message.thread_ts, asked_thread_ts: request.args.thread_ts, broadcast: message.subtype === 'thread_broadcast', text: message.sent_text ?? message.text, blocks: message.sent_blocks, metadata: message.metadata, files: message.files, message, request });
    this.actions.echoPosted(channel, message); this.changed();
  }
  noteChanged(request, channel, message, previous) { this.updated.push({ at: request.at, channel, ts: message.ts, text: message.text, blocks: message.sent_blocks, message, request }); this.actions.echoChanged(channel, message, previous); this.changed(); }
  noteDeleted(request, channel, message) { this.deleted.push({ at: request.at, channel, ts: message.ts, request }); this.actions.deleted(channel, message); this.changed(); }

  // --- commands, for stdin and /_test
  describe() { return { api_url: this.apiUrl, origin: this.origin, port: this.port, env: this.env, users: USERS, channels: CHANNELS, dm: this.dm(), ca_file: this.certificates?.caFile, other_ca_file: this.certificates?.otherCaFile, proxy: this.proxy?.url }; }
  async control(req, res, body) { const answer = await runCommand(this, body); res.writeHead(200, { 'content-type': 'application/json', connection: 'close' }); res.end(answer + '\n'); }
  async sleep(ms) { await sleep(ms); }
}

export const startFakeSlack = (options = {}) => new FakeSlack(options).start();
