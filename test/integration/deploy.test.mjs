// deploy/install and deploy/uninstall below a folder, the units, the supervised terminal and the session's start.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { root, buildDir, startChannel, notification, sleep, tempDir, until, which } from '../support/channel.mjs';

const script = name => path.join(root, 'deploy', name);
const isRoot = process.getuid() === 0;
const skip = !isRoot ? 'needs root' : buildDir !== path.join(root, 'build') ? 'installs build/' : !which('systemd-sysusers') ? 'needs systemd' : false;
const skipTmux = which('tmux') && which('jq') ? false : 'needs tmux and jq';

describe('install', { skip }, () => {
  const to = tempDir(), at = f => path.join(to, f);
  const HOME = 'var/lib/sre-channels', CONFIG = `${HOME}/.config/sre-channels/config.env`, PROGRAM = 'opt/sre-channels';
  const run = (name, ...args) => {
    const r = spawnSync(script(name), ['--root', to, ...args], { encoding: 'utf8' });
    assert.equal(r.status, 0, r.stderr);
    return r.stderr;
  };
  const mode = f => (fs.statSync(at(f)).mode & 0o7777).toString(8);
  const listing = () => execFileSync('find', [to, '-type', 'f', '-printf', '%P %m %U %T@\\n'], { encoding: 'utf8' }).split('\n').filter(l => !/^etc\/(\.pwd|passwd|group|g?shadow)|incidents\.db/.test(l)).sort();
  const read = f => fs.readFileSync(at(f), 'utf8');
  before(() => run('install', '--no-build'));
  after(() => fs.rmSync(to, { recursive: true }));

  test('the configuration is the user\'s alone and has a token', () => {
    assert.equal(mode(CONFIG), '600');
    assert.equal(mode(HOME), '700');
    assert.match(read(CONFIG), /^WEBHOOK_TOKEN=[0-9a-f]{64}$/m);
    const uid = Number(/^sre-channels:[^:]*:(\d+):/m.exec(read('etc/passwd'))[1]);
    assert.notEqual(uid, 0);
    assert.equal(fs.statSync(at(CONFIG)).uid, uid);
    assert.equal(fs.statSync(at(`${HOME}/.local/state/sre-channels`)).uid, uid);
    const r = spawnSync(at(`${PROGRAM}/build/webhook-channel`), ['doctor'], { encoding: 'utf8', env: { HOME: at(HOME) } });
    assert.doesNotMatch(r.stdout + r.stderr, /unknown|invalid|^fail/m);
    assert.match(r.stdout, /^ok +token +set$/m);
  });

  test('the program is root\'s and complete', () => {
    const owners = execFileSync('find', [at(PROGRAM), '-printf', '%U %m\\n'], { encoding: 'utf8' }).trim().split('\n');
    assert.deepEqual([...new Set(owners)].sort(), ['0 644', '0 755']);
    for (const f of ['build/webhook-channel', 'build/slack-channel', 'CLAUDE.md', '.mcp.json', '.claude/settings.json', 'deploy/session', 'deploy/plugin/.claude-plugin/marketplace.json'])
      assert.ok(fs.existsSync(at(`${PROGRAM}/${f}`)), f);
    assert.equal(fs.readdirSync(at(`${PROGRAM}/playbooks`)).length, fs.readdirSync(path.join(root, 'playbooks')).length);
  });

  test('the units are enabled', () => {
    const wants = fs.readdirSync(at('etc/systemd/system/multi-user.target.wants'));
    assert.ok(wants.includes('sre-channels-session.service') && wants.includes('sre-channels-standby@webhook.service'));
    const standsBy = /standby/.test(spawnSync(path.join(buildDir, 'slack-channel'), ['--help'], { encoding: 'utf8' }).stdout);
    assert.equal(wants.includes('sre-channels-standby@slack.service'), standsBy);
    assert.deepEqual(fs.readdirSync(at('etc/systemd/system/timers.target.wants')), ['sre-channels-restart.timer']);
  });

  test('a second time changes nothing', () => {
    const was = listing();
    run('install', '--no-build');
    assert.deepEqual(listing(), was);
  });

  test('what was changed here is kept, what was not is upgraded', () => {
    const book = `${PROGRAM}/playbooks/oom-killed.md`, manifest = `${PROGRAM}/.installed`;
    fs.appendFileSync(at(book), '\nours\n');
    fs.appendFileSync(at(CONFIG), 'SRE_DEV_CLUSTERS=*-test\n');
    // an older version: another content, and a file that is no longer shipped
    const sum = f => execFileSync('sha256sum', [at(f)], { encoding: 'utf8' }).slice(0, 64);
    for (const f of ['CLAUDE.md', 'playbooks/gone.md']) fs.writeFileSync(at(`${PROGRAM}/${f}`), 'old\n');
    fs.writeFileSync(at(manifest), read(manifest).replace(/.*  CLAUDE\.md\n/, '') + ['CLAUDE.md', 'playbooks/gone.md'].map(f => `${sum(`${PROGRAM}/${f}`)}  ${f}\n`).join(''));
    const said = run('install', '--no-build');
    assert.match(said, /kept: \/opt\/sre-channels\/playbooks\/oom-killed\.md/);
    assert.match(read(book), /ours/);
    assert.match(read(CONFIG), /SRE_DEV_CLUSTERS=\*-test/);
    assert.equal(read(`${PROGRAM}/CLAUDE.md`), fs.readFileSync(path.join(root, 'CLAUDE.md'), 'utf8'));
    assert.ok(!fs.existsSync(at(`${PROGRAM}/playbooks/gone.md`)));
  });

  test('without managed settings, and elsewhere', () => {
    const settings = 'etc/claude-code/managed-settings.d/50-sre-channels.json';
    assert.deepEqual(JSON.parse(read(settings)), JSON.parse(fs.readFileSync(script('managed-settings.json'), 'utf8')));
    run('install', '--no-build', '--no-managed', '--prefix', '/srv/sre');
    assert.ok(!fs.existsSync(at(settings)));
    assert.match(read('etc/systemd/system/sre-channels-session.service'), /^ExecStart=\/srv\/sre\/deploy\/session$/m);
    run('uninstall', '--prefix', '/srv/sre');
    assert.ok(!fs.existsSync(at('srv/sre')));
    run('install', '--no-build');
  });

  test('uninstall leaves the data, and may run twice', () => {
    const database = `${HOME}/.local/state/sre-channels/incidents.db`;
    fs.writeFileSync(at(database), 'data');
    for (let i = 0; i < 2; i++) {
      run('uninstall');
      assert.deepEqual(listing().map(l => l.split(' ')[0]).filter(Boolean), ['etc/sre-channels/session.env', `${PROGRAM}/playbooks/oom-killed.md`, CONFIG].sort());
      assert.equal(read(database), 'data');
    }
    assert.deepEqual(fs.readdirSync(at('etc/systemd/system')).flatMap(d => fs.readdirSync(at(`etc/systemd/system/${d}`))), []);
    run('install', '--no-build');
    assert.match(read(CONFIG), /SRE_DEV_CLUSTERS=\*-test/);
  });
});

