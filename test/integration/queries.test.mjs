// No question to the store reads a table that grows from end to end: with SRE_LOG=debug the program says which query does.
import assert from 'node:assert/strict';
import test from 'node:test';
import { command, notification, request, sleep, startChannel } from '../support/channel.mjs';
import { day, hour, seed, sql, times } from '../support/memory.mjs';

// Indexes of what is open, due or waiting: small by themselves, since what is decided and told is not in them.
const small = /SCAN \w+ USING (COVERING )?INDEX (incident_(undecided|waiting|tell|firing|due|taken|untaken|evidence)|slack_\w+_(open|live|due|new)|proposal_open)\b/;
// Tables with a row a process, cluster (and state), counter, rule change or waiting fold.
const few = /SCAN (listener|lease|watchdog|counter|census|agent_failure|noise_fold|f|proposal|CONSTANT ROW|\d+ CONSTANT ROWS?)\b/;
// Results of a part of the query itself, which has its index.
const parts = /SCAN (\(subquery-\d+\)|e|w|member|tally_key|pragma_\w+)( VIRTUAL TABLE.*)?$/;

// What one digest folds is read whole, from a temporary table.
const digest = (plan, sql) => /\bdigest(_node)?\b/.test(sql) && /SCAN (d|n|digest)$/.test(plan);

test('every query of the program has its index', async () => {
  let log = '';
  const c = await startChannel({ env: { SRE_LOG: 'debug', SRE_TAKE_SECONDS: '1', SRE_UNATTENDED_SECONDS: '1', SRE_EVENTS_PER_MINUTE: '5', WEBHOOK_TOKEN: 't' } });
  const auth = { headers: { authorization: 'Bearer t' } };
  const run = async (...words) => { log += (await command({ ...c.env, SRE_LOG: 'debug' }, ...words)).stderr; };
  const label = k => ({ alertname: 'Slow', service: `tenant-test-${k}`, cluster: 'dev-1', namespace: 'n', severity: k % 2 ? 'warning' : 'critical' });
  seed(c.state, [
    ...times(20, k => ({ ...label(1), verdict: 'noise', ago: (k + 1) * hour })), { ...label(2), verdict: 'real', ago: day }, { ...label(3), verdict: 'noise', ago: 400 * day },
  ]);
  for (let k = 0; k < 12; k++) await c.post(notification(label(k)), auth);
  await c.post(notification({ alertname: 'TestAlert' }), auth);
  await c.post(notification(label(1), { status: 'resolved' }), auth);
  for (const args of [{ incident_id: 1 }, {}, { alertname: 'Slow' }, { service: 'a' }, { cluster: 'dev-1' }, { namespace: 'n' }, { alertname: 'Slow', cluster: 'dev-1' }, { alertname: 'Slow', service: 'tenant-test-1' }])
    await c.call('check_history', args);
  await c.call('get_incident', { incident_id: 25 });
  await c.call('log_incident', { incident_ids: [24, 25], verdict: 'real', summary: 'x' });
  await c.call('log_incident', { incident_ids: [25], verdict: 'noise', summary: 'x' });
  await c.post(notification(label(2), { status: 'resolved' }), auth);
  for (const state of ['undecided', 'open', 'all']) await c.call('list_incidents', { state, cluster: 'dev-1' });
  await c.call('briefing');
  await c.call('tuning_proposals');
  await c.call('decide_proposal', { proposal_id: 1, decision: 'rejected' });
  for (const days of [7, 365]) await request(`${c.url}/report?days=${days}`, { method: 'GET', ...auth });
  await sleep(3500);
  sql(c.state, 'UPDATE weekly SET told_at = 0');
  for (const words of [['briefing'], ['history'], ['incidents'], ['incidents', '--state', 'open'], ['incidents', '--state', 'all'], ['export'], ['export', '--days', '7'], ['audit'], ['audit', '--incident', '25'], ['proposals'], ['report', '--html', '-'], ['report', '--weekly'], ['postmortem', '25']])
    await run(...words);
  await c.stop();
  log += c.stderr;
  const asked = new Set(log.split('\n').filter(l => / msg=query /.test(l)).map(l => l.replace(/.* sql=/, '')));
  assert.ok(asked.size > 100, `${asked.size} queries seen`);
  const scans = new Set(log.split('\n').filter(l => l.includes('query scans')).map(l => /plan="?(.*?)"? sql=(.*)/.exec(l)).filter(([, plan, sql]) => !small.test(plan) && !few.test(plan) && !parts.test(plan) && !digest(plan, sql)).map(([, plan, sql]) => `${plan}: ${sql}`));
  assert.deepEqual([...scans], []);
});
