// The Web API's methods. Each takes the request's context (workspace, args, token ...) and returns the answer
// without "ok", or throws an ApiError. Transport, tokens, scopes and faults are http.mjs's business.
import crypto from 'node:crypto';
import { chars, checkBlocks, checkMetadata, storeText, MAX_POST_TEXT, MAX_UPDATE_TEXT, MAX_MARKDOWN } from './limits.mjs';
import { publicMessage, compareTs, TEAM, BOT, BOT_USER, APP, DOMAIN } from './workspace.mjs';

export class ApiError extends Error { constructor(error, extra = {}) { super(error); this.extra = extra; } }
const fail = (error, extra) => { throw new ApiError(error, extra); };

export const METHODS = {
  'api.test': { scope: null, anyone: true, run: () => ({}) },
  'auth.test': { scope: null, run: c => ({ url: `https://${DOMAIN}.slack.com/`, team: 'Fake Slack', user: 'bot', team_id: TEAM, user_id: BOT_USER, bot_id: BOT, is_enterprise_install: false }) },
  'apps.connections.open': { scope: 'connections:write', token: 'app', run: c => ({ url: c.socket.openUrl() }) },
  'conversations.open': { scope: 'im:write', run: openConversation },
  'conversations.info': { scope: 'im:read', run: c => ({ channel: describe(conversation(c)) }) },
  'conversations.history': { scope: 'im:history', form: true, run: history },
  'conversations.replies': { scope: 'im:history', form: true, run: replies },
  'chat.postMessage': { scope: 'chat:write', run: postMessage },
  'chat.postEphemeral': { scope: 'chat:write', run: postEphemeral },
  'chat.update': { scope: 'chat:write', run: update },
  'chat.delete': { scope: 'chat:write', run: remove },
  'chat.getPermalink': { scope: null, form: true, run: permalink },
  'users.info': { scope: 'users:read', form: true, run: c => ({ user: c.workspace.users.get(need(c, 'user')) ?? fail('user_not_found') }) },
  'users.lookupByEmail': { scope: 'users:read.email', form: true, run: c => ({ user: [...c.workspace.users.values()].find(u => u.profile.email && u.profile.email === need(c, 'email')) ?? fail('users_not_found') }) },
  'reactions.add': { scope: 'reactions:write', run: c => react(c, true) },
  'reactions.remove': { scope: 'reactions:write', run: c => react(c, false) },
  'files.getUploadURLExternal': { scope: 'files:write', form: true, run: uploadUrl },
  'files.completeUploadExternal': { scope: 'files:write', run: completeUpload },
  'assistant.threads.setStatus': { scope: 'chat:write', run: c => { c.statuses.push({ at: Date.now(), channel: need(c, 'channel_id'), thread_ts: need(c, 'thread_ts'), status: need(c, 'status', true) }); return {}; } },
};

export const scopeOf = (method, channel) => {
  const { scope } = METHODS[method];
  return scope?.startsWith('im:') && method !== 'conversations.open' && /^C/.test(channel ?? '') ? scope.replace('im:', 'channels:') : scope;
};

function need(c, name, mayBeEmpty = false) {
  const v = c.args[name];
  if (v === undefined || (v === '' && !mayBeEmpty)) fail('invalid_arguments', { response_metadata: { messages: [`[ERROR] missing required field: ${name}`] } });
  return String(v);
}
const flag = v => v === true || v === 'true' || v === '1' || v === 1;
const parsed = (v, error) => { if (typeof v !== 'string') return v; if (v === '') return undefined; try { return JSON.parse(v); } catch { fail(error); } };
const conversation = (c, name = 'channel') => c.workspace.conversations.get(need(c, name)) ?? fail('channel_not_found');
const readable = c => { const it = conversation(c); return it.is_member ? it : fail('not_in_channel'); };
const describe = ({ messages, ...c }) => ({ ...c, created: 1700000000, ...(c.is_im && { is_org_shared: false, priority: 0 }) });
const validTs = (ts, error) => /^\d+(\.\d+)?$/.test(String(ts)) ? String(ts) : fail(error);

