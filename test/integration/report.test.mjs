// The report: what it says, that nothing in it acts, and how it looks in a browser, on a phone and in the dark.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { chromium, startBrowser } from '../support/browser.mjs';
import { command, environment, notification, request, root, sleep, startChannel, tempDir, until } from '../support/channel.mjs';
import { startFakeSlack } from '../support/fake_slack/main.mjs';
import { day, hour, minute, seed, sql, times } from '../support/memory.mjs';

const evil = '<img src=x onerror=alert(1)>"\'&<script>alert(2)</script>';
const past = [
  ...times(12, k => ({ alertname: 'High Latency', service: 'openaire-test', cluster: 'platform-prod', namespace: 'api', verdict: 'noise', ago: (k % 6) * day + (k + 1) * hour, takenAfter: (1 + k % 3) * minute, lasted: (3 + k % 5) * minute })),
  ...times(9, k => ({ alertname: 'Tenant Inactive', service: `tenant-test-${k}`, cluster: 'dev-eu', namespace: 'tenants', prod: 0, verdict: 'noise', ago: (k % 5) * day + 3 * hour, takenAfter: 40_000 })),
  ...times(5, k => ({ alertname: 'PVC almost full', service: 'postgres', cluster: 'data-eu-1', namespace: 'db', verdict: 'noise', ago: k * day + 5 * hour })),
  { alertname: 'KubePodCrashLooping', service: 'backend', cluster: 'platform-prod', namespace: 'shop', severity: 'critical', verdict: 'auto_fixed', ago: 2 * day, summary: 'OOMKilled after the deploy of 3.4.1, recovered',
    root_cause: 'the new image loads the whole price list at start: 1.9 GiB, limit 1.5 GiB', action: 'restarted twice, then rolled back to 3.4.0', lasted: 25 * minute },
  { alertname: 'HighErrorRate', service: 'checkout', cluster: 'platform-prod', namespace: 'shop', severity: 'critical', verdict: 'escalated', ago: 4 * day, summary: 'payments failed for 40 minutes', root_cause: 'the provider\'s certificate had expired', action: 'escalated; the owner switched to the second provider', lasted: 70 * minute },
  { alertname: 'DiskPressure', service: 'node-exporter', cluster: 'data-eu-1', verdict: 'real', ago: 20 * hour, summary: 'images filled /var/lib/containerd', root_cause: '', action: 'pruned', open: true },
  { alertname: evil, service: evil, cluster: 'c', verdict: 'real', ago: 3 * hour, summary: evil, root_cause: evil, action: 'x'.repeat(3000) },
  { alertname: 'QueueGrowth', service: 'mailer', cluster: 'platform-prod', ago: 50 * minute, open: true },
  ...times(4, k => ({ alertname: 'QueueGrowth', service: 'mailer', cluster: 'platform-prod', verdict: 'unsure', ago: (8 + k) * day })),
  { alertname: 'Old', verdict: 'noise', ago: 16 * day },
  ...times(30, k => ({ alertname: 'High Latency', service: 'openaire-test', cluster: 'platform-prod', namespace: 'api', verdict: 'noise', ago: (7.2 + k / 5) * day })),
];

async function filled() {
  const state = tempDir(), env = environment(state);
  await command(env, 'incidents');
  seed(state, past);
  const now = Date.now();
  sql(state, `INSERT INTO slack_person(user_id, name) VALUES('U1', 'Ada <b>');
    INSERT INTO slack_escalation(title, body, severity, incident_id, recommended_action, created_at) VALUES
      ('Payments fail', 'b', 'critical', 28, '', ${now - 4 * day}), ('PVC grows', 'b', 'warning', NULL, '', ${now - 2 * hour}), ('Old', 'b', 'info', NULL, '', ${now - 3 * day}), ('${'Disk '.repeat(40)}', 'b', 'info', NULL, '', ${now - 3 * day});
    UPDATE slack_escalation SET state = 1, changed_by = 'U1', changed_at = created_at + 240000 WHERE id = 1;
    UPDATE slack_escalation SET state = 3, changed_by = 'the agent', changed_at = created_at + 3600000 WHERE id = 1;
    UPDATE slack_escalation SET state = 3, changed_by = 'the alert itself', changed_at = created_at + 600000 WHERE id = 3;
    UPDATE slack_escalation SET nags = 5 WHERE id = 2;
    UPDATE incident SET paged_at = opened_at + 1 WHERE id = 1;
    INSERT INTO counter(name, n) VALUES('sre_pushed_bytes_total', 40000), ('sre_events_total{kind="alert"}', 29);
    UPDATE counter SET n = n + 3210 WHERE name = 'sre_pushed_bytes_total';`);
  return { state, env };
}

