// The escalation timer and the permission relay, against the fake Slack.
import { test, describe, after } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { startFakeSlack } from '../support/fake_slack/main.mjs';
import { startSession, patient, until, sleep } from '../support/slack_session.mjs';

const open = [];
after(async () => { for (const end of open.reverse()) await end(); });
const fake = async o => { const s = patient(await startFakeSlack({ ackTimeoutMs: 400, retryDelaysMs: [0, 100, 300], ...o })); open.push(() => s.stop()); return s; };
const session = async (slack, o = {}) => { const s = await startSession({ ...o, env: { SLACK_NAG_SECONDS: '2', ...slack.env, ...o.env } }); open.push(() => s.stop()); return s; };
const pair = async (o, so) => { const slack = await fake(o), s = await session(slack, so); await slack.waitUp(); return [slack, s]; };
// SQL on the store, by Python's module: no database library is needed for it.
const sql = (s, text) => JSON.parse(execFileSync('python3', ['-c', `import sqlite3,sys,json
c=sqlite3.connect(sys.argv[1],timeout=10,isolation_level=None); print(json.dumps([r for q in sys.argv[2].split(';') for r in c.execute(q).fetchall()]))`, path.join(s.state, 'state/incidents.db'), text], { encoding: 'utf8' }));
// Whatever columns the webhook channel has added: 0 where a value is needed.
const insert = (s, table, values) => { for (const [, name, , required, standard] of sql(s, `PRAGMA table_info(${table})`)) if (required && standard === null) values[name] ??= 0; sql(s, `INSERT INTO ${table}(${Object.keys(values)}) VALUES(${Object.values(values).map(v => typeof v === 'string' ? `'${v}'` : v)})`); };
const incident = (s, id) => { insert(s, 'problem', { id, alertname: 'DiskFull', cluster: 'c', namespace: 'n', service: `s${id}` }); insert(s, 'incident', { id, problem_id: id, severity: 4, source: 'x' }); };
const ESC = { title: 'Disk full on db-1', body: 'It is **97 %** full.\n\n- grows 1 % an hour', severity: 'critical', recommended_action: '`kubectl delete pod x`' };
const nags = slack => slack.posted.filter(p => /Nag #/.test(p.text));
const escalation = async (s, id) => (await s.ok('list_escalations', { state: 'all' })).escalations.find(e => e.escalation_id === id);

describe('slack-channel', { concurrency: 3 }, () => {
  describe('escalations', { concurrency: 5 }, () => {
    test('nags until somebody acknowledges, mentions the owner, then the second person', async () => {
      const [slack, s] = await pair();
      const { escalation_id } = await s.ok('escalate', ESC);
      const p = await slack.waitPosted('Disk full');
      assert.deepEqual(slack.buttons(p.ts), ['Acknowledge', 'Snooze 1 h', 'Resolve']);
      assert.deepEqual(slack.pings(p.message), ['@' + slack.users.owner]);
      assert.match(slack.shown(p.message), /97 %.*kubectl delete pod x/s);
      await until(() => nags(slack).length >= 3, 30000);
      const [a, b, c] = nags(slack);
      assert.match(a.text, /Nag #1, unanswered for .*Disk full/); assert.match(b.text, /Nag #2/); assert.match(c.text, /Nag #3/);
      for (const n of [a, b, c]) { assert.equal(n.thread_ts, p.ts); assert.equal(n.broadcast, true); assert.deepEqual(slack.pings(n.message), ['@' + slack.users.owner]); }
      for (const [x, y] of [[p, a], [a, b], [b, c]]) assert.ok(y.at - x.at >= 1500 && y.at - x.at < 15000, `${y.at - x.at}`);
      const second = await slack.waitPosted(q => q.channel === slack.dm('second'), 3000);
      assert.deepEqual(slack.buttons(second.ts, slack.dm('second')), ['Acknowledge', 'Snooze 1 h', 'Resolve']);
      slack.click('Acknowledge', { user: 'second', channel: slack.dm('second') });
      const e = await s.waitEvent('acknowledged');
      assert.equal(e.meta.escalation_id, String(escalation_id));
      assert.equal(e.meta.kind, 'interaction');
      await until(() => /Acknowledged.*by Sam Second/.test(slack.shown(slack.message(p.ts))));
      assert.deepEqual(slack.buttons(p.ts), ['Resolve']);
      const n = slack.posted.length;
      await sleep(3000);
      assert.equal(slack.posted.length, n);
      const row = await escalation(s, escalation_id);
      assert.equal(row.state, 'acknowledged');
      assert.equal(row.thread_ts, p.ts);
    });

    test('any word in the thread acknowledges; a word elsewhere does not; a reaction does', async () => {
      const [slack, s] = await pair({}, { env: { SLACK_NAG_SECONDS: '3' } });
      const one = await s.ok('escalate', ESC), p = await slack.waitPosted('Disk full');
      const two = await s.ok('escalate', { ...ESC, title: 'Second thing' }), q = await slack.waitPosted('Second thing');
      slack.say('what is for lunch?');
      assert.ok(!(await s.waitEvent('lunch')).meta.escalation_id);
      assert.equal((await escalation(s, one.escalation_id)).state, 'open');
      slack.say('hm', { thread_ts: p.ts });
      assert.equal((await s.waitEvent('hm')).meta.escalation_id, String(one.escalation_id));
      slack.react('eyes', q.ts);
      await s.waitEvent(/acknowledged.*Second thing/);
      for (const id of [one.escalation_id, two.escalation_id]) assert.equal((await escalation(s, id)).state, 'acknowledged');
      const before = nags(slack).length;
      slack.react('eyes', p.ts, { user: 'stranger', channel: p.channel });
      await sleep(3500);
      assert.equal(nags(slack).length, before);
    });

    test('"on it" at top level acknowledges what is open', async () => {
      const [slack, s] = await pair();
      const { escalation_id } = await s.ok('escalate', ESC);
      await slack.waitPosted('Disk full');
      slack.say('On it.');
      assert.equal((await s.waitEvent('On it')).meta.escalation_id, String(escalation_id));
    });

    test('snooze and resolve by button; a stale button changes nothing', async () => {
      const [slack, s] = await pair();
      const { escalation_id } = await s.ok('escalate', ESC), p = await slack.waitPosted('Disk full');
      slack.click('Snooze 1 h');
      await s.waitEvent('snoozed');
      const row = await escalation(s, escalation_id);
      assert.equal(row.state, 'snoozed');
      assert.ok(Math.abs(Date.parse(row.next_at) - Date.now() - 3600000) < 5000);
      await until(() => slack.buttons(p.ts).join() === 'Acknowledge,Resolve');
      slack.click('Resolve');
      await s.waitEvent('resolved');
      await slack.waitPosted(/Resolved.*by Olga Owner/);
      await until(() => slack.buttons(p.ts).length === 0);
      slack.click('Acknowledge', { ts: p.ts, stale: true });
      await sleep(500);
      assert.equal((await escalation(s, escalation_id)).state, 'resolved');
      assert.equal(s.events.length, 2);
      assert.deepEqual((await s.ok('list_escalations')).escalations, []);
    });

    test('the end of a snooze nags again', async () => {
      const [slack, s] = await pair();
      const { escalation_id } = await s.ok('escalate', ESC); await slack.waitPosted('Disk full');
      slack.click('Snooze 1 h');
      await s.waitEvent('snoozed');
      sql(s, `UPDATE slack_escalation SET due_at=due_at-3600000, due_boot=due_boot-3600000`);
      await until(() => nags(slack).length === 1, 15000);
      assert.equal((await escalation(s, escalation_id)).state, 'open');
    });

    test('the alert itself resolves it and says so; an acknowledged one that fires on is asked for once', async () => {
      const [slack, s] = await pair();
      incident(s, 7); incident(s, 8);
      const one = await s.ok('escalate', { ...ESC, incident_id: 7 }), p = await slack.waitPosted('Disk full');
      const two = await s.ok('escalate', { ...ESC, title: 'Other disk', incident_id: 8 }), q = await slack.waitPosted('Other disk');
      slack.say('looking', { thread_ts: q.ts });
      await s.waitEvent('looking');
      sql(s, `UPDATE incident SET status=1 WHERE id=7; UPDATE slack_escalation SET due_at=due_at-3600000 WHERE id=${two.escalation_id}`);
      const n = await slack.waitPosted(x => /^✅.*by the alert itself/.test(x.text), 5000);
      assert.equal(n.thread_ts, p.ts);
      assert.equal((await escalation(s, one.escalation_id)).state, 'resolved');
      const again = await slack.waitPosted(/still firing/, 5000);
      assert.equal(again.thread_ts, q.ts);
      assert.deepEqual(slack.pings(again.message), ['@' + slack.users.owner]);
      const count = slack.posted.length;
      await sleep(3000);
      assert.equal(slack.posted.length, count);
    });

    test('resolve_escalation by the agent', async () => {
      const [slack, s] = await pair();
      const { escalation_id } = await s.ok('escalate', ESC);
      await slack.waitPosted('Disk full');
      await s.ok('resolve_escalation', { escalation_id, note: 'disk grown' });
      await slack.waitPosted(/Resolved.*the agent.*disk grown/);
      assert.match((await s.call('resolve_escalation', { escalation_id: 99 })).content[0].text, /escalation_id/);
    });

    test('while Slack is down it is durable; no backlog of nags afterwards; one that ended meanwhile asks nothing', async () => {
      const [slack, s] = await pair({}, { env: { SLACK_NAG_SECONDS: '1' } });
      await slack.outage('refuse');
      const a = await s.ok('escalate', ESC), b = await s.ok('escalate', { ...ESC, title: 'Over already' });
      assert.ok(a.escalation_id && b.escalation_id);
      await s.kill();
      await sleep(3000);
      const t = await session(slack, { state: s.state, env: { SLACK_NAG_SECONDS: '4' } });
      await t.ok('resolve_escalation', { escalation_id: b.escalation_id });
      await slack.outage(false);
      const p = await slack.waitPosted('Disk full', 15000);
      const over = await slack.waitPosted('Over already', 5000);
      assert.deepEqual(slack.buttons(over.ts), []);
      await sleep(1500);
      assert.equal(nags(slack).length, 0);
      await until(() => nags(slack).length === 1, 15000);
      assert.equal(nags(slack)[0].thread_ts, p.ts);
      assert.match(nags(slack)[0].text, /Nag #1/);
    });

    test('one nag after a long sleep, and none twice across restarts', async () => {
      const [slack, s] = await pair({}, { env: { SLACK_NAG_SECONDS: '60' } });
      await s.ok('escalate', ESC); await slack.waitPosted('Disk full');
      await until(() => sql(s, `SELECT ts FROM slack_escalation`)[0][0] !== '');
      await s.kill();
      sql(s, `UPDATE slack_escalation SET created_at=created_at-5400000, due_at=due_at-5400000`);
      const t = await session(slack, { state: s.state, env: { SLACK_NAG_SECONDS: '60' } });
      await until(() => nags(slack).length === 1);
      assert.match(nags(slack)[0].text, /Nag #1, unanswered for 1 h 30 min/);
      await t.kill();
      await session(slack, { state: s.state, env: { SLACK_NAG_SECONDS: '60' } });
      await sleep(3000);
      assert.equal(nags(slack).length, 1);
    });

    test('a clock that was set back silences nothing', async () => {
      const [slack, s] = await pair({}, { env: { SLACK_NAG_SECONDS: '3' } });
      await s.ok('escalate', ESC); await slack.waitPosted('Disk full');
      await until(() => sql(s, `SELECT ts FROM slack_escalation`)[0][0] !== '');
      sql(s, `UPDATE slack_escalation SET due_at=due_at+86400000`);
      await until(() => nags(slack).length === 1, 15000);
    });
  });

  describe('permission prompts', { concurrency: 3 }, () => {
    const ask = async (slack, s, id = 'abcde', preview = 'kubectl delete pod x && echo "<!channel> & done"') => { await s.ask(id, 'Bash', preview, 'Delete the pod'); return slack.waitPosted(p => slack.shown(p.message).includes(`yes ${id}`)); };

    test('Allow by button: the whole command is shown, the verdict goes back, the message says who', async () => {
      const [slack, s] = await pair();
      const p = await ask(slack, s);
      assert.deepEqual(slack.buttons(p.ts), ['Allow', 'Deny']);
      assert.ok(slack.shown(p.message).includes('kubectl delete pod x && echo "<!channel> & done"'));
      assert.deepEqual(slack.pings(p.message), ['@' + slack.users.owner]);
      await s.ask('zzzzz', 'Bash', 'y'.repeat(7000));
      await slack.waitPosted(x => slack.shown(x.message).includes('y'.repeat(7000)));
      slack.click('Allow', { ts: p.ts });
      await until(() => s.verdicts.length === 1);
      assert.deepEqual(s.verdicts[0], { request_id: 'abcde', behavior: 'allow' });
      await until(() => /Allowed\*? by Olga Owner/.test(slack.shown(slack.message(p.ts))));
      assert.deepEqual(slack.buttons(p.ts), []);
      assert.ok(slack.shown(slack.message(p.ts)).includes('kubectl delete pod x'));
      slack.click('Deny', { ts: p.ts, stale: true });
      await slack.waitPosted(/not waiting any more: it was allowed already/);
      assert.equal(s.verdicts.length, 1);
      assert.equal(s.events.length, 0);
    });

    test('by words, in any case, which are not forwarded; an edit or a stranger decides nothing', async () => {
      const [slack, s] = await pair();
      await ask(slack, s, 'abcde'); await ask(slack, s, 'fghij'); await ask(slack, s, 'kmnop');
      slack.say('yes kmnop', { user: 'stranger' });
      const m = slack.say('hm?');
      slack.edit(m.ts, 'yes kmnop');
      slack.say('NO  Abcde'); slack.say('y fghij', { user: 'second' });
      await until(() => s.verdicts.length === 2);
      assert.deepEqual(s.verdicts, [{ request_id: 'abcde', behavior: 'deny' }, { request_id: 'fghij', behavior: 'allow' }]);
      slack.say('no problem, yes abxyz'); slack.say('no maybe');
      await s.waitEvent('no maybe');
      await sleep(300);
      assert.deepEqual(s.events.map(e => e.content), ['hm?', '(edited) yes kmnop', 'no problem, yes abxyz', 'no maybe']);
      assert.equal(s.verdicts.length, 2);
    });

    test('a long command is shown whole, what hides is made visible', async () => {
      const [slack, s] = await pair();
      const preview = Array.from({ length: 900 }, (_, i) => `line ${i} ${'é'.repeat(20)}`).join('\n') + '\u202e\u200b\x1b[31m rm -rf /';
      await ask(slack, s, 'abcde', preview);
      const all = slack.posted.map(p => slack.shown(p.message)).join('');
      for (let i = 0; i < 900; i++) assert.ok(all.includes(`line ${i} é`), `line ${i}`);
      assert.match(all, /\\u\{202E\}\\u\{200B\}\\u\{001B\}\[31m rm -rf \//);
      slack.click('Deny');
      await until(() => s.verdicts.length === 1);
      assert.equal(s.verdicts[0].behavior, 'deny');
    });

    test('reminds after two minutes, then nags; stops when it is decided', async () => {
      const [slack, s] = await pair();
      const p = await ask(slack, s);
      await until(() => sql(s, `SELECT due_at FROM slack_prompt`)[0][0] !== null);
      const [[due, at]] = sql(s, `SELECT due_at, created_at FROM slack_prompt`);
      assert.ok(due - at >= 120000 && due - at < 135000, `${due - at} ms`); // from its showing on, which a busy machine delays
      sql(s, `UPDATE slack_prompt SET due_at=due_at-120000, due_boot=due_boot-120000, created_at=created_at-120000`);
      await until(() => nags(slack).length >= 2, 20000);
      assert.match(nags(slack)[0].text, /Nag #1, unanswered for 2 min/);
      assert.equal(nags(slack)[0].thread_ts, p.ts);
      slack.click('Allow', { ts: p.ts });
      await until(() => s.verdicts.length === 1);
      const n = nags(slack).length;
      await sleep(3000);
      assert.equal(nags(slack).length, n);
    });

    test('a session that ended or went on is said so', async () => {
      const [slack, s] = await pair();
      const p = await ask(slack, s);
      await sleep(1200);
      await s.ok('list_escalations');
      await until(() => /may have been answered in the terminal/.test(slack.shown(slack.message(p.ts))));
      const q = await ask(slack, s, 'fghij');
      await s.kill();
      const t = await session(slack, { state: s.state });
      await slack.waitUp();
      await until(() => /session has ended/.test(slack.shown(slack.message(q.ts))), 15000);
      slack.click('Allow', { ts: q.ts, stale: true });
      await slack.waitPosted(/not waiting any more/);
      assert.equal(t.verdicts.length, 0);
    });
  });

  describe('two sessions', { concurrency: 2 }, () => {
    test('one holds the connection, both work, the other takes over', async () => {
      const [slack, a] = await pair();
      const b = await session(slack, { state: a.state });
      const r = await b.ok('reply', { text: 'from b' });
      assert.equal(r.status, 'sent');
      await b.ask('bbbbb', 'Bash', 'ls');
      const p = await slack.waitPosted(x => slack.shown(x.message).includes('yes bbbbb'));
      slack.click('Allow', { ts: p.ts });
      await until(() => b.verdicts.length === 1);
      assert.equal(a.verdicts.length, 0);
      slack.say('hello');
      await a.waitEvent('hello');
      assert.equal(slack.connections.length, 1);
      await a.kill();
      slack.say('b?');
      await b.waitEvent('b?', 15000);
      assert.equal(slack.socket.live.length, 1);
    });

    test('another state folder with the same app token keeps away', async () => {
      const [slack, a] = await pair();
      const b = await session(slack, { env: { XDG_RUNTIME_DIR: a.state } });
      await sleep(1500);
      assert.equal(slack.connections.length, 1);
      assert.match((await b.ok('escalate', ESC)).slack, /another process/);
    });
  });
});
