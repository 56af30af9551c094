// A fake Slack: Web API and Socket Mode on one loopback port, with Slack's limits, error codes and faults.
// Needs Node 18 and nothing else (TLS needs the openssl command).
//
// In a test:
//   import { startFakeSlack } from '../support/fake_slack/main.mjs';
//   const slack = await startFakeSlack({ ackTimeoutMs: 300, retryDelaysMs: [0, 100, 300] });
//   spawn('build/slack-channel', { env: { ...process.env, ...slack.env } });       // SLACK_API_URL, both tokens, SLACK_ALLOWED_USERS
//   await slack.waitUp();                                                           // a socket got its hello
//   const m = slack.say('hello', { user: 'owner' });                                // owner | second | stranger | stranger2 | any id
//   const p = await slack.waitPosted(/hello back/, 5000);                           // p.ts p.text p.channel p.thread_ts p.at p.request
//   slack.click('Allow', { ts: p.ts });  slack.react('eyes', p.ts);  slack.edit(m.ts, 'hi');  slack.delete(m.ts);
//   slack.slash('/sre', 'status');  slack.again(m.ts);                              // a second delivery of the same event
//   slack.fault('chat.postMessage', { nth: 2, status: 429, retryAfter: 1 });        // all faults: faults.mjs
//   slack.next({ coalesceHello: true });  slack.style({ fragment: 7 });             // how sockets behave: socket_mode.mjs
//   slack.refresh();  slack.warn();  slack.hang();  slack.reset();  slack.ghost();  slack.linkDisabled();  slack.tooMany();
//   slack.outage('refuse' | 'reset' | 'hang' | '5xx' | false);  slack.revoke('bot');  slack.removeScope('im:history');
//   await slack.stop();
// What there is to look at: posted, updated, deleted, ephemeral, statuses, requests (in order: at, method, args, token, headers,
// status, error), connections, envelopes (attempts, acked, latency), violations (what a good client never does), messages(),
// shown(message) = what a person sees, buttons(ts), pings(message) = whom it rings, file(id).
//
// As a program: node test/support/fake_slack/main.mjs [--port N] [--tls] [--proxy] [--options JSON]
// prints one line of JSON (api_url, env, ...), then takes commands, a line each, on stdin: NAME, or NAME and a JSON array of
// arguments, or NAME and plain text for one string; each is answered by one line {"ok":true,"result":...},
// in the order they came (one that waits holds up the next). All options: DEFAULTS in server.mjs.
//   say hello             click ["Allow",{"user":"second"}]             fault ["chat.postMessage",{"lose":true}]
// The same over HTTP, for shells: curl -d '{"cmd":"say","args":["hello"]}' URL/_test   (plain `say hello` as the body works too).
// Ends with SIGTERM, with `quit`, and with the end of stdin when that is a pipe.
import fs from 'node:fs';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { startFakeSlack } from './server.mjs';
import { runCommand } from './commands.mjs';

export { startFakeSlack, FakeSlack } from './server.mjs';

async function cli(argv) {
  const options = {};
  for (let i = 0; i < argv.length; i++) {
    if (argv[i] === '--port') options.port = Number(argv[++i]);
    else if (argv[i] === '--tls') options.tls = true;
    else if (argv[i] === '--proxy') options.proxy = true;
    else if (argv[i] === '--options') Object.assign(options, JSON.parse(argv[++i]));
    else { process.stderr.write('usage: main.mjs [--port N] [--tls] [--proxy] [--options JSON]\n'); process.exit(2); }
  }
  const slack = await startFakeSlack(options), quit = async () => { await slack.stop(); process.exit(0); };
  process.on('SIGTERM', quit); process.on('SIGINT', quit);
  process.stdout.write(JSON.stringify(slack.describe()) + '\n');
  const piped = (s => s.isFIFO() || s.isSocket())(fs.fstatSync(0));
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === 'quit') return quit();
    if (line.trim()) process.stdout.write(await runCommand(slack, line) + '\n');
  }
  if (piped) await quit();
}

if (process.argv[1] && import.meta.url === pathToFileURL(fs.realpathSync(process.argv[1])).href) await cli(process.argv.slice(2));
