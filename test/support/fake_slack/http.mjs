// What stands before the methods: transport, tokens, scopes, content types, rate limits, faults, the request log;
// and the URLs that are no methods: uploads, downloads, response_url.
import { METHODS, ApiError, scopeOf } from './web_api.mjs';
import { slackJson, rst } from './socket_mode.mjs';
import { checkBlocks, storeText } from './limits.mjs';
import { publicMessage } from './workspace.mjs';

const MAX_BODY = 64 << 20;
const HTML = '<!DOCTYPE html>\n<html><head><title>Server Error | Slack</title></head><body><h1>Something went wrong</h1></body></html>';
const LOGIN = '<!DOCTYPE html>\n<html><head><title>Slack</title></head><body><form action="/" id="signin_form">Sign in to your workspace</form></body></html>';

export class Http {
  requests = [];
  #slack; #blocked = new Map(); #buckets = new Map();
  constructor(slack) { this.#slack = slack; }

  async handle(req, res) {
    const url = new URL(req.url, 'http://x'), at = Date.now(), path = url.pathname;
    const method = path.startsWith('/api/') ? path.slice(5) : path.startsWith('/upload/') ? 'upload' : path.startsWith('/actions/') ? 'response_url' : path.startsWith('/files-pri/') ? 'download' : path;
    const r = { n: this.requests.length + 1, at, method, path, verb: req.method, headers: req.headers, rawHeaders: req.rawHeaders, args: {}, token: null, status: null, answer: null, error: null, done: null };
    let body;
    try { body = await readBody(req); } catch { return; }
    r.body = body.length <= 65536 ? body.toString() : `(${body.length} bytes)`;
    if (path === '/_test') return this.#slack.control(req, res, body.toString());
    this.requests.push(r);
    parseArgs(r, url, body);
    const fault = r.fault = this.#slack.faults.take(r);
    if (method === 'chat.postMessage' && this.requests.some(o => o !== r && !o.done && o.method === method && o.args.channel === r.args.channel)) this.#slack.violation(`two posts at once to ${r.args.channel}: their order is luck`);
    res.on('close', () => { r.done = Date.now(); this.#slack.changed(); });
    if (fault?.reset) return rst(req.socket);
    if (fault && !fault.commit) { if (fault.hang) return; await sleep(fault.delayMs); return this.#faulty(res, r, fault); }
    let out;
    try { out = path.startsWith('/api/') ? this.#api(r) : method === 'upload' ? this.#upload(r, body) : method === 'download' ? this.#download(r) : method === 'response_url' ? this.#responseUrl(r) : { status: 404, text: 'Not Found' }; }
    catch (e) { this.#slack.violation('the fake itself failed: ' + e.stack); out = { status: 500, text: HTML, type: 'text/html' }; }
    r.committed = true;
    this.#slack.changed();
    if (fault?.hang) return;
    if (fault?.delayMs) await sleep(fault.delayMs);
    if (fault?.lose) { r.error = 'answer lost'; return rst(req.socket); }
    if (fault && (fault.status || fault.error || fault.body)) return this.#faulty(res, r, fault);
    this.#send(res, r, out, fault);
  }

  #faulty(res, r, f) {
    if (f.body !== undefined) return this.#send(res, r, { status: 200, text: f.body, type: f.type ?? 'text/html; charset=utf-8' });
    if (f.status === 429) { this.#block(r, f.retryAfter ?? 1); return this.#limited(res, r, f.retryAfter ?? 1); }
    if (f.status) return this.#send(res, r, { status: f.status, text: f.text ?? HTML, type: 'text/html', headers: f.retryAfter === undefined ? {} : { 'retry-after': String(f.retryAfter) } });
    this.#send(res, r, { json: { ok: false, error: f.error, ...f.extra } });
  }

  #limited(res, r, seconds) { this.#send(res, r, { status: 429, json: { ok: false, error: 'ratelimited' }, headers: { 'retry-after': String(Math.max(1, Math.ceil(seconds))) } }); }
  #block(r, seconds) { this.#blocked.set(r.method, Date.now() + seconds * 1000); }

  #send(res, r, { status = 200, json, text, type, headers = {} }, fault) {
    const body = Buffer.from(json ? slackJson(json) : text);
    r.status = status; r.answer = json ?? text; r.error = json && !json.ok ? json.error : r.error;
    if (res.destroyed) return;
    res.writeHead(status, { 'content-type': json ? 'application/json; charset=utf-8' : type ?? 'text/plain', 'content-length': body.length, 'x-slack-req-id': `req${r.n}`, server: 'Apache', ...(r.scopes && { 'x-oauth-scopes': r.scopes, 'x-accepted-oauth-scopes': r.needed ?? '' }), ...headers });
    if (fault?.cutBody) { res.write(body.subarray(0, body.length >> 1)); return setTimeout(() => rst(res.socket), 20); }
    res.end(body);
  }

  #api(r) {
    const s = this.#slack, m = METHODS[r.method], answer = (json, more = {}) => ({ json, ...more });
    if (!m) return answer({ ok: false, error: 'unknown_method', req_method: r.method });
    const left = (this.#blocked.get(r.method) ?? 0) - Date.now();
    if (left > 0) { s.violation(`${r.method} called ${left} ms before Retry-After was over`); return answer({ ok: false, error: 'ratelimited' }, { status: 429, headers: { 'retry-after': String(Math.ceil(left / 1000)) } }); }
    const wait = this.#bucket(r);
    if (wait > 0) { this.#block(r, wait); return answer({ ok: false, error: 'ratelimited' }, { status: 429, headers: { 'retry-after': String(Math.ceil(wait)) } }); }
    if (m.token === 'app' && r.tokenFrom === 'args') return answer({ ok: false, error: 'not_authed' });
    if (m.token === 'app' && r.verb !== 'POST') return answer({ ok: false, error: 'insecure_request' });
    const token = s.tokens.get(r.token), kind = m.token ?? 'bot';
    if (!m.anyone) {
      if (!r.token) return answer({ ok: false, error: 'not_authed' });
      if (!token) return answer({ ok: false, error: 'invalid_auth' });
      if (token.error) return answer({ ok: false, error: token.error });
      if (token.kind !== kind) return answer({ ok: false, error: 'not_allowed_token_type' });
      r.scopes = [...token.scopes].join(','); r.needed = scopeOf(r.method, r.args.channel);
      if (r.needed && !token.scopes.has(r.needed)) return answer({ ok: false, error: 'missing_scope', needed: r.needed, provided: r.scopes });
    }
    if (r.badJson) return answer({ ok: false, error: 'invalid_json' });
    const { workspace, socket, options, state, statuses, ephemeral } = s, warnings = r.warnings ?? [];
    const c = { args: m.form && r.json ? {} : { ...r.args }, token: r.token, fault: r.fault, workspace, socket, options, state, statuses, ephemeral,
      origin: () => s.origin, violation: what => s.violation(what), posted: (...a) => s.notePosted(r, ...a), changedMessage: (...a) => s.noteChanged(r, ...a), deletedMessage: (...a) => s.noteDeleted(r, ...a) };
    try {
      const out = { ok: true, ...m.run(c) };
      if (warnings.length) Object.assign(out, { warning: warnings.join(','), response_metadata: { ...out.response_metadata, warnings } });
      return answer(out);
    } catch (e) {
      if (!(e instanceof ApiError)) throw e;
      return answer({ ok: false, error: e.message, ...e.extra });
    }
  }

  // options.limits: { 'chat.postMessage': { perMinute: 60, burst: 5 } }; postMessage's is per channel. Returns seconds to wait.
  #bucket(r) {
    const l = this.#slack.options.limits?.[r.method]; if (!l) return 0;
    const key = r.method + ' ' + (r.method.startsWith('chat.post') ? r.args.channel : ''), now = Date.now(), b = this.#buckets.get(key) ?? { left: l.burst ?? 1, at: now };
    b.left = Math.min(l.burst ?? 1, b.left + (now - b.at) * l.perMinute / 60000); b.at = now; this.#buckets.set(key, b);
    if (b.left < 1) return (1 - b.left) * 60 / l.perMinute;
    b.left--; return 0;
  }

  #upload(r, body) {
    const f = [...this.#slack.workspace.files.values()].find(x => r.path.endsWith('/' + x.key));
    if (!f || r.verb !== 'POST') return { status: 404, text: 'Not Found' };
    const boundary = /^multipart\/form-data;.*boundary="?([^";]+)/.exec(r.headers['content-type'] ?? '')?.[1];
    const content = boundary ? firstPart(body, boundary) : body;
    if (content.length !== f.length) { this.#slack.violation(`upload of ${content.length} bytes, announced ${f.length}`); return { status: 400, text: 'length mismatch' }; }
    f.content = content;
    return { text: `OK - ${content.length}` };
  }

  #download(r) {
    const f = this.#slack.workspace.files.get(/\/files-pri\/T\w+-(F\w+)\//.exec(r.path)?.[1]), token = this.#slack.tokens.get(r.token);
    if (!f?.content) return { status: 404, text: HTML, type: 'text/html' };
    if (!token || token.error || !token.scopes.has('files:read')) return { text: LOGIN, type: 'text/html; charset=utf-8' };
    return { text: f.content, type: f.mimetype ?? 'application/octet-stream' };
  }

  #responseUrl(r) {
    const s = this.#slack, u = s.responseUrls.get(r.path.split('/').at(-1));
    if (!u) return { status: 404, json: { ok: false, error: 'expired_url' } };
    if (++u.uses > 5 || Date.now() - u.at > 30 * 60000) return { status: 404, json: { ok: false, error: u.uses > 5 ? 'used_url' : 'expired_url' } };
    if (!r.json) return { status: 400, json: { ok: false, error: 'invalid_payload' } };
    const { text, blocks, replace_original, delete_original, response_type = 'ephemeral', thread_ts } = r.args, bad = blocks && checkBlocks(blocks);
    if (bad) return { status: 400, json: { ok: false, error: bad.error } };
    const original = s.workspace.find(u.channel, u.ts);
    if (delete_original === true) { if (original) { s.workspace.remove(u.channel, u.ts); s.noteDeleted(r, u.channel, original); } }
    else if (!text && !blocks?.length) return { status: 400, json: { ok: false, error: 'no_text' } };
    else if (replace_original === true) { if (original) { const previous = publicMessage(original); s.workspace.update(original, { text, blocks }); s.noteChanged(r, u.channel, original, previous); } }
    else if (response_type === 'in_channel') s.notePosted(r, u.channel, s.workspace.add(u.channel, { ...s.botIdentity, text: storeText(text ?? ''), blocks, thread_ts }));
    else s.ephemeral.push({ channel: u.channel, ephemeral_to: u.user, text, blocks, thread_ts, at: Date.now() });
    return { text: 'ok', type: 'text/html' };
  }
}

export const sleep = ms => new Promise(r => setTimeout(r, ms ?? 0));

function readBody(req) {
  return new Promise((resolve, reject) => {
    const parts = []; let n = 0;
    req.on('data', d => { n += d.length; if (n > MAX_BODY) req.destroy(); else parts.push(d); });
    req.on('end', () => resolve(Buffer.concat(parts))); req.on('error', reject); req.on('close', () => reject(new Error('closed')));
  });
}

function parseArgs(r, url, body) {
  Object.assign(r.args, Object.fromEntries(url.searchParams));
  const type = r.headers['content-type'] ?? '';
  if (type.startsWith('application/json')) {
    r.json = true;
    try { const o = JSON.parse(body.toString() || '{}'); if (o && typeof o === 'object') Object.assign(r.args, o); } catch { r.badJson = true; }
    if (!/charset=utf-8/i.test(type)) r.warnings = ['missing_charset'];
  } else if (type.startsWith('application/x-www-form-urlencoded')) {
    Object.assign(r.args, Object.fromEntries(new URLSearchParams(body.toString())));
    if (/charset/i.test(type)) r.warnings = ['superfluous_charset'];
  }
  const bearer = /^Bearer (.+)$/.exec(r.headers.authorization ?? '')?.[1];
  r.token = bearer ?? r.args.token ?? null; r.tokenFrom = bearer ? 'header' : r.args.token ? 'args' : null;
  delete r.args.token;
}

function firstPart(body, boundary) {
  const start = body.indexOf('\r\n\r\n'), end = body.indexOf(`\r\n--${boundary}`, start + 4);
  return start < 0 || end < 0 ? Buffer.alloc(0) : body.subarray(start + 4, end);
}
