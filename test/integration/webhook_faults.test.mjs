// The store's bad days: disk full, locked, read-only, deleted, a clock that is set back, a holder that hangs. What must hold: clear
// answers within a second, nothing answered 200 is lost, and everything works again afterwards.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { describe } from 'node:test';
import { notification, request, sleep, startChannel, tempDir, until, which } from '../support/channel.mjs';

// In a mount namespace of its own, so that nothing stays mounted whatever becomes of the test.
const root = process.getuid() === 0, inside = process.env.SRE_TEST_NAMESPACE === '1';
if (root && !inside && spawnSync('unshare', ['-m', 'true']).status === 0) { // not in a container without the right to mount
  const r = spawnSync('unshare', ['-m', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    { stdio: 'inherit', env: { ...process.env, SRE_TEST_NAMESPACE: '1' } });
  process.exit(r.status ?? 1);
}
const alert = (service, more = {}) => notification({ severity: 'warning', service, cluster: 'c', namespace: 'n', ...more });
const services = all => all.map(i => i.service).sort();

async function timed(f) {
  const began = Date.now(), r = await f();
  return [r, Date.now() - began];
}

// Below those that the system gives to outgoing connections: a client that tries again would connect to itself.
const newPort = () => 20000 + Math.floor(Math.random() * 12000);

function smallDisk(megabytes) {
  const dir = tempDir();
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'tmpfs', dir]);
  return dir;
}

function fill(dir, name = 'filler') {
  const fd = fs.openSync(path.join(dir, name), 'w');
  for (const size of [1 << 20, 1 << 16, 4096, 512]) {
    const chunk = Buffer.alloc(size, 1);
    try { for (;;) if (fs.writeSync(fd, chunk) < size) break; } catch (e) { assert.equal(e.code, 'ENOSPC'); }
  }
  fs.closeSync(fd);
}

