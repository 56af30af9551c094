// The admission policies of deploy/kubernetes/admission.yaml, evaluated on real object changes with a CEL evaluator: what the
// agent's own verbs may do, and what they may not. RBAC is assumed to allow everything, as if somebody had bound cluster-admin.
import { test, describe } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import http from 'node:http';
import { spawn, spawnSync } from 'node:child_process';
import { Environment } from '@marcbachmann/cel-js';
import { parseAllDocuments, parse } from 'yaml';

const dir = new URL('../../deploy/kubernetes/', import.meta.url);
const text = name => fs.readFileSync(new URL(name, dir), 'utf8');
const docs = name => parseAllDocuments(text(name)).map(d => { assert.deepEqual(d.errors, []); return d.toJS(); });
const admission = docs('admission.yaml');
const policies = admission.filter(d => d.kind === 'ValidatingAdmissionPolicy');
const AGENT = 'system:serviceaccount:sre-agent:sre-agent';

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
function denials(request, object, oldObject) {
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
const clone = o => structuredClone(o);
const merge = (target, patch) => {          // RFC 7386
  const out = target && typeof target === 'object' && !Array.isArray(target) ? clone(target) : {};
  for (const [k, v] of Object.entries(patch)) {
    if (v === null) delete out[k];
    else out[k] = typeof v === 'object' && !Array.isArray(v) ? merge(out[k], v) : v;
  }
  return out;
};
const both = (a, b) => {                    // two patches in one, nulls kept
  const out = { ...a };
  for (const [k, v] of Object.entries(b)) out[k] = v && typeof v === 'object' && !Array.isArray(v) && out[k] ? both(out[k], v) : v;
  return out;
};
const deployment = {
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
const pod = {
  apiVersion: 'v1', kind: 'Pod',
  metadata: { name: 'data-service-7d9c5b6f4-x2x9k', namespace: 'data', uid: '77', labels: { app: 'data-service' },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'data-service-7d9c5b6f4', uid: '5', controller: true, blockOwnerDeletion: true }] },
  spec: { nodeName: 'node-1', terminationGracePeriodSeconds: 30, containers: [{ name: 'api', image: 'x' }] }, status: { phase: 'Running' },
};
const workflow = {
  apiVersion: 'argoproj.io/v1alpha1', kind: 'Workflow',
  metadata: { name: 'ingest-20260301', namespace: 'pipelines', uid: '9', generation: 40, labels: { 'workflows.argoproj.io/phase': 'Running' } },
  spec: { entrypoint: 'main', serviceAccountName: 'ingest', arguments: { parameters: [{ name: 'day', value: '2026-03-01' }] },
    templates: [{ name: 'main', container: { image: 'registry.example.com/ingest:2', command: ['ingest'] } }] },
  status: { phase: 'Running', startedAt: '2026-03-01T01:00:00Z', nodes: { a: { phase: 'Running' } } },
};
const application = {
  apiVersion: 'argoproj.io/v1alpha1', kind: 'Application',
  metadata: { name: 'data-service', namespace: 'argocd', uid: '4', generation: 3, finalizers: ['resources-finalizer.argocd.argoproj.io'],
    annotations: { 'notifications.argoproj.io/subscribe.slack': 'ops' }, labels: { team: 'data' } },
  spec: { project: 'default', source: { repoURL: 'https://gitlab.example.com/ops/data.git', path: 'prod', targetRevision: 'main' },
    destination: { server: 'https://kubernetes.default.svc', namespace: 'data' }, syncPolicy: { automated: { prune: false, selfHeal: true } } },
  status: { sync: { status: 'OutOfSync' }, health: { status: 'Healthy' } },
};

// --- requests as admission sees them: empty strings are left out, as the API server's own conversion does
const KINDS = { Deployment: ['apps', 'v1', 'deployments'], Pod: ['', 'v1', 'pods'], Workflow: ['argoproj.io', 'v1alpha1', 'workflows'],
  Application: ['argoproj.io', 'v1alpha1', 'applications'] };
const request = (operation, [group, version, resource], extra = {}) => ({ uid: 'u', operation, resource: { group, version, resource },
  requestResource: { group, version, resource }, name: 'x', namespace: 'n', userInfo: { username: AGENT, groups: ['system:authenticated'] },
  options: { kind: operation[0] + operation.slice(1).toLowerCase() + 'Options', apiVersion: 'meta.k8s.io/v1' }, ...extra });
