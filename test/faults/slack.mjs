// The Slack channel's session, against a fake Slack: a message comes in, a reply and an escalation go out, a prompt is answered
// by button, the escalation nags and is acknowledged. What was acknowledged to Slack or confirmed to the agent holds after it,
// once and no more, and the next session carries on.
import { startFakeSlack } from '../support/fake_slack/main.mjs';
import { call, initialize, start } from './program.mjs';

const TITLE = 'Disk full on db-1';
const events = p => p.lines.filter(l => l.method === 'notifications/claude/channel').map(l => l.params.content);
const heard = (p, text) => events(p).some(e => e.includes(text));
const verdicts = p => p.lines.filter(l => l.method === 'notifications/claude/channel/permission').map(l => l.params);
const posts = (slack, text) => slack.posted.filter(m => slack.shown(m.message).includes(text) && !/Nag #/.test(m.text));
const nags = slack => slack.posted.filter(m => /Nag #/.test(m.text));
const done = r => r !== undefined && r !== null && !r.isError;
const run = (state, slack, fault) => start('slack-channel', [], state, fault, { ...slack.env, SLACK_NAG_SECONDS: '1', XDG_RUNTIME_DIR: state });

// Somebody presses a button until it was heard: Slack repeats no click. True when it was acknowledged; then it must work.
async function press(p, slack, button, text, works, say) {
  for (let i = 0; i < 5 && !works() && !p.ended; i++) {
    await p.until(() => slack.socket.live.length, 'connection');
    const message = posts(slack, text)[0];
    const click = message && slack.buttons(message.ts).includes(button) ? slack.click(button, { ts: message.ts }) : null;
    await p.until(() => works() || click?.acked, say, 1500).catch(() => {});
    if (!click?.acked) continue;
    await p.until(works, `${say} that was acknowledged to Slack`);
    return true;
  }
  await p.until(works, say);
  return false;
}

async function steps(p, slack, told) {
  await initialize(p);
  await p.until(() => slack.socket.live.length, 'connection');
  if (p.ended) return;
  told.said = slack.say('first word');
  told.replied = await call(p, 2, 'reply', { text: 'an answer' });
  told.escalated = await call(p, 3, 'escalate', { title: TITLE, body: 'It is full.', severity: 'critical' });
  p.say({ method: 'notifications/claude/channel/permission_request', params: { request_id: 'abcde', tool_name: 'Bash', description: 'See', input_preview: 'kubectl get pods' } });
  if (done(told.replied)) await p.until(() => posts(slack, 'an answer').length, 'reply in Slack');
  if (await p.until(() => posts(slack, 'yes abcde').length, 'prompt in Slack')) {
    await press(p, slack, 'Allow', 'yes abcde', () => verdicts(p).length, 'verdict');
  }
  if (done(told.escalated) && await p.until(() => nags(slack).length, 'nag')) {
    told.acknowledged = await press(p, slack, 'Acknowledge', TITLE, () => heard(p, 'acknowledged'), 'acknowledgement');
  }
  await p.until(() => heard(p, 'first word'), 'message');
}

export async function session(state, fault) {
  const slack = await startFakeSlack({ ackTimeoutMs: 1000, retryDelaysMs: [0, 300, 600] });
  const p = run(state, slack, fault), told = { slack, p, calls: 0, fired: false, gaveUp: false };
  try {
    await steps(p, slack, told);
    told.gaveUp = await p.end();
    // One that could not be noted as told is told again; the client ignores that.
    if (verdicts(p).some(v => v.behavior !== 'allow' || v.request_id !== 'abcde') || verdicts(p).length > 2) throw new Error(`verdicts: ${JSON.stringify(verdicts(p))}`);
  } catch (e) {
    await slack.stop();
    await p.fail(e);
  } finally {
    const r = p.report();
    told.calls = r.calls;
    told.fired = r.failed > 0;
  }
  return told;
}

// What was sent is there once; what was refused at most that often.
function once(slack, text, answer) {
  const n = posts(slack, text).length;
  if (n > 1 || (n === 0 && done(answer))) throw new Error(`posted ${n} times: ${text} (${JSON.stringify(answer)})`);
}

async function next(p, slack, told) {
  await initialize(p);
  if (!await p.until(() => slack.socket.live.length, 'connection')) throw new Error('the next session ended');
  slack.say('second word');
  if (!done(await call(p, 2, 'reply', { text: 'more' }))) throw new Error('the next session cannot reply');
  for (const text of [told.said && 'first word', 'second word'].filter(Boolean))
    if (!await p.until(() => heard(p, text) || heard(told.p, text), text)) throw new Error(`lost: ${text}`);
  if (done(told.replied)) await p.until(() => posts(slack, 'an answer').length, 'reply in Slack');
  const { escalations } = (await call(p, 3, 'list_escalations', { state: 'all' })).structuredContent;
  const open = escalations.filter(e => e.title === TITLE);
  if (open.length > 1 || (done(told.escalated) && !open.length)) throw new Error(`escalations: ${JSON.stringify(escalations)}`);
  if (told.acknowledged && open[0]?.state === 'open') throw new Error('lost: an acknowledgement');
  if (open[0]?.state === 'open') {
    await p.until(() => nags(slack).length, 'nag');
    if (!await press(p, slack, 'Acknowledge', TITLE, () => heard(p, 'acknowledged'), 'acknowledgement')) throw new Error('the next session takes no acknowledgement');
  }
  once(slack, 'an answer', told.replied);
  once(slack, TITLE, told.escalated);
  once(slack, 'more', {});
  if (await p.end()) throw new Error('the next session failed');
}

// The next session, unfaulted, with the same Slack.
export async function check(state, told) {
  const { slack } = told, p = run(state, slack, null);
  try {
    await next(p, slack, told);
  } catch (e) {
    await p.fail(e);
  } finally {
    await slack.stop();
  }
}
