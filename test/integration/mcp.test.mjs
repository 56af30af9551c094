// The mcp layer by itself (build/mcp_demo): with the official MCP SDK as client where a well-behaved client suffices, with raw
// lines where the point is what such a client never sends.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const demo = path.join(process.env.BUILD_DIR ?? path.join(root, 'build'), 'mcp_demo');
const sanitized = fs.readFileSync(demo).includes('__asan_init'); // which keeps freed memory
const sleep = ms => new Promise(r => setTimeout(r, ms));
const until = async (f, what, ms = 5000) => {
  for (const end = Date.now() + ms; ;) {
    const v = f();
    if (v) return v;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await sleep(5);
  }
};
const code = n => e => (assert.equal(e.code, n), true);

describe('with the SDK client', () => {
  let client, transport, events, errors;
  before(async () => {
    events = [], errors = [];
    client = new Client({ name: 'test', version: '1' });
    client.fallbackNotificationHandler = async n => { events.push(n); };
    client.onerror = e => errors.push(e);
    transport = new StdioClientTransport({ command: demo });
    await client.connect(transport);
  });
  after(async () => {
    const start = Date.now();
    await client.close();
    assert.ok(Date.now() - start < 1000, 'ends when stdin does, before the client sends SIGTERM');
    assert.deepEqual(errors, []);
  });

  test('handshake', async () => {
    assert.deepEqual(client.getServerVersion(), { name: 'demo', title: 'Demo', version: '0' });
    assert.deepEqual(client.getServerCapabilities(),
      { tools: {}, experimental: { 'claude/channel': {}, 'claude/channel/permission': {} } });
    assert.equal(client.getInstructions(), 'For tests.');
    assert.deepEqual(await client.ping(), {});
  });

  test('the first event comes 0.2 to 2 s after initialized', async () => {
    const e = await until(() => events.find(e => e.params.content === 'hello'), 'the first event', 2000);
    assert.deepEqual(e, { jsonrpc: '2.0', method: 'notifications/claude/channel', params: { content: 'hello', meta: {} } });
  });

  test('tools/list', async () => {
    const { tools, nextCursor } = await client.listTools();
    assert.equal(nextCursor, undefined);
    assert.deepEqual(tools.map(t => t.name), ['echo', 'wait', 'emit', 'big']);
    assert.deepEqual(tools[0], {
      name: 'echo', title: 'Echo', description: 'Says it again.',
      inputSchema: {
        type: 'object',
        properties: {
          text: { type: 'string', minLength: 1, maxLength: 100000, description: 'What to say.' },
          ids: { type: 'array', items: { type: 'integer', minimum: 1, maximum: 1e9 }, minItems: 1, maxItems: 3, description: 'Numbers to say.' },
        },
        required: ['text'], additionalProperties: false,
      },
      annotations: { title: 'Echo', readOnlyHint: true, destructiveHint: false, idempotentHint: false, openWorldHint: false },
      _meta: { 'anthropic/alwaysLoad': true },
    });
    assert.equal(tools[1]._meta, undefined);
    await assert.rejects(client.listTools({ cursor: 'x' }), code(-32602));
  });

  test('tools/call', async () => {
    const text = 'ünï ✓ 🙂 "q" \\ \n\t\u2028 end';
    const r = await client.callTool({ name: 'echo', arguments: { text, ids: [1, 2, 3] } });
    assert.deepEqual(r, { content: [{ type: 'text', text }], structuredContent: { echo: text, ids: [1, 2, 3] } });
  });

  test('bad arguments are a tool error that names them', async () => {
    const refused = async (args, want) => {
      const r = await client.callTool({ name: 'echo', arguments: args });
      assert.equal(r.isError, true);
      assert.equal(r.content[0].text, want);
    };
    await refused({}, 'text is required');
    await refused(undefined, 'text is required');
    await refused({ text: 1 }, 'text must be a string');
    await refused({ text: 'a', ids: [1, 2.5] }, 'ids[1] must be a whole number');
    await refused({ text: 'a', extra: 1 }, 'extra is not an argument of echo; it takes text, ids');
  });

  test('protocol errors', async () => {
    await assert.rejects(client.callTool({ name: 'nope', arguments: {} }), code(-32602));
    for (const method of ['server/discover', 'nope'])
      await assert.rejects(client.request({ method, params: {} }, { parse: v => v }), code(-32601));
    assert.deepEqual(await client.ping(), {});
  });

  test('a result over the cap is an error that says so', async () => {
    const fits = await client.callTool({ name: 'big', arguments: { bytes: 48 * 1024 - 200 } });
    assert.equal(fits.content[0].text.length, 48 * 1024 - 200);
    const over = await client.callTool({ name: 'big', arguments: { bytes: 48 * 1024 } });
    assert.equal(over.isError, true);
    assert.match(over.content[0].text, /over 48 KB/);
  });

  test('answers come in the order in which the tools finish', async () => {
    const order = [];
    await Promise.all([150, 10, 80].map(ms => client.callTool({ name: 'wait', arguments: { ms } }).then(() => order.push(ms))));
    assert.deepEqual(order, [10, 80, 150]);
  });

  test('a cancelled call is not answered', async () => {
    const abort = new AbortController();
    const call = client.callTool({ name: 'wait', arguments: { ms: 200 } }, undefined, { signal: abort.signal });
    setTimeout(() => abort.abort('enough'), 50);
    await assert.rejects(call);
    await until(() => events.find(e => e.params.content === 'cancelled'), 'the tool to see it');
    await client.ping();
    assert.deepEqual(errors, []); // the SDK reports an answer to an id that it does not know
  });

  test('1,000 calls at once are answered, 64 of those that wait', async () => {
    const quick = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.callTool({ name: 'echo', arguments: { text: `${i}` } })));
    quick.forEach((r, i) => assert.equal(r.structuredContent.echo, `${i}`));
    const slow = await Promise.allSettled(Array.from({ length: 70 }, () => client.callTool({ name: 'wait', arguments: { ms: 100 } })));
    assert.equal(slow.filter(r => r.status === 'fulfilled').length, 64);
    for (const r of slow.filter(r => r.status === 'rejected')) assert.equal(r.reason.code, -32603);
  });

  test('events and the permission relay', async () => {
    events.length = 0;
    const r = await client.callTool({ name: 'emit', arguments: { n: 20, bytes: 4096 } });
    assert.equal(r.structuredContent.taken, 20);
    await until(() => events.length === 20, 'the events');
    events.forEach((e, i) => assert.deepEqual(e.params, { content: 'e'.repeat(4096), meta: { kind: 'alert', index: `${i}` } }));
    events.length = 0;
    const ask = (request_id, tool_name) => client.notification({
      method: 'notifications/claude/channel/permission_request',
      params: { request_id, tool_name, description: 'd', input_preview: '{}', more: [1] } });
    await ask('abcde', 'Read');
    await ask('fghij', 'Bash');
    await ask('no', 'Read');
    await until(() => events.length === 2, 'the verdicts');
    assert.deepEqual(events.map(e => [e.method, e.params]), [
      ['notifications/claude/channel/permission', { request_id: 'abcde', behavior: 'allow' }],
      ['notifications/claude/channel/permission', { request_id: 'fghij', behavior: 'deny' }]]);
  });
});

