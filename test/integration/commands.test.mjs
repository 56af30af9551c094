// Every subcommand of webhook-channel used wrongly, without a store, and with nowhere to write: an exit status and a reason.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { describe } from 'node:test';
import { binary, command, commandWith, environment, tempDir } from '../support/channel.mjs';
import { seed, times } from '../support/memory.mjs';

const commands = { briefing: [], history: [], incidents: [], proposals: [], export: [], audit: [], report: ['--html', '-'], postmortem: ['1'] };
const inShell = (env, script) => new Promise(resolve => execFile('sh', ['-c', script], { env }, (e, stdout, stderr) => resolve({ status: e ? e.code : 0, stdout, stderr })));

describe('commands', { concurrency: 4 }, () => {
  test('version, help, and what is none', async () => {
    const env = environment(tempDir());
    assert.match((await command(env, '--version')).stdout, /^webhook-channel \d+\.\d+\.\d+\n$/);
    for (const words of [['--help'], ['history', '--help']]) {
      const r = await command(env, ...words);
      assert.equal(r.status, 0);
      for (const name of [...Object.keys(commands), 'standby', 'console', 'doctor', 'guard', 'agent-failed']) assert.match(r.stdout, new RegExp(`webhook-channel ${name} `), name);
    }
    const none = await command(env, 'nonsense');
    assert.equal(none.status, 2);
    assert.match(none.stderr, /unknown command: nonsense\ntry: webhook-channel --help/);
  });

  test('a wrong option is status 2 and named, and no store is made', async () => {
    const state = tempDir(), env = environment(state);
    for (const name of [...Object.keys(commands), 'standby', 'console', 'doctor', 'guard', 'agent-failed']) {
      const r = await command(env, name, '--no-such');
      assert.equal(r.status, 2, name);
      assert.match(r.stderr, new RegExp(`^${name}: .*--no-such`), name);
      assert.equal(r.stdout, '', name);
    }
    for (const [words, why] of [[['incidents', '--state', 'all-of-them'], /--state must be undecided, open or all/], [['incidents', '--limit', '0'], /--limit/], [['history', '--days', 'x'], /--days/],
      [['report'], /--html FILE is needed/], [['report', '--html', ''], /--html FILE is needed/], [['postmortem'], /number of an incident/], [['postmortem', '1x'], /number of an incident/], [['postmortem', '1', '2'], /./]]) {
      const r = await command(env, ...words);
      assert.equal(r.status, 2, words.join(' '));
      assert.match(r.stderr, why);
    }
    assert.ok(!fs.existsSync(path.join(state, 'state')));
  });

  test('a state folder that is none is status 1 with the reason', async () => {
    const state = tempDir(), env = environment(state);
    fs.writeFileSync(path.join(state, 'state'), 'a file');
    for (const [name, words] of Object.entries(commands)) {
      const r = await command(env, name, ...words);
      assert.equal(r.status, 1, name);
      assert.match(r.stderr, /state/, name);
      assert.equal(r.stdout, '', name);
    }
    assert.equal((await commandWith('{}', env, 'agent-failed')).status, 1);
    assert.equal((await command(env)).status, 1);
  });

  test('the guard blocks what it cannot judge', async () => {
    const env = environment(tempDir());
    for (const input of ['', '{', '[]', '{"hook_event_name":"PreToolUse"}', ' '.repeat(11 << 20)]) {
      const r = await commandWith(input, env, 'guard');
      assert.equal(r.status, 2, input.slice(0, 40));
      assert.match(r.stderr, /guard: blocked: the hook's input/);
      assert.equal(r.stdout, '');
    }
    const bad = await commandWith('{}', { ...env, SRE_TAKE_SECONDS: 'x' }, 'guard');
    assert.equal(bad.status, 2);
  });

  test('a report is written whole or not at all', async () => {
    const state = tempDir(), env = environment(state), out = path.join(state, 'out');
    fs.mkdirSync(out);
    assert.equal((await command(env, 'report', '--html', path.join(out, 'r.html'))).status, 0);
    assert.match(fs.readFileSync(path.join(out, 'r.html'), 'utf8'), /<\/html>/);
    assert.equal(fs.statSync(path.join(out, 'r.html')).mode & 0o777, 0o600);
    fs.mkdirSync(path.join(out, 'folder'));
    for (const file of [path.join(out, 'none/r.html'), path.join(out, 'folder'), '/dev/full/x']) {
      const r = await command(env, 'report', '--html', file);
      assert.equal(r.status, 1, file);
      assert.match(r.stderr, /report: cannot write /);
    }
    assert.deepEqual(fs.readdirSync(out).sort(), ['folder', 'r.html']); // nothing half made is left
  });

  test('output that cannot be written is status 1', async () => {
    const state = tempDir(), env = environment(state);
    await command(env, 'incidents');
    seed(state, times(3, { verdict: 'noise' }));
    for (const [name, words] of Object.entries({ ...commands, audit: ['--json'], doctor: [], '--version': [], '--help': [] })) {
      const { status } = await inShell(env, `exec '${binary('webhook-channel')}' ${[name, ...words].join(' ')} >/dev/full`);
      assert.equal(status, 1, name);
    }
  });
});