test('the units verify', { skip: !isRoot ? 'needs root' : which('systemd-analyze') && which('unshare') ? false : 'needs systemd' }, () => {
  // the program where the units expect it, for this command only
  const units = fs.readdirSync(script('systemd')).filter(f => /\.(service|timer)$/.test(f)).map(f => f.replace('@.', '@webhook.'));
  const dir = tempDir();
  for (const u of units) fs.copyFileSync(path.join(script('systemd'), u.replace('@webhook', '@')), path.join(dir, u.replace('@webhook', '@')));
  const r = spawnSync('unshare', ['-m', 'bash', '-c', 'mount -t tmpfs none /opt && ln -s "$0" /opt/sre-channels && for u; do systemd-analyze verify --man=no "$u" || exit 1; done', root, ...units.map(u => path.join(dir, u))], { encoding: 'utf8' });
  assert.equal(r.status, 0, r.stdout + r.stderr);
  assert.equal(r.stdout + r.stderr, '');
});

test('the units are hardened', { skip: which('systemd-analyze') ? false : 'needs systemd' }, () => {
  for (const [unit, most] of [['sre-channels-standby@.service', 1.5], ['sre-channels-session.service', 2.5]]) {
    const r = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', path.join(script('systemd'), unit)], { encoding: 'utf8' });
    const score = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(r.stdout)?.[1]);
    assert.ok(score <= most, `${unit}: ${score}`);
  }
});

