import http from 'node:http';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn } from 'node:child_process';
import { AGENT, application, denials, deployment, dir, docs, merge, pod, request, workflow } from './admission.mjs';

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
export async function cluster({ who = AGENT, extra = [], lax = false, missing = [] } = {}) {
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
    check: (...args) => new Promise(ok => { const p = spawn(fileURLToPath(new URL('check', dir)), args, { env: { PATH: process.env.PATH, HOME: home, KUBECONFIG: config } }); let out = ''; p.stdout.on('data', d => out += d); p.stderr.on('data', d => out += d); const limit = setTimeout(() => p.kill('SIGKILL'), 120000); p.on('close', status => { clearTimeout(limit); ok({ status, out }); }); }),
    stop: () => { server.closeAllConnections(); server.close(); fs.rmSync(home, { recursive: true, force: true }); } };
}
