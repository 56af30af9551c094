// The processes of a soak. Each role is kept alive: whoever is killed comes back. Sessions behave as an agent would.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { binary, sleep } from '../support/channel.mjs';

const pick = list => list[Math.floor(Math.random() * list.length)];
const VERDICTS = ['noise', 'noise', 'noise', 'noise', 'auto_fixed', 'escalated', 'real', 'unsure'];

export class Role {
  // events(n): every channel event; session: an MCP client, else the standby subcommand.
  constructor(name, { program, session, env, dir, onEvent }) {
    Object.assign(this, { name, program, session, env, dir, onEvent, starts: 0, kills: 0, crashes: [] });
  }

  async start() {
    this.starts++;
    const log = fs.openSync(path.join(this.dir, `${this.name}.log`), 'a');
    let child, client;
    if (this.session) {
      const transport = new StdioClientTransport({ command: binary(this.program), cwd: this.dir, env: this.env, stderr: log });
      client = new Client({ name: 'soak', version: '1' });
      client.fallbackNotificationHandler = async n => this.onEvent?.(n, this);
      const connected = client.connect(transport);
      connected.catch(() => {}); // killed before it answered
      child = transport._process;
      await connected.catch(() => { client = null; });
    } else {
      child = spawn(binary(this.program), ['standby'], { cwd: this.dir, env: this.env, stdio: ['ignore', 'ignore', log] });
    }
    fs.closeSync(log);
    this.child = child;
    this.client = client;
    const gone = (code, signal) => {
      if (this.child !== child) return;
      this.client = null;
      if (!this.ending && !this.killed) this.crashes.push(`${this.name}: exit ${code} ${signal ?? ''}`);
      this.killed = false;
      if (!this.ending) setTimeout(() => this.start(), 50 + Math.random() * 1500);
    };
    if (child.exitCode !== null || child.signalCode) gone(child.exitCode, child.signalCode);
    else child.once('exit', gone);
  }

  kill() {
    if (!this.child || this.child.exitCode !== null || this.child.signalCode) return;
    this.killed = true;
    this.kills++;
    this.child.kill('SIGKILL');
  }

  // What the tool answered; null if it could not be called, was refused, or nobody answered.
  async call(name, args = {}) {
    const client = this.client;
    if (!client) return null;
    try {
      const r = await Promise.race([client.callTool({ name, arguments: args }), sleep(15000)]);
      return r && !r.isError ? r.structuredContent : null;
    } catch { return null; }
  }

  async end() {
    this.ending = true;
    if (!this.child || this.child.exitCode !== null || this.child.signalCode) return 0;
    const code = new Promise(r => this.child.once('exit', (c, s) => r(c ?? s)));
    if (this.client) await this.client.close().catch(() => {}); else this.child.kill('SIGTERM');
    return await Promise.race([code, sleep(8000).then(() => 'still there')]);
  }

  // RSS, PSS and what is private in kB, open files, sockets among them.
  sample() {
    try {
      const rollup = fs.readFileSync(`/proc/${this.child.pid}/smaps_rollup`, 'utf8'), kb = k => Number(new RegExp(`^${k}:\\s+(\\d+)`, 'm').exec(rollup)[1]);
      const links = fs.readdirSync(`/proc/${this.child.pid}/fd`).map(f => { try { return fs.readlinkSync(`/proc/${this.child.pid}/fd/${f}`); } catch { return ''; } }).filter(Boolean);
      return { pid: this.child.pid, rss: kb('Rss'), pss: kb('Pss'), own: kb('Private_Dirty'), sockets: links.filter(l => l.startsWith('socket:')).length, files: links.filter(l => !l.startsWith('socket:')).length };
    } catch { return null; }
  }
}

// What an agent does with an event of the webhook channel: looks, and decides most of the time.
export async function judge(n, role) {
  if (n.method !== 'notifications/claude/channel') return;
  const { meta } = n.params;
  await sleep(Math.random() * 3000);
  if (meta.kind === 'alert' && Math.random() < 0.8) {
    const id = Number(meta.incident_id);
    await role.call('check_history', { incident_id: id });
    if (Math.random() < 0.3) await role.call('get_incident', { incident_id: id });
    await role.call('log_incident', { incident_ids: [id], verdict: pick(VERDICTS), summary: 'soak', action: 'none' });
  } else if (meta.kind === 'digest') {
    const list = await role.call('list_incidents', { limit: 50 });
    const ids = (list?.incidents ?? []).map(i => i.incident_id).filter(() => Math.random() < 0.9);
    if (ids.length) await role.call('log_incident', { incident_ids: ids, verdict: pick(VERDICTS), summary: 'soak, of a digest' });
    if (Math.random() < 0.2) await role.call('briefing');
  }
}
