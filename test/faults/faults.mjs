// The n-th allocation, write, fsync, SQLite call or socket call of a scripted session fails, for each n: no crash, no
// hang, no wrong answer, and what was promised is kept. See test/faults/run.
import fs from 'node:fs';
import path from 'node:path';
import { scratch } from './program.mjs';
import * as webhook from './webhook.mjs';
import * as slack from './slack.mjs';

const KINDS = ['sync', 'write', 'socket', 'sqlite', 'alloc'], NONE = { kind: 'none' };
// jobs: how many at a time; the Slack channel's mostly wait.
const SCENARIOS = {
  fresh: { ...webhook, prefix: 'f', jobs: 10 },
  restart: { ...webhook, prefix: 'r', jobs: 10, seeded: true },
  slack: { ...slack, jobs: 16 },
};

async function one(name, fault) {
  const scenario = SCENARIOS[name], state = fs.mkdtempSync(path.join(scratch, `${name}-`));
  try {
    if (scenario.seeded) fs.cpSync(path.join(scratch, 'seed'), state, { recursive: true });
    const told = await scenario.session(state, fault, scenario.prefix);
    await scenario.check(state, told);
    return told;
  } finally {
    fs.rmSync(state, { recursive: true, force: true });
  }
}

const number = n => ({ at: n, name: String(n) });

// Which n of 1 to total are tried: all, or so many, the first ones and then evenly.
function spread(total, most) {
  if (total <= most) return Array.from({ length: total }, (_, i) => number(i + 1));
  return [...new Set(Array.from({ length: most }, (_, i) => 1 + Math.floor(i * (total - 1) / (most - 1))))].map(number);
}

// Each way that led to such a call, as unfaulted sessions go them; `more` calls by chance.
async function ways(name, kind, total, more) {
  const found = new Map();
  for (let i = 0; i < 3; i++) {
    const stacks = path.join(scratch, `stacks-${name}-${i}`);
    await one(name, { kind, stacks });
    for (const line of fs.readFileSync(stacks, 'utf8').split('\n').filter(Boolean)) found.set(line.split(' ')[1], line.split(' ')[0]);
  }
  return [...[...found].map(([stack, n]) => ({ stack, name: `${stack} (${n})` })), ...Array.from({ length: more }, () => number(1 + Math.floor(Math.random() * total)))];
}

async function run(name, kind, most) {
  const dry = await one(name, { kind });
  if (!dry.calls) throw new Error(`no call of the kind ${kind} was seen: is the shim in it?`);
  const total = dry.calls + Math.ceil(dry.calls / 20);
  const todo = most === 'ways' ? await ways(name, kind, total, 300) : spread(total, most === 'all' ? Infinity : Number(most));
  const n = todo.length, began = Date.now();
  let fired = 0, gaveUp = 0, broken = 0;
  const work = async () => {
    for (let what; (what = todo.shift()) !== undefined;) {
      try {
        const told = await one(name, { kind, ...what });
        fired += told.fired;
        gaveUp += told.fired && told.gaveUp;
      } catch (e) {
        broken++;
        console.log(`${name} ${kind} ${what.name}: ${e.message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: SCENARIOS[name].jobs }, work));
  console.log(`${name.padEnd(8)} ${kind.padEnd(7)} ${dry.calls} calls, ${n} tried, ${fired} failed one, ${gaveUp} of these ended the program in order, ` +
    `${broken} broken promises, ${Math.round((Date.now() - began) / 1000)} s`);
  return broken;
}

const [most = '40', only, alone] = process.argv.slice(2);
fs.mkdirSync(path.join(scratch, 'seed'));
await webhook.session(path.join(scratch, 'seed'), NONE, 'f');
let broken = 0;
for (const kind of only ? [only] : KINDS) {
  for (const name of process.env.SCENARIO ? [process.env.SCENARIO] : Object.keys(SCENARIOS)) {
    if (alone) {
      const what = /^\d+$/.test(alone) ? { at: Number(alone) } : { stack: alone };
      try { console.log(await one(name, { kind, ...what })); } catch (e) { console.log(`${name} ${kind} ${alone}: ${e.message}`); broken++; }
    } else {
      broken += await run(name, kind, most);
    }
  }
}
console.log(broken ? `${broken} broken promises` : 'every promise was kept');
process.exit(broken ? 1 : 0);
