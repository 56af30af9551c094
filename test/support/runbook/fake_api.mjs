// An API server that knows every kind the playbooks name and holds one object of each, so that the real kubectl can be asked whether it understands a command.
import http from 'node:http';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawn } from 'node:child_process';

const KINDS = { v1: 'Pod Event Node* Namespace* Service PersistentVolumeClaim PersistentVolume* ResourceQuota Endpoints', 'apps/v1': 'Deployment ReplicaSet StatefulSet DaemonSet ControllerRevision',
  'batch/v1': 'Job CronJob', 'autoscaling/v2': 'HorizontalPodAutoscaler', 'policy/v1': 'PodDisruptionBudget', 'discovery.k8s.io/v1': 'EndpointSlice', 'networking.k8s.io/v1': 'Ingress',
  'storage.k8s.io/v1': 'StorageClass* VolumeAttachment*', 'coordination.k8s.io/v1': 'Lease', 'apiregistration.k8s.io/v1': 'APIService*', 'admissionregistration.k8s.io/v1': 'ValidatingWebhookConfiguration* MutatingWebhookConfiguration*',
  'metrics.k8s.io/v1beta1': 'PodMetrics NodeMetrics*', 'argoproj.io/v1alpha1': 'Application Workflow', 'cert-manager.io/v1': 'Certificate CertificateRequest ClusterIssuer*', 'acme.cert-manager.io/v1': 'Order Challenge',
  'skupper.io/v2alpha1': 'Site Link Listener Connector', 'networking.istio.io/v1': 'VirtualService DestinationRule', 'security.istio.io/v1': 'PeerAuthentication RequestAuthentication AuthorizationPolicy',
  'postgresql.cnpg.io/v1': 'Cluster', 'minio.min.io/v2': 'Tenant' };
const plural = k => ({ PodMetrics: 'pods', NodeMetrics: 'nodes', Endpoints: 'endpoints' })[k] ?? k.toLowerCase().replace(/s$/, 'se').replace(/y$/, 'ie') + 's';
const resources = Object.fromEntries(Object.entries(KINDS).map(([gv, list]) => [gv, list.split(' ').map(k => ({ kind: k.replace('*', ''), namespaced: !k.endsWith('*'), name: plural(k.replace('*', '')) }))
  .map(r => ({ ...r, singularName: r.kind.toLowerCase(), ...(r.name === 'persistentvolumeclaims' ? { shortNames: ['pvc'] } : {}), verbs: ['get', 'list', 'watch', 'patch', 'delete'] }))]));

function object(gv, kind, name, namespace) {
  const o = { apiVersion: gv, kind, metadata: { name, namespace, uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z', labels: {}, ownerReferences: [{ kind: 'ReplicaSet', name: 'rs', apiVersion: 'apps/v1', uid: '1' }], managedFields: [{ manager: 'argocd-controller', operation: 'Update', time: '2026-01-01T00:00:00Z' }] },
    spec: { replicas: 1, containers: ['web', 'main', 'postgres', 'minio', 'qdrant', 'router'].map(name => ({ name, image: 'x' })), template: { metadata: {}, spec: { containers: [{ name: 'web', image: 'x', resources: {} }] } }, selector: { matchLabels: { app: 'web' } } },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }], containerStatuses: [{ name: 'web', ready: true, restartCount: 0 }], resources: [{ kind: 'Deployment', name: 'web', status: 'OutOfSync' }], history: [{ deployedAt: 't', revision: 'r' }] } };
  if (kind === 'PodMetrics') Object.assign(o, { timestamp: '2026-01-01T00:00:00Z', window: '30s', containers: [{ name: 'web', usage: { cpu: '10m', memory: '20Mi' } }] });
  if (kind === 'NodeMetrics') Object.assign(o, { timestamp: '2026-01-01T00:00:00Z', window: '30s', usage: { cpu: '10m', memory: '20Mi' } });
  if (kind === 'Node') o.status = { ...o.status, capacity: { cpu: '4', memory: '8Gi' }, allocatable: { cpu: '4', memory: '8Gi' } };
  if (kind === 'Event') Object.assign(o, { lastTimestamp: '2026-01-01T00:00:00Z', involvedObject: { kind: 'Pod', name: 'web' }, reason: 'X', message: 'x', type: 'Warning' });
  if (kind === 'Job') o.spec.selector = { matchLabels: { 'job-name': name } };
  if (kind === 'HorizontalPodAutoscaler') { o.spec = { minReplicas: 1, maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'web' } }; o.status = { currentReplicas: 1, desiredReplicas: 1 }; }
  if (kind === 'ResourceQuota') { o.spec = { hard: { pods: '5' } }; o.status = { hard: { pods: '5' }, used: { pods: '5' } }; }
  if (kind === 'PersistentVolumeClaim') { o.spec = { storageClassName: 'fast', resources: { requests: { storage: '1Gi' } } }; o.status = { phase: 'Bound', capacity: { storage: '1Gi' } }; }
  if (['Service', 'EndpointSlice', 'VolumeAttachment', 'StorageClass', 'Ingress', 'CronJob', 'Namespace'].includes(kind)) o.spec = {};
  return o;
}