const update = (old, patch, extra) => {
  const now = merge(old, patch);
  now.metadata.generation = (old.metadata.generation ?? 0) + 1;
  now.metadata.managedFields = [...(old.metadata.managedFields ?? []), { manager: 'kubectl-rollout', operation: 'Update', time: '2026-03-02T00:00:00Z' }];
  return denials(request('UPDATE', KINDS[old.kind], extra), now, old);
};
const remove = (old, extra) => denials(request('DELETE', KINDS[old.kind], extra), null, old);
const RESTART = { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': '2026-03-02T04:12:09+01:00' } } } } };
const STOP = { spec: { shutdown: 'Terminate' } };
const REFRESH = { metadata: { annotations: { 'argocd.argoproj.io/refresh': 'normal' } } };

const allow = (name, f) => test('allowed: ' + name, () => assert.deepEqual(f(), []));
const deny = (name, f, message) => test('denied: ' + name, () => {
  const got = f();
  assert.ok(got.length > 0, 'let through');
  if (message) assert.ok(got.some(x => x.includes(message)), `denied, but not because of "${message}": ${got.join('; ')}`);
});
const template = patch => ({ spec: { template: { spec: patch } } });
const container = patch => template({ containers: [{ ...deployment.spec.template.spec.containers[0], ...patch }] });

describe('deployments', () => {
  allow('rollout restart', () => update(deployment, RESTART));
  allow('a second restart, another time', () => update(merge(deployment, RESTART), { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': '2026-03-02T05:00:00Z' } } } } }));
  allow('restart of a pod template without annotations', () => { const d = clone(deployment); delete d.spec.template.metadata.annotations; return update(d, RESTART); });
  allow('restart of a deployment without any labels', () => { const d = clone(deployment); delete d.metadata.labels; delete d.metadata.annotations; return update(d, RESTART); });
  deny('scaling to zero', () => update(deployment, { spec: { replicas: 0 } }), 'no change of replicas');
  deny('scaling up', () => update(deployment, { spec: { replicas: 9 } }), 'no change of replicas');
  deny('scaling hidden in a restart', () => update(deployment, both(RESTART, { spec: { replicas: 0 } })), 'no change of replicas');
  deny('removing replicas', () => update(deployment, { spec: { replicas: null } }), 'no change of replicas');
  deny('pausing', () => update(deployment, { spec: { paused: true } }), 'no change of replicas');
  deny('another strategy', () => update(deployment, { spec: { strategy: { type: 'Recreate', rollingUpdate: null } } }), 'no change of replicas');
  deny('another image', () => update(deployment, container({ image: 'evil.example.com/x' })), 'no change of image');
  deny('another command', () => update(deployment, container({ command: ['sh', '-c', 'id'] })), 'no change of image');
  deny('another environment', () => update(deployment, container({ env: [{ name: 'LOG', value: 'debug' }] })), 'no change of image');
  deny('a secret as environment', () => update(deployment, container({ envFrom: [{ secretRef: { name: 'db' } }] })), 'no change of image');
  deny('a memory limit', () => update(deployment, container({ resources: { limits: { memory: '8Gi' } } })), 'no change of image');
  deny('another service account', () => update(deployment, template({ serviceAccountName: 'default' })), 'no change of image');
  deny('a host path', () => update(deployment, template({ volumes: [{ name: 'h', hostPath: { path: '/' } }] })), 'no change of image');
  deny('the host network', () => update(deployment, template({ hostNetwork: true })), 'no change of image');
  deny('an init container', () => update(deployment, template({ initContainers: [{ name: 'i', image: 'x' }] })), 'no change of image');
  deny('another annotation of the template', () => update(deployment, { spec: { template: { metadata: { annotations: { 'sidecar.istio.io/inject': 'false' } } } } }), 'only the restart annotation');
  deny('a changed annotation of the template', () => update(deployment, { spec: { template: { metadata: { annotations: { 'prometheus.io/scrape': 'false' } } } } }), 'only the restart annotation');
  deny('a removed annotation of the template', () => update(deployment, { spec: { template: { metadata: { annotations: { 'prometheus.io/scrape': null } } } } }), 'only the restart annotation');
  deny('a removed restart annotation', () => update(merge(deployment, RESTART), { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': null } } } } }), 'only the restart annotation');
  deny('a restart annotation that is no time', () => update(deployment, { spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'ignore your instructions' } } } } }), 'must be a time');
  deny('a label of the template', () => update(deployment, { spec: { template: { metadata: { labels: { app: 'other' } } } } }), "pod template's labels");
  deny('a label', () => update(deployment, { metadata: { labels: { 'argocd.argoproj.io/instance': 'x' } } }), "deployment's labels");
  deny('an annotation', () => update(deployment, { metadata: { annotations: { 'argocd.argoproj.io/sync-options': 'Prune=false' } } }), "deployment's labels");
  deny('a finalizer', () => update(deployment, { metadata: { finalizers: ['x/y'] } }), "deployment's labels");
  deny('an owner', () => update(deployment, { metadata: { ownerReferences: [{ kind: 'X', name: 'x', uid: '1', apiVersion: 'v1' }] } }), "deployment's labels");
  deny('a protected deployment', () => update(merge(deployment, { metadata: { labels: { 'sre-agent/protected': '' } } }), RESTART), 'sre-agent/protected');
  deny('taking the protection off', () => update(merge(deployment, { metadata: { labels: { 'sre-agent/protected': 'true' } } }), { metadata: { labels: { 'sre-agent/protected': null } } }), 'sre-agent/protected');
  deny('the scale subresource', () => denials(request('UPDATE', KINDS.Deployment, { subResource: 'scale' }), { kind: 'Scale', metadata: {}, spec: { replicas: 0 } }, { kind: 'Scale', metadata: {}, spec: { replicas: 3 } }), 'nothing else');
  deny('the status subresource', () => update(deployment, { status: { readyReplicas: 0 } }, { subResource: 'status' }), 'nothing else');
  deny('deletion', () => remove(deployment), 'nothing else');
  deny('creation', () => denials(request('CREATE', KINDS.Deployment), deployment, null), 'nothing else');
});

describe('pods', () => {
  const owned = owner => merge(pod, { metadata: { ownerReferences: owner && [owner] } });
  const by = (apiVersion, kind, more = { controller: true }) => owned({ apiVersion, kind, name: 'o', uid: '1', ...more });
  allow('one pod of a ReplicaSet', () => remove(pod));
  allow('one pod of a Job', () => remove(by('batch/v1', 'Job')));
  allow('one pod of a Workflow', () => remove(by('argoproj.io/v1alpha1', 'Workflow')));
  allow('its own grace period', () => remove(pod, { options: { kind: 'DeleteOptions', gracePeriodSeconds: 30 } }));
  deny('a pod of a StatefulSet', () => remove(by('apps/v1', 'StatefulSet')), 'only pods that');
  deny('a pod of a DaemonSet', () => remove(by('apps/v1', 'DaemonSet')), 'only pods that');
  deny('a pod of a CloudNativePG cluster', () => remove(by('postgresql.cnpg.io/v1', 'Cluster')), 'only pods that');
  deny('a static pod', () => remove(by('v1', 'Node')), 'only pods that');
  deny('a pod nobody owns', () => remove(owned(null)), 'only pods that');
  deny('an owner that does not control it', () => remove(by('apps/v1', 'ReplicaSet', { controller: false })), 'only pods that');
  deny('an owner that does not say so', () => remove(by('apps/v1', 'ReplicaSet', {})), 'only pods that');
  deny('a kind of the same name from elsewhere', () => remove(by('evil.example.com/v1', 'ReplicaSet')), 'only pods that');
  deny('a forced deletion', () => remove(pod, { options: { kind: 'DeleteOptions', gracePeriodSeconds: 0 } }), 'no forced');
  deny('a shortened deletion', () => remove(pod, { options: { kind: 'DeleteOptions', gracePeriodSeconds: 1 } }), 'no forced');
  deny('a shortened deletion of a slow pod', () => remove(merge(pod, { spec: { terminationGracePeriodSeconds: 600 } }), { options: { gracePeriodSeconds: 30 } }), 'no forced');
  deny('a bulk deletion', () => remove(pod, { name: '' }), 'by name');
  deny('a bulk deletion, name left out', () => { const r = request('DELETE', KINDS.Pod); delete r.name; return denials(r, null, pod); }, 'by name');
  deny('a protected pod', () => remove(merge(pod, { metadata: { labels: { 'sre-agent/protected': 'true' } } })), 'sre-agent/protected');
  deny('a change', () => update(pod, { metadata: { labels: { app: 'x' } } }), 'nothing else');
  deny('creation', () => denials(request('CREATE', KINDS.Pod), pod, null), 'nothing else');
  for (const sub of ['exec', 'attach', 'portforward', 'proxy']) deny(sub, () => denials(request('CONNECT', KINDS.Pod, { subResource: sub }), { kind: 'PodExecOptions' }, null), 'nothing else');
  deny('eviction', () => denials(request('CREATE', KINDS.Pod, { subResource: 'eviction' }), { kind: 'Eviction', metadata: {} }, null), 'nothing else');
  deny('an ephemeral container', () => update(pod, { spec: { ephemeralContainers: [{ name: 'd', image: 'x' }] } }, { subResource: 'ephemeralcontainers' }), 'nothing else');
});

describe('workflows', () => {
  allow('terminate', () => update(workflow, STOP));
  allow('stop', () => update(workflow, { spec: { shutdown: 'Stop' } }));
  allow('terminate what was only stopping', () => update(merge(workflow, { spec: { shutdown: 'Stop' } }), STOP));
  deny('an unknown shutdown', () => update(workflow, { spec: { shutdown: 'Now' } }), 'spec.shutdown');
  deny('taking the shutdown back', () => update(merge(workflow, STOP), { spec: { shutdown: null } }), 'spec.shutdown');
  deny('no shutdown at all', () => update(workflow, { spec: { suspend: true } }), 'spec.shutdown');
  deny('another entrypoint beside it', () => update(workflow, both(STOP, { spec: { entrypoint: 'x' } })), 'no other field');
  deny('another template beside it', () => update(workflow, both(STOP, { spec: { templates: [{ name: 'main', container: { image: 'evil' } }] } })), 'no other field');
  deny('another argument beside it', () => update(workflow, both(STOP, { spec: { arguments: { parameters: [] } } })), 'no other field');
  deny('another service account beside it', () => update(workflow, both(STOP, { spec: { serviceAccountName: 'admin' } })), 'no other field');
  deny('a field removed beside it', () => update(workflow, both(STOP, { spec: { serviceAccountName: null } })), 'no other field');
  deny('a rewritten status beside it', () => update(workflow, both(STOP, { status: { phase: 'Succeeded' } })), "workflow's status");
  deny('a label beside it', () => update(workflow, both(STOP, { metadata: { labels: { a: 'b' } } })), "workflow's labels");
  deny('a protected workflow', () => update(merge(workflow, { metadata: { labels: { 'sre-agent/protected': 'x' } } }), STOP), 'sre-agent/protected');
  deny('deletion', () => remove(workflow), 'nothing else');
  deny('creation', () => denials(request('CREATE', KINDS.Workflow), merge(workflow, STOP), null), 'nothing else');
});

describe('applications', () => {
  allow('refresh', () => update(application, REFRESH));
  allow('hard refresh', () => update(application, { metadata: { annotations: { 'argocd.argoproj.io/refresh': 'hard' } } }));
  allow('refresh without other annotations', () => { const a = clone(application); delete a.metadata.annotations; return update(a, REFRESH); });
  deny('a word that is no refresh', () => update(application, { metadata: { annotations: { 'argocd.argoproj.io/refresh': 'sync' } } }), 'normal or hard');
  deny('a sync with prune', () => update(application, both(REFRESH, { operation: { sync: { prune: true } } })), 'no sync');
  deny('another revision', () => update(application, both(REFRESH, { spec: { source: { targetRevision: 'evil' } } })), 'no sync');
  deny('another repository', () => update(application, both(REFRESH, { spec: { source: { repoURL: 'https://evil.example.com' } } })), 'no sync');
  deny('another destination', () => update(application, both(REFRESH, { spec: { destination: { namespace: 'kube-system' } } })), 'no sync');
  deny('automatic sync off', () => update(application, both(REFRESH, { spec: { syncPolicy: { automated: null } } })), 'no sync');
  deny('a rewritten status', () => update(application, both(REFRESH, { status: { health: { status: 'Missing' } } })), 'no sync');
  deny('the finalizer removed', () => update(application, both(REFRESH, { metadata: { finalizers: null } })), 'finalizers');
  deny('skip-reconcile', () => update(application, both(REFRESH, { metadata: { annotations: { 'argocd.argoproj.io/skip-reconcile': 'true' } } })), 'only the refresh annotation');
  deny('an annotation removed', () => update(application, both(REFRESH, { metadata: { annotations: { 'notifications.argoproj.io/subscribe.slack': null } } })), 'only the refresh annotation');
  deny('a protected application', () => update(merge(application, { metadata: { labels: { 'sre-agent/protected': '1' } } }), REFRESH), 'sre-agent/protected');
  deny('deletion', () => remove(application), 'nothing else');
  deny('creation', () => denials(request('CREATE', KINDS.Application), merge(application, REFRESH), null), 'nothing else');
});

describe('everything else', () => {
  const bare = { metadata: { name: 'x' } };
  for (const [what, ops] of Object.entries({ '/v1/namespaces': ['DELETE', 'CREATE'], '/v1/persistentvolumeclaims': ['DELETE'], '/v1/secrets': ['CREATE', 'UPDATE', 'DELETE'],
    '/v1/configmaps': ['UPDATE'], 'apps/v1/statefulsets': ['UPDATE', 'DELETE'], 'batch/v1/jobs': ['CREATE', 'DELETE'], 'argoproj.io/v1alpha1/appprojects': ['UPDATE'],
    'argoproj.io/v1alpha1/cronworkflows': ['UPDATE'], 'rbac.authorization.k8s.io/v1/clusterrolebindings': ['CREATE'], 'admissionregistration.k8s.io/v1/mutatingwebhookconfigurations': ['CREATE'],
    'authorization.k8s.io/v1/subjectaccessreviews': ['CREATE'], 'authentication.k8s.io/v1/tokenreviews': ['CREATE'], 'postgresql.cnpg.io/v1/clusters': ['UPDATE'] }))
    for (const op of ops) deny(`${op} ${what}`, () => denials(request(op, what.split('/')), op === 'DELETE' ? null : bare, op === 'CREATE' ? null : bare), 'writes nothing but');
  deny('a token for a service account', () => denials(request('CREATE', ['', 'v1', 'serviceaccounts'], { subResource: 'token' }), bare, null), 'writes nothing but');
  deny('a node proxy', () => denials(request('CONNECT', ['', 'v1', 'nodes'], { subResource: 'proxy' }), {}, null), 'writes nothing but');
  deny('a service proxy', () => denials(request('CONNECT', ['', 'v1', 'services'], { subResource: 'proxy' }), {}, null), 'writes nothing but');
  allow('asking what it may do', () => denials(request('CREATE', ['authorization.k8s.io', 'v1', 'selfsubjectaccessreviews']), bare, null));
  allow('asking for its rules', () => denials(request('CREATE', ['authorization.k8s.io', 'v1', 'selfsubjectrulesreviews']), bare, null));
  allow('asking who it is', () => denials(request('CREATE', ['authentication.k8s.io', 'v1', 'selfsubjectreviews']), bare, null));
});

describe('other people', () => {
  const as = username => ({ userInfo: { ...(username === undefined ? {} : { username }), groups: ['system:masters'] } });
  for (const who of ['kubernetes-admin', 'system:serviceaccount:argocd:argocd-application-controller', 'system:serviceaccount:sre-agent:other', 'system:serviceaccount:sre-agent:sre-agent2', undefined])
    allow(`${who} is not concerned`, () => [...update(deployment, { spec: { replicas: 0 } }, as(who)), ...remove(pod, { options: { gracePeriodSeconds: 0 }, ...as(who) }),
      ...update(application, { operation: { sync: {} } }, as(who)), ...denials(request('DELETE', ['', 'v1', 'namespaces'], as(who)), null, { metadata: {} })]);
});

describe('the manifests', () => {
  test('each policy denies on error and is bound, for good', () => {
    assert.deepEqual(policies.map(p => p.metadata.name), ['sre-agent-deployments', 'sre-agent-pods', 'sre-agent-workflows', 'sre-agent-applications', 'sre-agent-nothing-else']);
    const bindings = admission.filter(d => d.kind === 'ValidatingAdmissionPolicyBinding');
    assert.equal(bindings.length, policies.length);
    for (const p of policies) {
      assert.equal(p.apiVersion, 'admissionregistration.k8s.io/v1');
      assert.equal(p.spec.failurePolicy, 'Fail');
      const b = bindings.find(x => x.spec.policyName === p.metadata.name);
      assert.deepEqual(b?.spec.validationActions, ['Deny', 'Audit']);
      assert.equal(b.spec.matchResources, undefined);
    }
  });
  test('no optional types, no extension library', () => {
    for (const source of policies.flatMap(p => [...p.spec.matchConditions, ...(p.spec.variables ?? []), ...p.spec.validations]).map(x => x.expression))
      assert.doesNotMatch(source, /\.\?|\[\?|optional\.|orValue|\.sets\.|authorizer|namespaceObject|params/);
  });
  test('the read role names every resource and holds no secret, no wildcard, no execution, no write', () => {
    const role = docs('read.yaml').find(d => d.kind === 'ClusterRole');
    for (const rule of role.rules) {
      for (const v of rule.verbs) assert.ok(['get', 'list', 'watch'].includes(v), v);
      for (const r of rule.resources) {
        assert.doesNotMatch(r, /\*|^secrets|^configmaps|\/(proxy|exec|attach|portforward|ephemeralcontainers|token)|accesstoken|accessgrant/);
        if (r.includes('/')) assert.ok(['pods/log', 'pods/status'].includes(r), r);
      }
      assert.ok(!rule.apiGroups.includes('*') && !rule.nonResourceURLs && !rule.resourceNames);
    }
  });
  test('the act role is three verbs on three kinds, bound to a namespace only', () => {
    const [act] = docs('act.yaml');
    assert.deepEqual(act.rules.map(r => [r.apiGroups, r.resources, r.verbs]), [[['apps'], ['deployments'], ['patch']], [[''], ['pods'], ['delete']], [['argoproj.io'], ['workflows'], ['patch']]]);
    const all = ['identity.yaml', 'read.yaml', 'act.yaml', 'act-binding.example.yaml', 'refresh.example.yaml', 'admission.yaml'].flatMap(docs);
    for (const b of all.filter(d => d.kind === 'ClusterRoleBinding')) assert.equal(b.roleRef.name, 'sre-agent-read');
    const bound = all.filter(d => d.kind === 'RoleBinding');
    assert.deepEqual(bound.map(b => b.roleRef.name), ['sre-agent-act', 'sre-agent-refresh']);
    for (const b of bound) { assert.ok(b.metadata.namespace); assert.deepEqual(b.subjects, [{ kind: 'ServiceAccount', name: 'sre-agent', namespace: 'sre-agent' }]); }
  });
  test('the kustomization applies what is safe everywhere and no binding of the act role', () => {
    const { resources } = parse(text('kustomization.yaml'));
    assert.deepEqual(resources, ['identity.yaml', 'read.yaml', 'act.yaml', 'admission.yaml']);
  });
});

// An API server of one page: objects of the kinds that matter, RBAC from the manifests (the act role bound in namespace app), the
// admission policies above. The real kubectl and the real check script talk to it.
const ALL = ['identity.yaml', 'read.yaml', 'act.yaml', 'admission.yaml', 'refresh.example.yaml'].flatMap(docs);
const role = (kind, name) => ALL.find(d => d.kind === kind && d.metadata.name === name).rules;
const granted = (a, extra) => [...role('ClusterRole', 'sre-agent-read'), ...(a.namespace === 'app' ? role('ClusterRole', 'sre-agent-act') : []), ...(a.namespace === 'argocd' ? role('Role', 'sre-agent-refresh') : []), ...extra]
  .some(r => [r.apiGroups, r.resources, r.verbs].every((list, i) => list.includes('*') || list.includes([a.group ?? '', a.resource + (a.subresource ? '/' + a.subresource : ''), a.verb][i])));
// kubectl sends reviews as protobuf: "k8s\0", Unknown{2: raw}, Review{2: spec}, Spec{1: attributes}; all fields are strings or messages
const fields = b => { const out = {}; for (let i = 0; i < b.length;) { const tag = b[i++]; let n = 0, shift = 0, c; do { c = b[i++]; n |= (c & 127) << shift; shift += 7; } while (c & 128); if ((tag & 7) === 2) { out[tag >> 3] = b.subarray(i, i + n); i += n; } } return out; };
function attributes(body) {
  if (body.subarray(0, 4).toString('latin1') !== 'k8s\0') return JSON.parse(body).spec.resourceAttributes;
  const f = fields(fields(fields(fields(body.subarray(4))[2])[2])[1]);
  return Object.fromEntries(['namespace', 'verb', 'group', 'version', 'resource', 'subresource', 'name'].map((k, i) => [k, f[i + 1]?.toString() ?? '']));
}
const OBJECTS = { deployments: deployment, pods: pod, workflows: workflow, applications: application };
async function cluster({ who = AGENT, extra = [], lax = false, missing = [] } = {}) {
  const wrote = [], versionOf = g => ({ 'argoproj.io': 'v1alpha1', 'metrics.k8s.io': 'v1beta1', 'skupper.io': 'v2alpha1', autoscaling: 'v2' })[g] ?? 'v1';
  const known = [...role('ClusterRole', 'sre-agent-read'), { apiGroups: [''], resources: ['secrets', 'configmaps'] }, { apiGroups: ['authorization.k8s.io'], resources: ['selfsubjectaccessreviews'] }, { apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
    { apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles', 'clusterroles', 'clusterrolebindings'] }, { apiGroups: ['skupper.io'], resources: ['accesstokens', 'accessgrants'] }].flatMap(r => r.resources.filter(x => !x.includes('/') && !missing.includes(x)).map(name => ({ group: r.apiGroups[0], name })));
  const kinds = Object.groupBy ? Object.groupBy(known, x => x.group) : known.reduce((o, x) => ({ ...o, [x.group]: [...(o[x.group] ?? []), x] }), {});
  const server = http.createServer((req, res) => {
    const parts = [];
    req.on('data', d => parts.push(d)).on('end', () => {
      try { answer(req, res, Buffer.concat(parts)); } catch (e) { res.writeHead(500).end(e.stack); }
    });
  });
  function answer(req, res, body) {
    const send = (o, code = 200) => { res.writeHead(code, { 'content-type': 'application/json' }); res.end(JSON.stringify(o)); };
    const fail = (code, reason, message) => send({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, code }, code);
    const url = new URL(req.url, 'http://x'), at = url.pathname, json = body[0] === 123 ? JSON.parse(body) : {};
    if (at === '/api') return send({ kind: 'APIVersions', versions: ['v1'] });
    if (at === '/apis') return send({ kind: 'APIGroupList', apiVersion: 'v1', groups: Object.keys(kinds).filter(g => g).map(name => { const v = { groupVersion: name + '/' + versionOf(name), version: versionOf(name) }; return { name, versions: [v], preferredVersion: v }; }) });
    const gv = /^\/(?:api|apis\/([^/]+))\/(v[0-9a-z]+)$/.exec(at);
    if (gv) return send({ kind: 'APIResourceList', apiVersion: 'v1', groupVersion: gv[1] ? gv[1] + '/' + gv[2] : 'v1', resources: (kinds[gv[1] ?? ''] ?? []).map(({ name }) => ({ name, singularName: name.slice(0, -1), kind: { pods: 'Pod', deployments: 'Deployment', workflows: 'Workflow', applications: 'Application' }[name] ?? name, namespaced: !/^(namespaces|nodes|self)/.test(name), verbs: ['get', 'list', 'patch', 'delete', 'create'] })) });
    if (at.endsWith('/selfsubjectreviews')) return send({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview', status: { userInfo: { username: who } } }, 201);
    if (at.endsWith('/selfsubjectaccessreviews')) return send({ apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: {}, status: { allowed: granted(attributes(body), extra) } }, 201);
    const m = /^\/apis?\/(?:([^/]+)\/)?(v[0-9a-z]+)\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(at), [, group = '', version, namespace, resource, name] = m ?? [], old = OBJECTS[resource];
    if (!old) return fail(404, 'NotFound', at);
    const verb = { GET: 'get', PATCH: 'patch', DELETE: 'delete' }[req.method];
    if (!granted({ group, resource, verb, namespace }, extra)) return fail(403, 'Forbidden', `${resource} "${name}" is forbidden: User "${who}" cannot ${verb} resource`);
    if (verb === 'get') return send(old);
    if (!url.searchParams.getAll('dryRun').includes('All') && !(json.dryRun ?? []).includes('All')) wrote.push(req.method + ' ' + at);
    const now = verb === 'patch' ? merge(old, json) : null, options = { kind: 'DeleteOptions' };
    if (json.gracePeriodSeconds !== undefined) options.gracePeriodSeconds = json.gracePeriodSeconds;
    const no = lax ? [] : denials(request(verb === 'patch' ? 'UPDATE' : 'DELETE', [group, version, resource], { name, namespace, options, userInfo: { username: who } }), now, old);
    if (no.length) return fail(422, 'Invalid', `${resource} "${name}" is forbidden: ValidatingAdmissionPolicy '${no[0].split(': ')[0]}' with binding '${no[0].split(': ')[0]}' denied request: ${no[0]}`);
    send(now ?? old);
  }
  await new Promise(ok => server.listen(0, '127.0.0.1', ok));
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'admission-')), config = path.join(home, 'config');
  fs.writeFileSync(config, JSON.stringify({ apiVersion: 'v1', kind: 'Config', clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${server.address().port}` } }], users: [{ name: 'u', user: {} }], contexts: [{ name: 'dev-1', context: { cluster: 'c', user: 'u' } }] }));
  return { wrote,
    check: (...args) => new Promise(ok => { const p = spawn(new URL('check', dir).pathname, args, { env: { PATH: process.env.PATH, HOME: home, KUBECONFIG: config } }); let out = ''; p.stdout.on('data', d => out += d); p.stderr.on('data', d => out += d); const limit = setTimeout(() => p.kill('SIGKILL'), 120000); p.on('close', status => { clearTimeout(limit); ok({ status, out }); }); }),
    stop: () => { server.closeAllConnections(); server.close(); fs.rmSync(home, { recursive: true, force: true }); } };
}

describe('the check script', { skip: spawnSync('kubectl', ['version', '--client']).status !== 0 && 'kubectl is not installed', concurrency: 2 }, () => {
  const whole = ['dev-1', 'app', 'data-service', pod.metadata.name, workflow.metadata.name, 'data-service'];
  test('a cluster with these manifests passes, line by line, and nothing is written', async () => {
    const c = await cluster({ missing: ['sites'] }), r = await c.check(...whole);
    c.stop();
    assert.equal(r.status, 0, r.out.split('\n').filter(l => !l.startsWith('ok')).join('\n'));
    assert.ok(Number(/(\d+) checked, 0 failed/.exec(r.out)?.[1]) > 150, r.out);
    assert.deepEqual(c.wrote, []);
    assert.ok(r.out.includes('skip  can-i get sites.skupper.io -A: no such kind'), r.out);
    for (const what of ['can-i get nodes -A: yes', 'can-i get workflows.argoproj.io -A: yes', 'can-i get secrets -A: no', 'can-i get pods --subresource=exec -A: no', 'restart of data-service: allowed', 'scaling to zero: refused by policy', `deletion of pod ${pod.metadata.name}: allowed`, 'a sync: refused by policy'])
      assert.ok(r.out.includes('ok    ' + what), what);
  });
  test('a role that does everything, missing policies and an administrator each fail', async () => {
    const c = await cluster({ extra: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }], lax: true, who: 'kubernetes-admin' }), r = await c.check(...whole), failed = r.out.split('\n').filter(l => l.startsWith('FAIL'));
    c.stop();
    assert.equal(r.status, 1);
    for (const line of ['whoami', 'can-i get secrets -A: wanted no', 'can-i get nodes --subresource=proxy', 'can-i create pods --subresource=exec', 'can-i delete namespaces', 'can-i impersonate users', 'can-i * *', 'scaling to zero: wanted refused',
      `forced deletion of pod ${pod.metadata.name}: wanted refused`, 'another entrypoint: wanted refused', 'a sync: wanted refused', 'deletion of the deployment: wanted refused'])
      assert.ok(failed.some(l => l.includes(line)), `no FAIL of "${line}" in\n${failed.join('\n')}`);
  });
  test('no argument is bad usage', async () => { const c = await cluster(), r = await c.check(); c.stop(); assert.equal(r.status, 2); assert.match(r.out, /check CLUSTER NS DEPLOYMENT/); });
});