function openConversation(c) {
  const { users, channel } = c.args;
  if (!users && !channel) fail('users_list_not_supplied');
  if (channel) { const it = conversation(c); return { no_op: true, already_open: true, channel: flag(c.args.return_im) ? describe(it) : { id: it.id } }; }
  const user = c.workspace.users.get(String(users)) ?? fail('user_not_found');
  if (user.deleted) fail('user_disabled');
  if (flag(c.args.prevent_creation) && !c.workspace.conversations.has('D' + user.id.slice(1))) fail('channel_not_found');
  const before = c.workspace.conversations.has('D' + user.id.slice(1)), id = c.workspace.dm(user.id) ?? fail('user_not_found');
  return { ...(before && { no_op: true, already_open: true }), channel: flag(c.args.return_im) ? describe(c.workspace.conversations.get(id)) : { id } };
}

function pageSize(c, standard, max) {
  const limit = c.args.limit === undefined ? standard : Number(c.args.limit);
  return Number.isInteger(limit) && limit > 0 && limit <= max ? limit : fail('invalid_limit');
}
const within = (m, c) => {
  const inclusive = flag(c.args.inclusive), { oldest, latest } = c.args;
  const low = oldest === undefined ? 1 : compareTs(m.ts, validTs(oldest, 'invalid_ts_oldest')), high = latest === undefined ? -1 : compareTs(m.ts, validTs(latest, 'invalid_ts_latest'));
  return (inclusive ? low >= 0 : low > 0) && (inclusive ? high <= 0 : high < 0);
};
function page(c, list, limit) {
  let from = 0;
  if (c.args.cursor) { const m = /^next:(\d+)$/.exec(Buffer.from(String(c.args.cursor), 'base64').toString()); from = m ? Number(m[1]) : fail('invalid_cursor'); }
  const more = from + limit < list.length;
  return { part: list.slice(from, from + limit), rest: { has_more: more, ...(more && { response_metadata: { next_cursor: Buffer.from(`next:${from + limit}`).toString('base64') } }) } };
}
const shown = (c, list) => list.map(m => publicMessage(m, { metadata: flag(c.args.include_all_metadata) }));

function history(c) {
  const it = readable(c), limit = pageSize(c, 100, 999);
  const { part, rest } = page(c, c.workspace.history(it.id).filter(m => !m.ephemeral_to && within(m, c)).reverse(), limit);
  return { messages: shown(c, part), pin_count: 0, ...rest };
}

function replies(c) {
  const it = readable(c), ts = validTs(need(c, 'ts'), 'thread_not_found'), limit = pageSize(c, 1000, 1000);
  const parent = c.workspace.find(it.id, ts) ?? fail('thread_not_found');
  // A reply's own ts is no thread: Slack shows that one message alone.
  const list = parent.thread_ts && parent.thread_ts !== ts ? [] : c.workspace.replies(it.id, ts).filter(m => within(m, c));
  const { part, rest } = page(c, list, limit);
  return { messages: shown(c, [parent, ...part]), ...rest };
}

const ownIdentity = { user: BOT_USER, bot_id: BOT, app_id: APP, bot_profile: { id: BOT, app_id: APP, user_id: BOT_USER, name: 'SRE Agent', team_id: TEAM, deleted: false } };