describe('terminal', { skip: skipTmux, concurrency: 4 }, () => {
  const PROMPT = "printf '%s\\n' a ──── '❯ ' ────";
  const DIALOG = "printf '%s\\n' ' WARNING: Loading development channels' ' Channels: server:webhook' ' ❯ 1. I am using this for local development' '   2. Exit'";
  const FLAG = ['--dangerously-load-development-channels', 'server:webhook'];
  function terminal(shell, args = []) {
    const dir = tempDir();
    const p = spawn(script('terminal'), ['bash', '-c', shell, 'bash', ...args], { cwd: dir, env: { PATH: process.env.PATH, HOME: dir, LANG: 'C.UTF-8', XDG_RUNTIME_DIR: dir, TERMINAL_STILL_SECONDS: '2', TERMINAL_START_SECONDS: '6' } });
    const t = { err: '', dir, kill: s => p.kill(s), exit: new Promise(r => p.on('close', r)) };
    p.stderr.on('data', d => { t.err += d; });
    return t;
  }

  test('lives as long as the command', async () => {
    const t = terminal(`${PROMPT}; sleep 1; echo the end`);
    assert.equal(await t.exit, 0);
    assert.match(t.err, /^the session is up\nthe session has ended; its last screen:\n[^]*the end/);
  });
  test('a stop lets the command end by itself', async () => {
    const t = terminal(`trap 'touch ended; exit' TERM; ${PROMPT}; while :; do sleep 0.1; done`);
    await until(() => /is up/.test(t.err));
    t.kill('SIGTERM');
    assert.equal(await t.exit, 0);
    assert.ok(fs.existsSync(path.join(t.dir, 'ended')));
    assert.ok(!fs.existsSync(path.join(t.dir, 'tmux')) || spawnSync('tmux', ['-S', path.join(t.dir, 'tmux'), 'has-session']).status !== 0);
  });
  test('a command that fails at once', async () => {
    const t = terminal('echo no such thing; sleep 0.3; exit 7');
    assert.equal(await t.exit, 1);
    assert.match(t.err, /before its prompt came up[^]*no such thing/);
  });
  test('the known dialog is answered, once', async () => {
    const t = terminal(`${DIALOG}; read -r; echo one >>answers; clear; ${PROMPT}; read -r -t 2 && echo two >>answers`, FLAG);
    assert.equal(await t.exit, 0);
    assert.equal(fs.readFileSync(path.join(t.dir, 'answers'), 'utf8'), 'one\n');
  });
  for (const [what, shell, args] of [
    ['with channels that were not asked for', DIALOG.replace('server:webhook', 'server:webhook, server:other'), FLAG],
    ['that was not to come', DIALOG, []],
    ['with a third choice', `${DIALOG}; echo '   3. Always'`, FLAG],
    ['with another choice marked', DIALOG.replace('❯ 1.', '1.').replace('  2.', '❯ 2.'), FLAG],
    ['that is another one', "echo 'Do you trust this folder?'; echo ' ❯ 1. Yes'", FLAG],
    ['that never stands still', 'while :; do echo $((n++)); sleep 0.3; done', FLAG],
  ]) {
    test(`a dialog ${what} is not`, async () => {
      const t = terminal(`${shell}; read -r && touch answered; sleep 20`, args);
      assert.equal(await t.exit, 3);
      assert.match(t.err, /waits for a person/);
      assert.ok(!fs.existsSync(path.join(t.dir, 'answered')));
    });
  }
  test('a second one does not end the first', async () => {
    const a = terminal(`${PROMPT}; sleep 4`);
    await until(() => /is up/.test(a.err));
    const r = spawnSync(script('terminal'), ['true'], { encoding: 'utf8', env: { PATH: process.env.PATH, XDG_RUNTIME_DIR: a.dir } });
    assert.equal(r.status, 1);
    assert.equal(await a.exit, 0);
    assert.match(a.err, /the session has ended/);
  });
});

