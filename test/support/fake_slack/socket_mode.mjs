// Socket Mode: tickets, registrations (live and ghost), hello, envelopes with their acks and retries, disconnects.
// A registration is what Slack routes payloads to. It may outlive its socket: then it is a ghost, and what is
// routed to it is lost.
import crypto from 'node:crypto';
import { FrameParser, acceptKey, encodeFrame, encodeFragments, encodeClose, TEXT, BINARY, CLOSE, PING, PONG } from './frames.mjs';
import { APP } from './workspace.mjs';

// Slack's JSON: slashes escaped, everything beyond ASCII as \uXXXX.
export const slackJson = o => JSON.stringify(o).replace(/\//g, '\\/').replace(/[\u007f-\uffff]/g, c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));

export class Connection {
  opened = Date.now(); hello = null; frames = 0; acks = 0; received = []; pingsSent = 0; pongs = 0; clientPings = 0;
  hung = false; closedByClient = null; closed = null; closeCode = null;
  #mode; #socket; #parser = new FrameParser(); #timers = new Set(); #style; #outstanding = [];

  constructor(mode, socket, id, style, query) {
    Object.assign(this, { id, query }); this.#mode = mode; this.#socket = socket; this.#style = style;
    socket.setNoDelay(true);
    socket.on('data', d => this.#data(d));
    socket.on('error', () => {});
    socket.on('end', () => { if (!this.hung) socket.end(); });
    // With TLS and Node 18 only the socket below tells of a reset.
    for (const each of [socket, socket._parent]) each?.on('close', () => this.#gone());
  }

  get open() { return this.closed === null; }

  after(ms, fn) { const t = setTimeout(() => { this.#timers.delete(t); fn(); }, ms); this.#timers.add(t); return t; }

  start(head) {
    const { options } = this.#mode, s = this.#style, hello = s.hello === false ? [] : [this.#helloFrame()];
    const before = (s.textBefore ?? []).map(t => encodeFrame(TEXT, t)), after = (s.textAfter ?? []).map(t => encodeFrame(TEXT, t));
    const early = [...before, ...hello, ...after];
    if (s.coalesceHello) this.#write(Buffer.concat([this.#upgrade(), ...early]));
    else { this.#write(this.#upgrade()); this.after(s.helloDelayMs ?? 5, () => early.forEach(f => this.#write(f))); }
    if (head?.length) this.#data(head);
    const life = this.query.get('debug_reconnects') === 'true' ? 360000 : options.connectionLifeMs;
    if (life < 2 ** 31) { this.after(Math.max(0, life - options.warningMs), () => this.disconnect('warning')); this.after(life, () => this.disconnect('refresh_requested')); }
    if (options.pingMs) this.#pingLoop();
    if (s.resetAfterMs !== undefined) this.after(s.resetAfterMs, () => this.reset());
    if (s.hangAfterMs !== undefined) this.after(s.hangAfterMs, () => this.hang());
    if (s.endAfterMs !== undefined) this.after(s.endAfterMs, () => this.end());
  }

  #upgrade() {
    const accept = this.#style.badAccept ? 'bm90IHRoZSByaWdodCBvbmUgYXQgYWw=' : acceptKey(this.key);
    return Buffer.from(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nServer: envoy\r\n\r\n`);
  }

  #helloFrame() {
    this.#mode.register(this);
    this.hello = Date.now();
    if (typeof this.#style.hello === 'object') return encodeFrame(TEXT, slackJson(this.#style.hello));
    return encodeFrame(TEXT, slackJson({ type: 'hello', num_connections: this.#mode.registrations.length, debug_info: { host: 'applink-5', build_number: 54, approximate_connection_time: Math.round(this.#mode.options.connectionLifeMs / 1000) }, connection_info: { app_id: APP } }));
  }

  #pingLoop() {
    const { pingMs, pongTimeoutMs } = this.#mode.options;
    this.after(pingMs, () => {
      if (!this.open || this.closedByClient) return;
      this.ping(`Ping from applink-5-${this.id}-${++this.pingsSent}`);
      if (this.#outstanding.length && Date.now() - this.#outstanding[0].at > pongTimeoutMs) { this.close(1008, 'no pong'); return this.hung && this.destroy(); }
      this.#pingLoop();
    });
  }

  #write(bytes) {
    if (this.#socket.destroyed || this.hung || !this.#socket.writable) return;
    const { dribble } = this.#style;
    if (!dribble) return this.#socket.write(bytes);
    for (let at = 0; at < bytes.length; at += dribble) this.#socket.write(bytes.subarray(at, at + dribble));
  }

  // --- what the server says
  sendText(text) {
    const size = this.#style.fragment;
    if (!size) return this.#write(encodeFrame(TEXT, text));
    encodeFragments(text, size).forEach((f, i) => { this.#write(f); if (i === 0 && this.#style.pingInsideFragments !== false) this.ping('Ping from between fragments'); });
  }
  send(o) { this.sendText(slackJson(o)); }
  cork() { this.#socket.cork(); }
  uncork() { this.#socket.uncork(); }
  sendRaw(bytes) { this.#write(bytes); }
  ping(payload) { this.#outstanding.push({ payload, at: Date.now() }); this.#write(encodeFrame(PING, payload)); }
  disconnect(reason, extra = {}) {
    this.send({ type: 'disconnect', reason, debug_info: { host: 'applink-5' }, ...extra });
    if (reason !== 'warning') this.after(this.#mode.options.closeAfterDisconnectMs, () => this.close(1000));
  }
  close(code = 1000, reason = '') {
    if (!this.open || this.closeCode) return;
    this.closeCode = code; this.#mode.unregister(this);
    this.#write(encodeClose(code, reason));
    this.#mode.changed();
  }
  // --- how it fails
  hang() { this.hung = true; this.#socket.pause(); this.#mode.changed(); }   // half-open: nothing is read, nothing is said
  resume() { this.hung = false; this.#socket.resume(); }
  reset() { rst(this.#socket); }
  end() { this.#socket.end(); }                              // FIN without a close frame

  #data(chunk) {
    if (this.hung) return;
    let frames;
    try { frames = this.#parser.push(chunk); } catch (e) {
      this.#mode.violation(`frame refused with ${e.code}: ${e.message}`, this);
      this.close(e.code ?? 1002, e.message);
      this.after(1000, () => this.#socket.destroy());
      return;
    }
    for (const f of frames) this.#frame(f);
    this.#mode.changed();
  }

  #frame({ fin, opcode, payload }) {
    this.frames++;
    if (this.closeCode && opcode !== CLOSE) return;
    if (opcode === PING) { this.clientPings++; return this.#write(encodeFrame(PONG, payload)); }
    if (opcode === PONG) {
      const at = this.#outstanding.findIndex(p => p.payload === payload.toString());
      if (at < 0) return payload.length && this.#mode.violation(`pong with a payload that was never sent: ${payload}`, this);
      this.pongs++; this.#outstanding.splice(0, at + 1);
      return;
    }
    if (opcode === CLOSE) return this.#closeFrame(payload);
    // A fragment is taken for what it is, never put together with the others.
    if (opcode === 0 || !fin) return this.#mode.violation('fragmented message: Slack does not reassemble it', this);
    if (opcode === BINARY) return this.#mode.violation('binary frame', this);
    const text = payload.toString(); this.received.push(text);
    let message; try { message = JSON.parse(text); } catch { return this.#mode.violation(`not JSON: ${text.slice(0, 80)}`, this); }
    this.#mode.ack(message, this);
  }

  #closeFrame(payload) {
    const first = !this.closeCode;
    this.closedByClient = { at: Date.now(), code: payload.length >= 2 ? payload.readUInt16BE(0) : 1005, reason: payload.subarray(2).toString() };
    this.#mode.unregister(this);
    if (first) { this.closeCode = this.closedByClient.code; this.#write(encodeFrame(CLOSE, payload)); }
    // Slack leaves TCP to the client.
    if (!this.#mode.options.leaveTcpOpen) this.#socket.end();
  }

  #gone() {
    if (this.closed) return;
    this.closed = Date.now();
    for (const t of this.#timers) clearTimeout(t);
    const { ghostOnAbort, ghostMs } = this.#mode.options;
    if (!this.closeCode && (ghostOnAbort || this.hung)) { this.ghost = true; setTimeout(() => { this.#mode.unregister(this); }, ghostMs).unref(); } else this.#mode.unregister(this);
    this.#mode.changed();
  }
  destroy() { this.#socket.destroy(); }
}

// resetAndDestroy() would first wait for what is queued, for ever if the peer does not read.
export const rst = socket => { const raw = socket._parent ?? socket; raw.resetAndClosing = true; raw.destroy(); socket.destroy(); };

export class SocketMode {
  registrations = []; connections = []; envelopes = []; tickets = new Map(); enabled = true;
  #byId = new Map(); #turn = 0; #next = []; #style = {}; #ids = 0;

  constructor({ options, origin, changed, violation, note }) { Object.assign(this, { options, origin, changed, violation, note }); }

  openUrl() {
    const ticket = crypto.randomUUID();
    this.tickets.set(ticket, { at: Date.now(), used: false });
    return `${this.origin().replace(/^http/, 'ws')}/link/?ticket=${ticket}&app_id=${crypto.createHash('sha256').update(APP).digest('hex')}`;
  }

  // How the next connections behave: style(x) for all from now on, next(x) for one (several calls queue up).
  // x: coalesceHello, hello: false or another object, helloDelayMs, fragment: bytes, dribble: bytes a write, textBefore: [], textAfter: [], badAccept,
  // status: 503 (upgrade refused), refuse (reset instead of an answer), noAnswer, resetAfterMs, hangAfterMs, endAfterMs
  style(x) { this.#style = x; }
  next(x) { this.#next.push(x); }

  upgrade(req, socket, head) {
    const url = new URL(req.url, 'http://x'), style = { ...this.#style, ...(this.#next.shift() ?? {}) };
    const refuse = (status, body) => socket.end(`HTTP/1.1 ${status} ${status === 408 ? 'Request Timeout' : 'Service Unavailable'}\r\nContent-Type: text/html\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
    socket.on('error', () => {});
    if (style.refuse) return rst(socket);
    if (style.noAnswer) return;
    if (style.status) return refuse(style.status, '<html><body>upstream connect error</body></html>');
    const ticket = this.tickets.get(url.searchParams.get('ticket'));
    const c = new Connection(this, socket, ++this.#ids, style, url.searchParams);
    c.key = req.headers['sec-websocket-key'] ?? ''; c.headers = req.headers;
    const well = url.pathname === '/link/' && req.headers['sec-websocket-version'] === '13' && Buffer.from(c.key, 'base64').length === 16;
    if (!well || !ticket || ticket.used || Date.now() - ticket.at > this.options.ticketMs) {
      this.violation(!well ? 'malformed upgrade' : ticket?.used ? 'ticket used twice' : ticket ? 'ticket expired' : 'unknown ticket', null);
      if (!this.options.badTicketAsText || !well) return refuse(408, 'ticket');
      c.start = () => {};
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(c.key)}\r\n\r\n`);
      c.sendText('UNAUTHENTICATED: cache_error');
      return c.close(1008);
    }
    ticket.used = true;
    this.connections.push(c);
    c.start(head);
    if (!this.enabled) c.disconnect('link_disabled');
    else if (this.registrations.length > this.options.maxConnections) this.tooMany(c);
    this.changed();
  }

  tooMany(c) { c.disconnect('too_many_websockets', { num_connections: this.registrations.length, connection_info: { app_id: APP } }); }

  register(c) { this.registrations.push(c); }
  unregister(c) { const at = this.registrations.indexOf(c); if (at >= 0) this.registrations.splice(at, 1); }
  // A registration that no socket is behind, as after a NAT timeout or a sleep. Payloads routed to it are lost.
  addGhost(ms = this.options.ghostMs) { const g = { id: 'ghost', ghost: true, open: false }; this.registrations.push(g); const t = setTimeout(() => this.unregister(g), ms); t.unref(); return g; }
  get live() { return this.connections.filter(c => c.open && c.hello && !c.closeCode); }

  // Each payload goes to one registration, whichever: in turn, so that a test can count on the spread.
  #route(to) { return to ?? (this.registrations.length ? this.registrations[this.#turn++ % this.registrations.length] : null); }

  deliver(type, payload, { to, attempt = 0, record, pad = 0 } = {}) {
    const r = record ?? { type, payload, event_id: payload.event_id, at: Date.now(), attempts: [], acked: null, lost: false };
    if (!record) this.envelopes.push(r);
    const target = this.#route(typeof to === 'number' ? this.connections.find(c => c.id === to) : to), envelope_id = crypto.randomUUID();
    const a = { envelope_id, at: Date.now(), connection: target?.id ?? null, acked: null, ackedOn: null };
    r.attempts.push(a); this.#byId.set(envelope_id, [r, a]); r.envelope_id ??= envelope_id;
    const envelope = { envelope_id, payload, type, accepts_response_payload: type !== 'events_api' };
    if (type === 'events_api') Object.assign(envelope, { retry_attempt: attempt, retry_reason: attempt ? 'timeout' : '' });
    if (pad) envelope.payload = { ...payload, event_context: 'x'.repeat(Math.max(0, pad - JSON.stringify(envelope).length)) };
    if (target?.open) target.send(envelope);
    if (target || this.options.offline === 'retry') this.#expectAck(r, attempt); else r.lost = true;
    this.changed();
    return r;
  }

  // An event comes again by the schedule, a click does not: its person is shown an error mark (lost).
  #expectAck(r, attempt) {
    const { ackTimeoutMs, retryDelaysMs } = this.options, delays = r.type === 'events_api' ? retryDelaysMs : [];
    setTimeout(() => {
      if (r.acked || this.stopped) return;
      if (attempt >= delays.length) { r.lost = true; return this.changed(); }
      setTimeout(() => { if (!r.acked && !this.stopped) this.deliver(r.type, r.payload, { attempt: attempt + 1, record: r }); }, delays[attempt]).unref();
    }, ackTimeoutMs).unref();
  }

  // Sends an event again although it was acknowledged: Slack's own attempt that crossed the ack.
  again(which, attempt = 1) {
    const r = this.envelopes.find(e => e === which || e.event_id === which || e.envelope_id === which || e.payload.event?.ts === which);
    if (!r) throw new Error(`no envelope ${which}`);
    return this.deliver(r.type, r.payload, { attempt, record: r });
  }

  // What fn sends leaves in one write, and so in one TLS record.
  corked(fn) { const live = this.live; live.forEach(c => c.cork()); try { return fn(); } finally { live.forEach(c => c.uncork()); } }

  ack(message, c) {
    const [r, a] = this.#byId.get(message.envelope_id) ?? [];
    if (a) {
      if (a.acked) this.violation(`acknowledged twice: ${a.envelope_id}`, c);
      a.acked ??= Date.now(); a.ackedOn ??= c.id; a.latency ??= a.acked - a.at; a.response = message.payload;
      r.acked ??= a.acked; c.acks++;
      return;
    }
    this.violation(`acknowledges what was never sent: ${JSON.stringify(message).slice(0, 120)}`, c);
  }

  stop() { this.stopped = true; for (const c of this.connections) c.destroy(); }
}
