// What Slack refuses in a message: lengths, counts and shapes of text, blocks and metadata.
// Numbers: Block Kit reference and chat.postMessage / chat.update pages of docs.slack.dev.

export const MAX_POST_TEXT = 40000, MAX_UPDATE_TEXT = 4000, MAX_MARKDOWN = 12000, MAX_BLOCKS_TEXT = 13200;

export const chars = s => { let n = 0; for (const _ of s) n++; return n; };

const KEYS = {
  section: 'type block_id text fields accessory expand',
  header: 'type block_id text level',
  divider: 'type block_id',
  context: 'type block_id elements',
  actions: 'type block_id elements',
  image: 'type block_id image_url slack_file alt_text title',
  markdown: 'type block_id text',
  rich_text: 'type block_id elements',
  button: 'type text action_id url value style confirm accessibility_label',
};

// Returns null, or { error, messages } as response_metadata has them.
export function checkBlocks(blocks) {
  if (!Array.isArray(blocks)) return { error: 'invalid_blocks_format', messages: [] };
  const bad = [], ids = new Set();
  const say = (at, what) => bad.push(`[ERROR] ${what} [json-pointer:${at}]`);
  let total = 0, markdown = 0;

  const onlyKeys = (o, kind, at) => { for (const k of Object.keys(o)) if (!KEYS[kind].split(' ').includes(k)) say(at, `invalid additional property: ${k}`); };
  const length = (s, max, at, required = true) => {
    if (s === undefined && !required) return;
    if (typeof s !== 'string') return say(at, 'missing required field or wrong type');
    if (s === '') return say(at, 'must be more than 0 characters');
    if (chars(s) > max) say(at, `must be less than ${max + 1} characters`);
  };
  const text = (o, max, at, types = ['plain_text', 'mrkdwn']) => {
    if (!o || typeof o !== 'object') return say(at, 'missing required field: text');
    if (!types.includes(o.type)) return say(at + '/type', `unsupported type: ${o.type}`);
    for (const k of Object.keys(o)) if (!['type', 'text', o.type === 'mrkdwn' ? 'verbatim' : 'emoji'].includes(k)) say(at, `invalid additional property: ${k}`);
    length(o.text, max, at + '/text');
    total += chars(String(o.text ?? ''));
  };
  const button = (o, at) => {
    onlyKeys(o, 'button', at);
    text(o.text, 75, at + '/text', ['plain_text']);
    length(o.action_id, 255, at + '/action_id', false);
    length(o.value, 2000, at + '/value', false);
    length(o.url, 3000, at + '/url', false);
    if (o.style !== undefined && !['primary', 'danger'].includes(o.style)) say(at + '/style', 'must be one of primary, danger');
    if (o.confirm) {
      text(o.confirm.title, 100, at + '/confirm/title', ['plain_text']); text(o.confirm.text, 300, at + '/confirm/text');
      text(o.confirm.confirm, 30, at + '/confirm/confirm', ['plain_text']); text(o.confirm.deny, 30, at + '/confirm/deny', ['plain_text']);
    }
  };
  const elements = (b, max, at, each) => {
    if (!Array.isArray(b.elements) || b.elements.length === 0) return say(at + '/elements', 'must have at least one element');
    if (b.elements.length > max) say(at + '/elements', `no more than ${max} items allowed`);
    const actions = new Set();
    b.elements.forEach((e, i) => {
      each(e, `${at}/elements/${i}`);
      if (e?.action_id !== undefined && actions.has(e.action_id)) say(`${at}/elements/${i}`, `\`action_id\` ${e.action_id} already exists`);
      actions.add(e?.action_id);
    });
  };

  const rich = (list, at) => list.forEach((e, i) => {
    if (!/^rich_text_(section|list|preformatted|quote)$|^(text|link|user|usergroup|channel|emoji|date|broadcast|color)$/.test(e?.type)) return say(`${at}/${i}/type`, `unsupported type: ${e?.type}`);
    if (e.type === 'text') length(e.text, MAX_BLOCKS_TEXT, `${at}/${i}/text`);
    if (e.type.startsWith('rich_')) Array.isArray(e.elements) ? rich(e.elements, `${at}/${i}/elements`) : say(`${at}/${i}`, 'missing required field: elements');
  });

  if (blocks.length > 50) say('/blocks', 'no more than 50 items allowed');
  blocks.forEach((b, i) => {
    const at = `/blocks/${i}`;
    if (!b || typeof b !== 'object' || !KEYS[b.type] || b.type === 'button') return say(at + '/type', `unsupported type: ${b?.type}`);
    onlyKeys(b, b.type, at);
    length(b.block_id, 255, at + '/block_id', false);
    if (b.block_id !== undefined && ids.has(b.block_id)) say(at + '/block_id', `block_id ${b.block_id} already exists`);
    ids.add(b.block_id);
    if (b.type === 'section') {
      if (!b.text && !b.fields) say(at, 'missing required field: text');
      if (b.text) text(b.text, 3000, at + '/text');
      if (b.fields) { if (!b.fields.length || b.fields.length > 10) say(at + '/fields', 'no more than 10 items allowed'); b.fields.forEach((f, n) => text(f, 2000, `${at}/fields/${n}`)); }
      if (b.accessory?.type === 'button') button(b.accessory, at + '/accessory');
    } else if (b.type === 'header') text(b.text, 150, at + '/text', ['plain_text']);
    else if (b.type === 'markdown') { length(b.text, MAX_MARKDOWN, at + '/text'); markdown += chars(String(b.text ?? '')); }
    else if (b.type === 'context') elements(b, 10, at, (e, p) => e?.type === 'image' ? length(e.alt_text, 2000, p + '/alt_text') : text(e, 3000, p));
    else if (b.type === 'actions') elements(b, 25, at, (e, p) => e?.type === 'button' ? button(e, p) : say(p + '/type', `unsupported type: ${e?.type}`));
    else if (b.type === 'image') { length(b.alt_text, 2000, at + '/alt_text'); if (!b.slack_file) length(b.image_url, 3000, at + '/image_url'); }
    else if (b.type === 'rich_text') { if (!Array.isArray(b.elements)) say(at + '/elements', 'missing required field: elements'); else { rich(b.elements, at + '/elements'); total += chars(richText(b.elements)); } }
  });
  if (markdown > MAX_MARKDOWN) say('/blocks', `markdown blocks must be less than ${MAX_MARKDOWN + 1} characters in all`);
  if (bad.length) return { error: 'invalid_blocks', messages: bad };
  if (total > MAX_BLOCKS_TEXT) return { error: 'msg_blocks_too_long', messages: [] };
  return null;
}

