// The table of test/bench/run: medians, ranges, ratios pair by pair, floors.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

const sorted = list => [...list].sort((a, b) => a - b);
const median = list => { const s = sorted(list), n = s.length; return n % 2 ? s[n >> 1] : (s[n / 2 - 1] + s[n / 2]) / 2; };
const round = v => v >= 1000 ? Math.round(v).toLocaleString('en') : v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(v >= 1 ? 2 : 3);
const cell = list => list ? `${round(median(list))} <sub>${round(Math.min(...list))}-${round(Math.max(...list))}</sub>` : '';

// metric, what it is, [floor against bun-durable, true where more is better].
const metrics = [
  ['start_ms', 'cold start, spawn to initialize answered, ms', [15]],
  ['first_start_ms', 'the same the first time, when the store is made, ms', [15]],
  ['idle_mb', 'RSS idle, MB', [8]],
  ['slack_idle_mb', 'RSS idle of slack-channel, MB'],
  ['peak_mb', 'peak RSS under load, MB', [6]],
  ['disk_us', 'fdatasync of 4 KiB on this disk, us'],
  ['c1_p50_us', '1 alert, 1 connection: p50, us', [1]],
  ['c1_p99_us', '1 alert, 1 connection: p99, us'],
  ['c16_p50_us', '1 alert, 16 connections: p50, us'],
  ['c16_p99_us', '1 alert, 16 connections: p99, us', [1.2]],
  ['posts_per_s', '1-alert POSTs/s, 16 connections', [4, true]],
  ['alerts_per_s', 'alerts/s, 20-alert POSTs, 16 connections', [3, true]],
  ['cpu_1', 'CPU s per 10k alerts, 1-alert POSTs', [4]],
  ['cpu_1_user', '- user'],
  ['cpu_1_system', '- system'],
  ['cpu_20', 'CPU s per 10k alerts, 20-alert POSTs', [3]],
  ['cpu_20_user', '- user'],
  ['cpu_20_system', '- system'],
  ['cpu_20_nnnn', '- every alert opens an incident'],
  ['cpu_20_rrrr', '- every alert repeats one'],
  ['load_share', '- of a core that the load itself took'],
  ['big_ms', '10 MB body of 10.8k alerts: answered in ms'],
  ['big_peak_mb', '10 MB body: peak RSS, MB'],
  ['big_wait_ms', '10 MB body: longest wait of a ping or another request, ms'],
  ['guard_ms', 'one guard call (the references: a hook that only answers), ms'],
  ['context_kb', 'into the context by 1,000 alerts, in 70 s, KB'],
  ['context_events', '- events'],
];
const columns = ['ours', 'bun-durable', 'node-durable', 'bun', 'node', 'bun, compiled', 'node, bundled'];

const table = lines => lines.map(l => `| ${l.join(' | ')} |`).join('\n');

// Turn by turn, how many times better than the other.
function ratios(of, other, more) {
  return of && other ? of.slice(0, other.length).map((v, i) => more ? v / other[i] : other[i] / v) : null;
}

function floors(m, rows) {
  const out = [];
  const add = (what, floor, list, met) => out.push([what, floor, cell(list), met ? 'met' : '**missed**']);
  for (const [key, what, rule] of metrics) {
    const r = rule && ratios(m[key]?.ours, m[key]?.['bun-durable'], rule[1]);
    if (r) add(what, `${rule[0]}x`, r, median(r) >= rule[0]);
  }
  const slack = ratios(m.slack_idle_mb?.ours, m.idle_mb?.['bun-durable']);
  if (slack) add('RSS idle of slack-channel, MB', '3x', slack, median(slack) >= 3);
  for (const [key, limit, unit] of [['big_peak_mb', 64, 'MB'], ['big_wait_ms', 250, 'ms']])
    if (m[key]?.ours) add(metrics.find(x => x[0] === key)[1], `< ${limit} ${unit}`, m[key].ours, Math.max(...m[key].ours) < limit);
  if (rows.length > 1) {
    const [first, last] = [rows[0], rows.at(-1)], time = (row, key) => row[key][2];
    for (const key of ['post', 'history_problem', 'history_id', 'briefing']) {
      const growth = time(last, key) / time(first, key);
      add(`CPU of ${key}, ${first.n.toLocaleString('en')} to ${last.n.toLocaleString('en')} incidents`, '<= 2x', [growth], growth <= 2);
    }
  }
  return out;
}

function machine() {
  const cpu = os.cpus()[0].model.replace(/ \d+-Core Processor/, ''), release = /PRETTY_NAME="(.*)"/.exec(fs.readFileSync('/etc/os-release', 'utf8'))?.[1];
  return `${os.cpus().length} cores (${cpu}), ${Math.round(os.totalmem() / 2 ** 30)} GB, ${release}, Linux ${os.release().split('-')[0]}, Node ${process.version}`;
}

export function report({ measured: m, lost, rows, rounds, turns, seconds, minutes, note }) {
  const present = columns.filter(c => Object.values(m).some(v => v[c]));
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const parts = [`# Results of test/bench/run

${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, commit ${commit}; ${machine()}. ${rounds} rounds of ${turns} interleaved turns, ${seconds} s a turn, ${minutes.toFixed(1)} minutes.
${note ? `${note}\n` : ''}Medians, with the range of all turns. \`bun\` and \`node\` are the reference of \`test/bench/reference\`; \`-durable\` commits each body to SQLite (WAL,
synchronous FULL) before its 200, as ours always does. Of four alerts one opens an incident, one joins one, two repeat.
${lost.length ? `**LOST**: ${lost.join('; ')}` : 'Nothing was lost: every alert answered 200 was found again, in every round of every column.'}`];
  parts.push(table([['', ...present], ['---', ...present.map(() => '---:')],
    ...metrics.filter(([key]) => m[key]).map(([key, what]) => [what, ...present.map(c => cell(m[key][c]))])]));
  const f = floors(m, rows);
  if (f.length) parts.push('## Floors\n\nHow many times better than `bun-durable`, turn by turn.', table([['', 'floor', 'measured', ''], ['---', '---:', '---:', '---'], ...f]));
  if (rows.length) {
    const keys = Object.keys(rows[0]).filter(k => /^(briefing|history|command|post|event|list_undecided)/.test(k));
    parts.push('## The memory as it grows\n\nMilliseconds: fastest, median, CPU of the channel; list_undecided: how many wait.', table([['', ...rows.map(r => `${r.n.toLocaleString('en')} incidents`)], ['---', ...rows.map(() => '---:')],
      ...keys.map(k => [k, ...rows.map(r => r[k].join(' '))])]));
  }
  return parts.join('\n\n') + '\n';
}
