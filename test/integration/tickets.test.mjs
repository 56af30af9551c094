// create_ticket against a Jira Cloud, a Jira Server and a GitLab that check what they are sent.
import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { notification, sleep, startChannel, tempDir, until } from '../support/channel.mjs';
import { fakeTickets } from '../support/fake_tickets.mjs';
import { sql } from '../support/memory.mjs';

const body = `Seen 3 times in 14 days.\n\n- limit is 512Mi {code}\n- see https://grafana.example.com/d/a_b\n\n\`\`\`\nkubectl top pod\n\`\`\`\n/close\ntoken ghp_${'a'.repeat(36)}`;
const ticket = (ids, o = {}) => ({ title: 'Raise the memory limit of checkout', body, incident_ids: ids, ...o });
const fire = async (c, service = 'checkout') => (await c.post(notification({ severity: 'warning', service, cluster: 'p' }))).json.incidents[0];
const create = async (c, ids, o) => { const r = await c.call('create_ticket', ticket(ids, o)); assert.ok(!r.isError, r.content[0].text); return r.structuredContent; };
const incident = async (c, id) => (await c.call('get_incident', { incident_id: id })).structuredContent;
const start = (f, o = {}) => startChannel({ ...o, env: { ...f.env, SRE_FLAP_SECONDS: '0', ...o.env } });
const end = async (c, f) => { assert.deepEqual(f.errors, []); await c.stop(); };
const trail = async c => JSON.parse((await c.command('audit', '--json')).stdout).trail;

