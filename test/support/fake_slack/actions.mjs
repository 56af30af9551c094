// What people do in the workspace, and the events that Slack makes of it.
import crypto from 'node:crypto';
import { publicMessage, richText, APP, BOT_USER, TEAM, DOMAIN } from './workspace.mjs';
import { publicFile, setReaction } from './web_api.mjs';
import { storeText } from './limits.mjs';

const eventId = () => 'Ev0' + crypto.randomBytes(5).toString('hex').toUpperCase();
const EMPTY = { token: 'verification', team_id: TEAM, api_app_id: APP };

export class Actions {
  #slack; responseUrls = new Map();
  constructor(slack) { this.#slack = slack; }

  // Delivers any event; returns its envelope record. opts: to (connection or its id), pad (bytes),
  // drop (Slack never sends it), payload (fields that replace its own)
  event(event, opts = {}) {
    const id = opts.event_id ?? eventId();
    const payload = { ...EMPTY, context_team_id: TEAM, context_enterprise_id: null, event, type: 'event_callback', event_id: id, event_time: Math.floor(Date.now() / 1000),
      authorizations: [{ enterprise_id: null, team_id: TEAM, user_id: BOT_USER, is_bot: true, is_enterprise_install: false }], is_ext_shared_channel: false, event_context: '4-' + id, ...opts.payload };
    return opts.drop ? null : this.#slack.socket.deliver('events_api', payload, opts);
  }
  rateLimited() { return this.#slack.socket.deliver('events_api', { ...EMPTY, type: 'app_rate_limited', minute_rate_limited: Math.floor(Date.now() / 1000) }); }

  #type(channel) { return channel.startsWith('D') ? 'im' : 'channel'; }
  #hears(channel) { const c = this.#slack.workspace.conversations.get(channel); return c?.is_member && this.#slack.botScopes.has(this.#type(channel) === 'im' ? 'im:history' : 'channels:history'); }
  #place({ user = 'owner', channel }) {
    const w = this.#slack.workspace, id = w.user(user), where = channel === undefined ? w.dm(id) : w.conversations.has(channel) ? channel : this.#slack.channels[channel] ?? channel;
    if (!w.users.has(id) || !w.conversations.has(where)) throw new Error(`no such user or channel: ${user} ${channel}`);
    return { user: id, channel: where };
  }

  // opts: user, channel, thread_ts, files: [{ name, content, mimetype }], broadcast, twice (two ts, one client_msg_id),
  // drop (no event: only history has it), event (fields that replace the event's own), and those of event()
  say(text, opts = {}) {
    const { user, channel } = this.#place(opts), s = this.#slack, w = s.workspace, { thread_ts } = opts;
    const files = (opts.files ?? []).map(f => {
      const id = 'F0' + crypto.randomBytes(5).toString('hex').toUpperCase().slice(0, 9), file = { id, name: f.name, mimetype: f.mimetype, content: Buffer.from(f.content), user, key: id, shared: [] };
      w.files.set(id, file); return publicFile(file, s.origin);
    });
    const client_msg_id = files.length ? undefined : crypto.randomUUID(), records = [];
    let message;
    for (let i = 0; i < (opts.twice ? 2 : 1); i++) {
      message = w.add(channel, { user, ...(client_msg_id && { client_msg_id }), text: storeText(text), blocks: [richText(text)], ...(thread_ts && { thread_ts }), ...(files.length ? { subtype: 'file_share', files } : opts.broadcast && { subtype: 'thread_broadcast' }) });
      if (message.thread_ts) message.parent_user_id ??= BOT_USER;
      if (!this.#hears(channel)) continue;
      const event = { ...publicMessage(message), channel, event_ts: message.ts, channel_type: this.#type(channel), ...opts.event };
      records.push(this.event(event, opts));
      if (this.#type(channel) === 'channel' && text.includes(`<@${BOT_USER}>`)) { const { channel_type, subtype, ...rest } = event; records.push(this.event({ ...rest, type: 'app_mention' }, opts)); }
    }
    s.changed();
    return { channel, ts: message.ts, user, thread_ts: message.thread_ts, envelope: records[0] ?? null };
  }

  // Another app's message. `classic` is the old kind, with a subtype and no user.
  botSays(text, opts = {}) {
    const { channel } = this.#place(opts), s = this.#slack, identity = opts.classic ? { subtype: 'bot_message', username: 'hook', bot_id: 'B0OTHERBOT1' } : { user: 'U0OTHERBOT1', bot_id: 'B0OTHERBOT1', app_id: 'A0OTHERAPP1' };
    const m = s.workspace.add(channel, { ...identity, text: storeText(text), ...(opts.thread_ts && { thread_ts: opts.thread_ts }) });
    return { channel, ts: m.ts, envelope: this.event({ ...publicMessage(m), channel, event_ts: m.ts, channel_type: this.#type(channel) }, opts) };
  }

  #changed(channel, message, previous, opts) {
    const ts = this.#slack.workspace.nextTs();
    return this.event({ type: 'message', subtype: 'message_changed', hidden: true, message: publicMessage(message), previous_message: previous, channel, ts, event_ts: ts, channel_type: this.#type(channel) }, opts);
  }
  edit(ts, text, opts = {}) {
    const { user, channel } = this.#place(opts), s = this.#slack, message = this.#find(channel, ts), previous = publicMessage(message);
    s.workspace.update(message, { text }); message.edited = { user, ts: s.workspace.nextTs() };
    return this.#hears(channel) ? this.#changed(channel, message, previous, opts) : null;
  }
  // A link of the message unfolded: a message_changed in which the text stays.
  unfurl(ts, opts = {}) {
    const { channel } = this.#place(opts), message = this.#find(channel, ts), previous = publicMessage(message);
    message.attachments = [{ from_url: 'https://example.com/', title: 'Example', id: 1 }];
    return this.#changed(channel, message, previous, opts);
  }
  delete(ts, opts = {}) {
    const { channel } = this.#place(opts), message = this.#find(channel, ts);
    this.#slack.workspace.remove(channel, ts);
    return this.deleted(channel, message, opts);
  }
  deleted(channel, message, opts = {}) {
    const ts = this.#slack.workspace.nextTs();
    return this.#hears(channel) ? this.event({ type: 'message', subtype: 'message_deleted', hidden: true, deleted_ts: message.ts, previous_message: publicMessage(message), channel, ts, event_ts: ts, channel_type: this.#type(channel) }, opts) : null;
  }
  // Our own app's posts come back as events too.
  echoPosted(channel, message) { if (this.#hears(channel)) this.event({ ...publicMessage(message), channel, event_ts: message.ts, channel_type: this.#type(channel) }); }
  echoChanged(channel, message, previous) { if (this.#hears(channel)) this.#changed(channel, message, previous); }

  react(name, ts, opts = {}) { return this.#reaction(name, ts, opts, true); }
  unreact(name, ts, opts = {}) { return this.#reaction(name, ts, opts, false); }
  #reaction(reaction, ts, opts, add) {
    const { user, channel } = this.#place(opts), message = this.#find(channel, ts);
    setReaction(message, reaction, user, add);
    return this.#slack.botScopes.has('reactions:read') ? this.event({ type: add ? 'reaction_added' : 'reaction_removed', user, reaction, item: { type: 'message', channel, ts }, item_user: message.user, event_ts: this.#slack.workspace.nextTs() }, opts) : null;
  }

  // Presses a button, named by label, action_id or value. opts: ts (default: the newest message that shows it), user,
  // channel, stale (a button that an update has since removed: the client had not redrawn yet), to
  click(button, opts = {}) {
    const { user, channel } = this.#place(opts), s = this.#slack, is = b => b.type === 'button' && [b.action_id, b.text?.text, b.value].includes(button);
    const buttons = blocks => blocks.flatMap(b => [...(b.elements ?? []), ...(b.accessory ? [b.accessory] : [])].filter(is).map(e => ({ ...e, block_id: b.block_id })));
    const list = s.workspace.conversations.get(channel).messages.filter(m => !opts.ts || m.ts === opts.ts).reverse();
    let message, found;
    for (message of list) {
      found = buttons(message.blocks)[0] ?? (opts.stale ? (message.versions ?? []).flatMap(v => buttons(v.blocks)).at(-1) : undefined);
      if (found) break;
    }
    if (!found) throw new Error(`no button ${button} in ${channel}${opts.ts ? ' ' + opts.ts : ''}`);
    const key = this.#responseUrl(channel, message.ts, user), now = s.workspace.nextTs(), who = s.workspace.users.get(user), action_id = found.action_id ?? 'auto' + found.block_id;
    const thread = message.thread_ts ? { thread_ts: message.thread_ts } : {};
    const payload = { type: 'block_actions', user: { id: user, username: who.name, name: who.name, team_id: TEAM }, api_app_id: APP, token: 'verification',
      container: { type: 'message', message_ts: message.ts, channel_id: channel, is_ephemeral: false, ...thread }, trigger_id: `${now.replace('.', '')}.1.${key}`,
      team: { id: TEAM, domain: DOMAIN }, enterprise: null, is_enterprise_install: false, channel: { id: channel, name: channel.startsWith('D') ? 'directmessage' : 'general' },
      message: publicMessage(message), state: { values: {} }, response_url: this.#answerAt(key),
      actions: [{ action_id, block_id: found.block_id, text: found.text, ...(found.value !== undefined && { value: found.value }), ...(found.style && { style: found.style }), type: 'button', action_ts: now }] };
    return s.socket.deliver('interactive', payload, opts);
  }

  slash(command, text = '', opts = {}) {
    const { user, channel } = this.#place(opts), s = this.#slack, key = this.#responseUrl(channel, null, user);
    return s.socket.deliver('slash_commands', { token: 'verification', team_id: TEAM, team_domain: DOMAIN, channel_id: channel, channel_name: channel.startsWith('D') ? 'directmessage' : 'general', user_id: user, user_name: s.workspace.users.get(user).name,
      command, text, api_app_id: APP, is_enterprise_install: 'false', response_url: this.#answerAt(key), trigger_id: `1.1.${key}` }, opts);
  }

  #responseUrl(channel, ts, user) { const key = crypto.randomBytes(12).toString('hex'); this.responseUrls.set(key, { channel, ts, user, at: Date.now(), uses: 0 }); return key; }
  #answerAt(key) { return `${this.#slack.origin}/actions/${TEAM}/1/${key}`; }
  #find(channel, ts) { const m = this.#slack.workspace.find(channel, ts); if (!m) throw new Error(`no message ${ts} in ${channel}`); return m; }
}
