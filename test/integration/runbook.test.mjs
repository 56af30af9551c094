// The runbook as files: playbooks, dispatch rules, agents and settings are what the channel, the guard and the client need them to be.
import { test, describe } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { parse } from 'yaml';
import { files, read, words, overlap, fill, placeholders, known, frontMatter } from '../support/runbook/playbooks.mjs';

const root = new URL('../../', import.meta.url);
const text = name => fs.readFileSync(new URL(name, root), 'utf8');
const books = files().map(read), names = new Set(books.map(b => b.name));
const HEADINGS = ['Meaning and blast radius', 'Known noise', 'Checks', 'Verdict', 'Safe action', 'Never', 'Escalate with', 'Stop after'];
const FAMILIES = ['high-error-rate', 'pod-crash-looping', 'oom-killed', 'image-pull', 'argocd-out-of-sync', 'argocd-sync-failed', 'pvc-filling-up', 'high-latency', 'database-errors', 'certificate-mtls',
  'minio', 'qdrant', 'argo-workflows-stuck', 'node-pressure', 'tenant-inactive', 'replicas-mismatch', 'job-failed', 'pending-pods', 'monitoring-blind', 'multiple-services', 'unknown-alert'];
const READ_VERBS = new Set(['get', 'describe', 'logs', 'top']);
const CLUSTER_SCOPED = /^(nodes?|namespaces|apiservices|storageclass|volumeattachments|clusterissuers\.cert-manager\.io|validatingwebhookconfigurations,mutatingwebhookconfigurations)$/;
const SAFE = [/^kubectl --context CLUSTER -n NS rollout restart deployment\/DEPLOY$/, /^kubectl --context CLUSTER -n NS delete pod POD$/,
  /^kubectl --context CLUSTER -n NS patch workflow WORKFLOW --type merge -p '\{"spec":\{"shutdown":"Terminate"\}\}'$/, /^argocd app get APP --argocd-context CLUSTER --refresh$/];

// A command of a check reads, names its cluster and goes only where the guard lets it.
function mustOnlyRead(command) {
  const w = words(command);
  for (const p of placeholders(command)) assert.ok(known.has(p) || /^(GET|DNS)$/.test(p), `unknown placeholder ${p}`);
  if (w[0] === 'kubectl') {
    assert.deepEqual(w.slice(1, 3), ['--context', 'CLUSTER']);
    const rest = w.slice(3), namespaced = rest[0] === '-n';
    if (namespaced) { assert.match(rest[1], /^([A-Z]+|argo|argocd|istio-system|kube-system)$/); rest.splice(0, 2); }
    assert.ok(READ_VERBS.has(rest[0]), `verb ${rest[0]}`);
    if (!namespaced) assert.ok(rest.includes('-A') || CLUSTER_SCOPED.test(rest[1]), 'neither a namespace nor cluster-scoped');
    if (rest[0] === 'logs') assert.ok(rest.some(x => /^--(tail|since)=/.test(x)) && !rest.includes('-f'), 'unbounded logs');
    assert.doesNotMatch(command, / (get|describe) \S*(secret|configmap)|--raw|--as\b|--token|--kubeconfig|--server|-o (json|yaml)\b|--watch|(^| )-w( |$)/i);
  } else if (w[0] === 'argocd') {
    assert.deepEqual(w, ['argocd', 'app', 'get', 'APP', '--argocd-context', 'CLUSTER']);
  } else {
    assert.equal(w[0], 'curl');
    const urls = w.filter(x => x.startsWith('https://'));
    assert.equal(urls.length, 1);
    assert.match(urls[0], /^https:\/\/(SIGNOZ|GITLAB)\/api\/v\d\/[A-Za-z0-9_/]+$/);
    for (let i = 1; i < w.length; i++) {
      if (w[i] === '-H') assert.equal(w[++i], urls[0].includes('GITLAB') ? 'PRIVATE-TOKEN: $GITLAB_TOKEN' : 'SIGNOZ-API-KEY: $SIGNOZ_API_KEY');
      else if (w[i] === '--data-urlencode') { assert.ok(w.includes('-G'), 'data without -G is a POST'); assert.match(w[++i], /^[a-z_]+(\[\])?=/); }
      else assert.ok(['-sS', '-G', urls[0]].includes(w[i]), `curl ${w[i]}`);
    }
    const query = w.find(x => x.startsWith('query='));
    if (query) balanced(query.slice(6));
  }
}
function balanced(promql) {
  const open = [], pair = { ')': '(', '}': '{', ']': '[' };
  let quoted = false;
  for (const c of promql) {
    if (c === '"') quoted = !quoted;
    else if (!quoted && '({['.includes(c)) open.push(c);
    else if (!quoted && ')}]'.includes(c)) assert.equal(open.pop(), pair[c], promql);
  }
  assert.ok(!quoted && open.length === 0, promql);
}

