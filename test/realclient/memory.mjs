// The memory in the real client: the briefing is in the first context, and what was noise twelve times is dismissed with one call.
import fs from 'node:fs';
import path from 'node:path';
import { notification, startChannel } from '../support/channel.mjs';

export const limit_s = 120;

const labels = { alertname: 'High Latency', severity: 'warning', service: 'openaire-test', cluster: 'data-prod' };

async function twelveTimesNoise(state) {
  const c = await startChannel({ state, env: { SRE_FLAP_SECONDS: '0' } });
  for (let id = 1; id <= 12; id++) {
    await c.post(notification(labels));
    await c.call('log_incident', { incident_ids: [id], verdict: 'noise', summary: 'one slow batch request' });
    await c.post(notification(labels, { status: 'resolved' }));
  }
  await c.stop();
}

export default async function (t) {
  const state = fs.mkdtempSync(path.join(t.home, 'memory-'));
  await twelveTimesNoise(state);
  const env = { SRE_STATE_DIR: path.join(state, 'state'), SRE_CONFIG: path.join(state, 'none'), WEBHOOK_LISTEN: '127.0.0.1:18792', SRE_FLAP_SECONDS: '0' };
  t.rules([{ when: '<channel source="webhook"[^>]*High Latency', once: true,
    blocks: [{ type: 'tool_use', name: 'mcp__webhook__log_incident', input: { incident_ids: [13], verdict: 'noise', summary: 'known noise' } }] }]);
  await t.start({ env, channels: ['server:webhook'] });
  const r = await t.http('POST', 'http://127.0.0.1:18792/', JSON.stringify(notification(labels)), { 'content-type': 'application/json' });
  t.ok(r.status === 200, 'the alert is accepted');
  const turn = await t.turn(/<channel source="webhook"[^>]*High Latency/);
  t.ok(turn, 'the event reaches the model');
  t.ok(/=== SRE Briefing - last 7 days ===/.test(turn?.text), 'the briefing is in the first context');
  t.ok(/Total: 12 alerts \| 12 noise \| 0 real/.test(turn?.text), 'with numbers that add up');
  t.ok(/High Latency on openaire-test \| 12x/.test(turn?.text), 'and the recurring noise');
  t.ok(/seen_7d="12"/.test(turn?.last) && /noise_7d="12"/.test(turn?.last) && /last_verdict="noise"/.test(turn?.last), 'the event carries its history');
  const logged = await t.turn(/tool_result/);
  t.ok(/"verdict":"noise"/.test(logged?.last), 'one log_incident call dismisses it');
}
