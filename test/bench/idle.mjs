// What everything but Claude Code costs while nothing happens: a session's two channels and both standbys, connected to the fake Slack.
// PSS of each (MB) and share of a core over the time; limits 24 MB and 0.5 % in all.
//   BUILD_DIR=... node test/bench/idle.mjs [SECONDS]
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { buildDir, environment, freePort, sleep, startChannel, tempDir } from '../support/channel.mjs';
import { startFakeSlack } from '../support/fake_slack/main.mjs';
import { startSession } from '../support/slack_session.mjs';

const seconds = Number(process.argv[2] ?? 60), slack = await startFakeSlack(), state = tempDir();
const env = environment(state, { ...slack.env, XDG_RUNTIME_DIR: state, WEBHOOK_LISTEN: `127.0.0.1:${await freePort()}` });
const standby = program => spawn(path.join(buildDir, program), ['standby'], { env, stdio: 'ignore' }).pid;
const webhook = await startChannel({ state, env }), bridge = await startSession({ state, env: { ...env, SRE_LOG: 'info' } });
const pids = { 'webhook-channel': webhook.pid, 'slack-channel': bridge.pid, 'webhook-channel standby': standby('webhook-channel'), 'slack-channel standby': standby('slack-channel') };
await sleep(10000);

const pss = pid => Number(/^Pss:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024;
const ticks = pid => fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13).reduce((a, b) => a + Number(b), 0);
const before = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, ticks(pid)]));
await sleep(seconds * 1000);
let memory = 0, share = 0;
for (const [name, pid] of Object.entries(pids)) {
  const mb = pss(pid), cpu = (ticks(pid) - before[name]) / seconds; // 100 ticks a second: percent of a core
  memory += mb;
  share += cpu;
  console.log(`${name.padEnd(26)} ${mb.toFixed(1).padStart(6)} MB ${cpu.toFixed(2).padStart(6)} %`);
}
console.log(`${'together'.padEnd(26)} ${memory.toFixed(1).padStart(6)} MB ${share.toFixed(2).padStart(6)} %`);
for (const pid of Object.values(pids)) process.kill(pid, 'SIGTERM');
await slack.stop();
process.exit(memory < 24 && share < 0.5 ? 0 : 1);
