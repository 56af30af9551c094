// `webhook-channel console` as a person uses it: at a terminal, key by key, and at the end of a pipe.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, test } from 'node:test';
import { binary, environment, freePort, notification, request, tempDir, until } from '../support/channel.mjs';

// A test that fails midway leaves no console behind.
const started = new Set();
after(() => started.forEach(child => child.kill('SIGKILL')));

function run(words, env) {
  const child = spawn(words[0], words.slice(1), { env, stdio: 'pipe' });
  started.add(child);
  return child;
}

async function startConsole({ terminal = false, env = {} } = {}) {
  const state = tempDir();
  const port = await freePort();
  const child = run(terminal ? ['script', '-qec', `'${binary('webhook-channel')}' console`, '/dev/null'] : [binary('webhook-channel'), 'console'],
    environment(state, { WEBHOOK_LISTEN: `127.0.0.1:${port}`, ...env }));
  const c = { child, screen: '' };
  child.stdout.on('data', d => { c.screen += d; });
  c.ended = new Promise(r => child.once('exit', (code, signal) => r({ code, signal })));
  c.type = keys => child.stdin.write(keys);
  c.shows = async pattern => {
    try {
      return await until(() => c.screen.match(pattern), 8000);
    } catch {
      throw new Error(`no ${pattern} on the screen:\n${c.screen}`);
    }
  };
  await c.shows(new RegExp(`a stand-in session; alerts go to http://127.0.0.1:${port}/`));
  await c.shows(/keys: s sample alert/);
  return c;
}

test('a sample arrives as the session would get it, and is logged, shown and ended by single keys', async () => {
  const c = await startConsole();
  c.type('n');
  await c.shows(/no incident yet: press s/);
  c.type('s');
  await c.shows(/POST \/webhook\/signoz -> 200 \{"accepted":1,"incidents":\[1\]\}/);
  const event = await c.shows(/<channel source="webhook" kind="alert" incident_id="1" status="firing" alertname="High Error Rate"[^>]*>\n([^<]+)<\/channel>/);
  assert.match(event[0], /severity="critical".*service="checkout".*cluster="platform-prod"/);
  assert.match(event[1], /5xx ratio of checkout is 7\.2 %/);
  c.type('l');
  await c.shows(/#1 critical firing High Error Rate on checkout .*\n1 in all/);
  c.type('r');
  await c.shows(/logged real for #1/);
  c.type('g');
  await c.shows(/decided, real/);
  c.type('e');
  await c.shows(/kind="resolved"/);
  c.type('q');
  assert.deepEqual(await c.ended, { code: 0, signal: null });
});

test('every verdict key logs its verdict', async () => {
  const c = await startConsole();
  c.type('s');
  await c.shows(/kind="alert"/);
  for (const [key, verdict] of [['n', 'noise'], ['a', 'auto_fixed']]) {
    c.type(key);
    await c.shows(new RegExp(`logged ${verdict} for #1`));
  }
  c.child.stdin.end();
  assert.deepEqual(await c.ended, { code: 0, signal: null });
});

test('any tool can be called, and what is wrong is said', async () => {
  const c = await startConsole();
  c.type(':list_incidents {"state":"all"}\n');
  await c.shows(/\n0 in all/);
  c.type(':get_incident {"incident_id":\n');
  await c.shows(/type a tool and its arguments/);
  c.type(':get_incident {"incident_id":77}\n');
  await c.shows(/tool error: .*77/);
  c.type(':no_such_tool\n');
  await c.shows(/error: .*no_such_tool/);
  c.type('x');
  await until(() => c.screen.split('keys: s sample alert').length === 3, 5000, 'the keys once more');
  c.type('q');
  assert.equal((await c.ended).code, 0);
});

test('at a terminal keys act without Enter, and what is typed can be corrected', async () => {
  const c = await startConsole({ terminal: true });
  c.type('s');
  await c.shows(/kind="alert"/);
  c.type(':briefinh\x7fg {"days":3}\r');
  await c.shows(/SRE Briefing - last 3 days/);
  c.type('q');
  assert.equal((await c.ended).code, 0);
});

test('a token is sent with the sample', async () => {
  const c = await startConsole({ env: { WEBHOOK_TOKEN: 'a-token-of-the-console' } });
  c.type('s');
  await c.shows(/-> 200/);
  assert.ok(!c.screen.includes('a-token-of-the-console'));
  c.type('q');
  assert.equal((await c.ended).code, 0);
});

test('a secret signs the sample', async () => {
  const c = await startConsole({ env: { WEBHOOK_HMAC_SECRET: 'a-secret-of-the-console' } });
  c.type('s');
  await c.shows(/-> 200/);
  assert.ok(!c.screen.includes('a-secret-of-the-console'));
  c.type('q');
  assert.equal((await c.ended).code, 0);
});

test('names of strangers cannot leave their attribute; Enter alone does nothing', async () => {
  const c = await startConsole();
  const [, port] = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(c.screen);
  const body = notification({ severity: 'warning', service: 'a"b<c', cluster: 'x' });
  await until(() => request(`http://127.0.0.1:${port}/`, { body }).catch(() => null), 5000, 'the port');
  await c.shows(/ service="a&quot;b&lt;c" /);
  c.type('\n\r');
  c.child.kill('SIGINT');
  assert.deepEqual(await c.ended, { code: 0, signal: null });
});

test('a signal ends it as q does', async () => {
  const c = await startConsole();
  c.child.kill('SIGINT');
  assert.deepEqual(await c.ended, { code: 0, signal: null });
});

test('a channel that cannot start ends the console with its reason', async () => {
  const child = run([binary('webhook-channel'), 'console'], environment(tempDir(), { WEBHOOK_LISTEN: '0.0.0.0:0' }));
  let log = '';
  child.stderr.on('data', d => { log += d; });
  const code = await new Promise(r => child.once('exit', r));
  assert.notEqual(code, 0);
  assert.match(log, /WEBHOOK_TOKEN/);
});

test('a wrong option is told with the usage', async () => {
  const child = run([binary('webhook-channel'), 'console', '--no-such'], environment(tempDir()));
  assert.equal(await new Promise(r => child.once('exit', r)), 2);
});
