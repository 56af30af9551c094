// A session for slack-channel: the official MCP client over stdio, with what a session sees of a channel noted.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import fs from 'node:fs'; import os from 'node:os'; import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const BINARY = path.join(process.env.BUILD_DIR ?? path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../build'), 'slack-channel');

export const tempDir = () => fs.mkdtempSync(path.join(os.tmpdir(), 'slack-test-'));
export const until = async (what, ms = 15000, say = what) => {
  for (const end = Date.now() + ms; ;) {
    const v = await what();
    if (v) return v;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${typeof say === 'function' ? say === what ? say.toString() : say() : say}`);
    await new Promise(r => setTimeout(r, 20));
  }
};
// A fake Slack whose waits have patience with a busy machine.
export const patient = slack => {
  for (const [name, at] of [['waitPosted', 1], ['waitUp', 1], ['waitAcked', 1]]) {
    const wait = slack[name].bind(slack);
    slack[name] = (...a) => { a[at] = Math.max(a[at] ?? 0, 15000); if (name === 'waitUp') a[0] ??= 1; return wait(...a); };
  }
  return slack;
};
export const sleep = ms => new Promise(r => setTimeout(r, ms));

// env: added to an environment that has nothing of the caller's. cwd: the project's folder.
export async function startSession({ env = {}, state = tempDir(), cwd = tempDir(), init = true } = {}) {
  const transport = new StdioClientTransport({
    command: BINARY, cwd, stderr: 'pipe',
    env: { PATH: process.env.PATH, HOME: state, SRE_STATE_DIR: path.join(state, 'state'), SRE_CONFIG: path.join(state, 'config.env'), XDG_RUNTIME_DIR: state, SRE_LOG: 'debug', ...env },
  });
  const s = { state, cwd, events: [], verdicts: [], log: '', transport, client: new Client({ name: 'test', version: '1' }) };
  transport.stderr.on('data', d => { s.log += d; });
  s.client.fallbackNotificationHandler = async n => {
    if (n.method === 'notifications/claude/channel') s.events.push({ ...n.params, at: Date.now() });
    if (n.method === 'notifications/claude/channel/permission') s.verdicts.push(n.params);
  };
  s.exited = new Promise(r => { transport.onclose = r; });
  if (init) { await s.client.connect(transport); s.initializedAt = Date.now(); }
  s.pid = transport.pid;
  s.call = (name, args = {}) => s.client.callTool({ name, arguments: args });
  // The text of a call that must succeed, with .data = structuredContent.
  s.ok = async (name, args) => { const r = await s.call(name, args); if (r.isError) throw new Error(`${name}: ${r.content[0].text}`); return r.structuredContent; };
  s.ask = (request_id, tool_name, input_preview, description = '') => s.client.notification({ method: 'notifications/claude/channel/permission_request', params: { request_id, tool_name, description, input_preview } });
  s.waitEvent = (match, ms = 15000) => until(() => s.events.find(e => typeof match === 'function' ? match(e) : match instanceof RegExp ? match.test(e.content) : e.content.includes(match)), ms, () => `event ${match}\n${s.log.slice(-2000)}`);
  s.kill = async (signal = 'SIGKILL') => { process.kill(s.pid, signal); await s.exited; };
  s.stop = async () => { await s.client.close().catch(() => {}); await s.exited; if (/Sanitizer|runtime error/.test(s.log)) throw new Error(s.log.slice(-4000)); };
  return s;
}
