// The sender configurations that we hand out: checked by the senders' own tools.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { parse } from 'yaml';
import { root, which } from '../support/channel.mjs';

const file = name => path.join(root, 'deploy', name);

test('Alertmanager takes its configuration', () => {
  assert.match(execFileSync('amtool', ['check-config', file('senders/alertmanager.yml')], { encoding: 'utf8' }), /SUCCESS/);
});

test('Prometheus takes the rules', { skip: !which('promtool') && 'promtool is not installed' }, () => {
  assert.match(execFileSync('promtool', ['check', 'rules', file('prometheus/rules.yml')], { encoding: 'utf8' }), /SUCCESS/);
});

test('every metric of the rules is one that we have', () => {
  const source = fs.readFileSync(path.join(root, 'channels/webhook/metrics.c'), 'utf8');
  const known = new Set(source.match(/sre_\w+/g));
  const rules = parse(fs.readFileSync(file('prometheus/rules.yml'), 'utf8')).groups.flatMap(g => g.rules);
  assert.ok(rules.length >= 5);
  for (const rule of rules) {
    for (const name of rule.expr.match(/sre_\w+/g) ?? []) assert.ok(known.has(name.replace(/_(bucket|sum|count)$/, '')), `${rule.alert}: ${name}`);
  }
});

test('Grafana and Alertmanager name the path of their source', () => {
  const am = parse(fs.readFileSync(file('senders/alertmanager.yml'), 'utf8'));
  assert.match(am.receivers[0].webhook_configs[0].url, /\/webhook\/alertmanager$/);
  const grafana = parse(fs.readFileSync(file('senders/grafana.yml'), 'utf8'));
  assert.match(grafana.contactPoints[0].receivers[0].settings.url, /\/webhook\/grafana$/);
});
