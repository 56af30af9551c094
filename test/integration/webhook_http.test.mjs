// Hostile and clumsy HTTP against the running channel: what must hold is that every request gets its answer, nobody else waits for
// it, half of a body stores nothing, and the process serves on.
import assert from 'node:assert/strict';
import net from 'node:net';
import test, { describe } from 'node:test';
import zlib from 'node:zlib';
import { notification, request, sleep, startChannel, until } from '../support/channel.mjs';

const sanitized = /sanitize/.test(process.env.BUILD_DIR ?? '');
const alert = (service, more = {}) => notification({ severity: 'warning', service, cluster: 'c', namespace: 'n', ...more });
const services = async c => (await c.export()).map(i => i.service).sort();

// Writes bytes, reads until the peer closes or `enough`.
function raw(c, { enough = () => false, timeout = 5000 } = {}) {
  const socket = net.connect(Number(new URL(c.url).port), '127.0.0.1');
  let text = '';
  const done = new Promise(resolve => {
    const end = () => { clearTimeout(timer); socket.destroy(); resolve(text); };
    const timer = setTimeout(end, timeout);
    socket.on('data', d => { text += d; if (enough(text)) end(); });
    socket.on('end', end);
    socket.on('error', end);
  });
  const opened = new Promise(r => socket.once('connect', r));
  return { socket, done, opened, get text() { return text; } };
}

