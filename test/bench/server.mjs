// One server under measurement: ours or a reference, started as a client would, its stdout drained and counted.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = path.dirname(fileURLToPath(import.meta.url));
export const buildDir = process.env.BUILD_DIR;
export const loadProgram = path.join(buildDir, 'bench_load');
export const sleep = ms => new Promise(r => setTimeout(r, ms));
export const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '1' } } };

const reference = path.join(here, 'reference'), cache = path.join(reference, 'node_modules/.cache');
const bun = path.join(reference, 'node_modules/.bin/bun'), node = process.execPath;
const ours = path.join(buildDir, 'webhook-channel');

// name: command, durable. `start`: measured for start and idle memory only.
export const variants = {
  ours: { command: [ours], ours: true },
  node: { command: [node, path.join(cache, 'channel.mjs')] },
  bun: { command: [bun, path.join(reference, 'channel.ts')] },
  'node-durable': { command: [node, path.join(cache, 'channel.mjs')], durable: true },
  'bun-durable': { command: [bun, path.join(reference, 'channel.ts')], durable: true },
  'node, bundled': { command: [node, path.join(cache, 'bundled.mjs')], start: true },
  'bun, compiled': { command: [path.join(cache, 'bun-compiled')], start: true },
};
export const hooks = { ours: [ours, 'guard'], node: [node, path.join(cache, 'hook.mjs')], bun: [bun, path.join(reference, 'hook.ts')] };

export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    execFile(command, args, { maxBuffer: 1 << 30, ...options }, (error, stdout, stderr) =>
      error ? reject(new Error(`${command} ${args.join(' ')}: ${error.message}\n${stderr}`)) : resolve(stdout));
  });
}

export const post = async (port, connections, alerts, mix, salt, kind, limit) =>
  JSON.parse(await run(loadProgram, ['post', port, connections, alerts, mix, salt, kind, limit].map(String)));

export async function freePort() {
  const s = net.createServer().listen(0, '127.0.0.1');
  await new Promise(r => s.once('listening', r));
  const { port } = s.address();
  await new Promise(r => s.close(r));
  return port;
}

export function environment(v, state, port) {
  return {
    PATH: process.env.PATH, HOME: state,
    ...(v.ours ? { SRE_CONFIG: path.join(state, 'none'), SRE_STATE_DIR: path.join(state, 'state'), WEBHOOK_LISTEN: `127.0.0.1:${port}`, SRE_LOG: 'warn' }
      : { NODE_NO_WARNINGS: '1', WEBHOOK_PORT: String(port), ...(v.durable ? { REFERENCE_DB: path.join(state, 'reference.db') } : {}) }),
  };
}

export class Server {
  static async start(name, { env = {}, keep = false } = {}) {
    const s = new Server();
    s.name = name;
    s.variant = variants[name];
    s.state = fs.mkdtempSync(path.join(os.tmpdir(), 'sre-bench-'));
    s.port = await freePort();
    s.lines = 0; // events: each is a line
    s.bytes = 0;
    s.texts = keep ? [] : undefined;
    s.waiting = new Map();
    s.nextId = 2;
    s.child = spawn(s.variant.command[0], s.variant.command.slice(1), { env: { ...environment(s.variant, s.state, s.port), ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
    s.child.stdout.on('data', d => s.#read(d));
    s.exited = new Promise(r => s.child.once('exit', r));
    const answered = new Promise(r => s.waiting.set(1, r));
    s.send(initialize);
    await answered;
    s.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    for (let tries = 0; !(await s.get('/healthz')); tries++) {
      if (tries > 250) throw new Error(`${name} does not listen`);
      await sleep(20);
    }
    return s;
  }

  // Events are counted, not parsed; an answer ("id" at the end or the beginning of a short line) is looked for only while one is awaited.
  #read(data) {
    this.bytes += data.length;
    if (this.texts) this.texts.push(data);
    if (!this.waiting.size) {
      for (let at = -1; (at = data.indexOf(10, at + 1)) >= 0;) this.lines++;
      this.tail = data[data.length - 1] === 10 ? '' : data.subarray(data.lastIndexOf(10) + 1).toString('latin1').slice(0, 64);
      return;
    }
    let from = 0;
    for (let at; (at = data.indexOf(10, from)) >= 0; from = at + 1) {
      const begin = (this.tail ?? '') + data.subarray(from, Math.min(at, from + 512)).toString('latin1');
      this.tail = '';
      if (/"method":/.test(begin)) { this.lines++; continue; }
      const id = Number(/"id":(\d+)/.exec(begin)?.[1] ?? /"id":(\d+)\}?$/.exec(data.subarray(from, at).toString('latin1'))?.[1]);
      this.waiting.get(id)?.();
      this.waiting.delete(id);
    }
    if (from < data.length) this.tail = ((this.tail ?? '') + data.subarray(from).toString('latin1')).slice(0, 512);
  }

  send(message) { this.child.stdin.write(JSON.stringify(message) + '\n'); }

  async ping() {
    const id = this.nextId++, begun = performance.now();
    const answered = new Promise(r => this.waiting.set(id, r));
    this.send({ jsonrpc: '2.0', id, method: 'ping' });
    await answered;
    return performance.now() - begun;
  }

  get(where) {
    const begun = performance.now();
    return new Promise(resolve => {
      http.get({ host: '127.0.0.1', port: this.port, path: where, agent: false }, r => { r.resume(); r.on('end', () => resolve(performance.now() - begun)); })
        .on('error', () => resolve(0));
    });
  }

  // kB, of /proc/PID/status.
  #status(key) { return Number(new RegExp(`${key}:\\s+(\\d+)`).exec(fs.readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))[1]); }
  get rssMb() { return this.#status('VmRSS') / 1024; }
  get peakMb() { return this.#status('VmHWM') / 1024; }
  resetPeak() { fs.writeFileSync(`/proc/${this.child.pid}/clear_refs`, '5'); }

  // Seconds, of all threads, also those that ended.
  get cpu() {
    const fields = fs.readFileSync(`/proc/${this.child.pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
    return { user: fields[11] / 100, system: fields[12] / 100 };
  }

  async stop() {
    this.child.stdin.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await sleep(50);
    this.child.kill('SIGTERM');
    await this.exited;
    clearTimeout(timer);
  }

  remove() { fs.rmSync(this.state, { recursive: true, force: true }); }
}
