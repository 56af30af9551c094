// slack-channel as an MCP server: its tools, and what it says without a configuration.
import { test, describe, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs'; import path from 'node:path';
import { startSession, BINARY, tempDir } from '../support/slack_session.mjs';

const run = (args, env = {}) => { const home = tempDir(); return spawnSync(BINARY, args, { env: { PATH: process.env.PATH, HOME: home, SRE_CONFIG: path.join(home, 'config.env'), SRE_STATE_DIR: path.join(home, 's'), ...env }, encoding: 'utf8', timeout: 20000 }); };

describe('slack-channel as a program', { concurrency: 4 }, () => {
  const open = [];
  after(async () => { for (const s of open) await s.stop(); });
  const session = async o => { const s = await startSession(o); open.push(s); return s; };

  test('is a channel with permission relay, and lists its tools strictly', async () => {
    const s = await session();
    const caps = s.client.getServerCapabilities();
    assert.ok(caps.experimental['claude/channel']);
    assert.ok(caps.experimental['claude/channel/permission']);
    assert.equal(s.client.getServerVersion().name, 'slack');
    assert.ok(s.client.getInstructions().length < 2048);
    const { tools } = await s.client.listTools();
    assert.deepEqual(tools.map(t => t.name).sort(), ['edit_message', 'escalate', 'list_escalations', 'react', 'read_thread', 'reply', 'resolve_escalation']);
    for (const t of tools) {
      assert.equal(t.inputSchema.additionalProperties, false, t.name);
      assert.ok(t.description.length < 2048);
    }
    assert.deepEqual(tools.filter(t => t._meta?.['anthropic/alwaysLoad']).map(t => t.name).sort(), ['escalate', 'reply']);
  });

  test('without a configuration each call says exactly what is missing', async () => {
    const s = await session();
    const args = { reply: { text: 'x' }, escalate: { title: 't', body: 'b', severity: 'error' }, list_escalations: {}, resolve_escalation: { escalation_id: 1 },
      edit_message: { chat_id: 'D1', message_ts: '1.000001', text: 'x' }, react: { chat_id: 'D1', message_ts: '1.000001', emoji: 'eyes' }, read_thread: { chat_id: 'D1', thread_ts: '1.000001' } };
    for (const [name, a] of Object.entries(args)) {
      const r = await s.call(name, a);
      assert.equal(r.isError, true, name);
      for (const key of ['SLACK_BOT_TOKEN', 'SLACK_APP_TOKEN', 'SLACK_ALLOWED_USERS']) assert.match(r.content[0].text, new RegExp(key), name);
    }
    const half = await session({ env: { SLACK_BOT_TOKEN: 'xoxb-1', SLACK_ALLOWED_USERS: 'U0123456' } });
    const text = (await half.call('reply', { text: 'x' })).content[0].text;
    assert.match(text, /SLACK_APP_TOKEN/);
    assert.doesNotMatch(text, /SLACK_BOT_TOKEN|SLACK_ALLOWED_USERS|xoxb-1/);
  });

  test('a bad argument is a tool error that names it', async () => {
    const s = await session();
    for (const [name, a, word] of [['reply', {}, 'text'], ['reply', { text: 'x', loud: true }, 'loud'], ['escalate', { title: 't', body: 'b', severity: 'bad' }, 'severity'], ['list_escalations', { state: 'x' }, 'state']]) {
      const r = await s.call(name, a);
      assert.equal(r.isError, true);
      assert.match(r.content[0].text, new RegExp(word));
    }
  });

  test('usage, version, bad values', () => {
    assert.equal(run(['--version']).status, 0);
    assert.match(run(['--help']).stdout, /usage/);
    for (const bad of [['nonsense'], ['page'], ['page', '--severity', 'high', 'x'], ['page', 'a', 'b'], ['doctor', '--x']]) assert.equal(run(bad).status, 2, bad.join(' '));
    const r = run([], { SLACK_BOT_TOKEN: 'hunter2-hunter2' });
    assert.equal(r.status, 1);
    assert.match(r.stderr, /SLACK_BOT_TOKEN/);
    assert.doesNotMatch(r.stderr, /hunter2/);
    const p = run(['page', 'hello']);
    assert.equal(p.status, 1);
    assert.match(p.stderr, /SLACK_BOT_TOKEN.*SLACK_APP_TOKEN.*SLACK_ALLOWED_USERS/s);
    const d = run(['doctor', '--json']);
    assert.equal(d.status, 1);
    assert.equal(JSON.parse(d.stdout).ok, false);
    assert.deepEqual(JSON.parse(d.stdout).checks.map(c => c.status), ['failed', 'failed', 'failed']);
  });

  test('loads libcurl when it is needed, and says that it is missing', async () => {
    const idle = await session();
    assert.doesNotMatch(fs.readFileSync(`/proc/${idle.pid}/maps`, 'utf8'), /libcurl/);
    const folder = tempDir();
    fs.writeFileSync(path.join(folder, 'libcurl.so.4'), 'no library');
    const env = { LD_LIBRARY_PATH: folder, SLACK_BOT_TOKEN: 'xoxb-1', SLACK_APP_TOKEN: 'xapp-1', SLACK_ALLOWED_USERS: 'U0123456' };
    const s = await session({ env });
    assert.match((await s.call('reply', { text: 'x' })).content[0].text, /shared library/);
    assert.match(s.log, /level=error msg="libcurl cannot be loaded: install libcurl4" why=.*libcurl\.so\.4/);
    const d = run(['doctor'], env);
    assert.equal(d.status, 1);
    assert.match(d.stdout, /install libcurl4/);
  });

  test('ends with status 0 at the end of stdin and by a signal', async () => {
    const home = tempDir(), r = spawnSync(BINARY, [], { input: '', env: { HOME: home, SRE_STATE_DIR: path.join(home, 's'), SRE_CONFIG: path.join(home, 'c') }, timeout: 5000 });
    assert.equal(r.status, 0);
    assert.equal(r.stdout.length, 0);
    const s = await startSession();
    await s.kill('SIGTERM');
    assert.equal(fs.statSync(path.join(s.state, 'state')).mode & 0o777, 0o700);
  });
});
