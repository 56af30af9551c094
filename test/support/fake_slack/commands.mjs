// Commands in text, answers in JSON: for stdin, shells, and programs that are not JavaScript.
import { publicMessage } from './workspace.mjs';

const COMMANDS = new Set(['say', 'botSays', 'edit', 'delete', 'click', 'react', 'unreact', 'unfurl', 'slash', 'event', 'rateLimited', 'next', 'style', 'again', 'deliver', 'posted', 'updated', 'deleted', 'ephemeral', 'statuses', 'violations', 'requests', 'connections', 'envelopes',
  'dm', 'calls', 'message', 'messages', 'buttons', 'waitPosted', 'waitUp', 'waitAcked', 'waitCall', 'fault', 'clearFaults', 'outage', 'refresh', 'warn', 'linkDisabled', 'linkEnabled', 'tooMany', 'hang', 'resume', 'reset', 'end', 'close',
  'sendText', 'ping', 'ghost', 'clearGhosts', 'revoke', 'restore', 'removeScope', 'addScope', 'set', 'describe', 'summary', 'sleep']);

// As JSON for another process: live objects cut down to what they say.
function plain(o) {
  if (Array.isArray(o)) return o.map(plain);
  if (!o || typeof o !== 'object') return o;
  if (o.received && o.opened) return { id: o.id, opened: o.opened, hello: o.hello, closed: o.closed, closeCode: o.closeCode, closedByClient: o.closedByClient, acks: o.acks, pongs: o.pongs, clientPings: o.clientPings, hung: o.hung };
  if (o.attempts) return { type: o.type, envelope_id: o.envelope_id, event_id: o.event_id, at: o.at, acked: o.acked, lost: o.lost, attempts: o.attempts };
  if (o.rawHeaders) { const { rawHeaders, fault, body, ...rest } = o; return rest; }
  if (o.message && o.request) { const { message, request, ...rest } = o; return { ...rest, message: publicMessage(message), request: request.n }; }
  if (o.envelope) return { ...o, envelope: plain(o.envelope) };
  return o;
}

// `NAME`, `NAME ["json","arguments"]`, `NAME plain text`, or {"cmd":NAME,"args":[]}. Never throws: a failure is an answer.
export async function runCommand(slack, line) {
  try {
    let name, args;
    if (line.startsWith('{')) ({ cmd: name, args = [] } = JSON.parse(line));
    else { const [, word, rest] = /^(\S+)\s*([\s\S]*)$/.exec(line.trim()); name = word; args = rest.startsWith('[') ? JSON.parse(rest) : rest ? [rest] : []; }
    if (!COMMANDS.has(name)) throw new Error(`unknown command ${name}; known: ${[...COMMANDS].join(' ')}`);
    const value = slack[name], result = typeof value === 'function' ? await value.apply(slack, args) : value;
    return JSON.stringify({ ok: true, result: plain(result) ?? null });
  } catch (e) { return JSON.stringify({ ok: false, error: e.message }); }
}
