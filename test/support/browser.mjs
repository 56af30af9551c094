// A headless Chromium, spoken to over its DevTools pipe (chromedevtools.github.io/devtools-protocol): no package, no port.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { sleep, which } from './channel.mjs';

export const chromium = which('chromium') ?? which('chromium-browser') ?? which('google-chrome');

export async function startBrowser() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'sre-browser-'));
  const child = spawn(chromium, ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--remote-debugging-pipe', `--user-data-dir=${dir}`],
  { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: dir, XDG_CONFIG_HOME: dir, XDG_CACHE_HOME: dir } });
  const exited = new Promise(r => child.once('exit', r));
  const [, , , to, from] = child.stdio;
  to.on('error', () => {});
  const waiting = new Map(), listeners = [];
  let id = 0, rest = Buffer.alloc(0);
  from.on('data', d => {
    rest = Buffer.concat([rest, d]);
    for (let end; (end = rest.indexOf(0)) >= 0; rest = rest.subarray(end + 1)) {
      const m = JSON.parse(rest.subarray(0, end));
      if (!m.id) { for (const l of listeners) l(m); continue; }
      const { resolve, reject } = waiting.get(m.id);
      waiting.delete(m.id);
      if (m.error) reject(new Error(m.error.message)); else resolve(m.result);
    }
  });
  child.once('exit', () => { for (const w of waiting.values()) w.reject(new Error('the browser ended')); });
  const send = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
    waiting.set(++id, { resolve, reject });
    to.write(JSON.stringify({ id, method, params, sessionId }) + '\0');
  });
  const stop = async () => {
    send('Browser.close').catch(() => {});
    const late = setTimeout(() => child.kill('SIGKILL'), 3000);
    await exited;
    clearTimeout(late);
    for (let i = 0; i < 20; i++) { // its children still tidy up
      try { return fs.rmSync(dir, { recursive: true, force: true }); } catch { await sleep(100); }
    }
  };
  after(stop);

  // A page of that look: what it logged and asked for, and what a function finds in it.
  async function open(url, { width = 1000, height = 800, dark = false, headers = {} } = {}) {
    const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
    const call = (method, params) => send(method, params, sessionId);
    const page = { requests: [], messages: [], call };
    let loaded;
    const whole = new Promise(r => { loaded = r; });
    listeners.push(m => {
      if (m.sessionId !== sessionId) return;
      if (m.method === 'Page.loadEventFired') loaded();
      if (m.method === 'Network.requestWillBeSent') page.requests.push(m.params.request.url);
      if (m.method === 'Log.entryAdded') page.messages.push(m.params.entry.text);
      if (m.method === 'Runtime.consoleAPICalled' || m.method === 'Runtime.exceptionThrown') page.messages.push(JSON.stringify(m.params));
    });
    for (const domain of ['Page', 'Network', 'Log', 'Runtime']) await call(`${domain}.enable`);
    await call('Network.setExtraHTTPHeaders', { headers });
    await call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] });
    await call('Page.navigate', { url });
    await whole;
    page.ask = async f => {
      const { result, exceptionDetails } = await call('Runtime.evaluate', { expression: `(${f})()`, returnByValue: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception.description);
      return result.value;
    };
    page.picture = async file => {
      const { cssContentSize: size } = await call('Page.getLayoutMetrics');
      const { data } = await call('Page.captureScreenshot', { captureBeyondViewport: true, clip: { x: 0, y: 0, width: size.width, height: size.height, scale: 1 } });
      fs.writeFileSync(file, Buffer.from(data, 'base64'));
    };
    return page;
  }
  return { open, stop };
}