// A process of which the test writes lines and reads lines.
function start({ stdio = ['pipe', 'pipe', 'pipe'] } = {}) {
  const child = spawn(demo, { stdio });
  const s = { child, lines: [], stderr: '', exit: null };
  let rest = '';
  child.stdout?.setEncoding('utf8').on('data', d => {
    const parts = (rest + d).split('\n');
    rest = parts.pop();
    s.lines.push(...parts);
  });
  child.stderr?.on('data', d => { s.stderr += d; });
  child.stdin?.on('error', () => {});
  s.exited = new Promise(resolve => child.on('exit', (status, signal) => { s.exit = { status, signal }; resolve(s.exit); }));
  s.send = line => child.stdin.write(line + '\n');
  s.line = async n => (await until(() => s.lines.length > n, `line ${n}`), s.lines[n]);
  s.hello = () => {
    s.send('{"jsonrpc":"2.0","id":"hi","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}');
    s.send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    return s.line(0);
  };
  s.end = async () => {
    const began = Date.now();
    child.stdin.end();
    assert.deepEqual(await s.exited, { status: 0, signal: null });
    assert.equal(s.stderr, '');
    return Date.now() - began;
  };
  return s;
}
const ping = id => `{"jsonrpc":"2.0","id":${id},"method":"ping"}`;
const pong = id => `{"jsonrpc":"2.0","id":${id},"result":{}}`;
const call = (id, name, args) => `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":${JSON.stringify(args)}}}`;
const errorOf = line => { const m = JSON.parse(line); return [m.id, m.error.code]; };

