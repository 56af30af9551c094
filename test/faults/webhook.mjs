// The webhook channel's session: alerts before and after the client is there, a storm of two, a verdict, a resolution. What was
// answered 200, and each verdict that was confirmed, is in the store afterwards, and the next session is told of all that waits.
import http from 'node:http';
import { PATIENCE, call, initialize, late, start } from './program.mjs';

// null: the connection broke.
function post(url, body) {
  const answer = new Promise(resolve => {
    const data = JSON.stringify(body);
    const q = http.request(url, { method: 'POST', agent: false, headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(data) } }, s => {
      let text = '';
      s.on('data', d => { text += d; });
      s.on('end', () => resolve({ status: s.statusCode, text }));
      s.on('error', () => resolve(null));
    });
    q.on('error', () => resolve(null));
    q.end(data);
  });
  return Promise.race([answer, late(PATIENCE, 'HTTP answer')]);
}

const alert = (name, status = 'firing') => ({
  status, labels: { alertname: 'DiskFull', severity: 'error', cluster: 'c-1', namespace: 'n', service: name }, annotations: { summary: `${name} is full` },
  startsAt: '2026-11-24T03:00:00Z', endsAt: status === 'resolved' ? '2026-11-24T04:00:00Z' : '0001-01-01T00:00:00Z', fingerprint: `f-${name}`,
});
const body = (...alerts) => ({ version: '4', status: alerts[0].status, alerts });

// One faulted session: what it promised. A broken promise, a wrong answer and a hang throw.
export async function session(state, fault, prefix) {
  const told = { accepted: new Map(), tried: new Map(), verdicts: [], calls: 0, fired: false, gaveUp: false };
  const p = start('webhook-channel', [], state, fault);
  const send = async (url, ...alerts) => {
    for (const x of alerts) told.tried.set(x.fingerprint, x.status);
    const a = await post(url, body(...alerts));
    if (!a) return;
    if (a.status !== 200 && a.status < 500) throw new Error(`answered ${a.status}: ${a.text}`);
    if (a.status !== 200) return;
    const { accepted } = JSON.parse(a.text);
    if (accepted !== alerts.length) throw new Error(`200 for ${accepted} of ${alerts.length}`);
    for (const x of alerts) told.accepted.set(x.fingerprint, x.status);
  };
  try {
    // Out of memory a log line may lack its words: then it only has to be alive.
    const port = await p.until(() => /address=(127\S+)/.exec(p.log)?.[1], 'port').catch(() => initialize(p));
    if (port) {
      const url = `http://${port}/webhook`, [a, b, c] = ['a', 'b', 'c'].map(x => prefix + x);
      const ready = initialize(p);
      ready.catch(() => {}); // waited for below
      await send(url, alert(a));
      await ready;
      await send(url, alert(a));
      await send(url, alert(b), alert(c));
      await p.ask(2, 'tools/list', {});
      const list = await call(p, 3, 'list_incidents', {});
      const id = list?.structuredContent?.incidents?.[0]?.incident_id ?? 1;
      const word = `checked ${prefix}`;
      const logged = await call(p, 4, 'log_incident', { incident_ids: [id], verdict: 'real', summary: word });
      if (logged && !logged.isError) told.verdicts.push([id, word]);
      await call(p, 5, 'check_history', { incident_id: id });
      await send(url, alert(a, 'resolved'));
      await call(p, 6, 'get_incident', { incident_id: id });
    }
    told.gaveUp = await p.end();
  } catch (e) {
    await p.fail(e);
  } finally {
    const r = p.report();
    told.calls = r.calls;
    told.fired = r.failed > 0;
  }
  return told;
}

// Unfaulted processes look at what is there: an export, and the next session.
export async function check(state, told) {
  const x = start('webhook-channel', ['export'], state, null), all = x.lines;
  const { code, signal } = await Promise.race([x.exited, late(PATIENCE, 'end of the export')]).catch(e => x.fail(e));
  if (code !== 0 && (told.accepted.size || signal || !/no such|not exist|cannot open|unable/i.test(x.log))) throw new Error(`export ends with ${code ?? signal}: ${x.log}`);
  const known = new Map(all.flatMap(i => i.alerts.map(a => [a.fingerprint, a.status])));
  // What was sent after it may have been taken, too, and only the answer to it lost.
  for (const [fingerprint, status] of told.accepted)
    if (![status, told.tried.get(fingerprint)].includes(known.get(fingerprint))) throw new Error(`lost: ${fingerprint} was accepted ${status} and is ${known.get(fingerprint)}`);
  for (const [id, word] of told.verdicts)
    if (!all.find(i => i.incident_id === id)?.verdicts.some(v => v.summary === word)) throw new Error(`lost: verdict of ${id}`);
  await checkDigest(state, all.filter(i => i.state !== 'decided').map(i => i.incident_id));
}

// What is undecided when a session starts is what it is told first.
async function checkDigest(state, waiting) {
  const p = start('webhook-channel', [], state, null), told = () => p.lines.find(l => l.method === 'notifications/claude/channel')?.params.content;
  try {
    await initialize(p);
    if (p.ended) throw new Error('the next session ended');
    if (waiting.length) await p.until(told, 'digest');
    const missing = waiting.filter(id => !new RegExp(`#${id}\\b`).test(told()));
    if (missing.length) throw new Error(`the next session is not told of ${missing}: ${told()}`);
    await p.end();
  } catch (e) {
    await p.fail(e);
  }
}
