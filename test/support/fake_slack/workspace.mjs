// The workspace: people, conversations, messages with their threads and history, files. Knows no HTTP and no socket.
import crypto from 'node:crypto';
import { storeText } from './limits.mjs';

export const TEAM = 'T0FAKETEAM1', APP = 'A0FAKEAPP01', BOT_USER = 'U0FAKEBOT01', BOT = 'B0FAKEBOT01', DOMAIN = 'fake-slack';
export const USERS = {
  owner: 'U0FAKEOWN01', second: 'U0FAKESEC01', stranger: 'U0FAKESTR01', stranger2: 'U0FAKESTR02', bot: BOT_USER, otherbot: 'U0OTHERBOT1',
};
const PEOPLE = [
  ['owner', 'Olga Owner', 'Europe/Athens'], ['second', 'Sam Second', 'Europe/Vienna'], ['stranger', 'Stan Stranger', 'UTC'],
  ['stranger2', 'Stella <Stranger> & Co', 'UTC'], ['bot', 'SRE Agent', 'UTC'], ['otherbot', 'Other Bot', 'UTC'],
];
// channel: the bot is a member; outside: it is not; archived: nobody posts there.
export const CHANNELS = { channel: 'C0FAKECHAN1', outside: 'C0FAKEOUTS1', archived: 'C0FAKEARCH1' };

export class Workspace {
  users = new Map(); conversations = new Map(); files = new Map();
  #last = 0;

  constructor() {
    for (const [key, name, tz] of PEOPLE) {
      const is_bot = key === 'bot' || key === 'otherbot';
      this.users.set(USERS[key], { id: USERS[key], team_id: TEAM, name: key, deleted: false, real_name: name, tz, is_bot, updated: 1700000000,
        profile: { real_name: name, display_name: key, email: is_bot ? undefined : `${key}@example.com` } });
    }
    for (const [name, id] of Object.entries(CHANNELS))
      this.conversations.set(id, { id, name, is_channel: true, is_im: false, is_member: name !== 'outside', is_archived: name === 'archived', messages: [] });
  }

  user(who = 'owner') { return USERS[who] ?? who; }

  dm(who = 'owner') {
    const user = this.user(who), id = 'D' + user.slice(1);
    if (!this.conversations.has(id)) {
      if (!this.users.has(user) || user === BOT_USER) return null;
      this.conversations.set(id, { id, user, is_channel: false, is_im: true, is_member: true, is_archived: false, messages: [] });
    }
    return id;
  }

  // Microseconds are counted on, so that no two messages of the workspace share a ts.
  nextTs() {
    this.#last = Math.max(Date.now() * 1000, this.#last + 1);
    return `${Math.floor(this.#last / 1e6)}.${String(this.#last % 1e6).padStart(6, '0')}`;
  }

  find(channel, ts) { return this.conversations.get(channel)?.messages.find(m => m.ts === ts) ?? null; }

  // Adds a message. A thread_ts that names no parent leaves it at top level without a word, as Slack does.
  add(channel, m) {
    const conversation = this.conversations.get(channel), message = { type: 'message', ...m, ts: this.nextTs(), team: TEAM };
    const parent = m.thread_ts && this.find(channel, m.thread_ts);
    delete message.thread_ts;
    if (parent && (!parent.thread_ts || parent.thread_ts === parent.ts)) {
      message.thread_ts = parent.ts; message.parent_user_id = parent.user;
      parent.thread_ts = parent.ts;
      parent.reply_count = (parent.reply_count ?? 0) + 1; parent.latest_reply = message.ts;
      parent.reply_users = [...new Set([...(parent.reply_users ?? []), message.user])]; parent.reply_users_count = parent.reply_users.length;
    } else if (message.subtype === 'thread_broadcast') delete message.subtype;
    message.blocks = (m.blocks?.length ? m.blocks : message.text ? [richText(message.text)] : []).map((b, i) => stored(b, blockId(message.ts, i)));
    conversation.messages.push(message);
    return message;
  }

  update(message, { text, blocks, metadata, markdown }) {
    (message.versions ??= []).push({ text: message.text, blocks: message.blocks });
    if (text !== undefined) message.text = storeText(text);
    // Text alone removes the blocks (chat.update, "blocks").
    if (blocks !== undefined) message.blocks = blocks.map((b, i) => stored(b, blockId(message.ts, i + 100 * message.versions.length)));
    else if (text !== undefined) message.blocks = [richText(message.text)];
    message.sent_blocks = blocks;
    if (metadata !== undefined) message.metadata = metadata;
    if (markdown !== undefined) message.sent_markdown = markdown;
    return message;
  }

  remove(channel, ts) {
    const c = this.conversations.get(channel), at = c?.messages.findIndex(m => m.ts === ts) ?? -1;
    return at < 0 ? null : c.messages.splice(at, 1)[0];
  }

  history(channel) { return this.conversations.get(channel).messages.filter(m => !m.thread_ts || m.thread_ts === m.ts || m.subtype === 'thread_broadcast'); }
  replies(channel, ts) { return this.conversations.get(channel).messages.filter(m => m.thread_ts === ts && m.ts !== ts); }
}

// As the API shows a message: without what the fake remembers for itself.
export function publicMessage(m, { metadata = false } = {}) {
  const { versions, sent_blocks, sent_text, sent_markdown, ephemeral_to, client_msg_id_given, ...out } = m;
  if (!metadata) delete out.metadata;
  return structuredClone(out);
}

const blockId = (ts, i) => crypto.createHash('sha1').update(`${ts}:${i}`).digest('base64url').slice(0, 5);
export const richText = text => ({ type: 'rich_text', elements: [{ type: 'rich_text_section', elements: [{ type: 'text', text }] }] });
// A markdown block is kept as the rich text it is turned into.
const stored = (b, id) => ({ block_id: id, ...(b.type === 'markdown' ? { ...richText(b.text), ...(b.block_id && { block_id: b.block_id }) } : b) });
export const compareTs = (a, b) => { const [x, y] = a.split('.'), [p, q = '0'] = String(b).split('.'); return x - p || y - q.padEnd(6, '0').slice(0, 6); };