// What is posted or put in its place. Returns { text, blocks, markdown, metadata }, each undefined if not given.
function content(c, { maxText }) {
  const { args } = c, out = {};
  if (args.markdown_text !== undefined) {
    if (args.text !== undefined || args.blocks !== undefined) fail('markdown_text_conflict');
    if (chars(String(args.markdown_text)) > MAX_MARKDOWN) fail('msg_too_long');
    out.markdown = out.text = String(args.markdown_text);
  } else if (args.text !== undefined) out.text = String(args.text);
  if (out.text !== undefined && chars(out.text) > MAX_POST_TEXT) {
    if (!maxText) out.text = [...out.text].slice(0, MAX_POST_TEXT).join('');
  }
  if (maxText && out.markdown === undefined && chars(out.text ?? '') > maxText) fail('msg_too_long');
  if (args.blocks !== undefined) {
    out.blocks = parsed(args.blocks, 'invalid_blocks_format');
    const bad = out.blocks === undefined ? null : checkBlocks(out.blocks);
    if (bad) fail(bad.error, { response_metadata: { messages: bad.messages } });
  }
  if (args.metadata !== undefined && args.metadata !== '') {
    const { error, metadata } = checkMetadata(args.metadata);
    if (error) fail(error);
    out.metadata = metadata ?? null;
  }
  return out;
}

function target(c) {
  const to = need(c, 'channel');
  const id = /^[UW]/.test(to) ? c.workspace.dm(to) ?? fail('channel_not_found') : to;
  const it = c.workspace.conversations.get(id) ?? fail('channel_not_found');
  if (it.is_archived) fail('is_archived');
  if (!it.is_member) fail('not_in_channel');
  if (it.is_im && !c.state.messagesTab) fail('messages_tab_disabled');
  return it;
}

function postMessage(c) {
  const it = target(c), { text, blocks, markdown, metadata } = content(c, {});
  if (!text && !blocks?.length) fail('no_text');
  const { thread_ts, client_msg_id } = c.args;
  if (client_msg_id && c.options.clientMsgIdDedupe) {
    const twin = it.messages.find(m => m.client_msg_id_given === client_msg_id);
    if (twin) return { channel: it.id, ts: twin.ts, is_duplicate: true, message: publicMessage(twin, { metadata: true }) };
  }
  if (thread_ts) {
    const parent = c.workspace.find(it.id, thread_ts);
    if (parent?.thread_ts && parent.thread_ts !== thread_ts) c.violation(`thread_ts ${thread_ts} is a reply's, not its parent's`);
  }
  const message = c.workspace.add(it.id, {
    ...ownIdentity, text: storeText(text ?? ''), blocks, sent_text: text, sent_blocks: blocks, sent_markdown: markdown, client_msg_id_given: client_msg_id,
    ...(metadata && { metadata }), ...(thread_ts && !c.fault?.unthread && { thread_ts: String(thread_ts) }), ...(thread_ts && flag(c.args.reply_broadcast) && { subtype: 'thread_broadcast' }),
  });
  c.posted(it.id, message);
  return { channel: it.id, ts: message.ts, message: publicMessage(message, { metadata: true }) };
}

function postEphemeral(c) {
  const it = target(c), user = need(c, 'user'), { text, blocks } = content(c, {});
  if (!text && !blocks?.length) fail('no_text');
  const message = { ts: c.workspace.nextTs(), text, blocks, ephemeral_to: user, thread_ts: c.args.thread_ts };
  c.ephemeral.push({ channel: it.id, ...message });
  return { message_ts: message.ts };
}

function own(c, error) {
  const id = need(c, 'channel'), ts = need(c, 'ts');
  if (/^[UW]/.test(id)) fail('channel_not_found');
  const message = c.workspace.find(conversation(c).id, ts) ?? fail('message_not_found');
  return message.bot_id === BOT ? message : fail(error);
}

function update(c) {
  const message = own(c, 'cant_update_message'), next = content(c, { maxText: MAX_UPDATE_TEXT });
  if (next.text === undefined && next.blocks === undefined && next.metadata === undefined) fail('no_text');
  const previous = publicMessage(message);
  c.workspace.update(message, next);
  c.changedMessage(c.args.channel, message, previous);
  return { channel: c.args.channel, ts: message.ts, text: message.text, message: publicMessage(message, { metadata: true }) };
}

