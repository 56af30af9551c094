// How the memory behaves as it grows: the time of check_history, briefing and a new alert (its POST, and until its event is pushed), in a folder
// that test/bench/seed filled. Milliseconds: the fastest, the median, and the CPU of the channel (of a subcommand: none) for each.
//   BUILD_DIR=... node test/bench/memory.mjs STATE_DIR...
import fs from 'node:fs';
import path from 'node:path';
import { notification, startChannel, tempDir } from '../support/channel.mjs';

let c; // the channel

// All its threads, ms.
const cpu = () => fs.readdirSync(`/proc/${c.pid}/task`).reduce((n, t) => n + Number(fs.readFileSync(`/proc/${c.pid}/task/${t}/schedstat`, 'latin1').split(' ')[0]), 0) / 1e6;

async function timed(n, f) {
  const all = [], before = cpu();
  for (let i = 0; i < n; i++) {
    const begun = performance.now();
    await f(i);
    all.push(performance.now() - begun);
  }
  all.sort((a, b) => a - b);
  return `${all[0].toFixed(2)} ${all[n >> 1].toFixed(2)} ${((cpu() - before) / n).toFixed(2)}`;
}

for (const seeded of process.argv.slice(2)) {
  const state = tempDir();
  fs.mkdirSync(path.join(state, 'state'));
  fs.copyFileSync(path.join(seeded, 'incidents.db'), path.join(state, 'state', 'incidents.db'));
  c = await startChannel({ state, env: { SRE_EVENTS_PER_MINUTE: '1000', SRE_RETENTION_DAYS: '0' } });
  const incidents = (await c.call('list_incidents', { state: 'undecided', limit: 1 })).structuredContent;
  const names = { alertname: 'Alert 1', cluster: 'data-eu-1', namespace: 'ns-1', service: 'svc1' }; // the busiest of the seed
  const row = { state: seeded };
  await c.call('briefing');
  row.list_undecided = incidents.total;
  row.briefing = await timed(20, () => c.call('briefing'));
  row.history_id = await timed(20, () => c.call('check_history', { incident_id: incidents.incidents[0].incident_id }));
  row.history_problem = await timed(20, () => c.call('check_history', names));
  row.history_rule = await timed(20, () => c.call('check_history', { alertname: 'Alert 1' }));
  row.history_cluster = await timed(20, () => c.call('check_history', { cluster: 'data-eu-1' }));
  row.history_all = await timed(20, () => c.call('check_history', {}));
  row.command_briefing = await timed(10, () => c.command('briefing'));
  row.command_history = await timed(10, () => c.command('history', '--alertname', 'Alert 1'));
  row.post = await timed(60, i => c.post(notification({ ...names, alertname: 'Alert 1', service: `svc${i}`, severity: 'warning' })));
  row.post20 = await timed(30, i => c.post(notification(Array.from({ length: 20 }, (_, k) => ({ ...names, alertname: `New ${k}`, service: `svc${i}-${k}`, severity: 'warning' })))));
  row.event = await timed(20, async i => {
    const from = c.events.length;
    await c.post(notification({ ...names, service: 'svc1', alertname: 'Alert 1', pod: `p${i}`, severity: 'critical', cluster: 'data-eu-' + (i % 5), namespace: 'n' + i }));
    for (const end = Date.now() + 3000; c.events.length === from && Date.now() < end;) await new Promise(r => setImmediate(r));
  });
  console.log(JSON.stringify(row));
  await c.stop();
  fs.rmSync(state, { recursive: true, force: true });
}
process.exit(0);
