// The admission policies and roles of deploy/kubernetes, an evaluator for them, and objects and requests as an API server has them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { Environment } from '@marcbachmann/cel-js';
import { parseAllDocuments } from 'yaml';

export const dir = new URL('../../../deploy/kubernetes/', import.meta.url);
export const text = name => fs.readFileSync(new URL(name, dir), 'utf8');
export const docs = name => parseAllDocuments(text(name)).map(d => { assert.deepEqual(d.errors, []); return d.toJS(); });
export const admission = docs('admission.yaml');
export const policies = admission.filter(d => d.kind === 'ValidatingAdmissionPolicy');
export const AGENT = 'system:serviceaccount:sre-agent:sre-agent';

// --- the part of an API server that decides: match, conditions, lazy variables, validations; an error denies (failurePolicy Fail)
const cel = new Environment({ unlistedVariablesAreDyn: true });
const compiled = new Map();
const run = (source, vars) => {
  if (!compiled.has(source)) compiled.set(source, cel.parse(source));
  return compiled.get(source)(vars);
};
const ruleMatches = (rule, r) => {
  const has = (list, v) => list.includes('*') || list.includes(v), full = r.resource.resource + (r.subResource ? '/' + r.subResource : '');
  return has(rule.apiGroups, r.resource.group) && has(rule.apiVersions, r.resource.version) && has(rule.operations, r.operation) &&
    rule.resources.some(x => x === '*/*' || x === full || x === r.resource.resource + '/*' && r.subResource || x === '*' && !r.subResource);
};
export function denials(request, object, oldObject) {
  const found = [];
  for (const { spec, metadata } of policies) {
    const m = spec.matchConstraints;
    if (!m.resourceRules.some(x => ruleMatches(x, request)) || (m.excludeResourceRules ?? []).some(x => ruleMatches(x, request))) continue;
    const base = { request, object: object ?? null, oldObject: oldObject ?? null };
    if (!spec.matchConditions.every(c => run(c.expression, base))) continue;
    const cache = {}, variables = {};
    for (const v of spec.variables ?? []) Object.defineProperty(variables, v.name, { enumerable: true, get() {
      if (!(v.name in cache)) cache[v.name] = run(v.expression, { ...base, variables });
      return cache[v.name];
    } });
    for (const v of spec.validations) {
      let pass = false, why = v.message;
      try { pass = run(v.expression, { ...base, variables }) === true; } catch (e) { why += ` (${e.message.split('\n')[0]})`; }
      if (!pass) found.push(`${metadata.name}: ${why}`);
    }
  }
  return found;
}

// --- objects as an API server stores them
export const clone = o => structuredClone(o);
export const merge = (target, patch) => {          // RFC 7386
  const out = target && typeof target === 'object' && !Array.isArray(target) ? clone(target) : {};
  for (const [k, v] of Object.entries(patch)) {
    if (v === null) delete out[k];
    else out[k] = typeof v === 'object' && !Array.isArray(v) ? merge(out[k], v) : v;
  }
  return out;
};
export const both = (a, b) => {                    // two patches in one, nulls kept
  const out = { ...a };
  for (const [k, v] of Object.entries(b)) out[k] = v && typeof v === 'object' && !Array.isArray(v) && out[k] ? both(out[k], v) : v;
  return out;
};
export const deployment = {
  apiVersion: 'apps/v1', kind: 'Deployment',
  metadata: { name: 'data-service', namespace: 'data', uid: '6d3b', resourceVersion: '1001', generation: 7, creationTimestamp: '2026-03-01T10:00:00Z',
    labels: { app: 'data-service', 'argocd.argoproj.io/instance': 'data-service' }, annotations: { 'deployment.kubernetes.io/revision': '12' },
    managedFields: [{ manager: 'argocd-controller', operation: 'Update', apiVersion: 'apps/v1', time: '2026-03-01T10:00:00Z' }] },
  spec: { replicas: 3, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, selector: { matchLabels: { app: 'data-service' } },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    template: { metadata: { creationTimestamp: null, labels: { app: 'data-service' }, annotations: { 'prometheus.io/scrape': 'true' } },
      spec: { serviceAccountName: 'data-service', terminationGracePeriodSeconds: 30, restartPolicy: 'Always',
        containers: [{ name: 'api', image: 'registry.example.com/data-service:1.4.2', env: [{ name: 'LOG', value: 'info' }],
          resources: { limits: { memory: '1Gi' }, requests: { cpu: '250m', memory: '512Mi' } } }] } } },
  status: { replicas: 3, readyReplicas: 3, observedGeneration: 7 },
};
export const pod = {
  apiVersion: 'v1', kind: 'Pod',
  metadata: { name: 'data-service-7d9c5b6f4-x2x9k', namespace: 'data', uid: '77', labels: { app: 'data-service' },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'data-service-7d9c5b6f4', uid: '5', controller: true, blockOwnerDeletion: true }] },
  spec: { nodeName: 'node-1', terminationGracePeriodSeconds: 30, containers: [{ name: 'api', image: 'x' }] }, status: { phase: 'Running' },
};
export const workflow = {
  apiVersion: 'argoproj.io/v1alpha1', kind: 'Workflow',
  metadata: { name: 'ingest-20260301', namespace: 'pipelines', uid: '9', generation: 40, labels: { 'workflows.argoproj.io/phase': 'Running' } },
  spec: { entrypoint: 'main', serviceAccountName: 'ingest', arguments: { parameters: [{ name: 'day', value: '2026-03-01' }] },
    templates: [{ name: 'main', container: { image: 'registry.example.com/ingest:2', command: ['ingest'] } }] },
  status: { phase: 'Running', startedAt: '2026-03-01T01:00:00Z', nodes: { a: { phase: 'Running' } } },
};
export const application = {
  apiVersion: 'argoproj.io/v1alpha1', kind: 'Application',
  metadata: { name: 'data-service', namespace: 'argocd', uid: '4', generation: 3, finalizers: ['resources-finalizer.argocd.argoproj.io'],
    annotations: { 'notifications.argoproj.io/subscribe.slack': 'ops' }, labels: { team: 'data' } },
  spec: { project: 'default', source: { repoURL: 'https://gitlab.example.com/ops/data.git', path: 'prod', targetRevision: 'main' },
    destination: { server: 'https://kubernetes.default.svc', namespace: 'data' }, syncPolicy: { automated: { prune: false, selfHeal: true } } },
  status: { sync: { status: 'OutOfSync' }, health: { status: 'Healthy' } },
};

// --- requests as admission sees them: empty strings are left out, as the API server's own conversion does
export const KINDS = { Deployment: ['apps', 'v1', 'deployments'], Pod: ['', 'v1', 'pods'], Workflow: ['argoproj.io', 'v1alpha1', 'workflows'],
  Application: ['argoproj.io', 'v1alpha1', 'applications'] };
export const request = (operation, [group, version, resource], extra = {}) => ({ uid: 'u', operation, resource: { group, version, resource },
  requestResource: { group, version, resource }, name: 'x', namespace: 'n', userInfo: { username: AGENT, groups: ['system:authenticated'] },
  options: { kind: operation[0] + operation.slice(1).toLowerCase() + 'Options', apiVersion: 'meta.k8s.io/v1' }, ...extra });
