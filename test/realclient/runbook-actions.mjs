// What acts: the safe operations, the questions and the refusals, in the real Claude Code with the real guard, with stubs on PATH that write down
// what ran, and - where the project has its Slack channel - with the questions asked and answered in Slack.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startFakeSlack } from '../support/fake_slack/main.mjs';

const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'runbook-actions-')), ran = path.join(tmp, 'ran');
for (const tool of ['kubectl', 'argocd', 'git', 'helm', 'psql'])
  fs.writeFileSync(path.join(tmp, tool), `#!/bin/sh\necho "${tool} $*" >>"${ran}"\necho "stub of ${tool}"\n`, { mode: 0o755 });
const commands = () => fs.existsSync(ran) ? fs.readFileSync(ran, 'utf8').trim().split('\n').filter(l => !l.startsWith('git ') || l.startsWith('git push')) : [];

export const limit_s = 240;
const tool = (name, input) => ({ type: 'tool_use', name, input }), bash = command => tool('Bash', { command, description: 'x' });
const MAIN = '(^| )Agent( |$)', SUB = '^(?!.*(^| )Agent( |$))';
const dev = 'kubectl --context dev-1 -n data', prod = 'kubectl --context prod-1 -n data';

// what the operator tries, in order: what the guard must say, and what a person answers when asked
const tries = [
  ['runs', `${dev} rollout restart deployment/web`],
  ['runs', `${dev} delete pod web-7d9c5b6f4-x2x9k`],
  ['runs', `${dev} patch workflow ingest-abcde --type merge -p '{"spec":{"shutdown":"Terminate"}}'`],
  ['runs', 'argocd app get web --argocd-context dev-1 --refresh'],
  ['runs', `${prod} rollout restart deployment/api`],           // an open incident names it
  ['runs', `${prod} rollout restart deployment/api`],
  ['Deny', `${prod} rollout restart deployment/api`],           // the third in four hours
  ['Allow', `${prod} rollout restart deployment/other`],        // no incident names it
  ['Deny', `${dev} scale deployment/web --replicas=3`],
  ['refused', `sh -c 'kubectl --context dev-1 delete namespace data'`],
  ['refused', `timeout 5 kubectl --context=dev-1 get secret db -n data -o yaml`],
  ['refused', `env kubectl -n data exec web-1 -- id`],
  ['refused', `${dev} delete pods --all`],
];
const plain = c => c.replaceAll("'", '');