function remove(c) {
  const message = own(c, 'cant_delete_message');
  c.workspace.remove(c.args.channel, message.ts);
  c.deletedMessage(c.args.channel, message);
  return { channel: c.args.channel, ts: message.ts };
}

function permalink(c) {
  const it = conversation(c), m = c.workspace.find(it.id, need(c, 'message_ts')) ?? fail('message_not_found');
  return { channel: it.id, permalink: `https://${DOMAIN}.slack.com/archives/${it.id}/p${m.ts.replace('.', '')}${m.thread_ts && m.thread_ts !== m.ts ? `?thread_ts=${m.thread_ts}&cid=${it.id}` : ''}` };
}

function react(c, add) {
  const it = readable(c), name = need(c, 'name'), message = c.workspace.find(it.id, need(c, 'timestamp')) ?? fail('message_not_found');
  if (!/^[a-z0-9_+'-]+(::skin-tone-[2-6])?$/.test(name)) fail('invalid_name');
  const list = message.reactions ??= [], had = list.find(r => r.name === name)?.users.includes(BOT_USER);
  if (add && had) fail('already_reacted');
  if (!add && !had) fail('no_reaction');
  if (add && list.length >= 23) fail('too_many_emoji');
  setReaction(message, name, BOT_USER, add);
  return {};
}

export function setReaction(message, name, user, add) {
  const list = message.reactions ??= [], r = list.find(x => x.name === name) ?? (list.push({ name, users: [], count: 0 }), list.at(-1));
  r.users = r.users.filter(u => u !== user); if (add) r.users.push(user);
  r.count = r.users.length;
  message.reactions = list.filter(x => x.count); if (!message.reactions.length) delete message.reactions;
}

function uploadUrl(c) {
  const name = need(c, 'filename'), length = Number(need(c, 'length'));
  if (!Number.isInteger(length) || length < 1) fail('invalid_arguments', { response_metadata: { messages: ['[ERROR] must be at least 1 [json-pointer:/length]'] } });
  const id = 'F0' + crypto.randomBytes(5).toString('hex').toUpperCase().slice(0, 9), key = crypto.randomBytes(12).toString('hex');
  c.workspace.files.set(id, { id, name, length, key, user: BOT_USER, content: null, shared: [] });
  return { upload_url: `${c.origin()}/upload/v1/${key}`, file_id: id };
}

export const publicFile = (f, origin) => ({ id: f.id, name: f.name, title: f.title ?? f.name, mimetype: f.mimetype ?? 'text/plain', filetype: 'text', user: f.user, size: f.content?.length ?? f.length, mode: 'hosted', is_external: false,
  url_private: `${origin}/files-pri/${TEAM}-${f.id}/${encodeURIComponent(f.name)}`, url_private_download: `${origin}/files-pri/${TEAM}-${f.id}/download/${encodeURIComponent(f.name)}` });

function completeUpload(c) {
  const list = parsed(c.args.files, 'invalid_arguments');
  if (!Array.isArray(list) || !list.length) fail('invalid_arguments');
  const files = list.map(({ id, title }) => { const f = c.workspace.files.get(id); if (!f?.content) fail('file_not_found'); if (title) f.title = title; return f; });
  if (c.args.channel_id) {
    c.args.channel = c.args.channel_id;
    if (/^[UW]/.test(c.args.channel)) fail('channel_not_found');
    const it = target(c), { initial_comment: text = '', thread_ts } = c.args;
    if (files.some(f => f.shared.length)) fail('file_already_shared');
    const message = c.workspace.add(it.id, { ...ownIdentity, subtype: 'file_share', text: storeText(text), sent_text: text, files: files.map(f => publicFile(f, c.origin())), ...(thread_ts && !c.fault?.unthread && { thread_ts: String(thread_ts) }) });
    for (const f of files) f.shared.push({ channel: it.id, ts: message.ts });
    c.posted(it.id, message);
  }
  return { files: files.map(f => ({ ...publicFile(f, c.origin()), id: f.id, title: f.title ?? f.name })) };
}
