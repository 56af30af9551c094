// The check script of deploy/kubernetes with the real kubectl, against a small API server that has the roles and the policies.
import { test, describe } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { pod, workflow } from '../support/runbook/admission.mjs';
import { cluster } from '../support/runbook/cluster.mjs';

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
