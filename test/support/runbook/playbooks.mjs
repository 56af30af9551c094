// Reads the playbooks as the tests need them: front matter, sections, checks and the commands in them.
import fs from 'node:fs';

export const folder = new URL('../../../playbooks/', import.meta.url);
export const files = () => fs.readdirSync(folder).filter(f => f.endsWith('.md')).sort();

// The front matter as the channel's simple reader takes it: `key: value` and `key: [a, "b c"]`, each on one line.
export function frontMatter(text) {
  const lines = text.split('\n'), end = lines.indexOf('---', 1);
  if (lines[0] !== '---' || end < 0) throw new Error('no front matter');
  const out = {};
  for (const line of lines.slice(1, end)) {
    const m = /^([a-z_]+): (.+)$/.exec(line);
    if (!m) throw new Error(`not "key: value" on one line: ${line}`);
    if (m[1] in out) throw new Error(`twice: ${m[1]}`);
    out[m[1]] = m[2].startsWith('[') ? list(m[2]) : m[2];
  }
  return { keys: out, body: lines.slice(end + 1) };
}
function list(value) {
  if (!value.endsWith(']')) throw new Error('an inline list stays on its line');
  const items = [];
  for (let rest = value.slice(1, -1).trim(); rest;) {
    const m = /^(?:"([^"\\]+)"|([A-Za-z0-9*?._-]+))\s*(?:,\s*|$)/.exec(rest);
    if (!m) throw new Error(`not an item: ${rest}`);
    items.push(m[1] ?? m[2]);
    rest = rest.slice(m[0].length);
  }
  return items;
}

export function read(file) {
  const text = fs.readFileSync(new URL(file, folder), 'utf8'), { keys, body } = frontMatter(text);
  const sections = [], intro = [];
  let fenced = false;
  for (const line of body) {
    if (/^\s*```/.test(line)) fenced = !fenced;
    if (!fenced && line.startsWith('## ')) sections.push({ title: line.slice(3), lines: [] });
    else (sections.at(-1)?.lines ?? intro).push(line);
  }
  const section = title => sections.find(s => s.title === title)?.lines.join('\n') ?? '';
  return { file, text, lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0), ...keys, intro: intro.join('\n'), sections, section, fences: fences(text), checks: checks(section('Checks')) };
}
export const fences = text => [...text.matchAll(/^( *)```([a-z]*)\n([\s\S]*?)^ *```$/gm)].map(m => ({ lang: m[2], code: m[3].split('\n').map(l => l.slice(m[1].length)).join('\n').trim() }));
const checks = text => text.split(/^(?=\d+\. )/m).filter(x => /^\d+\. /.test(x)).map(x => ({ number: parseInt(x), text: x, fences: fences(x), meanings: x.split('\n').filter(l => l.startsWith('   - ')) }));

// Splits one simple command into words as a POSIX shell does: blanks, both quotes, backslash. Whatever more a shell can do is refused.
export function words(command) {
  const out = [];
  let word = null, quote = '';
  for (let i = 0; i < command.length; i++) {
    const c = command[i];
    if (quote === "'") { if (c === "'") quote = ''; else word += c; continue; }
    if (quote === '"') {
      if (c === '"') quote = '';
      else if (c === '\\' && '"\\$`'.includes(command[i + 1])) word += command[++i];
      else if (c === '$' && /^\$(SIGNOZ_API_KEY|GITLAB_TOKEN)"/.test(command.slice(i))) word += c;   // the two keys, whole, in a header
      else if (c === '$' || c === '`') throw new Error(`expansion at ${i}`);
      else word += c;
      continue;
    }
    if (c === "'" || c === '"') { quote = c; word ??= ''; continue; }
    if (c === '\\') { if (i + 1 === command.length || command[i + 1] === '\n') throw new Error('a line continued'); word = (word ?? '') + command[++i]; continue; }
    if (c === ' ') { if (word !== null) out.push(word); word = null; continue; }
    if ('\n\t|&;<>()$`*?[]{}~#!'.includes(c)) throw new Error(`"${c}" outside quotes at ${i}`);
    word = (word ?? '') + c;
  }
  if (quote) throw new Error('unclosed quote');
  if (word !== null) out.push(word);
  return out;
}

// Two patterns overlap if some name matches both: walks both at once, * being any run and ? any character.
export function overlap(a, b) {
  const seen = new Set();
  const walk = (i, j) => {
    const key = i + ',' + j;
    if (seen.has(key)) return false;
    seen.add(key);
    if (i === a.length && j === b.length) return true;
    if (a[i] === '*') return walk(i + 1, j) || (j < b.length && walk(i, j + 1));
    if (b[j] === '*') return walk(i, j + 1) || (i < a.length && walk(i + 1, j));
    return i < a.length && j < b.length && (a[i] === b[j] || a[i] === '?' || b[j] === '?') && walk(i + 1, j + 1);
  };
  return walk(0, 0);
}

// The placeholders of the commands, filled in as an investigator would.
const VALUES = { CLUSTER: 'dev-1', NS: 'data', POD: 'web-7d9c5b6f4-x2x9k', DEPLOY: 'web', APP: 'web', CONTAINER: 'web', DEP: 'api', SERVICE: 'web', CLAIM: 'data-web-0', CLASS: 'fast',
  JOB: 'backup-29000000', WORKFLOW: 'ingest-abcde', NODE: 'node-1', KIND: 'deployment', NAME: 'web', SIGNOZ: 'signoz.example.com', GITLAB: 'gitlab.example.com', PROJECT: '42', IMAGEREPO: '7',
  TAG: '1.4.2', REVISION: '0123abcd', PIPELINE: '99', TRACE: '0af7651916cd43dd8448eb211c80319c', RULEID: '0196a5f1-7f3e-7c31-a1b2-2f5d1c1e0a11', ALERTNAME: 'Tenant Inactive', START: '1767225600',
  END: '1767312000', EXPR: 'up', COLLECTORNS: 'monitoring', RUNNERNS: 'gitlab', SELECTOR: 'app=web', TENANT: 'minio' };
export const fill = command => command.replace(/custom-columns=[^' ]+|"[A-Z-]+: \$[A-Z_]+"|\b([A-Z]{2,})\b/g, (all, word) => VALUES[word] ?? all);
export const placeholders = command => [...command.replace(/custom-columns=[^']+|"[A-Z-]+: \$[A-Z_]+"/g, '').replace(/\{"[^"]*"\}/g, '').replace(/response_flags!?="[^"]*"/g, '').matchAll(/\b([A-Z]{2,})\b/g)].map(m => m[1]);
export const known = new Set(Object.keys(VALUES));