const richText = list => list.map(e => (e?.text ?? '') + (Array.isArray(e?.elements) ? richText(e.elements) : '')).join('');

// `given` is JSON text or an object. Returns { metadata } or { error }.
export function checkMetadata(given) {
  let m = given;
  if (typeof m === 'string') try { m = JSON.parse(m); } catch { return { error: 'invalid_metadata_format' }; }
  if (!m || typeof m !== 'object' || Array.isArray(m)) return { error: 'invalid_metadata_format' };
  if (Object.keys(m).length === 0) return { metadata: undefined };
  if (typeof m.event_type !== 'string' || !m.event_payload || typeof m.event_payload !== 'object') return { error: 'invalid_metadata_schema' };
  if (JSON.stringify(m).length > 8000) return { error: 'metadata_too_large' };
  return { metadata: m };
}

// Slack stores &, < and > escaped unless they are its own markup.
const MARKUP = /<(?:[@#!]|https?:|mailto:)[^<>]*>|&(?:amp|lt|gt);|[&<>]/g, ENTITY = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
export const storeText = s => s.replace(MARKUP, m => ENTITY[m] ?? m);

// Whom a message would ring, wherever in it that is said. Text that is shown as typed (plain_text, rich_text text) rings nobody.
export function pings(message) {
  const found = new Set();
  const scan = s => { for (const m of String(s ?? '').matchAll(/<(!(?:channel|here|everyone)|!subteam\^\w+|@[UW]\w+)(?:\|[^<>]*)?>/g)) found.add(m[1]); };
  const walk = o => {
    if (Array.isArray(o)) return o.forEach(walk);
    if (!o || typeof o !== 'object') return;
    if (o.type === 'mrkdwn' || o.type === 'markdown') scan(o.text);
    if (o.type === 'user') found.add('@' + o.user_id);
    if (o.type === 'broadcast') found.add('!' + o.range);
    for (const v of Object.values(o)) walk(v);
  };
  scan(message.text); walk(message.sent_blocks ?? message.blocks);
  return [...found];
}