describe('with raw lines', () => {
  test('ids of every kind come back byte for byte', async () => {
    const s = start();
    await s.hello();
    const ids = ['0', '-1', '9007199254740993', '123456789012345678901234567890', '1.50', '1e3', '""', '"a"', '"\\u0061\\n\\"\\/"', '"\\ud83d"', '"ü✓"'];
    for (const id of ids) s.send(ping(id));
    for (const id of ids) s.send(call(id, 'echo', { text: 'x' }));
    await s.line(2 * ids.length);
    ids.forEach((id, i) => assert.equal(s.lines[1 + i], pong(id)));
    ids.forEach((id, i) => assert.ok(s.lines[1 + ids.length + i].startsWith(`{"jsonrpc":"2.0","id":${id},"result":{"content":`)));
    assert.ok(await s.end() < 300);
  });

  test('what is no message is answered and harms nothing', async () => {
    const s = start();
    await s.hello();
    const rows = [
      ['{', -32700], ['nonsense', -32700], ['['.repeat(100000), -32700], ['{"a":"' + 'x'.repeat(100), -32700],
      [`[${ping(1)}]`, -32600], ['[]', -32600], ['7', -32600], ['{}', -32600], [ping('null'), -32600], [ping('{}'), -32600],
    ];
    for (const [line] of rows) s.send(line);
    s.child.stdin.write(Buffer.from([0xff, 0xfe, 0x00, 0x0a]));
    s.send(ping('"still"'));
    await s.line(rows.length + 2);
    rows.forEach(([line, want], i) => assert.deepEqual(errorOf(s.lines[1 + i]), [null, want], line.slice(0, 40)));
    assert.deepEqual(errorOf(s.lines[1 + rows.length]), [null, -32700]);
    assert.equal(s.lines.at(-1), pong('"still"'));
    await s.end();
  });

  test('before initialize', async () => {
    const s = start();
    s.send('{"jsonrpc":"2.0","id":"d-1","method":"server/discover","params":{"protocolVersion":"2026-07-28"}}');
    s.send(ping(1));
    s.send('{"jsonrpc":"2.0","id":2,"method":"tools/list"}');
    await s.line(2);
    assert.deepEqual(errorOf(s.lines[0]), ['d-1', -32601]);
    assert.equal(s.lines[1], pong(1));
    assert.deepEqual(errorOf(s.lines[2]), [2, -32600]);
    await s.hello();
    await sleep(700);
    assert.equal(s.lines.filter(l => l.includes('notifications/claude/channel')).length, 1);
    await s.end();
  });

  test('a line over the cap is refused, the stream goes on', async () => {
    const s = start();
    await s.hello();
    s.send(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"${'y'.repeat(5 << 20)}"}}`);
    s.send(`{"jsonrpc":"2.0","id":2,"method":"ping","params":{"x":"${'y'.repeat(3 << 20)}"}}`);
    await s.line(2);
    assert.deepEqual(errorOf(s.lines[1]), [null, -32600]);
    assert.equal(s.lines[2], pong(2));
    await s.end();
  });

  test('messages cut anywhere, CRLF, blank lines, no newline at the end', async () => {
    const s = start();
    const text = `${ping(1)}\r\n\n  \r\n${ping('"ü"')}\n${ping(3)}`;
    for (const byte of Buffer.from(text)) {
      s.child.stdin.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    await s.end();
    assert.deepEqual(s.lines, [pong(1), pong('"ü"'), pong(3)]);
  });

  test('the end of stdin waits for what was read', async () => {
    const s = start();
    s.child.stdin.write(Array.from({ length: 5000 }, (_, i) => ping(i) + '\n').join(''));
    await s.end();
    assert.deepEqual(s.lines, Array.from({ length: 5000 }, (_, i) => pong(i)));
  });
});

describe('a reader of stdout that does not read', () => {
  test('events are refused, memory is bounded, nothing is lost', async () => {
    const s = start();
    await s.hello();
    s.child.stdout.pause();
    const rss = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${s.child.pid}/status`, 'utf8'))[1]);
    const before = rss();
    s.send(call('"e"', 'emit', { n: 10000, bytes: 4096 })); // 40 MB
    const big = 3000;
    for (let i = 0; i < big; i++) s.send(call(i, 'big', { bytes: 40000 })); // 120 MB
    await sleep(500);
    const grown = rss() - before;
    if (!sanitized) assert.ok(grown < 8 * 1024, `grew by ${grown} KB`);
    s.child.stdout.resume();
    await until(() => s.lines.filter(l => l.startsWith('{"jsonrpc":"2.0","id":')).length === big + 2, 'the answers', 20000);
    const answers = s.lines.map(l => JSON.parse(l)).filter(m => 'id' in m);
    const { taken } = answers.find(m => m.id === 'e').result.structuredContent;
    assert.ok(taken > 10 && taken < 10000, `${taken} taken`);
    assert.equal(s.lines.filter(l => l.includes('"index"')).length, taken);
    assert.deepEqual(answers.filter(m => typeof m.id === 'number').map(m => m.id), Array.from({ length: big }, (_, i) => i));
    s.send(call('"again"', 'emit', { n: 5, bytes: 10 }));
    await until(() => s.lines.some(l => l.includes('"again"') && l.includes('"taken":5')), 'events again');
    await s.end();
  });

  test('it ends all the same', async () => {
    const s = start();
    await s.hello();
    s.child.stdout.pause();
    for (let i = 0; i < 100; i++) s.send(call(i, 'big', { bytes: 40000 }));
    await sleep(200);
    assert.equal(s.exit, null);
    s.child.stdin.destroy();
    const began = Date.now();
    assert.equal((await s.exited).status, 0);
    assert.ok(Date.now() - began < 600, `took ${Date.now() - began} ms`);
  });

  test('one that is gone ends it', async () => {
    const s = start();
    await s.hello();
    s.child.stdout.destroy();
    await sleep(20);
    s.send(ping(1));
    assert.equal((await s.exited).status, 0);
    assert.match(s.stderr, /broken pipe/);
  });
});