const whole = filled();
const plain = html => html.replace(/<(title|desc)[ >].*?<\/\1>/g, '').replace(/<style>.*?<\/style>/s, '').replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');

test('report writes one page, at once and for its owner only', async () => {
  const { state, env } = await whole;
  const file = path.join(state, 'report.html');
  fs.writeFileSync(file, 'old', { mode: 0o644 });
  const { status, stdout, stderr } = await command(env, 'report', '--html', file);
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(fs.readdirSync(state).filter(f => f.includes('.tmp')), []);
  const html = fs.readFileSync(file, 'utf8');
  const briefing = JSON.parse((await command(env, 'briefing', '--json')).stdout);
  assert.ok(plain(html).includes(`Alerts ${briefing.total} `), 'the total is the briefing\'s');
  for (const words of ['noise 26 auto-fixed 1 escalated 1 real 2 undecided 1', 'KubePodCrashLooping on backend', '1.9 GiB, limit 1.5 GiB', 'rolled back to 3.4.0', 'still firing', 'Tenant Inactive on tenant-test-*',
    'after 4 min by Ada &lt;b&gt;', 'not yet', '5 reminders', '4 asked, 1 answered: half of them within 4 min', '2 wait for an answer', 'over before anybody did', '1 incident went to the owner',
    '26 alerts were noise or fixed', '5 minutes to check one, that is 2 h 10 min', 'sent 43 KB in 29 events', 'Alerts 31 before: 34 ', 'removed 42 of 42 firings, 0 real'])
    assert.ok(plain(html).includes(words), words);
  assert.match(html, /^<!DOCTYPE html>\n<html lang="en">/);
  assert.match(html, /<a href="#proposal-\d+">[^<]+<\/a>: saves/);
  assert.ok(!/<img|<script|onerror=[^&]*>(?!.*&lt;)/.test(html.replaceAll(/&lt;.*?&gt;/g, '')), 'nothing of an alert is markup');
  assert.ok(html.length < 200_000);
});

test('what is wrong is named', async () => {
  const { env } = await whole;
  for (const [words, status, why] of [
    [['report'], 2, /--html FILE is needed/], [['report', '--html', '/nowhere/at/all/r.html'], 1, /cannot write \/nowhere\/at\/all\/r.html: No such file/],
    [['report', '--days', '0', '--html', '-'], 2, /--days/], [['postmortem'], 2, /number of an incident/], [['postmortem', 'x'], 2, /number of an incident/], [['postmortem', '99999'], 1, /there is no incident 99999/],
  ]) {
    const r = await command(env, ...words);
    assert.equal(r.status, status, words.join(' '));
    assert.match(r.stderr, why);
    assert.equal(r.stdout, '');
  }
});

test('an empty memory has a report, too', async () => {
  const env = environment(tempDir());
  for (const days of ['1', '7', '365', '3650']) {
    const { status, stdout } = await command(env, 'report', '--days', days, '--html', '-');
    assert.equal(status, 0);
    assert.match(plain(stdout), /Real incidents None\./);
  }
});

test('GET /report: behind the token, with a strict policy', async () => {
  const { state } = await whole;
  const c = await startChannel({ state, args: ['standby'], initialize: false, env: { WEBHOOK_TOKEN: 'tok' } });
  const get = (p, headers = {}, method = 'GET') => request(c.url + p, { method, headers });
  const auth = { authorization: 'Bearer tok' };
  const refused = await get('/report');
  assert.equal(refused.status, 401);
  assert.match(String(refused.headers['www-authenticate']), /Basic realm=.*Bearer/);
  const r = await get('/report?days=30', auth);
  assert.equal(r.status, 200);
  assert.equal(r.headers['content-type'], 'text/html; charset=utf-8');
  assert.match(r.headers['content-security-policy'], /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/);
  assert.deepEqual([r.headers['x-content-type-options'], r.headers['cache-control'], r.headers['referrer-policy']], ['nosniff', 'no-store', 'no-referrer']);
  assert.match(r.text, /Alerts of the last 30 days/);
  assert.equal((await get('/report', { authorization: 'Basic ' + Buffer.from('me:tok').toString('base64') })).status, 200);
  assert.equal((await get('/report', auth, 'HEAD')).text, '');
  assert.equal((await get('/report', auth, 'POST')).status, 405);
  for (const days of ['0', 'x', '3651', '7&x=1', '-1']) assert.equal((await get(`/report?days=${days}`, auth)).status, 400, days);
  // Many at once: some are told to come again, the port goes on.
  const many = await Promise.all(times(8, () => get('/report', auth)));
  assert.ok(many.every(m => m.status === 200 || (m.status === 503 && m.headers['retry-after'])), many.map(m => m.status).join());
  assert.ok(many.some(m => m.status === 200));
  assert.equal((await get('/report', auth)).status, 200);
  c.kill('SIGTERM');
  await c.exited;
});

