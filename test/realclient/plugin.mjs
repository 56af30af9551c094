// Starts without a key press: the plugin, allowed by managed settings. The servers of the project's .mcp.json stay off.
import path from 'node:path';

export const limit_s = 120;

export default async function (t) {
  const state = path.join(t.home, 'state');
  const env = { SRE_STATE_DIR: state, WEBHOOK_LISTEN: '127.0.0.1:18790', SRE_CONFIG: path.join(t.home, 'none') };
  await t.start({
    env,
    flag: '--channels',
    channels: ['plugin:sre-channels@sre-channels'],
    plugins: { [path.join(t.dir, 'deploy/plugin')]: ['sre-channels@sre-channels'] },
    managed: { disabledMcpjsonServers: ['webhook', 'slack'], channelsEnabled: true, allowedChannelPlugins: [{ marketplace: 'sre-channels', plugin: 'sre-channels' }] },
  });
  t.ok(t.dialogs.length === 0, `no dialog asked for a key press (${t.dialogs})`);
  const log = t.debug();
  t.ok(/MCP server "plugin:sre-channels:webhook": Channel notifications registered/.test(log), 'the plugin is registered as a channel');
  t.ok(/MCP server "plugin:sre-channels:slack": Channel notifications registered/.test(log), 'and so is its Slack channel');
  t.ok(!/MCP server "webhook": .*(connected|Starting)/i.test(log), 'the server of .mcp.json does not start a second time');
  const body = JSON.stringify({ version: '4', status: 'firing', receiver: 'r', alerts: [{ status: 'firing', labels: { alertname: 'PluginAlert', severity: 'critical' }, annotations: { summary: 's' }, startsAt: '2026-11-24T03:00:00Z' }] });
  t.rules([{ when: 'PluginAlert', once: true, blocks: [{ type: 'tool_use', name: 'mcp__plugin_sre-channels_webhook__log_incident', input: { incident_ids: [1], verdict: 'noise', summary: 'from the scenario' } }] }]);
  const r = await t.http('POST', 'http://127.0.0.1:18790/', body, { 'content-type': 'application/json' });
  t.ok(r.status === 200, `the POST is accepted (${r.status})`);
  const turn = await t.turn(/<channel source="[^"]*"[^>]*PluginAlert/);
  t.ok(turn, 'the event reaches the model');
  t.ok(turn && turn.tools.includes('mcp__plugin_sre-channels_webhook__log_incident'), `log_incident is offered: ${turn && turn.tools.filter(x => /webhook/.test(x))}`);
  const logged = await t.turn(/tool_result/);
  t.ok(logged && /"verdict":"noise"/.test(logged.last), `the verdict lands: ${logged && logged.last.slice(0, 200)}`);
}