describe('what stdin and stdout may be', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'mcp-test-'));
  after(() => fs.rmSync(dir, { recursive: true }));

  test('files', async () => {
    const input = path.join(dir, 'in'), output = path.join(dir, 'out');
    fs.writeFileSync(input, `${ping(1)}\n${ping(2)}\n`);
    const s = start({ stdio: [fs.openSync(input, 'r'), fs.openSync(output, 'w'), 'pipe'] });
    assert.deepEqual(await s.exited, { status: 0, signal: null });
    assert.equal(fs.readFileSync(output, 'utf8'), `${pong(1)}\n${pong(2)}\n`);
  });

  test('/dev/null', async () => {
    const s = start({ stdio: ['ignore', 'ignore', 'pipe'] });
    assert.deepEqual(await s.exited, { status: 0, signal: null });
  });

  for (const [name, listen] of [['one UNIX socket for both', () => path.join(dir, 'socket')], ['one TCP socket for both', () => 0]]) {
    test(name, async () => {
      const server = net.createServer().listen(listen());
      await new Promise(r => server.on('listening', r));
      const address = server.address();
      const accepted = new Promise(r => server.on('connection', r));
      const client = net.connect(address.port ? { port: address.port } : { path: address });
      const socket = await accepted;
      const s = start({ stdio: [socket, socket, 'pipe'] });
      let got = '';
      client.setEncoding('utf8').on('data', d => { got += d; });
      client.write(`${ping(1)}\n${ping(2)}\n`);
      await until(() => got === `${pong(1)}\n${pong(2)}\n`, 'both answers');
      client.end();
      assert.deepEqual(await s.exited, { status: 0, signal: null });
      client.destroy();
      socket.destroy();
      server.close();
    });
  }
});
