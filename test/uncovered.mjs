// What test/coverage found, from gcovr's JSON: the share of each layer, the files that are worst, and each function with lines that no test
// reached, by what those lines look like. What test/faults reached beside that (its own JSON) is told apart.
import fs from 'node:fs';

const [file, withFaults] = process.argv.slice(2);
const read = name => new Map(JSON.parse(fs.readFileSync(name, 'utf8')).files.map(f => [f.file, f]));
const files = read(file), faulted = withFaults ? read(withFaults) : new Map();
const reached = f => new Set((faulted.get(f)?.lines ?? []).filter(l => l.count > 0).map(l => l.line_number));
const percent = (n, of) => `${(100 * n / of).toFixed(1)} %`.padStart(7);
const layerOf = f => f.split('/').slice(0, f.startsWith('channels/') ? 2 : 1).join('/');

// Of an uncovered line and the two before it.
function looksLike(code) {
  if (/ENOMEM|ENOBUFS|[Oo]ut of memory|if \(![\w>.-]+\)\s*(\{\s*)?(return|free|goto|continue|break)|alloc|strdup/.test(code)) return 'no memory';
  if (/store_rollback|store_error|(\br|\be|error|pending|posted|done|recent|fd|since|shared|n) (<|<=) 0\b|stmt_(run|step)/.test(code)) return 'a failed call below';
  if (/-errno|errno [!=]=|strerror|uv_strerror|gethostname|localtime_r|gmtime_r/.test(code)) return 'a refusing system';
  return 'other';
}

const layers = new Map(), reasons = new Map(), worst = [];
const add = (map, key, n, of) => { const v = map.get(key) ?? [0, 0]; map.set(key, [v[0] + n, v[1] + of]); };
for (const [name, f] of files) {
  const lines = f.lines.filter(l => !l['gcovr/noncode']), missed = lines.filter(l => l.count === 0), source = fs.readFileSync(name, 'utf8').split('\n');
  add(layers, 'all', lines.length - missed.length, lines.length);
  add(layers, layerOf(name), lines.length - missed.length, lines.length);
  if (lines.length && missed.length / lines.length > 0.1) worst.push([name, lines.length - missed.length, lines.length]);
  const byFaults = reached(name), functions = f.functions.toSorted((a, b) => a.lineno - b.lineno);
  for (const { line_number: n } of missed) {
    const why = byFaults.has(n) ? 'reached by test/faults' : looksLike(source.slice(Math.max(0, n - 3), n).join(' '));
    const where = `${name}:${functions.findLast(x => x.lineno <= n)?.name ?? '?'}`;
    if (!reasons.has(why)) reasons.set(why, new Map());
    reasons.get(why).set(where, (reasons.get(why).get(where) ?? 0) + 1);
  }
}

for (const [layer, [n, of]] of [...layers].sort()) console.log(`${layer.padEnd(18)} ${percent(n, of)}   ${n} of ${of} lines`);
console.log('\nbelow 90 %:');
for (const [name, n, of] of worst.sort((a, b) => a[1] / a[2] - b[1] / b[2])) console.log(`${percent(n, of)}   ${name}`);
for (const [why, where] of reasons) {
  console.log(`\n${why}: ${[...where.values()].reduce((a, b) => a + b, 0)} lines`);
  const byFile = Map.groupBy ? Map.groupBy(where.keys(), w => w.split(':')[0]) : [...where.keys()].reduce((m, w) => m.set(w.split(':')[0], [...(m.get(w.split(':')[0]) ?? []), w]), new Map());
  for (const [name, list] of [...byFile].sort()) console.log(`  ${name}: ${list.map(w => w.split(':')[1]).join(', ')}`);
}
