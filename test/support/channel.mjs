// Starts a channel as Claude Code would (the official MCP SDK's client over stdio) and listens to what it pushes.
//
//     const c = await startChannel({ env: { WEBHOOK_TOKEN: 't' } });
//     await c.post(body);                       // to the port that it picked
//     const e = await c.event(e => e.meta.kind === 'alert');
//     await c.call('log_incident', {...});
//     await c.stop();
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const buildDir = process.env.BUILD_DIR ?? path.join(root, 'build');
export const binary = name => path.join(buildDir, name);
export const sleep = ms => new Promise(r => setTimeout(r, ms));

// A test that fails midway must not leave a channel behind: the runner would wait for it.
const started = new Set();
after(() => {
  for (const child of started) child.kill('SIGKILL');
  started.clear();
});

export function tempDir() {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'sre-test-'));
}

// What every channel of a test runs with: nothing of the person's own configuration.
export function environment(state, env = {}) {
  return {
    PATH: process.env.PATH, HOME: state, SRE_CONFIG: path.join(state, 'config.env'), SRE_STATE_DIR: path.join(state, 'state'),
    WEBHOOK_LISTEN: '127.0.0.1:0', ...env,
  };
}

export async function until(f, ms = 5000, what = 'it') {
  for (const end = Date.now() + ms; ;) {
    const v = await f();
    if (v) return v;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await sleep(20);
  }
}

// A port that nobody uses now.
export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise(r => server.once('listening', r));
  const { port } = server.address();
  await new Promise(r => server.close(r));
  return port;
}

export function request(url, { method = 'POST', body, headers = {}, agent } = {}) {
  return new Promise((resolve, reject) => {
    const data = body === undefined ? undefined : Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body);
    const length = data === undefined || headers['transfer-encoding'] ? {} : { 'content-length': Buffer.byteLength(data) };
    const type = data === undefined ? {} : { 'content-type': 'application/json' };
    const q = http.request(url, { method, agent, headers: { ...type, ...length, ...headers } }, s => {
      const parts = [];
      s.on('data', d => parts.push(d));
      s.on('end', () => {
        const text = Buffer.concat(parts).toString();
        let json;
        try { json = JSON.parse(text); } catch { /* not JSON: the test looks at text */ }
        resolve({ status: s.statusCode, headers: s.headers, text, json });
      });
    });
    q.on('error', reject);
    q.end(data);
  });
}

export async function startChannel({ name = 'webhook-channel', state = tempDir(), env = {}, args = [], initialize = true } = {}) {
  const events = [];
  const transport = new StdioClientTransport({ command: binary(name), args, env: environment(state, env), stderr: 'pipe' });
  const client = new Client({ name: 'test', version: '1' });
  client.fallbackNotificationHandler = async n => {
    if (n.method === 'notifications/claude/channel') events.push({ at: Date.now(), ...n.params });
    else others.push(n);
  };
  const others = [];
  let stderr = '';
  transport.stderr.on('data', d => { stderr += d; });
  if (initialize) await client.connect(transport).catch(e => { throw new Error(`${e.message}\n${stderr}`); });
  else await transport.start();
  started.add(transport._process);
  const exited = new Promise(r => transport._process.once('exit', (code, signal) => r({ code, signal, at: Date.now() })));
  const c = {
    client, transport, state, events, others, exited, pid: transport.pid,
    get stderr() { return stderr; },
    get url() { return 'http://' + /listening address=(\S+)/.exec(stderr)[1]; },
    env: environment(state, env),
    listening: () => until(() => /listening address=/.test(stderr), 5000, 'listening'),
    post: (body, o = {}) => request(c.url + (o.path ?? '/'), { body, ...o }),
    call: (tool, arguments_ = {}) => client.callTool({ name: tool, arguments: arguments_ }),
    // the first event that fits, from the `from`th on
    event: (fits = () => true, ms = 5000, from = 0) => until(() => events.slice(from).find(fits), ms, 'an event'),
    kill: signal => process.kill(c.pid, signal),
    stop: async () => { await client.close(); await exited; },
    command: (...words) => command(c.env, ...words),
    export: async () => (await command(c.env, 'export')).stdout.split('\n').filter(Boolean).map(l => JSON.parse(l)),
  };
  if (name === 'webhook-channel') await c.listening();
  return c;
}

// Runs a subcommand to its end.
export const command = (env, ...words) => commandWith('', env, ...words);

// The same with something on its stdin.
export function commandWith(input, env, ...words) {
  return new Promise(resolve => {
    const child = execFile(binary('webhook-channel'), words, { env, maxBuffer: 1 << 30 }, (error, stdout, stderr) =>
      resolve({ status: error ? error.code ?? error.signal : 0, stdout, stderr }));
    child.stdin.on('error', () => {}); // it need not read it
    child.stdin.end(input);
  });
}

// An Alertmanager body of version 4. Labels may be one object or several: an alert each.
export function notification(labels, { status = 'firing', annotations = { summary: 'something is wrong' }, ...rest } = {}) {
  const alerts = [labels].flat().map(l => ({
    status, labels: { alertname: 'HighErrorRate', ...l }, annotations, startsAt: '2026-11-24T03:00:00Z', endsAt: '0001-01-01T00:00:00Z', generatorURL: '',
  }));
  return { receiver: 'sre', status, alerts, groupLabels: {}, commonLabels: {}, commonAnnotations: {}, externalURL: '', version: '4', groupKey: '{}:{}', truncatedAlerts: 0, ...rest };
}

export function which(program) {
  try { return execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim(); } catch { return null; }
}