// Another process that holds the write lock until `release`.
async function lockDatabase(state) {
  const child = spawn('sqlite3', [path.join(state, 'state/incidents.db')], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', d => { out += d; });
  child.stdin.write("PRAGMA busy_timeout=5000;\nBEGIN IMMEDIATE;\nSELECT 'held';\n");
  await until(() => out.includes('held'), 6000, 'the lock');
  return () => new Promise(r => { child.once('exit', r); child.stdin.end('ROLLBACK;\n.quit\n'); });
}

describe('faults of the store', { concurrency: 6 }, () => {
  test('a full disk: 503 within a second, tools say so, alerts go on once there is room', { skip: !inside && 'needs root and unshare to mount a small file system' }, async () => {
    const state = tempDir(), disk = smallDisk(4);
    const c = await startChannel({ state, env: { SRE_STATE_DIR: path.join(disk, 'state') } });
    const answered = [];
    const send = async s => { const r = await c.post(alert(s)); if (r.status === 200) answered.push(s); return r; };
    await send('before');
    await c.event();
    fill(disk);
    let full = 0;
    for (let i = 0; i < 60; i++) {
      const [r, ms] = await timed(() => send(`during-${i}`));
      assert.ok(ms < 1000, `${ms} ms`);
      if (r.status === 200) continue;
      assert.equal(r.status, 503);
      assert.match(r.json.error, /disk is full/);
      full++;
    }
    assert.ok(full > 0, 'the disk was full');
    const ready = async () => (await request(c.url + '/readyz', { method: 'GET' })).status;
    await until(async () => await ready() === 503, 5000, 'not ready'); // a page or two may still fit
    assert.deepEqual(await c.client.ping(), {});
    const verdict = await c.call('log_incident', { incident_ids: [1], verdict: 'noise', summary: 'x' });
    if (verdict.isError) assert.match(verdict.content[0].text, /disk full/);
    assert.equal((await c.call('get_incident', { incident_id: 1 })).structuredContent.incident_id, 1);
    fs.unlinkSync(path.join(disk, 'filler'));
    await until(async () => (await send('after')).status === 200, 3000, 'room');
    assert.deepEqual(services(await c.export()), [...answered].sort());
    await c.event(e => e.meta.service === 'after' || e.content.includes('after'), 8000);
    assert.equal(await ready(), 200);
    await c.stop();
  });

  test('a session that starts while the disk is full still hears what waits', { skip: !inside && 'needs root and unshare to mount a small file system' }, async () => {
    const state = tempDir(), disk = smallDisk(4), env = { SRE_STATE_DIR: path.join(disk, 'state') };
    const first = await startChannel({ state, env });
    for (const s of ['a', 'b']) await first.post(alert(s));
    first.kill('SIGKILL');
    await first.exited;
    fill(disk);
    for (let i = 0; i < 40; i++) fs.writeFileSync(path.join(disk, `more-${i}`), ''); // inodes are no matter
    const second = await startChannel({ state, env });
    const told = await second.event(() => true, 4000);
    assert.match(told.content, /cannot be written.*full/);
    assert.match(told.content, /2 incidents wait/);
    assert.equal((await second.call('list_incidents')).structuredContent.total, 2);
    await sleep(1500);
    assert.equal(second.events.length, 1, 'and not again and again');
    fs.unlinkSync(path.join(disk, 'filler'));
    await until(async () => (await second.post(alert('after'))).status === 200, 3000, 'room');
    await second.event(e => e.content.includes('after'), 9000);
    const digest = await second.event(e => e.meta.incidents);
    assert.match(digest.content, /#1\b.*#2\b/);
    await second.stop();
  });

  test('locked by another process for 10 s: 503 within a second, pings are answered, then as before', { skip: !which('sqlite3') && 'needs sqlite3' }, async () => {
    const c = await startChannel();
    await c.post(alert('before'));
    await c.event();
    const release = await lockDatabase(c.state), until_ = Date.now() + 10_000;
    let answers = 0;
    const posting = (async () => {
      while (Date.now() < until_) {
        const [r, ms] = await timed(() => c.post(alert('during')));
        assert.equal(r.status, 503);
        assert.match(r.json.error, /locked/);
        assert.ok(ms < 1000, `${ms} ms`);
        answers++;
      }
    })();
    while (Date.now() < until_) {
      const [, ms] = await timed(() => c.client.ping());
      assert.ok(ms < 1000, `ping took ${ms} ms`);
      assert.equal((await request(c.url + '/healthz', { method: 'GET' })).status, 200);
      assert.equal((await request(c.url + '/readyz', { method: 'GET' })).status, 503);
      const list = await c.call('list_incidents');
      assert.equal(list.structuredContent.incidents.length, 1);
      await sleep(200);
    }
    await posting;
    await release();
    assert.ok(answers > 5);
    assert.equal((await c.post(alert('after'))).status, 200);
    await c.event(e => e.meta.service === 'after');
    assert.deepEqual(services(await c.export()), ['after', 'before']);
    await c.stop();
  });

  test('a lock that is let go within the patience is not noticed', { skip: !which('sqlite3') && 'needs sqlite3' }, async () => {
    const c = await startChannel();
    const release = await lockDatabase(c.state);
    const [one, two, log] = [c.post(alert('one')), c.post(alert('two')), sleep(400).then(release)];
    assert.equal((await one).status, 200);
    assert.equal((await two).status, 200);
    await log;
    await c.event(e => e.meta.service === 'two');
    await c.stop();
  });

  test('locked while it starts: it comes up and serves once the lock is gone', { skip: !which('sqlite3') && 'needs sqlite3' }, async () => {
    const first = await startChannel();
    await first.post(alert('before'));
    await first.stop();
    const release = await lockDatabase(first.state);
    const second = await startChannel({ state: first.state });
    assert.deepEqual(await second.client.ping(), {});
    assert.equal((await second.post(alert('during'))).status, 503);
    await sleep(1500);
    await release();
    await second.event(e => e.meta.kind === 'digest');
    assert.equal((await second.post(alert('after'))).status, 200);
    await second.stop();
  });

  test('made read-only: 503 with the reason, nothing lost, as before afterwards', { skip: !inside && 'needs root and unshare to mount' }, async () => {
    const c = await startChannel();
    await c.post(alert('before'));
    await c.event();
    const files = fs.readdirSync(path.join(c.state, 'state')).filter(f => /^incidents\.db(-wal)?$/.test(f)).map(f => path.join(c.state, 'state', f));
    for (const f of files) {
      execFileSync('mount', ['--bind', f, f]);
      execFileSync('mount', ['-o', 'remount,bind,ro', f]);
    }
    // What is open stays writable: it goes on, or refuses. A restart cannot write.
    const r = await c.post(alert('during'));
    assert.ok(r.status === 200 || r.status === 503, r.text);
    c.kill('SIGKILL');
    await c.exited;
    const second = await startChannel({ state: c.state });
    const [refused, ms] = await timed(() => second.post(alert('refused')));
    assert.equal(refused.status, 503);
    assert.match(refused.json.error, /not writable/);
    assert.ok(ms < 1000);
    assert.equal((await request(second.url + '/readyz', { method: 'GET' })).status, 503);
    assert.deepEqual(await second.client.ping(), {});
    assert.match((await second.event(() => true, 4000)).content, r.status === 200 ? /cannot be written.*\n2 incidents wait/ : /cannot be written.*\n1 incident waits/, 'that something waits is told all the same');
    for (const f of files) execFileSync('umount', ['-l', f]);
    await until(async () => (await second.post(alert('after'))).status === 200, 8000, 'writable again');
    await second.event(e => e.content.includes('after'), 9000);
    assert.deepEqual(services(await second.export()), r.status === 200 ? ['after', 'before', 'during'] : ['after', 'before']);
    await second.stop();
  });

  for (const [what, gone] of [
    ['the file', s => fs.unlinkSync(path.join(s, 'incidents.db'))],
    ['all its files', s => { for (const f of fs.readdirSync(s)) fs.unlinkSync(path.join(s, f)); }],
    ['the whole folder', s => fs.rmSync(s, { recursive: true })],
  ]) {
    test(`deleted while running: ${what}`, async () => {
      const c = await startChannel();
      for (const s of ['a', 'b']) assert.equal((await c.post(alert(s))).status, 200);
      await c.event(e => e.meta.service === 'b');
      await c.call('log_incident', { incident_ids: [1], verdict: 'real', summary: 'it was the disk' });
      gone(path.join(c.state, 'state'));
      assert.equal((await c.post(alert('after'))).status, 200);
      await c.event(e => e.meta.service === 'after');
      assert.match(c.stderr, /was moved or deleted/);
      const all = await c.export();
      assert.deepEqual(services(all), ['a', 'after', 'b'], 'what was accepted before is still there');
      assert.equal(all[0].verdict, 'real');
      assert.ok(!(await c.call('log_incident', { incident_ids: [3], verdict: 'noise', summary: 'x' })).isError);
      await c.stop();
      const next = await startChannel({ state: c.state });
      assert.match((await next.event()).content, /#2\b/);
      await next.stop();
    });
  }

  test('the clock is set back an hour: order, flaps and deliveries hold', { skip: (!which('faketime') && 'needs faketime') || (/sanitize/.test(process.env.BUILD_DIR) && 'a preloaded library does not go with the sanitizers') }, async () => {
    const state = tempDir(), shift = path.join(state, 'clock');
    fs.writeFileSync(shift, '+0\n');
    const preload = execFileSync('faketime', ['-f', '+0', 'sh', '-c', 'printf %s "$LD_PRELOAD"'], { encoding: 'utf8' });
    const env = { LD_PRELOAD: preload, FAKETIME_TIMESTAMP_FILE: shift, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1', SRE_TAKE_SECONDS: '2' };
    const c = await startChannel({ state, env });
    await c.post(alert('a'));
    await c.event(e => e.meta.service === 'a');
    fs.writeFileSync(shift, '-3600\n');
    await c.post(alert('b'));
    await c.event(e => e.meta.service === 'b');
    const opened = Object.fromEntries((await c.export()).map(i => [i.service, Date.parse(i.opened_at)]));
    assert.ok(opened.a - opened.b > 3_500_000, 'the clock was set back');
    await c.post(notification({ severity: 'warning', service: 'a', cluster: 'c', namespace: 'n' }, { status: 'resolved' }));
    await c.post(alert('a'));
    await c.event(e => e.meta.service === 'a' && e.meta.delivery === '2', 4000);
    await c.event(e => e.meta.service === 'b' && e.meta.delivery === '3', 8000);
    const all = await c.export();
    assert.equal(all.length, 2);
    assert.equal(all[0].flaps, 1, 'a flap, not a new incident');
    c.kill('SIGKILL');
    await c.exited;
    // The next session's clock is behind what is in the store.
    fs.writeFileSync(shift, '-7200\n');
    const next = await startChannel({ state, env });
    const digest = await next.event();
    assert.equal(digest.meta.kind, 'digest');
    assert.equal(digest.meta.incidents, '2');
    assert.equal((await next.post(alert('d'))).status, 200);
    await next.event(e => e.meta.service === 'd');
    await next.stop();
  });
});

describe('two processes of one store', { concurrency: 4 }, () => {
  test('both take alerts at once, and each is kept once', async () => {
    const state = tempDir(), env = { WEBHOOK_LISTEN: `127.0.0.1:${newPort()}` };
    const two = [await startChannel({ state, env }), await startChannel({ state, env })];
    await Promise.all(Array.from({ length: 300 }, async (_, i) => assert.equal((await two[0].post(alert(`s-${i % 150}`))).status, 200)));
    const all = await two[1].export();
    assert.equal(all.length, 150);
    assert.ok(all.every(i => i.notifications === 2), 'every notification counted');
    await two[0].event(e => e.meta.kind === 'digest', 6000);
    assert.equal(two[1].events.length, 0);
    for (const c of two) assert.doesNotMatch(c.stderr, /level=error/);
    for (const c of two) await c.stop();
  });

  test('the file is deleted under both: one writes it anew, both go on', async () => {
    const state = tempDir(), env = { WEBHOOK_LISTEN: '127.0.0.1:0' };
    const two = [await startChannel({ state, env }), await startChannel({ state, env })];
    for (let i = 0; i < 20; i++) assert.equal((await two[i % 2].post(alert(`before-${i}`))).status, 200);
    fs.unlinkSync(path.join(state, 'state/incidents.db'));
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => two[i % 2].post(alert(`after-${i}`))));
    for (const [i, r] of answers.entries()) // on a slow machine one may have waited too long for the other's copy
      if (r.status !== 200) { assert.match(r.json.error, /locked/); await until(async () => (await two[i % 2].post(alert(`after-${i}`))).status === 200); }
    const all = await two[0].export();
    assert.equal(new Set(services(all)).size, 60);
    assert.equal(all.length, 60);
    for (const c of two) assert.equal((await c.call('list_incidents')).structuredContent.total, 60);
    for (const c of two) await c.stop();
  });

  test('started in the same moment, they share the port', async () => {
    for (let i = 0; i < 5; i++) {
      const state = tempDir(), env = { WEBHOOK_LISTEN: `127.0.0.1:${newPort()}` };
      const all = await Promise.all([1, 2, 3].map(() => startChannel({ state, env })));
      for (const c of all) assert.doesNotMatch(c.stderr, /level=(error|warn)/);
      await all[0].post(alert('one'));
      await until(() => all.some(c => c.events.length), 4000, 'an event');
      await sleep(300);
      assert.equal(all.reduce((n, c) => n + c.events.length, 0), 1, 'in one session only');
      for (const c of all) await c.stop();
    }
  });

  test('a holder that hangs is replaced, and does not push what is no longer its own when it wakes', async () => {
    const state = tempDir(), env = { WEBHOOK_LISTEN: '127.0.0.1:0' };
    const first = await startChannel({ state, env }), second = await startChannel({ state, env });
    await first.post(alert('a'));
    await first.event();
    first.kill('SIGSTOP');
    const stuck = first.post(alert('stuck')); // in its queue when it wakes
    const digest = await second.event(() => true, 10_000);
    assert.equal(digest.meta.kind, 'digest');
    assert.match(digest.content, /#1\b/);
    await second.post(alert('b'));
    await second.event(e => e.meta.service === 'b');
    first.kill('SIGCONT');
    assert.equal((await stuck).status, 200);
    await second.event(e => e.meta.service === 'stuck');
    await sleep(1500);
    assert.deepEqual(first.events.map(e => e.meta.service), ['a'], 'the old holder is silent');
    assert.match(first.stderr, /another session took over/);
    await second.stop();
    const again = await first.event(e => e.meta.kind === 'digest', 5000);
    assert.equal(again.meta.incidents, '3');
    await first.stop();
  });
});