export default async function (t) {
  const servers = Object.keys(JSON.parse(fs.readFileSync(path.join(t.dir, '.mcp.json'), 'utf8')).mcpServers), slack = servers.includes('slack') ? await startFakeSlack() : null;
  const post = labels => t.http('POST', 'http://127.0.0.1:8788/webhook', JSON.stringify({ version: '4', status: 'firing', receiver: 'x', groupLabels: {}, commonLabels: {}, commonAnnotations: {}, externalURL: '', groupKey: '{}',
    alerts: [{ status: 'firing', labels, annotations: { summary: 'x' }, startsAt: new Date().toISOString(), endsAt: '0001-01-01T00:00:00Z', generatorURL: '' }] }), { 'content-type': 'application/json' });
  const agent = (type, prompt) => tool('Agent', { description: prompt, subagent_type: type, prompt, run_in_background: true });
  await t.rules([
    { when: '<channel source="webhook"[^>]*alertname="KubePodCrashLooping"', tools: MAIN, once: true, blocks: [agent('investigator', 'Look now'), agent('operator', 'Act now')] },
    { when: 'Look now', tools: SUB, once: true, blocks: [bash(`${dev} delete pod looked-7d9c5b6f4-x2x9k`)] },
    { when: 'only looks', tools: SUB, once: true, blocks: [bash(`touch ${tmp}/asked`)] },
    { when: 'nobody is asked', tools: SUB, once: true, blocks: [{ type: 'text', text: 'LOOKED' }] },
    { when: 'Act now', tools: SUB, once: true, blocks: [bash(tries[0][1])] },
    ...tries.slice(1).map(([, c]) => ({ when: '\\[\\[tool_result', tools: SUB, once: true, blocks: [bash(c)] })),
    { when: '\\[\\[tool_result', tools: SUB, once: true, blocks: [{ type: 'text', text: '=== RESULT ===' }] },
  ]);
  await t.start({ channels: servers.map(s => 'server:' + s), env: { PATH: `${tmp}:${process.env.PATH}`, SRE_STATE_DIR: path.join(tmp, 'state'), WEBHOOK_LISTEN: '127.0.0.1:8788', SRE_DEV_CLUSTERS: 'dev-*', SRE_PROD_CLUSTERS: 'prod-*', ...slack?.env } });
  if (slack) await slack.waitUp();
  await post({ alertname: 'High Error Rate', severity: 'error', cluster: 'prod-1', namespace: 'data', service: 'api', deployment: 'api' });
  t.ok(await t.turn(/alertname="High Error Rate"/), 'an incident in production is open');
  await post({ alertname: 'KubePodCrashLooping', severity: 'warning', cluster: 'dev-1', namespace: 'data', service: 'web' });

  // answer each question as it comes: in Slack, or at the terminal
  const asked = [];
  const answer = async () => {
    const n = asked.length, want = tries.filter(([w]) => w === 'Allow' || w === 'Deny')[n];
    if (!want) return;
    if (slack) {
      const p = slack.posted.find(m => !asked.some(a => a.ts === m.ts) && JSON.stringify(m).includes('"Allow"'));
      if (!p) return;
      asked.push({ ts: p.ts, shown: slack.shown(p) });
      slack.click(want[0], { ts: p.ts, user: 'owner' });
    } else {
      const screen = t.screen(), words = x => x.replace(/\s+/g, ' ');
      if (!/Do you want to proceed\?/.test(screen) || !words(screen).includes(words(want[1]))) return;
      asked.push({ shown: screen });
      t.keys(want[0] === 'Allow' ? '1' : '2');       // some clients take the key at once, others only move to it
      await t.sleep(500);
      if (words(t.screen()).includes(words(want[1])) && /Do you want to proceed\?/.test(t.screen())) t.keys('Enter');
      await t.sleep(500);
    }
  };
  const done = await t.until(async () => { await answer(); await t.sync(); return t.turns.some(x => !x.agent && x.last.includes('=== RESULT ===')); }, 120000);
  t.ok(done, 'the operator came to its end');

  const expected = tries.filter(([w]) => w === 'runs' || w === 'Allow').map(([, c]) => plain(c));
  t.ok(JSON.stringify(commands()) === JSON.stringify(expected), 'what ran is what was safe or allowed by a person, in order ' + (JSON.stringify(commands()) === JSON.stringify(expected) ? '' : JSON.stringify(commands(), null, 1)));
  const questions = tries.filter(([w]) => w === 'Allow' || w === 'Deny');
  t.ok(asked.length === questions.length, `${questions.length} questions were asked, no more: ${asked.length}`);
  for (const [i, q] of questions.entries()) t.ok(asked[i] && plain(JSON.stringify(asked[i].shown)).replace(/[\\`\s"]/g, '').includes(plain(q[1]).replace(/[\\`\s"]/g, '')), `question ${i + 1} shows the whole command`);
  const refused = t.turns.filter(x => x.agent && /PreToolUse[^\n]*(denied|blocked)|\[\[tool_result error\]\]/.test(x.last)).length;
  t.ok(refused >= tries.filter(([w]) => w === 'refused' || w === 'Deny').length + 2, 'each refusal was told to the agent');
  t.ok(t.turns.some(x => x.agent && /only looks/.test(x.last)) && !commands().some(c => c.includes('looked-')), 'an investigator does not act');
  t.ok(t.turns.some(x => x.agent && /nobody is asked/.test(x.last)) && !fs.existsSync(path.join(tmp, 'asked')), 'and asks nobody');
  if (slack) { t.ok(slack.violations.length === 0, 'Slack has nothing to complain of ' + JSON.stringify(slack.violations).slice(0, 300)); await slack.stop(); }
  fs.rmSync(tmp, { recursive: true, force: true });
}
