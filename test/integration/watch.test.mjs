// The agent watched from outside: what deploy/prometheus asks for is what /metrics has, and Prometheus itself understands it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before, describe } from 'node:test';
import { stringify } from 'yaml';
import { binary, notification, request, root, sleep, startChannel, tempDir, which } from '../support/channel.mjs';
import { sql } from '../support/memory.mjs';

const dashboard = JSON.parse(fs.readFileSync(path.join(root, 'deploy/prometheus/dashboard.json'), 'utf8'));
const panels = dashboard.panels.filter(p => p.type !== 'row');
const exprs = panels.flatMap(p => p.targets.map(t => t.expr));
const names = text => [...new Set(text.match(/\bsre_\w+/g))].map(n => n.replace(/_(bucket|sum|count)$/, ''));
const without = { skip: !which('promtool') && 'promtool is not installed' };

describe('the watch', () => {
  let text, c;
  before(async () => {
    c = await startChannel({ env: { WEBHOOK_TOKEN: 't', SRE_TAKE_SECONDS: '1' } });
    const headers = { authorization: 'Bearer t' };
    await c.post(notification([{ alertname: 'A', severity: 'critical' }, { alertname: 'B', severity: 'warning' }]), { headers });
    await c.post('{', { headers });
    await c.event(e => e.meta.delivery === '2', 8000);
    await c.call('log_incident', { incident_ids: [1], verdict: 'noise', summary: 'x' });
    await c.call('get_incident', { incident_id: 2 });
    const guard = spawnSync(binary('webhook-channel'), ['guard'],
      { env: c.env, input: JSON.stringify({ hook_event_name: 'PreToolUse', session_id: 's', tool_name: 'Bash', tool_input: { command: 'ls' }, cwd: '/' }), encoding: 'utf8' });
    assert.equal(guard.status, 0, guard.stderr);
    sql(c.state, "INSERT INTO counter VALUES('sre_nags_total{of=\"prompt\"}', 1)");
    const metrics = async () => (await request(c.url + '/metrics', { method: 'GET', headers })).text;
    for (let i = 0; i < 60 && !/^sre_take_seconds_count 1$/m.test(text = await metrics()); i++) await sleep(100);
  });
  after(() => c.stop());

  test('each metric that the agent promises has a sample', () => {
    for (const sample of ['sre_notifications_total 1', 'sre_alerts_total 2', 'sre_refused_total{status="400"} 1', 'sre_incidents{state="decided",verdict="noise"} 1', 'sre_incidents{state="taken",verdict="none"} 1',
      'sre_verdicts_total{verdict="noise"} 1', 'sre_take_seconds_bucket{le="+Inf"} 1', 'sre_verdict_seconds_count 1', 'sre_lease_held{channel="webhook"} 1', 'sre_slack_outbox 0', 'sre_nags_open 0',
      'sre_nags_total{of="prompt"} 1', 'sre_guard_decisions_total{decision="allow"} 1', 'sre_escalations_open 0'])
      assert.ok(text.includes(`${sample}\n`), `${sample} in\n${text}`);
    for (const some of ['sre_pushed_bytes_total', 'sre_redeliveries_total', 'sre_commit_seconds_count', 'sre_lease_age_seconds\\{channel="webhook"\\}', 'sre_commit_seconds_bucket\\{le="[^"]+"\\}'])
      assert.match(text, new RegExp(`^${some} \\d`, 'm'));
    assert.match(text, /^sre_redeliveries_total [1-9]/m);
  });

  test('Prometheus takes the metrics', without, () => {
    const r = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    assert.equal(r.status, 0, r.stdout + r.stderr);
  });

  test('the dashboard shows all of them, and no other', () => {
    const exposed = [...text.matchAll(/^# TYPE (\w+) /gm)].map(m => m[1]);
    const shown = names(exprs.join('\n'));
    const sampled = new Set(names(text.replace(/^#.*$/gm, '')));
    const optional = n => n.startsWith('sre_patrol_') && exposed.includes(n); // counts only where there is a patrol
    assert.deepEqual(shown.filter(n => !sampled.has(n) && !optional(n)), [], 'shown, but not exposed');
    assert.deepEqual(exposed.filter(n => !shown.includes(n)), [], 'exposed, but not shown');
    const variables = dashboard.templating.list.map(v => v.query).join('\n');
    assert.deepEqual(names(variables).filter(n => !sampled.has(n)), []);
  });

  test('Prometheus parses every query of the dashboard', without, () => {
    const file = path.join(tempDir(), 'rules.yml');
    const filled = e => e.replaceAll('$__rate_interval', '5m').replaceAll('$job', 'j').replaceAll('$instance', 'i');
    fs.writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules: exprs.map((e, k) => ({ record: `panel_${k}`, expr: filled(e) })) }] }));
    assert.match(execFileSync('promtool', ['check', 'rules', file], { encoding: 'utf8' }), new RegExp(`SUCCESS: ${exprs.length} rules found`));
  });
});

test('Grafana can read the dashboard', () => {
  assert.ok(dashboard.schemaVersion >= 36 && dashboard.uid === 'sre-channels' && !('id' in dashboard), 'an id is of one Grafana');
  assert.equal(new Set(dashboard.panels.map(p => p.id)).size, dashboard.panels.length);
  for (const p of dashboard.panels) {
    const { x, y, w, h } = p.gridPos;
    assert.ok(x >= 0 && w > 0 && h > 0 && x + w <= 24, p.title);
    for (const o of dashboard.panels.filter(o => o.id < p.id)) {
      const g = o.gridPos;
      assert.ok(x >= g.x + g.w || g.x >= x + w || y >= g.y + g.h || g.y >= y + h, `${p.title} lies over ${o.title}`);
    }
  }
  for (const p of panels) {
    assert.ok(['stat', 'timeseries'].includes(p.type) && p.title && p.targets.length, p.title);
    assert.equal(new Set(p.targets.map(t => t.refId)).size, p.targets.length);
    for (const t of p.targets) assert.deepEqual(t.datasource, { type: 'prometheus', uid: '${datasource}' });
  }
});