const head = (length, more = '') => `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${length === null ? '' : `Content-Length: ${length}\r\n`}${more}\r\n`;
const post = (body, more) => head(Buffer.byteLength(body), more) + body;
const statuses = text => [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(m => Number(m[1]));

// While f runs, the client's pings and a health check must be answered promptly. Returns the longest wait.
async function meanwhile(c, f, limit = sanitized ? 60_000 : 1000) {
  let running = true, longest = 0;
  const pinging = (async () => {
    while (running) {
      const began = Date.now();
      await c.client.ping();
      longest = Math.max(longest, Date.now() - began);
      await sleep(5);
    }
  })();
  const r = await f();
  running = false;
  await pinging;
  assert.ok(longest < limit, `a ping took ${longest} ms`);
  return r;
}

describe('bodies', { concurrency: 3 }, () => {
  test('5,000 alerts of 5,000 problems in one body, while pings go on', async () => {
    const c = await startChannel();
    const body = JSON.stringify(notification(Array.from({ length: 5000 }, (_, i) => ({ severity: 'warning', service: `s-${i}`, cluster: 'c', namespace: 'n' }))));
    const began = Date.now();
    const r = await meanwhile(c, () => c.post(body));
    const took = Date.now() - began;
    assert.equal(r.status, 200);
    assert.equal(r.json.accepted, 5000);
    assert.equal(new Set(r.json.incidents).size, 5000);
    assert.ok(took < (sanitized ? 60_000 : 2500), `${took} ms`);
    assert.equal((await c.export()).length, 5000);
    await c.event(e => e.meta.kind === 'digest', 8000);
    await c.stop();
  });

  test('10 MB in one body', async () => {
    const c = await startChannel();
    const labels = Array.from({ length: 1000 }, (_, i) => ({ severity: 'warning', service: 'big', pod: `p-${i}` }));
    const body = JSON.stringify(notification(labels, { annotations: { summary: 'big', description: 'x'.repeat(10_000) } }));
    assert.ok(body.length > 10e6);
    const r = await meanwhile(c, () => c.post(body));
    assert.equal(r.status, 200);
    assert.equal(r.json.accepted, 1000);
    const e = await c.event(e => e.meta.service === 'big');
    assert.ok(Buffer.byteLength(e.content) <= 4096);
    const one = await c.call('get_incident', { incident_id: 1 });
    assert.ok(JSON.stringify(one).length < 48 * 1024 * 2);
    assert.ok(Buffer.byteLength(one.content[0].text) <= 48 * 1024);
    await c.stop();
  });

  test('one alert whose labels and annotations are 10 MB', async () => {
    const c = await startChannel();
    const r = await meanwhile(c, () => c.post(alert('big', { blob: 'y'.repeat(5_000_000) , ['k'.repeat(1_000_000)]: 'v', summary: 'z'.repeat(4_000_000) })));
    assert.equal(r.status, 200);
    const e = await c.event(() => true);
    assert.ok(Buffer.byteLength(JSON.stringify(e)) <= 8192);
    assert.ok(JSON.stringify(await c.export()).length < 200_000, 'what is kept is capped');
    await c.stop();
  });

  test('what is not JSON, or holds no alert, is 400 and says where; nothing is stored', async () => {
    const c = await startChannel();
    for (const [body, why] of [
      ['[', /not JSON/], ['['.repeat(100_000), /deep|nest/], ['{"alerts":['.repeat(20_000), /deep|nest/], ['{"a":'.repeat(100_000), /deep|nest/],
      [JSON.stringify(alert('a')).slice(0, -3), /not JSON/], [JSON.stringify(alert('a')) + '{}', /not JSON/], ['null', /expected/], ['"x"', /expected/], ['1e999', /./],
      ['{}', /no alert/], ['[]', /no alert/], ['{"alerts":{}}', /alerts/], ['{"alerts":[1]}', /./], ['\0\0\0\0', /not JSON/], ['{"alerts":[{"labels":[]}]}', /labels/], [' ', /./],
      [Buffer.from([0xff, 0xfe, 0x7b, 0x00]), /not JSON/],
    ]) {
      const r = await c.post(body);
      assert.equal(r.status, 400, String(body).slice(0, 40));
      assert.match(r.text, why, String(body).slice(0, 40));
    }
    assert.deepEqual(await c.export(), []);
    assert.equal((await c.post(alert('after'))).status, 200);
    await c.stop();
  });

  test('invalid UTF-8, lone surrogates and NUL are no reason to refuse', async () => {
    const c = await startChannel();
    const text = JSON.stringify(alert('svc', { bad: 'BAD', lone: 'LONE', nul: 'NUL', esc: 'ESC' }))
      .replace('LONE', '\\ud800x\\udc00').replace('NUL', 'a\\u0000b').replace('ESC', '\\u001b[31mred\\u202eevil\\u200b');
    const at = text.indexOf('BAD');
    const body = Buffer.concat([Buffer.from(text.slice(0, at)), Buffer.from([0x61, 0xff, 0xc0, 0xaf, 0xed, 0xa0, 0x80, 0x62]), Buffer.from(text.slice(at + 3))]);
    const r = await c.post(body);
    assert.equal(r.status, 200, r.text);
    const [i] = await c.export();
    assert.match(i.alerts[0].labels.bad, /^a\ufffd+b$/);
    assert.match(i.alerts[0].labels.lone, /^\ufffdx\ufffd$/);
    assert.equal(i.alerts[0].labels.nul, 'ab');
    assert.doesNotMatch(i.alerts[0].labels.esc, /[\u001b\u202e\u200b]/);
    assert.match(i.alerts[0].labels.esc, /red/);
    await c.stop();
  });

  test('chunked bodies, whatever the cuts', async () => {
    const c = await startChannel();
    const chunked = (body, size) => {
      let out = '';
      for (let i = 0; i < body.length; i += size) { const part = body.slice(i, i + size); out += `${part.length.toString(16)}\r\n${part}\r\n`; }
      return out + '0\r\n\r\n';
    };
    for (const [n, size] of [[1, 1], [2, 7], [3, 100_000]]) {
      const x = raw(c, { enough: t => /"accepted"/.test(t) });
      x.socket.write(head(null, 'Transfer-Encoding: chunked\r\n') + chunked(JSON.stringify(alert(`s-${n}`)), size));
      assert.deepEqual(statuses(await x.done), [200]);
    }
    assert.deepEqual(await services(c), ['s-1', 's-2', 's-3']);
    await c.stop();
  });

  test('compressed bodies are refused with 415, without a length 411', async () => {
    const c = await startChannel();
    const r = await c.post(zlib.gzipSync(JSON.stringify(alert('a'))), { headers: { 'content-encoding': 'gzip' } });
    assert.equal(r.status, 415);
    assert.match(r.json.error, /Content-Encoding/);
    const x = raw(c);
    x.socket.write(head(null));
    assert.deepEqual(statuses(await x.done), [411]);
    assert.deepEqual(await c.export(), []);
    await c.stop();
  });
});

describe('connections', { concurrency: 4 }, () => {
  test('a body that is cut by RST or FIN stores nothing', async () => {
    const c = await startChannel();
    const body = JSON.stringify(alert('half'));
    for (const how of ['resetAndDestroy', 'end', 'destroy']) {
      for (const part of [1, body.length >> 1, body.length - 1]) {
        const x = raw(c, { timeout: 1000 });
        await x.opened;
        x.socket.write(head(body.length) + body.slice(0, part));
        await sleep(20);
        x.socket[how]();
        await sleep(5);
      }
    }
    await sleep(100);
    assert.deepEqual(await c.export(), []);
    assert.equal((await c.post(alert('whole'))).status, 200);
    await c.stop();
  });

  test('a peer that only shuts its sending side still gets its answer', async () => {
    const c = await startChannel();
    const x = raw(c);
    x.socket.end(post(JSON.stringify(alert('a'))));
    assert.deepEqual(statuses(await x.done), [200]);
    await c.stop();
  });

  test('pipelined requests are answered in order, each with its own', async () => {
    const c = await startChannel();
    const x = raw(c, { enough: t => statuses(t).length === 5 && t.endsWith('}') });
    x.socket.write(post(JSON.stringify(alert('p-1'))) + post('{"alerts":') + post(JSON.stringify(alert('p-2'))) +
      'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n' + post(JSON.stringify(alert('p-3'))));
    const text = await x.done;
    assert.deepEqual(statuses(text), [200, 400, 200, 200, 200]);
    assert.deepEqual(await services(c), ['p-1', 'p-2', 'p-3']);
    await c.stop();
  });

  test('what could be read in two ways is refused', async () => {
    const c = await startChannel();
    const body = JSON.stringify(alert('smuggled'));
    for (const more of ['Transfer-Encoding: chunked\r\n', 'Content-Length: 3\r\n', 'Transfer-Encoding: gzip, identity\r\n', 'Bad Name: x\r\n', ' folded: x\r\n']) {
      const x = raw(c, { timeout: 2000 });
      x.socket.write(head(body.length, more) + body);
      const [status] = statuses(await x.done);
      assert.ok(status >= 400 && status < 600, `${JSON.stringify(more)}: ${status}`);
    }
    assert.deepEqual(await c.export(), []);
    await c.stop();
  });

  for (const n of [1000, 2000]) {
    test(`${n} idle connections, then a request is served`, async () => {
      const c = await startChannel();
      const sockets = [];
      let refused = 0;
      for (let i = 0; i < n; i += 100) {
        await Promise.all(Array.from({ length: 100 }, () => new Promise(r => {
          const s = net.connect(Number(new URL(c.url).port), '127.0.0.1', r);
          s.on('error', () => { refused++; r(); });
          sockets.push(s);
        })));
      }
      assert.equal(refused, 0);
      const began = Date.now();
      assert.equal((await c.post(alert('served'))).status, 200);
      assert.ok(Date.now() - began < 1000);
      // and each of them too
      for (const s of [sockets[0], sockets[n >> 1], sockets[n - 1]]) {
        const answered = new Promise(r => s.once('data', d => r(String(d))));
        s.write(post(JSON.stringify(alert('late'))));
        assert.match(await answered, /^HTTP\/1\.1 200/);
      }
      sockets.forEach(s => s.destroy());
      await c.event(e => e.meta.service === 'served');
      await c.stop();
    });
  }

  test('slow clients: 408 after 30 s, meanwhile all others are served', async () => {
    const c = await startChannel();
    const began = Date.now();
    const drips = Array.from({ length: 50 }, (_, i) => {
      const x = raw(c, { timeout: 40_000 });
      const bytes = i % 2 ? head(1000) + '{"alerts":[' + ' '.repeat(900) : 'POST / HTTP/1.1\r\nX-Slow: ' + 'a'.repeat(1000);
      let at = 0;
      x.timer = setInterval(() => { if (!x.socket.destroyed && at < bytes.length) x.socket.write(bytes[at++]); }, 100).unref(); // nor does a failure wait for it
      return x;
    });
    for (let i = 0; i < 10; i++) {
      const t = Date.now();
      assert.equal((await c.post(alert(`s-${i}`))).status, 200);
      assert.ok(Date.now() - t < 1000);
      await sleep(500);
    }
    for (const x of drips) {
      assert.deepEqual(statuses(await x.done), [408]);
      clearInterval(x.timer);
    }
    const took = Date.now() - began;
    assert.ok(took > 28_000 && took < 36_000, `${took} ms`);
    assert.equal((await c.export()).length, 10);
    await c.stop();
  });

  test('2,000 senders at once, a connection each', async () => {
    const c = await startChannel();
    const answers = await meanwhile(c, () => Promise.all(Array.from({ length: 2000 }, (_, i) => c.post(alert(`s-${i % 50}`, { pod: `p-${i}` })))), sanitized ? 60_000 : 5000);
    assert.ok(answers.every(r => r.status === 200));
    const all = await c.export();
    assert.equal(all.length, 50);
    assert.equal(all.reduce((n, i) => n + i.alerts.length, 0), 2000);
    await c.stop();
  });

  test('a session that does not read its pipe keeps nobody waiting, and hears everything once it reads', async () => {
    const c = await startChannel({ env: { SRE_EVENTS_PER_MINUTE: '100000' } });
    const out = c.transport._process.stdout;
    out.pause();
    for (let i = 0; i < 40; i++) {
      const labels = Array.from({ length: 25 }, (_, k) => ({ severity: 'critical', service: `s-${i}-${k}`, cluster: 'c', namespace: 'n', text: 't'.repeat(2000) }));
      const began = Date.now();
      assert.equal((await c.post(notification(labels))).status, 200);
      assert.ok(Date.now() - began < (sanitized ? 10_000 : 1000));
    }
    await sleep(1000);
    assert.equal((await request(c.url + '/healthz', { method: 'GET' })).status, 200);
    out.resume();
    await until(() => {
      const told = new Set(c.events.filter(e => e.meta.kind === 'alert').map(e => e.meta.incident_id));
      return told.size === 1000 || c.events.some(e => e.meta.kind === 'digest');
    }, 20_000, 'the events');
    await c.stop();
  });
});