export async function serve() {
  const writes = [], named = Object.keys(KINDS).filter(gv => gv.includes('/'));
  const server = http.createServer((req, res) => {
    const send = o => { res.setHeader('content-type', 'application/json'); res.end(JSON.stringify(o)); };
    const { pathname } = new URL(req.url, 'http://x');
    if (pathname === '/api') return send({ kind: 'APIVersions', versions: ['v1'] });
    if (pathname === '/apis') return send({ kind: 'APIGroupList', apiVersion: 'v1', groups: named.map(gv => { const [name, version] = gv.split('/'), v = { groupVersion: gv, version }; return { name, versions: [v], preferredVersion: v }; }) });
    const m = /^\/(?:api|apis)\/(v1|[^/]+\/v[^/]+)(?:\/namespaces\/([^/]+)(?=\/))?(?:\/([^/]+)(?:\/([^/]+)(\/log)?)?)?$/.exec(pathname), list = m && resources[m[1]];
    if (!list) { res.statusCode = 404; return send({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404, message: pathname }); }
    if (!m[3]) return send({ kind: 'APIResourceList', apiVersion: 'v1', groupVersion: m[1], resources: list });
    if (m[5]) { res.setHeader('content-type', 'text/plain'); return res.end('a line\n'); }
    const r = list.find(x => x.name === m[3]);
    if (!r) { res.statusCode = 404; return send({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404, message: pathname }); }
    if (req.method !== 'GET') writes.push(`${req.method} ${pathname}`);
    const one = name => object(m[1], r.kind, name, r.namespaced ? m[2] ?? 'data' : undefined);
    if (req.method === 'DELETE') return send({ kind: 'Status', apiVersion: 'v1', status: 'Success' });
    if (req.method === 'PATCH') return send({ ...one(m[4]), spec: { shutdown: 'Terminate' } });
    send(m[4] ? one(m[4]) : { kind: r.kind + 'List', apiVersion: m[1], metadata: {}, items: [one('web')] });
  });
  await new Promise(ok => server.listen(0, '127.0.0.1', ok));
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'runbook-api-')), config = path.join(dir, 'config');
  fs.writeFileSync(config, JSON.stringify({ apiVersion: 'v1', kind: 'Config', clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${server.address().port}` } }], users: [{ name: 'u', user: {} }], contexts: [{ name: 'dev-1', context: { cluster: 'c', user: 'u' } }] }));
  return {
    writes,
    kubectl: args => new Promise(ok => {
      const p = spawn('kubectl', args, { env: { PATH: process.env.PATH, HOME: dir, KUBECONFIG: config }, stdio: ['ignore', 'pipe', 'pipe'] });
      let stdout = '', stderr = '';
      p.stdout.on('data', d => stdout += d); p.stderr.on('data', d => stderr += d);
      const limit = setTimeout(() => p.kill('SIGKILL'), 10000);
      p.on('close', status => { clearTimeout(limit); ok({ status, stdout, stderr }); });
    }),
    stop: async () => { server.closeAllConnections(); await new Promise(ok => server.close(ok)); fs.rmSync(dir, { recursive: true, force: true }); },
  };
}