describe('session', { skip: skipTmux }, () => {
  // claude: notes how it was called, shows the prompt, ends.
  function home({ managed } = {}) {
    const dir = tempDir(), bin = path.join(dir, 'bin');
    fs.mkdirSync(bin);
    fs.writeFileSync(path.join(bin, 'claude'), `#!/bin/bash\necho "$*" >>'${dir}/calls'\nprintf '%s\\n' a ──── '❯ ' ────\nsleep 1\n`, { mode: 0o755 });
    if (managed) {
      fs.mkdirSync(path.join(dir, 'managed-settings.d'));
      fs.copyFileSync(script('managed-settings.json'), path.join(dir, 'managed-settings.d/50.json'));
    }
    return dir;
  }
  const env = (dir, more) => ({ PATH: `${path.join(dir, 'bin')}:${process.env.PATH}`, HOME: dir, LANG: 'C.UTF-8', XDG_RUNTIME_DIR: dir, MANAGED_SETTINGS: dir, ANTHROPIC_API_KEY: 'sk-ant-0123456789abcdefghij0123456789', ...more });
  const session = (dir, more) => spawnSync(script('session'), [], { encoding: 'utf8', env: env(dir, more) });
  const calls = dir => fs.readFileSync(path.join(dir, 'calls'), 'utf8').trim().split('\n');

  test('without managed settings: development channels, Slack\'s when it is configured', () => {
    const dir = home();
    assert.equal(session(dir).status, 0);
    fs.writeFileSync(path.join(dir, 'config'), 'SLACK_BOT_TOKEN=xoxb-1\n', { mode: 0o600 });
    fs.rmSync(path.join(dir, 'session-starts'));
    assert.equal(session(dir, { SRE_CONFIG: path.join(dir, 'config') }).status, 0);
    assert.deepEqual(calls(dir), ['', ' server:slack'].map(s => `--permission-mode default --dangerously-load-development-channels server:webhook${s}`));
    const state = JSON.parse(fs.readFileSync(path.join(dir, '.claude.json'), 'utf8'));
    assert.equal(state.projects[root].hasTrustDialogAccepted, true);
    assert.deepEqual(state.customApiKeyResponses.approved, ['abcdefghij0123456789'.slice(-20)]);
  });
  test('with managed settings: the plugin, installed first; what Claude Code knows is kept', () => {
    const dir = home({ managed: true });
    fs.writeFileSync(path.join(dir, '.claude.json'), JSON.stringify({ userID: 'u', projects: { '/other': { a: 1 }, [root]: { lastCost: 2 } } }));
    assert.equal(session(dir).status, 0);
    assert.deepEqual(calls(dir), ['plugin marketplace remove sre-channels', `plugin marketplace add ${root}/deploy/plugin`, 'plugin install sre-channels@sre-channels', '--permission-mode default --channels plugin:sre-channels@sre-channels']);
    const state = JSON.parse(fs.readFileSync(path.join(dir, '.claude.json'), 'utf8'));
    assert.equal(state.userID, 'u');
    assert.deepEqual(state.projects['/other'], { a: 1 });
    assert.equal(state.projects[root].lastCost, 2);
  });
  test('says what is missing', () => {
    const dir = home();
    let r = session(dir, { ANTHROPIC_API_KEY: '' });
    assert.equal(r.status, 1);
    assert.match(r.stderr, /not signed in/);
    fs.rmSync(path.join(dir, 'session-starts'));
    fs.rmSync(path.join(dir, 'bin/claude'));
    r = session(dir, { PATH: '/usr/bin:/bin' });
    assert.equal(r.status, 1);
    assert.match(r.stderr, /not installed/);
  });
  test('backs off while starts follow each other', async () => {
    const dir = home(), starts = path.join(dir, 'session-starts');
    const waits = async before => {
      if (before) fs.writeFileSync(starts, before);
      const p = spawn(script('session'), [], { detached: true, env: env(dir, { ANTHROPIC_API_KEY: '' }) });
      let err = '';
      p.stderr.on('data', d => { err += d; });
      await until(() => /waits|signed in/.test(err));
      try { process.kill(-p.pid); } catch { /* it has ended */ }
      return /waits (\d+) s/.exec(err)?.[1];
    };
    const now = Math.floor(Date.now() / 1000);
    assert.equal(await waits(), undefined);
    assert.equal(await waits(), '5');
    assert.equal(await waits(`4 ${now}`), '40');
    assert.equal(await waits(`30 ${now}`), '300');
    assert.equal(await waits(`30 ${now - 601}`), undefined);
  });
  test('wait: as long as an investigation runs, but not for ever', { skip: buildDir !== path.join(root, 'build') ? 'runs build/' : false }, async () => {
    const c = await startChannel();
    const wait = async seconds => {
      const p = spawn(script('session'), ['wait', String(seconds)], { env: c.env }), at = Date.now();
      let err = '';
      p.stderr.on('data', d => { err += d; });
      assert.equal(await new Promise(r => p.on('close', r)), 0);
      return { ms: Date.now() - at, err };
    };
    const { json } = await c.post(notification({ severity: 'critical' }));
    assert.ok((await wait(60)).ms < 1500, 'one that nobody took does not count');
    await c.event();
    await c.call('get_incident', { incident_id: json.incidents[0] });
    assert.match((await wait(3)).err, /still runs/);
    const waiting = wait(60);
    await sleep(1000);
    await c.call('log_incident', { incident_ids: json.incidents, verdict: 'noise', summary: 'nothing' });
    const { ms, err } = await waiting;
    assert.ok(ms >= 1000 && ms < 5000, `${ms} ms`);
    assert.equal(err, '');
    await c.stop();
  });
});
