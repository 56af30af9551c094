// The runbook against the real guard: everything a playbook tells an investigator to run passes without a question, its safe action waits for
// an incident in production, and what the rules forbid is refused.
import { test, describe, before, after } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnSync } from 'node:child_process';
import { files, read, fill } from '../support/runbook/playbooks.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const binary = path.join(process.env.BUILD_DIR ?? path.join(root, 'build'), 'webhook-channel');
const books = files().map(read);
const actions = b => [...b.section('Safe action').replace(/\s*\n\s*/g, ' ').matchAll(/`((?:kubectl|argocd) [^`]+)`/g)].map(m => fill(m[1]));

describe('the runbook and the guard', { skip: !fs.existsSync(binary) && 'webhook-channel is not built' }, () => {
  let dir;
  before(() => { dir = fs.mkdtempSync(path.join(os.tmpdir(), 'runbook-guard-')); });
  after(() => fs.rmSync(dir, { recursive: true, force: true }));
  function guard(command, more = {}) {
    const hook = { session_id: 's', cwd: root, permission_mode: 'default', hook_event_name: 'PreToolUse', tool_name: 'Bash', tool_input: { command }, ...more };
    const r = spawnSync(binary, ['guard'], { input: JSON.stringify(hook), encoding: 'utf8', env: { PATH: process.env.PATH, HOME: dir, SRE_STATE_DIR: path.join(dir, 'state'), SRE_DEV_CLUSTERS: 'dev-*', SRE_PROD_CLUSTERS: 'prod-*', SRE_READ_HOSTS: 'signoz.example.com,gitlab.example.com', SRE_LOG: 'error' } });
    assert.equal(r.status, 0, `${command}\n${r.stderr}`);
    const o = JSON.parse(r.stdout).hookSpecificOutput;
    return [o.permissionDecision, o.permissionDecisionReason];
  }
  const investigator = { agent_type: 'investigator', agent_id: 'a1', permission_mode: 'dontAsk' }, operator = { agent_type: 'operator', agent_id: 'a2' };

  for (const b of books) test(`${b.file}: an investigator may run every check, in dev and in production`, () => {
    for (const f of b.fences) for (const cluster of ['dev-1', 'prod-1']) {
      const command = fill(f.code).replaceAll('dev-1', cluster), [decision, why] = guard(command, investigator);
      assert.equal(decision, 'allow', `${why}\n${command}`);
    }
  });
  test("the operator's safe actions pass in dev, ask in production without an incident, and are never an investigator's", () => {
    const all = [...new Set(books.flatMap(actions))];
    assert.ok(all.length >= 4, all.join('\n'));
    for (const command of all) {
      assert.equal(guard(command, operator)[0], 'allow', command);
      assert.equal(guard(command.replaceAll('dev-1', 'prod-1'), operator)[0], 'ask', command);
      assert.equal(guard(command, investigator)[0], 'deny', command);
    }
  });
  test("the operator's verification passes", () => {
    const agent = fs.readFileSync(path.join(root, '.claude/agents/operator.md'), 'utf8').split('\n').filter(l => /^    (timeout|kubectl .* (rollout status|get)) /.test(l)).map(l => fill(l.trim().replace('SELECTOR', 'app=web')));
    assert.ok(agent.length >= 4);
    for (const command of agent) assert.deepEqual(guard(command, operator)[0], 'allow', command);
  });
  test('what the rules forbid is refused, whoever asks', () => {
    for (const command of ['kubectl --context dev-1 delete namespace data', 'kubectl --context dev-1 -n data delete pvc data-web-0', 'kubectl --context dev-1 -n data delete pod --all', 'kubectl --context dev-1 -n data get secret db -o yaml',
      'kubectl --context dev-1 -n argocd delete application web', 'argocd app delete web --argocd-context dev-1', 'kubectl --context dev-1 -n data scale deployment/web --replicas=0', 'kubectl --context dev-1 -n data exec web-1 -- id',
      'kubectl --context dev-1 -n data port-forward web-1 8080', 'git push origin main', 'psql -c "select 1"', 'kubectl --kubeconfig /tmp/k get pods', 'kubectl --context dev-1 --as admin get pods'])
      for (const who of [{}, operator, investigator]) assert.equal(guard(command, who)[0], 'deny', command);
  });
});