test('without a token no page of another name reads the report', async () => {
  const c = await startChannel({ args: ['standby'], initialize: false });
  const get = host => request(c.url + '/report', { method: 'GET', headers: { host } });
  assert.equal((await get('evil.example:8788')).status, 403);
  for (const host of ['localhost:1', '127.0.0.1', '[::1]:8788']) assert.equal((await get(host)).status, 200, host);
  c.kill('SIGTERM');
  await c.exited;
});

// ---- the postmortem ----

test('a postmortem is a draft from the timeline, and text stays text', async () => {
  const c = await startChannel({ env: { SRE_EVENTS_PER_MINUTE: '100' } });
  const link = '[pay](http://evil.example) ![i](x) <b>html</b> | `code`\n# Heading';
  const { json } = await c.post(notification([{ alertname: 'Pay # Down', service: 'checkout', cluster: 'platform-prod', pod: 'a', severity: 'critical' }, { alertname: 'Pay # Down', service: 'checkout', cluster: 'platform-prod', pod: 'b' }], { annotations: { summary: link, key: 'password=hunter22222' } }));
  const id = json.incidents[0];
  await c.event();
  await c.call('get_incident', { incident_id: id });
  await c.call('log_incident', { incident_ids: [id], verdict: 'escalated', summary: link, root_cause: '# cert\n- expired\n===', action: `token=ghp_${'0a'.repeat(18)} used` });
  const now = Date.now();
  sql(c.state, `INSERT INTO slack_person(user_id, name) VALUES('U1', 'Ada');
    INSERT INTO slack_escalation(title, body, severity, incident_id, recommended_action, created_at) VALUES('Payments', 'b', 'critical', ${id}, '', ${now});
    UPDATE slack_escalation SET state = 1, changed_by = 'U1', changed_at = ${now + 1000};
    INSERT INTO slack_inbox(at, kind, channel, ts, ts_us, thread_ts, user_id, text, escalation_id) VALUES(${now + 2000}, 0, 'D', '1', 1, '1', 'U1', 'I renew <it> now', 1);
    INSERT INTO trail(at, actor, action, detail) VALUES(${now}, 'guard', 'allowed', 'kubectl get pods');`);
  const { status, stdout, stderr } = await c.command('postmortem', String(id));
  assert.deepEqual([status, stderr], [0, '']);
  if (process.env.PICTURES) fs.writeFileSync(path.join(process.env.PICTURES, 'postmortem.md'), stdout);
  assert.deepEqual(stdout.split('\n').filter(l => /^#/.test(l)), [`# Postmortem of incident ${id}: Pay \\# Down on checkout (platform-prod)`,
    ...['Summary', 'Impact', 'Timeline', 'Detection and response', 'Root cause', 'Actions taken', 'Evidence', 'What went well', 'What went badly', 'Action items'].map(h => `## ${h}`)]);
  const outside = stdout.split('\n').filter(l => !l.startsWith('    ')).join('\n'); // of the code blocks
  assert.ok(!/(?<!\\)[<`]|(?<!\\)\]\(|https?:\/\//.test(outside), 'no HTML, code or link of its own');
  assert.ok(!/hunter2|ghp_/.test(stdout));
  for (const words of ['| alert | fired: ', '| alert | also fires: ', '| channel | pushed: delivery 1 |', '| agent | taken: get\\_incident |', '| agent | verdict: escalated. \\[pay', '| U1 | acknowledged: escalation 1 |', '| Ada | wrote: I renew \\<it\\> now |', '| guard | allowed: kubectl get pods _(meanwhile)_ |',
    '| Given to the agent | ', '| Taken by the agent | ', '| First verdict | ', '| Answered by a person | ', '\\# cert\n\\- expired\n\\===\n', 'redacted', '| Severity | critical |', 'The alert still fires, for '])
    assert.ok(stdout.includes(words), words + '\n' + stdout);
  await c.stop();
});

// ---- the week's summary ----

test('the week is told once, whoever runs, and not before a Monday has passed', async () => {
  const state = tempDir(), env = environment(state);
  await command(env, 'incidents');
  seed(state, [{ alertname: 'A', service: 's', verdict: 'noise', ago: hour }, { alertname: 'A', service: 's', verdict: 'noise', ago: 2 * hour }]);
  assert.equal((await command(env, 'report', '--weekly')).status, 0);
  assert.equal(sql(state, 'SELECT count(*) FROM page'), '0\n', 'a new installation waits for its first Monday');
  sql(state, `UPDATE weekly SET told_at = ${Date.now() - 8 * day}`);
  const all = await Promise.all([1, 2].map(() => startChannel({ state, args: ['standby'], initialize: false })));
  await until(() => sql(state, 'SELECT count(*) FROM page') === '1\n', 8000, 'the summary');
  await Promise.all(times(3, () => command(env, 'report', '--weekly')));
  await sleep(1500);
  assert.match(sql(state, 'SELECT severity, text FROM page'), /^info\|Alerts of the last 7 days\n\n\*\*2 alerts\*\*: 2 noise \(100 %\), 0 real, 0 undecided\.[^]*A on s, 2x[^]*report --html FILE/);
  assert.equal(sql(state, 'SELECT count(*) FROM page'), '1\n');
  const slack = await startFakeSlack();
  all.push(await startChannel({ name: 'slack-channel', state, args: ['standby'], initialize: false, env: slack.env }));
  const { message } = await slack.waitPosted('Alerts of the last 7 days', 15000);
  assert.match(slack.shown(message), /Alerts of the last 7 days\n+\*2 alerts\*: 2 noise \(100 %\), 0 real[^]*A on s, 2x[^]*webhook-channel report --html FILE/);
  await sleep(1500);
  assert.equal(slack.posted.length, 1);
  for (const c of all) c.kill('SIGTERM');
  for (const c of all) assert.equal((await c.exited).code, 0);
  await slack.stop();
});

// ---- in a browser ----

// Contrast of every text against what is behind it (WCAG 2.2, 1.4.3).
const contrast = () => {
  const rgb = s => s.match(/[\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const bad = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let n = 0;
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || ['title', 'desc'].includes(e.tagName)) continue;
    const s = getComputedStyle(e), a = light(rgb(e.closest('svg') ? s.fill : s.color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    n++;
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${walk.currentNode.data}`);
  }
  return { n, bad };
};
const form = () => ({
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  wide: [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('svg')).map(e => e.tagName + e.className),
  headings: [...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1]),
  lang: document.documentElement.lang, charts: [...document.querySelectorAll('svg[role=img]')].map(s => !!s.querySelector('title') && !!s.querySelector('desc') && !!s.closest('section').querySelector('table')),
  silent: [...document.querySelectorAll('svg')].every(s => s.getAttribute('role') === 'img' || s.getAttribute('aria-hidden') === 'true' ),
  scopes: [...document.querySelectorAll('th')].every(t => t.scope), scripts: document.scripts.length, styled: getComputedStyle(document.querySelector('.tiles')).display, xss: document.querySelectorAll('main img').length,
});

