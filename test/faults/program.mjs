// A program under test with shim.c in it, and the ways to talk with it.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export const BUILD = process.env.BUILD_DIR, SHIM = path.join(BUILD, 'libfaults.so');
export const PATIENCE = 15000; // ms, for a machine that is busy
const base = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
export const scratch = fs.mkdtempSync(path.join(base, 'sre-faults-'));
process.on('exit', () => fs.rmSync(scratch, { recursive: true, force: true }));
for (const s of ['SIGINT', 'SIGTERM']) process.on(s, () => process.exit(130));

export const environment = state => ({
  PATH: process.env.PATH, HOME: state, SRE_CONFIG: path.join(state, 'config.env'), SRE_STATE_DIR: path.join(state, 'state'), WEBHOOK_LISTEN: '127.0.0.1:0',
});
export const late = (ms, what) => new Promise((_, no) => setTimeout(() => no(new Error(`no ${what} within ${ms} ms`)), ms).unref());

// fault: { kind, at (the n-th call), stack (the first call that came this way), stacks (the file that gets the ways) }, or null.
// report: [calls, failed].
export function start(program, args, state, fault, more = {}) {
  const report = path.join(state, 'report');
  fs.writeFileSync(report, Buffer.alloc(16));
  const env = { ...environment(state), ...more, ...(fault && { LD_PRELOAD: SHIM, FAULT_KIND: fault.kind, FAULT_AT: String(fault.at ?? 0), FAULT_REPORT: report }),
    ...(fault?.stack && { FAULT_STACK: fault.stack }), ...(fault?.stacks && { FAULT_STACKS: fault.stacks }), ...(process.env.FAULT_TRACE && { FAULT_TRACE: '1' }) };
  const child = spawn(path.join(BUILD, program), args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const p = { child, log: '', lines: [], waiting: new Map(), ended: null };
  let rest = '', wake = () => {};
  child.stdin.on('error', () => {});
  child.stderr.on('data', d => { p.log += d; wake(); });
  child.stdout.on('data', d => {
    const parts = (rest + d).split('\n');
    rest = parts.pop();
    for (const line of parts) {
      const m = JSON.parse(line);
      p.lines.push(m);
      p.waiting.get(m.id)?.(m);
    }
    wake();
  });
  p.exited = new Promise(r => child.once('close', (code, signal) => { p.ended = { code, signal }; wake(); r(p.ended); }));
  p.report = () => { const b = fs.readFileSync(report); return { calls: Number(b.readBigUInt64LE(0)), failed: Number(b.readBigUInt64LE(8)) }; };
  p.say = m => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...m })}\n`);
  // The answer to a request; null when the program ended instead.
  p.ask = (id, method, params) => Promise.race([
    new Promise(r => { p.waiting.set(id, r); p.say({ id, method, params }); }), p.exited.then(() => null), late(PATIENCE, `answer to ${method}`)]);
  p.until = async (what, say, ms = PATIENCE) => {
    const limit = Date.now() + ms;
    while (!what() && !p.ended) {
      if (Date.now() > limit) throw new Error(`no ${say} within ${ms} ms`);
      await Promise.race([new Promise(r => { wake = r; }), new Promise(r => setTimeout(r, 200))]);
    }
    return what();
  };
  // Ends it as a session does. True when it gave up by itself.
  p.end = async () => {
    child.stdin.end();
    const end = await Promise.race([p.exited, late(PATIENCE, 'end')]);
    if (end.signal) throw new Error(`crashed: ${end.signal}`);
    if (/Sanitizer|runtime error/.test(p.log)) throw new Error('sanitizer');
    return end.code !== 0;
  };
  p.fail = async e => {
    child.kill('SIGKILL');
    await p.exited;
    throw new Error(`${e.message}\n${p.log.split('\n').slice(-30).join('\n')}`);
  };
  return p;
}

const started = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'f', version: '1' } };
export const initialize = p => p.ask(1, 'initialize', started).then(answer => { if (answer) p.say({ method: 'notifications/initialized' }); });
export const call = (p, id, name, args = {}) => p.ask(id, 'tools/call', { name, arguments: args }).then(a => a?.result);