describe('playbooks', () => {
  test('every family of the runbook has one', () => assert.deepEqual(FAMILIES.filter(f => !names.has(f)), []));
  for (const b of books) describe(b.file, () => {
    test('40 to 90 lines, each of readable length', () => {
      assert.ok(b.lines >= 40 && b.lines <= 90, `${b.lines} lines`);
      for (const l of b.text.split('\n')) if (!/^ *(kubectl|curl|argocd|\|)/.test(l) && !l.startsWith('alerts:')) assert.ok(l.length <= 190, `${l.length}: ${l}`);
    });
    test('front matter: its three keys, read alike by the simple reader and by YAML', () => {
      const { keys } = frontMatter(b.text), yaml = parse(b.text.split('\n---\n')[0]);
      assert.deepEqual(Object.keys(keys), ['name', 'alerts', 'severity_floor']);
      assert.deepEqual(keys, yaml);
      assert.equal(b.name + '.md', b.file);
      assert.match(b.name, /^[a-z0-9-]+$/);
      assert.ok(['critical', 'error', 'warning', 'info'].includes(b.severity_floor), b.severity_floor);
      assert.ok(Array.isArray(b.alerts) && b.alerts.length > 0);
      assert.equal(new Set(b.alerts).size, b.alerts.length, 'an alert named twice');
    });
    test('the sections, in order, none empty', () => {
      assert.deepEqual(b.sections.map(s => s.title), HEADINGS);
      for (const s of b.sections) assert.ok(s.lines.join('').trim().length > 10, s.title);
      assert.match(b.intro, /^\s*# [A-Z]/);
    });
    test('at most six checks in order, each with its command and what the answers mean', () => {
      assert.ok(b.checks.length >= 4 && b.checks.length <= 6, `${b.checks.length} checks`);
      b.checks.forEach((c, i) => {
        assert.equal(c.number, i + 1);
        assert.ok(c.fences.length >= 1 && c.fences.length <= 2, `check ${c.number}`);
        assert.ok(c.meanings.length >= 1, `check ${c.number} says nothing of its answers`);
      });
    });
    test('every command can be split, reads only and names its cluster', () => {
      for (const f of b.fences) {
        assert.equal(f.lang, 'sh');
        assert.equal(f.code.split('\n').length, 1, 'one command a block');
        assert.doesNotThrow(() => mustOnlyRead(f.code), f.code);
      }
    });
    test('a verdict table with the words of the verdict block', () => {
      const rows = b.section('Verdict').split('\n').filter(l => l.startsWith('| ')).slice(1).map(l => l.split('|').map(x => x.trim()).slice(1, 3));
      assert.ok(rows.length >= 3);
      for (const [evidence, verdict] of rows) { assert.ok(evidence.length > 5); assert.match(verdict, /^(noise|fix|real|escalate|unsure)\b/); }
      assert.ok(rows.some(r => r[1].startsWith('escalate')));
      const fix = rows.filter(r => r[1].startsWith('fix')).length;
      assert.equal(fix, b.section('Safe action').trim().startsWith('None') ? 0 : 1, 'a fix row exactly if there is a safe action');
    });
    test('one safe action or none, with precondition and both verifications', () => {
      const s = b.section('Safe action').trim().replace(/\s*\n/g, ' ');
      if (s.startsWith('None')) { assert.doesNotMatch(s, /`(kubectl|argocd) .*(delete|restart|patch|--refresh)/); return; }
      const commands = [...s.matchAll(/`((?:kubectl|argocd) [^`]+)`/g)].map(m => m[1]);
      assert.equal(commands.length, 1);
      assert.ok(SAFE.some(r => r.test(commands[0])), commands[0]);
      for (const must of ['Precondition: ', '+2 min: ', '+10 min: ']) assert.ok(s.includes(must), must);
    });
    test('"Never" and "Stop after" are definite', () => {
      assert.match(b.section('Stop after'), /\d+ tool calls or \d+ minutes/);
      assert.ok(b.section('Never').trim().length > 20);
    });
    test('the playbooks it points to exist', () => {
      for (const m of b.text.matchAll(/(?:->|follow) ([a-z]+(?:-[a-z]+)+|saturation|minio|qdrant)\b/g)) if (!['follow'].includes(m[1])) assert.ok(names.has(m[1]), m[0]);
    });
  });
  test('no alert belongs to two files; only the fallback matches everything', () => {
    const all = books.flatMap(b => b.alerts.map(pattern => ({ pattern, name: b.name })));
    assert.deepEqual(all.filter(x => overlap(x.pattern, 'no such alert, surely')), [{ pattern: '*', name: 'unknown-alert' }]);
    const rest = all.filter(x => x.pattern !== '*');
    for (const [i, a] of rest.entries()) for (const b of rest.slice(i + 1))
      if (a.name !== b.name) assert.ok(!overlap(a.pattern, b.pattern), `"${a.pattern}" (${a.name}) and "${b.pattern}" (${b.name})`);
  });
  test('real alert names find their playbook', () => {
    const literal = p => p.replace(/[*?]/g, '').length;
    const find = name => books.flatMap(b => b.alerts.map(p => ({ p, b: b.name }))).filter(x => overlap(x.p, name)).sort((x, y) => (y.p === name) - (x.p === name) || literal(y.p) - literal(x.p))[0].b;
    for (const [name, want] of Object.entries({ KubePodCrashLooping: 'pod-crash-looping', 'Pod CrashLooping': 'pod-crash-looping', 'High Error Rate': 'high-error-rate', 'High Error Rate > 5%': 'high-error-rate',
      'High Latency': 'high-latency', 'High Latency p99 on search': 'high-latency', 'Tenant Inactive': 'tenant-inactive', 'Heartbeat 401': 'tenant-inactive', 'PVC at 87%': 'pvc-filling-up',
      '[No data] High Latency': 'monitoring-blind', Watchdog: 'monitoring-blind', KubePersistentVolumeFillingUp: 'pvc-filling-up', KubeNodeNotReady: 'node-pressure', NodeFilesystemAlmostOutOfSpace: 'node-pressure',
      KubeJobFailed: 'job-failed', KubeDeploymentReplicasMismatch: 'replicas-mismatch', KubeHpaMaxedOut: 'replicas-mismatch', KubePodNotReady: 'pending-pods', CertManagerCertExpirySoon: 'certificate-mtls',
      KubeletClientCertificateExpiration: 'certificate-mtls', 'Skupper link down': 'certificate-mtls', MinioClusterDiskOffline: 'minio', 'Qdrant collection red': 'qdrant', ArgoCdAppOutOfSync: 'argocd-out-of-sync',
      ArgoCdAppSyncFailed: 'argocd-sync-failed', 'Argo Workflow stuck': 'argo-workflows-stuck', CPUThrottlingHigh: 'saturation', KubeAPIErrorBudgetBurn: 'control-plane', PostgresqlTooManyConnections: 'database-errors',
      CNPGClusterOffline: 'database-errors', 'oversized notification': 'monitoring-blind', 'Multiple services down': 'multiple-services', TargetDown: 'monitoring-blind', 'Something new': 'unknown-alert' }))
      assert.equal(find(name), want, name);
  });
});

describe('with the real kubectl', () => {
  // Flags, field selectors, JSONPath and columns are parsed by kubectl itself, against a server that knows every kind and holds one object of each.
  const kubectl = spawnSync('kubectl', ['version', '--client']).status === 0;
  const agents = ['operator'].flatMap(a => text(`.claude/agents/${a}.md`).split('\n').filter(l => /^    (timeout \d+ )?kubectl /.test(l)).map(l => l.trim().replace(/^timeout \d+ /, '')));
  test('every kubectl command of the playbooks is understood', { skip: !kubectl && 'kubectl is not installed' }, async () => {
    const { serve } = await import('../support/runbook/fake_api.mjs');
    const api = await serve();
    try {
      const commands = [...new Set([...books.flatMap(b => b.fences.map(f => f.code)), ...books.flatMap(b => [...b.section('Safe action').matchAll(/`(kubectl [^`]+)`/g)].map(m => m[1]))])].filter(c => c.startsWith('kubectl '));
      assert.ok(commands.length > 60);
      for (const command of [...commands, ...agents.filter(c => !/--watch-only|rollout status/.test(c))]) {
        const args = words(fill(command)).slice(1), r = await api.kubectl(args);
        assert.equal(r.status, 0, `${fill(command)}\n${r.stdout}${r.stderr}`);
      }
      assert.ok(api.writes.every(w => /^(DELETE .*\/pods\/|PATCH .*\/(deployments|workflows)\/)/.test(w)), api.writes.join('\n'));
    } finally { await api.stop(); }
  });
});

describe('CLAUDE.md', () => {
  const md = text('CLAUDE.md');
  test('at most 200 lines: every sub-agent loads it again', () => assert.ok(md.trimEnd().split('\n').length <= 200));
  test('names every tool of both channels, in both spellings of the server', () => {
    for (const tool of ['log_incident', 'check_history', 'get_incident', 'list_incidents', 'briefing', 'tuning_proposals', 'decide_proposal', 'create_ticket', 'reply', 'escalate', 'list_escalations', 'resolve_escalation', 'edit_message', 'react', 'read_thread'])
      assert.ok(md.includes('`' + tool + '`'), tool);
    for (const prefix of ['mcp__webhook__', 'mcp__plugin_sre-channels_webhook__', 'mcp__slack__', 'mcp__plugin_sre-channels_slack__']) assert.ok(md.includes(prefix), prefix);
  });
  test('every kind of event has its row, every verdict its consequence', () => {
    for (const kind of ['resolved', 'test', 'digest', 'reminder', 'patrol']) assert.ok(md.includes(`kind="${kind}"`), kind);
    for (const verdict of ['noise', 'auto_fixed', 'escalated', 'real', 'unsure']) assert.ok(md.includes('`' + verdict + '`'), verdict);
    for (const attribute of ['incident_id', 'delivery', 'severity', 'environment', 'cluster', 'namespace', 'service', 'alertname', 'seen_7d', 'noise_7d', 'last_verdict', 'hint', 'playbook']) assert.ok(md.includes('`' + attribute + '`') || md.includes(attribute + '='), attribute);
  });
  test('the verdict block is the one that the investigator is told to return', () => {
    const block = s => [...s.slice(s.indexOf('=== VERDICT ==='), s.indexOf('=== END ===')).matchAll(/^ +([a-z_]+):/gm)].map(m => m[1]);
    assert.deepEqual(block(md), ['incident', 'verdict', 'confidence', 'summary', 'root_cause', 'evidence', 'change', 'action', 'precondition', 'verify', 'question', 'not_checked']);
    assert.deepEqual(block(text('.claude/agents/investigator.md')), block(md));
  });
  test('known noise is one call, unless the channel says that a look is due, in its own words', () => {
    const row = md.split('\n').find(l => l.startsWith('| `hint="known_noise"`'));
    assert.match(row, /log_incident.*one call, \*\*no other\*\*/);
    assert.ok(row.includes('"a real look is due"') && text('channels/webhook/noise.c').includes('"a real look is due'));
    assert.ok(md.indexOf('| `kind="digest"` with `hint="known_noise"`') < md.indexOf('| `hint="known_noise"`'));
  });
  test('the fallback it names exists', () => { for (const m of md.matchAll(/playbooks\/([a-z-]+)\.md/g)) assert.ok(names.has(m[1]), m[0]); });
});

describe('agents', () => {
  const agent = name => { const [, head, body] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(text(`.claude/agents/${name}.md`)); return { ...parse(head), body }; };
  const list = s => s.split(',').map(x => x.trim());
  test('the investigator reads, is bounded and cannot ask', () => {
    const a = agent('investigator');
    assert.equal(a.name, 'investigator');
    assert.equal(a.permissionMode, 'dontAsk');
    assert.ok(a.maxTurns > 10 && a.maxTurns <= 30);
    for (const t of list(a.tools)) assert.match(t, /^(Read|Grep|Glob|Bash|mcp__(webhook|plugin_sre-channels_webhook)__(check_history|get_incident|list_incidents))$/);
    for (const t of ['Write', 'Edit', 'Agent', 'WebFetch']) assert.ok(list(a.disallowedTools).includes(t), t);
  });
  test('the operator acts once, is bounded, asks, and cannot log, page or delegate', () => {
    const a = agent('operator');
    assert.equal(a.permissionMode, 'default');
    assert.ok(a.maxTurns <= 20);
    for (const t of list(a.tools)) assert.match(t, /^(Read|Bash|mcp__(webhook|plugin_sre-channels_webhook)__(check_history|get_incident))$/);
    for (const c of a.body.split('\n').filter(l => /^    (kubectl|argocd|timeout) /.test(l))) assert.doesNotThrow(() => words(c.trim()), c);
    assert.match(a.body, /\+2 minutes/); assert.match(a.body, /\+10 minutes/);
  });
  test('there is no other agent', () => assert.deepEqual(fs.readdirSync(new URL('.claude/agents/', root)).sort(), ['investigator.md', 'operator.md']));
});

describe('settings.json', () => {
  const s = JSON.parse(text('.claude/settings.json')), p = s.permissions;
  test('the mode asks, and no mode that does not ask can be switched on', () => {
    assert.equal(p.defaultMode, 'default');
    assert.equal(p.disableAutoMode, 'disable');
    assert.equal(p.disableBypassPermissionsMode, 'disable');
  });
  test('no shell command, write or web access is allowed by a rule: the guard alone decides', () => {
    for (const r of p.allow) assert.match(r, /^(Read\(\/(playbooks\/\*\*|CLAUDE\.md)\)|mcp__(plugin_sre-channels_)?(webhook|slack)__[a-z_]+)$/);
    for (const r of ['WebFetch', 'WebSearch', 'AskUserQuestion', 'Agent(general-purpose)', 'Agent(fork)', 'Edit(/.claude/**)', 'Edit(/CLAUDE.md)', 'Edit(/playbooks/**)', 'Read(~/.kube/**)', 'Read(~/.config/sre-channels/**)']) assert.ok(p.deny.includes(r), r);
  });
  test('both spellings of the servers have the same rules', () => {
    for (const kind of ['allow', 'ask', 'deny']) {
      const short = p[kind].filter(r => /^mcp__(webhook|slack)__/.test(r)).map(r => r.slice(5)).sort();
      assert.deepEqual(p[kind].filter(r => r.startsWith('mcp__plugin_')).map(r => r.slice('mcp__plugin_sre-channels_'.length)).sort(), short);
    }
  });
  test("the owner's decisions are asked for, not taken", () => {
    assert.ok(p.ask.includes('mcp__webhook__decide_proposal') && !p.allow.includes('mcp__webhook__decide_proposal'));
    for (const need of ['log_incident', 'check_history', 'get_incident', 'list_incidents', 'briefing', 'tuning_proposals', 'create_ticket']) assert.ok(p.allow.includes('mcp__webhook__' + need), need);
    for (const need of ['reply', 'escalate', 'list_escalations', 'resolve_escalation', 'edit_message', 'react', 'read_thread']) assert.ok(p.allow.includes('mcp__slack__' + need), need);
  });
  test('few sub-agents at once', () => assert.ok(Number(s.env.CLAUDE_CODE_MAX_CONCURRENT_SUBAGENTS) <= 4));

  const hook = name => s.hooks[name][0].hooks[0];
  const bin = body => { const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'runbook-')); if (body) { fs.mkdirSync(dir + '/build'); fs.writeFileSync(dir + '/build/webhook-channel', '#!/bin/sh\n' + body + '\n', { mode: 0o755 }); } return dir; };
  const runHook = (name, dir, input = '{"tool_name":"Bash","tool_input":{"command":"ls"}}') => spawnSync('/bin/sh', ['-c', hook(name).command], { input, encoding: 'utf8', env: { PATH: process.env.PATH, CLAUDE_PROJECT_DIR: dir } });
  const ANSWER = '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"allow"}}';
  test('the guard sees every call of every tool', () => {
    assert.deepEqual(s.hooks.PreToolUse.map(h => h.matcher), ['*']);
    const inner = Number(/timeout -k 1 (\d+)/.exec(hook('PreToolUse').command)[1]);
    assert.ok(inner + 1 < hook('PreToolUse').timeout, 'the client would give up first, and let the call pass');
  });
  test("the guard's answer is passed on", () => {
    const r = runHook('PreToolUse', bin(`cat >/dev/null; echo '${ANSWER}'`));
    assert.equal(r.status, 0);
    assert.equal(r.stdout.trim(), ANSWER);
  });
  for (const [what, body] of [['missing', null], ['exit 1', 'exit 1'], ['exit 2', 'exit 2'], ['killed', 'kill -9 $$'], ['crash after an answer', `echo '${ANSWER}'; exit 139`], ['hanging', 'sleep 30']])
    test(`the guard blocks when it is ${what}`, () => {
      const r = runHook('PreToolUse', bin(body));
      assert.equal(r.status, 2);
      assert.match(r.stderr, /blocked/);
    });
  test('a project folder with spaces changes nothing', () => {
    const dir = bin(`cat >/dev/null; echo '${ANSWER}'`), spaced = dir + ' x';
    fs.renameSync(dir, spaced);
    assert.equal(runHook('PreToolUse', spaced).status, 0);
  });
  test('the briefing is printed at every start, and its failure never blocks one', () => {
    assert.equal(s.hooks.SessionStart[0].matcher, 'startup|resume|clear|compact');
    const ok = runHook('SessionStart', bin('echo "=== SRE Briefing ==="'), '{}');
    assert.deepEqual([ok.status, ok.stdout], [0, '=== SRE Briefing ===\n']);
    for (const body of [null, 'exit 1', 'kill -9 $$']) { const r = runHook('SessionStart', bin(body), '{}'); assert.equal(r.status, 0); assert.match(r.stdout, /No briefing/); }
  });
});
