// The admission policies of deploy/kubernetes/admission.yaml, evaluated on real object changes with a CEL evaluator: what the
// agent's own verbs may do, and what they may not. RBAC is assumed to allow everything, as if somebody had bound cluster-admin.
import { test, describe } from 'node:test';
import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { KINDS, admission, application, both, clone, denials, deployment, docs, merge, pod, policies, request, text, workflow } from '../support/runbook/admission.mjs';

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
