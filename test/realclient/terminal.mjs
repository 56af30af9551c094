// What the session's unit runs, with the real client: with managed settings no key is pressed; without them the
// supervised terminal answers the one dialog that it knows; at any other it stops.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

export const limit_s = 200;

export default async function (t) {
  const claude = process.argv[2], dummyKey = ['sk', 'ant', 'dummy-key-for-loopback-only'].join('-');
  const root = path.join(t.home, 'root'), project = path.join(root, 'opt/sre-channels'), bin = path.join(t.home, 'bin');
  fs.mkdirSync(root);
  execFileSync(path.join(t.dir, 'deploy/install'), ['--no-build', '--root', root], { stdio: 'inherit' });
  fs.mkdirSync(bin);
  fs.writeFileSync(path.join(bin, 'claude'), `#!/bin/sh\nexec ${claude} "$@"\n`, { mode: 0o755 });

  // One start of a script of deploy/, in a home and a runtime folder of its own.
  function run(name, port, command, { seed = {}, env = {} } = {}) {
    const home = path.join(t.home, name), runtime = path.join(home, 'run');
    fs.mkdirSync(runtime, { recursive: true });
    // what a signed-in user's client has cached once channels are available to them
    fs.writeFileSync(path.join(home, '.claude.json'), JSON.stringify({ autoUpdates: false, cachedGrowthBookFeatures: { tengu_harbor: true, tengu_harbor_permissions: true }, ...seed }));
    const p = spawn(command[0], command.slice(1), { cwd: project, stdio: ['ignore', 'pipe', 'pipe'], env: {
      PATH: `${bin}:${process.env.PATH}`, HOME: home, XDG_RUNTIME_DIR: runtime, LANG: 'C.UTF-8', IS_SANDBOX: '1', DISABLE_AUTOUPDATER: '1', ANTHROPIC_BASE_URL: 'http://127.0.0.1:9555',
      ANTHROPIC_API_KEY: dummyKey, SRE_STATE_DIR: path.join(home, 'state'), SRE_CONFIG: path.join(home, 'none'), WEBHOOK_LISTEN: `127.0.0.1:${port}`, ...env } });
    const s = { err: '', status: null, home, kill: () => p.kill('SIGTERM'), ended: new Promise(r => p.on('exit', code => { s.status = code; r(code); })) };
    p.stdout.on('data', d => { s.err += d; });
    p.stderr.on('data', d => { s.err += d; });
    s.is_up = () => t.until(() => /the session is up/.test(s.err) || s.status !== null, 45000);
    s.alert = async name => {
      const body = JSON.stringify({ version: '4', status: 'firing', receiver: 'r', alerts: [{ status: 'firing', labels: { alertname: name, severity: 'critical' }, annotations: { summary: 's' }, startsAt: '2026-11-24T03:00:00Z' }] });
      const r = await t.http('POST', `http://127.0.0.1:${port}/`, body, { 'content-type': 'application/json' }).catch(e => ({ status: e.code }));
      t.ok(r.status === 200, `${name}: the POST is accepted (${r.status})`);
      t.ok(await t.turn(new RegExp(`<channel source="[^"]*"[^>]*${name}`)), `${name}: the event reaches the model`);
    };
    s.pidOfClaude = () => execFileSync('tmux', ['-S', path.join(runtime, 'tmux'), 'display-message', '-p', '#{pane_pid}'], { encoding: 'utf8' }).trim();
    s.stop = async () => {
      const pid = s.pidOfClaude();
      s.kill();
      await s.ended;
      t.ok(s.status === 0 && !fs.existsSync(`/proc/${pid}`) && !/did not end in time/.test(s.err), `a stop ends Claude Code (${s.status})`);
    };
    return s;
  }

  // Without managed settings.
  let s = run('dialog', 18793, ['deploy/session'], { env: { MANAGED_SETTINGS: '/nowhere' } });
  await s.is_up();
  t.ok(/answered the confirmation of development channels: server:webhook\n/.test(s.err), 'the development dialog is answered');
  t.ok(/the session is up/.test(s.err), `the prompt comes up by itself: ${s.err.slice(-600)}`);
  await s.alert('DialogAlert');
  await s.stop();

  // With them, in a /etc of its own.
  const etc = path.join(t.home, 'etc');
  execFileSync('cp', ['-a', '/etc', etc]);
  execFileSync('cp', ['-a', path.join(root, 'etc/claude-code'), etc]);
  s = run('managed', 18794, ['unshare', '-m', 'bash', '-c', `mount --bind ${etc} /etc && exec deploy/session`]);
  await s.is_up();
  t.ok(/the session is up/.test(s.err) && !/answered/.test(s.err), `managed settings: the prompt comes up, no key is pressed: ${s.err.slice(-600)}`);
  await s.alert('ManagedAlert');
  await s.stop();

  // A folder that nobody trusts yet: a dialog that is not ours to answer.
  s = run('unknown', 18795, ['deploy/terminal', 'claude', '--permission-mode', 'default', '--dangerously-load-development-channels', 'server:webhook'],
    { seed: { hasCompletedOnboarding: true, theme: 'dark', customApiKeyResponses: { approved: [dummyKey.slice(-20)], rejected: [] } }, env: { TERMINAL_STILL_SECONDS: '5' } });
  await t.until(() => s.status !== null, 30000);
  t.ok(s.status === 3, `an unknown dialog stops it (${s.status})`);
  t.ok(/waits for a person[^]*trust/i.test(s.err), `the log shows the dialog: ${s.err.slice(0, 700)}`);
  t.ok(!/hasTrustDialogAccepted":\s*true/.test(fs.readFileSync(path.join(s.home, '.claude.json'), 'utf8')), 'and nothing was answered');
}
