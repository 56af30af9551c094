// `webhook-channel doctor`: each check, with nothing wrong and with what it is there for. The installation is a folder of the test's own; the
// programs around it (claude, kubectl, systemctl, timedatectl) are scripts that say what the test wants.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { after, describe } from 'node:test';
import { binary, freePort, root, sleep, startChannel, tempDir } from '../support/channel.mjs';
import { sql } from '../support/memory.mjs';

const TOKEN = '0123456789abcdef0123456789abcdef';
const UNITS = ['standby@webhook.service', 'standby@slack.service', 'session.service', 'restart.timer'];

// What is right, as files and programs; a test changes one thing.
async function installation() {
  const home = tempDir(), project = path.join(home, 'opt'), bin = path.join(home, 'bin'), state = path.join(home, 'state');
  const config = path.join(home, 'config.env'), port = await freePort();
  fs.mkdirSync(path.join(project, 'build'), { recursive: true });
  fs.mkdirSync(bin);
  fs.copyFileSync(binary('webhook-channel'), path.join(project, 'build', 'webhook-channel'));
  for (const dir of ['.claude', 'playbooks', 'deploy/plugin']) fs.cpSync(path.join(root, dir), path.join(project, dir), { recursive: true });
  fs.writeFileSync(config, `WEBHOOK_TOKEN=${TOKEN}\nWEBHOOK_LISTEN=127.0.0.1:${port}\nSLACK_BOT_TOKEN=xoxb-1\nSLACK_APP_TOKEN=xapp-1\nSLACK_ALLOWED_USERS=U012AB3CD\n`, { mode: 0o600 });
  const i = { home, project, bin, state, config, port };
  i.env = { PATH: `${bin}:/usr/bin:/bin`, HOME: home, SRE_CONFIG: config, SRE_STATE_DIR: state, MANAGED_SETTINGS: path.join(home, 'managed') };
  i.program = (name, script) => fs.writeFileSync(path.join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  i.program('claude', 'echo "2.1.330 (Claude Code)"');
  i.program('kubectl', 'case "$*" in *get-contexts*) echo prod-eu; echo dev-eu;; *) echo ok;; esac');
  i.program('systemctl', 'printf "LoadState=loaded\\nActiveState=active\\nUnitFileState=enabled\\n"');
  i.program('timedatectl', 'echo yes');
  i.doctor = (...args) => new Promise(resolve => execFile(path.join(project, 'build', 'webhook-channel'), ['doctor', ...args], { env: i.env, encoding: 'utf8', maxBuffer: 1 << 22 },
    (e, stdout, stderr) => resolve({ status: e ? e.code : 0, stdout, stderr })));
  // [result, found, mend] of each line of that name.
  i.check = async name => {
    const r = await i.doctor('--json');
    const { checks, ok } = JSON.parse(r.stdout);
    assert.equal(ok, r.status === 0);
    assert.equal(ok, checks.every(c => c.result !== 'fail'));
    for (const c of checks) assert.equal(c.mend === null, c.result === 'ok', JSON.stringify(c));
    return checks.filter(c => c.check === name).map(c => [c.result, c.found, c.mend]);
  };
  execFileSync(path.join(project, 'build', 'webhook-channel'), ['incidents'], { env: i.env });
  i.sql = text => sql(home, text);
  all.push(home);
  return i;
}

const all = [];
after(() => { for (const home of all) fs.rmSync(home, { recursive: true, force: true }); });

const one = (found, result, words, mend) => {
  assert.equal(found.length, 1, JSON.stringify(found));
  assert.deepEqual([found[0][0], words.test(found[0][1]), mend.test(found[0][2] ?? '')], [result, true, true], JSON.stringify(found[0]));
};

// A session that attached `ago` ms ago and has ended.
const session = (i, ago) => i.sql(`INSERT INTO lease VALUES('webhook', 999999, 1, 'x', 1, ${Date.now() - ago})`);
const trail = (i, action, ago) => i.sql(`INSERT INTO trail(at, actor, action, detail) VALUES(${Date.now() - ago}, 'x', '${action}', '')`);

describe('doctor', { concurrency: 4 }, () => {
  test('nothing is wrong', async () => {
    const i = await installation(), r = await i.doctor();
    assert.equal(r.status, 0, r.stdout);
    assert.equal(r.stderr, '');
    const bad = r.stdout.split('\n').filter(l => l && !l.startsWith('ok'));
    assert.deepEqual(bad.map(l => l.split(/\s+/)[1]), ['session', 'standby', 'slack'], 'none of these runs'); // each with its mend
    for (const line of bad) assert.match(line, / -> \S/);
    for (const name of ['version', 'configuration', 'clock', 'state folder', 'disk', 'database', 'incidents', 'token', 'port', 'playbooks', 'settings', 'guard', 'hook', 'claude', 'plugin', 'unit', 'cluster'])
      assert.match(r.stdout, new RegExp(`^ok    ${name} `, 'm'));
    assert.equal((await i.doctor('--x')).status, 2);
  });

  test('configuration', async () => {
    const i = await installation();
    fs.writeFileSync(i.config, `WEBHOOK_LISTEN=127.0.0.1:${i.port}\n`);
    fs.chmodSync(i.config, 0o644);
    one(await i.check('configuration'), 'warn', /read by others/, /^chmod 600 '/);
    one(await i.check('token'), 'warn', /every program of this machine/, /WEBHOOK_TOKEN=/);
    one(await i.check('slack'), 'warn', /SLACK_BOT_TOKEN is not set/, /set it in/);
    fs.writeFileSync(i.config, `WEBHOOK_TOKEN=short\nWEBHOOK_LISTEN=127.0.0.1:${i.port}\n`);
    fs.chmodSync(i.config, 0o600);
    one(await i.check('configuration'), 'ok', /config.env$/, /^$/);
    one(await i.check('token'), 'warn', /of 5 characters/, /openssl rand/);
    fs.writeFileSync(i.config, 'WEBHOOK_LISTEN=0.0.0.0:1\n');
    one(await i.check('token'), 'fail', /beyond loopback/, /WEBHOOK_TOKEN/);
    fs.rmSync(i.config);
    i.env.WEBHOOK_LISTEN = '192.0.2.1:8788';
    one(await i.check('configuration'), 'ok', /not there/, /^$/);
    one(await i.check('port'), 'fail', /192\.0\.2\.1:8788 cannot be listened on/, /WEBHOOK_LISTEN/);
  });

  test('clock', async () => {
    const i = await installation();
    one(await i.check('clock'), 'ok', /^20\d\d-.*Z, synchronized$/, /^$/);
    i.program('timedatectl', 'echo no');
    one(await i.check('clock'), 'warn', /not synchronized/, /set-ntp true/);
    i.program('timedatectl', 'echo yes');
    trail(i, 'pushed', -600_000);
    const found = await i.check('clock');
    assert.deepEqual(found.map(f => f[0]), ['ok', 'fail']);
    assert.match(found[1][1], /newest row of the database is of .*: the clock was set back/);
  });

  test('state folder, database', async () => {
    const i = await installation(), db = path.join(i.state, 'incidents.db');
    fs.chmodSync(i.state, 0o755);
    one(await i.check('state folder'), 'fail', /mode 755/, /^chmod 700 '/);
    fs.chmodSync(i.state, 0o700);
    assert.deepEqual(await i.check('database mode'), []);
    fs.chmodSync(db, 0o644);
    one(await i.check('database mode'), 'fail', /others/, /^chmod 600 '/);
    fs.chmodSync(db, 0o600);
    if (process.getuid() === 0) {
      fs.chownSync(i.state, 12345, 12345);
      one(await i.check('state folder'), 'warn', /belongs to user 12345/, /sudo -u '#12345'/);
      fs.chownSync(i.state, 0, 0);
    }
    i.sql('PRAGMA user_version = 900');
    one(await i.check('database'), 'fail', /made by a newer version/, /build the newer version/);
    fs.rmSync(i.state, { recursive: true });
    one(await i.check('state folder'), 'warn', /No such file/, /^mkdir -p -m 700 '/);
    one(await i.check('database'), 'warn', /not there yet/, /start a session/);
    assert.equal(fs.existsSync(i.state), false, 'a look makes nothing');
  });

  test('a damaged database', async () => {
    const i = await installation(), db = path.join(i.state, 'incidents.db');
    i.sql('INSERT INTO trail(at, actor, action, detail) SELECT value, hex(randomblob(40)), hex(randomblob(40)), hex(randomblob(200)) FROM generate_series(1, 3000); PRAGMA wal_checkpoint(TRUNCATE);');
    const fd = fs.openSync(db, 'r+'), { size } = fs.fstatSync(fd);
    fs.writeSync(fd, Buffer.alloc(16384, 0x5a), 0, 16384, Math.floor(size / 2 / 4096) * 4096);
    fs.closeSync(fd);
    one(await i.check('database'), 'fail', /damaged/, /restart session and standby/);
    fs.writeFileSync(db, Buffer.alloc(8192, 0x5a));
    one(await i.check('database'), 'fail', /cannot be opened/, /restart session and standby/);
  });

  test('disk', { skip: (process.getuid() !== 0 || spawnSync('unshare', ['-m', 'true']).status !== 0) && 'needs root and unshare to mount a small file system' }, async () => {
    const i = await installation(), small = path.join(i.home, 'small');
    fs.mkdirSync(small);
    const run = megabytes => spawnSync('unshare', ['-m', 'sh', '-c', `mount -t tmpfs -o size=${megabytes}m,mode=0700 tmpfs "$1" && "$2" doctor --json`, 'sh', small, path.join(i.project, 'build', 'webhook-channel')],
      { env: { ...i.env, SRE_STATE_DIR: small }, encoding: 'utf8' });
    const disk = r => JSON.parse(r.stdout).checks.find(c => c.check === 'disk');
    assert.deepEqual([disk(run(100)).result, disk(run(600)).result, disk(run(2000)).result], ['fail', 'warn', 'ok']);
    assert.match(disk(run(100)).mend, /^free some space/);
  });

  test('port', async () => {
    const i = await installation();
    one(await i.check('port'), 'ok', /free/, /^$/);
    const other = net.createServer().listen(i.port, '127.0.0.1');
    await new Promise(r => other.once('listening', r));
    one(await i.check('port'), 'fail', /another program has it/, new RegExp(`ss -ltnp 'sport = :${i.port}'`));
    await new Promise(r => other.close(r));
    const c = await startChannel({ state: i.home, env: { WEBHOOK_LISTEN: `127.0.0.1:${i.port}`, WEBHOOK_TOKEN: TOKEN } });
    one(await i.check('port'), 'ok', /ours listens/, /^$/);
    for (let k = 0; k < 100 && (await i.check('session'))[0][0] !== 'ok'; k++) await sleep(50);
    one(await i.check('session'), 'ok', /attached for .*, pid \d+/, /^$/);
    await c.stop();
    one(await i.check('session'), 'warn', /none is attached; the last one began/, /^\.\/start/);
  });

  test('registration', async () => {
    const i = await installation();
    assert.deepEqual(await i.check('registration'), []); // there was no session
    session(i, 3600_000);
    trail(i, 'pushed', 7200_000); // into one before
    one(await i.check('registration'), 'ok', /not known yet/, /^$/);
    trail(i, 'pushed', 1800_000);
    one(await i.check('registration'), 'fail', /1 events were pushed .* does not listen/, /\.\/start/);
    trail(i, 'taken', 1700_000);
    one(await i.check('registration'), 'ok', /hears the channel/, /^$/);
    i.sql("INSERT INTO agent_failure VALUES(1, 1, 'rate_limit')");
    one(await i.check('agent'), 'fail', /rate_limit/, /quota/);
  });

  test('slack', async () => {
    const i = await installation();
    one(await i.check('slack'), 'warn', /never connected/, /slack-channel doctor/);
    i.sql("INSERT INTO lease VALUES('slack', 999999, 1, 'x', 1, 1)");
    one(await i.check('slack'), 'warn', /nobody holds the connection/, /slack-channel doctor/);
    const [boot, ns] = [fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), fs.readlinkSync('/proc/self/ns/pid')];
    const stat = fs.readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ');
    const beat = Math.floor(Number(fs.readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000);
    i.sql(`UPDATE lease SET pid = ${process.pid}, started = ${stat[19]}, boot_id = '${boot} ${ns}', beat_at = ${beat} WHERE channel = 'slack'`);
    one(await i.check('slack'), 'ok', /connected, pid/, /^$/);
    assert.deepEqual(await i.check('slack outbox'), []);
    i.sql("INSERT INTO slack_outbox(key, at, op, user_id) VALUES('k', 1, 0, 'U1')");
    one(await i.check('slack outbox'), 'warn', /1 messages wait/, /slack-channel doctor/);
  });

  test('playbooks', async () => {
    const i = await installation(), dir = path.join(i.project, 'playbooks');
    fs.writeFileSync(path.join(dir, 'broken.md'), '# no front matter\n');
    one(await i.check('playbooks'), 'fail', /1 of .*: broken\.md$/, /begin each with ---/);
    fs.rmSync(dir, { recursive: true });
    fs.mkdirSync(dir);
    one(await i.check('playbooks'), 'fail', /^none in/, /SRE_PLAYBOOKS/);
    fs.writeFileSync(path.join(dir, 'a.md'), '---\nname: a\nalerts: [Known*]\n---\n');
    i.sql(`INSERT INTO problem(alertname, cluster, namespace, service) VALUES('Unknown', '', '', ''), ('KnownOne', '', '', '');
      INSERT INTO incident(problem_id, environment, source, severity, opened_at, last_seen_at, asked_at, since_at, since_boot)
        SELECT id, 1, 'x', 2, unixepoch() * 1000, 0, 0, 0, 0 FROM problem;`);
    one(await i.check('playbooks'), 'warn', /1 in .*, but none for: Unknown$/, /alerts: \["\*"\]/);
    fs.writeFileSync(path.join(dir, 'b.md'), '---\nname: b\nalerts: ["*"]\n---\n');
    one(await i.check('playbooks'), 'ok', /^2 in/, /^$/);
  });

  test('settings and hooks', async () => {
    const i = await installation(), file = path.join(i.project, '.claude', 'settings.json'), right = JSON.parse(fs.readFileSync(file, 'utf8'));
    const write = change => { const s = structuredClone(right); change(s); fs.writeFileSync(file, JSON.stringify(s)); };
    write(s => { delete s.hooks.PreToolUse; });
    one(await i.check('guard'), 'fail', /nothing stands before/, /git checkout/);
    write(s => { s.hooks.PreToolUse[0].matcher = 'Bash'; });
    one(await i.check('guard'), 'fail', /only the tools "Bash"/, /git checkout/);
    write(s => { delete s.hooks.SessionStart; delete s.hooks.StopFailure; });
    assert.deepEqual((await i.check('hook')).map(h => h[0]), ['warn', 'warn']);
    write(s => { s.permissions.deny = []; });
    one(await i.check('settings'), 'fail', /denies nothing/, /git -C/);
    fs.writeFileSync(file, '{"hooks": ');
    one(await i.check('settings'), 'fail', /no JSON/, /git -C/);
    fs.rmSync(file);
    one(await i.check('settings'), 'fail', /No such file/, /git -C/);
    write(() => {});
    fs.renameSync(path.join(i.project, 'build', 'webhook-channel'), path.join(i.project, 'build', 'moved')); // what the hook calls is gone
    const r = spawnSync(path.join(i.project, 'build', 'moved'), ['doctor'], { env: i.env, encoding: 'utf8' });
    assert.match(r.stdout, /^fail  guard .*every command is blocked -> cmake -S/m);
  });

  test('claude and the plugin', async () => {
    const i = await installation();
    i.program('claude', 'echo "2.0.14 (Claude Code)"');
    one(await i.check('claude'), 'fail', /too old/, /npm install/);
    i.program('claude', 'echo broken; exit 3');
    one(await i.check('claude'), 'fail', /fails: broken/, /npm install/);
    fs.rmSync(path.join(i.bin, 'claude'));
    i.env.PATH = i.bin; // whatever this machine has
    one(await i.check('claude'), 'warn', /not installed/, /npm install/);

    fs.mkdirSync(path.join(i.home, 'managed', 'managed-settings.d'), { recursive: true });
    fs.copyFileSync(path.join(root, 'deploy/managed-settings.json'), path.join(i.home, 'managed', 'managed-settings.d', '50.json'));
    one(await i.check('plugin'), 'warn', /allow it, but it is not installed/, /claude plugin install sre-channels@sre-channels/);
    const copy = path.join(i.home, '.claude/plugins/cache/sre-channels/sre-channels/0.1.0/.claude-plugin/plugin.json');
    fs.cpSync(path.join(i.project, 'deploy/plugin/sre-channels/.claude-plugin/plugin.json'), copy);
    fs.writeFileSync(path.join(i.home, '.claude/plugins/known_marketplaces.json'), JSON.stringify({ 'sre-channels': { source: { path: path.join(i.project, 'deploy/plugin') } } }));
    one(await i.check('plugin'), 'ok', /installed and allowed/, /^$/);
    fs.appendFileSync(copy, ' ');
    one(await i.check('plugin'), 'warn', /another version/, /plugin install/);
    fs.cpSync(path.join(i.project, 'deploy/plugin/sre-channels/.claude-plugin/plugin.json'), copy);
    fs.rmSync(path.join(i.home, 'managed'), { recursive: true });
    one(await i.check('plugin'), 'warn', /no managed settings allow/, /managed-settings\.d/);
  });

  test('units', async () => {
    const i = await installation();
    assert.deepEqual((await i.check('unit')).map(u => u[1]), UNITS.map(u => `sre-channels-${u} is enabled and active`));
    i.program('systemctl', 'case "$*" in *session*) printf "LoadState=loaded\\nActiveState=failed\\nUnitFileState=disabled\\n";; *slack*) echo LoadState=not-found;; *) printf "LoadState=loaded\\nActiveState=inactive\\nUnitFileState=enabled\\n";; esac');
    const found = await i.check('unit');
    assert.deepEqual(found.map(u => u[1]), ['sre-channels-standby@webhook.service is not active', 'sre-channels-session.service is not enabled, and not active', 'sre-channels-restart.timer is not active']);
    assert.match(found[0][2], /^sudo systemctl restart sre-channels-standby@webhook\.service; journalctl -u/);
    assert.match(found[1][2], /^sudo systemctl enable --now sre-channels-session\.service;/);
    i.program('systemctl', 'echo "System has not been booted with systemd" >&2; exit 1');
    one(await i.check('unit'), 'ok', /none is installed/, /^$/);
  });

  test('clusters', async () => {
    const i = await installation();
    assert.deepEqual((await i.check('cluster')).map(c => c[1]), ['prod-eu answers', 'dev-eu answers']);
    i.program('kubectl', 'case "$*" in *get-contexts*) echo "prod eu; touch x"; echo dev-eu;; *dev-eu*) sleep 60;; *) echo "Unable to connect" >&2; exit 1;; esac');
    const from = Date.now(), found = await i.check('cluster');
    assert.ok(Date.now() - from < 10_000);
    assert.deepEqual(found.map(c => [c[0], c[1]]), [['fail', 'prod eu; touch x: Unable to connect'], ['fail', 'dev-eu: no answer in 3 s']]);
    assert.equal(found[1][2], "kubectl --context 'dev-eu' get --raw /readyz");
    i.program('kubectl', 'case "$*" in *get-contexts*) ;; esac');
    one(await i.check('cluster'), 'warn', /knows no cluster/, /deploy\/kubernetes/);
    i.program('kubectl', 'echo "bad kubeconfig" >&2; exit 1');
    one(await i.check('cluster'), 'fail', /bad kubeconfig/, /get-contexts/);
    fs.rmSync(path.join(i.bin, 'kubectl'));
    i.env.PATH = i.bin;
    one(await i.check('cluster'), 'warn', /not installed/, /install kubectl/);
  });
});