test('in a browser: light, dark and on a phone', { skip: chromium ? false : 'no chromium is installed' }, async () => {
  const { state } = await whole;
  const c = await startChannel({ state, args: ['standby'], initialize: false, env: { WEBHOOK_TOKEN: 'tok' } });
  const browser = await startBrowser();
  for (const look of [{ width: 1100 }, { width: 1100, dark: true }, { width: 360 }, { width: 360, dark: true }]) {
    const page = await browser.open(c.url + '/report', { ...look, headers: { authorization: 'Bearer tok' } });
    const name = `${look.width}${look.dark ? '-dark' : ''}`;
    if (process.env.PICTURES) await page.picture(path.join(process.env.PICTURES, `report-${name}.png`));
    const f = await page.ask(form), { n, bad } = await page.ask(contrast);
    assert.deepEqual(bad, [], name);
    assert.ok(n > 100, `${n} texts`);
    assert.deepEqual(f.wide, [], name);
    assert.deepEqual({ ...f, headings: 0, wide: 0 }, { overflow: 0, wide: 0, headings: 0, lang: 'en', charts: [true, true, true], silent: true, scopes: true, scripts: 0, styled: 'grid', xss: 0 }, name);
    assert.ok(f.headings[0] === 1 && f.headings.every((h, i) => i === 0 || (h > 1 && h <= f.headings[i - 1] + 1)), f.headings.join());
    assert.deepEqual(page.messages, [], name);
    assert.deepEqual(page.requests.filter(u => !u.startsWith('data:')), [c.url + '/report'], name);
    if (process.env.PICTURES && name === '1100') fs.writeFileSync(path.join(process.env.PICTURES, 'report.pdf'), Buffer.from((await page.call('Page.printToPDF', { printBackground: false })).data, 'base64'));
  }
  await browser.stop();
  c.kill('SIGTERM');
  await c.exited;
});