describe('tickets', { concurrency: 4 }, () => {
  test('unconfigured says which keys are missing', async () => {
    const c = await startChannel({ env: { JIRA_URL: 'https://x.atlassian.net', GITLAB_TOKEN: 't' } });
    const r = await c.call('create_ticket', ticket([await fire(c)]));
    assert.equal(r.isError, true);
    assert.match(r.content[0].text, /Jira JIRA_TOKEN, JIRA_PROJECT .*JIRA_EMAIL.*GitLab GITLAB_URL, GITLAB_PROJECT$/);
    assert.equal((await startChannel({ env: { JIRA_URL: 'http://jira.example.com' } }).catch(e => e.message)).includes('JIRA_URL must be an https URL'), true);
    await c.stop();
  });

  for (const kind of ['cloud', 'server', 'gitlab'])
    test(`${kind}: one ticket a problem, a comment for what comes again, a new one when it was closed`, async () => {
      const f = await fakeTickets(kind), c = await start(f), gitlab = kind === 'gitlab';
      const a = await fire(c);
      const made = await create(c, [a], { labels: ['memory limit'], assignee: 'ana', links: ['https://wiki.example.com/x'] });
      const key = gitlab ? '1' : 'OPS-1';
      assert.deepEqual(made, { ticket: key, url: f.url + (gitlab ? '/ops/alerts/-/issues/1' : '/browse/OPS-1'), state: 'created' });
      const [i] = f.issues;
      assert.equal(i.summary, 'Raise the memory limit of checkout');
      for (const re of [/Seen 3 times/, /https:\/\/grafana\.example\.com\/d\/a_b/, /kubectl top pod/, /https:\/\/wiki\.example\.com\/x/, new RegExp(`#${a} `)]) assert.match(i.text, re);
      assert.doesNotMatch(i.text, /ghp_/);
      assert.ok(i.labels.includes(gitlab ? 'memory limit' : 'memory-limit'));
      assert.ok(gitlab ? i.assignee === '@ana' && i.actions.length === 1 : Object.values(i.assignee)[0] === 'ana');
      if (kind === 'server') assert.match(i.text, /\* limit is 512Mi \\\{code\\\}[^]*\{code\}\nkubectl top pod\n\{code\}/);
      assert.equal((await incident(c, a)).ticket, key);
      assert.equal((await c.export())[0].ticket, key);
      assert.match((await c.call('list_incidents')).content[0].text, new RegExp(`, ticket ${key}$`, 'm'));
      assert.match((await c.call('briefing')).content[0].text, new RegExp(`, ticket ${key}$`, 'm'));
      assert.match((await trail(c)).find(t => t.action === 'page').detail, new RegExp(`Ticket ${key}: Raise the memory limit`));

      await c.post(notification({ severity: 'warning', service: 'checkout', cluster: 'p' }, { status: 'resolved' }));
      const b = await fire(c);
      assert.notEqual(a, b);
      assert.equal((await create(c, [b], { body: 'again, at 600Mi' })).state, 'commented');
      assert.equal(f.issues.length, 1);
      assert.match(i.comments[0], /again, at 600Mi[^]*sre-/);
      assert.equal((await incident(c, b)).ticket, key);

      i.open = false;
      await create(c, [b], { body: 'and again' });
      await until(() => f.issues.length === 2, 5000, 'the second');
      await until(async () => (await incident(c, b)).ticket === (gitlab ? '2' : 'OPS-2'), 5000, 'its key');
      assert.equal((await incident(c, a)).ticket, key);
      assert.equal(i.comments.length, 1);
      await end(c, f);
    });

  test('what the agent gets wrong is said, and nothing is kept', async () => {
    const f = await fakeTickets('cloud'), c = await start(f, { env: { JIRA_ISSUE_TYPE: 'Story' } });
    const id = await fire(c);
    for (const [o, re] of [[{ incident_ids: [999] }, /no incident 999/], [{ assignee: 'a b' }, /assignee/], [{}, /refused/]]) {
      const r = await c.call('create_ticket', { ...ticket([id]), ...o });
      assert.equal(r.isError, true);
      assert.match(r.content[0].text, re);
    }
    assert.match((await trail(c)).find(t => t.action === 'ticket refused').detail, /HTTP status 400: issuetype: Specify a valid issue type/);
    assert.equal((await incident(c, id)).ticket, null);
    await end(c, f);
  });

  test('an assignee that Jira does not know costs the assignee, not the ticket', async () => {
    const f = await fakeTickets('server'), c = await start(f);
    assert.equal((await create(c, [await fire(c)], { assignee: 'nobody' })).ticket, 'OPS-1');
    assert.equal(f.issues[0].assignee, undefined);
    await end(c, f);
  });

  test('a wrong token is named, and the ticket waits for a right one', async () => {
    const f = await fakeTickets('cloud'), state = tempDir(), c = await start(f, { state, env: { JIRA_TOKEN: 'wrong' } });
    const id = await fire(c), r = await c.call('create_ticket', ticket([id]));
    assert.equal(r.structuredContent.state, 'queued');
    assert.match(r.content[0].text, /HTTP status 401: the token is not accepted/);
    assert.doesNotMatch(c.stderr, /wrong/);
    await c.stop();
    const again = await start(f, { state });
    await until(() => f.issues.length, 20000, 'the ticket');
    await end(again, f);
  });

  test('429 waits as long as it says; 500 and a lost answer make no second ticket', async () => {
    const f = await fakeTickets('cloud'), c = await start(f);
    const faults = [{ status: 429, headers: { 'retry-after': '2' } }, { drop: true, after: true }];
    const at = [];
    f.fault = step => { if (step === 'create') { at.push(Date.now()); return faults.shift(); } };
    const id = await fire(c);
    assert.equal((await create(c, [id])).state, 'queued');
    await until(async () => (await incident(c, id)).ticket, 15000, 'the key');
    assert.ok(at[1] - at[0] >= 2000, `${at[1] - at[0]}`);
    assert.equal(f.issues.length, 1);
    assert.equal(at.length, 2, 'found by its mark');
    f.fault = (() => { let n = 0; return step => step === 'comment' && !n++ ? { status: 500, after: true } : null; })();
    await create(c, [id], { body: 'more' });
    await until(() => f.log.includes('look'), 15000, 'a look');
    await sleep(300);
    assert.equal(f.issues[0].comments.length, 1);
    await end(c, f);
  });

  test('killed while the answer is on its way: one ticket, and the next session has its key', async () => {
    const f = await fakeTickets('gitlab'), state = tempDir(), c = await start(f, { state });
    let created, go;
    const reached = new Promise(r => { created = r; }), hold = new Promise(r => { go = r; });
    f.fault = step => { if (step === 'create') { created(); return { after: true, hold, drop: true }; } };
    const id = await fire(c);
    c.call('create_ticket', ticket([id])).catch(() => {});
    await reached;
    c.kill('SIGKILL');
    await c.exited;
    go();
    f.fault = () => null;
    const next = await start(f, { state });
    await until(async () => (await incident(next, id)).ticket === '1', 15000, 'the key');
    assert.equal(f.issues.length, 1);
    await end(next, f);
  });

  test('a comment that may be there already is looked for in GitLab, too, and written when it is not', async () => {
    const f = await fakeTickets('gitlab'), c = await start(f), id = await fire(c);
    await create(c, [id]);
    f.fault = (() => { let n = 0; return step => step === 'comment' && !n++ ? { status: 500 } : null; })();
    await create(c, [id], { body: 'more' });
    await until(() => f.issues[0].comments.length, 15000, 'the comment');
    assert.ok(f.log.includes('look'));
    assert.equal(f.issues[0].comments.length, 1);
    await end(c, f);
  });

  test('labels with commas, many incidents, an end before the answer', async () => {
    const f = await fakeTickets('gitlab'), state = tempDir(), c = await start(f, { state });
    const ids = [];
    for (let i = 0; i < 12; i++) ids.push(await fire(c, `s-${i}`));
    await create(c, ids, { labels: ['a,b', 'c'] });
    assert.match(f.issues[0].text, /- and 2 more/);
    assert.ok(f.issues[0].labels.includes('a b') && f.issues[0].labels.includes('c'));
    const hold = new Promise(() => {});
    f.fault = step => (step === 'create' ? { hold } : null);
    const waits = c.call('create_ticket', ticket([await fire(c, 'last')]));
    await until(() => f.log.filter(s => s === 'create').length === 2, 5000, 'the attempt');
    c.kill('SIGTERM');
    const r = await waits.catch(e => ({ isError: true, content: [{ text: String(e) }] }));
    assert.match(r.content[0].text, /the channel ends; the ticket is stored|closed/i);
    await c.exited;
    f.fault = () => null;
    const next = await start(f, { state });
    await until(() => f.issues.length === 2, 15000, 'the ticket');
    await end(next, f);
  });

  test('an hour is the longest wait', async () => {
    const f = await fakeTickets('cloud'), c = await start(f);
    f.fault = step => (step === 'create' ? { status: 429, headers: { 'retry-after': '86400' } } : null);
    const r = await c.call('create_ticket', ticket([await fire(c)]));
    assert.equal(r.structuredContent.state, 'queued');
    assert.match(r.content[0].text, /HTTP status 429/);
    const due = Number(sql(c.state, 'SELECT due_at FROM ticket_outbox')) - Date.now();
    assert.ok(due > 3_500_000 && due <= 3_600_000, `${due} ms`);
    await end(c, f);
  });
});
