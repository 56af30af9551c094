// The subcommands page and doctor.
import { test, describe, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { startFakeSlack } from '../support/fake_slack/main.mjs';
import { startSession, patient, tempDir, BINARY } from '../support/slack_session.mjs';

const open = [];
after(async () => { for (const end of open.reverse()) await end(); });
const fake = async o => { const s = patient(await startFakeSlack(o)); open.push(() => s.stop()); return s; };
const run = (slack, args, home = tempDir(), env = {}) => new Promise(resolve => {
  const p = spawn(BINARY, args, { env: { PATH: process.env.PATH, HOME: home, SRE_CONFIG: path.join(home, 'config.env'), SRE_STATE_DIR: path.join(home, 'state'), XDG_RUNTIME_DIR: home, ...slack.env, ...env } });
  let out = '', err = ''; p.stdout.on('data', d => { out += d; }); p.stderr.on('data', d => { err += d; });
  p.on('exit', status => resolve({ status, out, err }));
});

describe('page and doctor', { concurrency: 6 }, () => {
  test('a page goes out by itself', async () => {
    const slack = await fake();
    const r = await run(slack, ['page', '--severity', 'critical', 'database is **gone** <!channel>']);
    assert.equal(r.status, 0, r.err);
    assert.equal(slack.posted.length, 1);
    assert.match(slack.posted[0].text, /\[CRITICAL\]\* database is \*gone\* &lt;!channel&gt;/);
    assert.deepEqual(slack.pings(slack.posted[0].message), ['@' + slack.users.owner]);
    assert.equal(slack.connections.length, 0);
  });

  test('by the running channel when there is one', async () => {
    const slack = await fake(), s = await startSession({ env: slack.env });
    open.push(() => s.stop());
    await slack.waitUp();
    const r = await run(slack, ['page', 'by the channel'], s.state, { SRE_CONFIG: path.join(s.state, 'config.env') });
    assert.equal(r.status, 0, r.err);
    assert.equal(slack.posted.length, 1);
    assert.equal(slack.connections.length, 1);
    assert.equal(slack.calls('auth.test').length, 1);
  });

  test('refused for good: says so; unreachable: stored, and sent once by the next that runs', async () => {
    const slack = await fake(), home = tempDir();
    slack.revoke('bot');
    const r = await run(slack, ['page', 'kept'], home);
    slack.restore('bot');
    assert.equal(r.status, 1);
    assert.match(r.err, /not sent yet: it is stored.*token_revoked/);
    const again = await run(slack, ['page', 'second'], home);
    assert.equal(again.status, 0, again.err);
    assert.deepEqual(slack.posted.map(m => /kept|second/.exec(m.text)[0]), ['kept', 'second']);
  });

  test('doctor finds nothing wrong, and what is wrong', async () => {
    const slack = await fake();
    let r = await run(slack, ['doctor', '--json', '--send']);
    assert.equal(r.status, 0, r.out);
    const { checks } = JSON.parse(r.out);
    for (const c of ['bot token', 'app token', 'allowed users', 'auth.test', 'scope', 'direct message', 'messages tab', 'socket']) assert.ok(checks.some(x => x.check === c && x.status === 'ok'), c);
    assert.match(slack.posted[0].text, /test message/);
    slack.removeScope('files:write'); slack.removeScope('im:history');
    slack.set('messagesTab', false); slack.linkDisabled();
    r = await run(slack, ['doctor', '--send']);
    assert.equal(r.status, 1);
    assert.match(r.out, /failed\s+scope\s+files:write/); assert.match(r.out, /failed\s+scope\s+im:history/); assert.match(r.out, /ok\s+scope\s+chat:write/);
    assert.match(r.out, /failed\s+messages tab\s+messages_tab_disabled\n\s+-> App Home/);
    assert.match(r.out, /failed\s+socket.*link_disabled/);
    slack.revoke('bot', 'invalid_auth');
    r = await run(slack, ['doctor']);
    assert.match(r.out, /failed\s+auth\.test\s+invalid_auth/);
    assert.doesNotMatch(r.out + r.err, /xoxb-1|xapp-1/);
  });

  test('doctor leaves a running channel its connection', async () => {
    const slack = await fake(), s = await startSession({ env: slack.env });
    open.push(() => s.stop());
    await slack.waitUp();
    const r = await run(slack, ['doctor'], s.state);
    assert.equal(r.status, 0, r.out);
    assert.match(r.out, new RegExp(`held by the running channel \\(process ${s.pid}\\)`));
    assert.equal(slack.connections.length, 1);
  });
});
