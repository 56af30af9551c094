// The Slack channel in the real Claude Code: a direct message comes in and its reply goes out; a Bash prompt that is allowed by a
// Slack button runs, one that is denied does not; a second session does not fight for the connection.
import fs from 'node:fs'; import os from 'node:os'; import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startFakeSlack } from '../support/fake_slack/main.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..'), build = process.env.BUILD_DIR ?? path.join(root, 'build');
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slack-real-'));
fs.writeFileSync(path.join(dir, '.mcp.json'), JSON.stringify({ mcpServers: { slack: { command: path.join(build, 'slack-channel') } } }));
fs.mkdirSync(path.join(dir, '.claude'));
fs.writeFileSync(path.join(dir, '.claude/settings.json'), JSON.stringify({ permissions: { defaultMode: 'default', allow: ['mcp__slack__reply'] } }));

export const limit_s = 150;
const bash = command => ({ type: 'tool_use', name: 'Bash', input: { command, description: 'touch a file' } });

export default async function (t) {
  const slack = await startFakeSlack();
  const env = { ...slack.env, SRE_STATE_DIR: path.join(dir, '.state'), SRE_LOG: 'debug', XDG_RUNTIME_DIR: dir };
  const ran = name => fs.existsSync(path.join(dir, name));
  await t.rules([
    { when: '<channel source="slack"[^>]*>\\s*are you there', once: true, blocks: [{ type: 'tool_use', name: 'mcp__slack__reply', input: { text: 'Yes, **here**.' } }] },
    { when: '<channel source="slack"[^>]*>\\s*run the first', once: true, blocks: [bash('touch allowed.txt && echo "a & b"')] },
    { when: '<channel source="slack"[^>]*>\\s*run the second', once: true, blocks: [bash('touch denied.txt')] },
    { when: '<channel source="slack"[^>]*>\\s*run the third', once: true, blocks: [bash('touch third.txt')] },
  ]);
  await t.start({ dir, channels: ['server:slack'], env });
  t.ok(await slack.waitUp(1, 10000).catch(() => null), 'the channel connects');

  slack.say('are you there?');
  const turn = await t.turn(/<channel source="slack"[^>]*>\s*are you there/);
  t.ok(turn, 'a direct message reaches the model');
  t.ok(/kind="message"/.test(turn?.last) && turn.last.includes(`chat_id="${slack.dm()}"`) && turn.last.includes('user="Olga Owner"'), 'with who and where');
  t.ok(turn?.tools.includes('mcp__slack__reply') && turn.tools.includes('mcp__slack__escalate'), 'the two tools are offered at once');
  const p = await slack.waitPosted('here', 10000).catch(() => null);
  t.ok(p?.text === 'Yes, *here*.', 'the reply arrives in Slack');

  slack.say('run the first');
  const ask = await slack.waitPosted(x => slack.buttons(x.ts).includes('Allow'), 20000).catch(() => null);
  t.ok(ask && slack.shown(ask.message).includes('touch allowed.txt && echo'), 'the prompt shows the whole command');
  t.ok(!ran('allowed.txt'), 'nothing ran yet');
  if (ask) slack.click('Allow', { ts: ask.ts });
  t.ok(await t.until(() => ran('allowed.txt'), 10000), 'allowed by the button, it runs');
  t.ok(ask && await t.until(() => /Allowed\*? by Olga Owner/.test(slack.shown(slack.message(ask.ts))), 5000), 'the message says who allowed it');

  slack.say('run the second');
  const deny = await slack.waitPosted(x => slack.buttons(x.ts).includes('Deny') && x.ts !== ask?.ts, 20000).catch(() => null);
  if (deny) slack.click('Deny', { ts: deny.ts });
  t.ok(deny && await t.until(() => /Denied\*? by Olga Owner/.test(slack.shown(slack.message(deny.ts))), 5000), 'denied by the button');
  await t.sleep(2000);
  t.ok(!ran('denied.txt'), 'it does not run');

  slack.say('run the third');
  const third = await slack.waitPosted(x => slack.shown(x.message).includes('third.txt'), 20000).catch(() => null);
  const id = /yes ([a-z]{5})/.exec(third ? slack.shown(third.message) : '')?.[1];
  if (id) slack.say(`Yes ${id}`);
  t.ok(id && await t.until(() => ran('third.txt'), 10000), 'allowed by words, it runs');
  await t.sync();
  t.ok(!t.turns.some(x => id && x.last.includes(`Yes ${id}`)), 'the words are not forwarded');

  await t.start({ dir, channels: ['server:slack'], env, name: 'second' });
  await t.sleep(3000);
  t.ok(slack.connections.length === 1, 'a second session leaves the connection alone');
  t.ok(slack.violations.length === 0, 'nothing that a good client does not do: ' + slack.violations.map(v => v.what));
  await slack.stop();
  fs.rmSync(dir, { recursive: true, force: true });
}
